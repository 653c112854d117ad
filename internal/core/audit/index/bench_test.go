// SPDX-License-Identifier: Apache-2.0

package index

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// BenchmarkIndex is what a record costs that is indexed: to find what is in it, and to
// add it to a block.
func BenchmarkIndex(b *testing.B) {
	fs := vfs.NewMem()
	trail, err := audit.Open(b.Context(), "audit", audit.Config{FS: fs})
	if err != nil {
		b.Fatal(err)
	}
	const n = blockRecords
	var lines [][]byte
	for i := range n {
		if err := trail.Append(b.Context(), realistic("GetObject", time.Unix(int64(i), 0), i%300, i%2000, i/1000), false); err != nil {
			b.Fatal(err)
		}
	}
	if err := trail.Close(); err != nil { // makes all durable
		b.Fatal(err)
	}
	_, err = trail.Consume(b.Context(), audit.Position{}, func(l audit.Line) error {
		lines = append(lines, append([]byte{}, l.JSON...))
		return nil
	})
	if err != nil || len(lines) != n {
		b.Fatalf("%d lines, %v", len(lines), err)
	}
	b.Run("facts", func(b *testing.B) {
		b.ReportAllocs()
		var f facts
		for i := 0; b.Loop(); i++ {
			f.of(lines[i%n])
		}
	})
	b.Run("block", func(b *testing.B) {
		b.ReportAllocs()
		var f facts
		live := newBuilder(0)
		for i := 0; b.Loop(); i++ {
			if len(live.offsets) == blockRecords {
				live.block()
				live = live.next(0)
			}
			f.of(lines[i%n])
			live.add(int64(i%n)*1000, int64(i%n)*1000+1000, &f)
		}
	})
}
