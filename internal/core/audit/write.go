// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"time"
)

var errClosed = errors.New("trail is closed")

// lines are written together: those that came while the lines before were written.
type lines struct {
	text  []byte
	ends  []int  // of the lines, in text
	left  []left // those for which nobody waits
	marks []mark // once they are written: the chain at each line's end
	count uint64
	file  *segment // to which they were written
	first uint64   // number of the first one there
	there uint64   // how many are there: all, but for an error
	done  bool
	err   error
}

// left is a line, by its place among others, that was left to be written in a while: what
// it says is durable in the journal, in the row of that key.
type left struct {
	place uint64
	joined
}

const (
	// writeDelay is how long a line that was left may wait for others.
	writeDelay = 50 * time.Millisecond
	// writeAtOnce is how many bytes of lines wait at most.
	writeAtOnce = 256 << 10
)

// leave takes a line that is durable in the journal, to be written in a while. mu is
// held on entry and on return, but may not be in between.
func (t *Trail) leave(line, key []byte) error {
	if t.closed {
		return errClosed
	}
	w := t.join(line)
	w.left = append(w.left, left{w.count - 1, joined{key, line}})
	switch {
	case len(w.left) == 1:
		select {
		case t.leaving <- struct{}{}:
		default:
		}
	case len(w.text) >= writeAtOnce:
		return t.await(w)
	}
	return nil
}

// join adds a line to those that wait, and returns them. mu is held.
func (t *Trail) join(line []byte) *lines {
	if t.waiting == nil {
		t.waiting = &lines{text: t.spare.text[:0], ends: t.spare.ends[:0], left: t.spare.left[:0], marks: t.spare.marks[:0]}
		t.spare = lines{}
	}
	w := t.waiting
	w.text = appendChained(w.text, line)
	w.ends = append(w.ends, len(w.text))
	w.count++
	return w
}

// await returns when lines have been written, and the error with which they were not. mu
// is held on entry and on return, but not while the disk works.
func (t *Trail) await(w *lines) error {
	for !w.done {
		if t.writing != nil {
			t.ended.Wait()
		} else {
			t.writeOut()
		}
	}
	return w.err
}

// Flush writes what waits to be written by now, so that readers of the files see it.
func (t *Trail) Flush() (err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// What comes meanwhile is not waited for: there may always be more.
	for _, w := range []*lines{t.written, t.waiting} {
		if w != nil {
			err = errors.Join(err, t.await(w))
		}
	}
	return err
}

// writer writes what was left.
func (t *Trail) writer() {
	for {
		select {
		case <-t.stop:
			return
		case <-t.leaving:
		}
		select {
		case <-t.stop:
			return
		case <-time.After(writeDelay):
		}
		// What could not be written is tried again with what comes later.
		_ = t.Flush()
	}
}

// write appends a line to the file that is due, and returns the file and the line's
// number in it. mu is held on entry and on return, but not while the disk works.
func (t *Trail) write(line []byte) (*segment, uint64, error) {
	if t.closed {
		return nil, 0, errClosed
	}
	mine := t.join(line)
	place := mine.count - 1
	if err := t.await(mine); err != nil && place >= mine.there {
		return nil, 0, err
	}
	return mine.file, mine.first + place, nil
}

// writeOut writes the lines that wait. mu is held on entry and on return; nobody else
// may be writing.
func (t *Trail) writeOut() {
	w := t.waiting
	t.waiting = nil
	defer func() {
		t.settleLeft(w)
		w.done = true
		t.ended.Broadcast()
	}()
	if t.active == nil || t.full(t.active, len(w.text)) {
		if w.err = t.begin(); w.err != nil {
			return
		}
	}
	s := t.active
	t.writing, t.written = s, w
	t.mu.Unlock()
	t.link(w) // before the write, which may use the memory for something else
	n, err := s.file.Write(w.text)
	t.mu.Lock()
	t.writing, t.written = nil, nil
	before := s.size
	s.size += int64(n)
	w.file, w.first, w.there = s, s.written+1, w.count
	if err != nil {
		// Lines before the error are in the file, and must not be written again.
		for w.there = 0; w.there < w.count && w.ends[w.there] <= n; w.there++ {
		}
		w.err = fmt.Errorf("write %s: %w", s.name, err)
		// A file that stayed empty is good for another try: on a full disk
		// every append would leave one behind.
		if s.size > 0 && s == t.active {
			t.retire()
		}
	}
	s.written += w.there
	if w.there > 0 {
		last := w.marks[w.there-1]
		s.wrote = mark{before + last.end, last.chain, last.records}
		t.chain, t.records = last.chain, last.records
	}
}

// settleLeft says what became of the lines for which nobody waits. mu is held.
func (t *Trail) settleLeft(w *lines) {
	for _, l := range w.left {
		if l.place < w.there {
			t.settleWith(w.file, w.first+l.place, l.key)
			continue
		}
		t.late = append(t.late, l.joined)
		t.wake()
	}
	if now := time.Now(); w.err != nil && len(w.left) > 0 && now.Sub(t.lateTold) >= missedEvery {
		t.lateTold = now
		t.log.Error("audit records are in the journal and not yet in a file", "error", w.err)
	}
	clear(w.left) // it holds lines
	t.spare = lines{text: w.text, ends: w.ends, left: w.left, marks: w.marks}
}

// link chains the lines to what was written before them. The caller is the one who writes.
func (t *Trail) link(w *lines) {
	m := mark{chain: t.chain, records: t.records}
	begin := 0
	for _, end := range w.ends {
		m.chain = t.chainer.link(&m.chain, w.text[begin:end])
		m.end, m.records = int64(end), m.records+1
		w.marks = append(w.marks, m)
		begin = end
	}
}

// full reports whether a line of n bytes belongs in a new file. mu is held.
func (t *Trail) full(s *segment, n int) bool {
	if s.size == 0 {
		return false
	}
	return s.size+int64(n) > t.max || time.Now().UTC().Truncate(time.Hour).After(s.hour)
}

// begin makes a new file the active one. mu is held, or t is not shared yet.
func (t *Trail) begin() error {
	begun := time.Now().UTC()
	if !begun.After(t.last) {
		begun = t.last.Add(1)
	}
	s, err := createSegment(t.fs, t.dir, t.dirFile, begun)
	if err != nil {
		return fmt.Errorf("begin a file: %w", err)
	}
	t.retire()
	if t.firstOwn == "" {
		t.firstOwn = s.name
	}
	t.last, t.active = begun, s
	t.open = append(t.open, s)
	return nil
}

// retire ends the active file; the next sync closes it. mu is held.
func (t *Trail) retire() {
	if t.active == nil {
		return
	}
	t.retired = append(t.retired, t.active)
	t.active = nil
	t.wake()
}
