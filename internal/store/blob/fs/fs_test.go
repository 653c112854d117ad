// SPDX-License-Identifier: Apache-2.0

package fs_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/blob/blobtest"
	"github.com/cofferstore/coffer/internal/store/blob/fs"
)

func mustOpen(t testing.TB, dir string, fsys vfs.FS) *fs.Store {
	t.Helper()
	s, err := fs.Open(dir, fs.Config{FS: fsys})
	if err != nil {
		t.Fatalf("open %q: %v", dir, err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStoreInMemory(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return mustOpen(t, "/data/blobs", vfs.NewMem()) })
}

// The directories are made once and emptied for each test: removing 4096 of them
// takes longer than the tests.
func TestStoreOnDisk(t *testing.T) {
	dir := t.TempDir()
	blobtest.Run(t, func(t *testing.T) blob.Store {
		left, err := filepath.Glob(filepath.Join(dir, "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range left {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		return mustOpen(t, dir, nil)
	})
}
