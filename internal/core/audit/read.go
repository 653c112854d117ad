// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Filter chooses records. The zero value chooses all.
type Filter struct {
	KMSOnly bool      // events of KMS alone
	Since   time.Time // events of that second or later
	Limit   int       // the last so many of those chosen; 0 means all

	// Skipped is told of what is not a record: a line that a crash tore, damage, or the
	// rest of a file that cannot be read. It may be nil.
	Skipped func(file string, offset int64, err error)
}

// Entry is a record as it was read.
type Entry struct {
	Record
	JSON []byte // the record, without newline and chain value; the receiver's own
}

const (
	kmsSource  = "kms.amazonaws.com"
	followPoll = 250 * time.Millisecond
)

// errTorn says that a file ends within a line.
var errTorn = errors.New("audit: the line has no end")

// Read calls fn with the chosen records of the trail in dir, in the order
// written, and stops at fn's first error. It may run beside the Trail that
// writes, and then also shows records that are not durable yet.
func Read(ctx context.Context, dir string, f Filter, fn func(Entry) error) error {
	return newReader(vfs.Default, dir, f).all(ctx, fn)
}

// Follow is Read that goes on with records as they are written, until ctx is done
// or fn fails. It returns ctx's error or fn's.
func Follow(ctx context.Context, dir string, f Filter, fn func(Entry) error) error {
	return newReader(vfs.Default, dir, f).follow(ctx, fn)
}

type reader struct {
	fs     vfs.FS
	dir    string
	filter Filter
	strict bool // what cannot be read is an error, and not passed over
	// trusted is the first of the files of which lines that look like records are taken
	// for them; "" for none.
	trusted string
}

func newReader(fs vfs.FS, dir string, f Filter) *reader {
	if f.Skipped == nil {
		f.Skipped = func(string, int64, error) {}
	}
	f.Since = f.Since.Truncate(time.Second)
	return &reader{fs: fs, dir: dir, filter: f}
}

// Position is where in which file reading has come to. All files before it have
// been read to their ends. The zero value is the beginning.
type Position struct {
	Segment string `json:"segment"` // name of the file
	Offset  int64  `json:"offset"`  // in bytes, where a line begins
}

// Before reports whether p is earlier in the trail.
func (p Position) Before(q Position) bool {
	return p.Segment < q.Segment || p.Segment == q.Segment && p.Offset < q.Offset
}

// all reads what is there.
func (r *reader) all(ctx context.Context, fn func(Entry) error) error {
	at, err := r.existing(ctx, fn)
	if err == nil {
		r.reportTorn(at)
	}
	return err
}

// existing reads what is there, and returns where it ended. A line without an
// end in the newest file, which may still be written, is not reported.
func (r *reader) existing(ctx context.Context, fn func(Entry) error) (Position, error) {
	names, err := listSegments(r.fs, r.dir)
	if err != nil {
		return Position{}, err
	}
	names = r.since(names)
	if r.filter.Limit > 0 {
		return r.newest(ctx, names, fn)
	}
	var at Position
	for _, name := range names {
		r.reportTorn(at)
		if at, err = r.file(ctx, Position{Segment: name}, fn); err != nil {
			return at, err
		}
	}
	return at, nil
}

// since leaves out files that ended before the filter begins. An hour of slack
// covers events that were timed before they were written, and clocks set back.
func (r *reader) since(names []string) []string {
	for len(names) > 1 {
		if ended, _ := parseName(names[1]); !ended.Add(time.Hour).Before(r.filter.Since) {
			break
		}
		names = names[1:]
	}
	return names
}

// newest reads files from the last one back until it has as many records as
// the filter's limit, and then calls fn in the order written.
func (r *reader) newest(ctx context.Context, names []string, fn func(Entry) error) (Position, error) {
	var last Position
	var found []Entry
	for i := len(names) - 1; i >= 0 && len(found) < r.filter.Limit; i-- {
		var here []Entry
		keep := r.filter.Limit - len(found)
		at, err := r.file(ctx, Position{Segment: names[i]}, func(e Entry) error {
			if here = append(here, e); len(here) >= 2*keep {
				here = append(here[:0:0], here[len(here)-keep:]...)
			}
			return nil
		})
		if err != nil {
			return at, err
		}
		if last.Segment == "" {
			last = at
		} else {
			r.reportTorn(at)
		}
		found = append(here[max(0, len(here)-keep):], found...)
	}
	for _, e := range found {
		if err := fn(e); err != nil {
			return last, err
		}
	}
	return last, nil
}

// follow reads what is there and then polls.
func (r *reader) follow(ctx context.Context, fn func(Entry) error) error {
	at, err := r.existing(ctx, fn)
	if err != nil {
		return err
	}
	tick := time.NewTicker(followPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if at, err = r.proceed(ctx, at, fn); err != nil {
			return err
		}
	}
}

// proceed reads on from a position through all newer files.
func (r *reader) proceed(ctx context.Context, at Position, fn func(Entry) error) (Position, error) {
	// Listed first: a file is never written after a newer one has appeared, so
	// what is then read of it to its end is all there will be.
	names, err := listSegments(r.fs, r.dir)
	if err != nil {
		return at, err
	}
	if at.Segment != "" {
		if at, err = r.file(ctx, at, fn); err != nil {
			return at, err
		}
	}
	for _, name := range names {
		if name <= at.Segment {
			continue
		}
		r.reportTorn(at)
		if at, err = r.file(ctx, Position{Segment: name}, fn); err != nil {
			return at, err
		}
	}
	return at, nil
}

// file reads complete lines from a position to the end of its file, calls fn with
// the chosen records, and returns the position after the last complete line.
func (r *reader) file(ctx context.Context, at Position, fn func(Entry) error) (Position, error) {
	offset := at.Offset
	at, err := r.raw(ctx, at, math.MaxInt64, func(line []byte) error {
		size := int64(len(line))
		e := Entry{JSON: unchained(bytes.Clone(bytes.TrimSuffix(line, []byte("\n"))))}
		if err := json.Unmarshal(e.JSON, &e.Record); err != nil {
			r.filter.Skipped(at.Segment, offset, err)
		} else if r.chosen(e.Record) {
			if err := fn(e); err != nil {
				return err
			}
		}
		offset += size
		return nil
	})
	if !r.strict && errors.As(err, new(unreadable)) {
		r.filter.Skipped(at.Segment, at.Offset, err)
		err = nil
	}
	return at, err
}

// unreadable is the error of a file, or the rest of it, that the disk does not give.
type unreadable struct{ error }

func (u unreadable) Unwrap() error { return u.error }

// raw calls fn with the complete lines of a file, with their newlines, from a position up
// to an offset, and returns the position after the last one that fn took. A line is valid
// until fn returns, and until then fn's to change.
func (r *reader) raw(ctx context.Context, at Position, end int64, fn func(line []byte) error) (Position, error) {
	f, err := r.fs.Open(r.fs.PathJoin(r.dir, at.Segment))
	if errors.Is(err, fs.ErrNotExist) {
		return at, nil // an empty file, removed when its trail was closed
	}
	if err != nil {
		return at, unreadable{fmt.Errorf("audit: read %s: %w", at.Segment, err)}
	}
	defer f.Close()
	lines := bufio.NewReaderSize(io.NewSectionReader(f, at.Offset, end-at.Offset), 64<<10)
	for {
		if err := ctx.Err(); err != nil {
			return at, err
		}
		line, err := readLine(lines)
		if err == io.EOF {
			return at, nil
		}
		if err != nil {
			return at, unreadable{fmt.Errorf("audit: read %s: %w", at.Segment, err)}
		}
		if err := fn(line); err != nil {
			return at, err
		}
		at.Offset += int64(len(line))
	}
}

// readLine returns the next line, valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != bufio.ErrBufferFull {
		return line, err
	}
	long := bytes.Clone(line)
	rest, err := r.ReadBytes('\n')
	return append(long, rest...), err
}

// reportTorn reports what follows the last complete line of a file that is read.
func (r *reader) reportTorn(at Position) {
	if at.Segment == "" {
		return
	}
	info, err := r.fs.Stat(r.fs.PathJoin(r.dir, at.Segment))
	if err == nil && info.Size() > at.Offset {
		r.filter.Skipped(at.Segment, at.Offset, errTorn)
	}
}

func (r *reader) chosen(rec Record) bool {
	return (!r.filter.KMSOnly || rec.EventSource == kmsSource) && (r.filter.Since.IsZero() || !rec.EventTime.Before(r.filter.Since))
}
