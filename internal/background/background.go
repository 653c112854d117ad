// SPDX-License-Identifier: Apache-2.0

// Package background lets long work stand back: it takes the processor time that requests
// leave over.
package background

import "runtime"

// Do runs f on a thread of low priority and returns when it has. What f starts in other
// goroutines is not held back. f should hold no lock for long that requests take: while it
// does, they wait for a thread of low priority. Where threads have no priorities f just
// runs.
func Do(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread is never unlocked, so it ends with its goroutine and nobody else
		// gets its priority.
		runtime.LockOSThread()
		lower()
		f()
	}()
	<-done
}
