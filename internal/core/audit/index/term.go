// SPDX-License-Identifier: Apache-2.0

package index

import (
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/cofferstore/coffer/internal/fault"
)

// space tells the terms of fields apart. Fields of one space have the same terms for the
// same values, of which a record has most more than once: the ARN of an object is also
// the name of a resource.
type space uint64

func (f Field) space() space {
	switch f {
	case ResourceName, Bucket, Object, Key:
		return 17
	case EventID:
		return 1
	case EventName:
		return 2
	case EventSource:
		return 3
	case Category:
		return 4
	case ReadOnly:
		return 5
	case Username:
		return 6
	case Principal:
		return 7
	case AccessKeyID:
		return 8
	case Account:
		return 9
	case SourceIP:
		return 10
	case ResourceType:
		return 11
	case Generation:
		return 12
	case KMSEvent:
		return 13
	case RequestID:
		return 14
	case ErrorCode:
		return 15
	case SharedEvent:
		return 16
	}
	return noSpace
}

const noSpace space = 0

// hash returns a term's hash, which is what the index has of it. Those of two terms may
// be the same: what was found is looked at.
func (s space) hash(value []byte) uint64 { return mix(xxhash.Sum64(value), s) }

func (s space) hashString(value string) uint64 { return mix(xxhash.Sum64String(value), s) }

func mix(h uint64, s space) uint64 { return h + uint64(s)*0x9e3779b97f4a7c15 }

// Limits of a query.
const (
	maxTerms = 32
	maxValue = 2 << 10
)

// plan is a query made ready.
type plan struct {
	Query
	must, mustNot uint32   // bits of the terms
	hashes        []uint64 // of the terms that must hold
	since, until  int64    // seconds
	prefix        string   // bucket and object's key, as in ARNs
	literal       []string // what the text of a record that is looked for has in it
}

// Check returns BadQuery for a query that cannot be made.
func (q Query) Check() error {
	_, err := newPlan(q)
	return err
}

func newPlan(q Query) (*plan, error) {
	p := &plan{Query: q, since: minTime, until: maxTime}
	if len(q.Terms) > maxTerms {
		return nil, fault.New(BadQuery, "A search has at most %d terms.", maxTerms)
	}
	if q.Limit < 0 {
		return nil, fault.New(BadQuery, "The limit of a search is a number of records; 0 is all.")
	}
	for i, t := range q.Terms {
		s := t.Field.space()
		switch {
		case s == noSpace:
			return nil, fault.New(BadQuery, "Records cannot be searched by %q.", string(t.Field))
		case t.Value == "" || len(t.Value) > maxValue:
			return nil, fault.New(BadQuery, "The value of %q has 1 to %d bytes.", string(t.Field), maxValue)
		case t.Not:
			p.mustNot |= 1 << i
			continue
		}
		p.must |= 1 << i
		p.hashes = append(p.hashes, s.hashString(t.Value))
		if t.Field == Bucket && q.ObjectPrefix != "" {
			p.prefix = t.Value + "/" + q.ObjectPrefix
		}
		if isLiteral(t) {
			p.literal = append(p.literal, t.Value)
		}
	}
	if q.ObjectPrefix != "" && p.prefix == "" {
		return nil, fault.New(BadQuery, "A prefix of objects' keys is searched for within a bucket.")
	}
	if len(q.ObjectPrefix) > maxValue {
		return nil, fault.New(BadQuery, "A prefix has at most %d bytes.", maxValue)
	}
	if !q.Since.IsZero() {
		p.since = q.Since.Unix()
	}
	if !q.Until.IsZero() {
		p.until = q.Until.Unix()
		if q.Until.Nanosecond() > 0 {
			p.until++ // an event of that second was before
		}
	}
	return p, nil
}

// isLiteral reports whether a record with the term has its value in its text as it is:
// then a record without it need not be looked at closer. Short ones are in most, and the
// object that a copy is of is in a URL's form.
func isLiteral(t Term) bool {
	switch t.Field {
	case Username, Category, EventSource, ResourceType, Bucket, Object:
		return false
	}
	return len(t.Value) >= 8 && !strings.ContainsFunc(t.Value, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' })
}
