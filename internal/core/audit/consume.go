// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
)

// Consumers read the trail in its order and at their own pace: they deliver it, send it
// on, index it. A consumer keeps the position to which it has come, and after a crash
// goes on from there: it sees every record at least once. The trail's files are its queue.

// Line is a record in the trail.
type Line struct {
	At   Position // where it begins
	Next Position // where to go on after it
	JSON []byte   // the record, without newline and chain value; valid until the function that got it returns
}

// Head returns the position up to which the trail is durable. Consumers do not see what
// is behind it: what a crash may take back must not have been told to others.
func (t *Trail) Head() Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.head()
}

// head is Head with mu held.
func (t *Trail) head() Position {
	for _, s := range t.open {
		if s != t.active {
			return Position{s.name, s.durable} // what is behind it waits for the rest of it
		}
	}
	if t.active != nil {
		return Position{t.active.name, t.active.durable}
	}
	return Position{segmentName(t.last), math.MaxInt64}
}

// End returns the position behind everything that was recorded by now, and before what is
// recorded from now on. What is before it may not be durable yet.
func (t *Trail) End() Position {
	// What was left to be written later was recorded, too. If it cannot be written now, it
	// comes behind.
	_ = t.Flush()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.active != nil {
		return Position{t.active.name, t.active.size}
	}
	return Position{segmentName(t.last), math.MaxInt64}
}

// Consume calls fn with the durable records from a position on, in the order written, and
// returns the position to go on from. It ends at fn's first error, which it returns with
// the position before that record. A position in a file that is gone is the beginning of
// the next one. Lines that are no records are passed over, and that is told to the log
// and the metrics. What cannot be read is an error: a consumer does not pass over it.
func (t *Trail) Consume(ctx context.Context, at Position, fn func(Line) error) (Position, error) {
	return t.consume(ctx, at, newReader(t.fs, t.dir, Filter{Skipped: t.damaged}), fn)
}

// Skim is Consume for who goes through each line anyway, soon after it was written: of
// files that this Trail has begun, lines are not held against the chain. fn returns
// ErrNoRecord of one that it finds to be no JSON.
func (t *Trail) Skim(ctx context.Context, at Position, fn func(Line) error) (Position, error) {
	r := newReader(t.fs, t.dir, Filter{Skipped: t.damaged})
	t.mu.Lock()
	r.trusted = t.firstOwn
	t.mu.Unlock()
	return t.consume(ctx, at, r, fn)
}

func (t *Trail) consume(ctx context.Context, at Position, r *reader, fn func(Line) error) (Position, error) {
	head := t.Head()
	names, err := listSegments(t.fs, t.dir)
	if err != nil {
		return at, err
	}
	for _, name := range names {
		if name < at.Segment || name > head.Segment {
			continue
		}
		from, end := Position{Segment: name}, int64(math.MaxInt64)
		if name == at.Segment {
			from = at
		}
		if name == head.Segment {
			end = head.Offset
		}
		if at, err = r.lines(ctx, from, end, fn); err != nil {
			return at, err
		}
	}
	return at, nil
}

// Await returns when there is something durable behind a position, or with ctx's error.
func (t *Trail) Await(ctx context.Context, at Position) error {
	for {
		t.mu.Lock()
		head, advanced := t.head(), t.advanced
		t.mu.Unlock()
		n, err := t.bytes(at, head)
		if err == nil && n > 0 && at.Segment == head.Segment && head.Offset == math.MaxInt64 {
			// No file is being written, and the last one may end in a torn line, of which
			// nothing comes.
			n, err = t.whole(ctx, at)
		}
		if err != nil || n > 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-advanced:
		}
	}
}

// whole returns the length of the line at a position; 0 when it has no end.
func (t *Trail) whole(ctx context.Context, at Position) (n int64, err error) {
	_, err = newReader(t.fs, t.dir, Filter{}).raw(ctx, at, math.MaxInt64, func(line []byte) error {
		n = int64(len(line))
		return errFound
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return n, err
}

// Behind returns how many bytes of the durable trail are behind a position: a consumer's
// backlog.
func (t *Trail) Behind(at Position) (int64, error) {
	return t.bytes(at, t.Head())
}

// bytes returns how many bytes of the files lie between two positions.
func (t *Trail) bytes(from, to Position) (n int64, err error) {
	names, err := listSegments(t.fs, t.dir)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if name < from.Segment || name > to.Segment {
			continue
		}
		info, err := t.fs.Stat(t.fs.PathJoin(t.dir, name))
		if err != nil {
			continue // removed since
		}
		size := info.Size()
		if name == to.Segment {
			size = min(size, to.Offset)
		}
		if name == from.Segment {
			size -= from.Offset
		}
		n += max(size, 0)
	}
	return n, nil
}

// Hold says that a consumer of that name has come to a position: files from there on are
// not removed, whatever limits there are to what is kept. Release ends it. Until then the
// metrics say how far the consumer is behind; its name is their label, so there must be few.
func (t *Trail) Hold(name string, at Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.holds[name] = at
}

// Holds returns how far each consumer has come that has called Hold.
func (t *Trail) Holds() map[string]Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.holds)
}

// Release forgets a consumer.
func (t *Trail) Release(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.holds, name)
	t.metrics.taken.DeleteLabelValues(name)
	t.metrics.refused.DeleteLabelValues(name)
}

// damaged reports a line that is no record.
func (t *Trail) damaged(file string, offset int64, err error) {
	t.metrics.damaged.Inc()
	t.log.Error("audit record is damaged, and passed over", "file", file, "offset", offset, "error", err)
}

// ErrNoRecord says that a line of the trail is no record.
var ErrNoRecord = errors.New("the line is no JSON record")

// lines calls fn with the records of a file from a position up to an offset.
func (r *reader) lines(ctx context.Context, at Position, end int64, fn func(Line) error) (Position, error) {
	check := validator{chainer: newChainer()}
	trusted := r.trusted != "" && at.Segment >= r.trusted
	return r.raw(ctx, at, end, func(line []byte) error {
		next := Position{at.Segment, at.Offset + int64(len(line))}
		text := bytes.TrimSuffix(line, []byte("\n"))
		err := ErrNoRecord
		if trusted && isRecord(text) || !trusted && check.valid(text) {
			err = fn(Line{at, next, unchained(text)})
		}
		if errors.Is(err, ErrNoRecord) {
			r.filter.Skipped(at.Segment, at.Offset, ErrNoRecord)
		} else if err != nil {
			return err
		}
		at = next
		return nil
	})
}

// validator finds lines that are no JSON. A line that continues the one before it is as it
// was written, and to see that takes less than to read it.
type validator struct {
	chainer chainer
	prev    Chain
	known   bool
}

func (v *validator) valid(line []byte) bool {
	if !isRecord(line) {
		v.known = false
		return false
	}
	n, value, ok := chainOf(line)
	intact := ok && v.known && v.chainer.next(&v.prev, line[:n]) == value
	v.prev, v.known = value, ok
	return intact || json.Valid(line)
}

// isRecord reports whether a line looks like one: what a crash tore has no end.
func isRecord(line []byte) bool {
	return len(line) > 1 && line[0] == '{' && line[len(line)-1] == '}'
}
