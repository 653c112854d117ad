// SPDX-License-Identifier: Apache-2.0

package fs_test

import (
	"context"
	"os"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var bg = context.Background()

// allocated returns how many bytes of the device a file takes.
func allocated(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks * 512
}

// damage flips a bit of a file.
func damage(t *testing.T, fsys vfs.FS, path string, at int64) {
	t.Helper()
	edit(t, fsys, path, func(f vfs.File) error {
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			return err
		}
		b[0] ^= 1
		_, err := f.WriteAt(b[:], at)
		return err
	})
}

// cut ends a file early.
func cut(t *testing.T, fsys vfs.FS, path string, size int64) {
	t.Helper()
	head := make([]byte, size)
	edit(t, fsys, path, func(f vfs.File) error {
		_, err := f.ReadAt(head, 0)
		return err
	})
	if err := fsys.Remove(path); err != nil {
		t.Fatal(err)
	}
	edit(t, fsys, path, func(f vfs.File) error {
		_, err := f.WriteAt(head, 0)
		return err
	})
}

func edit(t *testing.T, fsys vfs.FS, path string, do func(vfs.File) error) {
	t.Helper()
	f, err := fsys.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	err = do(f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		t.Fatal(err)
	}
}
