// SPDX-License-Identifier: Apache-2.0

// Package fipstest lets tests in synctest bubbles run where FIPS mode is on.
package fipstest

import (
	"crypto/fips140"
	"crypto/rand"
	"os"
	"runtime/debug"
	"sync"
	"testing"
)

// Main is the TestMain of a package whose bubbles draw random numbers. In FIPS mode a
// random generator seeds itself from the jitter of the clock, and the clock of a bubble
// has none. So enough generators for all that may run at once are made first, and kept
// from the garbage collector.
func Main(m *testing.M) {
	if fips140.Enabled() {
		debug.SetGCPercent(-1)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { rand.Read(make([]byte, 16<<20)) })
		}
		all.Wait()
	}
	os.Exit(m.Run())
}
