// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// cursorRows is the prefix of the rows that say how far a sink has come.
const cursorRows = "as/"

func cursorKey(sink string) []byte { return append([]byte(cursorRows), sink...) }

// cursor is a row as/<name of the sink>. docs/formats.md, section 11.
type cursor struct {
	Version int            `json:"version"`
	At      audit.Position `json:"at"`
	// Removed is since when the sink is not in the configuration any more. The trail is
	// not held for it, and it goes on from here should it come back.
	Removed time.Time `json:"removed,omitzero"`
}

const cursorVersion = 1

// encode cannot fail: a cursor is text, a number and a time.
func (c cursor) encode() []byte {
	c.Version = cursorVersion
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return b
}

func decodeCursor(it meta.Item) (cursor, error) {
	var c cursor
	err := json.Unmarshal(it.Value, &c)
	if err == nil && (c.Version != cursorVersion || c.At.Offset < 0) {
		err = fmt.Errorf("version %d, offset %d", c.Version, c.At.Offset)
	}
	if err != nil {
		return cursor{}, fault.New(meta.Damaged, "").Because(fmt.Errorf("row %q of an audit sink: %w", it.Key, err))
	}
	return c, nil
}

// cursors returns the rows of all sinks that there ever were.
func cursors(ctx context.Context, rows meta.Store) (map[string]cursor, error) {
	out := map[string]cursor{}
	prefix := []byte(cursorRows)
	for next := (meta.Range{Start: prefix, End: meta.PrefixEnd(prefix)}); ; {
		page, err := rows.Scan(ctx, next)
		if err != nil {
			return nil, fmt.Errorf("read how far audit sinks have come: %w", err)
		}
		for _, it := range page.Items {
			c, err := decodeCursor(it)
			if err != nil {
				return nil, err
			}
			out[string(it.Key[len(cursorRows):])] = c
		}
		if !page.More {
			return out, nil
		}
		next.Start = page.Next
	}
}

// store makes a cursor durable.
func store(ctx context.Context, rows meta.Store, sink string, c cursor) error {
	var b meta.Batch
	b.Put(cursorKey(sink), c.encode())
	_, err := rows.Commit(ctx, &b)
	return err
}
