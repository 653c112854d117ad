// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"encoding/binary"
	"errors"
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

// Sweep takes streams that no row names, left by a crash or a failed request,
// out of the blob store once they are old enough: each is first claimed by a row
// that must not exist yet, so that a slow writer's commit fails instead of naming
// a stream that is gone, and then moved to the trash, where it stays for
// trashDays. It returns how many streams it moved.
func (o *Objects) Sweep(ctx context.Context) (int, error) {
	var after blob.StreamID
	moved := 0
	for {
		infos, err := o.blobs.List(ctx, after, 1000)
		if err != nil {
			return moved, fmt.Errorf("list streams: %w", err)
		}
		if len(infos) == 0 {
			break
		}
		for _, info := range infos {
			after = info.ID
			if time.Since(info.Modified) < orphanAge {
				continue
			}
			orphan, err := o.claim(ctx, info.ID)
			if err != nil {
				return moved, err
			}
			if !orphan {
				continue
			}
			if err := o.blobs.MoveToTrash(ctx, info.ID); err != nil {
				return moved, fmt.Errorf("move orphan %s to trash: %w", info.ID, err)
			}
			moved++
		}
	}
	if _, err := o.blobs.EmptyTrash(ctx, time.Now().Add(-trashAge)); err != nil {
		return moved, fmt.Errorf("empty trash: %w", err)
	}
	return moved, nil
}

const (
	orphanAge = 24 * time.Hour
	trashAge  = 7 * 24 * time.Hour
)

// claim reports whether the stream is an orphan; if so, no commit can name it any
// more.
func (o *Objects) claim(ctx context.Context, id blob.StreamID) (bool, error) {
	item, err := meta.Get1(ctx, o.store, locationKey(id))
	if err != nil {
		return false, fmt.Errorf("find stream: %w", err)
	}
	if item.Ver != 0 {
		loc, err := decodeLocation(item.Value)
		return err == nil && loc.kind == swept, err // claimed before a crash
	}
	var b meta.Batch
	b.PutIf(locationKey(id), location{kind: swept}.encode(), 0)
	_, err = o.store.Commit(ctx, &b)
	var conflict *meta.ConflictError
	if errors.As(err, &conflict) { // its writer was only slow
		return false, nil
	}
	return err == nil, err
}
