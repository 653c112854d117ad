// SPDX-License-Identifier: Apache-2.0

package consolidate

import (
	"crypto/fips140"
	"crypto/rand"
	"os"
	"runtime/debug"
	"sync"
	"testing"
)

// In FIPS mode a random generator seeds itself from the jitter of the clock, and
// the clock of a synctest bubble has none. So enough generators for all that may
// run at once are made first, and kept from the garbage collector.
func TestMain(m *testing.M) {
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
