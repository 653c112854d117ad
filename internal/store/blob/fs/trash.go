// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// MoveToTrash renames the stream's file. It is durable on return: the trash is
// synced before the directory that the file left, so that no crash loses it.
func (s *Store) MoveToTrash(ctx context.Context, id blob.StreamID) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
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

// EmptyTrash removes the files of streams moved to the trash before a time.
// Other files there are left alone.
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

func parseTrashFile(name string) (moved time.Time, ok bool) {
	when, which, _ := strings.Cut(name, "-")
	ns, err := strconv.ParseInt(when, 16, 64)
	id, ok := parseID(which)
	if err != nil || !ok || trashFile(id, time.Unix(0, ns)) != name {
		return time.Time{}, false
	}
	return time.Unix(0, ns), true
}
