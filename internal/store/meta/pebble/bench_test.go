// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cofferstore/coffer/internal/store/meta"
)

func openBench(b *testing.B) *Store {
	s, err := Open(b.TempDir(), Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// A small object's put: its row, its body and its location, on condition.
func BenchmarkCommit(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("%d clients per processor", clients), func(b *testing.B) {
			s := openBench(b)
			body := make([]byte, 4<<10)
			for i := range body {
				body[i] = byte(rand.Uint32())
			}
			var n atomic.Int64
			b.SetBytes(int64(len(body)))
			b.SetParallelism(clients)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					id := fmt.Appendf(nil, "%016x", rand.Uint64())
					var batch meta.Batch
					batch.PutIf(append([]byte("c/bucket/"), id...), body[:600], 0)
					batch.PutIf(append([]byte("b/"), id...), body[:40], 0)
					batch.Put(append([]byte("d/"), id...), body)
					batch.Add(fmt.Appendf(nil, "st/%d", n.Add(1)%16), 1)
					if _, err := s.Commit(b.Context(), &batch); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	const rows = 100_000
	s := openBench(b)
	value := make([]byte, 600)
	for i := 0; i < rows; i += 1000 {
		var batch meta.Batch
		for j := i; j < i+1000; j++ {
			batch.Put(fmt.Appendf(nil, "c/bucket/%08d", j), value)
		}
		if _, err := s.Commit(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Compact(b.Context(), nil, nil); err != nil {
		b.Fatal(err)
	}
	for name, format := range map[string]string{"present": "c/bucket/%08d", "absent": "c/bucket/%08d.gone"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.Get(b.Context(), fmt.Appendf(nil, format, rand.IntN(rows))); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
	b.Run("page of 1000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Scan(b.Context(), meta.Range{Start: []byte("c/bucket/00050000")}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
