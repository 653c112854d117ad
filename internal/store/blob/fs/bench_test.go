// SPDX-License-Identifier: Apache-2.0

package fs_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/cofferstore/coffer/internal/store/blob"
)

func newID() (id blob.StreamID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

func BenchmarkCommit(b *testing.B) {
	for _, c := range []struct{ size, perCPU int }{{1 << 20, 1}, {1 << 20, 8}, {64 << 10, 1}, {64 << 10, 8}, {64 << 10, 32}} {
		b.Run(fmt.Sprintf("%dKiB/%d_writers", c.size>>10, c.perCPU*runtime.GOMAXPROCS(0)), func(b *testing.B) {
			s := mustOpen(b, b.TempDir(), nil)
			data := make([]byte, c.size)
			b.SetBytes(int64(c.size))
			b.SetParallelism(c.perCPU)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					w, err := s.Create(b.Context(), newID(), int64(c.size))
					if err != nil {
						b.Error(err)
						return
					}
					if _, err := w.Write(data); err != nil {
						b.Error(err)
					}
					if _, err := w.Commit(b.Context()); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func BenchmarkRead(b *testing.B) {
	s := mustOpen(b, b.TempDir(), nil)
	id := newID()
	const size = 4 << 20
	mustPut(b, s, id, string(make([]byte, size)))
	segment := make([]byte, 64<<10)
	b.Run("whole", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			r, err := s.ReadAt(b.Context(), id, blob.Place{}, 0, -1)
			if err != nil {
				b.Fatal(err)
			}
			for err == nil {
				_, err = io.ReadFull(r, segment)
			}
			if err != io.EOF {
				b.Fatal(err)
			}
			_ = r.Close()
		}
	})
	b.Run("segment", func(b *testing.B) {
		b.SetBytes(int64(len(segment)))
		b.ReportAllocs()
		for b.Loop() {
			r, err := s.ReadAt(b.Context(), id, blob.Place{}, 1<<20, int64(len(segment)))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(r, segment); err != nil {
				b.Fatal(err)
			}
			_ = r.Close()
		}
	})
}
