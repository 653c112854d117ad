// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"errors"
	"runtime"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// punchHole gives the room of a range back to the file system; the range reads as
// zeros from then on. The error is errors.ErrUnsupported where that cannot be done.
func punchHole(f vfs.File, off, n int64) error {
	if f.Fd() == vfs.InvalidFd {
		return errors.ErrUnsupported
	}
	defer runtime.KeepAlive(f)
	for {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
		if err != unix.EINTR {
			return err
		}
	}
}
