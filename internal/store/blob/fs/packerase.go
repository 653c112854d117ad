// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// delete erases a stream's frame, once nobody reads it any more, and reports
// whether there was one. What is at its place and is not this stream stays.
func (s *packs) delete(id blob.StreamID, at blob.Place) (found bool, err error) {
	p := s.find(at.Pack)
	if p == nil {
		return false, nil
	}
	p.change.Lock()
	defer p.change.Unlock()
	f, err := p.begin(at.Offset)
	if err == nil {
		defer p.letGo()
		if _, err = p.head(f, id, at); err != nil {
			p.leave(at.Offset)
		}
	}
	switch {
	case errors.Is(err, blob.NotFound), errors.Is(err, blob.Damaged):
		return false, nil
	case err != nil:
		return false, err
	}
	p.doom(at.Offset)
	if !p.leave(at.Offset) { // its last reader does
		return true, nil
	}
	return true, p.erase(at.Offset)
}

// erase gives the room of a deleted frame back, and removes the pack if it was the
// last. Nothing is synced: what a crash brings back has no metadata, and the orphan
// sweep finds it. change is held.
func (p *pack) erase(off int64) error {
	defer p.still(off)
	f, err := p.set.fs.OpenReadWrite(p.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return failure(err, "open pack %q", p.path)
	}
	h, s, err := p.headAt(f, off)
	if err == nil && s == whole {
		err = p.blank(f, h)
	}
	if closeErr := f.Close(); err == nil && closeErr != nil {
		err = failure(closeErr, "close pack %q", p.path)
	}
	if err != nil || s != whole {
		return err
	}
	p.mu.Lock()
	p.streams--
	p.bytes -= room(h.size)
	p.mu.Unlock()
	p.set.m.erased.Add(float64(room(h.size)))
	return p.tidy(off)
}

// blank punches a hole where a frame is. Where that cannot be done, the frame is
// marked as gone, and its room comes back with the pack's.
func (p *pack) blank(f vfs.File, h frameHead) error {
	err := p.set.punch(f, h.at, room(h.size))
	if err == nil {
		p.set.m.punched.Add(float64(room(h.size)))
		return nil
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		return failure(err, "punch a hole into pack %q at %d", p.path, h.at)
	}
	h.gone = true
	var b [headSize]byte
	h.encode(b[:])
	if _, err := f.WriteAt(b[:], h.at); err != nil {
		return failure(err, "mark a stream of pack %q at %d as gone", p.path, h.at)
	}
	return nil
}

// tidy removes a full pack in which no stream is left. The frame at an offset is
// being erased; 0 is none. What is in the pack is looked at once more before.
// If that is more than frames, torn by a crash or damaged, the pack goes to the
// trash instead. change is held.
func (p *pack) tidy(erasing int64) error {
	p.mu.Lock()
	delete(p.frames, erasing)
	empty := p.full && p.counted && p.streams == 0 && len(p.frames) == 0 && !p.gone
	p.mu.Unlock()
	if !empty {
		return nil
	}
	odd, err := p.recount()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams > 0 || len(p.frames) > 0 {
		return nil
	}
	if odd == 0 {
		err = p.set.fs.Remove(p.path)
	} else {
		err = p.set.discard(p)
	}
	if err != nil && !missing(err) {
		return failure(err, "remove pack %q", p.path)
	}
	p.gone = true
	p.closeIdle()
	p.set.forget(p)
	return nil
}

// discard moves a pack to the trash.
func (s *packs) discard(p *pack) error {
	if err := s.fs.Rename(p.path, s.fs.PathJoin(s.trash.path, trashPack(p.id, time.Now()))); err != nil {
		return err
	}
	for _, dir := range []*directory{s.trash, s.dir} {
		if err := dir.sync(); err != nil {
			return fmt.Errorf("sync the move to the trash: %w", err)
		}
	}
	return nil
}
