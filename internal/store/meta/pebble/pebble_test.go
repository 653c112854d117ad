// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/metatest"
)

// mustOpen opens a store that is small, and in which nothing may be fatal. The
// test closes it.
func mustOpen(t testing.TB, fs vfs.FS, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Config{
		FS:            fs,
		CacheBytes:    1 << 20,
		MemTableBytes: 256 << 10,
		Fatal:         func(err error) { t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	metatest.Run(t, func(t *testing.T) meta.Store { return mustOpen(t, vfs.NewMem(), "meta") })
}

func TestStoreOnDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("the suite on a real disk")
	}
	metatest.Run(t, func(t *testing.T) meta.Store { return mustOpen(t, nil, t.TempDir()) })
}
