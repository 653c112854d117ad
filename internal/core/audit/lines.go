// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Lines calls fn with the complete lines of the trail in dir, unparsed and in the order
// written, and stops at fn's first error. Files that ended an hour before since are passed
// over; lines of the others may be older than it. A line is fn's own, and may be damaged.
// The rest of a file that cannot be read is passed over, and skipped is told. It may run
// beside the Trail that writes, as Read may.
func Lines(ctx context.Context, dir string, since time.Time, skipped func(file string, offset int64, err error), fn func(at Position, line []byte) error) error {
	r := newReader(vfs.Default, dir, Filter{Since: since})
	names, err := listSegments(r.fs, dir)
	if err != nil {
		return err
	}
	for _, name := range r.since(names) {
		at := Position{Segment: name}
		_, err := r.raw(ctx, at, math.MaxInt64, func(line []byte) error {
			err := fn(at, bytes.Clone(bytes.TrimSuffix(line, []byte("\n"))))
			at.Offset += int64(len(line))
			return err
		})
		if errors.As(err, new(unreadable)) {
			skipped(name, at.Offset, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Size returns how many bytes Lines would read.
func Size(dir string, since time.Time) (n int64, err error) {
	r := newReader(vfs.Default, dir, Filter{Since: since})
	names, err := listSegments(r.fs, dir)
	if err != nil {
		return 0, err
	}
	for _, name := range r.since(names) {
		info, err := r.fs.Stat(r.fs.PathJoin(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since
		}
		if err != nil {
			return 0, fmt.Errorf("audit: size of %s: %w", name, err)
		}
		n += info.Size()
	}
	return n, nil
}
