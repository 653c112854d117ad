// SPDX-License-Identifier: Apache-2.0

package object

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
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
// stopped and repeated at any point. What it cannot look at does not keep it from
// the rest; the first such error is returned in the end.
func (o *Objects) Sweep(ctx context.Context) (int, error) {
	parts, failed := o.sweepParts(ctx)
	streams, err := o.sweepStreams(ctx)
	return parts + streams, cmp.Or(failed, err)
}

// sweepParts removes parts that were stored while their upload was completed or
// given up.
func (o *Objects) sweepParts(ctx context.Context) (swept int, failed error) {
	r := meta.Range{Start: []byte("up/"), End: meta.PrefixEnd([]byte("up/"))}
	for {
		page, err := o.scanAround(ctx, r, func(_ []byte, err error) { failed = cmp.Or(failed, err) })
		if err != nil {
			return swept, fmt.Errorf("read parts: %w", err)
		}
		var lost []partRow
		for _, item := range page.Items {
			p, over, err := o.partOver(ctx, item)
			if failed = cmp.Or(failed, err); over {
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
		if !page.More || ctx.Err() != nil {
			return swept, cmp.Or(failed, ctx.Err())
		}
		r.Start = page.Next
	}
}

// partOver reports whether a part's upload is over.
func (o *Objects) partOver(ctx context.Context, row meta.Item) (*uploadedPart, bool, error) {
	p, err := decodeUploadedPart(row.Value)
	if err != nil {
		return nil, false, err
	}
	up, err := meta.Get1(ctx, o.store, p.Upload)
	if err != nil {
		return nil, false, fmt.Errorf("find upload: %w", err)
	}
	return p, up.Ver == 0, nil
}

// sweepStreams takes streams that no row names out of the blob store once they
// are old enough: each is first claimed by a row that must not exist yet, so that
// a slow writer's commit fails instead of naming a stream that is gone, and then
// moved to the trash, where it stays for another while.
func (o *Objects) sweepStreams(ctx context.Context) (moved int, failed error) {
	var after blob.Info
	for {
		infos, err := o.blobs.List(ctx, after, 1000)
		if err != nil {
			failed = cmp.Or(failed, fmt.Errorf("list streams: %w", err))
		}
		if len(infos) == 0 {
			break
		}
		for _, info := range infos {
			after = info
			if time.Since(info.Modified) < orphanAge || o.making.has(info.ID) {
				continue
			}
			orphan, err := o.claim(ctx, info.ID)
			if err == nil && orphan {
				err = o.blobs.MoveToTrash(ctx, info.ID, info.At)
			}
			if ctx.Err() != nil {
				return moved, ctx.Err()
			}
			switch {
			case err != nil:
				failed = cmp.Or(failed, fmt.Errorf("sweep stream %s: %w", info.ID, err))
			case orphan:
				moved++
			}
		}
	}
	if _, err := o.blobs.EmptyTrash(ctx, time.Now().Add(-trashAge)); err != nil {
		failed = cmp.Or(failed, fmt.Errorf("empty trash: %w", err))
	}
	return moved, failed
}

// making are streams that no row names yet, and that may become older than orphans do: an object
// of many parts is replicated at once.
type making struct {
	mu  sync.Mutex
	ids map[blob.StreamID]bool
}

func (m *making) add(streams ...stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ids == nil {
		m.ids = map[blob.StreamID]bool{}
	}
	for i := range streams {
		m.ids[streams[i].Stream] = true
	}
}

func (m *making) remove(streams []stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range streams {
		delete(m.ids, streams[i].Stream)
	}
}

func (m *making) has(id blob.StreamID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ids[id]
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
