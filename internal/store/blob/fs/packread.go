// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// read returns a reader of a packed stream, whose range is still to be cut. The
// frame stays as long as the reader is open.
func (s *packs) read(ctx context.Context, id blob.StreamID, at blob.Place) (*reader, error) {
	p := s.find(at.Pack)
	if p == nil {
		return nil, errNotFound(id)
	}
	f, err := p.begin(at.Offset)
	if errors.Is(err, blob.NotFound) {
		return nil, errNotFound(id)
	}
	if err != nil {
		return nil, err
	}
	if _, err := p.head(f, id, at); err != nil {
		p.end(at.Offset)
		return nil, err
	}
	done := func() error { p.end(at.Offset); return nil }
	return &reader{ctx: ctx, file: f, done: done, id: id, base: at.Offset + headSize}, nil
}

func (s *packs) stat(id blob.StreamID, at blob.Place) (blob.Info, error) {
	p := s.find(at.Pack)
	if p == nil {
		return blob.Info{}, errNotFound(id)
	}
	f, err := p.begin(at.Offset)
	if err != nil {
		return blob.Info{}, err
	}
	defer p.end(at.Offset)
	h, err := p.head(f, id, at)
	if err != nil {
		return blob.Info{}, err
	}
	return h.info(), nil
}

func (h frameHead) info() blob.Info {
	return blob.Info{
		ID: h.id, At: blob.Place{Pack: h.pack, Offset: h.at, Size: h.size},
		Size: h.size, Modified: time.UnixMilli(h.written),
	}
}

// list appends the packed streams after a place to found until there are limit. The
// packs on the way are counted, and removed if nothing is in them. One that cannot be
// read does not keep the others: it returns the first such error beside them.
func (s *packs) list(ctx context.Context, found []blob.Info, after blob.Place, limit int) ([]blob.Info, error) {
	var failed error
	for _, p := range s.from(after.Pack) {
		if len(found) == limit {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		off := int64(pageSize)
		if p.id == after.Pack {
			off = after.Offset + room(after.Size)
		} else {
			failed = cmp.Or(failed, p.survey())
		}
		var err error
		found, err = p.list(found, off, limit)
		failed = cmp.Or(failed, err)
	}
	return found, failed
}

// survey counts a full pack, and removes it if nothing is in it. What this process
// has counted itself is counted again: of a failed sync it cannot know what was lost.
func (p *pack) survey() error {
	p.change.Lock()
	defer p.change.Unlock()
	p.mu.Lock()
	settled := p.full
	for _, m := range p.frames {
		settled = settled && !m.writing
	}
	p.mu.Unlock()
	if !settled {
		return nil
	}
	if _, err := p.recount(); errors.Is(err, blob.NotFound) { // it was removed meanwhile
		return nil
	} else if err != nil {
		return err
	}
	return p.tidy(0)
}

// list appends the streams from an offset on that are there.
func (p *pack) list(found []blob.Info, off int64, limit int) ([]blob.Info, error) {
	f, err := p.hold()
	if errors.Is(err, blob.NotFound) {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	defer p.letGo()
	_, err = p.walk(f, off, func(h frameHead) bool {
		p.mu.Lock()
		m := p.frames[h.at]
		hidden := m != nil && (m.writing || m.doomed)
		p.mu.Unlock()
		if !hidden {
			found = append(found, h.info())
		}
		return len(found) < limit
	})
	return found, err
}
