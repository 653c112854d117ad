// SPDX-License-Identifier: Apache-2.0

// Package sequence gives places in queues that outlive the process.
package sequence

import (
	"sync/atomic"
	"time"
)

// Clock gives places: nanoseconds since 1970, or one more than the last where that is not
// later. The zero value is ready for use. It is safe for concurrent use.
type Clock struct{ last atomic.Uint64 }

// Next returns a place behind all that were given.
func (c *Clock) Next() uint64 {
	for {
		last := c.last.Load()
		now := max(uint64(time.Now().UnixNano()), last+1)
		if c.last.CompareAndSwap(last, now) {
			return now
		}
	}
}

// Last returns the last place that was given.
func (c *Clock) Last() uint64 { return c.last.Load() }

// AtLeast has all further places be behind n, one that an earlier process gave.
func (c *Clock) AtLeast(n uint64) {
	for last := c.last.Load(); last < n && !c.last.CompareAndSwap(last, n); last = c.last.Load() {
	}
}
