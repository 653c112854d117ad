// SPDX-License-Identifier: Apache-2.0

package object

import (
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/bucket"
)

// Who completes an upload again, as a client does whose connection broke, is answered as
// before; only as long as that is what the key holds.
func TestCompletingAgain(t *testing.T) {
	w := newWorld(t, small)
	w.bucket("bkt", bucket.Enabled)
	up := w.begin(CreateUpload{Ref: ref("bkt", "k")})
	parts := []CompletePart{w.part(up, 1, pattern(20)), w.part(up, 7, pattern(5))}
	in := Complete{UploadRef: up, Parts: parts, Size: -1}
	first, err := w.complete(in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.complete(in)
	if err != nil || again.ETag != first.ETag || again.VersionID != first.VersionID || again.Size != 25 || again.SSE != first.SSE ||
		string(again.Checksum.Value) != string(first.Checksum.Value) {
		t.Errorf("again: %+v, %v; first %+v", again, err, first)
	}
	_, err = w.objects.ListParts(t.Context(), alice, ListParts{UploadRef: up, Max: 10})
	want(t, err, NoSuchUpload)

	changed := func(change func(*Complete)) Complete {
		other := in
		other.Parts = append([]CompletePart(nil), parts...)
		change(&other)
		return other
	}
	for name, in := range map[string]Complete{
		"another ETag":      changed(func(in *Complete) { in.Parts[1].ETag = parts[0].ETag }),
		"what is no ETag":   changed(func(in *Complete) { in.Parts[1].ETag = "x" }),
		"another number":    changed(func(in *Complete) { in.Parts[1].Number = 2 }),
		"a part less":       changed(func(in *Complete) { in.Parts = in.Parts[:1] }),
		"no part":           changed(func(in *Complete) { in.Parts = nil }),
		"another size":      changed(func(in *Complete) { in.Size = 24 }),
		"another type":      changed(func(in *Complete) { in.Type = checksum.Composite }),
		"another sum":       changed(func(in *Complete) { in.Algorithm, in.Checksum = checksum.CRC64NVME, "AAAAAAAAAAA=" }),
		"another algorithm": changed(func(in *Complete) { in.Algorithm, in.Checksum = checksum.CRC32, "AAAAAA==" }),
		"a condition":       changed(func(in *Complete) { in.Condition.IfNoneMatch = "*" }),
		"another key":       changed(func(in *Complete) { in.Key = "l" }),
	} {
		if _, err := w.complete(in); !errors.Is(err, NoSuchUpload) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.put(put("bkt", "k", []byte("over it")))
	_, err = w.complete(in)
	want(t, err, NoSuchUpload)
}
