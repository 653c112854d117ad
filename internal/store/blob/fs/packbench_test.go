// SPDX-License-Identifier: Apache-2.0

package fs_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/store/blob/fs"
)

// BenchmarkPacks compares streams in packs with streams in files: 16 writers side by
// side, for a short while each in turns on the same disk, so that the ratio of the
// medians says more than either rate. Run it where the data will be, with TMPDIR, and
// with -benchtime 1x.
func BenchmarkPacks(b *testing.B) {
	const writers, turns, while = 16, 9, 400 * time.Millisecond
	for _, size := range []int{16 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			stores := []*fs.Store{mustOpenWith(b, b.TempDir(), fs.Config{}), mustOpenWith(b, b.TempDir(), fs.Config{PackLimit: 1 << 20})}
			data := make([]byte, size+156)
			rates := make([][]float64, len(stores))
			for range turns {
				for i, s := range stores {
					rates[i] = append(rates[i], commitFor(b, while, writers, s, data))
				}
			}
			median := func(all []float64) float64 { slices.Sort(all); return all[len(all)/2] }
			files, packed := median(rates[0]), median(rates[1])
			b.ReportMetric(files, "files/s")
			b.ReportMetric(packed, "packed/s")
			b.ReportMetric(packed/files, "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// commitFor commits the same bytes again and again, and returns how often a second.
func commitFor(b *testing.B, while time.Duration, writers int, s *fs.Store, data []byte) float64 {
	began := time.Now()
	var done atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for time.Since(began) < while {
				if _, err := commit(s, newID(), data); err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(began).Seconds()
}
