// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"sync"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// rowCall names a method of meta.Store.
type rowCall string

const (
	getRows    rowCall = "get"
	scanRows   rowCall = "scan"
	commitRows rowCall = "commit"
)

// staged is a meta.Store whose calls go through a test's hands.
type staged struct {
	meta.Store
	mu sync.Mutex
	by func(ctx context.Context, call rowCall, do func() error) error
}

// direct puts every call from now on into the test's hands; nil gives them back.
func (s *staged) direct(by func(ctx context.Context, call rowCall, do func() error) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by = by
}

func (s *staged) around(ctx context.Context, call rowCall, do func() error) error {
	s.mu.Lock()
	by := s.by
	s.mu.Unlock()
	if by == nil {
		return do()
	}
	return by(ctx, call, do)
}

func (s *staged) Get(ctx context.Context, keys ...[]byte) (items []meta.Item, err error) {
	err = s.around(ctx, getRows, func() (err error) { items, err = s.Store.Get(ctx, keys...); return err })
	return items, err
}

func (s *staged) Scan(ctx context.Context, r meta.Range) (page meta.Page, err error) {
	err = s.around(ctx, scanRows, func() (err error) { page, err = s.Store.Scan(ctx, r); return err })
	return page, err
}

func (s *staged) Commit(ctx context.Context, b *meta.Batch) (ver uint64, err error) {
	err = s.around(ctx, commitRows, func() (err error) { ver, err = s.Store.Commit(ctx, b); return err })
	return ver, err
}

type slowly struct{}

// slow marks the calls of one actor, the only ones that pauseAt stops.
func slow(ctx context.Context) context.Context { return context.WithValue(ctx, slowly{}, true) }

// pauseAt stops the slow actor before its nth call until release; reached is
// closed when it stands there.
func (s *staged) pauseAt(n int) (reached <-chan struct{}, release func()) {
	stands, goes := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	calls := 0
	s.direct(func(ctx context.Context, _ rowCall, do func() error) error {
		if ctx.Value(slowly{}) == nil {
			return do()
		}
		mu.Lock()
		calls++
		here := calls == n
		mu.Unlock()
		if here {
			close(stands)
			<-goes
		}
		return do()
	})
	return stands, sync.OnceFunc(func() { close(goes) })
}

// errRows is what a call fails with on order.
var errRows = fault.New(meta.Unavailable, "").Because(context.DeadlineExceeded)

// failAt makes the nth call of a kind fail: before it does anything or, if lost,
// after it has done it, so that only its answer is missing. failed reports
// whether it came to that.
func (s *staged) failAt(call rowCall, n int, lost bool) (failed func() bool) {
	var mu sync.Mutex
	calls := 0
	s.direct(func(_ context.Context, c rowCall, do func() error) error {
		mu.Lock()
		if c == call {
			calls++
		}
		here := c == call && calls == n
		mu.Unlock()
		if here && !lost {
			return errRows
		}
		err := do()
		if here && err == nil {
			return errRows
		}
		return err
	})
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return calls >= n
	}
}
