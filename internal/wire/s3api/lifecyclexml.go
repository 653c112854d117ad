// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"strconv"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// tree is an element of a document: with children, of which there may be none, or with
// text. A lifecycle configuration is written and recorded from the same one.
type tree struct {
	name     string
	text     string
	children []tree
}

func leaf(name, text string) tree { return tree{name: name, text: text} }

func branch(name string, children ...tree) tree {
	if children == nil {
		children = []tree{}
	}
	return tree{name: name, children: children}
}

func (m *markup) tree(t tree) {
	switch {
	case t.children == nil:
		m.element(t.name, t.text)
	case len(t.children) == 0:
		m.buf = append(append(append(m.buf, '<'), t.name...), "/>"...)
	default:
		m.open(t.name)
		for _, c := range t.children {
			m.tree(c)
		}
		m.close(t.name)
	}
}

// recorded returns the tree as CloudTrail has documents: what comes twice is a list.
func (t tree) recorded() any {
	if t.children == nil {
		return t.text
	}
	if len(t.children) == 0 {
		return ""
	}
	out := make(map[string]any, len(t.children))
	for _, c := range t.children {
		v := c.recorded()
		switch before := out[c.name].(type) {
		case nil:
			out[c.name] = v
		case []any:
			out[c.name] = append(before, v)
		default:
			out[c.name] = []any{before, v}
		}
	}
	return out
}

func writeLifecycle(l *bucket.Lifecycle) []byte {
	x := markup{buf: make([]byte, 0, 256+256*len(l.Rules))}
	x.root("LifecycleConfiguration")
	for i := range l.Rules {
		x.tree(lifecycleRule(&l.Rules[i]))
	}
	x.close("LifecycleConfiguration")
	return x.buf
}

// auditLifecycle notes in the audit record what the rules are to be.
func auditLifecycle(c *pipeline.Call, l *bucket.Lifecycle) {
	rules := make([]tree, len(l.Rules))
	for i := range l.Rules {
		rules[i] = lifecycleRule(&l.Rules[i])
	}
	auditDocument(c, "LifecycleConfiguration", branch("", rules...).recorded())
}

// lifecycleRule is a rule in the order in which S3 writes it.
func lifecycleRule(r *bucket.LifecycleRule) tree {
	status := "Disabled"
	if r.Enabled {
		status = "Enabled"
	}
	t := branch("Rule")
	if r.ID != "" {
		t.children = append(t.children, leaf("ID", r.ID))
	}
	if r.Prefix != nil {
		t.children = append(t.children, leaf("Prefix", *r.Prefix))
	}
	if r.Filter != nil {
		t.children = append(t.children, lifecycleFilter(r.Filter))
	}
	t.children = append(t.children, leaf("Status", status))
	for _, m := range r.Transitions {
		t.children = append(t.children, branch("Transition", append(moment(m.Days, m.Date), leaf("StorageClass", m.Class))...))
	}
	if e := r.Expiration; e != nil {
		when := moment(e.Days, e.Date)
		if e.Markers != nil {
			when = append(when, leaf("ExpiredObjectDeleteMarker", strconv.FormatBool(*e.Markers)))
		}
		t.children = append(t.children, branch("Expiration", when...))
	}
	for _, m := range r.NoncurrentTransitions {
		t.children = append(t.children, branch("NoncurrentVersionTransition", append(noncurrent(m.NoncurrentExpiration), leaf("StorageClass", m.Class))...))
	}
	if e := r.NoncurrentExpiration; e != nil {
		t.children = append(t.children, branch("NoncurrentVersionExpiration", noncurrent(*e)...))
	}
	if r.AbortDays != nil {
		t.children = append(t.children, branch("AbortIncompleteMultipartUpload", number("DaysAfterInitiation", int64(*r.AbortDays))))
	}
	return t
}

func lifecycleFilter(f *bucket.LifecycleFilter) tree {
	var terms []tree
	if f.Prefix != nil {
		terms = append(terms, leaf("Prefix", *f.Prefix))
	}
	for _, t := range f.Tags {
		terms = append(terms, branch("Tag", leaf("Key", t.Key), leaf("Value", t.Value)))
	}
	if f.Greater != nil {
		terms = append(terms, number("ObjectSizeGreaterThan", *f.Greater))
	}
	if f.Less != nil {
		terms = append(terms, number("ObjectSizeLessThan", *f.Less))
	}
	if f.And {
		return branch("Filter", branch("And", terms...))
	}
	return branch("Filter", terms...)
}

// moment is when an action on current versions is due.
func moment(days *int, date *time.Time) []tree {
	switch {
	case days != nil:
		return []tree{number("Days", int64(*days))}
	case date != nil:
		return []tree{leaf("Date", timestamp(*date))}
	}
	return nil
}

func noncurrent(e bucket.NoncurrentExpiration) []tree {
	out := []tree{number("NoncurrentDays", int64(e.Days))}
	if e.Newer != nil {
		out = append(out, number("NewerNoncurrentVersions", int64(*e.Newer)))
	}
	return out
}

func number(name string, n int64) tree { return leaf(name, strconv.FormatInt(n, 10)) }
