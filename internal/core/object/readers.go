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

// oldest returns when the oldest read under way began, or now.
func (r *readers) oldest() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.open.Front(); e != nil {
		return e.Value.(time.Time)
	}
	return time.Now()
}
