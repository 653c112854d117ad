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
	st, other := mustPut(t, s, content(100)), mustPut(t, s, content(200))
	for range 2 {
		if err := s.Delete(t.Context(), st.id, st.at); err != nil {
			t.Errorf("delete: %v", err)
		}
		wantMissing(t, s, st)
	}
	if err := s.Delete(t.Context(), newID(), blob.Place{}); err != nil {
		t.Errorf("delete of a stream that never was: %v", err)
	}
	wantContent(t, s, other, content(200))
}

func deleteReaderGoesOn(t *testing.T, s blob.Store) {
	data := content(200_000)
	st := mustPut(t, s, data)
	r, err := s.ReadAt(t.Context(), st.id, st.at, 0, -1)
	if err != nil {
		t.Fatalf("ReadAt: %v", err)
	}
	defer func() { _ = r.Close() }()
	head := make([]byte, 1000)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatalf("read: %v", err)
	}
	if err := s.Delete(t.Context(), st.id, st.at); err != nil {
		t.Fatalf("delete: %v", err)
	}
	wantMissing(t, s, st)
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(append(head, rest...), data) {
		t.Errorf("a reader opened before Delete got %d more bytes, %v, want %d", len(rest), err, len(data)-1000)
	}
	if err := r.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	wantMissing(t, s, st)
}

func listPages(t *testing.T, s blob.Store) {
	want := make(map[blob.StreamID]blob.Place)
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
		hint := int64(i)
		if i%2 == 0 {
			hint = -1
		}
		at, err := put(t.Context(), s, id, hint, content(i))
		if err != nil {
			t.Fatalf("put: %v", err)
		}
		want[id] = at
	}
	all, err := s.List(t.Context(), blob.Info{}, 0)
	if err != nil || len(all) != len(want) {
		t.Fatalf("List shows %d streams, %v, want %d", len(all), err, len(want))
	}
	for _, info := range all {
		if at, ok := want[info.ID]; !ok || info.At != at {
			t.Errorf("List shows %+v, want it at %+v, %t", info, at, ok)
		}
	}
	for _, limit := range []int{1, 7, 29, 30, 31, 0, -3} {
		var got []blob.Info
		var after blob.Info
		for {
			infos, err := s.List(t.Context(), after, limit)
			if err != nil {
				t.Fatalf("List limit %d: %v", limit, err)
			}
			if limit > 0 && len(infos) > limit {
				t.Fatalf("List limit %d returned %d", limit, len(infos))
			}
			for _, info := range infos {
				got = append(got, info)
				after = info
			}
			if limit < 1 || len(infos) < limit {
				break
			}
		}
		if !slices.Equal(got, all) {
			t.Errorf("pages of %d show %d streams %v, want %d in the same order: %v", limit, len(got), got, len(all), all)
		}
	}
}

// listWhileStreamsGo: a page after a stream that is gone goes on where it was.
func listWhileStreamsGo(t *testing.T, s blob.Store) {
	left := make(map[blob.StreamID]bool)
	for i := range 20 {
		left[mustPut(t, s, content(i*500)).id] = true
	}
	var after blob.Info
	for range 20 {
		infos, err := s.List(t.Context(), after, 1)
		if err != nil || len(infos) != 1 || !left[infos[0].ID] {
			t.Fatalf("List = %v, %v, want one that is left", infos, err)
		}
		after = infos[0]
		if err := s.Delete(t.Context(), after.ID, after.At); err != nil {
			t.Fatalf("delete: %v", err)
		}
		delete(left, after.ID)
	}
	if infos, err := s.List(t.Context(), after, 1); err != nil || len(infos) != 0 {
		t.Errorf("List in the end = %v, %v, want nothing", infos, err)
	}
}

func listInfo(t *testing.T, s blob.Store) {
	before := time.Now().Add(-time.Minute) // stores' clocks may be coarse or elsewhere
	st := mustPut(t, s, content(4321))
	infos, err := s.List(t.Context(), blob.Info{}, 10)
	if err != nil || len(infos) != 1 {
		t.Fatalf("List = %v, %v, want one stream", infos, err)
	}
	stat, err := s.Stat(t.Context(), st.id, st.at)
	if err != nil || stat.Size != 4321 || !stat.Modified.Equal(infos[0].Modified) || infos[0].ID != st.id || infos[0].At != st.at || infos[0].Size != 4321 {
		t.Errorf("List says %+v, Stat says %+v, %v, want both size 4321", infos[0], stat, err)
	}
	if stat.Modified.Before(before) || stat.Modified.After(time.Now().Add(time.Minute)) {
		t.Errorf("a stream made now is said to be of %v", stat.Modified)
	}
}

func trashOutOfReach(t *testing.T, s blob.Store) {
	st, other := mustPut(t, s, content(500)), mustPut(t, s, content(600))
	for range 2 { // the second time it is missing
		if err := s.MoveToTrash(t.Context(), st.id, st.at); err != nil {
			t.Fatalf("move to trash: %v", err)
		}
		wantMissing(t, s, st)
	}
	if err := s.Delete(t.Context(), st.id, st.at); err != nil {
		t.Errorf("delete of a stream in the trash: %v", err)
	}
	if n, err := s.EmptyTrash(t.Context(), time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("EmptyTrash = %d, %v, want the one stream: Delete does not reach into the trash", n, err)
	}
	wantContent(t, s, other, content(600))
}

func trashEmptiedByAge(t *testing.T, s blob.Store) {
	for range 3 {
		st := mustPut(t, s, content(50))
		if err := s.MoveToTrash(t.Context(), st.id, st.at); err != nil {
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
	st := mustPut(t, s, data)
	id, at := st.id, st.at
	unfinished := newID()
	w := mustCreate(t, s, unfinished, -1)
	mustWrite(t, w, data)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	fresh := newID()
	for name, call := range map[string]func() error{
		"Create":      func() error { _, err := s.Create(done, fresh, -1); return err },
		"ReadAt":      func() error { _, err := s.ReadAt(done, id, at, 0, -1); return err },
		"Stat":        func() error { _, err := s.Stat(done, id, at); return err },
		"Delete":      func() error { return s.Delete(done, id, at) },
		"MoveToTrash": func() error { return s.MoveToTrash(done, id, at) },
		"EmptyTrash":  func() error { _, err := s.EmptyTrash(done, time.Now()); return err },
		"List":        func() error { _, err := s.List(done, blob.Info{}, 1); return err },
		"Free":        func() error { _, _, err := s.Free(done); return err },
		"Commit":      func() error { _, err := w.Commit(done); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v, want context.Canceled", name, err)
		}
	}
	wantContent(t, s, st, data)
	wantMissing(t, s, stream{id: unfinished})
	if _, err := w.Commit(t.Context()); err == nil {
		t.Error("Commit succeeded after one that failed")
	}
	if _, err := put(t.Context(), s, fresh, -1, data); err != nil {
		t.Errorf("put under an id whose Create was cancelled: %v", err)
	}
}

func contextGovernsReader(t *testing.T, s blob.Store) {
	st := mustPut(t, s, content(500_000))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.ReadAt(ctx, st.id, st.at, 0, -1)
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
	st := mustPut(t, s, content(100))
	id, at := st.id, st.at
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Create":      func() error { _, err := s.Create(ctx, newID(), -1); return err },
		"ReadAt":      func() error { _, err := s.ReadAt(ctx, id, at, 0, -1); return err },
		"Stat":        func() error { _, err := s.Stat(ctx, id, at); return err },
		"Delete":      func() error { return s.Delete(ctx, id, at) },
		"MoveToTrash": func() error { return s.MoveToTrash(ctx, id, at) },
		"EmptyTrash":  func() error { _, err := s.EmptyTrash(ctx, time.Now()); return err },
		"List":        func() error { _, err := s.List(ctx, blob.Info{}, 1); return err },
		"Free":        func() error { _, _, err := s.Free(ctx); return err },
	} {
		if err := call(); !errors.Is(err, blob.Unavailable) {
			t.Errorf("%s after Close: %v, want Unavailable", name, err)
		}
	}
}

func closeUnfinishedWriter(t *testing.T, s blob.Store) {
	var writers []blob.Writer
	for _, hint := range []int64{-1, 100} {
		w := mustCreate(t, s, newID(), hint)
		mustWrite(t, w, content(100))
		writers = append(writers, w)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	for _, w := range writers {
		if _, err := w.Write([]byte("more")); !errors.Is(err, blob.Unavailable) {
			t.Errorf("Write after the store's Close: %v, want Unavailable", err)
		}
		if _, err := w.Commit(t.Context()); !errors.Is(err, blob.Unavailable) {
			t.Errorf("Commit after the store's Close: %v, want Unavailable", err)
		}
		w.Abort()
	}
}
