// SPDX-License-Identifier: Apache-2.0

package fs_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/store/blob/fs"
)

// BenchmarkPacks compares streams in packs with streams in files: writers side by
// side, in turns on the same disk, so that the ratio says more than either rate. Run
// it where the data will be, with TMPDIR.
func BenchmarkPacks(b *testing.B) {
	const writers, turns = 16, 6
	for _, size := range []int{16 << 10, 64 << 10, 256 << 10, 512 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			files := mustOpenWith(b, b.TempDir(), fs.Config{})
			packs := mustOpenWith(b, b.TempDir(), fs.Config{PackLimit: 1 << 20})
			data := make([]byte, size+156)
			var took [2]time.Duration
			b.ResetTimer()
			for turn := range turns {
				for i := range 2 {
					kind := (turn + i) % 2
					s := []*fs.Store{files, packs}[kind]
					began := time.Now()
					var left atomic.Int64
					left.Store(int64(max(b.N/turns, writers)))
					var wg sync.WaitGroup
					for range writers {
						wg.Go(func() {
							for left.Add(-1) >= 0 {
								if _, err := commit(s, newID(), data); err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					wg.Wait()
					took[kind] += time.Since(began)
				}
			}
			done := float64(max(b.N/turns, writers) * turns)
			b.ReportMetric(done/took[0].Seconds(), "files/s")
			b.ReportMetric(done/took[1].Seconds(), "packed/s")
			b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}
