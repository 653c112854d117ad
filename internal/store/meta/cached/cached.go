// SPDX-License-Identifier: Apache-2.0

// Package cached is a meta.Store over another one that keeps rows that were read in
// memory, bounded. It gives the same answers: a row is kept only while no commit
// that touches it is under way, and the rows of one Get come from one moment.
//
// Every commit to the store below must go through it. Rows that somebody else
// writes, and so those of a store that several processes share, must not be kept.
package cached

import (
	"context"
	"hash/maphash"
	"slices"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// Config is what Wrap needs besides the store.
type Config struct {
	// Bytes is about how much memory rows may take; default 32 MiB.
	Bytes int64
	// Skip says which rows are written past this store. nil: none is.
	Skip func(key []byte) bool
}

const (
	defaultBytes = 32 << 20
	shardCount   = 64
	// maxKeys is the most keys of a Get that are looked up: those of one request,
	// not of a walk.
	maxKeys = 8
	// maxRow is the largest row kept.
	maxRow = 64 << 10
)

type store struct {
	meta.Store
	skip   func(key []byte) bool
	seed   maphash.Seed
	shards [shardCount]shard
}

// Wrap returns a store that keeps rows of s, which it then owns.
func Wrap(s meta.Store, cfg Config) meta.Store {
	if cfg.Bytes <= 0 {
		cfg.Bytes = defaultBytes
	}
	w := &store{Store: s, skip: cfg.Skip, seed: maphash.MakeSeed()}
	if w.skip == nil {
		w.skip = func([]byte) bool { return false }
	}
	for i := range w.shards {
		w.shards[i].init(cfg.Bytes / shardCount)
	}
	return w
}

func (s *store) hash(key []byte) uint64 { return maphash.Bytes(s.seed, key) }

func shardOf(hash uint64) int { return int(hash % shardCount) }

// places are the shards of some keys: each key's, and all of them once.
type places struct {
	hash     [maxKeys]uint64
	of, room [maxKeys]int
	shards   int
}

func (p *places) locate(s *store, keys [][]byte) {
	for i, key := range keys {
		p.hash[i] = s.hash(key)
		p.of[i] = shardOf(p.hash[i])
		p.room[i] = p.of[i]
	}
	slices.Sort(p.room[:len(keys)])
	p.shards = len(slices.Compact(p.room[:len(keys)]))
}

// order are the shards in the order in which they are locked.
func (p *places) order() []int { return p.room[:p.shards] }

func (s *store) lock(order []int) {
	for _, i := range order {
		s.shards[i].mu.Lock()
	}
}

func (s *store) unlock(order []int) {
	for _, i := range order {
		s.shards[i].mu.Unlock()
	}
}

// Get is meta.Store.Get.
func (s *store) Get(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	items, kept, err := s.view(ctx, keys)
	if kept {
		for i := range items { // nobody changes kept bytes; the caller may
			items[i] = owned(keys[i], items[i])
		}
	}
	return items, err
}

// View is meta.Viewer.View.
func (s *store) View(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	items, kept, err := s.view(ctx, keys)
	if kept {
		for i := range items {
			items[i].Key = keys[i]
		}
	}
	return items, err
}

// view returns rows, and whether they are those that are kept, without their keys.
func (s *store) view(ctx context.Context, keys [][]byte) (items []meta.Item, kept bool, err error) {
	if len(keys) > maxKeys || slices.ContainsFunc(keys, s.skip) {
		items, err = s.Store.Get(ctx, keys...)
		return items, false, err
	}
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	var at places
	at.locate(s, keys)
	items = make([]meta.Item, len(keys))
	var seen [maxKeys]uint64 // the changes of each key's shard
	// All shards are locked at once: rows that are all here now are of now.
	s.lock(at.order())
	found := true
	for i, key := range keys {
		shard := &s.shards[at.of[i]]
		seen[i] = shard.changes
		if found {
			items[i], found = shard.get(key)
		}
	}
	s.unlock(at.order())
	if found {
		return items, true, nil
	}
	read, err := s.Store.Get(ctx, keys...)
	if err != nil {
		return nil, false, err
	}
	for i, it := range read {
		if it.Ver == meta.CounterVersion || len(it.Key)+len(it.Value) > maxRow {
			continue
		}
		s.shards[at.of[i]].keep(it, at.hash[i], seen[i])
	}
	return read, false, nil
}

// View1 is meta.Viewer.View1.
func (s *store) View1(ctx context.Context, key []byte) (meta.Item, error) {
	if err := ctx.Err(); err != nil {
		return meta.Item{}, err
	}
	if !s.skip(key) {
		shard := &s.shards[shardOf(s.hash(key))]
		shard.mu.Lock()
		it, found := shard.get(key)
		shard.mu.Unlock()
		if found {
			it.Key = key
			return it, nil
		}
	}
	return meta.Get1(ctx, s, key) // and keeps it
}

// Version is meta.Versioner.Version.
func (s *store) Version(ctx context.Context, key []byte) (uint64, error) {
	item, err := s.View1(ctx, key)
	return item.Ver, err
}

// owned returns an item of the caller's own, in one piece of memory.
func owned(key []byte, it meta.Item) meta.Item {
	b := append(append(make([]byte, 0, len(key)+len(it.Value)), key...), it.Value...)
	it.Key = b[:len(key):len(key)]
	if it.Value != nil {
		it.Value = b[len(key):]
	}
	return it
}

// Commit is meta.Store.Commit. From before the rows change until after, they are
// neither answered from here nor kept.
func (s *store) Commit(ctx context.Context, b *meta.Batch) (uint64, error) {
	s.each(b, (*shard).begin)
	defer s.each(b, (*shard).end)
	return s.Store.Commit(ctx, b)
}

// each calls f for each row that the batch writes.
func (s *store) each(b *meta.Batch, f func(*shard, []byte, uint64)) {
	do := func(key []byte) {
		hash := s.hash(key)
		shard := &s.shards[shardOf(hash)]
		shard.mu.Lock()
		defer shard.mu.Unlock()
		f(shard, key, hash)
	}
	for _, p := range b.Puts {
		do(p.Key)
	}
	for _, key := range b.Deletes {
		do(key)
	}
	for _, a := range b.Adds {
		do(a.Key)
	}
}

// Close is meta.Store.Close. What is kept is forgotten, so that later calls get the
// answer of the store below.
func (s *store) Close() error {
	for i := range s.shards {
		s.shards[i].close()
	}
	return s.Store.Close()
}

// Compact is meta.Compacter.Compact; without one below there is nothing to do.
func (s *store) Compact(ctx context.Context, start, end []byte) error {
	if c, ok := s.Store.(meta.Compacter); ok {
		return c.Compact(ctx, start, end)
	}
	return nil
}
