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
	frame *frame  // while it is to be packed
	file  newFile // else
	made  bool    // there is a file
	buf   *[]byte // from the pool; nil before the first Write to a file
	over  error   // why it takes no more
}

// Create begins a stream. One that is to be packed is kept in memory until its
// Commit, or until it proves longer than announced; for any other the file is created
// under its final name.
func (s *Store) Create(ctx context.Context, id blob.StreamID, sizeHint int64) (blob.Writer, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	w := &writer{store: s, dir: s.dirOf(id), id: id}
	if err := w.dir.reserve(id, w); err != nil {
		return nil, creation(err, id)
	}
	if w.frame = s.packs.frames.get(sizeHint); w.frame != nil {
		return w, nil
	}
	if err := w.makeFile(); err != nil {
		w.dir.release(id)
		return nil, creation(err, id)
	}
	return w, nil
}

func (w *writer) makeFile() error {
	if err := w.dir.failed(); err != nil {
		return err
	}
	file, err := w.store.createFile(w.dir.file(w.id))
	if err != nil {
		return err
	}
	w.file, w.made = file, true
	return nil
}

// spill makes a file of a stream that was to be packed.
func (w *writer) spill() error {
	fr := w.frame
	w.frame = nil
	defer w.store.packs.frames.put(fr)
	if err := w.makeFile(); err != nil {
		return err
	}
	_, err := w.write(fr.content())
	return err
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
	if w.frame != nil {
		if w.frame.add(p) {
			return len(p), nil
		}
		if err := w.spill(); err != nil {
			return 0, w.fail(err, "make a file of")
		}
	}
	if n, err = w.write(p); err != nil {
		return n, w.fail(err, "write")
	}
	return n, nil
}

func (w *writer) write(p []byte) (n int, err error) {
	if w.buf == nil {
		w.buf = w.store.buffers.Get().(*[]byte)
	}
	for len(p) > 0 {
		if len(*w.buf) == cap(*w.buf) {
			if err := w.flush(); err != nil {
				return n, err
			}
		}
		k := min(len(p), cap(*w.buf)-len(*w.buf))
		*w.buf = append(*w.buf, p[:k]...)
		n, p = n+k, p[k:]
	}
	return n, nil
}

// Commit appends the stream to a pack and syncs that, or writes the rest of the
// file, syncs the file and its directory, and closes it. It looks at ctx before it
// begins, not while it syncs.
func (w *writer) Commit(ctx context.Context) (at blob.Place, err error) {
	if err := w.enter(ctx); err != nil {
		if ctx.Err() != nil {
			w.Abort()
		}
		return at, err
	}
	defer w.store.leave()
	if w.frame != nil {
		at, err = w.store.packs.append(w.id, w.frame)
		switch {
		case err == nil:
			w.end(errCommitted)
			return at, nil
		case !errors.Is(err, errNoPacks):
			return at, w.fail(err, "pack")
		}
		if err := w.spill(); err != nil {
			return at, w.fail(err, "make a file of")
		}
	}
	return at, w.commitFile()
}

var errCommitted = errors.New("it was committed")

func (w *writer) commitFile() error {
	if w.buf != nil {
		if err := w.flush(); err != nil {
			return w.fail(err, "write")
		}
	}
	// The name has been there since Create, so it can become durable while the bytes do.
	named := make(chan error, 1)
	go func() { named <- w.dir.sync() }()
	err := w.file.Sync()
	nameErr := <-named
	if err != nil {
		return w.fail(err, "sync")
	}
	file := w.file
	w.file = nil
	if err := file.Close(); err != nil {
		return w.fail(err, "close")
	}
	if nameErr != nil {
		return w.fail(nameErr, "sync the directory of")
	}
	w.end(errCommitted)
	return nil
}

// Abort forgets the stream, or closes and removes its file.
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

// abandon removes the file, if there is one. That may fail, and a crash may undo it; the orphan
// sweep finds what is left.
func (w *writer) abandon() {
	if w.file != nil {
		_ = w.file.Close()
		w.file = nil
	}
	if w.made {
		_ = w.store.fs.Remove(w.dir.file(w.id))
	}
	w.end(errors.New("it was abandoned"))
}

// end gives the id and the buffers back.
func (w *writer) end(why error) {
	w.over = why
	if w.frame != nil {
		w.store.packs.frames.put(w.frame)
		w.frame = nil
	}
	if w.buf != nil {
		*w.buf = (*w.buf)[:0]
		w.store.buffers.Put(w.buf)
		w.buf = nil
	}
	w.dir.release(w.id)
}
