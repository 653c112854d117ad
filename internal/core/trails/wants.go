// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
)

// Wants reports whether the trail's selectors choose a record. It takes no memory but for
// what the record's own resources need.
func (t *Trail) Wants(r *audit.Record) bool {
	if r.RecipientAccountID != t.Account || ofDelivery(r) {
		return false
	}
	if !t.Global && r.EventSource == globalSource {
		return false
	}
	switch {
	case len(t.Advanced) > 0:
		for i := range t.Advanced {
			if t.Advanced[i].chooses(r) {
				return true
			}
		}
		return false
	case len(t.Basic) > 0:
		for i := range t.Basic {
			if t.Basic[i].chooses(r) {
				return true
			}
		}
		return false
	}
	return r.EventCategory == audit.Management
}

// globalSource is the event source of the service that is of no region.
const globalSource = "iam.amazonaws.com"

// ofDelivery reports whether a record is of the delivery of a trail: the service's own
// writes, and the KMS requests that S3 makes for them. A trail that had them would have
// something to deliver for ever.
func ofDelivery(r *audit.Record) bool {
	i := &r.UserIdentity
	return i.Type == iam.AWSService && (i.InvokedBy == ServiceName || i.InvokedBy == audit.InvokedByS3 || i.InvokedBy == audit.InvokedByS3Before)
}

// Values of ReadWriteType.
const (
	all       = "All"
	readOnly  = "ReadOnly"
	writeOnly = "WriteOnly"
)

func (e *EventSelector) chooses(r *audit.Record) bool {
	switch {
	case e.ReadWriteType == readOnly && !r.ReadOnly, e.ReadWriteType == writeOnly && r.ReadOnly:
		return false
	case r.EventCategory == audit.Management:
		return e.Management && !slices.Contains(e.Exclude, r.EventSource)
	case r.EventCategory != audit.Data:
		return false
	}
	for i := range e.Data {
		d := &e.Data[i]
		if d.Type == objectType && anyObject(r, func(arn, rest string) bool { return beginsWithOne(arn, rest, d.Values) }) {
			return true
		}
	}
	return false
}

const (
	objectType = "AWS::S3::Object"
	bucketType = "AWS::S3::Bucket"
)

// anyObject reports whether f is true of an object that a data event is about: of its
// ARN, which is in two pieces. What is about a bucket and no object of it, as a listing,
// is about an object without a name.
func anyObject(r *audit.Record, f func(arn, rest string) bool) bool {
	object := false
	for i := range r.Resources {
		if res := &r.Resources[i]; res.Type == objectType && res.ARN != "" {
			object = true
			if f(res.ARN, "") {
				return true
			}
		}
	}
	if object {
		return false
	}
	for i := range r.Resources {
		if res := &r.Resources[i]; res.Type == bucketType && f(res.ARN, "/") {
			return true
		}
	}
	return false
}

func beginsWithOne(arn, rest string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(arn, p) || len(p) > len(arn) && p[:len(arn)] == arn && strings.HasPrefix(rest, p[len(arn):]) {
			return true
		}
	}
	return false
}

// Fields of advanced selectors.
const (
	fieldCategory  = "eventCategory"
	fieldReadOnly  = "readOnly"
	fieldSource    = "eventSource"
	fieldName      = "eventName"
	fieldType      = "eventType"
	fieldConsole   = "sessionCredentialFromConsole"
	fieldPrincipal = "userIdentity.arn"
	fieldResource  = "resources.type"
	fieldARN       = "resources.ARN"
)

func (a *AdvancedSelector) chooses(r *audit.Record) bool {
	for i := range a.Fields {
		if !a.Fields[i].holds(r) {
			return false
		}
	}
	return true
}

func (f *FieldSelector) holds(r *audit.Record) bool {
	switch f.Field {
	case fieldCategory:
		return f.allows(r.EventCategory, "")
	case fieldReadOnly:
		if r.ReadOnly {
			return f.allows("true", "")
		}
		return f.allows("false", "")
	case fieldSource:
		return f.allows(r.EventSource, "")
	case fieldName:
		return f.allows(r.EventName, "")
	case fieldType:
		return f.allows(r.EventType, "")
	case fieldPrincipal:
		return f.allows(r.UserIdentity.ARN, "")
	case fieldConsole:
		return f.allows("", "") // there is no console
	case fieldResource:
		return f.allows(objectType, "") // all data events are of S3's objects
	case fieldARN:
		return anyObject(r, f.allows)
	}
	return false
}

// allows reports whether a value, which is in two pieces, is one that the condition
// chooses.
func (f *FieldSelector) allows(value, rest string) bool {
	for _, v := range f.NotEquals {
		if equal(value, rest, v) {
			return false
		}
	}
	if len(f.NotStartsWith) > 0 && beginsWithOne(value, rest, f.NotStartsWith) || endsWithOne(value, rest, f.NotEndsWith) {
		return false
	}
	if len(f.Equals)+len(f.StartsWith)+len(f.EndsWith) == 0 {
		return true
	}
	for _, v := range f.Equals {
		if equal(value, rest, v) {
			return true
		}
	}
	return beginsWithOne(value, rest, f.StartsWith) || endsWithOne(value, rest, f.EndsWith)
}

func equal(value, rest, v string) bool {
	return len(v) == len(value)+len(rest) && v[:len(value)] == value && v[len(value):] == rest
}

// endsWithOne is for pieces of which the second is one character at most.
func endsWithOne(value, rest string, suffixes []string) bool {
	for _, s := range suffixes {
		if own, ok := strings.CutSuffix(s, rest); ok && strings.HasSuffix(value, own) {
			return true
		}
	}
	return false
}
