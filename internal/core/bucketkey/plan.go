// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Bounds of consolidation.
const (
	// Fan is how many closed generations of a tier merge into one of the next.
	Fan = 8
	// MaxObjects is how many data keys are put under one generation by merging, so
	// that the loss of one does not touch everything.
	MaxObjects = 1 << 22
)

// Merge is a set of generations whose data keys go under one new generation of the
// next tier; or that have none, and just go.
type Merge struct {
	Sources []Entry // in the order of their creation
	Tier    byte    // of the new generation
	Empty   bool    // there is nothing to move, and no new generation
}

// line is what may merge: one KMS key, one encryption context.
type line struct{ keyARN, context string }

// closed reports whether a generation takes no new data keys, neither of writers nor
// of a merge that is under way.
func (e *Entry) closed(now time.Time, filling map[uuid.UUID]bool) bool {
	return e.Retired.IsZero() && !filling[e.ID] && (e.Tier > 0 || now.After(e.NotAfter.Add(e.closing)))
}

// lines sorts the closed generations of a bucket by line and tier, the oldest first.
func lines(entries []Entry, now time.Time) map[line]map[byte][]Entry {
	filling := map[uuid.UUID]bool{}
	for _, e := range entries {
		if !e.Retired.IsZero() {
			filling[e.Into] = true
		}
	}
	out := map[line]map[byte][]Entry{}
	for _, e := range entries {
		if !e.closed(now, filling) {
			continue
		}
		l := line{e.KeyARN, e.canonical}
		if out[l] == nil {
			out[l] = map[byte][]Entry{}
		}
		out[l][e.Tier] = append(out[l][e.Tier], e)
	}
	for _, tiers := range out {
		for _, of := range tiers {
			slices.SortFunc(of, func(a, b Entry) int { return a.Created.Compare(b.Created) })
		}
	}
	return out
}

// Due reports whether there may be something to do for a bucket, from its
// generations alone: whether it is worth counting objects. usable says whether a KMS
// key can be used now.
func Due(entries []Entry, now time.Time, usable func(keyARN string) bool) bool {
	for _, e := range entries {
		if !e.Retired.IsZero() && usable(e.KeyARN) {
			return true
		}
	}
	for l, tiers := range lines(entries, now) {
		for _, of := range tiers {
			n := 0
			for _, e := range of {
				if e.Counted.IsZero() || !e.full() {
					n++
				}
			}
			if n >= Fan && usable(l.keyARN) {
				return true
			}
		}
	}
	return false
}

// full reports whether merging would do little for a generation: two of such size
// do not fit under one.
func (e *Entry) full() bool { return e.Objects > MaxObjects/2 }

// Plan says what merges, from generations that were just counted. Uploads under way
// hold their generations: what they name is not touched. Merging what it says may make
// more to merge.
func Plan(entries []Entry, now time.Time, usable func(keyARN string) bool) []Merge {
	var out []Merge
	for l, tiers := range lines(entries, now) {
		if !usable(l.keyARN) {
			continue
		}
		for tier, of := range tiers {
			empty := Merge{Empty: true}
			var candidates []Entry
			for _, e := range of {
				switch {
				case e.Counted.IsZero() || e.Uploads > 0:
				case e.Objects == 0:
					empty.Sources = append(empty.Sources, e)
				case !e.full():
					candidates = append(candidates, e)
				}
			}
			if len(empty.Sources) > 0 {
				out = append(out, empty)
			}
			if tier < 255 && len(candidates) >= Fan {
				for group := range slices.Chunk(candidates[:len(candidates)/Fan*Fan], Fan) {
					out = append(out, pack(group, tier+1)...)
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b Merge) int { return a.Sources[0].Created.Compare(b.Sources[0].Created) })
	return out
}

// pack fills generations with a group, in order. As none is full, at least two fit
// under one; one that is left alone waits for the next group.
func pack(group []Entry, tier byte) []Merge {
	var out []Merge
	var now Merge
	var objects int64
	flush := func() {
		if len(now.Sources) > 1 {
			out = append(out, now)
		}
		now, objects = Merge{Tier: tier}, 0
	}
	flush()
	for _, e := range group {
		if objects+e.Objects > MaxObjects {
			flush()
		}
		now.Sources = append(now.Sources, e)
		objects += e.Objects
	}
	flush()
	return out
}
