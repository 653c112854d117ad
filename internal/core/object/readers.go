// SPDX-License-Identifier: Apache-2.0

package object

import (
	"container/list"
	"sync"
	"time"
)

// readers knows how long ago the oldest read under way began: the streams of a
// version that was removed later than that must stay.
type readers struct {
	mu   *sync.Mutex
	open *list.List // of time.Time, oldest first
}

func newReaders() readers { return readers{new(sync.Mutex), list.New()} }

// ticket is one read under way.
type ticket struct {
	r    *readers
	e    *list.Element
	once sync.Once
}

func (r *readers) begin() *ticket {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &ticket{r: r, e: r.open.PushBack(time.Now())}
}

func (t *ticket) end() {
	t.once.Do(func() {
		t.r.mu.Lock()
		defer t.r.mu.Unlock()
		t.r.open.Remove(t.e)
	})
}

// oldest returns when the oldest read under way began, by the clock of now. ok is
// false when there is none.
func (r *readers) oldest() (began time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.open.Front()
	if e == nil {
		return time.Time{}, false
	}
	began = e.Value.(time.Time)
	// The clock may have been set back since; how long ago it was is known all
	// the same.
	if now := time.Now(); now.Round(0).Sub(began.Round(0)) < now.Sub(began) {
		began = now.Add(-now.Sub(began))
	}
	return began, true
}
