// SPDX-License-Identifier: Apache-2.0

// Package mem is a metadata store in memory. It keeps every promise of
// meta.Store but durability, and is the fake for tests of everything above.
package mem

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Store is a meta.Store in memory. Reads run side by side; a commit or a Close
// runs alone.
type Store struct {
	hints meta.Hints

	mu     sync.RWMutex
	rows   list
	ver    uint64 // of the last commit
	closed bool
}

// New returns an empty store.
func New() *Store { return &Store{ver: meta.CounterVersion} }

func errClosed() error {
	return fault.New(meta.Unavailable, "").Because(errors.New("the store is closed"))
}

// Get is meta.Store.Get.
func (s *Store) Get(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, errClosed()
	}
	items := make([]meta.Item, len(keys))
	for i, key := range keys {
		if r := s.rows.get(key); r != nil {
			items[i] = r.item(false)
		} else {
			items[i].Key = bytes.Clone(key)
		}
	}
	return items, nil
}

// item returns a copy of the row for a caller.
func (r *row) item(keyOnly bool) meta.Item {
	it := meta.Item{Key: bytes.Clone(r.key), Ver: r.ver}
	if !keyOnly {
		it.Value = append([]byte{}, r.value...) // never nil: the row is there
	}
	return it
}

// Scan is meta.Store.Scan.
func (s *Store) Scan(ctx context.Context, r meta.Range) (meta.Page, error) {
	if err := ctx.Err(); err != nil {
		return meta.Page{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return meta.Page{}, errClosed()
	}
	if r.Limit <= 0 {
		r.Limit = 1000
	}
	var page meta.Page
	size := 0
	for found := range s.between(r) {
		if len(page.Items) == r.Limit || r.MaxBytes > 0 && size >= r.MaxBytes {
			page.More = true
			page.Next = bytes.Clone(page.Items[len(page.Items)-1].Key)
			if !r.Reverse {
				page.Next = append(page.Next, 0) // the first key after the last one
			}
			break
		}
		it := found.item(r.KeysOnly)
		size += len(it.Key) + len(it.Value)
		page.Items = append(page.Items, it)
	}
	return page, nil
}

// between returns an iterator over the rows of r in its order. It needs s.mu.
func (s *Store) between(r meta.Range) iter.Seq[*row] {
	return func(yield func(*row) bool) {
		if !r.Reverse {
			p, _ := s.rows.seek(r.Start)
			for found := s.rows.at(p); found != nil; found = s.rows.at(p) {
				if r.End != nil && bytes.Compare(found.key, r.End) >= 0 || !yield(found) {
					return
				}
				p = s.rows.next(p)
			}
			return
		}
		p := s.rows.end()
		if r.End != nil {
			p, _ = s.rows.seek(r.End)
		}
		for p, ok := s.rows.prev(p); ok; p, ok = s.rows.prev(p) {
			found := s.rows.at(p)
			if bytes.Compare(found.key, r.Start) < 0 || !yield(found) {
				return
			}
		}
	}
}

// Commit is meta.Store.Commit.
func (s *Store) Commit(ctx context.Context, b *meta.Batch) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	steps, err := b.Steps()
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, errClosed()
	}
	if err := s.check(steps); err != nil {
		return 0, err
	}
	if len(b.Puts)+len(b.Deletes)+len(b.Adds) == 0 {
		return s.ver, nil
	}
	s.ver++
	for _, step := range steps {
		s.apply(step)
	}
	s.hints.Changed(steps)
	return s.ver, nil
}

// check returns why the steps cannot be done, if they cannot.
func (s *Store) check(steps []meta.Step) error {
	var mixed error
	for _, step := range steps {
		var ver uint64
		if r := s.rows.get(step.Key); r != nil {
			ver = r.ver
			if step.Op == meta.Write && r.counter || step.Op == meta.Increment && !r.counter {
				mixed = fmt.Errorf("row %q: %w", step.Key, meta.ErrMixed)
			}
		}
		if !step.Holds(ver) {
			return &meta.ConflictError{Key: bytes.Clone(step.Key)}
		}
	}
	return mixed
}

// apply does one step, under version s.ver. It copies what it keeps.
func (s *Store) apply(step meta.Step) {
	switch step.Op {
	case meta.Write:
		s.rows.set(&row{key: bytes.Clone(step.Key), value: bytes.Clone(step.Value), ver: s.ver})
	case meta.Remove:
		s.rows.remove(step.Key)
	case meta.Increment:
		sum := step.Delta
		if r := s.rows.get(step.Key); r != nil {
			sum += int64(binary.BigEndian.Uint64(r.value))
		}
		s.rows.set(&row{
			key:     bytes.Clone(step.Key),
			value:   binary.BigEndian.AppendUint64(nil, uint64(sum)),
			ver:     meta.CounterVersion,
			counter: true,
		})
	}
}

// Watch is meta.Store.Watch.
func (s *Store) Watch(ctx context.Context, prefix []byte) <-chan struct{} {
	return s.hints.Watch(ctx, prefix)
}

// Close is meta.Store.Close.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed()
	}
	s.closed = true
	s.hints.Close()
	return nil
}
