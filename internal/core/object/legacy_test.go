// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fips"
)

func (w *world) legacy(name string, on bool) {
	w.t.Helper()
	if _, err := w.buckets.SetLegacy(w.t.Context(), name, on); err != nil {
		w.t.Fatal(err)
	}
}

// is fails unless an object is reported so.
func (w *world) is(key, algorithm string) {
	w.t.Helper()
	h, err := w.objects.Head(w.t.Context(), alice, read("bkt", key, ""))
	if err != nil || h.SSE.Algorithm != algorithm {
		w.t.Errorf("%s is %q, want %q, %v", key, h.SSE.Algorithm, algorithm, err)
	}
}

// TestObjectsOfLegacyMode: what names no encryption is reported as not encrypted,
// stays so when the mode is over, and is opened by a scrub like SSE-S3.
func TestObjectsOfLegacyMode(t *testing.T) {
	w := newWorld(t, filed)
	w.bucket("bkt", "")
	w.put(put("bkt", "before", pattern(10)))
	w.legacy("bkt", true)
	data := pattern(100_000)
	sum := fips.MD5(data)
	stored := w.put(put("bkt", "k", data))
	if stored.SSE.Algorithm != sse.NotSSE || stored.ETag != hex.EncodeToString(sum[:]) {
		t.Errorf("%+v", stored)
	}
	asked := put("bkt", "asked", data)
	asked.SSE.Algorithm = sse.AES256
	w.put(asked)
	up := w.begin(CreateUpload{Ref: ref("bkt", "multi")})
	first := w.part(up, 1, data)
	w.legacy("bkt", false)
	multi, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{first, w.part(up, 2, data[:7])}})
	if err != nil || multi.SSE.Algorithm != sse.NotSSE || first.ETag != hex.EncodeToString(sum[:]) {
		t.Errorf("%+v, %v", multi, err)
	}
	w.put(put("bkt", "after", data))
	for key, want := range map[string]string{"before": sse.AES256, "k": sse.NotSSE, "asked": sse.AES256, "multi": sse.NotSSE, "after": sse.AES256} {
		w.is(key, want)
	}
	if got, o := w.get(read("bkt", "multi", "")); !bytes.Equal(got, append(bytes.Clone(data), data[:7]...)) || o.SSE.Algorithm != sse.NotSSE {
		t.Errorf("%d bytes, %+v", len(got), o.SSE)
	}
	var report ScrubReport
	if err := w.objects.Scrub(t.Context(), true, func(r ScrubReport) { report = r }); err != nil || report.Opened != 6 || len(report.Damaged) > 0 {
		t.Errorf("scrub: %+v, %v", report, err)
	}
}

// TestCopiesOntoThemselvesInLegacyMode: a copy onto itself must change how the
// object is reported.
func TestCopiesOntoThemselvesInLegacyMode(t *testing.T) {
	w := newWorld(t, filed)
	w.bucket("bkt", "")
	w.put(put("bkt", "k", pattern(10)))
	copyOnto := func(asked sse.Request) error {
		_, err := w.objects.Copy(t.Context(), alice, Copy{
			Ref: ref("bkt", "k"), Attributes: Attributes{SSE: asked}, Source: Source{VersionRef: VersionRef{ref("bkt", "k"), ""}},
		})
		return err
	}
	for _, step := range []struct {
		what  string
		on    bool
		asked sse.Request
		err   error
		after string
	}{
		{"SSE-S3 to itself", false, sse.Request{}, SelfCopy, sse.AES256},
		{"into legacy mode", true, sse.Request{}, nil, sse.NotSSE},
		{"legacy mode to itself", true, sse.Request{}, SelfCopy, sse.NotSSE},
		{"asking for SSE-S3", true, sse.Request{Algorithm: sse.AES256}, nil, sse.AES256},
		{"into legacy mode again", true, sse.Request{}, nil, sse.NotSSE},
		{"out of legacy mode", false, sse.Request{}, nil, sse.AES256},
	} {
		w.legacy("bkt", step.on)
		if err := copyOnto(step.asked); err != nil || step.err != nil {
			want(t, err, step.err)
		}
		w.is("k", step.after)
	}
}
