// SPDX-License-Identifier: Apache-2.0

package fs

import "sync"

// groupSync lets concurrent callers share the syncs of one file or directory. What
// a failed sync has lost nobody can tell: the kernel has marked clean what it could
// not write, and would call the next one a success. So after one that failed there
// is none. The zero value is ready.
type groupSync struct {
	mu     sync.Mutex
	next   *oneSync // has not begun: may be joined
	last   *oneSync // has begun, and may be over
	broken error    // why a sync failed
}

// oneSync is one sync on behalf of all who wait for it. err is set before done is
// closed.
type oneSync struct {
	done chan struct{}
	err  error
}

// do makes durable by sync what was written before. Concurrent callers share one
// call of it, but only one that begins after they came: of one that runs already
// nobody knows what it has seen. So there is at most one under way and one that
// waits for it, and who finds neither begins at once.
//
// sync is not called concurrently. It reports whether it got so far that a failure
// has lost something.
func (g *groupSync) do(sync func() (tried bool, err error)) error {
	g.mu.Lock()
	if shared := g.next; shared != nil {
		g.mu.Unlock()
		<-shared.done
		return shared.err
	}
	own, before := &oneSync{done: make(chan struct{})}, g.last
	g.next = own
	g.mu.Unlock()
	if before != nil {
		<-before.done
	}

	g.mu.Lock()
	g.next, g.last = nil, own // from here on nobody joins
	own.err = g.broken
	g.mu.Unlock()
	if own.err == nil {
		var tried bool
		if tried, own.err = sync(); tried && own.err != nil {
			g.mu.Lock()
			g.broken = own.err
			g.mu.Unlock()
		}
	}
	close(own.done)
	return own.err
}

// failed returns why there is no sync any more; nil when there is.
func (g *groupSync) failed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.broken
}
