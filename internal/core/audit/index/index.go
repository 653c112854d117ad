// SPDX-License-Identifier: Apache-2.0

// Package index finds audit records without reading the whole trail: by who, what, on
// what, when. It is made from the trail's files and can be made from them again.
package index

import (
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault.
const (
	// BadToken: the token is not one that a search for the same thing returned.
	BadToken fault.Kind = "audit/index: bad paging token"
	// BadQuery: the search cannot be made.
	BadQuery fault.Kind = "audit/index: bad query"
)

// Field is what of a record can be searched for. A record may have several values of one.
type Field string

// The fields. Values are compared whole, but for Prefix.
const (
	EventID      Field = "event-id"
	EventName    Field = "event-name"
	EventSource  Field = "event-source"
	Category     Field = "category"      // Management or Data
	ReadOnly     Field = "read-only"     // true or false
	Username     Field = "username"      // as LookupEvents has it: user, session name, root, service
	Principal    Field = "principal"     // ARN of userIdentity, also of a session's role
	AccessKeyID  Field = "access-key"    //
	Account      Field = "account"       // recipientAccountId
	SourceIP     Field = "source-ip"     // of the client: of a KMS request that S3 made, cofferClientIp
	ResourceType Field = "resource-type" // AWS::S3::Object …
	ResourceName Field = "resource-name" // ARN, or the name or id at its end
	Bucket       Field = "bucket"        // name; of KMS requests for a bucket or an object, too
	Object       Field = "object"        // ARN
	Key          Field = "key"           // ARN of a KMS key: of KMS events and of data events under it
	Generation   Field = "generation"    // of a bucket key
	KMSEvent     Field = "kms-event"     // of a data event: the KMS event that covers it
	RequestID    Field = "request-id"    // also the parent's, of KMS requests that S3 made
	ErrorCode    Field = "error"         //
)

// Term is a field with a value that it must have.
type Term struct {
	Field Field
	Value string
	Not   bool // that it must not have
}

// Query chooses records: all terms hold. The zero value chooses all.
type Query struct {
	Terms        []Term
	ObjectPrefix string    // of the object's key, with a Bucket term
	Since        time.Time // events of that second or later
	Until        time.Time // events before; zero: no end
	OldestFirst  bool      // default: newest first, by their place in the trail
	Limit        int       // of records in a page; 0: as many as there are
	Token        string    // of the page before
}

// Page is what a search found.
type Page struct {
	Events []Event
	Token  string // of the next page; "" when there is none
}

// Event is a record that was found.
type Event struct {
	audit.Record
	At   audit.Position
	JSON []byte // as in the trail's delivered form, without what belongs to the file alone
}

// Progress is how far a search has come. It is told now and then.
type Progress struct {
	Read, Total int64 // bytes of the trail
}
