// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
)

// Hints is the Watch method of a driver whose changes are all made in this
// process. The zero value is ready. It is safe for concurrent use.
type Hints struct {
	count  atomic.Int32 // of watchers, so that Changed costs nothing without any
	mu     sync.Mutex
	all    map[*watcher]struct{}
	closed bool
}

type watcher struct {
	prefix []byte
	hint   chan struct{} // holds one value; sent on and closed under Hints.mu
	detach func() bool   // stops waiting for the watcher's context
}

// Watch is Store.Watch.
func (h *Hints) Watch(ctx context.Context, prefix []byte) <-chan struct{} {
	w := &watcher{prefix: bytes.Clone(prefix), hint: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || ctx.Err() != nil {
		close(w.hint)
		return w.hint
	}
	if h.all == nil {
		h.all = make(map[*watcher]struct{})
	}
	h.all[w] = struct{}{}
	h.count.Add(1)
	w.detach = context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(w)
	})
	return w.hint
}

// Changed tells the watchers of the rows that the steps changed.
func (h *Hints) Changed(steps []Step) {
	if h.count.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.all {
		for _, s := range steps {
			if s.Op == Demand || !bytes.HasPrefix(s.Key, w.prefix) {
				continue
			}
			select {
			case w.hint <- struct{}{}:
			default: // one is waiting already; it stands for both
			}
			break
		}
	}
}

// Close closes every channel, and those that are asked for later.
func (h *Hints) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for w := range h.all {
		w.detach()
		h.drop(w)
	}
}

// drop forgets w, once. It needs h.mu.
func (h *Hints) drop(w *watcher) {
	if _, ok := h.all[w]; !ok {
		return
	}
	delete(h.all, w)
	h.count.Add(-1)
	close(w.hint)
}
