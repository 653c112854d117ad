// SPDX-License-Identifier: Apache-2.0

// Package metatest is the suite of meta.Store: what every driver and every
// wrapper promises. A driver is done when Run is green under the race detector.
package metatest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// Run runs the suite. open returns an empty store; Run closes it. Counters in
// the suite have keys that begin with "st/", other rows have not.
func Run(t *testing.T, open func(t *testing.T) meta.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s meta.Store)
	}{
		{"Get", testGet},
		{"GetOwnership", testGetOwnership},
		{"VersionOnly", testVersionOnly},
		{"ScanOrder", testScanOrder},
		{"ScanPages", testScanPages},
		{"ScanMaxBytes", testScanMaxBytes},
		{"ScanKeysOnly", testScanKeysOnly},
		{"ScanManyRows", testScanManyRows},
		{"Conditions", testConditions},
		{"ConflictChangesNothing", testConflictChangesNothing},
		{"ConditionsOnly", testConditionsOnly},
		{"SharedConditions", testSharedConditions},
		{"Versions", testVersions},
		{"Counters", testCounters},
		{"CountersAndRows", testCountersAndRows},
		{"BadBatches", testBadBatches},
		{"Limits", testLimits},
		{"BatchOwnership", testBatchOwnership},
		{"LargeBatch", testLargeBatch},
		{"Snapshot", testSnapshot},
		{"ScanSnapshot", testScanSnapshot},
		{"Increments", testIncrements},
		{"ExclusiveCreate", testExclusiveCreate},
		{"GuardRow", testGuardRow},
		{"Watch", testWatch},
		{"WatchEnds", testWatchEnds},
		{"Cancelled", testCancelled},
		{"Close", testClose},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			defer s.Close()
			c.test(t, s)
		})
	}
}

// patience is how long a test waits for what must happen before it fails.
const patience = 30 * time.Second

func commit(t *testing.T, s meta.Store, b *meta.Batch) uint64 {
	t.Helper()
	ver, err := s.Commit(t.Context(), b)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return ver
}

func put(t *testing.T, s meta.Store, key, value string) uint64 {
	t.Helper()
	return commit(t, s, &meta.Batch{Puts: []meta.Put{{Key: []byte(key), Value: []byte(value)}}})
}

func remove(t *testing.T, s meta.Store, key string) {
	t.Helper()
	commit(t, s, &meta.Batch{Deletes: [][]byte{[]byte(key)}})
}

func add(t *testing.T, s meta.Store, key string, delta int64) {
	t.Helper()
	commit(t, s, &meta.Batch{Adds: []meta.Add{{Key: []byte(key), Delta: delta}}})
}

func get(t *testing.T, s meta.Store, key string) meta.Item {
	t.Helper()
	it, err := meta.Get1(t.Context(), s, []byte(key))
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	return it
}

func scan(t *testing.T, s meta.Store, r meta.Range) meta.Page {
	t.Helper()
	page, err := s.Scan(t.Context(), r)
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return page
}

// wantRow fails unless the row has the value, or with ver 0 is absent.
func wantRow(t *testing.T, s meta.Store, key, value string, ver uint64) {
	t.Helper()
	it := get(t, s, key)
	if it.Ver != ver || string(it.Value) != value || (it.Value == nil) != (ver == 0) {
		t.Errorf("row %q is %q of version %d, want %q of %d", key, it.Value, it.Ver, value, ver)
	}
}

// wantConflict fails unless the batch conflicts on key.
func wantConflict(t *testing.T, s meta.Store, key string, b *meta.Batch) {
	t.Helper()
	_, err := s.Commit(t.Context(), b)
	var conflict *meta.ConflictError
	if !errors.As(err, &conflict) {
		t.Fatalf("commit returned %v, want a conflict on %q", err, key)
	}
	if string(conflict.Key) != key {
		t.Errorf("conflict on %q, want %q", conflict.Key, key)
	}
}

// wantCounter fails unless the counter has the sum.
func wantCounter(t *testing.T, s meta.Store, key string, sum int64) {
	t.Helper()
	it := get(t, s, key)
	if it.Ver != meta.CounterVersion || !bytes.Equal(it.Value, binary.BigEndian.AppendUint64(nil, uint64(sum))) {
		t.Errorf("counter %q is %x of version %d, want %d of version %d", key, it.Value, it.Ver, sum, meta.CounterVersion)
	}
}

func keysOf(page meta.Page) []string {
	keys := make([]string, len(page.Items))
	for i, it := range page.Items {
		keys[i] = string(it.Key)
	}
	return keys
}

// within returns a context that ends when a test has run out of patience.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
