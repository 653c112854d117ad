// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"slices"
	"time"
)

// syncTo waits until a file is durable up to a record. mu is held on entry and on return,
// but not while the disk works.
func (t *Trail) syncTo(s *segment, number uint64) error {
	for s.synced < number && s.err == nil {
		if t.syncing {
			t.ended.Wait()
		} else {
			t.sync()
		}
	}
	if s.synced < number {
		return s.err
	}
	return nil
}

// sync makes durable what has been written so far. mu is held on entry and on
// return, but not while the disk works; nobody else may be syncing.
func (t *Trail) sync() {
	closing := t.retired
	t.retired = nil
	if i := slices.Index(closing, t.writing); i >= 0 { // given up while it was written
		t.retired = []*segment{t.writing}
		closing = slices.Delete(closing, i, i+1)
	}
	batch := closing
	if t.active != nil {
		batch = append(batch[:len(batch):len(batch)], t.active)
	}
	upTo := make([]uint64, len(batch)) // of each file, what this sync covers
	sizes, marks := make([]int64, len(batch)), make([]mark, len(batch))
	for i, s := range batch {
		sizes[i], marks[i] = s.size, s.wrote
		if s.err == nil {
			upTo[i] = s.written
		}
	}
	t.syncing = true
	t.mu.Unlock()

	errs := make([]error, len(batch))
	for i, s := range batch {
		if upTo[i] > s.synced { // no lock: only this function changes synced
			begun := time.Now()
			errs[i] = s.file.Sync()
			t.metrics.syncs.Observe(time.Since(begun).Seconds())
		}
	}
	for _, s := range closing {
		_ = s.file.Close() // synced, or given up
	}

	t.mu.Lock()
	t.syncing = false
	for i, s := range batch {
		if errs[i] != nil {
			t.giveUp(s, errs[i])
		} else if s.err == nil {
			s.synced, s.durable, s.sure = max(s.synced, upTo[i]), max(s.durable, sizes[i]), marks[i]
			t.settled = append(t.settled, s.takeSettled()...)
		}
	}
	t.open = slices.DeleteFunc(t.open, func(s *segment) bool {
		ended := s.err != nil || slices.Contains(closing, s)
		if ended && s.sure.end > 0 {
			t.settledAt = anchorAt(s)
		}
		return ended
	})
	t.ended.Broadcast()
	close(t.advanced)
	t.advanced = make(chan struct{})
}

// giveUp ends a file that could not be synced. mu is held.
func (t *Trail) giveUp(s *segment, err error) {
	lost := s.written - s.synced
	s.err = fmt.Errorf("sync %s: %w", s.name, err)
	if t.doubted == "" {
		t.doubted = s.name
	}
	s.rows = nil // they stay in the journal, for the next start to hold against the file
	t.metrics.unsynced.Add(float64(lost))
	t.log.Error("audit records may be lost in a crash", "file", s.name, "records", lost, "error", err)
	if s == t.active {
		t.retire()
	}
}

// wake asks for a sync in a while.
func (t *Trail) wake() {
	select {
	case t.dirty <- struct{}{}:
	default:
	}
}

// background syncs what no durable append has synced.
func (t *Trail) background() {
	defer close(t.done)
	for {
		select {
		case <-t.stop:
			return
		case <-t.dirty:
		}
		select {
		case <-t.stop:
			return
		case <-time.After(syncDelay):
		}
		t.mu.Lock()
		if err := t.catchUp(); err != nil {
			t.wake()
		}
		t.settle()
		t.mu.Unlock()
		t.sayMissed()
		t.forget()
	}
}

// settle syncs and closes whatever needs it. mu is held.
func (t *Trail) settle() {
	for t.syncing || t.writing != nil {
		t.ended.Wait()
	}
	if len(t.retired) > 0 || t.active != nil && t.active.unsynced() {
		t.sync()
	}
}
