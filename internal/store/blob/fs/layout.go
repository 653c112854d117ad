// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/blob"
)

const (
	fanOut    = 1 << 12 // directories of streams
	lockName  = "LOCK"
	trashName = "trash"
)

// dirOf returns the directory of a stream: the first three hex digits of its id.
func (s *Store) dirOf(id blob.StreamID) *directory { return s.dirs[dirIndex(id)] }

func dirIndex(id blob.StreamID) int { return int(id[0])<<4 | int(id[1])>>4 }

// prepare makes what is missing of the layout, durably, and takes the lock. A
// directory listing, not a mark, says what is missing, so that a copy or a
// restore that left out empty directories is repaired too.
func (s *Store) prepare() error {
	if err := s.makeDurable(s.dir); err != nil {
		return err
	}
	lock, err := s.fs.Lock(s.fs.PathJoin(s.dir, lockName))
	if err != nil {
		return fmt.Errorf("lock, which another process may hold: %w", err)
	}
	s.lock = lock
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(names))
	for _, name := range names {
		there[name] = true
	}
	make1 := func(name string) (*directory, error) {
		path := s.fs.PathJoin(s.dir, name)
		if !there[name] {
			if err := s.fs.MkdirAll(path, 0o700); err != nil {
				return nil, err
			}
		}
		return newDirectory(s.fs, path), nil
	}
	for i := range s.dirs {
		if s.dirs[i], err = make1(fmt.Sprintf("%03x", i)); err != nil {
			return err
		}
	}
	if s.trash, err = make1(trashName); err != nil {
		return err
	}
	s.packs.trash = s.trash
	if s.packs.dir, err = make1(packsName); err != nil {
		return err
	}
	if err := s.packs.load(); err != nil {
		return err
	}
	// Always: what is there may have been made by a process that died before
	// it came to this line.
	return syncDir(s.fs, s.dir)
}

// makeDurable makes dir with its parents, and syncs the parent of each.
func (s *Store) makeDurable(dir string) error {
	parent := s.fs.PathDir(dir)
	if parent == dir {
		return nil
	}
	if err := s.makeDurable(parent); err != nil {
		return err
	}
	_, err := s.fs.Stat(dir)
	if err == nil {
		// It may have been made by a process that died before it could sync.
		// Far more often it is older, and so far up that we may not open its
		// parent, or that is of a kind that cannot sync: no reason to fail.
		_ = syncDir(s.fs, parent)
		return nil
	}
	if !missing(err) {
		return err
	}
	if err := s.fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(s.fs, parent)
}

// syncDir syncs a directory of which no descriptor is kept.
func syncDir(fs vfs.FS, path string) error {
	f, err := fs.OpenDir(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
