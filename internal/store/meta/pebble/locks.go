// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// stripes is how many locks stand for all keys. A false conflict costs a
// commit the wait for another's memory work (no disk), so a few hundred commits
// at once are the measure.
const stripes = 1024

// locks excludes commits that touch the same rows from one another. Rows that
// a commit only demands, and counters, are locked shared.
type locks struct {
	once   sync.Once
	seed   maphash.Seed
	stripe [stripes]stripe
}

type stripe struct {
	sync.RWMutex
	changes atomic.Uint64 // how often it was held exclusively, and is no more
}

func (l *locks) of(key []byte) uint64 {
	l.once.Do(func() { l.seed = maphash.MakeSeed() })
	return maphash.Bytes(l.seed, key) % stripes
}

// changes is a moment of a row, for unchanged.
func (l *locks) changes(key []byte) uint64 { return l.stripe[l.of(key)].changes.Load() }

// unchanged calls do, if the row has not changed since a moment and nobody is about to
// change it, while it does not change.
func (l *locks) unchanged(key []byte, since uint64, do func()) {
	s := &l.stripe[l.of(key)]
	if !s.TryRLock() {
		return
	}
	defer s.RUnlock()
	if s.changes.Load() == since {
		do()
	}
}

// held is what a commit has locked: stripe<<1 | exclusive, ascending.
type held struct {
	l   *locks
	ids []uint32
}

// acquire locks the rows of the steps. All commits go through the stripes in
// one order, so they cannot wait for each other in a circle.
func (l *locks) acquire(steps []meta.Step) held {
	ids := make([]uint32, len(steps))
	for i, s := range steps {
		ids[i] = uint32(l.of(s.Key)) << 1
		if s.Op == meta.Write || s.Op == meta.Remove {
			ids[i] |= 1
		}
	}
	slices.Sort(ids)
	// Of a stripe's ids the last is the strongest.
	kept := ids[:0]
	for i, id := range ids {
		if i+1 < len(ids) && ids[i+1]>>1 == id>>1 {
			continue
		}
		kept = append(kept, id)
	}
	for _, id := range kept {
		if id&1 == 1 {
			l.stripe[id>>1].Lock()
		} else {
			l.stripe[id>>1].RLock()
		}
	}
	return held{l, kept}
}

// release unlocks all.
func (h held) release() {
	for _, id := range h.ids {
		if id&1 == 1 {
			h.l.stripe[id>>1].changes.Add(1)
			h.l.stripe[id>>1].Unlock()
		} else {
			h.l.stripe[id>>1].RUnlock()
		}
	}
}
