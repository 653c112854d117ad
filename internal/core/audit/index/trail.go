// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// trailReader reads a file of the trail, and keeps it open until another one is read.
type trailReader struct {
	name  string
	file  vfs.File // nil: it is gone
	count int64    // bytes read

	window []byte // the last that was read
	at     int64  // where it begins
}

// open opens a file of the trail; false says that it was removed.
func (r *trailReader) open(fs vfs.FS, dir, name string) (bool, error) {
	if r.name == name {
		return r.file != nil, nil
	}
	r.close()
	f, err := fs.Open(fs.PathJoin(dir, name))
	if err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return false, fmt.Errorf("audit/index: %w", err)
	}
	if err != nil {
		f = nil
	}
	r.name, r.file = name, f
	return f != nil, nil
}

func (r *trailReader) close() {
	if r.file != nil {
		_ = r.file.Close()
	}
	*r = trailReader{count: r.count, window: r.window[:0]}
}

const (
	near       = 16 << 10 // records so near to each other are read together
	windowSize = 64 << 10
)

// read returns a part of the file, until the next call. It is shorter at the file's end.
func (r *trailReader) read(from, to int64) ([]byte, error) {
	end := r.at + int64(len(r.window))
	if from >= r.at && to <= end {
		return r.window[from-r.at : to-r.at], nil
	}
	first, last := from, to
	switch {
	case len(r.window) == 0:
	case from >= r.at && from < end+near: // forward
		last = max(to, from+windowSize)
	case to <= end && to > r.at-near: // backward
		first = max(0, min(from, to-windowSize))
	}
	err := r.fill(first, last)
	if err != nil && r.at+int64(len(r.window)) < to { // and not what is only read ahead
		if err = r.fill(from, to); err != nil {
			return nil, err
		}
	}
	from, to = min(from-r.at, int64(len(r.window))), min(to-r.at, int64(len(r.window)))
	return r.window[from:to], nil
}

// unread is the error of what the disk does not give of a file.
type unread struct {
	segment string
	offset  int64
	error
}

func (u *unread) Unwrap() error { return u.error }

// fill reads a part of the file. With an error, what is before it was read.
func (r *trailReader) fill(first, last int64) error {
	n := int(last - first)
	if cap(r.window) < n {
		r.window = make([]byte, n)
	}
	r.window, r.at = r.window[:n], first
	n, err := r.file.ReadAt(r.window, first)
	r.window = r.window[:n]
	r.count += int64(n)
	if err != nil && err != io.EOF {
		return &unread{r.name, first + int64(n), err}
	}
	return nil
}

// maxLine is more than a line of the trail has (256 KiB, and its chain).
const maxLine = 512 << 10

// lines calls fn with the complete lines that begin in a part of the file, which ends at
// end. A line is valid until fn returns.
func (r *trailReader) lines(from, to, end int64, fn func(offset int64, line []byte) error) error {
	begin := max(0, from-1) // a line begins there if there is a newline before it
	err := r.fill(begin, min(to+maxLine, end))
	rest, at := r.window, begin
	if from > 0 {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return err
		}
		rest, at = rest[i+1:], at+int64(i)+1
	}
	for at < to {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return err
		}
		if line := rest[:i]; i > 1 && line[0] == '{' && line[i-1] == '}' {
			if err := fn(at, line); err != nil {
				return err
			}
		}
		rest, at = rest[i+1:], at+int64(i)+1
	}
	return err
}
