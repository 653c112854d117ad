// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// Rows and the version counter outlive a restart, with a clean end and in every
// shape: in the log, in tables, in separated values.
func TestRestart(t *testing.T) {
	fs := vfs.NewMem()
	var last uint64
	for round := range 4 {
		s := mustOpen(t, fs, "meta")
		for i := range round {
			value := strings.Repeat("v", 700*(i+1))
			it, err := meta.Get1(t.Context(), s, fmt.Appendf(nil, "row %d", i))
			if err != nil || string(it.Value) != value {
				t.Errorf("round %d: row %d has %d bytes: %v", round, i, len(it.Value), err)
			}
		}
		var b meta.Batch
		b.PutIf(fmt.Appendf(nil, "row %d", round), []byte(strings.Repeat("v", 700*(round+1))), 0)
		b.Put([]byte("gone"), nil)
		b.Add([]byte("st/n"), 1)
		ver := mustCommit(t, s, &b)
		if ver <= last {
			t.Errorf("round %d: version %d after %d", round, ver, last)
		}
		// The last version's row goes: the counter must remember it.
		last = mustCommit(t, s, &meta.Batch{Deletes: [][]byte{[]byte("gone")}})
		if round == 1 {
			if err := s.Compact(t.Context(), nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		if it, err := meta.Get1(t.Context(), s, []byte("st/n")); err != nil || binary.BigEndian.Uint64(it.Value) != uint64(round+1) {
			t.Errorf("round %d: counter %x, %v", round, it.Value, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Compact leaves nothing of a deleted row in the live files.
func TestCompactErases(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, fs, "meta")
	defer func() { s.Close() }()
	mark := []byte("sealed material of a deleted key")
	var b meta.Batch
	b.Put([]byte("k/1"), mark)
	b.Put([]byte("k/2"), []byte("another"))
	mustCommit(t, s, &b)
	if err := s.Compact(t.Context(), []byte("k/"), []byte("k0")); err != nil {
		t.Fatal(err)
	}
	if !inTables(t, fs, mark) {
		t.Fatal("the row is not in a table yet: the test is blind")
	}
	mustCommit(t, s, &meta.Batch{Deletes: [][]byte{[]byte("k/1")}})
	if err := s.Compact(t.Context(), []byte("k/"), []byte("k0")); err != nil {
		t.Fatal(err)
	}
	// Pebble's own readers may still hold a table that is no longer live: the collector of its
	// statistics does. None of them outlives the store.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, fs, "meta")
	s.db.TestOnlyWaitForCleaning()
	if inTables(t, fs, mark) {
		t.Error("a table still holds the deleted row")
	}
}

func inTables(t *testing.T, fs vfs.FS, mark []byte) bool {
	names, err := fs.List("meta")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") && !strings.HasSuffix(name, ".blob") {
			continue
		}
		file, err := fs.Open("meta/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var content bytes.Buffer
		_, err = content.ReadFrom(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content.Bytes(), mark) {
			return true
		}
	}
	return false
}

func TestSecondServer(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"real": nil, "memory": vfs.NewMem()} {
		t.Run(name, func(t *testing.T) {
			dir := "meta"
			if fs == nil {
				dir = t.TempDir()
			}
			first := mustOpen(t, fs, dir)
			if _, err := Open(dir, Config{FS: fs}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", dir)) {
				t.Errorf("second store in %q: %v, want an error that names the directory", dir, err)
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			again := mustOpen(t, fs, dir)
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A full disk costs the ballast, not the store: the write that met it is saved,
// then only batches that delete are taken, until there is room again.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		var full atomic.Bool
		fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			// Only while the ballast is there.
			if _, err := disk.Stat("meta/ballast"); full.Load() && err == nil && op.Kind == errorfs.OpFileWrite {
				return syscall.ENOSPC
			}
			return nil
		}))
		s, err := Open("meta", Config{FS: fs, CacheBytes: 1 << 20, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		put := func(key string) error {
			_, err := s.Commit(t.Context(), &meta.Batch{Puts: []meta.Put{{Key: []byte(key)}}})
			return err
		}
		if err := put("a"); err != nil {
			t.Fatal(err)
		}
		disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 20, TotalBytes: 1 << 40})
		full.Store(true)
		if err := put("b"); err != nil {
			t.Errorf("the put that met the full disk: %v", err)
		}
		if err := put("c"); !errors.Is(err, meta.Full) {
			t.Errorf("a put on a full disk: %v", err)
		}
		mustCommit(t, s, &meta.Batch{Deletes: [][]byte{[]byte("a")}})
		if it, err := meta.Get1(t.Context(), s, []byte("b")); err != nil || it.Ver == 0 {
			t.Errorf("row b on a full disk: %v, %v", it, err)
		}

		full.Store(false)
		disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 30, TotalBytes: 1 << 40})
		time.Sleep(2 * time.Second)
		if err := put("c"); err != nil {
			t.Errorf("a put when there is room again: %v", err)
		}
		if _, err := disk.Stat("meta/ballast"); err != nil {
			t.Errorf("no new ballast: %v", err)
		}
	})
}

// A value that is not the driver's is damage, and names its row.
func TestDamagedValue(t *testing.T) {
	s := mustOpen(t, vfs.NewMem(), "meta")
	defer s.Close()
	for name, encoded := range map[string][]byte{
		"empty": {}, "short": {kindRow, 0, 0}, "unknown kind": {9, 0, 0, 0, 0, 0, 0, 0, 2, 'v'},
		"short counter": {kindCounter, 0, 0, 0, 0, 0, 0, 0, 2, 'v'}, "the version's row": {kindLast, 0, 0, 0, 0, 0, 0, 0, 2},
	} {
		if err := s.db.Set(rowKey(nil, []byte("odd row")), encoded, engine.Sync); err != nil {
			t.Fatal(err)
		}
		_, err := s.Get(t.Context(), []byte("odd row"))
		if !errors.Is(err, meta.Damaged) || !strings.Contains(err.Error(), `"odd row"`) {
			t.Errorf("%s: get: %v", name, err)
		}
		if _, err := s.Scan(t.Context(), meta.Range{}); !errors.Is(err, meta.Damaged) {
			t.Errorf("%s: scan: %v", name, err)
		}
		var b meta.Batch
		b.PutIf([]byte("odd row"), nil, 2)
		_, err = s.Commit(t.Context(), &b)
		if !errors.Is(err, meta.Damaged) {
			t.Errorf("%s: commit: %v", name, err)
		}
	}
}

// That there are counters is known after the store was opened again: a put must not
// fall on one.
func TestCountersAreKnownAfterOpen(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, fs, "meta")
	mustCommit(t, s, &meta.Batch{Adds: []meta.Add{{Key: []byte("st/n"), Delta: 1}}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, fs, "meta")
	defer s.Close()
	_, err := s.Commit(t.Context(), &meta.Batch{Puts: []meta.Put{{Key: []byte("st/n")}}})
	if !errors.Is(err, meta.ErrMixed) {
		t.Errorf("a put on a counter: %v", err)
	}
}

// A refused addition to a key that is not there must not let a later one reach
// the row that was then put there: Pebble could never merge them.
func TestRefusedAdditionIsForgotten(t *testing.T) {
	s := mustOpen(t, vfs.NewMem(), "meta")
	defer s.Close()
	var refused meta.Batch
	refused.Add([]byte("a"), 1)
	refused.PutIf([]byte("b"), nil, 99)
	var conflict *meta.ConflictError
	if _, err := s.Commit(t.Context(), &refused); !errors.As(err, &conflict) {
		t.Fatal(err)
	}
	mustCommit(t, s, &meta.Batch{Puts: []meta.Put{{Key: []byte("a"), Value: []byte("v")}}})
	if _, err := s.Commit(t.Context(), &meta.Batch{Adds: []meta.Add{{Key: []byte("a"), Delta: 1}}}); !errors.Is(err, meta.ErrMixed) {
		t.Errorf("addition to a row: %v", err)
	}
	if it, err := meta.Get1(t.Context(), s, []byte("a")); err != nil || string(it.Value) != "v" {
		t.Errorf("row: %q, %v", it.Value, err)
	}
}

// Counters are summed through every merge that Pebble does.
func TestCountersThroughCompaction(t *testing.T) {
	s := mustOpen(t, vfs.NewMem(), "meta")
	defer s.Close()
	rng := rand.New(rand.NewPCG(3, 4))
	var sum int64
	for i := range 300 {
		delta := rng.Int64() - rng.Int64()
		sum += delta
		mustCommit(t, s, &meta.Batch{Adds: []meta.Add{{Key: []byte("st/n"), Delta: delta}}})
		switch {
		case i%50 == 20:
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		case i%100 == 70:
			if err := s.Compact(t.Context(), nil, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	it, err := meta.Get1(t.Context(), s, []byte("st/n"))
	if err != nil || int64(binary.BigEndian.Uint64(it.Value)) != sum {
		t.Errorf("counter %x, %v, want %d", it.Value, err, sum)
	}
}
