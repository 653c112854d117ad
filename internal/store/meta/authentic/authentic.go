// SPDX-License-Identifier: Apache-2.0

// Package authentic is a meta.Store over another one that detects rows which
// were not written through it: changed, cut, or moved to another key.
//
// It appends to every value
//
//	u32 key version ‖ HMAC-SHA-256(key, u16 len ‖ row key ‖ value)
//
// with big-endian integers, and checks this on every read. What it does not
// detect: a row put back to an older valid value, a deleted row, a changed
// version number. Counters are added up by the store below and bear no code, so
// nothing may be decided by them.
package authentic

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Keys are the keys that authenticate rows. They must sign nothing else.
type Keys struct {
	Current uint32                  // the version that signs new rows
	Key     map[uint32]secret.Bytes // by version; 32 bytes each

	// Counter says whether a key is a counter's and not a row's. nil: the keys
	// that begin with "st/".
	Counter func(key []byte) bool

	// Elsewhere says whether a row is authenticated by other means and written
	// past this store, which then only reads it. nil: none is.
	Elsewhere func(key []byte) bool
}

// store is what Wrap returns.
type store struct {
	below     meta.Store
	current   uint32
	macs      map[uint32]*macPool
	counter   func(key []byte) bool
	elsewhere func(key []byte) bool
}

// Wrap returns a store that authenticates the rows of s, which it then owns. It
// keeps states of its own derived from the keys, so they may be cleared after.
// Keys without the current one, or one that is not of 32 bytes, are a mistake of
// the caller and panic.
func Wrap(s meta.Store, keys Keys) meta.Store {
	w := &store{below: s, current: keys.Current, macs: make(map[uint32]*macPool), counter: keys.Counter, elsewhere: keys.Elsewhere}
	for version, key := range keys.Key {
		if key.Len() != secret.Size {
			panic(fmt.Sprintf("authentic: key version %d has %d bytes", version, key.Len()))
		}
		w.macs[version] = newMACPool(key)
	}
	if w.macs[keys.Current] == nil {
		panic(fmt.Sprintf("authentic: no key of current version %d", keys.Current))
	}
	if w.elsewhere == nil {
		w.elsewhere = func([]byte) bool { return false }
	}
	if w.counter == nil {
		w.counter = func(key []byte) bool { return bytes.HasPrefix(key, []byte("st/")) }
	}
	return w
}

// Get is meta.Store.Get. It answers meta.Damaged when a row is not authentic.
func (s *store) Get(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	items, err := s.below.Get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	for i := range items {
		if items[i].Ver == 0 {
			continue
		}
		if err := s.open(&items[i]); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// Scan is meta.Store.Scan. It answers meta.Damaged when a row is not authentic; a
// KeysOnly scan checks nothing.
func (s *store) Scan(ctx context.Context, r meta.Range) (meta.Page, error) {
	page, err := s.below.Scan(ctx, r)
	if err != nil || r.KeysOnly {
		return page, err
	}
	for i := range page.Items {
		if err := s.open(&page.Items[i]); err != nil {
			return meta.Page{}, err
		}
	}
	return page, nil
}

// open checks the item's value and takes the trailer off.
func (s *store) open(it *meta.Item) error {
	if s.counter(it.Key) {
		if it.Ver != meta.CounterVersion || len(it.Value) != 8 {
			return damaged(it.Key, "not a counter")
		}
		return nil
	}
	if s.elsewhere(it.Key) {
		return nil
	}
	n := len(it.Value) - trailerSize
	if n < 0 {
		return damaged(it.Key, "too short for an authentication code")
	}
	pool := s.macs[trailerVersion(it.Value[n:])]
	if pool == nil {
		return damaged(it.Key, "authentication code of an unknown key version")
	}
	if !pool.check(it.Key, it.Value[:n], it.Value[n:]) {
		return damaged(it.Key, "wrong authentication code")
	}
	it.Value = it.Value[:n:n]
	return nil
}

func damaged(key []byte, why string) error {
	return fault.New(meta.Damaged, "").Because(fmt.Errorf("row %q: %s", key, why))
}

// Commit is meta.Store.Commit.
func (s *store) Commit(ctx context.Context, b *meta.Batch) (uint64, error) {
	signed := meta.Batch{Conds: b.Conds, Deletes: b.Deletes, Adds: b.Adds, Puts: make([]meta.Put, len(b.Puts))}
	for _, a := range b.Adds {
		if !s.counter(a.Key) {
			return 0, fmt.Errorf("%q is no counter's key: %w", a.Key, meta.ErrMixed)
		}
	}
	size := 0
	for _, p := range b.Puts {
		switch {
		case s.elsewhere(p.Key):
			return 0, fmt.Errorf("authentic: row %q is not written here", p.Key)
		case s.counter(p.Key):
			return 0, fmt.Errorf("%q is a counter's key: %w", p.Key, meta.ErrMixed)
		case len(p.Key) > meta.MaxKey:
			return 0, fmt.Errorf("meta: key of %d bytes", len(p.Key))
		case len(p.Value) > meta.MaxValue:
			return 0, fmt.Errorf("meta: value of %d bytes for row %q", len(p.Value), p.Key)
		}
		size += len(p.Value) + trailerSize
	}
	// One piece of memory for all values; the caller's may have room behind them
	// that is not ours. Nobody keeps it after the commit.
	memory := valueMemory.Get().(*[]byte)
	values := (*memory)[:0]
	if cap(values) < size {
		values = make([]byte, 0, size)
	}
	defer func() {
		if cap(values) <= maxKept {
			*memory = values
			valueMemory.Put(memory)
		}
	}()
	for i, p := range b.Puts {
		start := len(values)
		values = append(values, p.Value...)
		values = s.macs[s.current].seal(values, s.current, p.Key, p.Value)
		signed.Puts[i] = meta.Put{Key: p.Key, Value: values[start:len(values):len(values)]}
	}
	return s.below.Commit(ctx, &signed)
}

// valueMemory is for the values of a commit.
var valueMemory = sync.Pool{New: func() any { return new([]byte) }}

// maxKept is the most memory that is used again.
const maxKept = 64 << 10

// Watch is meta.Store.Watch.
func (s *store) Watch(ctx context.Context, prefix []byte) <-chan struct{} {
	return s.below.Watch(ctx, prefix)
}

// Compact is meta.Compacter.Compact; without one below there is nothing to do.
func (s *store) Compact(ctx context.Context, start, end []byte) error {
	if c, ok := s.below.(meta.Compacter); ok {
		return c.Compact(ctx, start, end)
	}
	return nil
}

// Close closes the store below.
func (s *store) Close() error { return s.below.Close() }
