// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// The chain alone says nothing of its end: who cuts off lines, or writes all of them anew,
// leaves a chain that is right in itself. So its head is kept in the metadata store, whose
// rows have codes. The row is put with the commits that clear the journal, and so costs no
// sync of its own while something is written.
var (
	headRow = []byte("ah/head")
	cutRow  = []byte("ah/cut")
)

// anchorEvery is how old the row may be when only reads are recorded, for which nothing
// is in the journal.
const anchorEvery = 10 * time.Second

// Anchor is a place in the chain: what the files have up to it is durable.
type Anchor struct {
	Position       // after the line
	Chain    Chain `json:"chain"`   // value of the line
	Records  int64 `json:"records"` // in the chain up to it, since there is this row
}

// anchorRow is ah/head. docs/formats.md, "Audit files".
type anchorRow struct {
	Version int `json:"version"`
	Anchor
	Clean bool `json:"clean"` // the trail was closed here
}

// Cut is where the trail begins since files were dropped.
type Cut struct {
	Segment string `json:"segment"` // the newest file that was dropped
	Chain   Chain  `json:"chain"`   // value of its last line: what the next file's first continues
}

type cutRowValue struct {
	Version int `json:"version"`
	Cut
}

// readAnchors reads the rows. Both are nil where there are none. With an error that is
// Damaged the row that is well is returned all the same.
func readAnchors(ctx context.Context, rows meta.Store) (head *anchorRow, cut *Cut, err error) {
	var h anchorRow
	there, headErr := readAnchor(ctx, rows, headRow, &h)
	if _, ok := parseName(h.Segment); there && headErr == nil && (h.Version != 1 || !ok || h.Offset < 0) {
		headErr = damagedRow(headRow, errValue)
	}
	if there && headErr == nil {
		head = &h
	}
	var c cutRowValue
	there, cutErr := readAnchor(ctx, rows, cutRow, &c)
	if _, ok := parseName(c.Segment); there && cutErr == nil && (c.Version != 1 || !ok) {
		cutErr = damagedRow(cutRow, errValue)
	}
	if there && cutErr == nil {
		cut = &c.Cut
	}
	if headErr == nil || cutErr != nil && !errors.Is(cutErr, meta.Damaged) {
		headErr = cutErr
	}
	return head, cut, headErr
}

// readAnchor reads one of the rows.
func readAnchor(ctx context.Context, rows meta.Store, key []byte, into any) (there bool, err error) {
	it, err := meta.Get1(ctx, rows, key)
	if err != nil {
		return false, fmt.Errorf("audit: read the chain's rows: %w", err)
	}
	if it.Ver == 0 {
		return false, nil
	}
	if err := json.Unmarshal(it.Value, into); err != nil {
		return true, damagedRow(key, err)
	}
	return true, nil
}

var errValue = errors.New("a value that it cannot have")

func damagedRow(key []byte, err error) error {
	return fault.New(meta.Damaged, "").Because(fmt.Errorf("row %q of the audit trail: %w", key, err))
}

// mark is the end of a complete line in a file.
type mark struct {
	end     int64
	chain   Chain
	records int64
}

// Anchor returns the durable head of the chain. With an offset of 0 it has no line yet.
func (t *Trail) Anchor() Anchor {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.anchor()
}

// anchor is Anchor with mu held.
func (t *Trail) anchor() Anchor {
	if len(t.open) > 0 && t.open[0].sure.end > 0 {
		return anchorAt(t.open[0])
	}
	return t.settledAt
}

func anchorAt(s *segment) Anchor {
	return Anchor{Position{s.name, s.sure.end}, s.sure.chain, s.sure.records}
}

// putAnchor adds the row to a batch.
func putAnchor(b *meta.Batch, a Anchor, clean bool) error {
	value, err := json.Marshal(anchorRow{1, a, clean})
	if err != nil {
		return err
	}
	b.Put(headRow, value)
	return nil
}

// findAnchor reports whether the line that ends at an anchor has its value.
func findAnchor(f vfs.FS, dir string, a Anchor) (bool, error) {
	if a.Offset == 0 { // there was none yet
		return true, nil
	}
	file, err := f.Open(f.PathJoin(dir, a.Segment))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	tail := make([]byte, chainSize+3) // with a byte before, the brace behind and the newline
	from := a.Offset - int64(len(tail))
	if from < 0 {
		return false, nil
	}
	if n, err := file.ReadAt(tail, from); n < len(tail) {
		if err == nil || err == io.EOF {
			return false, nil
		}
		return false, err
	}
	_, value, ok := chainOf(tail[:len(tail)-1])
	return ok && value == a.Chain && tail[len(tail)-1] == '\n', nil
}

// tailBytes of a file hold a line, whatever follows it of one that was torn.
const tailBytes = 2 * (maxEvent + 1<<10)

// lastChain returns the last complete line that has a value; without a segment there is
// none.
func lastChain(f vfs.FS, dir string, names []string) (Anchor, error) {
	for i := len(names) - 1; i >= 0; i-- {
		if a, err := lastChainIn(f, dir, names[i]); a.Segment != "" || err != nil {
			return a, err
		}
	}
	return Anchor{}, nil
}

func lastChainIn(f vfs.FS, dir, name string) (a Anchor, err error) {
	file, err := f.Open(f.PathJoin(dir, name))
	if err != nil {
		return a, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return a, err
	}
	tail := make([]byte, min(info.Size(), tailBytes))
	from := info.Size() - int64(len(tail))
	if _, err := file.ReadAt(tail, from); err != nil && err != io.EOF {
		return a, err
	}
	for {
		end := bytes.LastIndexByte(tail, '\n')
		if end < 0 {
			return a, nil
		}
		tail = tail[:end]
		if _, value, ok := chainOf(tail[bytes.LastIndexByte(tail, '\n')+1:]); ok {
			return Anchor{Position: Position{name, from + int64(end) + 1}, Chain: value}, nil
		}
	}
}
