// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// The journal is where a record is durable before the file is that has it: a row
// aj/<event id> in the metadata store, whose commits share their syncs. It can be in
// the same commit as what the record tells of, so that neither is there without the
// other. The row goes when the file has been synced; rows that a crash left are held
// against the files at the next start.
const journalRows = "aj/"

// forgetAtOnce bounds the rows that one commit removes.
const forgetAtOnce = 512

func journalKey(eventID string) []byte { return append([]byte(journalRows), eventID...) }

// journaled is a row of the journal: a record's line, and a position in the trail
// before which the line is not. docs/formats.md, "Audit files".
type journaled struct {
	key  []byte
	from Position
	line []byte
}

func (j journaled) encode() []byte {
	return append(appendPosition(make([]byte, 0, positionSize(j.from)+len(j.line)), j.from), j.line...)
}

// appendPosition writes what is before the line in a row.
func appendPosition(b []byte, at Position) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(at.Segment)))
	b = append(b, at.Segment...)
	return binary.BigEndian.AppendUint64(b, uint64(at.Offset))
}

func positionSize(at Position) int { return 2 + len(at.Segment) + 8 }

// encodeRow is the value of a record's row; the record's line is the last part of it.
func encodeRow(from Position, r *Record) (value, line []byte, err error) {
	n := positionSize(from)
	value, err = encodeBehind(appendPosition(make([]byte, 0, n+typicalLine), from), r)
	if err != nil {
		return nil, nil, err
	}
	return value, value[n:], nil
}

func decodeJournaled(it meta.Item) (journaled, error) {
	bad := fault.New(meta.Damaged, "").Because(fmt.Errorf("row %q of the audit journal", it.Key))
	v := it.Value
	if len(v) < 2 {
		return journaled{}, bad
	}
	n := int(binary.BigEndian.Uint16(v))
	if v = v[2:]; len(v) < n+8 {
		return journaled{}, bad
	}
	j := journaled{key: it.Key, from: Position{Segment: string(v[:n]), Offset: int64(binary.BigEndian.Uint64(v[n:]))}, line: v[n+8:]}
	text, ended := bytes.CutSuffix(j.line, []byte("\n"))
	if _, ok := parseName(j.from.Segment); !ok || !ended || !isRecord(text) {
		return journaled{}, bad
	}
	return j, nil
}

// joined is a record that goes with a commit of somebody else's.
type joined struct{ key, line []byte }

// Join adds a record to a batch, so that it is durable when the batch is. After the
// commit the caller calls committed; without that the record is in the trail's files
// only after the next start. A commit that failed needs nothing. Error: Unavailable,
// when the files cannot be written now.
func (t *Trail) Join(b *meta.Batch, r Record) (committed func(), err error) {
	if t.off {
		return func() {}, nil
	}
	from, err := t.here()
	if err != nil && t.relaxed {
		var ok bool
		if from, ok = t.joinRelaxed(); !ok {
			return func() { t.missed(err) }, nil
		}
	} else if err != nil {
		t.metrics.failures.Inc()
		return nil, fault.New(Unavailable, "").Because(err)
	}
	value, line, err := encodeRow(from, &r)
	if err != nil {
		t.metrics.failures.Inc()
		return nil, err
	}
	key, kind := journalKey(r.EventID), kindOf(&r)
	b.Put(key, value)
	return func() { t.committed(joined{key, line}, kind) }, nil
}

// committed writes a record to the trail's files, to which it may find its way only
// later: what is in the journal is not lost.
func (t *Trail) committed(j joined, k kind) {
	t.metrics.byKind[k].Inc()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	// An error is that of lines, which are late now.
	_ = t.leave(j.line, j.key)
}

// here returns the position at which the next line will be at the earliest, if
// lines can be written at all.
func (t *Trail) here() (Position, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.position()
}

// position is here with mu held.
func (t *Trail) position() (Position, error) {
	if err := t.catchUp(); err != nil { // it lets go of mu
		return Position{}, err
	}
	if t.closed {
		return Position{}, errClosed
	}
	if t.active == nil {
		if err := t.begin(); err != nil {
			return Position{}, err
		}
	}
	return Position{t.active.name, t.active.size}, nil
}

// catchingUp is a try to write what is late.
type catchingUp struct {
	done bool
	err  error
}

// catchUp writes what an error kept from the files. mu is held, but not while the disk
// works. Who comes meanwhile waits for how that ends: files that fail would else let some
// calls pass at each try.
func (t *Trail) catchUp() error {
	if c := t.catching; c != nil {
		for !c.done {
			t.ended.Wait()
		}
		return c.err
	}
	if len(t.late) == 0 {
		return nil
	}
	c := &catchingUp{}
	t.catching = c
	for len(t.late) > 0 && c.err == nil {
		// It stays where it is until it is written; what is late meanwhile comes behind.
		if c.err = t.writeJournaled(t.late[0].key, t.late[0].line); c.err == nil {
			t.late[0] = joined{}
			t.late = t.late[1:]
		}
	}
	c.done, t.catching = true, nil
	t.ended.Broadcast()
	return c.err
}

// writeJournaled writes a line whose row can go when the line is durable. mu is held, but
// not while the disk works.
func (t *Trail) writeJournaled(key, line []byte) error {
	s, number, err := t.write(line)
	if err != nil {
		return err
	}
	t.settleWith(s, number, key)
	return nil
}

// settleWith notes that a row can go when a file is synced up to a record. mu is held.
func (t *Trail) settleWith(s *segment, number uint64, key []byte) {
	if s.synced >= number {
		t.settled = append(t.settled, key)
	} else {
		s.rows = append(s.rows, journalRow{number, key})
	}
	t.wake()
}

// appendJournaled appends a line and makes it durable in the journal.
func (t *Trail) appendJournaled(ctx context.Context, id string, line []byte) error {
	t.mu.Lock()
	from, err := t.position()
	if err != nil {
		t.mu.Unlock()
		return err
	}
	t.mu.Unlock()
	row := journaled{journalKey(id), from, line}
	var b meta.Batch
	b.Put(row.key, row.encode())
	// What was done is recorded, also for a client that has gone.
	_, err = t.journal.Commit(context.WithoutCancel(ctx), &b)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil && t.closed:
		return nil // the next start finds it
	case err == nil:
		_ = t.leave(line, row.key) // an error is that of lines, which are late now
		return nil
	case errors.Is(err, meta.Full): // what is only read must go on being read
		s, number, err := t.write(line)
		if err != nil {
			return err
		}
		if err := t.syncTo(s, number); err != nil {
			return inFile{err}
		}
		return nil
	}
	return noJournal{fmt.Errorf("commit to the journal: %w", err)}
}

// noJournal is the error of a line that is not known to be in the journal, nor in a file.
type noJournal struct{ error }

func (e noJournal) Unwrap() error { return e.error }

// forget removes the rows of records that are durable in their files. What cannot be
// removed now is tried again.
func (t *Trail) forget() {
	t.mu.Lock()
	keys := t.settled
	t.settled = nil
	head := t.anchor() // durable when those are
	t.mu.Unlock()
	// A batch that names a row twice is refused, and an event may be repeated under its id.
	slices.SortFunc(keys, bytes.Compare)
	keys = slices.CompactFunc(keys, bytes.Equal)
	for len(keys) > 0 {
		n := min(len(keys), forgetAtOnce)
		var b meta.Batch
		for _, key := range keys[:n] {
			b.Delete(key)
		}
		if err := t.noteHead(context.Background(), &b, head, false); err != nil {
			t.log.Error("audit journal not cleared; it is tried again", "rows", len(keys), "error", err)
			t.mu.Lock()
			t.settled = append(t.settled, keys...)
			t.wake()
			t.mu.Unlock()
			return
		}
		keys = keys[n:]
	}
	if t.journal != nil && head.Position != t.noted.Position && time.Since(t.notedAt) >= anchorEvery {
		if err := t.noteHead(context.Background(), new(meta.Batch), head, false); err != nil {
			t.log.Error("head of the audit trail not noted; it is tried again", "error", err)
			t.notedAt = time.Now() // in a while
		}
	}
}

// recover writes to the files what a crash left in the journal alone.
func (t *Trail) recover(ctx context.Context) error {
	prefix := []byte(journalRows)
	written := 0
	for next := (meta.Range{Start: prefix, End: meta.PrefixEnd(prefix), Limit: 1 << 16, MaxBytes: 64 << 20}); ; {
		page, err := t.journal.Scan(ctx, next)
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		if len(page.Items) > 0 { // else there is nothing to look for in the files
			n, err := t.recoverPage(ctx, page.Items)
			if err != nil {
				return err
			}
			written += n
		}
		if !page.More {
			break
		}
		next.Start = page.Next
	}
	if written > 0 {
		t.log.Info("audit records were in the journal alone and are now in a file", "records", written)
	}
	return nil
}

// recoverPage writes the records of some rows that no file has, and returns how many.
func (t *Trail) recoverPage(ctx context.Context, rows []meta.Item) (int, error) {
	missing := make(map[string]journaled, len(rows))
	var from Position
	newest := t.last
	for _, it := range rows {
		j, err := decodeJournaled(it)
		if err != nil {
			return 0, err
		}
		missing[string(j.key[len(journalRows):])] = j
		if from.Segment == "" || j.from.Before(from) {
			from = j.from
		}
		if begun, _ := parseName(j.from.Segment); begun.After(newest) {
			newest = begun
		}
	}
	var there [][]byte
	r := newReader(t.fs, t.dir, Filter{})
	r.strict = true
	_, err := r.proceed(ctx, from, func(e Entry) error {
		if j, ok := missing[e.EventID]; ok {
			there = append(there, j.key)
			delete(missing, e.EventID)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	// What a file has need not be durable in it.
	if err := syncFrom(t.fs, t.dir, from.Segment); err != nil {
		return 0, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	// The clock may have been set back, and the files of then be gone: a line must be
	// behind the position in its row all the same.
	if newest.After(t.last) {
		t.last = newest
		if err := t.begin(); err != nil {
			return 0, err
		}
	}
	t.settled = append(t.settled, there...)
	for _, j := range missing {
		t.late = append(t.late, joined{j.key, j.line})
	}
	if err := t.catchUp(); err != nil { // what only reads may go on; nothing else begins
		t.log.Error("audit records are in the journal and not yet in a file", "records", len(t.late), "error", err)
	}
	t.wake()
	return len(missing), nil
}
