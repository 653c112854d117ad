// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// ReadAt opens the stream's pack or file. Each Read of the reader is one read of
// the file, without a buffer between, so callers read whole segments.
func (s *Store) ReadAt(ctx context.Context, id blob.StreamID, at blob.Place, off, n int64) (io.ReadCloser, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if off < 0 {
		return nil, fmt.Errorf("blob: negative offset %d", off)
	}
	if at.Packed() {
		r, err := s.packs.read(ctx, id, at)
		if err == nil {
			return r.cut(at.Size, off, n), nil
		}
		if !errors.Is(err, blob.NotFound) {
			return nil, err
		}
		// An operator may have brought it back, as a file.
	}
	d := s.dirOf(id)
	if d.unfinished(id) {
		return nil, errNotFound(id)
	}
	file, err := s.fs.Open(d.file(id))
	if missing(err) {
		return nil, errNotFound(id)
	}
	if err != nil {
		return nil, failure(err, "open stream %s", id)
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, failure(err, "stat stream %s", id)
	}
	r := &reader{ctx: ctx, file: file, done: file.Close, id: id}
	return r.cut(info.Size(), off, n), nil
}

// reader reads a range of a stream.
type reader struct {
	ctx       context.Context
	file      io.ReaderAt // nil once it is closed
	done      func() error
	id        blob.StreamID
	base      int64 // where the stream begins in the file
	off, left int64 // inside the stream
	end       error // what comes after
}

// cut makes r read a range of its stream, which has size bytes.
func (r *reader) cut(size, off, n int64) *reader {
	r.off, r.left, r.end = off, max(size-off, 0), io.EOF
	switch {
	case n == 0:
		r.left = 0
	case off > size || n > r.left:
		r.end = io.ErrUnexpectedEOF
	case n > 0:
		r.left = n
	}
	return r
}

func (r *reader) Read(p []byte) (int, error) {
	switch {
	case r.file == nil:
		return 0, os.ErrClosed
	case r.left == 0:
		return 0, r.end
	case r.ctx.Err() != nil:
		return 0, r.ctx.Err()
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.file.ReadAt(p, r.base+r.off)
	r.off += int64(n)
	r.left -= int64(n)
	switch {
	case err == io.EOF && r.left == 0:
		return n, r.end
	case err == io.EOF: // the file is shorter than it was
		return n, io.ErrUnexpectedEOF
	case err != nil:
		return n, failure(err, "read stream %s at %d", r.id, r.off)
	}
	return n, nil
}

// Close releases the file. Closing again does nothing.
func (r *reader) Close() error {
	if r.file == nil {
		return nil
	}
	r.file = nil
	return r.done()
}
