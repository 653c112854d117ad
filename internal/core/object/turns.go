// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"sync"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

// turns puts those who met a conflict over an object in a queue. Of many who try at
// once one succeeds with each sync of the log, and any of the others might do so never.
type turns struct {
	mu sync.Mutex
	m  map[contested]*turn
}

// contested is what several write.
type contested struct {
	bucket bucket.UID
	key    string
}

type turn struct {
	mine chan struct{} // of one element: whoever has put it has the turn
	want int           // how many have it or wait for it
}

// take waits for the caller's turn, which ends with release. Those who wait have it in
// the order in which they came. Error: the context's.
func (t *turns) take(ctx context.Context, what contested) (release func(), err error) {
	t.mu.Lock()
	at := t.m[what]
	if at == nil {
		if t.m == nil {
			t.m = map[contested]*turn{}
		}
		at = &turn{mine: make(chan struct{}, 1)}
		t.m[what] = at
	}
	at.want++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if at.want--; at.want == 0 {
			delete(t.m, what)
		}
	}
	select {
	case at.mine <- struct{}{}:
		return func() { <-at.mine; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}
