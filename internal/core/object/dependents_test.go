// SPDX-License-Identifier: Apache-2.0

package object

import (
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// TestWhatDependsOnAKey follows the count through all that makes, moves and removes
// what is under a key. Each step says what then depends on it.
func TestWhatDependsOnAKey(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("plain", "")
	w.bucket("kept", bucket.Enabled)
	key, other := w.key(), w.key()
	under := func(b, name, arn string) Put {
		in := put(b, name, []byte("x"))
		in.SSE.Algorithm, in.SSE.KeyID = sse.KMS, arn
		return in
	}
	var first Stored
	steps := []struct {
		does             string
		do               func()
		buckets, objects int
	}{
		{"nothing", func() {}, 0, 0},
		{"another encryption", func() { w.put(put("plain", "none", []byte("x"))) }, 0, 0},
		{"an object", func() { w.put(under("plain", "a", key)) }, 1, 1},
		{"a second one", func() { w.put(under("plain", "b", key)) }, 1, 2},
		{"overwritten under the key", func() { w.put(under("plain", "a", key)) }, 1, 2},
		{"overwritten under another", func() { w.put(under("plain", "a", other)) }, 1, 1},
		{"overwritten under none", func() { w.put(put("plain", "b", []byte("x"))) }, 0, 0},
		{"a version", func() { first = w.put(under("kept", "v", key)) }, 1, 1},
		{"a version before it", func() { w.put(under("kept", "v", key)) }, 1, 2},
		{"a delete marker", func() { w.delete("kept", "v", "") }, 1, 2},
		{"a version deleted", func() { w.delete("kept", "v", first.VersionID) }, 1, 1},
		{"an update of encryption", func() { w.update("plain", "a", key) }, 2, 2},
		{"an update to another", func() { w.update("plain", "a", other) }, 1, 1},
		{"a default", func() {
			_, err := w.buckets.PutEncryption(t.Context(), alice, bucket.PutEncryption{
				Ref: bucket.Ref{Bucket: "plain"}, Rules: []bucket.EncryptionRule{{Default: &bucket.DefaultEncryption{Algorithm: sse.KMS, KeyID: key}}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}, 2, 1},
		{"an upload under way", func() { w.begin(CreateUpload{Ref: ref("plain", "u")}) }, 2, 2},
	}
	for _, s := range steps {
		s.do()
		buckets, objects, err := w.objects.Dependents(t.Context(), key, func(_, name string) bool { return name == key })
		if err != nil || buckets != s.buckets || objects != s.objects {
			t.Errorf("%s: %d buckets and %d objects depend on the key (%v), want %d and %d", s.does, buckets, objects, err, s.buckets, s.objects)
		}
	}

	// A store from before there were counters gets them.
	before, err := w.objects.counters(t.Context(), dependentRows)
	if err != nil {
		t.Fatal(err)
	}
	var b meta.Batch
	for row := range before {
		b.Delete([]byte(row))
	}
	if _, err := w.rows.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.objects.Counted(t.Context()); err != nil {
			t.Fatal(err)
		}
		after, err := w.objects.counters(t.Context(), dependentRows)
		if d := differences(before, after); err != nil || len(d) > 0 {
			t.Errorf("made anew, the counters differ by %v (%v)", d, err)
		}
	}
}

// A scrub finds a counter that is wrong.
func TestScrubCounts(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("plain", "")
	in := put("plain", "a", []byte("x"))
	in.SSE.Algorithm, in.SSE.KeyID = sse.KMS, w.key()
	w.put(in)
	scrubbed := func() (out ScrubReport) {
		if err := w.objects.Scrub(t.Context(), false, func(r ScrubReport) { out = r }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if r := scrubbed(); len(r.Damaged) > 0 {
		t.Fatalf("damage %v", r.Damaged)
	}
	counts, err := w.objects.counters(t.Context(), dependentRows)
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []int64{1, -1} {
		for row := range counts {
			var b meta.Batch
			b.Add([]byte(row), by)
			if _, err := w.rows.Commit(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
		}
		if r := scrubbed(); (len(r.Damaged) == 1) != (by == 1) {
			t.Errorf("after %+d: damage %v", by, r.Damaged)
		}
	}
}

func (w *world) update(b, key, arn string) {
	w.t.Helper()
	in := UpdateEncryption{VersionRef: VersionRef{Ref: ref(b, key)}, KeyARN: arn, BucketKey: true}
	if _, err := w.objects.UpdateEncryption(w.t.Context(), alice, in); err != nil {
		w.t.Fatal(err)
	}
}

// BenchmarkDepend is what a PUT under a Bucket Key pays for the counters.
func BenchmarkDepend(b *testing.B) {
	w := newWorld(b, Config{})
	w.bucket("plain", "")
	in := put("plain", "a", []byte("x"))
	yes := true
	in.SSE.Algorithm, in.SSE.KeyID, in.SSE.BucketKey = sse.KMS, w.key(), &yes
	w.put(in)
	at, err := w.buckets.Find(b.Context(), bucket.Ref{Bucket: "plain"})
	if err != nil {
		b.Fatal(err)
	}
	r, _, err := w.objects.current(b.Context(), at, "a")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var batch meta.Batch
		if err := w.objects.depend(b.Context(), &batch, at.UID, dependence{r.Wrap, +1}); err != nil || len(batch.Adds) != 1 {
			b.Fatal(batch.Adds, err)
		}
	}
}
