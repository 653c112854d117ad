// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
)

func TestLocationsSurviveTheirEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := location{kind: rapid.SampledFrom([]byte{inRow, inFile, inPack, swept}).Draw(t, "kind"),
			size: rapid.Int64Min(0).Draw(t, "size"), damaged: rapid.Bool().Draw(t, "damaged")}
		if l.kind == inPack {
			l.pack, l.offset = rapid.Uint64Min(1).Draw(t, "pack"), rapid.Int64Min(0).Draw(t, "offset")
		}
		got, err := decodeLocation(l.encode())
		if err != nil || got != l {
			t.Fatalf("%+v became %+v, %v", l, got, err)
		}
	})
}

func TestMalformedLocationsAreDamage(t *testing.T) {
	packed := locate(blob.Place{Pack: 1, Offset: 4096, Size: 5}, 5).encode()
	for _, row := range [][]byte{nil, packed[:9], packed[:10], packed[:25], append(packed[:26:26], 0),
		append([]byte{inFile}, packed[1:]...), append(packed[:10:10], make([]byte, 16)...)} {
		if l, err := decodeLocation(row); err == nil {
			t.Errorf("%x was read as %+v", row, l)
		}
	}
}

// A body's location says which pack it is in, and only a body of announced, small
// length is in one.
func TestSmallBodiesArePacked(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", "")
	for _, c := range []struct {
		key  string
		put  Put
		kind byte
	}{
		{"row", put("bkt", "row", pattern(100)), inRow},
		{"pack", put("bkt", "pack", pattern(100_000)), inPack},
		{"file", put("bkt", "file", pattern(packLimit)), inFile}, // sealed it is longer
		{"unknown", Put{Ref: ref("bkt", "unknown"), Body: bytes.NewReader(pattern(100_000)), Size: -1}, inFile},
	} {
		w.put(c.put)
		if _, loc := w.location(c.key); loc.kind != c.kind || loc.place().Packed() != (c.kind == inPack) {
			t.Errorf("%s is at %+v, want kind %d", c.key, loc, c.kind)
		}
	}
	part := read("bkt", "pack", "")
	part.Range = "bytes=70000-80000"
	if got, _ := w.get(part); !bytes.Equal(got, pattern(100_000)[70000:80001]) {
		t.Errorf("a range of a packed body: %d bytes", len(got))
	}
	if err := w.consistent(false); err != nil {
		t.Error(err)
	}
}

// location returns the row of the one stream of an object in bkt.
func (w *world) location(key string) (row meta.Item, loc location) {
	w.t.Helper()
	b, err := w.buckets.Find(w.t.Context(), bucket.Ref{Bucket: "bkt"})
	if err != nil {
		w.t.Fatal(err)
	}
	r, _, err := w.objects.current(w.t.Context(), b, key)
	if err == nil {
		row, err = meta.Get1(w.t.Context(), w.rows, locationKey(r.Parts[0].Stream))
	}
	if err == nil {
		loc, err = decodeLocation(row.Value)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return row, loc
}

// A location that leads to another stream's frame, or to nowhere, is damage: reported
// by a scrub that has no key, and never read.
func TestAPlaceThatIsAnothersIsDamage(t *testing.T) {
	w := newWorld(t, filed)
	w.bucket("bkt", "")
	for _, key := range []string{"a", "b", "nowhere", "good"} {
		w.put(put("bkt", key, pattern(100_000)))
	}
	rowA, a := w.location("a")
	rowB, b := w.location("b")
	rowN, n := w.location("nowhere")
	n.offset += 1 << 20
	var batch meta.Batch
	batch.Put(rowA.Key, b.encode())
	batch.Put(rowB.Key, a.encode())
	batch.Put(rowN.Key, n.encode())
	if _, err := w.rows.Commit(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "b", "nowhere"} {
		if err := w.getErr(read("bkt", key, "")); err == nil {
			t.Errorf("%s was read from a place that is not its", key)
		}
	}
	var last ScrubReport
	if err := w.objects.Scrub(t.Context(), false, func(r ScrubReport) { last = r }); err != nil {
		t.Fatal(err)
	}
	if len(last.Damaged) != 3 || last.Streams != 4 {
		t.Errorf("scrub: %+v, want three damaged of four", last)
	}
	if _, loc := w.location("a"); !loc.damaged || loc.place() != b.place() {
		t.Errorf("the row of a damaged stream is %+v, want it marked, and nothing else", loc)
	}
}
