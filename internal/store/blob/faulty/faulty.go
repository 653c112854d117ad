// SPDX-License-Identifier: Apache-2.0

// Package faulty wraps a blob store and fails on order: for tests of what stands
// above one. Unarmed it behaves as the store inside.
//
// Calls are counted per operation from the moment of arming: n = 1 is the next
// one. Each order is carried out once.
package faulty

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/blob"
)

// Op names an operation.
type Op string

// The operations that can be made to fail or to wait. Read is ReadAt, not the
// Read of its reader; Write and Commit are the Writers', of all streams together.
const (
	Create     Op = "create"
	Write      Op = "write"
	Commit     Op = "commit"
	Read       Op = "read"
	Stat       Op = "stat"
	Delete     Op = "delete"
	Trash      Op = "trash"
	EmptyTrash Op = "empty trash"
	List       Op = "list"
	Free       Op = "free"
)

// Store is a store that fails on order. All methods are safe for concurrent use.
type Store struct {
	inner blob.Store

	mu      sync.Mutex
	calls   map[Op]int
	orders  []order
	damages map[blob.StreamID]*damage
}

// order is what to do at one call.
type order struct {
	op   Op
	call int // by s.calls
	err  error

	reached, release chan struct{} // set: wait
}

// New returns a store that does as inner does until it is told otherwise.
func New(inner blob.Store) *Store {
	return &Store{inner: inner, calls: make(map[Op]int), damages: make(map[blob.StreamID]*damage)}
}

// Fail makes the nth call of op from now on return err, or a fault of the kind
// blob.Unavailable when err is nil. The store inside does not see the call, except
// that a failed Write or Commit abandons the stream.
func (s *Store) Fail(op Op, n int, err error) {
	if err == nil {
		err = fault.New(blob.Unavailable, "").Because(errOrdered{op})
	}
	s.arm(order{op: op, err: err}, n)
}

// Block makes the nth call of op from now on wait, before it does anything, until
// release is called or its ctx is done; reached is closed when it begins to
// wait. release may be called again.
func (s *Store) Block(op Op, n int) (reached <-chan struct{}, release func()) {
	o := order{op: op, reached: make(chan struct{}), release: make(chan struct{})}
	s.arm(o, n)
	return o.reached, sync.OnceFunc(func() { close(o.release) })
}

func (s *Store) arm(o order, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.call = s.calls[o.op] + n
	s.orders = append(s.orders, o)
}

// Calls returns how often op has been called.
func (s *Store) Calls(op Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// Disarm drops the orders that were not carried out. Calls that wait go on
// waiting for their release.
func (s *Store) Disarm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders = nil
}

// at counts a call and carries out the orders for it.
func (s *Store) at(ctx context.Context, op Op) error {
	s.mu.Lock()
	s.calls[op]++
	var now, later []order
	for _, o := range s.orders {
		if o.op == op && o.call == s.calls[op] {
			now = append(now, o)
		} else {
			later = append(later, o)
		}
	}
	s.orders = later
	s.mu.Unlock()
	for _, o := range now {
		if o.err != nil {
			return o.err
		}
		close(o.reached)
		select {
		case <-o.release:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

type errOrdered struct{ op Op }

func (e errOrdered) Error() string { return "this " + string(e.op) + " was to fail" }

// Create begins a stream.
func (s *Store) Create(ctx context.Context, id blob.StreamID, sizeHint int64) (blob.Writer, error) {
	if err := s.at(ctx, Create); err != nil {
		return nil, err
	}
	w, err := s.inner.Create(ctx, id, sizeHint)
	if err != nil {
		return nil, err
	}
	return &writer{inner: w, store: s}, nil
}

// ReadAt returns a reader of a range, damaged if that was ordered.
func (s *Store) ReadAt(ctx context.Context, id blob.StreamID, at blob.Place, off, n int64) (io.ReadCloser, error) {
	if err := s.at(ctx, Read); err != nil {
		return nil, err
	}
	r, err := s.inner.ReadAt(ctx, id, at, off, n)
	if err != nil {
		return nil, err
	}
	return s.damaged(r, id, off, n), nil
}

// Stat returns what List says of a stream.
func (s *Store) Stat(ctx context.Context, id blob.StreamID, at blob.Place) (blob.Info, error) {
	if err := s.at(ctx, Stat); err != nil {
		return blob.Info{}, err
	}
	return s.inner.Stat(ctx, id, at)
}

// Delete removes the stream.
func (s *Store) Delete(ctx context.Context, id blob.StreamID, at blob.Place) error {
	if err := s.at(ctx, Delete); err != nil {
		return err
	}
	return s.inner.Delete(ctx, id, at)
}

// MoveToTrash takes the stream out of reach.
func (s *Store) MoveToTrash(ctx context.Context, id blob.StreamID, at blob.Place) error {
	if err := s.at(ctx, Trash); err != nil {
		return err
	}
	return s.inner.MoveToTrash(ctx, id, at)
}

// EmptyTrash deletes what was moved to the trash before the given time.
func (s *Store) EmptyTrash(ctx context.Context, before time.Time) (int, error) {
	if err := s.at(ctx, EmptyTrash); err != nil {
		return 0, err
	}
	return s.inner.EmptyTrash(ctx, before)
}

// List returns the streams after one.
func (s *Store) List(ctx context.Context, after blob.Info, limit int) ([]blob.Info, error) {
	if err := s.at(ctx, List); err != nil {
		return nil, err
	}
	return s.inner.List(ctx, after, limit)
}

// Free says how much room the device has.
func (s *Store) Free(ctx context.Context) (avail, total int64, err error) {
	if err := s.at(ctx, Free); err != nil {
		return 0, 0, err
	}
	return s.inner.Free(ctx)
}

// Close closes the store inside.
func (s *Store) Close() error { return s.inner.Close() }

// writer fails on order. What failed once goes on failing, as blob.Writer says.
type writer struct {
	inner blob.Writer
	store *Store
	err   error
}

func (w *writer) Write(p []byte) (int, error) {
	if err := w.at(context.Background(), Write); err != nil {
		return 0, err
	}
	return w.inner.Write(p)
}

func (w *writer) Commit(ctx context.Context) (blob.Place, error) {
	if err := w.at(ctx, Commit); err != nil {
		return blob.Place{}, err
	}
	return w.inner.Commit(ctx)
}

func (w *writer) Abort() { w.inner.Abort() }

func (w *writer) at(ctx context.Context, op Op) error {
	if w.err != nil {
		return w.err
	}
	if w.err = w.store.at(ctx, op); w.err != nil {
		w.inner.Abort()
	}
	return w.err
}
