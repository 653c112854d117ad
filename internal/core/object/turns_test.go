// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Who has met a conflict tries again alone, however many did: each of them then succeeds
// as soon as nobody else comes between.
func TestConflictsAreTriedAgainInTurn(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bucket", "")
	ref := Ref{bucket.Ref{Bucket: "bucket"}, "key"}
	b, err := w.buckets.Find(t.Context(), ref.Ref)
	if err != nil {
		t.Fatal(err)
	}
	const writers = 2 * maxConflicts
	var met, all sync.WaitGroup
	var alone sync.Mutex
	met.Add(writers)
	for range writers {
		all.Go(func() {
			tries := 0
			err := w.objects.retry(t.Context(), ref, b.UID, func(*bucket.Bucket) error {
				if tries++; tries == 1 {
					met.Done()
					met.Wait() // all of them read the same version
					return &meta.ConflictError{Key: []byte("key")}
				}
				if !alone.TryLock() {
					t.Error("two of those who met a conflict try again at a time")
					return nil
				}
				defer alone.Unlock()
				runtime.Gosched()
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(w.objects.turns.m); n != 0 {
		t.Errorf("%d queues are left", n)
	}
}

func TestWaitForATurnEndsWithItsContext(t *testing.T) {
	var all turns
	what := contested{key: "key"}
	release, err := all.take(t.Context(), what)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := all.take(ctx, what); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	release()
	if len(all.m) != 0 {
		t.Error("a queue is left")
	}
}
