// SPDX-License-Identifier: Apache-2.0

package object

import (
	"sync"
	"time"
)

// readers knows how long ago the oldest read under way began: the streams of a
// version that was removed later than that must stay.
type readers struct{ open *openReads }

// openReads are the tickets of reads under way, in a ring with an empty one: the oldest
// comes after it.
type openReads struct {
	mu   sync.Mutex
	ring ticket
}

func newReaders() readers {
	open := &openReads{}
	open.ring.before, open.ring.after = &open.ring, &open.ring
	return readers{open}
}

// ticket is one read under way.
type ticket struct {
	open          *openReads
	began         time.Time
	before, after *ticket // nil when the read has ended
}

func (r *readers) begin() *ticket {
	o := r.open
	t := &ticket{open: o}
	o.mu.Lock()
	defer o.mu.Unlock()
	t.began = time.Now()
	t.before, t.after = o.ring.before, &o.ring
	t.before.after, t.after.before = t, t
	return t
}

// end may be called more than once.
func (t *ticket) end() {
	t.open.mu.Lock()
	defer t.open.mu.Unlock()
	if t.after == nil {
		return
	}
	t.before.after, t.after.before = t.after, t.before
	t.before, t.after = nil, nil
}

// oldest returns when the oldest read under way began, by the clock of now. ok is
// false when there is none.
func (r *readers) oldest() (began time.Time, ok bool) {
	r.open.mu.Lock()
	defer r.open.mu.Unlock()
	oldest := r.open.ring.after
	if oldest == &r.open.ring {
		return time.Time{}, false
	}
	began = oldest.began
	// The clock may have been set back since; how long ago it was is known all
	// the same.
	if now := time.Now(); now.Round(0).Sub(began.Round(0)) < now.Sub(began) {
		began = now.Add(-now.Sub(began))
	}
	return began, true
}
