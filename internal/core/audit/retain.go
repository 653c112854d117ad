// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// Limits bound what is kept of the trail. A zero is no bound.
type Limits struct {
	Age   time.Duration // of the newest event in a file
	Bytes int64         // of all files
}

// heldEvery is how often it is said that consumers keep the trail from its limits.
const heldEvery = time.Hour

// file is one of the trail's, as Retain sees it.
type file struct {
	name  string
	bytes int64
	until time.Time // when the next one was begun: it has nothing later
}

func (t *Trail) files() ([]file, error) {
	names, err := listSegments(t.fs, t.dir)
	if err != nil {
		return nil, err
	}
	var out []file
	for i, name := range names {
		info, err := t.fs.Stat(t.fs.PathJoin(t.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f := file{name: name, bytes: info.Size()}
		if i+1 < len(names) {
			f.until, _ = parseName(names[i+1])
		}
		out = append(out, f)
	}
	return out, nil
}

// over returns why a file, the oldest, is over the limits when all files have so many
// bytes; "" when it is not.
func (l Limits) over(f file, total int64, now time.Time) string {
	switch {
	case f.until.IsZero(): // the newest
		return ""
	case l.Age > 0 && now.Sub(f.until) > l.Age:
		return "age"
	case l.Bytes > 0 && total > l.Bytes:
		return "size"
	}
	return ""
}

// nextStart stands among the names of consumers when a file could not be synced: the
// journal is held against it then.
const nextStart = "the next start (a sync failed)"

// needed returns the oldest file that must stay, whatever the limits: something in it is
// not durable yet, or a consumer, of which the names are returned, or the next start has
// not seen it.
func (t *Trail) needed() (own, held string, by []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own = segmentName(t.last)
	if len(t.open) > 0 {
		own = min(own, t.open[0].name)
	}
	held = "\xff"
	if t.doubted != "" {
		held, by = t.doubted, []string{nextStart}
	}
	for _, name := range slices.Sorted(maps.Keys(t.holds)) {
		switch at := t.holds[name].Segment; {
		case at < held:
			held, by = at, []string{name}
		case at == held:
			by = append(by, name)
		}
	}
	return own, held, by
}

// Retain removes the oldest files that are over the limits, and returns how many. Each is
// stated before it goes: in the trail, by a record that is durable, and in the log. What a
// consumer that holds the trail has not seen stays; that is in the log and the metrics.
// All consumers must have called Hold before. One goroutine calls it, now and then.
func (t *Trail) Retain(ctx context.Context) (n int, err error) {
	if t.journal == nil || !t.reading.TryLock() {
		return 0, nil // who reads all of them reads on
	}
	defer t.reading.Unlock()
	all, err := t.files()
	if err != nil {
		return 0, err
	}
	for t.cut != nil && len(all) > 1 && all[0].name <= t.cut.Segment { // stated before a crash
		if err := t.remove(all[0]); err != nil {
			return n, err
		}
		all = all[1:]
	}
	total := int64(0)
	for _, f := range all {
		total += f.bytes
	}
	own, held, by := t.needed()
	now, kept := time.Now(), int64(0)
	for _, f := range all {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		reason := t.limits.over(f, total, now)
		if reason == "" || f.name >= own {
			break
		}
		total -= f.bytes
		if f.name >= held {
			kept += f.bytes
			continue
		}
		if err := t.drop(ctx, f, reason); err != nil {
			return n, fmt.Errorf("audit: drop %s: %w", f.name, err)
		}
		n++
	}
	t.metrics.held.Set(float64(kept))
	if kept > 0 && now.Sub(t.heldTold) >= heldEvery {
		t.heldTold = now
		t.log.Warn("the audit trail is over its limits: consumers have not taken what would be dropped", "bytes", kept, "consumers", by)
	}
	return n, nil
}

// drop states that a file goes, and removes it.
func (t *Trail) drop(ctx context.Context, f file, reason string) error {
	d, err := t.skim(ctx, f, reason)
	if err != nil {
		return err
	}
	if _, err := t.here(); err != nil { // nothing goes that cannot be stated
		return err
	}
	r, err := t.own(dropEvent, d)
	if err != nil {
		return err
	}
	cut := Cut{f.name, d.Chain}
	value, err := json.Marshal(cutRowValue{1, cut})
	if err != nil {
		return err
	}
	var b meta.Batch
	b.Put(cutRow, value)
	committed, err := t.Join(&b, r)
	if err != nil {
		return err
	}
	t.log.Info("audit file is dropped", "file", f.name, "reason", reason, "bytes", d.Bytes, "records", d.Records,
		"first_event", d.First, "last_event", d.Last, "chain", d.Chain.String())
	if _, err := t.journal.Commit(ctx, &b); err != nil {
		return err
	}
	committed()
	t.mu.Lock()
	t.cut = &cut
	t.mu.Unlock()
	t.metrics.dropped.Add(float64(f.bytes))
	return t.remove(f)
}

func (t *Trail) remove(f file) error {
	if err := t.fs.Remove(t.fs.PathJoin(t.dir, f.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return t.dirFile.Sync()
}

// skim reads a file for what is stated of it.
func (t *Trail) skim(ctx context.Context, f file, reason string) (dropped, error) {
	d := dropped{File: f.name, Bytes: f.bytes, Reason: reason}
	w := newWalk(t.fs, t.dir, func(f Finding) {
		if !f.Note {
			d.Faults++
		}
	})
	if t.cut != nil {
		w.prev, w.begun = t.cut.Chain, true
	}
	var first, last []byte
	w.line = func(text []byte, _ Position) error {
		if first == nil {
			first = bytes.Clone(text)
		}
		last = append(last[:0], text...)
		return nil
	}
	if err := w.file(ctx, Position{Segment: f.name}, math.MaxInt64); err != nil {
		return d, err
	}
	d.Records, d.Chain = w.records+w.unchained, w.prev
	d.First, d.Last = timeOf(first), timeOf(last)
	return d, nil
}

// timeOf returns when the event of a line happened, if that can be told.
func timeOf(line []byte) *time.Time {
	var r struct {
		Time time.Time `json:"eventTime"`
	}
	if json.Unmarshal(line, &r) != nil || r.Time.IsZero() {
		return nil
	}
	return &r.Time
}
