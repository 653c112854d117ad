// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"slices"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

func at(s string) int64 {
	t, err := time.Parse("2006-01-02T15:04:05Z", s)
	if err != nil {
		panic(err)
	}
	return t.UnixMilli()
}

func TestMidnights(t *testing.T) {
	for _, c := range []struct {
		base string
		days int
		want string
	}{
		{"2026-01-15T10:30:00Z", 3, "2026-01-19T00:00:00Z"}, // the user guide's example
		{"2026-01-15T00:00:00Z", 1, "2026-01-16T00:00:00Z"},
		{"2026-01-15T00:00:01Z", 1, "2026-01-17T00:00:00Z"},
		{"2026-01-15T23:59:59Z", 0, "2026-01-16T00:00:00Z"},
		{"2024-02-28T12:00:00Z", 1, "2024-03-01T00:00:00Z"},
	} {
		if got := (Calendar{}).After(at(c.base), c.days); got != at(c.want) {
			t.Errorf("%d days after %s: %s, want %s", c.days, c.base, time.UnixMilli(got).UTC(), c.want)
		}
	}
	short := Calendar{Day: time.Minute}
	if got := short.After(at("2026-01-15T10:30:01Z"), 2); got != at("2026-01-15T10:33:00Z") {
		t.Error("days of a minute:", time.UnixMilli(got).UTC())
	}
	if got := (Calendar{}).Midnight(at("2026-01-15T10:30:01Z")); got != at("2026-01-15T00:00:00Z") {
		t.Error("the day begins:", time.UnixMilli(got).UTC())
	}
	if (Calendar{}).After(at("2026-01-15T10:30:00Z"), 1<<31-1) < 0 {
		t.Error("the longest time is before all others")
	}
}

func rules(list ...bucket.LifecycleRule) Rules {
	for i := range list {
		list[i].Enabled = true
		if list[i].ID == "" {
			list[i].ID = string(rune('a' + i))
		}
		if list[i].Filter == nil && list[i].Prefix == nil {
			list[i].Filter = &bucket.LifecycleFilter{}
		}
	}
	return Rules{Lifecycle: &bucket.Lifecycle{Rules: list}}
}

func expire(days int) bucket.LifecycleRule {
	return bucket.LifecycleRule{Expiration: &bucket.LifecycleExpiration{Days: &days}}
}

func move(class string, days int) bucket.LifecycleRule {
	return bucket.LifecycleRule{Transitions: []bucket.LifecycleTransition{{Days: &days, Class: class}}}
}

func with(r bucket.LifecycleRule, f bucket.LifecycleFilter) bucket.LifecycleRule {
	r.Filter = &f
	return r
}

const (
	born = "2026-01-01T12:00:00Z"
	mib  = 1 << 20
)

// days later than born, at midnight: rules of so many days are due then.
func later(days int) int64 { return Calendar{}.After(at(born), days) }

func TestCurrentVersions(t *testing.T) {
	tag := bucket.Tag{Key: "k", Value: "v"}
	other := bucket.Tag{Key: "k", Value: "w"}
	newYear := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	past := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	disabled := rules(expire(1))
	disabled.Lifecycle.Rules[0].Enabled = false
	byClass := rules(move("GLACIER", 1), move("GLACIER_IR", 2))
	byClass.Minimum = bucket.MinimumByClass
	old := bucket.LifecycleRule{Prefix: ptr("logs/"), Expiration: &bucket.LifecycleExpiration{Days: ptr(1)}}
	yes, no := bucket.LifecycleRule{Expiration: &bucket.LifecycleExpiration{Markers: ptr(true)}}, bucket.LifecycleRule{Expiration: &bucket.LifecycleExpiration{Markers: ptr(false)}}
	for _, c := range []struct {
		what  string
		rules Rules
		key   string
		v     Version
		now   int64
		want  Action
	}{
		{"a millisecond early", rules(expire(1)), "k", Version{}, later(1) - 1, Action{}},
		{"in time", rules(expire(1)), "k", Version{}, later(1), Action{Kind: Expire, Rule: "a"}},
		{"disabled", disabled, "k", Version{}, later(9), Action{}},
		{"below the prefix", rules(old), "logs/x", Version{}, later(1), Action{Kind: Expire, Rule: "a"}},
		{"in another case", rules(old), "Logs/x", Version{}, later(1), Action{}},
		{"tag", rules(with(expire(1), bucket.LifecycleFilter{Tags: []bucket.Tag{tag}})), "k", Version{Tags: []bucket.Tag{{Key: "z"}, tag}}, later(1), Action{Kind: Expire, Rule: "a"}},
		{"another value", rules(with(expire(1), bucket.LifecycleFilter{Tags: []bucket.Tag{tag}})), "k", Version{Tags: []bucket.Tag{other}}, later(1), Action{}},
		{"one of two tags", rules(with(expire(1), bucket.LifecycleFilter{Tags: []bucket.Tag{tag, {Key: "z"}}})), "k", Version{Tags: []bucket.Tag{tag}}, later(1), Action{}},
		{"size at the lower bound", rules(with(expire(1), bucket.LifecycleFilter{Greater: ptr(int64(5))})), "k", Version{Size: 5}, later(1), Action{}},
		{"size above it", rules(with(expire(1), bucket.LifecycleFilter{Greater: ptr(int64(5))})), "k", Version{Size: 6}, later(1), Action{Kind: Expire, Rule: "a"}},
		{"size at the upper bound", rules(with(expire(1), bucket.LifecycleFilter{Less: ptr(int64(5))})), "k", Version{Size: 5}, later(1), Action{}},
		{"before a date", rules(bucket.LifecycleRule{Expiration: &bucket.LifecycleExpiration{Date: &newYear}}), "k", Version{}, newYear.UnixMilli() - 1, Action{}},
		{"at a date", rules(bucket.LifecycleRule{Expiration: &bucket.LifecycleExpiration{Date: &newYear}}), "k", Version{}, newYear.UnixMilli(), Action{Kind: Expire, Rule: "a"}},
		{"after a date, the same day", rules(bucket.LifecycleRule{Expiration: &bucket.LifecycleExpiration{Date: &past}}), "k", Version{}, later(0) - 1, Action{}},
		{"after a date, the next day", rules(bucket.LifecycleRule{Expiration: &bucket.LifecycleExpiration{Date: &past}}), "k", Version{}, later(0), Action{Kind: Expire, Rule: "a"}},

		{"removal before a transition", rules(move("GLACIER", 1), expire(2)), "k", Version{Size: mib, Permanent: true}, later(2), Action{Kind: Expire, Rule: "b"}},
		{"a transition before a marker", rules(move("GLACIER", 1), expire(2)), "k", Version{Size: mib}, later(2), Action{Kind: Transition, Class: "GLACIER", Rule: "a"}},
		{"and then the marker", rules(move("GLACIER", 1), expire(2)), "k", Version{Size: mib, Class: "GLACIER"}, later(2), Action{Kind: Expire, Rule: "b"}},
		{"the colder class", rules(move("DEEP_ARCHIVE", 30), move("STANDARD_IA", 30)), "k", Version{Size: mib}, later(30), Action{Kind: Transition, Class: "DEEP_ARCHIVE", Rule: "a"}},
		{"the colder class, the other way round", rules(move("STANDARD_IA", 30), move("DEEP_ARCHIVE", 30)), "k", Version{Size: mib}, later(30), Action{Kind: Transition, Class: "DEEP_ARCHIVE", Rule: "b"}},
		{"what is locked is not removed", rules(expire(1)), "k", Version{Permanent: true, Locked: true}, later(1), Action{}},
		{"what is locked is moved", rules(expire(1), move("GLACIER", 1)), "k", Version{Size: mib, Permanent: true, Locked: true}, later(1), Action{Kind: Transition, Class: "GLACIER", Rule: "b"}},
		{"what is locked is hidden", rules(expire(1)), "k", Version{Locked: true}, later(1), Action{Kind: Expire, Rule: "a"}},

		{"smaller than the minimum", rules(move("GLACIER", 1)), "k", Version{Size: 128<<10 - 1}, later(1), Action{}},
		{"the minimum", rules(move("GLACIER", 1)), "k", Version{Size: 128 << 10}, later(1), Action{Kind: Transition, Class: "GLACIER", Rule: "a"}},
		{"smaller, by class, to an archive", byClass, "k", Version{Size: 1}, later(2), Action{Kind: Transition, Class: "GLACIER", Rule: "a"}},
		{"smaller, and the filter says so", rules(with(move("GLACIER_IR", 1), bucket.LifecycleFilter{Greater: ptr(int64(0))})), "k", Version{Size: 1}, later(1), Action{Kind: Transition, Class: "GLACIER_IR", Rule: "a"}},

		{"a marker that hides something", rules(yes), "k", Version{Marker: true}, later(9), Action{}},
		{"a marker alone", rules(yes), "k", Version{Marker: true, Alone: true}, at(born), Action{Kind: RemoveMarker, Rule: "a"}},
		{"a marker alone that may stay", rules(no), "k", Version{Marker: true, Alone: true}, later(9), Action{}},
		{"a marker alone, young", rules(expire(1)), "k", Version{Marker: true, Alone: true}, later(1) - 1, Action{}},
		{"a marker alone, old", rules(expire(1)), "k", Version{Marker: true, Alone: true}, later(1), Action{Kind: RemoveMarker, Rule: "a"}},
		{"a marker has no tags", rules(with(expire(1), bucket.LifecycleFilter{Tags: []bucket.Tag{tag}})), "k", Version{Marker: true, Alone: true}, later(1), Action{}},
		{"a marker has no size", rules(with(expire(1), bucket.LifecycleFilter{Less: ptr(int64(5))})), "k", Version{Marker: true, Alone: true}, later(1), Action{}},
	} {
		c.v.Created = at(born)
		if got := c.rules.Current(c.key, &c.v, c.now); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.what, got, c.want)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestNoncurrentVersions(t *testing.T) {
	gone := func(days int, newer *int) bucket.LifecycleRule {
		return bucket.LifecycleRule{NoncurrentExpiration: &bucket.NoncurrentExpiration{Days: days, Newer: newer}}
	}
	moved := func(days int, newer *int, class string) bucket.LifecycleRule {
		return bucket.LifecycleRule{NoncurrentTransitions: []bucket.NoncurrentTransition{{NoncurrentExpiration: bucket.NoncurrentExpiration{Days: days, Newer: newer}, Class: class}}}
	}
	for _, c := range []struct {
		what  string
		rules Rules
		v     Version
		now   int64
		want  Action
	}{
		{"early", rules(gone(1, nil)), Version{}, later(1) - 1, Action{}},
		{"in time", rules(gone(1, nil)), Version{}, later(1), Action{Kind: Remove, Rule: "a"}},
		{"among the newest", rules(gone(1, ptr(2))), Version{Newer: 1}, later(9), Action{}},
		{"behind the newest", rules(gone(1, ptr(2))), Version{Newer: 2}, later(1), Action{Kind: Remove, Rule: "a"}},
		{"behind the newest, but young", rules(gone(1, ptr(2))), Version{Newer: 2}, later(1) - 1, Action{}},
		{"a marker", rules(gone(1, nil)), Version{Marker: true}, later(1), Action{Kind: Remove, Rule: "a"}},
		{"locked", rules(gone(1, nil)), Version{Locked: true}, later(9), Action{}},
		{"moved", rules(moved(1, ptr(1), "GLACIER")), Version{Newer: 1, Size: mib}, later(1), Action{Kind: Transition, Class: "GLACIER", Rule: "a"}},
		{"a marker is not moved", rules(moved(1, nil, "GLACIER")), Version{Marker: true, Size: mib}, later(1), Action{}},
		{"removal before a transition", rules(moved(1, nil, "GLACIER"), gone(2, nil)), Version{Size: mib}, later(2), Action{Kind: Remove, Rule: "b"}},
		{"expiration is for others", rules(expire(1)), Version{}, later(9), Action{}},
		// The user guide's example of a rule for "noncurrent objects that have no data,
		// including noncurrent delete marker objects".
		{"a marker has no data", rules(with(gone(1, nil), bucket.LifecycleFilter{Less: ptr(int64(1))})), Version{Marker: true}, later(1), Action{Kind: Remove, Rule: "a"}},
	} {
		c.v.Since, c.v.Created = at(born), at(born)-1e12
		if got := c.rules.Noncurrent("k", &c.v, c.now); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.what, got, c.want)
		}
	}
}

// From a class to another, as the user guide's table has it.
func TestTransitions(t *testing.T) {
	want := map[string][]string{
		"":                    {"STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"},
		"STANDARD_IA":         {"INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"},
		"INTELLIGENT_TIERING": {"ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"},
		"ONEZONE_IA":          {"GLACIER", "DEEP_ARCHIVE"},
		"GLACIER_IR":          {"GLACIER", "DEEP_ARCHIVE"},
		"GLACIER":             {"DEEP_ARCHIVE"},
		"DEEP_ARCHIVE":        nil,
	}
	for from, targets := range want {
		for _, to := range bucket.TransitionClasses {
			got := rules(move(to, 30)).Current("k", &Version{Created: at(born), Size: mib, Class: from}, later(30))
			if (got.Class == to) != slices.Contains(targets, to) {
				t.Errorf("from %q to %s: %+v", from, to, got)
			}
		}
	}
}

func TestExpiry(t *testing.T) {
	for _, c := range []struct {
		what  string
		rules Rules
		days  int
		id    string
	}{
		{"the earlier one", rules(expire(10), expire(5)), 5, "b"},
		{"of two at a time the first", rules(expire(7), expire(7)), 7, "a"},
		{"markers are no objects", rules(bucket.LifecycleRule{Expiration: &bucket.LifecycleExpiration{Markers: ptr(true)}}), 0, ""},
		{"nor are transitions expirations", rules(move("GLACIER", 1)), 0, ""},
	} {
		due, id, ok := c.rules.Expiry("k", &Version{Created: at(born)})
		if id != c.id || ok != (c.id != "") || ok && due != later(c.days) {
			t.Errorf("%s: %s by %q", c.what, time.UnixMilli(due).UTC(), id)
		}
	}
	abort := func(days int) bucket.LifecycleRule { return bucket.LifecycleRule{AbortDays: &days} }
	if due, id, ok := rules(abort(3), abort(2)).Abortion("k", at(born)); !ok || id != "b" || due != later(2) {
		t.Errorf("upload: %s by %q", time.UnixMilli(due).UTC(), id)
	}
}

func TestPrefixes(t *testing.T) {
	below := func(r bucket.LifecycleRule, prefix string) bucket.LifecycleRule {
		return with(r, bucket.LifecycleFilter{Prefix: &prefix})
	}
	r := rules(below(expire(1), "b"), below(expire(1), "a/x"), below(move("GLACIER", 1), "a/"), below(bucket.LifecycleRule{AbortDays: ptr(1)}, "u"), below(expire(1), "ab"))
	if got := r.Prefixes(); !slices.Equal(got, []string{"a/", "ab", "b"}) {
		t.Errorf("versions %q", got)
	}
	if got := r.UploadPrefixes(); !slices.Equal(got, []string{"u"}) {
		t.Errorf("uploads %q", got)
	}
	if got := rules(expire(1), below(expire(1), "x")).Prefixes(); !slices.Equal(got, []string{""}) {
		t.Errorf("all: %q", got)
	}
}
