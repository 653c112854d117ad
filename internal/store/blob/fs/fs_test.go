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

// packing is a store whose packs are small, on any file system.
func packing(fsys vfs.FS) fs.Config {
	return fs.Config{FS: fsys, PackLimit: 512 << 10, PackSize: 1 << 20, Punch: zeros}
}

// zeros is what a hole reads as, for file systems in memory.
func zeros(f vfs.File, off, n int64) error {
	info, err := f.Stat()
	if err == nil && info.Size() > off {
		_, err = f.WriteAt(make([]byte, min(n, info.Size()-off)), off)
	}
	return err
}

func mustOpenWith(t testing.TB, dir string, cfg fs.Config) *fs.Store {
	t.Helper()
	s, err := fs.Open(dir, cfg)
	if err != nil {
		t.Fatalf("open %q: %v", dir, err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStoreInMemory(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return mustOpen(t, "/data/blobs", vfs.NewMem()) })
}

func TestPackingStoreInMemory(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return mustOpenWith(t, "/data/blobs", packing(vfs.NewMem())) })
}

func TestStoreOnDisk(t *testing.T) { onDisk(t, fs.Config{}) }

func TestPackingStoreOnDisk(t *testing.T) {
	onDisk(t, fs.Config{PackLimit: 512 << 10, PackSize: 1 << 20})
}

// onDisk makes the directories once and empties them for each test: removing 4096 of
// them takes longer than the tests.
func onDisk(t *testing.T, cfg fs.Config) {
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
		return mustOpenWith(t, dir, cfg)
	})
}
