// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"slices"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
)

const keyARN = "arn:aws:kms:us-east-1:111122223333:key/1"

func ptr[T any](v T) *T { return &v }

// rule1 makes a rule of the second version that is enabled, for all objects.
func rule1(id, destination string, priority int, change ...func(*bucket.ReplicationRule)) bucket.ReplicationRule {
	r := bucket.ReplicationRule{
		ID: &id, Priority: &priority, Filter: new(bucket.Filter), Status: enabled, DeleteMarkers: "Disabled",
		Destination: bucket.ReplicationDestination{Bucket: "arn:aws:s3:::" + destination},
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

type rule = bucket.ReplicationRule

func prefixed(p string) func(*rule) { return func(r *rule) { r.Filter.Prefix = &p } }
func tagged(k, v string) func(*rule) {
	return func(r *rule) { r.Filter.Tags = append(r.Filter.Tags, bucket.Tag{Key: k, Value: v}) }
}
func disabled(r *rule)     { r.Status = "Disabled" }
func takesKMS(r *rule)     { r.KMSObjects, r.Destination.KMSKey = enabled, ptr(keyARN) }
func refusesKMS(r *rule)   { r.KMSObjects, r.Destination.KMSKey = "Disabled", ptr(keyARN) }
func takesMarkers(r *rule) { r.DeleteMarkers = enabled }
func takesBack(r *rule)    { r.Modifications = enabled }
func owned(r *rule)        { r.Destination.Owner = "Destination" }
func first(p string) func(*rule) {
	return func(r *rule) { r.Filter, r.Priority, r.DeleteMarkers, r.Prefix = nil, nil, "", &p }
}

func TestRulesThatApply(t *testing.T) {
	type change = object.ReplicaChange
	put := func(f ...func(*change)) change {
		c := change{Operation: object.OpPut, Key: "logs/a", Algorithm: sse.AES256}
		for _, f := range f {
			f(&c)
		}
		return c
	}
	as := func(op object.Operation) func(*change) { return func(c *change) { c.Operation = op } }
	under := func(a string) func(*change) { return func(c *change) { c.Algorithm = a } }
	class := func(s string) func(*change) { return func(c *change) { c.Class = s } }
	with := func(k, v string) func(*change) {
		return func(c *change) { c.Tags = append(c.Tags, bucket.Tag{Key: k, Value: v}) }
	}
	has := func(d ...string) func(*change) { return func(c *change) { c.Replicated = d } }
	replica := func(c *change) { c.Replica = true }
	marker := func(c *change) { c.Operation, c.Algorithm = object.OpMarker, "" }

	for _, c := range []struct {
		what  string
		rules []rule
		of    change
		want  string // ids
	}{
		{"all objects", []rule{rule1("r", "b", 1)}, put(), "r"},
		{"its prefix", []rule{rule1("r", "b", 1, prefixed("logs/"))}, put(), "r"},
		{"another prefix", []rule{rule1("r", "b", 1, prefixed("data/"))}, put(), ""},
		{"disabled", []rule{rule1("r", "b", 1, disabled)}, put(), ""},
		{"the highest priority", []rule{rule1("low", "b", 1), rule1("high", "b", 7), rule1("mid", "b", 3)}, put(), "high"},
		{"the highest that is enabled", []rule{rule1("low", "b", 1), rule1("high", "b", 7, disabled)}, put(), "low"},
		{"the highest that matches", []rule{rule1("low", "b", 1), rule1("high", "b", 7, prefixed("x"))}, put(), "low"},
		{"two destinations", []rule{rule1("one", "b", 1), rule1("two", "c", 2)}, put(), "one two"},
		{"the tag", []rule{rule1("r", "b", 1, tagged("k", "v"))}, put(with("k", "v"), with("l", "w")), "r"},
		{"another value", []rule{rule1("r", "b", 1, tagged("k", "v"))}, put(with("k", "w")), ""},
		{"one tag of two", []rule{rule1("r", "b", 1, tagged("k", "v"), tagged("l", "w"))}, put(with("k", "v")), ""},

		{"KMS without opting in", []rule{rule1("r", "b", 1)}, put(under(sse.KMS)), ""},
		{"KMS, opted out", []rule{rule1("r", "b", 1, refusesKMS)}, put(under(sse.KMS)), ""},
		{"KMS", []rule{rule1("r", "b", 1, takesKMS)}, put(under(sse.KMS)), "r"},
		{"DSSE without opting in", []rule{rule1("r", "b", 1)}, put(under(sse.DSSE)), ""},
		{"DSSE", []rule{rule1("r", "b", 1, takesKMS)}, put(under(sse.DSSE)), "r"},
		{"the winner has not opted in", []rule{rule1("low", "b", 1, takesKMS), rule1("high", "b", 2)}, put(under(sse.KMS)), ""},
		{"not encrypted", []rule{rule1("r", "b", 1, takesKMS)}, put(under(sse.NotSSE)), "r"},
		{"a customer's key", []rule{rule1("r", "b", 1)}, put(under(sse.Customer)), "r"},

		{"archived", []rule{rule1("r", "b", 1)}, put(class("GLACIER")), ""},
		{"deeply archived", []rule{rule1("r", "b", 1)}, put(class("DEEP_ARCHIVE")), ""},
		{"archived, and read at once", []rule{rule1("r", "b", 1)}, put(class("GLACIER_IR")), "r"},

		{"a replica", []rule{rule1("r", "b", 1, takesBack)}, put(replica), ""},
		{"a marker", []rule{rule1("r", "b", 1)}, put(marker), ""},
		{"a marker that is wanted", []rule{rule1("r", "b", 1, takesMarkers)}, put(marker), "r"},
		{"a replicated marker", []rule{rule1("r", "b", 1, takesMarkers)}, put(marker, replica), ""},
		{"a marker and tags", []rule{rule1("r", "b", 1, tagged("k", "v"))}, put(marker), ""},
		{"a marker, the winner does not want it", []rule{rule1("low", "b", 1, takesMarkers), rule1("high", "b", 2)}, put(marker), ""},

		{"first version", []rule{rule1("r", "b", 0, first("logs/"))}, put(), "r"},
		{"first version, all", []rule{rule1("r", "b", 0, first(""))}, put(), "r"},
		{"first version, another prefix", []rule{rule1("r", "b", 0, first("data/"))}, put(), ""},
		{"first version, a marker", []rule{rule1("r", "b", 0, first("logs/"))}, put(marker), "r"},
		{"first version, the first rule", []rule{rule1("one", "b", 0, first("logs/")), rule1("two", "b", 0, first("lo"))}, put(), "one"},

		{"tags of what is there", []rule{rule1("r", "b", 1), rule1("s", "c", 2)}, put(as(object.OpTags), has("b")), "r"},
		{"tags that it was not chosen by", []rule{rule1("r", "b", 1, tagged("k", "v"))}, put(as(object.OpTags), has("b"), with("k", "w")), "r"},
		{"tags of what is nowhere", []rule{rule1("r", "b", 1)}, put(as(object.OpTags)), ""},
		{"tags of KMS, opted out meanwhile", []rule{rule1("r", "b", 1)}, put(as(object.OpTags), has("b"), under(sse.KMS)), "r"},
		{"grants", []rule{rule1("r", "b", 1)}, put(as(object.OpACL), has("b")), "r"},
		{"grants of another owner's", []rule{rule1("r", "b", 1, owned)}, put(as(object.OpACL), has("b")), ""},
		{"retention of another owner's", []rule{rule1("r", "b", 1, owned)}, put(as(object.OpRetention), has("b")), "r"},
		{"grants, by the rule of its tags", []rule{rule1("low", "b", 1, tagged("k", "v")), rule1("high", "b", 2, tagged("k", "w"), owned)}, put(as(object.OpACL), has("b"), with("k", "v")), "low"},
		{"tags that are no rule's, by the highest", []rule{rule1("low", "b", 1, tagged("k", "v")), rule1("high", "b", 2, tagged("k", "w"))}, put(as(object.OpTags), has("b"), with("k", "x")), "high"},
		{"tags of a replica", []rule{rule1("r", "b", 1)}, put(as(object.OpTags), replica), ""},
		{"tags of a replica, wanted", []rule{rule1("r", "b", 1, takesBack)}, put(as(object.OpTags), replica), "r"},
	} {
		var got []string
		for _, r := range choose(&bucket.Replication{Rules: c.rules}, &c.of) {
			got = append(got, *r.ID)
		}
		slices.Sort(got)
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %q, want %q", c.what, text, c.want)
		}
	}
}

func TestRuleOfATask(t *testing.T) {
	tags := []bucket.Tag{{Key: "k", Value: "v"}}
	planned := func() *task {
		return &task{Rule: "r", Destination: "b", Key: []byte("logs/a"), Operation: object.OpPut, Algorithm: sse.AES256}
	}
	for _, c := range []struct {
		what  string
		rules []rule
		want  string
	}{
		{"the one it had", []rule{rule1("s", "b", 9), rule1("r", "b", 1)}, "r"},
		{"disabled", []rule{rule1("r", "b", 1, disabled), rule1("s", "b", 2)}, "r"},
		{"with another name", []rule{rule1("s", "b", 1)}, "s"},
		{"with another name and tags", []rule{rule1("s", "b", 1, tagged("k", "v"))}, "s"},
		{"to elsewhere", []rule{rule1("r", "c", 1)}, ""},
		{"for other keys", []rule{rule1("s", "b", 1, prefixed("x"))}, ""},
		{"none", nil, ""},
	} {
		got := ""
		if r := ruleOf(&bucket.Replication{Rules: c.rules}, planned(), tags); r != nil {
			got = *r.ID
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}
