// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// What a Get does not find need not be looked for when it is made; what changed since,
// or is about to, is looked for.
func TestAbsentRowsAreKnown(t *testing.T) {
	s := mustOpen(t, vfs.NewMem(), "meta")
	defer s.Close()
	key := []byte("c/row")
	known := func() bool {
		_, ok := s.absent.get(key)
		return ok
	}
	if _, err := s.Get(t.Context(), key); err != nil || !known() {
		t.Fatalf("an absent row is not known, %v", err)
	}
	before := s.locks.changes(key)
	var b meta.Batch
	b.PutIf(key, []byte("1"), 0)
	if _, err := s.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if known() {
		t.Error("a row that was made is known to be absent")
	}
	if _, err := s.Commit(t.Context(), &b); !errors.As(err, new(*meta.ConflictError)) {
		t.Errorf("made twice: %v", err)
	}
	note := func() { s.absent.put(key, 0) }
	if s.locks.unchanged(key, before, note); known() {
		t.Error("a Get that was overtaken by a commit is believed")
	}
	now := s.locks.changes(key)
	locked := s.locks.acquire([]meta.Step{{Key: key, Op: meta.Write}})
	if s.locks.unchanged(key, now, note); known() {
		t.Error("a Get beside a commit is believed")
	}
	locked.release()
}

// Long keys are not remembered: a client may ask for as many as it likes.
func TestLongKeysAreNotRemembered(t *testing.T) {
	s := mustOpen(t, vfs.NewMem(), "meta")
	defer s.Close()
	for _, n := range []int{maxKnownKey, maxKnownKey + 1} {
		key := bytes.Repeat([]byte{'k'}, n)
		if _, err := s.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if _, ok := s.absent.get(key); ok != (n <= maxKnownKey) {
			t.Errorf("%d bytes: remembered %v", n, ok)
		}
	}
}

// A counter that came to be where a Get found nothing is not written over.
func TestCounterWhereNothingWas(t *testing.T) {
	s := mustOpen(t, vfs.NewMem(), "meta")
	defer s.Close()
	key := []byte("n/count")
	if _, err := s.Get(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	var add, put meta.Batch
	add.Add(key, 1)
	if _, err := s.Commit(t.Context(), &add); err != nil {
		t.Fatal(err)
	}
	put.PutIf(key, []byte("row"), 0)
	if _, err := s.Commit(t.Context(), &put); err == nil {
		t.Error("a counter was written over")
	}
}

// Of many who find a row absent and make it, and of many who find it and remove it, one
// succeeds each time.
func TestOneMakesARow(t *testing.T) {
	s := mustOpen(t, vfs.NewMem(), "meta")
	defer s.Close()
	ctx := t.Context()
	for round := range 50 {
		key := fmt.Appendf(nil, "c/%d", round%3)
		for _, making := range []bool{true, false} {
			var done atomic.Int32
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					it, err := meta.Get1(ctx, s, key)
					if err != nil || (it.Ver == 0) != making {
						return // somebody else was faster
					}
					var b meta.Batch
					if making {
						b.PutIf(key, []byte("x"), 0)
					} else {
						b.Cond(key, it.Ver)
						b.Delete(key)
					}
					if _, err := s.Commit(ctx, &b); err == nil {
						done.Add(1)
					} else if !errors.As(err, new(*meta.ConflictError)) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if n := done.Load(); n != 1 {
				t.Fatalf("round %d, making %v: %d succeeded", round, making, n)
			}
		}
	}
}

// With the defaults, blocks that were read stay in memory beside full memtables.
func TestBlocksStayInMemory(t *testing.T) {
	s, err := Open("meta", Config{FS: vfs.NewMem(), BallastBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const rows = 20
	value := make([]byte, 64<<10)
	for round := range 2 * s.cfg.MemTableBytes / uint64(rows*len(value)) {
		var b meta.Batch
		for i := range rows {
			b.Put(fmt.Appendf(nil, "c/%04d/%d", round, i), value)
		}
		if _, err := s.Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Compact(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), []byte("c/0001/1")); err != nil {
		t.Fatal(err)
	}
	before := s.db.Metrics().BlockCache
	if _, err := s.Get(t.Context(), []byte("c/0001/2")); err != nil {
		t.Fatal(err)
	}
	after := s.db.Metrics().BlockCache
	if hits, misses := after.Hits-before.Hits, after.Misses-before.Misses; hits == 0 || misses > hits {
		t.Errorf("%d blocks were in memory, %d were read", hits, misses)
	}
}
