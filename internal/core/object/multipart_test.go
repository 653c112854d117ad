// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fips"
)

// small is S3's rules for uploads with parts that a test can afford.
var small = Config{MinPart: 10}

func (w *world) begin(in CreateUpload) UploadRef {
	w.t.Helper()
	out, err := w.objects.CreateUpload(w.t.Context(), alice, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return UploadRef{in.Ref, out.UploadID}
}

func (w *world) part(up UploadRef, n int, data []byte) CompletePart {
	w.t.Helper()
	out, err := w.objects.UploadPart(w.t.Context(), alice, UploadPart{UploadRef: up, Number: n, Body: bytes.NewReader(data), Size: int64(len(data))})
	if err != nil {
		w.t.Fatal(err)
	}
	return CompletePart{Number: n, ETag: out.ETag}
}

func (w *world) complete(in Complete) (Stored, error) {
	if in.Size == 0 {
		in.Size = -1
	}
	return w.objects.Complete(w.t.Context(), alice, in)
}

func TestUploadInParts(t *testing.T) {
	for _, algorithm := range []string{sse.AES256, sse.KMS} {
		t.Run(algorithm, func(t *testing.T) {
			w := newWorld(t, small)
			w.bucket("bkt", bucket.Enabled)
			up := w.begin(CreateUpload{Ref: ref("bkt", "k"), Attributes: Attributes{SSE: sse.Request{Algorithm: algorithm}, Headers: []Header{{"content-type", "x/y"}}}})
			one, two, three := pattern(70_000), pattern(100_000), pattern(5)
			w.part(up, 1, pattern(50)) // replaced below
			w.part(up, 7, pattern(50)) // not listed below
			parts := []CompletePart{w.part(up, 1, one), w.part(up, 2, two), w.part(up, 9, three)}
			done, err := w.complete(Complete{UploadRef: up, Parts: parts})
			if err != nil {
				t.Fatal(err)
			}
			var etags []byte
			for _, p := range parts {
				sum, _ := hex.DecodeString(p.ETag)
				etags = append(etags, sum...)
			}
			if got, want := done.ETag, fmt.Sprintf("%x-3", fips.MD5(etags)); got != want {
				t.Errorf("ETag %s, want %s", got, want)
			}
			whole := append(append(bytes.Clone(one), two...), three...)
			sum := checksum.CRC64NVME.New()
			sum.Write(whole)
			if !bytes.Equal(done.Checksum.Value, sum.Sum(nil)) {
				t.Error("the checksum is not that of the whole")
			}
			got, o := w.get(read("bkt", "k", ""))
			if !bytes.Equal(got, whole) || o.Headers[0].Value != "x/y" || o.SSE.Algorithm != algorithm {
				t.Errorf("%d of %d bytes, %+v", len(got), len(whole), o)
			}
			in := read("bkt", "k", "")
			in.Range = "bytes=69999-170001"
			if got, _ := w.get(in); !bytes.Equal(got, whole[69999:170002]) {
				t.Error("range over parts differs")
			}
			in = read("bkt", "k", "")
			in.Part = 2
			if got, o := w.get(in); !bytes.Equal(got, two) || o.PartsCount != 3 || o.Start != 70_000 {
				t.Errorf("part 2: %d bytes, %+v", len(got), o)
			}
			in.Part = 4
			want(t, w.getErr(in), InvalidPartNumber)
		})
	}
}

func TestCompletionsThatAreRefused(t *testing.T) {
	w := newWorld(t, small)
	w.bucket("bkt", "")
	up := w.begin(CreateUpload{Ref: ref("bkt", "k")})
	p1, p2, p3 := w.part(up, 1, pattern(20)), w.part(up, 2, pattern(5)), w.part(up, 3, pattern(20))
	wrong := p1
	wrong.ETag = p3.ETag[1:]
	for kind, parts := range map[error][]CompletePart{
		InvalidUpload:    {},
		InvalidPartOrder: {p3, p1},
		InvalidPart:      {wrong},
		PartTooSmall:     {p1, p2, p3},
	} {
		_, err := w.complete(Complete{UploadRef: up, Parts: parts})
		want(t, err, kind)
	}
	_, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{p1}, Size: 21})
	want(t, err, InvalidUpload)
	_, err = w.complete(Complete{UploadRef: UploadRef{ref("bkt", "other"), up.UploadID}, Parts: []CompletePart{p1}})
	want(t, err, NoSuchUpload)
	if _, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{p1, p3}, Size: 40}); err != nil {
		t.Error(err)
	}
}

func TestCompositeChecksums(t *testing.T) {
	w := newWorld(t, small)
	w.bucket("bkt", "")
	up := w.begin(CreateUpload{Ref: ref("bkt", "k"), Algorithm: checksum.SHA256, Type: checksum.Composite})
	p := w.part(up, 1, pattern(20))
	_, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{p}})
	want(t, err, InvalidUpload) // the part's checksum is missing
	h := checksum.SHA256.New()
	h.Write(pattern(20))
	p.Algorithm, p.Checksum = checksum.SHA256, h.Sum(nil)
	done, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{p}})
	if err != nil || done.Checksum.Type != checksum.Composite {
		t.Fatalf("%+v, %v", done, err)
	}
	in := read("bkt", "k", "")
	in.Part, in.Checksum = 1, true
	if _, o := w.get(in); !bytes.Equal(o.Checksum.Value, p.Checksum) {
		t.Errorf("checksum of part 1: %+v", o.Checksum)
	}
}

func TestAConditionalCompletionSeesChangesSinceTheUploadBegan(t *testing.T) {
	w := newWorld(t, small)
	w.bucket("bkt", "")
	up := w.begin(CreateUpload{Ref: ref("bkt", "k")})
	p := w.part(up, 1, pattern(1))
	w.put(put("bkt", "k", pattern(1)))
	w.delete("bkt", "k", "")
	w.put(put("bkt", "k", pattern(2)))
	_, o := w.get(read("bkt", "k", ""))
	_, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{p}, Condition: WriteCondition{IfMatch: o.ETag}})
	want(t, err, ConditionConflict)
}

func TestListsOfUploadsAndParts(t *testing.T) {
	w := newWorld(t, small)
	w.bucket("bkt", "")
	ups := []UploadRef{}
	for _, k := range []string{"a", "a", "dir/1", "dir/2"} {
		ups = append(ups, w.begin(CreateUpload{Ref: ref("bkt", k)}))
	}
	in := ListUploads{Ref: bucket.Ref{Bucket: "bkt"}, Max: 1, Delimiter: "/"}
	var got []string
	for {
		l, err := w.objects.ListUploads(t.Context(), alice, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range l.Uploads {
			got = append(got, u.Key+u.UploadID)
		}
		got = append(got, l.Prefixes...)
		if !l.Truncated {
			break
		}
		in.KeyMarker, in.UploadMarker = l.NextKey, l.NextUpload
	}
	if fmt.Sprint(got) != fmt.Sprint([]string{"a" + ups[0].UploadID, "a" + ups[1].UploadID, "dir/"}) {
		t.Errorf("uploads: %q", got)
	}
	for i := range 5 {
		w.part(ups[0], i+1, pattern(i))
	}
	l, err := w.objects.ListParts(t.Context(), alice, ListParts{UploadRef: ups[0], After: 2, Max: 2})
	if err != nil || len(l.Parts) != 2 || l.Parts[0].Number != 3 || !l.Truncated || l.Next != 4 {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestABucketWithUploadsCanBeDeleted(t *testing.T) {
	w := newWorld(t, small)
	w.bucket("bkt", "")
	w.put(put("bkt", "k", nil))
	up := w.begin(CreateUpload{Ref: ref("bkt", "k")})
	w.part(up, 1, pattern(100_000))
	_, err := w.buckets.Delete(t.Context(), alice, bucket.Delete{Ref: bucket.Ref{Bucket: "bkt"}})
	want(t, err, bucket.NotEmpty)
	w.part(up, 2, pattern(1)) // it is not marked any more
	w.delete("bkt", "k", "")
	if _, err := w.buckets.Delete(t.Context(), alice, bucket.Delete{Ref: bucket.Ref{Bucket: "bkt"}}); err != nil {
		t.Fatal(err)
	}
	want(t, w.getErr(read("bkt", "k", "")), bucket.NoSuchBucket)
}
