// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// MoveToTrash renames the stream's file. It is durable on return: the trash is
// synced before the directory that the file left, so that no crash loses it. A
// packed stream is copied to a file in the trash, and erased when that is durable;
// a crash between leaves it in both places.
func (s *Store) MoveToTrash(ctx context.Context, id blob.StreamID, at blob.Place) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if at.Packed() {
		if found, err := s.trashPacked(ctx, id, at); found || err != nil {
			return err
		}
	}
	d := s.dirOf(id)
	if d.unfinished(id) {
		return nil
	}
	to := s.fs.PathJoin(s.trash.path, trashFile(id, time.Now()))
	if err := s.fs.Rename(d.file(id), to); err != nil {
		if _, statErr := s.fs.Stat(d.file(id)); missing(statErr) {
			return nil
		}
		return failure(err, "move stream %s to the trash", id)
	}
	for _, dir := range []*directory{s.trash, d} {
		if err := dir.sync(); err != nil {
			return failure(err, "sync the move of stream %s to the trash", id)
		}
	}
	return nil
}

// trashPacked moves a packed stream to the trash and reports whether it was there.
func (s *Store) trashPacked(ctx context.Context, id blob.StreamID, at blob.Place) (found bool, err error) {
	r, err := s.packs.read(ctx, id, at)
	switch {
	case errors.Is(err, blob.NotFound), errors.Is(err, blob.Damaged):
		return false, nil
	case err != nil:
		return false, err
	}
	path := s.fs.PathJoin(s.trash.path, trashFile(id, time.Now()))
	err = s.copyOut(path, r.cut(at.Size, 0, -1))
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = s.trash.sync()
	}
	if err != nil {
		return true, failure(err, "copy stream %s to the trash", id)
	}
	_, err = s.packs.delete(id, at)
	return true, err
}

// copyOut makes a durable file of a stream; of one that a crash tore, of what there
// is.
func (s *Store) copyOut(path string, from io.Reader) error {
	to, err := s.createFile(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	if err == nil {
		err = to.Sync()
	}
	if closeErr := to.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = s.fs.Remove(path)
	}
	return err
}

// EmptyTrash removes what was moved to the trash before a time. Other files there
// are left alone.
func (s *Store) EmptyTrash(ctx context.Context, before time.Time) (n int, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	names, err := s.fs.List(s.trash.path)
	if err != nil {
		return 0, failure(err, "list %q", s.trash.path)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		moved, ok := parseTrashFile(name)
		if !ok || !moved.Before(before) {
			continue
		}
		switch err := s.fs.Remove(s.fs.PathJoin(s.trash.path, name)); {
		case missing(err): // another call was faster
		case err != nil:
			return n, failure(err, "remove %q from the trash", name)
		default:
			n++
		}
	}
	return n, nil
}

// trashFile names a stream's file in the trash. The time is in the name because
// a rename leaves the file's own times as they were.
func trashFile(id blob.StreamID, moved time.Time) string {
	return fmt.Sprintf("%016x-%s", moved.UnixNano(), id)
}

// trashPack names a pack's file in the trash.
func trashPack(id uint64, moved time.Time) string {
	return fmt.Sprintf("%016x-%s", moved.UnixNano(), packName(id))
}

func parseTrashFile(name string) (moved time.Time, ok bool) {
	when, which, _ := strings.Cut(name, "-")
	ns, err := strconv.ParseInt(when, 16, 64)
	if err != nil {
		return time.Time{}, false
	}
	moved = time.Unix(0, ns)
	if id, ok := parseID(which); ok {
		return moved, trashFile(id, moved) == name
	}
	id, ok := parsePackName(which)
	return moved, ok && trashPack(id, moved) == name
}
