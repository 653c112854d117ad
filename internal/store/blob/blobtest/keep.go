// SPDX-License-Identifier: Apache-2.0

package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/store/blob"
)

func deleteIdempotent(t *testing.T, s blob.Store) {
	id, other := mustPut(t, s, content(100)), mustPut(t, s, content(200))
	for range 2 {
		if err := s.Delete(t.Context(), id); err != nil {
			t.Errorf("delete: %v", err)
		}
		wantMissing(t, s, id)
	}
	if err := s.Delete(t.Context(), newID()); err != nil {
		t.Errorf("delete of a stream that never was: %v", err)
	}
	wantContent(t, s, other, content(200))
}

func deleteReaderGoesOn(t *testing.T, s blob.Store) {
	data := content(200_000)
	id := mustPut(t, s, data)
	r, err := s.ReadAt(t.Context(), id, 0, -1)
	if err != nil {
		t.Fatalf("ReadAt: %v", err)
	}
	defer func() { _ = r.Close() }()
	head := make([]byte, 1000)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatalf("read: %v", err)
	}
	if err := s.Delete(t.Context(), id); err != nil {
		t.Fatalf("delete: %v", err)
	}
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(append(head, rest...), data) {
		t.Errorf("a reader opened before Delete got %d more bytes, %v, want %d", len(rest), err, len(data)-1000)
	}
}

func listPages(t *testing.T, s blob.Store) {
	var want []blob.StreamID
	for i := range 30 {
		id := newID()
		switch i % 5 {
		case 0:
			id[0], id[1] = 0xab, 0xcd // several in one place
		case 1:
			id[0], id[1] = 0xab, 0xc0|byte(i)&0xf // and next to it
		}
		if i == 2 {
			id = blob.StreamID{15: 1} // the first possible
		}
		if i == 3 {
			id = blob.StreamID(bytes.Repeat([]byte{0xff}, 16)) // and the last
		}
		if err := put(t.Context(), s, id, content(i)); err != nil {
			t.Fatalf("put: %v", err)
		}
		want = append(want, id)
	}
	slices.SortFunc(want, func(a, b blob.StreamID) int { return bytes.Compare(a[:], b[:]) })
	for _, limit := range []int{1, 7, 29, 30, 31, 0, -3} {
		var got []blob.StreamID
		var after blob.StreamID
		for {
			infos, err := s.List(t.Context(), after, limit)
			if err != nil {
				t.Fatalf("List limit %d: %v", limit, err)
			}
			if limit > 0 && len(infos) > limit {
				t.Fatalf("List limit %d returned %d", limit, len(infos))
			}
			for _, info := range infos {
				got = append(got, info.ID)
				after = info.ID
			}
			if limit < 1 || len(infos) < limit {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d show %d streams %v, want %d in order: %v", limit, len(got), got, len(want), want)
		}
	}
	infos, err := s.List(t.Context(), want[9], 2)
	if err != nil || len(infos) != 2 || infos[0].ID != want[10] || infos[1].ID != want[11] {
		t.Errorf("List after the tenth = %v, %v, want the eleventh and twelfth", infos, err)
	}
}

func listInfo(t *testing.T, s blob.Store) {
	before := time.Now().Add(-time.Minute) // stores' clocks may be coarse or elsewhere
	id := mustPut(t, s, content(4321))
	infos, err := s.List(t.Context(), blob.StreamID{}, 10)
	if err != nil || len(infos) != 1 {
		t.Fatalf("List = %v, %v, want one stream", infos, err)
	}
	stat, err := s.Stat(t.Context(), id)
	if err != nil || stat.Size != 4321 || !stat.Modified.Equal(infos[0].Modified) || infos[0].ID != id || infos[0].Size != 4321 {
		t.Errorf("List says %+v, Stat says %+v, %v, want both size 4321", infos[0], stat, err)
	}
	if stat.Modified.Before(before) || stat.Modified.After(time.Now().Add(time.Minute)) {
		t.Errorf("a stream made now is said to be of %v", stat.Modified)
	}
}

func trashOutOfReach(t *testing.T, s blob.Store) {
	id, other := mustPut(t, s, content(500)), mustPut(t, s, content(600))
	for range 2 { // the second time it is missing
		if err := s.MoveToTrash(t.Context(), id); err != nil {
			t.Fatalf("move to trash: %v", err)
		}
		wantMissing(t, s, id)
	}
	if err := s.Delete(t.Context(), id); err != nil {
		t.Errorf("delete of a stream in the trash: %v", err)
	}
	if n, err := s.EmptyTrash(t.Context(), time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("EmptyTrash = %d, %v, want the one stream: Delete does not reach into the trash", n, err)
	}
	wantContent(t, s, other, content(600))
}

func trashEmptiedByAge(t *testing.T, s blob.Store) {
	for range 3 {
		if err := s.MoveToTrash(t.Context(), mustPut(t, s, content(50))); err != nil {
			t.Fatalf("move to trash: %v", err)
		}
	}
	for _, step := range []struct {
		before time.Time
		want   int
	}{{time.Now().Add(-time.Hour), 0}, {time.Now().Add(time.Hour), 3}, {time.Now().Add(time.Hour), 0}} {
		if n, err := s.EmptyTrash(t.Context(), step.before); n != step.want || err != nil {
			t.Errorf("EmptyTrash before %v = %d, %v, want %d", step.before, n, err, step.want)
		}
	}
}

func free(t *testing.T, s blob.Store) {
	avail, total, err := s.Free(t.Context())
	if err != nil || avail < 0 || avail > total {
		t.Errorf("Free = %d of %d, %v", avail, total, err)
	}
}

func contextDone(t *testing.T, s blob.Store) {
	data := content(100)
	id := mustPut(t, s, data)
	unfinished := newID()
	w := mustCreate(t, s, unfinished, -1)
	mustWrite(t, w, data)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	fresh := newID()
	for name, call := range map[string]func() error{
		"Create":      func() error { _, err := s.Create(done, fresh, -1); return err },
		"ReadAt":      func() error { _, err := s.ReadAt(done, id, 0, -1); return err },
		"Stat":        func() error { _, err := s.Stat(done, id); return err },
		"Delete":      func() error { return s.Delete(done, id) },
		"MoveToTrash": func() error { return s.MoveToTrash(done, id) },
		"EmptyTrash":  func() error { _, err := s.EmptyTrash(done, time.Now()); return err },
		"List":        func() error { _, err := s.List(done, blob.StreamID{}, 1); return err },
		"Free":        func() error { _, _, err := s.Free(done); return err },
		"Commit":      func() error { return w.Commit(done) },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v, want context.Canceled", name, err)
		}
	}
	wantContent(t, s, id, data)
	wantMissing(t, s, unfinished)
	if err := w.Commit(t.Context()); err == nil {
		t.Error("Commit succeeded after one that failed")
	}
	if err := put(t.Context(), s, fresh, data); err != nil {
		t.Errorf("put under an id whose Create was cancelled: %v", err)
	}
}

func contextGovernsReader(t *testing.T, s blob.Store) {
	id := mustPut(t, s, content(1_000_000))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.ReadAt(ctx, id, 0, -1)
	if err != nil {
		t.Fatalf("ReadAt: %v", err)
	}
	defer func() { _ = r.Close() }()
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatalf("read: %v", err)
	}
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("read on after cancel: %v, want context.Canceled", err)
	}
}

func closeLaterCalls(t *testing.T, s blob.Store) {
	id := mustPut(t, s, content(100))
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Create":      func() error { _, err := s.Create(ctx, newID(), -1); return err },
		"ReadAt":      func() error { _, err := s.ReadAt(ctx, id, 0, -1); return err },
		"Stat":        func() error { _, err := s.Stat(ctx, id); return err },
		"Delete":      func() error { return s.Delete(ctx, id) },
		"MoveToTrash": func() error { return s.MoveToTrash(ctx, id) },
		"EmptyTrash":  func() error { _, err := s.EmptyTrash(ctx, time.Now()); return err },
		"List":        func() error { _, err := s.List(ctx, blob.StreamID{}, 1); return err },
		"Free":        func() error { _, _, err := s.Free(ctx); return err },
	} {
		if err := call(); !errors.Is(err, blob.Unavailable) {
			t.Errorf("%s after Close: %v, want Unavailable", name, err)
		}
	}
}

func closeUnfinishedWriter(t *testing.T, s blob.Store) {
	w := mustCreate(t, s, newID(), -1)
	mustWrite(t, w, content(100))
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if _, err := w.Write([]byte("more")); !errors.Is(err, blob.Unavailable) {
		t.Errorf("Write after the store's Close: %v, want Unavailable", err)
	}
	if err := w.Commit(t.Context()); !errors.Is(err, blob.Unavailable) {
		t.Errorf("Commit after the store's Close: %v, want Unavailable", err)
	}
	w.Abort()
}
