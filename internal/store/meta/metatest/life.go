// SPDX-License-Identifier: Apache-2.0

package metatest

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/cofferstore/coffer/internal/store/meta"
)

func testWatch(t *testing.T, s meta.Store) {
	ctx := within(t)
	prefix := []byte("k/")
	keys, all := s.Watch(ctx, prefix), s.Watch(ctx, nil)
	prefix[0] = 'z' // the store keeps no reference
	hinted := func(what string, hint <-chan struct{}) {
		t.Helper()
		select {
		case _, ok := <-hint:
			if !ok {
				t.Fatalf("%s: the channel was closed", what)
			}
		case <-ctx.Done():
			t.Fatalf("%s: no hint", what)
		}
	}
	put(t, s, "k/1", "v")
	hinted("put", keys)
	hinted("put, everything", all)
	remove(t, s, "k/1")
	hinted("delete", keys)
	hinted("delete, everything", all)
	add(t, s, "st/n", 1)
	hinted("add, everything", all)

	// A watcher that does not listen is never waited for.
	for range 10 {
		put(t, s, "k/2", "v")
	}
	hinted("ten puts", keys)
}

func testWatchEnds(t *testing.T, s meta.Store) {
	gone, cancel := context.WithCancel(t.Context())
	cancelled := s.Watch(gone, nil)
	open := s.Watch(context.Background(), []byte("k/"))
	cancel()
	drain(t, "after its context ended", cancelled)
	drain(t, "from an ended context", s.Watch(gone, nil))
	put(t, s, "k/1", "v")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	drain(t, "after Close", open)
	drain(t, "from a closed store", s.Watch(context.Background(), nil))
}

// drain fails unless the channel is closed before patience ends.
func drain(t *testing.T, what string, hint <-chan struct{}) {
	t.Helper()
	ctx := within(t)
	for {
		select {
		case _, ok := <-hint:
			if !ok {
				return
			}
		case <-ctx.Done():
			t.Fatalf("channel %s is still open", what)
		}
	}
}

func testCancelled(t *testing.T, s meta.Store) {
	ver := put(t, s, "a", "v")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Get(ctx, []byte("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("Get: %v", err)
	}
	if _, err := s.Scan(ctx, meta.Range{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Scan: %v", err)
	}
	if _, err := s.Commit(ctx, &meta.Batch{Deletes: [][]byte{[]byte("a")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit: %v", err)
	}
	wantRow(t, s, "a", "v", ver)
}

func testClose(t *testing.T, s meta.Store) {
	put(t, s, "a", "v")
	// Operations under way end well or find the store closed.
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			for {
				_, err := s.Commit(context.Background(), &meta.Batch{Puts: []meta.Put{{Key: []byte("b")}}})
				if err == nil {
					_, err = s.Scan(context.Background(), meta.Range{})
				}
				if err != nil {
					return err
				}
			}
		})
	}
	put(t, s, "c", "v")
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if err := group.Wait(); !errors.Is(err, meta.Unavailable) {
		t.Errorf("an operation beside Close returned %v", err)
	}
	if _, err := s.Get(t.Context(), []byte("a")); !errors.Is(err, meta.Unavailable) {
		t.Errorf("Get: %v", err)
	}
	if _, err := s.Scan(t.Context(), meta.Range{}); !errors.Is(err, meta.Unavailable) {
		t.Errorf("Scan: %v", err)
	}
	if _, err := s.Commit(t.Context(), &meta.Batch{Deletes: [][]byte{[]byte("a")}}); !errors.Is(err, meta.Unavailable) {
		t.Errorf("Commit: %v", err)
	}
	s.Close() // a second time is no harm
}
