// SPDX-License-Identifier: Apache-2.0

// Package index finds audit records without reading the whole trail: by who, what, on
// what, when. It is made from the trail's files and can be made from them again.
//
// A file of the trail that is not written any more has an index file, which has for each
// term, a field with a value, the records that have it. What has no index file yet is
// indexed in memory, or read. So a search finds what was durable when it began.
package index

import (
	"encoding/json"
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
	// NoSuchEvent: no event of KMS has that id.
	NoSuchEvent fault.Kind = "audit/index: no such KMS event"
)

// Field is what of a record can be searched for. A record may have several values of one.
type Field string

// The fields. Values are compared whole.
const (
	EventID      Field = "event-id"
	SharedEvent  Field = "shared-event" // sharedEventID, of the copies of an event in two accounts
	EventName    Field = "event-name"
	EventSource  Field = "event-source"
	Category     Field = "category"      // Management or Data
	ReadOnly     Field = "read-only"     // true or false
	Username     Field = "user"          // as LookupEvents has it: user, session name, root, service
	Principal    Field = "principal"     // ARN or principalId of userIdentity, ARN of a session's role, service, "anonymous"
	AccessKeyID  Field = "access-key"    //
	Account      Field = "account"       // recipientAccountId
	SourceIP     Field = "source-ip"     // of the client: of a KMS request that S3 made, cofferClientIp too
	ResourceType Field = "resource-type" // AWS::S3::Object …
	ResourceName Field = "resource"      // ARN, or the name or id at its end
	Bucket       Field = "bucket"        // name; of KMS requests for a bucket or an object, too
	Object       Field = "object"        // ARN; of KMS requests for an object, and of copies of it, too
	Key          Field = "key"           // ARN or id of a KMS key: of KMS events and of data events under it
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

	// Bind is what else a token is good for only: it is bound to the terms, the prefix
	// and the order, and not to Since and Until, which may move from page to page.
	Bind string
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
	JSON []byte // as in the trail's delivered form, without what belongs to the file alone; the receiver's own
}

// Resource is a resource of an event as LookupEvents has it.
type Resource struct{ Type, Name string }

// Resources returns what LookupEvents lists of an event: what is in resources, and what
// the request parameters of IAM, STS and CloudTrail name. A search by ResourceType and
// ResourceName finds events by them.
func (e *Event) Resources() []Resource {
	var f facts
	f.of(e.JSON)
	list := make([]Resource, 0, len(f.resources))
	for _, r := range f.resources {
		list = append(list, Resource{string(r.kind), string(r.name)})
	}
	return list
}

// Username returns the user's name as LookupEvents has it; "" when it has none. A search
// by Username finds events by it.
func (e *Event) Username() string {
	var f facts
	f.of(e.JSON)
	return string(f.username)
}

// newEvent makes an event of a line; false when it is no record.
func newEvent(at audit.Position, line []byte) (e Event, ok bool) {
	e.At, e.JSON = at, line
	return e, json.Unmarshal(line, &e.Record) == nil
}

// Progress is how far a search has come. It is told now and then.
type Progress struct {
	Read  int64 `json:"read"` // bytes of the trail that are done with, read or not
	Total int64 `json:"total"`

	// Skipped says what of the trail cannot be read, and was passed over. It is told once
	// for each file, and at once.
	Skipped string `json:"skipped,omitempty"`
}
