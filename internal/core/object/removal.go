// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// removalBatch is how many streams are removed per commit.
const removalBatch = 256

// releaseSlack is how long the commit of a removal row may take from the time that
// is in it. Until then reads still begin that see the version that goes.
const releaseSlack = time.Minute

// RemoveDue removes the streams of versions that were replaced or deleted long
// enough ago, and returns how many. A stream stays while a read that began
// before its version went is under way. It can be stopped and repeated at any
// point: a missing stream is success. One that cannot be removed does not keep the
// others; the first such error is returned in the end.
func (o *Objects) RemoveDue(ctx context.Context) (int, error) {
	removed := 0
	var failed error
	start := []byte("x/")
	for {
		end := binary.BigEndian.AppendUint64([]byte("x/"), uint64(max(o.horizon().UnixMilli(), 0)))
		if bytes.Compare(start, end) >= 0 {
			return removed, failed
		}
		page, err := o.store.Scan(ctx, meta.Range{Start: start, End: end, Limit: removalBatch, KeysOnly: true})
		if err != nil {
			return removed, fmt.Errorf("scan removals: %w", err)
		}
		n, err := o.remove(ctx, page.Items)
		removed += n
		failed = cmp.Or(failed, err)
		if ctx.Err() != nil {
			return removed, ctx.Err()
		}
		if !page.More {
			return removed, failed
		}
		start = page.Next
	}
}

// horizon returns before when a removal row must be due to be carried out now: its
// version went before the oldest read under way began.
func (o *Objects) horizon() time.Time {
	now := time.Now()
	began, reading := o.reads.oldest()
	if safe := began.Add(o.cfg.RemoveAfter - releaseSlack); reading && safe.Before(now) {
		return safe
	}
	return now
}

// remove deletes the files first and the rows after, so that a crash between
// leaves rows that are removed again.
func (o *Objects) remove(ctx context.Context, rows []meta.Item) (int, error) {
	var batch meta.Batch
	var failed error
	removed := 0
	for _, row := range rows {
		if err := o.removeOne(ctx, &batch, row.Key); err != nil {
			failed = cmp.Or(failed, err)
			continue
		}
		removed++
	}
	if removed == 0 {
		return 0, failed
	}
	if err := o.commit(ctx, &batch); err != nil {
		return 0, err
	}
	return removed, failed
}

// removeOne deletes a stream's file and adds to the batch that its rows go. On an
// error it adds nothing.
func (o *Objects) removeOne(ctx context.Context, batch *meta.Batch, row []byte) error {
	var id blob.StreamID
	if len(row) != len("x/")+8+len(id) {
		return fault.New(meta.Damaged, "").Because(fmt.Errorf("removal row %q", row))
	}
	copy(id[:], row[len("x/")+8:])
	item, err := meta.Get1(ctx, o.store, locationKey(id))
	if err != nil {
		return fmt.Errorf("find stream: %w", err)
	}
	if item.Ver != 0 {
		loc, err := decodeLocation(item.Value)
		if err != nil {
			return err
		}
		switch loc.kind {
		case inFile, inPack:
			if err := o.blobs.Delete(ctx, id, loc.place()); err != nil {
				return fmt.Errorf("remove stream %s: %w", id, err)
			}
		case inRow:
			batch.Delete(inlineKey(id))
		}
		batch.Delete(item.Key)
	}
	batch.Delete(row)
	return nil
}
