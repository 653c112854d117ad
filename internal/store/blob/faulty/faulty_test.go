// SPDX-License-Identifier: Apache-2.0

package faulty_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/blob/blobtest"
	"github.com/cofferstore/coffer/internal/store/blob/faulty"
	"github.com/cofferstore/coffer/internal/store/blob/mem"
)

func TestUnarmedIsAStore(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return faulty.New(mem.New()) })
}

func put(s blob.Store, id blob.StreamID, data string) error {
	w, err := s.Create(context.Background(), id, -1)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.WriteString(w, data); err != nil {
		return err
	}
	_, err = w.Commit(context.Background())
	return err
}

func get(s blob.Store, id blob.StreamID, off, n int64) (string, error) {
	r, err := s.ReadAt(context.Background(), id, blob.Place{}, off, n)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(r)
	return string(data), errors.Join(err, r.Close())
}

func TestNthCallFails(t *testing.T) {
	ctx := t.Context()
	id := blob.StreamID{7}
	discard := func(_ any, err error) error { return err }
	for op, call := range map[faulty.Op]func(s *faulty.Store, i byte) error{
		faulty.Create:     func(s *faulty.Store, i byte) error { return put(s, blob.StreamID{i}, "x") },
		faulty.Write:      func(s *faulty.Store, i byte) error { return put(s, blob.StreamID{i}, "x") },
		faulty.Commit:     func(s *faulty.Store, i byte) error { return put(s, blob.StreamID{i}, "x") },
		faulty.Read:       func(s *faulty.Store, _ byte) error { return discard(get(s, id, 0, -1)) },
		faulty.Stat:       func(s *faulty.Store, _ byte) error { return discard(s.Stat(ctx, id, blob.Place{})) },
		faulty.Delete:     func(s *faulty.Store, i byte) error { return s.Delete(ctx, blob.StreamID{i}, blob.Place{}) },
		faulty.Trash:      func(s *faulty.Store, i byte) error { return s.MoveToTrash(ctx, blob.StreamID{i}, blob.Place{}) },
		faulty.EmptyTrash: func(s *faulty.Store, _ byte) error { return discard(s.EmptyTrash(ctx, time.Now())) },
		faulty.List:       func(s *faulty.Store, _ byte) error { return discard(s.List(ctx, blob.Info{ID: id}, 1)) },
		faulty.Free:       func(s *faulty.Store, _ byte) error { _, _, err := s.Free(ctx); return err },
	} {
		t.Run(string(op), func(t *testing.T) {
			s := faulty.New(mem.New())
			if err := put(s, id, "there"); err != nil {
				t.Fatal(err)
			}
			before := s.Calls(op)
			s.Fail(op, 2, blob.Full)
			s.Fail(op, 4, nil)
			for i, want := range []error{nil, blob.Full, nil, blob.Unavailable, nil} {
				if err := call(s, byte(10+i)); !errors.Is(err, want) {
					t.Errorf("call %d: %v, want %v", i+1, err, want)
				}
			}
			if got := s.Calls(op) - before; got != 5 {
				t.Errorf("Calls counts %d, want 5", got)
			}
			s.Fail(op, 1, nil)
			s.Disarm()
			if err := call(s, 20); err != nil {
				t.Errorf("after Disarm: %v", err)
			}
		})
	}
}

func TestFailedWriterStaysFailed(t *testing.T) {
	for _, op := range []faulty.Op{faulty.Write, faulty.Commit} {
		s := faulty.New(mem.New())
		s.Fail(op, 1, nil)
		w, err := s.Create(t.Context(), blob.StreamID{1}, -1)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte("x"))
		for range 2 {
			if _, err := w.Commit(t.Context()); !errors.Is(err, blob.Unavailable) {
				t.Errorf("Commit after a failed %s: %v, want Unavailable", op, err)
			}
		}
		if err := put(s, blob.StreamID{1}, "y"); err != nil {
			t.Errorf("the stream was not abandoned after a failed %s: %v", op, err)
		}
	}
}

func TestDamage(t *testing.T) {
	s := faulty.New(mem.New())
	id := blob.StreamID{1}
	if err := put(s, id, "abcdef"); err != nil {
		t.Fatal(err)
	}
	check := func(off, n int64, want string, wantErr error) {
		t.Helper()
		if got, err := get(s, id, off, n); got != want || !errors.Is(err, wantErr) {
			t.Errorf("read off %d n %d = %q, %v, want %q, %v", off, n, got, err, want, wantErr)
		}
	}
	s.Flip(id, 2*8, 2) // c ^ 1 = b
	check(0, -1, "abbdef", nil)
	check(2, 2, "bd", nil)
	check(0, -1, "abcdef", nil) // read again, it is whole

	s.Truncate(id, 4, -1)
	s.Flip(id, 3*8+1, -1) // d ^ 2 = f
	check(0, -1, "abcf", nil)
	check(3, 2, "f", io.ErrUnexpectedEOF)
	check(0, 4, "abcf", nil)
	check(5, 1, "", io.ErrUnexpectedEOF)
	s.Heal(id)
	check(0, 6, "abcdef", nil)
}

func TestBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := faulty.New(mem.New())
		reached, release := s.Block(faulty.Commit, 1)
		done := make(chan error, 1)
		go func() { done <- put(s, blob.StreamID{1}, "x") }()
		<-reached
		synctest.Wait()
		if _, err := s.Stat(t.Context(), blob.StreamID{1}, blob.Place{}); !errors.Is(err, blob.NotFound) {
			t.Errorf("Stat while Commit waits: %v, want NotFound", err)
		}
		release()
		release()
		if err := <-done; err != nil {
			t.Errorf("put after release: %v", err)
		}

		_, release = s.Block(faulty.List, 1)
		defer release()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.List(ctx, blob.Info{}, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("List blocked past its deadline: %v", err)
		}
	})
}
