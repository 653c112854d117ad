// SPDX-License-Identifier: Apache-2.0

// Package trails keeps CloudTrail's trails: which events an account wants delivered to
// which bucket. It chooses them from the audit trail, delivers them in gzip files with
// signed digests, and says how far it has come.
package trails

import (
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// Trail is a trail of an account: a row ct/t/<account>/<name>.
type Trail struct {
	// ID is the trail's own: one of the same name that is made later has another.
	ID       string            `json:"id"`
	Account  string            `json:"account"`
	Name     string            `json:"name"`
	Bucket   string            `json:"bucket"`
	Prefix   string            `json:"prefix,omitempty"`
	KeyARN   string            `json:"keyArn,omitempty"` // of the KMS key that delivered files are encrypted under
	Validate bool              `json:"validate"`         // digest files are delivered
	Global   bool              `json:"global"`           // IncludeGlobalServiceEvents
	Multi    bool              `json:"multi"`            // IsMultiRegionTrail
	Tags     map[string]string `json:"tags,omitempty"`
	Created  time.Time         `json:"created"`

	// Basic or Advanced selectors; neither: all management events.
	Basic    []EventSelector    `json:"basic,omitempty"`
	Advanced []AdvancedSelector `json:"advanced,omitempty"`

	Logging bool      `json:"logging"`
	Started time.Time `json:"started,omitzero"` // the last time that logging was
	Stopped time.Time `json:"stopped,omitzero"`
	// From is where in the audit trail logging began the last time, or the selectors were
	// changed since: of what is before it, Past says what is delivered.
	From audit.Position `json:"from"`
	// Until is where in the audit trail logging ended the last time: of a trail that does
	// not log, what is before it is delivered yet. It counts while Logging is false.
	Until audit.Position `json:"until,omitzero"`
	// Past are spans before From of which not everything may be delivered yet, oldest
	// first.
	Past []Span `json:"past,omitempty"`
}

// ARN is the trail's.
func (t *Trail) ARN(region string) string {
	return "arn:aws:cloudtrail:" + region + ":" + t.Account + ":trail/" + t.Name
}

// Delivery is how far the delivery of a trail has come: a row ct/d/<account>/<name>, of
// its own because it changes with every file.
type Delivery struct {
	// Position is behind the last record that was delivered, or that the trail does not
	// want.
	Position audit.Position `json:"position"`
	// Pending is the next log file. It is named before it is put: after a crash in between
	// the same records come under the same name.
	Pending *PendingFile `json:"pending,omitempty"`

	LastAttempt time.Time `json:"lastAttempt,omitzero"`
	LastSuccess time.Time `json:"lastSuccess,omitzero"` // of a log file
	Error       string    `json:"error,omitempty"`      // S3's code of the last attempt, "" when it succeeded

	Digest Digest `json:"digest"`
}

// PendingFile is a log file that has its name and may not be delivered yet: of what the
// trail wants from Delivery.Position to Until.
type PendingFile struct {
	Bucket string         `json:"bucket"`
	Object string         `json:"object"`
	Until  audit.Position `json:"until"`
}

// Digest is how far the digest files have come.
type Digest struct {
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	Error       string    `json:"error,omitempty"`
	// Since is the end of the last digest, and where the next one begins. Zero: there is
	// no chain of digests that goes on.
	Since time.Time `json:"since,omitzero"`
	// Of is when logging was started for which the chain is: each time has its own.
	Of time.Time `json:"of,omitzero"`
	// Of the last digest; "" when the next one is a starting digest.
	Bucket    string `json:"bucket,omitempty"`
	Object    string `json:"object,omitempty"`
	Hash      string `json:"hash,omitempty"`
	Signature string `json:"signature,omitempty"`

	Pending *PendingDigest `json:"pending,omitempty"`
	// Files were delivered since, or are in no digest for another reason, and have rows
	// ct/f/<id of the trail>/<number>: from First up to Next.
	First uint64 `json:"first"`
	Next  uint64 `json:"next"`
}

// PendingDigest is a digest that has its name and may not be delivered yet.
type PendingDigest struct {
	Bucket string    `json:"bucket"`
	Object string    `json:"object"`
	End    time.Time `json:"end"`
	Files  uint64    `json:"files"` // up to this number are in it
}

// DeliveredFile is a log file that was delivered, as digests name it.
type DeliveredFile struct {
	Bucket string    `json:"bucket"`
	Object string    `json:"object"`
	Hash   string    `json:"hash"` // hex SHA-256 of what was compressed
	Newest time.Time `json:"newest"`
	Oldest time.Time `json:"oldest"`
}

// EventSelector is a basic selector (CloudTrail API Reference, EventSelector).
type EventSelector struct {
	ReadWriteType string         `json:"readWriteType"` // All, ReadOnly or WriteOnly
	Management    bool           `json:"management"`
	Data          []DataResource `json:"data,omitempty"`
	Exclude       []string       `json:"exclude,omitempty"` // event sources of management events
}

// DataResource names objects whose data events are wanted.
type DataResource struct {
	Type   string   `json:"type"` // AWS::S3::Object
	Values []string `json:"values"`
}

// AdvancedSelector is an advanced selector: all of its fields hold.
type AdvancedSelector struct {
	Name   string          `json:"name,omitempty"`
	Fields []FieldSelector `json:"fields"`
}

// FieldSelector is a condition on a field: it holds for one of the values of the operators
// that choose (Equals, StartsWith, EndsWith), if there are any, and for none of those of
// the operators that begin with Not (CloudTrail User Guide, "How CloudTrail evaluates
// multiple conditions for a field").
type FieldSelector struct {
	Field         string   `json:"field"`
	Equals        []string `json:"equals,omitempty"`
	NotEquals     []string `json:"notEquals,omitempty"`
	StartsWith    []string `json:"startsWith,omitempty"`
	NotStartsWith []string `json:"notStartsWith,omitempty"`
	EndsWith      []string `json:"endsWith,omitempty"`
	NotEndsWith   []string `json:"notEndsWith,omitempty"`
}
