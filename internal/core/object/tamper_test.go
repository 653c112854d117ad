// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/authentic"
	"github.com/cofferstore/coffer/internal/store/meta/cached"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

// change rewrites a row as someone could who holds the key of the row codes.
func (w *world) change(key []byte, edit func(*record)) {
	w.t.Helper()
	item, err := meta.Get1(w.t.Context(), w.rows, key)
	if err != nil || item.Ver == 0 {
		w.t.Fatalf("row %q: %v", key, err)
	}
	r, err := decodeRecord(item.Value)
	if err != nil {
		w.t.Fatal(err)
	}
	edit(r)
	var b meta.Batch
	b.Put(key, r.encode())
	if _, err := w.rows.Commit(w.t.Context(), &b); err != nil {
		w.t.Fatal(err)
	}
}

// Each immutable field is bound to the data key: a changed one opens nothing, even
// for someone who can forge rows.
func TestChangedRecordsOpenNothing(t *testing.T) {
	w := newWorld(t, small)
	w.bucket("bkt", "")
	b, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "bkt"})
	if err != nil {
		t.Fatal(err)
	}
	upload := func(key string) {
		up := w.begin(CreateUpload{Ref: ref("bkt", key)})
		parts := []CompletePart{w.part(up, 1, pattern(20)), w.part(up, 2, pattern(30))}
		if _, err := w.complete(Complete{UploadRef: up, Parts: parts}); err != nil {
			t.Fatal(err)
		}
	}
	for name, edit := range map[string]func(*record){
		"size":      func(r *record) { r.Size-- },
		"etag":      func(r *record) { r.ETag = "0" + r.ETag[1:] + "0" },
		"version":   func(r *record) { r.UID[3]++ },
		"created":   func(r *record) { r.Created++ },
		"owner":     func(r *record) { r.Owner = "000000000002" },
		"header":    func(r *record) { r.Headers = []Header{{"content-type", "evil"}} },
		"checksum":  func(r *record) { r.Checksum.Value[0]++ },
		"algorithm": func(r *record) { r.Body.Algorithm++ },
		"part size": func(r *record) { r.Parts[0].Size++ },
		"stream":    func(r *record) { r.Parts[0].Stream[0]++ },
		"parts":     func(r *record) { r.Parts = append(r.Parts, r.Parts[0]) },
		"wrap":      func(r *record) { r.Wrap[len(r.Wrap)-1]++ },
		"key":       func(r *record) { r.Key = "other" },
	} {
		single, multi := "single "+name, "multi "+name
		w.put(put("bkt", single, pattern(100)))
		w.change(currentKey(b.UID, single), edit)
		if err := w.getErr(read("bkt", single, "")); err == nil {
			t.Errorf("%s changed, and the object opened", name)
		}
		upload(multi)
		w.change(currentKey(b.UID, multi), edit)
		if err := w.getErr(read("bkt", multi, "")); err == nil {
			t.Errorf("%s of a multipart object changed, and it opened", name)
		}
	}
	upload("multi")
	w.change(currentKey(b.UID, "multi"), func(r *record) { r.Upload.Binding[0]++ })
	want(t, w.getErr(read("bkt", "multi", "")), Damaged)
}

func TestSwappedRowsOpenNothing(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", "")
	w.put(put("bkt", "a", pattern(10)))
	w.put(put("bkt", "b", pattern(10)))
	b, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "bkt"})
	if err != nil {
		t.Fatal(err)
	}
	item, err := meta.Get1(t.Context(), w.rows, currentKey(b.UID, "a"))
	if err != nil {
		t.Fatal(err)
	}
	var batch meta.Batch
	batch.Put(currentKey(b.UID, "b"), item.Value)
	if _, err := w.rows.Commit(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	if err := w.getErr(read("bkt", "b", "")); err == nil {
		t.Error("one object was read under another's name")
	}
}

func TestDamagedStreamsAreReportedAndNeverRead(t *testing.T) {
	w := newWorld(t, filed)
	w.bucket("bkt", "")
	w.put(put("bkt", "k", pattern(200_000)))
	w.put(put("bkt", "good", pattern(200_000)))
	infos, err := w.blobs.List(t.Context(), blob.Info{}, 1)
	if err != nil || len(infos) != 1 {
		t.Fatal(err)
	}
	w.damage(infos[0])
	damaged := 0
	for _, key := range []string{"k", "good"} {
		if err := w.getErr(read("bkt", key, "")); err != nil {
			want(t, err, sse.Damaged)
			damaged++
		}
	}
	if damaged != 1 {
		t.Errorf("%d objects are damaged, want 1", damaged)
	}
	var last ScrubReport
	if err := w.objects.Scrub(t.Context(), true, func(r ScrubReport) { last = r }); err != nil {
		t.Fatal(err)
	}
	if !last.Done || last.Streams != 2 || len(last.Damaged) != 1 || last.Damaged[0].Bucket != "bkt" || last.Opened != 1 {
		t.Errorf("scrub: %+v", last)
	}
}

// damage flips a bit in the middle of a stored stream.
func (w *world) damage(stored blob.Info) { w.blobs.Flip(stored.ID, stored.Size/2*8, 0) }

func TestRecordsSurviveTheirEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &record{
			Key: rapid.String().Draw(t, "key"), Time: rapid.Int64Min(0).Draw(t, "time"), Null: rapid.Bool().Draw(t, "null"),
			Created: rapid.Int64Min(0).Draw(t, "created"), Owner: rapid.String().Draw(t, "owner"),
			Size: rapid.Int64Min(0).Draw(t, "size"), ETag: rapid.String().Draw(t, "etag"),
			Wrap: rapid.SliceOf(rapid.Byte()).Draw(t, "wrap"), StorageClass: rapid.String().Draw(t, "class"),
		}
		for range rapid.IntRange(0, 4).Draw(t, "parts") {
			r.Parts = append(r.Parts, part{Number: rapid.Uint32().Draw(t, "number"), Size: rapid.Int64Min(0).Draw(t, "part size"), CRC32C: rapid.Uint32().Draw(t, "crc")})
		}
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			r.Headers = append(r.Headers, Header{rapid.String().Draw(t, "name"), rapid.String().Draw(t, "value")})
			r.Tags = append(r.Tags, bucket.Tag{Key: rapid.String().Draw(t, "tag"), Value: "v"})
		}
		b := r.encode()
		got, err := decodeRecord(b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.encode(), b) || got.descriptor() != r.descriptor() {
			t.Fatalf("%+v became %+v", r, got)
		}
	})
}

// A scrub looks at what is stored, and not at rows that were kept in memory.
func TestAScrubLooksAtTheDisk(t *testing.T) {
	disk := metamem.New()
	rows := cached.Wrap(authentic.Wrap(disk, authentic.Keys{Current: 1, Key: map[uint32]secret.Bytes{1: secret.Random(secret.Size)}}), cached.Config{})
	w := newWorldOver(t, Config{}, rows)
	w.bucket("bkt", "")
	w.put(put("bkt", "k", pattern(10)))
	w.get(read("bkt", "k", "")) // so that its row is kept
	b, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "bkt"})
	if err != nil {
		t.Fatal(err)
	}
	it, err := meta.Get1(t.Context(), disk, currentKey(b.UID, "k"))
	if err != nil {
		t.Fatal(err)
	}
	it.Value[3] ^= 1
	var batch meta.Batch
	batch.Put(it.Key, it.Value)
	if _, err := disk.Commit(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	if _, err := rows.Scan(t.Context(), meta.Range{Start: it.Key, Limit: 1}); !errors.Is(err, meta.Damaged) {
		t.Fatalf("a scan: %v", err)
	}
	var out ScrubReport
	if err := w.objects.Scrub(t.Context(), false, func(r ScrubReport) { out = r }); err != nil {
		t.Fatal(err)
	}
	if len(out.Damaged) == 0 {
		t.Error("the scrub found nothing")
	}
}
