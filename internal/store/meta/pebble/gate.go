// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
)

// gate holds readers back until what they read is durable. A commit enters
// before Pebble can show its batch and leaves when the log is synced. A reader
// first reads, then asks for the versions that it met, and for absent rows for
// those of deletes under way: a delete that it saw has entered and not left
// unless it is durable.
type gate struct {
	durable atomic.Uint64 // every version up to this one is
	open    atomic.Int64  // keys in deletes; lets readers pass without the lock

	mu      sync.Mutex
	deletes map[string]uint64 // key → the last version under way that deletes it
	under   []deletion        // in order of versions
	changed chan struct{}     // closed at the next change; nil when nobody waits
	failure error
}

type deletion struct {
	ver  uint64
	keys []string
}

func (g *gate) init(durable uint64) {
	g.durable.Store(durable)
	g.deletes = make(map[string]uint64)
}

// enter tells of the rows that version ver deletes. Calls come in order of
// versions.
func (g *gate) enter(ver uint64, keys []string) {
	if len(keys) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, key := range keys {
		g.deletes[key] = ver
	}
	g.under = append(g.under, deletion{ver, keys})
	g.open.Store(int64(len(g.deletes)))
}

// leave tells that ver is durable, and with it every version before.
func (g *gate) leave(ver uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ver <= g.durable.Load() {
		return
	}
	g.durable.Store(ver)
	done := 0
	for ; done < len(g.under) && g.under[done].ver <= ver; done++ {
		for _, key := range g.under[done].keys {
			if g.deletes[key] == g.under[done].ver {
				delete(g.deletes, key)
			}
		}
		g.under[done] = deletion{}
	}
	g.under = g.under[done:]
	g.open.Store(int64(len(g.deletes)))
	g.wake()
}

// fail makes every wait, under way or to come, return err.
func (g *gate) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failure = err
	g.wake()
}

// wake lets waiters look again. It needs g.mu.
func (g *gate) wake() {
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// deleted returns the version under way that deletes key, or 0.
func (g *gate) deleted(key []byte) uint64 {
	if g.open.Load() == 0 {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.deletes[string(key)]
}

// deletedBetween returns the highest version under way that deletes a row with
// start <= key < end; a nil end is no bound.
func (g *gate) deletedBetween(start, end []byte) uint64 {
	if g.open.Load() == 0 {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var highest uint64
	for key, ver := range g.deletes {
		if ver > highest && bytes.Compare([]byte(key), start) >= 0 && (end == nil || bytes.Compare([]byte(key), end) < 0) {
			highest = ver
		}
	}
	return highest
}

// wait returns when ver is durable, or why it will not wait any longer.
func (g *gate) wait(ctx context.Context, ver uint64) error {
	for ver > g.durable.Load() {
		g.mu.Lock()
		if g.failure != nil {
			defer g.mu.Unlock()
			return g.failure
		}
		if ver <= g.durable.Load() {
			g.mu.Unlock()
			return nil
		}
		if g.changed == nil {
			g.changed = make(chan struct{})
		}
		changed := g.changed
		g.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
