// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/authentic"
)

// fill gives an upload the parts from first to last without their bytes.
func (w *world) fill(up UploadRef, first, last int, size int64) (parts []CompletePart) {
	w.t.Helper()
	b, err := w.buckets.Find(w.t.Context(), up.Ref.Ref)
	if err != nil {
		w.t.Fatal(err)
	}
	u, _, err := w.objects.upload(w.t.Context(), b, up)
	if err != nil {
		w.t.Fatal(err)
	}
	var batch meta.Batch
	for n := first; n <= last; n++ {
		tag := make([]byte, 16)
		rand.Read(tag)
		p := &uploadedPart{part: part{Number: uint32(n), Size: size, Checksum: make([]byte, 32)}, ETag: hex.EncodeToString(tag), Upload: u.row()}
		rand.Read(p.Stream[:])
		batch.Put(partKey(u.ID.uid, p.Number), p.encode())
		batch.Put(locationKey(p.Stream), location{kind: inFile, size: size}.encode())
		parts = append(parts, CompletePart{Number: n, ETag: p.ETag, Algorithm: checksum.SHA256, Checksum: p.Checksum})
	}
	if err := w.objects.commit(w.t.Context(), &batch); err != nil {
		w.t.Fatal(err)
	}
	return parts
}

// The largest upload that S3 knows is completed, read, given up and removed, on the
// store that serves.
func TestTenThousandParts(t *testing.T) {
	key := secret.Random(secret.Size)
	rows := authentic.Wrap(openPebble(t), authentic.Keys{Current: 1, Key: map[uint32]secret.Bytes{1: key}})
	w := newWorldOver(t, Config{RemoveAfter: -time.Hour}, rows)
	w.bucket("bkt", bucket.Enabled)
	begin := func() UploadRef {
		return w.begin(CreateUpload{Ref: ref("bkt", "k"), Algorithm: checksum.SHA256, Type: checksum.Composite})
	}
	const count = MaxParts / every
	const size = 5 << 40 / MaxParts // of a part, so that all of them are nearly 5 TiB

	up := begin()
	parts := w.fill(up, 1, count-1, size)
	last := pattern(100_000)
	out, err := w.objects.UploadPart(t.Context(), alice, UploadPart{UploadRef: up, Number: MaxParts, Body: bytes.NewReader(last), Size: int64(len(last))})
	if err != nil {
		t.Fatal(err)
	}
	parts = append(parts, CompletePart{Number: MaxParts, ETag: out.ETag, Algorithm: checksum.SHA256, Checksum: out.Checksum.Value})
	began := time.Now()
	stored, err := w.complete(Complete{UploadRef: up, Parts: parts})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("complete took %v", time.Since(began))
	if want := int64(count-1)*size + int64(len(last)); stored.Size != want {
		t.Errorf("size %d, want %d", stored.Size, want)
	}
	in := read("bkt", "k", "")
	in.Part = count
	if got, o := w.get(in); !bytes.Equal(got, last) || o.PartsCount != count {
		t.Errorf("the last of %d parts has %d bytes", o.PartsCount, len(got))
	}
	in = read("bkt", "k", "")
	in.Range = "bytes=-1000"
	if got, _ := w.get(in); !bytes.Equal(got, last[len(last)-1000:]) {
		t.Errorf("the last 1000 bytes are %d others", len(got))
	}

	other := begin()
	tooMuch := w.fill(other, 1, count, 5<<30)
	_, err = w.complete(Complete{UploadRef: other, Parts: tooMuch})
	want(t, err, TooLarge)
	began = time.Now()
	if _, err := w.objects.Abort(t.Context(), alice, Abort{other}); err != nil {
		t.Fatal(err)
	}
	t.Logf("abort took %v", time.Since(began))
	w.delete("bkt", "k", stored.VersionID)
	began = time.Now()
	n, err := w.objects.RemoveDue(t.Context())
	if n != 2*count || err != nil {
		t.Errorf("%d streams removed, %v", n, err)
	}
	t.Logf("removal took %v", time.Since(began))
	if err := w.consistent(false); err != nil {
		t.Error(err)
	}
}
