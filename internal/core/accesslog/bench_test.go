// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// BenchmarkAppend is what a request on a logged bucket pays for its line.
func BenchmarkAppend(b *testing.B) {
	l, err := Open(b.TempDir(), newWorld(), newWorld(), Config{FS: vfs.Default, Limit: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	e := whole()
	b.ReportAllocs()
	for b.Loop() {
		l.Append(photos, e)
	}
	b.ReportMetric(float64(l.droppedFor("memory"))/float64(b.N), "dropped/op")
	must(b, l.Close())
}
