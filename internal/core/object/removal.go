// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// removalBatch is how many streams are removed per commit.
const removalBatch = 256

// RemoveDue removes the streams of versions that were replaced or deleted long
// enough ago, and returns how many. A stream stays while a read that began
// before its version went is under way. It can be stopped and repeated at any
// point: a missing stream is success.
func (o *Objects) RemoveDue(ctx context.Context) (int, error) {
	removed := 0
	start := []byte("x/")
	for {
		// A row is due when its version went before the oldest read began.
		horizon := min(time.Now().UnixMilli(), o.reads.oldest().Add(o.cfg.RemoveAfter).UnixMilli())
		end := binary.BigEndian.AppendUint64([]byte("x/"), uint64(max(horizon, 0)))
		page, err := o.store.Scan(ctx, meta.Range{Start: start, End: end, Limit: removalBatch, KeysOnly: true})
		if err != nil {
			return removed, fmt.Errorf("scan removals: %w", err)
		}
		if len(page.Items) == 0 {
			return removed, nil
		}
		if err := o.remove(ctx, page.Items); err != nil {
			return removed, err
		}
		removed += len(page.Items)
		if !page.More {
			return removed, nil
		}
		start = page.Next
	}
}

// remove deletes the files first and the rows after, so that a crash between
// leaves rows that are removed again.
func (o *Objects) remove(ctx context.Context, rows []meta.Item) error {
	var batch meta.Batch
	for _, row := range rows {
		var id blob.StreamID
		if len(row.Key) != len("x/")+8+len(id) {
			return fmt.Errorf("removal row %q", row.Key)
		}
		copy(id[:], row.Key[len("x/")+8:])
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
			case inFile:
				if err := o.blobs.Delete(ctx, id); err != nil {
					return fmt.Errorf("remove stream %s: %w", id, err)
				}
			case inRow:
				batch.Delete(inlineKey(id))
			}
			batch.Delete(item.Key)
		}
		batch.Delete(row.Key)
	}
	return o.commit(ctx, &batch)
}
