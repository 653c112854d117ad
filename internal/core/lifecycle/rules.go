// SPDX-License-Identifier: Apache-2.0

// Package lifecycle says what a bucket's lifecycle rules demand of a version of an object
// or of an upload, and when. It is pure: it reads no clock and no store, and everything
// that happens is decided here.
//
// Times are milliseconds since 1970 in UTC, as in the records of objects. A day begins at
// midnight UTC (S3 User Guide, "Lifecycle configuration elements").
package lifecycle

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

// Kind is what is to be done.
type Kind string

// The kinds. There is nothing to do under "".
const (
	// Expire ends a current version: where there never was versioning it is deleted,
	// elsewhere a delete marker takes its place.
	Expire Kind = "expire"
	// Remove removes a version that is not current for good.
	Remove Kind = "remove"
	// RemoveMarker removes a delete marker that is all there is of a key.
	RemoveMarker Kind = "remove-marker"
	// Transition gives a version another storage class.
	Transition Kind = "transition"
	// Abort gives an upload up.
	Abort Kind = "abort"
)

// Kinds are all of them.
var Kinds = []Kind{Expire, Remove, RemoveMarker, Transition, Abort}

// Action is what a rule demands of one version.
type Action struct {
	Kind  Kind
	Class string // that a transition leads to
	Rule  string // id
}

// Version is what rules ask of a version.
type Version struct {
	Created int64 // Last-Modified
	Size    int64
	Class   string // "" is STANDARD
	Tags    []bucket.Tag
	Marker  bool

	// Of a current version.
	Alone bool // the key has no other
	// Permanent says that what expires leaves nothing behind: there is no versioning, or
	// the version is the null version that a marker would replace.
	Permanent bool

	// Locked says that Object Lock keeps the version from being removed: it can still change
	// its class, and a marker can hide it.
	Locked bool

	// Of another version.
	Since int64 // when it ceased to be current
	Newer int   // how many of the others are newer
}

// Rules are a bucket's rules and the calendar by which they are read.
type Rules struct {
	*bucket.Lifecycle
	Calendar
}

// defaultMinimum is the least size in bytes of an object that changes its class, unless a
// rule's filter speaks of sizes.
const defaultMinimum = 128 << 10

// matches reports whether a rule is about a key.
func matches(r *bucket.LifecycleRule, key string) bool {
	return r.Enabled && strings.HasPrefix(key, prefixOf(r))
}

func prefixOf(r *bucket.LifecycleRule) string {
	switch {
	case r.Prefix != nil:
		return *r.Prefix
	case r.Filter != nil && r.Filter.Prefix != nil:
		return *r.Filter.Prefix
	}
	return ""
}

// selects reports whether a rule is about a version, beside its key.
func selects(r *bucket.LifecycleRule, v *Version) bool {
	f := r.Filter
	if f == nil {
		return true
	}
	for _, t := range f.Tags {
		if !slices.Contains(v.Tags, t) {
			return false
		}
	}
	return (f.Greater == nil || v.Size > *f.Greater) && (f.Less == nil || v.Size < *f.Less)
}

// bySize reports whether a rule's filter speaks of sizes.
func bySize(r *bucket.LifecycleRule) bool {
	return r.Filter != nil && (r.Filter.Greater != nil || r.Filter.Less != nil)
}

// Current says what is due now of a current version.
func (r Rules) Current(key string, v *Version, now int64) Action {
	if v.Marker {
		return r.marker(key, v, now)
	}
	expire := Action{}
	due, id, ok := r.Expiry(key, v)
	if ok && due <= now {
		expire = Action{Kind: Expire, Rule: id}
	}
	// What removes for good goes before a transition, and that before a marker (S3 User
	// Guide, "Conflicting lifecycle actions").
	if expire.Kind != "" && v.Permanent {
		if !v.Locked {
			return expire
		}
		expire = Action{}
	}
	if move := r.transition(key, v, now); move.Kind != "" {
		return move
	}
	return expire
}

// Expiry says when a current version that is no marker expires, and by which rule: the
// earliest, and of several at that time the first.
func (r Rules) Expiry(key string, v *Version) (due int64, id string, ok bool) {
	for i := range r.Lifecycle.Rules {
		rule := &r.Lifecycle.Rules[i]
		e := rule.Expiration
		if e == nil || e.Markers != nil || !matches(rule, key) || !selects(rule, v) {
			continue
		}
		if at := r.moment(v.Created, e.Days, e.Date); !ok || at < due {
			due, id, ok = at, rule.ID, true
		}
	}
	return due, id, ok
}

// moment returns when an action on something of that age is due. One at a date is so at
// that date, and each day after for what has come since.
func (r Rules) moment(created int64, days *int, date *time.Time) int64 {
	switch {
	case days != nil:
		return r.After(created, *days)
	case date == nil: // no configuration that was accepted
		return math.MaxInt64
	}
	return max(date.UnixMilli(), r.After(created, 0))
}

// marker says whether a marker that is current goes: none does that still hides
// something. It has neither tags nor a size.
func (r Rules) marker(key string, v *Version, now int64) Action {
	if !v.Alone {
		return Action{}
	}
	for i := range r.Lifecycle.Rules {
		rule := &r.Lifecycle.Rules[i]
		e := rule.Expiration
		if e == nil || !matches(rule, key) || !selects(rule, v) || bySize(rule) {
			continue
		}
		if e.Markers != nil && *e.Markers || e.Markers == nil && r.moment(v.Created, e.Days, e.Date) <= now {
			return Action{Kind: RemoveMarker, Rule: rule.ID}
		}
	}
	return Action{}
}

// transition returns the move to the coldest of the classes that are due.
func (r Rules) transition(key string, v *Version, now int64) Action {
	var best Action
	for i := range r.Lifecycle.Rules {
		rule := &r.Lifecycle.Rules[i]
		if len(rule.Transitions) == 0 || !matches(rule, key) || !selects(rule, v) {
			continue
		}
		for _, t := range rule.Transitions {
			if r.moment(v.Created, t.Days, t.Date) <= now {
				best = r.colder(best, rule, t.Class, v)
			}
		}
	}
	return best
}

// colder returns the move of a rule if it may be made and leads to a colder class than
// best, else best.
func (r Rules) colder(best Action, rule *bucket.LifecycleRule, class string, v *Version) Action {
	if !reachable(v.Class, class) || best.Kind != "" && warmth(best.Class) >= warmth(class) {
		return best
	}
	if v.Size < defaultMinimum && !bySize(rule) {
		archive := class == "GLACIER" || class == "DEEP_ARCHIVE"
		if r.MinimumSize() != bucket.MinimumByClass || !archive {
			return best
		}
	}
	return Action{Kind: Transition, Class: class, Rule: rule.ID}
}

// warmth is the place of a class among those that objects can go to, -1 for others: the
// larger the colder.
func warmth(class string) int { return slices.Index(bucket.TransitionClasses, class) }

// reachable reports whether an object of a class may go to another (S3 User Guide,
// "Transitioning objects using Amazon S3 Lifecycle").
func reachable(from, to string) bool {
	return warmth(to) > warmth(from) && !(from == "ONEZONE_IA" && to == "GLACIER_IR")
}

// Noncurrent says what is due now of a version that is not current.
func (r Rules) Noncurrent(key string, v *Version, now int64) Action {
	var move Action
	for i := range r.Lifecycle.Rules {
		rule := &r.Lifecycle.Rules[i]
		if rule.NoncurrentExpiration == nil && len(rule.NoncurrentTransitions) == 0 || !matches(rule, key) || !selects(rule, v) {
			continue
		}
		if e := rule.NoncurrentExpiration; e != nil && !v.Locked && r.gone(e, v, now) {
			return Action{Kind: Remove, Rule: rule.ID}
		}
		if v.Marker {
			continue
		}
		for j := range rule.NoncurrentTransitions {
			if t := &rule.NoncurrentTransitions[j]; r.gone(&t.NoncurrentExpiration, v, now) {
				move = r.colder(move, rule, t.Class, v)
			}
		}
	}
	return move
}

// gone reports whether a version has been noncurrent for long enough, and behind enough
// others.
func (r Rules) gone(e *bucket.NoncurrentExpiration, v *Version, now int64) bool {
	return (e.Newer == nil || v.Newer >= *e.Newer) && r.After(v.Since, e.Days) <= now
}

// Abortion says when an upload is given up, and by which rule.
func (r Rules) Abortion(key string, began int64) (due int64, id string, ok bool) {
	for i := range r.Lifecycle.Rules {
		rule := &r.Lifecycle.Rules[i]
		if rule.AbortDays == nil || !matches(rule, key) {
			continue
		}
		if at := r.After(began, *rule.AbortDays); !ok || at < due {
			due, id, ok = at, rule.ID, true
		}
	}
	return due, id, ok
}

// Prefixes returns what the keys of versions begin with that any rule is about: sorted,
// and none begins with another.
func (r Rules) Prefixes() []string {
	return r.prefixes(func(rule *bucket.LifecycleRule) bool {
		return rule.Expiration != nil || len(rule.Transitions) > 0 || rule.NoncurrentExpiration != nil || len(rule.NoncurrentTransitions) > 0
	})
}

// UploadPrefixes is Prefixes for uploads.
func (r Rules) UploadPrefixes() []string {
	return r.prefixes(func(rule *bucket.LifecycleRule) bool { return rule.AbortDays != nil })
}

func (r Rules) prefixes(about func(*bucket.LifecycleRule) bool) []string {
	var all, out []string
	for i := range r.Lifecycle.Rules {
		if rule := &r.Lifecycle.Rules[i]; rule.Enabled && about(rule) {
			all = append(all, prefixOf(rule))
		}
	}
	slices.Sort(all)
	for _, p := range all {
		if n := len(out); n == 0 || !strings.HasPrefix(p, out[n-1]) {
			out = append(out, p)
		}
	}
	return out
}
