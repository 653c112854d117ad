// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/blob"
)

// writeSize is what one write call carries: four segments of a sealed body, at
// offsets that are whole pages.
const writeSize = 256 << 10

// newFile is what a stream's file must do while it is written.
type newFile interface {
	io.WriteCloser
	Sync() error
}

// writer writes one stream. Its fields belong to the goroutine that writes, while
// it is inside the store, and to Close, which is alone there.
type writer struct {
	store *Store
	dir   *directory
	id    blob.StreamID
	file  newFile
	buf   *[]byte // from the pool; nil before the first Write
	over  error   // why it takes no more
}

// Create begins a stream: it creates the file under its final name. sizeHint is
// not used.
func (s *Store) Create(ctx context.Context, id blob.StreamID, _ int64) (blob.Writer, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	w := &writer{store: s, dir: s.dirOf(id), id: id}
	if err := w.dir.reserve(id, w); err != nil {
		return nil, creation(err, id)
	}
	file, err := s.createFile(w.dir.file(id))
	if err != nil {
		w.dir.release(id)
		return nil, creation(err, id)
	}
	w.file = file
	return w, nil
}

func creation(err error, id blob.StreamID) error {
	if errors.Is(err, iofs.ErrExist) {
		return fault.New(blob.Exists, "").Because(fmt.Errorf("stream %s", id))
	}
	return failure(err, "create stream %s", id)
}

// createFile creates a file that must not exist. vfs can create, but by removing
// what has the name. So the operating system is asked directly; any other vfs is
// looked at first, which is as good: the reservation keeps this process from
// creating the name in between, and the lock keeps other processes away.
func (s *Store) createFile(path string) (newFile, error) {
	if s.fs == vfs.Default {
		return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	switch _, err := s.fs.Stat(path); {
	case err == nil:
		return nil, os.ErrExist
	case !missing(err):
		return nil, err
	}
	return s.fs.Create(path, vfs.WriteCategoryUnspecified)
}

// Write collects bytes and writes them in large pieces. It always copies: a
// vfs.File may change the slice that it is given.
func (w *writer) Write(p []byte) (n int, err error) {
	if err := w.enter(context.Background()); err != nil {
		return 0, err
	}
	defer w.store.leave()
	if w.buf == nil {
		w.buf = w.store.buffers.Get().(*[]byte)
	}
	for len(p) > 0 {
		if len(*w.buf) == cap(*w.buf) {
			if err := w.flush(); err != nil {
				return n, w.fail(err, "write")
			}
		}
		k := min(len(p), cap(*w.buf)-len(*w.buf))
		*w.buf = append(*w.buf, p[:k]...)
		n, p = n+k, p[k:]
	}
	return n, nil
}

// Commit writes the rest, syncs the file, closes it, and syncs the directory, in
// this order. It looks at ctx before it begins, not while it syncs.
func (w *writer) Commit(ctx context.Context) error {
	if err := w.enter(ctx); err != nil {
		if ctx.Err() != nil {
			w.Abort()
		}
		return err
	}
	defer w.store.leave()
	if w.buf != nil {
		if err := w.flush(); err != nil {
			return w.fail(err, "write")
		}
	}
	if err := w.file.Sync(); err != nil {
		return w.fail(err, "sync")
	}
	file := w.file
	w.file = nil
	if err := file.Close(); err != nil {
		return w.fail(err, "close")
	}
	if err := w.dir.sync(); err != nil {
		return w.fail(err, "sync the directory of")
	}
	w.end(errors.New("it was committed"))
	return nil
}

// Abort closes and removes the file.
func (w *writer) Abort() {
	if w.enter(context.Background()) != nil {
		return
	}
	defer w.store.leave()
	w.abandon()
}

// enter begins a call. Unless it fails the caller ends with w.store.leave.
func (w *writer) enter(ctx context.Context) error {
	if err := w.store.enter(ctx); err != nil {
		return err
	}
	if w.over != nil {
		w.store.leave()
		return fault.New(blob.Unavailable, "").Because(fmt.Errorf("stream %s takes no more: %w", w.id, w.over))
	}
	return nil
}

func (w *writer) flush() error {
	n, err := w.file.Write(*w.buf)
	if err == nil && n < len(*w.buf) {
		err = io.ErrShortWrite
	}
	*w.buf = (*w.buf)[:0]
	return err
}

// fail abandons the stream because of err.
func (w *writer) fail(err error, doing string) error {
	w.abandon()
	w.over = err
	return failure(err, "%s stream %s", doing, w.id)
}

// abandon removes the file. That may fail, and a crash may undo it; the orphan
// sweep finds what is left.
func (w *writer) abandon() {
	if w.file != nil {
		_ = w.file.Close()
		w.file = nil
	}
	_ = w.store.fs.Remove(w.dir.file(w.id))
	w.end(errors.New("it was abandoned"))
}

// end gives the id and the buffer back.
func (w *writer) end(why error) {
	w.over = why
	if w.buf != nil {
		*w.buf = (*w.buf)[:0]
		w.store.buffers.Put(w.buf)
		w.buf = nil
	}
	w.dir.release(w.id)
}
