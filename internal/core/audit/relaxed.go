// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// A relaxed trail does not fail the calls that it cannot record. What the journal still
// takes is written when the files work again; of the rest it is counted how many there
// were, and that is recorded.

const (
	// maxLate bounds the records in the journal that wait in memory for the files.
	maxLate = 4096
	// missedEvery is how often it is logged that calls are served without a record, or that
	// records wait for the files.
	missedEvery = time.Minute
)

// relax decides what becomes of a record that could not be appended: of a nil error the
// call may be answered.
func (t *Trail) relax(ctx context.Context, id string, line []byte, durable bool, err error) error {
	t.mu.Lock()
	relaxed, room := t.relaxed && !t.closed, len(t.late) < maxLate
	t.mu.Unlock()
	if !relaxed {
		return err
	}
	if errors.As(err, new(inFile)) {
		t.log.Error("an audit record may be lost in a crash", "error", err)
		return nil
	}
	if errors.As(err, new(noJournal)) {
		if t.append(line, true) == nil { // a row that is there all the same is found to be in the file
			return nil
		}
	} else if durable && room && t.journal != nil && t.journalAlone(ctx, id, line) == nil {
		return nil
	}
	t.missed(err)
	return nil
}

// journalAlone keeps a line in the journal, for the time when the files work again.
func (t *Trail) journalAlone(ctx context.Context, id string, line []byte) error {
	row := journaled{journalKey(id), t.earliest(), line}
	var b meta.Batch
	b.Put(row.key, row.encode())
	if _, err := t.journal.Commit(context.WithoutCancel(ctx), &b); err != nil {
		return fmt.Errorf("commit to the journal: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.late = append(t.late, joined{row.key, line})
	t.wake()
	return nil
}

// earliest returns a position before which nothing will be written any more.
func (t *Trail) earliest() Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Position{Segment: segmentName(t.last)}
}

// joinRelaxed says where a record that joins a commit may be when the files do not work. ok
// is false when there is no place for it: then it is missed.
func (t *Trail) joinRelaxed() (from Position, ok bool) {
	t.mu.Lock()
	room := len(t.late) < maxLate
	t.mu.Unlock()
	return t.earliest(), room
}

// missed counts a call that is served without a record.
func (t *Trail) missed(err error) {
	t.metrics.missed.Inc()
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now().UTC().Truncate(time.Second)
	if t.missing.Calls == 0 {
		t.missing.From = now
	}
	t.missing.Calls++
	t.missing.To = now
	if now.Sub(t.missedTold) >= missedEvery {
		t.missedTold = now
		t.log.Error("calls are served without an audit record", "calls", t.missing.Calls, "since", t.missing.From, "error", err)
	}
	t.wake()
}

// sayMissed records how many calls were served without a record, once that is possible.
func (t *Trail) sayMissed() {
	t.mu.Lock()
	g := t.missing
	t.missing = gap{}
	t.saying += g.Calls
	t.mu.Unlock()
	if g.Calls == 0 {
		return
	}
	r, err := t.own(gapEvent, g)
	var line []byte
	if err == nil {
		line, err = encode(&r)
	}
	if err == nil {
		err = t.append(line, true)
	}
	if err == nil {
		t.log.Warn("calls were served without an audit record; that is recorded", "calls", g.Calls, "from", g.From, "to", g.To)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.saying -= g.Calls
	if err == nil {
		return
	}
	if t.missing.Calls > 0 {
		g.To = t.missing.To
	}
	g.Calls += t.missing.Calls
	t.missing = g
	t.wake()
}
