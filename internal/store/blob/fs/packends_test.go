// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// A read that begins while a stream's frame is being erased finds nothing, and harms
// nothing.
func TestAReadMeetsTheEndOfADelete(t *testing.T) {
	mem := vfs.NewMem()
	s := inMemory(t, mem, nil)
	in := packOne(t, s, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var armed atomic.Bool
	var state atomic.Int32 // 1: the reader is in its read, 2: Delete has returned
	began, deleted, read := make(chan struct{}), make(chan struct{}), make(chan any, 1)
	var start func()
	s = inMemory(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !armed.Load() || !strings.HasPrefix(op.Path, "/blobs/packs/") {
			return nil
		}
		switch {
		case op.Kind == errorfs.OpFileStat && state.CompareAndSwap(0, 1): // tidy counts once more
			start()
			<-began
		case op.Kind == errorfs.OpFileReadAt && op.Offset == in.At.Offset && state.CompareAndSwap(1, 2): // the reader
			close(began)
			<-deleted
		}
		return nil
	})), nil)
	if _, err := s.List(t.Context(), blob.Info{}, 0); err != nil { // counts
		t.Fatal(err)
	}
	start = func() {
		go func() {
			defer func() { read <- recover() }()
			_, err := s.ReadAt(t.Context(), in.ID, in.At, 0, -1)
			if !errors.Is(err, blob.NotFound) {
				t.Errorf("read: %v", err)
			}
		}()
	}
	s.packs.punch = func(f vfs.File, off, n int64) error {
		_, err := f.WriteAt(make([]byte, n), off)
		armed.Store(true)
		return err
	}
	err := s.Delete(t.Context(), in.ID, in.At)
	close(deleted)
	if p := <-read; err != nil || p != nil {
		t.Errorf("delete: %v; the read panicked: %v", err, p)
	}
}

// A stream that is longer than announced, and than what a frame may have, is no frame.
func TestAStreamTooLongForAFrame(t *testing.T) {
	zeros := func(f vfs.File, off, n int64) error { return nil }
	s, err := Open("/blobs", Config{FS: vfs.NewMem(), PackLimit: 4 << 20, Punch: zeros})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := blob.StreamID{1}
	w, err := s.Create(t.Context(), id, 4<<20)
	if err == nil {
		_, err = w.Write(make([]byte, 5<<20))
	}
	if err != nil {
		t.Fatal(err)
	}
	at, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), id, at); err != nil {
		t.Errorf("a stream that was committed to %+v: %v", at, err)
	}
}
