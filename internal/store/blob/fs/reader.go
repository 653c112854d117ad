// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// ReadAt opens the stream's file. Each Read of the reader is one read of the
// file, without a buffer between, so callers read whole segments.
func (s *Store) ReadAt(ctx context.Context, id blob.StreamID, off, n int64) (io.ReadCloser, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if off < 0 {
		return nil, fmt.Errorf("blob: negative offset %d", off)
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
	r := &reader{ctx: ctx, file: file, id: id, off: off, left: max(info.Size()-off, 0), end: io.EOF}
	switch {
	case n == 0:
		r.left = 0
	case off > info.Size() || n > r.left:
		r.end = io.ErrUnexpectedEOF
	case n > 0:
		r.left = n
	}
	return r, nil
}

// reader reads a range of a file of its own.
type reader struct {
	ctx       context.Context
	file      vfs.File
	id        blob.StreamID
	off, left int64 // inside the stream
	end       error // what comes after
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
	n, err := r.file.ReadAt(p, r.off)
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
	file := r.file
	r.file = nil
	return file.Close()
}
