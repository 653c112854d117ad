// SPDX-License-Identifier: Apache-2.0

// Package fs is the blob store in a directory. A stream that is announced as small
// is a frame of a pack file, together with others; any other is a file of its own,
// created under its final name, in 4096 directories named by the first three digits
// of the stream's id.
//
//	<dir>/LOCK                                    held while the store is open
//	<dir>/<3 hex digits>/<32 hex digits>          a stream
//	<dir>/packs/<16 hex digits>                   a pack
//	<dir>/trash/<16 hex digits>-<32 hex digits>   a stream in the trash, since that many ns after 1970
//	<dir>/trash/<16 hex digits>-<16 hex digits>   a pack in the trash
//
// There is no temporary name and no rename on the write path: an id is random,
// nothing refers to it before the metadata commit, and that commit is what
// publishes it. Commit syncs the file, then the directory; commits that meet in a
// directory share a sync. What a failed sync has lost nobody can tell, so that
// no sync is ever tried again: the stream is abandoned, and a directory whose own
// sync failed takes no more streams until the store is opened anew.
//
// Packs are for streams whose own file would cost more than their bytes do. They are
// only appended to; the commits that meet in a pack share one sync of its data. A
// deleted stream leaves a hole, and a pack in which no stream is left is removed. A
// pack whose sync failed takes no more. Nothing in memory grows with the number of
// packed streams: who has a stream's place finds it, and List reads the headers.
//
// The store runs on pebble's vfs, so that tests can crash it together with the
// metadata. It keeps a descriptor open for each directory that it has written
// to, up to 4096, and for 256 packs.
package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/blob"
)

// Config holds a store's settings; its zero value works.
type Config struct {
	FS vfs.FS // nil means vfs.Default, the operating system's
	// PackLimit is the longest stream, in bytes, that goes into a pack; 0 is none,
	// and at most 4 MiB counts.
	PackLimit int64
	// PackSize is how long a pack grows; 0 means 64 MiB.
	PackSize int64
	// Punch makes a hole of a range of a file. nil means the operating system's way.
	// Where it returns errors.ErrUnsupported, streams are files.
	Punch func(f vfs.File, off, n int64) error
	// Metrics takes the packs' metrics. nil leaves them unseen.
	Metrics prometheus.Registerer
}

// Store keeps streams as files and in packs. All methods are safe for concurrent use.
type Store struct {
	fs      vfs.FS
	dir     string
	lock    io.Closer
	dirs    [fanOut]*directory
	trash   *directory
	packs   *packs
	buffers sync.Pool // *[]byte of writeSize

	// mu is held shared by every call for as long as it runs, and for good by
	// Close.
	mu     sync.RWMutex
	closed bool
}

// Open opens the store in dir and makes it when there is none. A second Open of
// a directory before the first one's Close fails. Errors: Full, Unavailable.
func Open(dir string, cfg Config) (*Store, error) {
	s := &Store{fs: cfg.FS, dir: dir}
	if s.fs == nil {
		s.fs = vfs.Default
	}
	s.packs = newPacks(s, cfg)
	s.buffers.New = func() any {
		buf := make([]byte, 0, writeSize)
		return &buf
	}
	if err := s.prepare(); err != nil {
		if s.lock != nil {
			_ = s.lock.Close() // the first error is the one that explains
		}
		return nil, failure(err, "open blob store %q", dir)
	}
	return s, nil
}

// Close waits for calls under way, abandons streams not yet committed, and
// releases the directory. Readers go on. Closing again does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for _, d := range s.dirs {
		for _, w := range d.writing {
			w.abandon()
		}
		errs = append(errs, d.close())
	}
	s.packs.close()
	errs = append(errs, s.packs.dir.close(), s.trash.close(), s.lock.Close())
	if err := errors.Join(errs...); err != nil {
		return failure(err, "close blob store %q", s.dir)
	}
	return nil
}

// enter begins a call. Unless it fails the caller ends with s.leave.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return fault.New(blob.Unavailable, "the store is closed")
	}
	return nil
}

func (s *Store) leave() { s.mu.RUnlock() }

// Stat returns what List says of a stream.
func (s *Store) Stat(ctx context.Context, id blob.StreamID, at blob.Place) (blob.Info, error) {
	if err := s.enter(ctx); err != nil {
		return blob.Info{}, err
	}
	defer s.leave()
	if at.Packed() {
		info, err := s.packs.stat(id, at)
		if !errors.Is(err, blob.NotFound) {
			return info, err
		}
		// An operator may have brought it back, as a file.
	}
	d := s.dirOf(id)
	if d.unfinished(id) {
		return blob.Info{}, errNotFound(id)
	}
	info, err := s.fs.Stat(d.file(id))
	if missing(err) {
		return blob.Info{}, errNotFound(id)
	}
	if err != nil {
		return blob.Info{}, failure(err, "stat stream %s", id)
	}
	return blob.Info{ID: id, Size: info.Size(), Modified: info.ModTime()}, nil
}

// Delete erases the stream's frame or removes its file. It does not sync: what a
// crash brings back has no metadata, and the orphan sweep finds it.
func (s *Store) Delete(ctx context.Context, id blob.StreamID, at blob.Place) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if at.Packed() {
		if found, err := s.packs.delete(id, at); found || err != nil {
			return err
		}
	}
	d := s.dirOf(id)
	if d.unfinished(id) {
		return nil
	}
	if err := s.fs.Remove(d.file(id)); err != nil && !missing(err) {
		return failure(err, "delete stream %s", id)
	}
	return nil
}

// Free asks the file system. It returns 0, 0 where that does not say.
func (s *Store) Free(ctx context.Context) (avail, total int64, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, 0, err
	}
	defer s.leave()
	usage, err := s.fs.GetDiskUsage(s.dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, failure(err, "disk usage of %q", s.dir)
	}
	return int64(usage.AvailBytes), int64(usage.TotalBytes), nil
}

func missing(err error) bool { return errors.Is(err, iofs.ErrNotExist) }

func errNotFound(id blob.StreamID) error {
	return fault.New(blob.NotFound, "").Because(fmt.Errorf("stream %s", id))
}

// failure makes a fault of a file system's error: Full or Unavailable.
func failure(err error, doing string, args ...any) error {
	kind := blob.Unavailable
	if vfs.IsNoSpaceError(err) || errors.Is(err, syscall.EDQUOT) {
		kind = blob.Full
	}
	return fault.New(kind, "").Because(fmt.Errorf("%s: %w", fmt.Sprintf(doing, args...), err))
}
