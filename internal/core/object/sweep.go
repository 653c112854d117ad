// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const (
	orphanAge = 24 * time.Hour
	trashAge  = 7 * 24 * time.Hour
)

// Sweep removes what failed requests and crashes left behind: parts whose upload
// is over, and streams that no row names. It returns how much it found, and can be
// stopped and repeated at any point.
func (o *Objects) Sweep(ctx context.Context) (int, error) {
	parts, err := o.sweepParts(ctx)
	if err != nil {
		return parts, err
	}
	streams, err := o.sweepStreams(ctx)
	return parts + streams, err
}

// sweepParts removes parts that were stored while their upload was completed or
// given up.
func (o *Objects) sweepParts(ctx context.Context) (int, error) {
	r := meta.Range{Start: []byte("up/"), End: meta.PrefixEnd([]byte("up/"))}
	swept := 0
	for {
		page, err := o.store.Scan(ctx, r)
		if err != nil {
			return swept, fmt.Errorf("read parts: %w", err)
		}
		var lost []partRow
		for _, item := range page.Items {
			p, err := decodeUploadedPart(item.Value)
			if err != nil {
				return swept, err
			}
			up, err := meta.Get1(ctx, o.store, p.Upload)
			if err != nil {
				return swept, fmt.Errorf("find upload: %w", err)
			}
			if up.Ver == 0 {
				lost = append(lost, partRow{p, item.Key, item.Ver})
			}
		}
		if len(lost) > 0 {
			var batch meta.Batch
			o.dropParts(&batch, lost)
			if err := o.commit(ctx, &batch); err != nil {
				return swept, err
			}
			swept += len(lost)
		}
		if !page.More {
			return swept, nil
		}
		r.Start = page.Next
	}
}

// sweepStreams takes streams that no row names out of the blob store once they
// are old enough: each is first claimed by a row that must not exist yet, so that
// a slow writer's commit fails instead of naming a stream that is gone, and then
// moved to the trash, where it stays for another while.
func (o *Objects) sweepStreams(ctx context.Context) (int, error) {
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
