// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
)

// enabled is a status of rules and of their parts.
const enabled = "Enabled"

// choose returns the rules that a change of a version is replicated by, one for each
// destination at most. Which rule it is follows from filters and priorities alone; what that
// one leaves out is left out, whatever others would say.
func choose(r *bucket.Replication, c *object.ReplicaChange) (rules []*bucket.ReplicationRule) {
	anew := c.Operation == object.OpPut || c.Operation == object.OpMarker
	if anew && (c.Replica || archived(c.Class)) {
		return nil
	}
	for _, rule := range candidates(r, c, anew) {
		name := rule.Destination.Name()
		switch {
		case anew && !takes(r, rule, c):
		case !anew && c.Replica && rule.Modifications != enabled:
		case !anew && !c.Replica && !slices.Contains(c.Replicated, name):
		case c.Operation == object.OpACL && toOwner(rule):
		default:
			rules = append(rules, rule)
		}
	}
	return rules
}

// candidates returns the rules that decide about a change, one for each destination. A version
// that has a replica got it by the tags that it had then: where none matches those that it has
// now, tags do not count.
func candidates(r *bucket.Replication, c *object.ReplicaChange, anew bool) []*bucket.ReplicationRule {
	rules := winners(r, c.Key, c.Tags, false)
	if anew {
		return rules
	}
	for _, rule := range winners(r, c.Key, nil, true) {
		if !slices.ContainsFunc(rules, func(o *bucket.ReplicationRule) bool { return o.Destination.Bucket == rule.Destination.Bucket }) {
			rules = append(rules, rule)
		}
	}
	return rules
}

// takes reports whether a rule that was chosen for a new version replicates it.
func takes(r *bucket.Replication, rule *bucket.ReplicationRule, c *object.ReplicaChange) bool {
	if c.Operation == object.OpMarker {
		return r.FirstVersion() || rule.DeleteMarkers == enabled
	}
	return !underKMS(c.Algorithm) || rule.KMSObjects == enabled
}

func underKMS(algorithm string) bool { return algorithm == sse.KMS || algorithm == sse.DSSE }

// archived reports whether objects of a class must be restored before they can be read: those
// are not replicated (S3 User Guide, "What does Amazon S3 replicate?").
func archived(class string) bool { return class == "GLACIER" || class == "DEEP_ARCHIVE" }

// toOwner reports whether replicas belong to the owner of their bucket, and have lists of
// grants of their own.
func toOwner(rule *bucket.ReplicationRule) bool { return rule.Destination.Owner != "" }

// winners returns of the enabled rules for a key with tags the one of each destination that
// has the highest priority; the first one where there are no priorities. anyTags says that the
// rules' tags do not count.
func winners(r *bucket.Replication, key string, tags []bucket.Tag, anyTags bool) (rules []*bucket.ReplicationRule) {
	for i := range r.Rules {
		rule := &r.Rules[i]
		if rule.Status != enabled || !matches(rule, key, tags, anyTags) {
			continue
		}
		same := slices.IndexFunc(rules, func(o *bucket.ReplicationRule) bool { return o.Destination.Bucket == rule.Destination.Bucket })
		switch {
		case same < 0:
			rules = append(rules, rule)
		case priority(rule) > priority(rules[same]):
			rules[same] = rule
		}
	}
	return rules
}

func priority(rule *bucket.ReplicationRule) int {
	if rule.Priority == nil {
		return -1
	}
	return *rule.Priority
}

// matches reports whether a rule is for a key with these tags.
func matches(rule *bucket.ReplicationRule, key string, tags []bucket.Tag, anyTags bool) bool {
	prefix := rule.Prefix
	if f := rule.Filter; f != nil {
		prefix = f.Prefix
		for _, t := range f.Tags {
			if !anyTags && !slices.Contains(tags, t) {
				return false
			}
		}
	}
	return prefix == nil || strings.HasPrefix(key, *prefix)
}

// id returns a rule's id.
func id(rule *bucket.ReplicationRule) string {
	if rule.ID == nil {
		return ""
	}
	return *rule.ID
}

// ruleOf finds the rule that a task is to be carried out by: the one by which it was planned,
// or, when that one is gone or has another destination, one for the same destination and key.
// nil says that there is none any more; one that is not enabled is returned, too.
func ruleOf(r *bucket.Replication, t *task, tags []bucket.Tag) *bucket.ReplicationRule {
	for i := range r.Rules {
		if rule := &r.Rules[i]; id(rule) == t.Rule && rule.Destination.Name() == t.Destination {
			return rule
		}
	}
	c := t.change(tags)
	for _, rule := range choose(r, &c) {
		if rule.Destination.Name() == t.Destination {
			return rule
		}
	}
	return nil
}

// on reports whether a part of a rule is.
func on(t *bucket.ReplicationTime) bool { return t != nil && t.Status == enabled }
