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

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Kind is what is wrong with a place in the trail.
type Kind string

// The kinds.
const (
	Changed    Kind = "changed"    // a line is not the one that was written there, or lines before it are gone
	Missing    Kind = "missing"    // between the ends of two files
	Moved      Kind = "moved"      // a line stands where it was not written
	Unchained  Kind = "unchained"  // a record without a chain value, after others had one
	NotRecord  Kind = "not-record" // a line that is not JSON
	Torn       Kind = "torn"       // a file ends within a line
	Beginning  Kind = "beginning"  // the first line is not what the trail is known to begin with
	Head       Kind = "head"       // the head that the metadata store knows is not in the files
	Unreadable Kind = "unreadable" // the rest of a file cannot be read
	Gap        Kind = "gap"        // calls were served without a record
)

// Finding is something about a place in the trail.
type Finding struct {
	Kind   Kind   `json:"kind"`
	File   string `json:"file,omitempty"`
	Offset int64  `json:"offset"` // in bytes, where the line begins
	Line   int64  `json:"line"`   // in the file, from 1; 0: none
	Text   string `json:"text"`
	// Note says that it is explained and no fault.
	Note bool `json:"note,omitempty"`
}

// maxLine bounds a line: what is longer is no record.
const maxLine = maxEvent + 1<<10

// walk goes along the chain.
type walk struct {
	fs     vfs.FS
	dir    string
	report func(Finding)
	// line, if set, is called with each record as it is in its file, and with where the
	// next begins.
	line func(text []byte, next Position) error

	chainer chainer
	prev    Chain // value of the line before
	begun   bool  // there was a line with a value
	alt     Chain // what that should have been, if it was not right
	hasAlt  bool
	lost    bool // the line before was no record: what the next one continues is not known

	recent   [recentLines]seen // lines before, to find out where one belongs; a ring
	newest   int
	searches int

	last      Position // behind the last line with a value
	bytes     int64
	records   int64  // with a value
	unchained int64  // before the chain began
	first     []byte // the line with which the chain does not begin as it should
}

type seen struct {
	value  Chain
	at     Position
	number int64
}

const (
	recentLines = 1024
	maxSearches = 1000
)

func newWalk(f vfs.FS, dir string, report func(Finding)) *walk {
	return &walk{fs: f, dir: dir, report: report, chainer: newChainer()}
}

// file goes along a file from a position up to an offset. What is wrong with it is
// reported; the error is ctx's, or that of line.
func (w *walk) file(ctx context.Context, at Position, end int64) error {
	number := int64(1)
	if at.Offset > 0 {
		number = 0 // not known
	}
	unreadable := func(err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.report(Finding{Kind: Unreadable, File: at.Segment, Offset: at.Offset, Line: number, Text: "the rest of the file cannot be read: " + err.Error()})
		w.lost = true
		return nil
	}
	f, err := w.fs.Open(w.fs.PathJoin(w.dir, at.Segment))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed since
	}
	if err != nil {
		return unreadable(err)
	}
	defer f.Close()
	lines := bufio.NewReaderSize(io.NewSectionReader(f, at.Offset, end-at.Offset), maxLine)
	first := at.Offset == 0
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, err := lines.ReadSlice('\n')
		long := false
		size := int64(len(line))
		for err == bufio.ErrBufferFull {
			long = true
			line, err = lines.ReadSlice('\n')
			size += int64(len(line))
		}
		switch {
		case err == io.EOF && size > 0:
			w.bytes += size
			w.report(Finding{Kind: Torn, File: at.Segment, Offset: at.Offset, Line: number, Note: true,
				Text: fmt.Sprintf("the file ends within a line, after %d bytes of it: a write did not end", size)})
			return nil
		case err == io.EOF:
			return nil
		case err != nil:
			return unreadable(err)
		}
		next := Position{at.Segment, at.Offset + size}
		if long {
			w.noRecord(at, number, fmt.Sprintf("the line has %d bytes, more than a record can have", size))
		} else if err := w.one(line[:size-1], at, next, number, first); err != nil {
			return err
		}
		w.bytes += size
		at, first = next, false
		if number > 0 {
			number++
		}
	}
}

func (w *walk) noRecord(at Position, number int64, text string) {
	w.report(Finding{Kind: NotRecord, File: at.Segment, Offset: at.Offset, Line: number, Text: text})
	w.lost = true
}

// one takes a line, without its newline.
func (w *walk) one(line []byte, at, next Position, number int64, first bool) error {
	n, value, ok := chainOf(line)
	if !ok {
		return w.withoutValue(line, at, next, number)
	}
	want := w.chainer.next(&w.prev, line[:n])
	right := want == value || w.hasAlt && w.chainer.next(&w.alt, line[:n]) == value
	if w.hasAlt = !right; !right {
		w.alt = want
		w.broken(line, n, value, at, number, first)
	}
	w.prev, w.begun, w.lost, w.last = value, true, false, next
	w.records++
	w.remember(value, at, number)
	if w.line != nil {
		return w.line(line, next)
	}
	return nil
}

func (w *walk) withoutValue(line []byte, at, next Position, number int64) error {
	switch {
	case !isRecord(line) || !json.Valid(line):
		w.noRecord(at, number, "the line is no JSON record")
		return nil
	case w.begun:
		w.report(Finding{Kind: Unchained, File: at.Segment, Offset: at.Offset, Line: number,
			Text: "the record has no chain value: it was changed, or put there"})
		w.alt, w.hasAlt = w.chainer.next(&w.prev, line[:len(line)-1]), true
	default:
		w.unchained++
	}
	if w.line != nil {
		return w.line(line, next)
	}
	return nil
}

// broken reports a line that does not continue the one before it.
func (w *walk) broken(line []byte, n int, value Chain, at Position, number int64, first bool) {
	found := Finding{Kind: Changed, File: at.Segment, Offset: at.Offset, Line: number}
	switch {
	case w.lost:
		return // the place is reported
	case !json.Valid(line):
		found.Text = "the line was changed: it is no JSON any more"
	case !w.begun:
		found.Kind, found.Text = Beginning, "the trail does not begin here: what was before is missing"
		w.first = bytes.Clone(line)
	default:
		if after, ok := w.belongs(line[:n], value); ok {
			found.Kind, found.Text = Moved, "the line stands out of order: it was written after "+after
		} else if first {
			found.Kind, found.Text = Missing, "the file does not continue the one before it: lines at the end of that, or whole files, are missing"
		} else {
			found.Text = "the line does not continue the one before it: it was changed, or lines before it are missing"
		}
	}
	w.report(found)
}

// belongs looks for the line that a line continues.
func (w *walk) belongs(open []byte, value Chain) (after string, ok bool) {
	if w.searches++; w.searches > maxSearches {
		return "", false
	}
	if w.chainer.next(&Chain{}, open) == value {
		return "the beginning of the trail", true
	}
	for i := range w.recent {
		if w.recent[i].at.Segment != "" && w.chainer.next(&w.recent[i].value, open) == value {
			s := &w.recent[i]
			return fmt.Sprintf("line %d of %s (byte %d)", s.number, s.at.Segment, s.at.Offset), true
		}
	}
	return "", false
}

func (w *walk) remember(value Chain, at Position, number int64) {
	w.newest = (w.newest + 1) % recentLines
	w.recent[w.newest] = seen{value, at, number}
}
