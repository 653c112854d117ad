// SPDX-License-Identifier: Apache-2.0

package blobtest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cofferstore/coffer/internal/store/blob"
)

func createOfAnExistingStream(t *testing.T, s blob.Store) {
	data := content(5000)
	id := newID()
	at, err := put(t.Context(), s, id, -1, data)
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	if _, err := s.Create(t.Context(), id, -1); !errors.Is(err, blob.Exists) {
		t.Errorf("Create of a committed stream: %v, want Exists", err)
	}
	wantContent(t, s, stream{id, at}, data)

	unfinished := newID()
	for _, hint := range []int64{-1, int64(len(data))} {
		w := mustCreate(t, s, unfinished, hint)
		if _, err := s.Create(t.Context(), unfinished, hint); !errors.Is(err, blob.Exists) {
			t.Errorf("Create of a stream being written: %v, want Exists", err)
		}
		mustWrite(t, w, data)
		wantContent(t, s, stream{unfinished, mustCommit(t, w)}, data)
		unfinished = newID()
	}
}

func createSameIDConcurrently(t *testing.T, s blob.Store) {
	id := newID()
	data := content(3000)
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			switch _, err := put(t.Context(), s, id, -1, data); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, blob.Exists):
				t.Errorf("put under a contended id: %v, want Exists", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 16 writers committed the same id, want 1", won.Load())
	}
	wantContent(t, s, stream{id: id}, data)
}

func unfinishedIsNotThere(t *testing.T, s blob.Store) {
	for _, size := range []int{600_000, 60_000} { // the first is more than a driver is likely to hold back
		data := content(size)
		id := newID()
		w := mustCreate(t, s, id, int64(size))
		mustWrite(t, w, data)
		wantMissing(t, s, stream{id: id})
		if err := s.Delete(t.Context(), id, blob.Place{}); err != nil {
			t.Errorf("Delete of a stream being written: %v", err)
		}
		if err := s.MoveToTrash(t.Context(), id, blob.Place{}); err != nil {
			t.Errorf("MoveToTrash of a stream being written: %v", err)
		}
		wantContent(t, s, stream{id, mustCommit(t, w)}, data)
	}
}

func abortLeavesNothing(t *testing.T, s blob.Store) {
	for _, hint := range []int64{-1, 300_000} {
		id := newID()
		w := mustCreate(t, s, id, hint)
		mustWrite(t, w, content(300_000))
		w.Abort()
		w.Abort()
		wantMissing(t, s, stream{id: id})
		if _, err := put(t.Context(), s, id, hint, content(10)); err != nil {
			t.Errorf("an aborted id cannot be written again: %v", err)
		}
	}
}

func writerAfterCommit(t *testing.T, s blob.Store) {
	data := content(20_000)
	for _, hint := range []int64{-1, 20_000} {
		id := newID()
		w := mustCreate(t, s, id, hint)
		mustWrite(t, w, data)
		at := mustCommit(t, w)
		if _, err := w.Write([]byte("more")); err == nil {
			t.Error("Write after Commit succeeded")
		}
		if _, err := w.Commit(t.Context()); err == nil {
			t.Error("second Commit succeeded")
		}
		w.Abort()
		wantContent(t, s, stream{id, at}, data)
	}
}

func writerAfterAbort(t *testing.T, s blob.Store) {
	for _, hint := range []int64{-1, 4} {
		id := newID()
		w := mustCreate(t, s, id, hint)
		w.Abort()
		if _, err := w.Write([]byte("more")); err == nil {
			t.Error("Write after Abort succeeded")
		}
		if _, err := w.Commit(t.Context()); err == nil {
			t.Error("Commit after Abort succeeded")
		}
		wantMissing(t, s, stream{id: id})
	}
}

func callersSliceIsItsOwn(t *testing.T, s blob.Store) {
	want := content(300_000)
	for _, piece := range []int{300_000, 1000} {
		id := newID()
		w := mustCreate(t, s, id, int64(len(want)))
		buf := make([]byte, piece)
		for rest := want; len(rest) > 0; rest = rest[piece:] {
			copy(buf, rest)
			mustWrite(t, w, buf)
			if string(buf) != string(rest[:piece]) {
				t.Fatal("Write changed the slice it was given")
			}
			clear(buf) // the store may not have kept it
		}
		wantContent(t, s, stream{id, mustCommit(t, w)}, want)
	}
}

// longerThanAnnounced: a hint is not a promise, in either direction.
func longerThanAnnounced(t *testing.T, s blob.Store) {
	for _, hint := range []int64{0, 100, 20_000, 299_999, 300_001, 600_000} {
		data := content(300_000)
		id := newID()
		w := mustCreate(t, s, id, hint)
		for rest := data; len(rest) > 0; {
			k := min(len(rest), 65_564)
			mustWrite(t, w, rest[:k])
			rest = rest[k:]
		}
		wantContent(t, s, stream{id, mustCommit(t, w)}, data)
	}
}

func concurrentWriters(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	written := make(map[stream][]byte)
	for g := range 8 {
		wg.Go(func() {
			for k := range 12 {
				data := content(g*10_000 + k*777)
				id := newID()
				if k%2 == 0 {
					id[0], id[1] = 0x12, 0x34 // close together, where a driver may share work
				}
				if k%5 == 4 {
					w, err := s.Create(t.Context(), id, -1)
					if err != nil {
						t.Errorf("create: %v", err)
						return
					}
					_, _ = w.Write(data)
					w.Abort()
					continue
				}
				hint := int64(-1)
				if k%3 == 0 {
					hint = int64(len(data))
				}
				at, err := put(t.Context(), s, id, hint, data)
				if err != nil {
					t.Errorf("put: %v", err)
					return
				}
				got, err := read(t.Context(), s, stream{id, at}, 0, -1)
				if err != nil || string(got) != string(data) {
					t.Errorf("read of a stream just committed: %d bytes, %v, want %d", len(got), err, len(data))
				}
				mu.Lock()
				written[stream{id, at}] = data
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	infos, err := s.List(t.Context(), blob.Info{}, 0)
	if err != nil || len(infos) != len(written) {
		t.Errorf("List shows %d streams, %v, want %d", len(infos), err, len(written))
	}
	for st, data := range written {
		wantContent(t, s, st, data)
	}
}
