// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"time"
)

// lines are written together: those that came while the lines before were written.
type lines struct {
	text  []byte
	ends  []int  // of the lines, in text
	marks []mark // once they are written: the chain at each line's end
	count uint64
	file  *segment // to which they were written
	first uint64   // number of the first one there
	there uint64   // how many are there: all, but for an error
	done  bool
	err   error
}

// write appends a line to the file that is due, and returns the file and the line's
// number in it. mu is held on entry and on return, but not while the disk works.
func (t *Trail) write(line []byte) (*segment, uint64, error) {
	if t.closed {
		return nil, 0, errors.New("trail is closed")
	}
	if t.waiting == nil {
		t.waiting = &lines{text: t.spare.text[:0], ends: t.spare.ends[:0], marks: t.spare.marks[:0]}
		t.spare = lines{}
	}
	mine := t.waiting
	mine.text = appendChained(mine.text, line)
	mine.ends = append(mine.ends, len(mine.text))
	place := mine.count
	mine.count++
	for !mine.done {
		if t.writing != nil {
			t.ended.Wait()
		} else {
			t.writeOut()
		}
	}
	if place >= mine.there {
		return nil, 0, mine.err
	}
	return mine.file, mine.first + place, nil
}

// writeOut writes the lines that wait. mu is held on entry and on return; nobody else
// may be writing.
func (t *Trail) writeOut() {
	w := t.waiting
	t.waiting = nil
	defer func() {
		w.done = true
		t.ended.Broadcast()
	}()
	if t.active == nil || t.full(t.active, len(w.text)) {
		if w.err = t.begin(); w.err != nil {
			return
		}
	}
	s := t.active
	t.writing = s
	t.mu.Unlock()
	t.link(w) // before the write, which may use the memory for something else
	n, err := s.file.Write(w.text)
	t.mu.Lock()
	t.writing = nil
	t.spare = lines{text: w.text, ends: w.ends, marks: w.marks}
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
