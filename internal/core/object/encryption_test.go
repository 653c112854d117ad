// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/blob/faulty"
)

func (w *world) key() string {
	w.t.Helper()
	k, err := w.kms.CreateKey(w.t.Context(), alice, kms.CreateKey{})
	if err != nil {
		w.t.Fatal(err)
	}
	return k.Arn
}

func customer(fill byte) sse.CustomerKey {
	b := bytes.Repeat([]byte{fill}, 32)
	sum := fips.MD5(b)
	return sse.CustomerKey{Key: secret.New(b), MD5: string(sum[:])}
}

func (w *world) allowCustomerKeys(name string) {
	w.t.Helper()
	_, err := w.buckets.PutEncryption(w.t.Context(), alice, bucket.PutEncryption{
		Ref: bucket.Ref{Bucket: name}, Rules: []bucket.EncryptionRule{{HasBlock: true, Blocked: []string{"NONE"}}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestUpdatingEncryptionTouchesNoBody(t *testing.T) {
	w := newWorld(t, filed)
	w.bucket("bkt", bucket.Enabled)
	k1, k2 := w.key(), w.key()
	data := pattern(200_000)
	in := put("bkt", "k", data)
	first := w.put(in)
	up := w.begin(CreateUpload{Ref: ref("bkt", "multi"), Attributes: Attributes{SSE: sse.Request{Algorithm: sse.KMS, KeyID: k1}}})
	multi, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{w.part(up, 1, data), w.part(up, 2, data[:7])}})
	if err != nil {
		t.Fatal(err)
	}
	creates, reads := w.blobs.Calls(faulty.Create), w.blobs.Calls(faulty.Read)
	steps := []struct {
		key string
		bk  bool
	}{{k1, false}, {k1, true}, {k2, true}, {k2, false}, {k2, false}}
	for _, step := range steps {
		for name, was := range map[string]Stored{"k": first, "multi": multi} {
			_, err := w.objects.UpdateEncryption(t.Context(), alice, UpdateEncryption{VersionRef{ref("bkt", name), ""}, step.key, step.bk})
			if err != nil {
				t.Fatal(err)
			}
			h, err := w.objects.Head(t.Context(), alice, read("bkt", name, ""))
			if err != nil {
				t.Fatal(err)
			}
			if h.SSE.Algorithm != sse.KMS || h.SSE.KeyARN != step.key || h.SSE.BucketKey != step.bk {
				t.Errorf("%s: %+v after %+v", name, h.SSE, step)
			}
			if h.ETag != was.ETag || h.VersionID != was.VersionID || !h.Modified.Equal(was.Modified) || h.Size != was.Size {
				t.Errorf("%s: %+v, was %+v", name, h, was)
			}
		}
	}
	if w.blobs.Calls(faulty.Create) != creates || w.blobs.Calls(faulty.Read) != reads {
		t.Error("bodies were touched")
	}
	if got, _ := w.get(read("bkt", "k", "")); !bytes.Equal(got, data) {
		t.Error("the object reads back differently")
	}
	if got, _ := w.get(read("bkt", "multi", "")); !bytes.Equal(got, append(bytes.Clone(data), data[:7]...)) {
		t.Error("the multipart object reads back differently")
	}
	// The key that it was under before is not needed any more.
	if _, err := w.kms.DisableKey(t.Context(), alice, kms.KeyOnly{KeyId: k1}); err != nil {
		t.Fatal(err)
	}
	if got, _ := w.get(read("bkt", "multi", "")); len(got) != len(data)+7 {
		t.Error("the old key is still needed")
	}
}

func TestUpdatesThatAreRefused(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", bucket.Enabled)
	w.allowCustomerKeys("bkt")
	k := w.key()
	w.put(put("bkt", "plain", pattern(1)))
	c := put("bkt", "customer", pattern(1))
	c.SSE.Customer = customer('a')
	w.put(c)
	w.legacy("bkt", true)
	w.put(put("bkt", "legacy", pattern(1)))
	w.legacy("bkt", false)
	d := put("bkt", "double", pattern(1))
	d.SSE.Algorithm = sse.DSSE
	w.put(d)
	w.delete("bkt", "gone", "")
	update := func(name, version, key string) error {
		_, err := w.objects.UpdateEncryption(t.Context(), alice, UpdateEncryption{VersionRef{ref("bkt", name), version}, key, true})
		return err
	}
	want(t, update("customer", "", k), InvalidUpdate)
	want(t, update("double", "", k), InvalidUpdate)
	want(t, update("legacy", "", k), InvalidUpdate)
	want(t, update("gone", "", k), DeleteMarker)
	want(t, update("never", "", k), NoSuchKey)
	want(t, update("plain", "nonsense", k), InvalidVersionID)
	want(t, update("plain", "", "arn:aws:kms:us-east-1:000000000002:key/x"), ForeignKey)
	want(t, update("plain", "", "arn:aws:kms:us-east-1:000000000001:key/11111111-2222-3333-4444-555555555555"), kms.NotFound)
	if got, o := w.get(read("bkt", "plain", "")); len(got) != 1 || o.SSE.Algorithm != sse.AES256 {
		t.Errorf("a refused update changed %+v", o.SSE)
	}
}

// TestUpdatesMeetChanges: an update is of the version that it found when it began,
// wherever that stands by then, and of no other.
func TestUpdatesMeetChanges(t *testing.T) {
	newer := func(w *world, _ string) { w.put(put("bkt", "k", pattern(2))) }
	for what, c := range map[string]struct {
		versioning string
		meanwhile  func(w *world, version string)
		fault      error // nil: the version is updated
		current    bool  // it is still the current one
	}{
		"a newer version":             {bucket.Enabled, newer, nil, false},
		"a delete marker":             {bucket.Enabled, func(w *world, _ string) { w.delete("bkt", "k", "") }, nil, false},
		"the version deleted":         {bucket.Enabled, func(w *world, v string) { w.delete("bkt", "k", v) }, NoSuchKey, false},
		"overwritten":                 {"", newer, NoSuchKey, false},
		"deleted":                     {"", func(w *world, _ string) { w.delete("bkt", "k", "") }, NoSuchKey, false},
		"null overwritten":            {bucket.Suspended, newer, NoSuchKey, false},
		"null deleted":                {bucket.Suspended, func(w *world, _ string) { w.delete("bkt", "k", "") }, NoSuchKey, false},
		"null behind a newer version": {"", func(w *world, v string) { w.versioning("bkt", bucket.Enabled); newer(w, v) }, nil, false},
		"tags": {bucket.Enabled, func(w *world, v string) {
			_, err := w.objects.PutTagging(w.t.Context(), alice, PutTagging{VersionRef{ref("bkt", "k"), v}, []bucket.Tag{{Key: "a", Value: "b"}}})
			if err != nil {
				w.t.Error(err)
			}
		}, nil, true},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, small)
			w.bucket("bkt", c.versioning)
			key := w.key()
			version := w.put(put("bkt", "k", pattern(1))).VersionID
			w.trail.meanwhile = func() { c.meanwhile(w, version) }
			_, err := w.objects.UpdateEncryption(t.Context(), alice, UpdateEncryption{VersionRef{ref("bkt", "k"), ""}, key, false})
			if w.trail.meanwhile != nil {
				t.Fatal("nothing happened meanwhile")
			}
			if c.fault != nil {
				want(t, err, c.fault)
			} else if err != nil {
				t.Fatal(err)
			}
			if c.fault == nil {
				if version == "" {
					version = "null"
				}
				got, o := w.get(read("bkt", "k", version))
				if len(got) != 1 || o.SSE.Algorithm != sse.KMS || c.current && o.TagCount != 1 {
					t.Errorf("%d bytes, %+v", len(got), o)
				}
			}
			if c.current {
				return
			}
			o, err := w.objects.Get(t.Context(), alice, read("bkt", "k", ""))
			if err != nil {
				want(t, err, NoSuchKey)
				return
			}
			defer o.Body.Close()
			if o.Size != 2 || o.SSE.Algorithm != sse.AES256 {
				t.Errorf("the newer version is %+v", o)
			}
		})
	}
}

func TestCustomersKeys(t *testing.T) {
	w := newWorld(t, small)
	w.bucket("bkt", "")
	in := put("bkt", "k", pattern(70_000))
	in.SSE.Customer = customer('a')
	_, err := w.objects.Put(t.Context(), alice, in)
	want(t, err, sse.CustomerBlocked)
	w.allowCustomerKeys("bkt")
	in = put("bkt", "k", pattern(70_000))
	in.SSE.Customer = customer('a')
	stored := w.put(in)
	if sum := fips.MD5(pattern(70_000)); stored.SSE.Algorithm != sse.Customer || stored.ETag == string(sum[:]) {
		t.Errorf("%+v", stored)
	}
	get := func(key sse.CustomerKey) error {
		in := read("bkt", "k", "")
		in.Customer = key
		return w.getErr(in)
	}
	want(t, get(sse.CustomerKey{}), sse.CustomerNeeded)
	want(t, get(customer('b')), sse.CustomerWrong)
	if err := get(customer('a')); err != nil {
		t.Error(err)
	}
	// A wrong key is refused before conditions and ranges are looked at.
	head := read("bkt", "k", "")
	head.Condition.IfNoneMatch, head.Range, head.Customer = stored.ETag, "bytes=99999999-", customer('b')
	_, err = w.objects.Head(t.Context(), alice, head)
	want(t, err, sse.CustomerWrong)
	// Rotation: a copy onto itself with the old key and a new one.
	_, err = w.objects.Copy(t.Context(), alice, Copy{
		Ref: ref("bkt", "k"), Attributes: Attributes{SSE: sse.Request{Customer: customer('b')}},
		Source: Source{VersionRef: VersionRef{Ref: ref("bkt", "k")}, Customer: customer('a')},
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, get(customer('a')), sse.CustomerWrong)
	if err := get(customer('b')); err != nil {
		t.Error(err)
	}
}

func TestUploadsUnderCustomersKeys(t *testing.T) {
	w := newWorld(t, small)
	w.bucket("bkt", "")
	w.allowCustomerKeys("bkt")
	key := customer('a')
	up := w.begin(CreateUpload{Ref: ref("bkt", "k"), Attributes: Attributes{SSE: sse.Request{Customer: key}}})
	part := func(up UploadRef, key sse.CustomerKey) (StoredPart, error) {
		return w.objects.UploadPart(t.Context(), alice, UploadPart{UploadRef: up, Number: 1, Body: bytes.NewReader(pattern(20)), Size: 20, Customer: key})
	}
	_, err := part(up, sse.CustomerKey{})
	want(t, err, sse.UploadNeedsCustomer)
	_, err = part(up, customer('b'))
	want(t, err, sse.UploadOtherCustomer)
	p, err := part(up, key)
	if err != nil {
		t.Fatal(err)
	}
	plain := w.begin(CreateUpload{Ref: ref("bkt", "plain")})
	_, err = part(plain, key)
	want(t, err, sse.UploadNeedsCustomer)
	parts := []CompletePart{{Number: 1, ETag: p.ETag}}
	_, err = w.complete(Complete{UploadRef: up, Parts: parts, Customer: customer('b')})
	want(t, err, sse.UploadOtherCustomer)
	done, err := w.complete(Complete{UploadRef: up, Parts: parts})
	if err != nil || done.Checksum.Algorithm != "" {
		t.Errorf("%+v, %v", done, err)
	}
	in := read("bkt", "k", "")
	in.Customer = key
	if got, _ := w.get(in); !bytes.Equal(got, pattern(20)) {
		t.Error("reads back differently")
	}
}

func TestTwoLayersReadLikeOne(t *testing.T) {
	w := newWorld(t, Config{MinPart: 10, InlineLimit: 1})
	w.bucket("bkt", "")
	data := pattern(150_000)
	in := put("bkt", "k", data)
	in.SSE.Algorithm = sse.DSSE
	if s := w.put(in); s.SSE.Algorithm != sse.DSSE || s.SSE.BucketKey {
		t.Errorf("%+v", s.SSE)
	}
	up := w.begin(CreateUpload{Ref: ref("bkt", "multi"), Attributes: Attributes{SSE: sse.Request{Algorithm: sse.DSSE}}})
	if _, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{w.part(up, 1, data[:70_001]), w.part(up, 2, data[70_001:])}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"k", "multi"} {
		for _, r := range []string{"", "bytes=65535-131073", "bytes=-3", "bytes=0-0"} {
			in := read("bkt", name, "")
			in.Range = r
			want := data
			if spec, ok := parseRange(r); ok {
				start, n, _ := spec.of(int64(len(data)))
				want = data[start : start+n]
			}
			if got, _ := w.get(in); !bytes.Equal(got, want) {
				t.Errorf("%s %q: %d bytes", name, r, len(got))
			}
		}
	}
	var last ScrubReport
	if err := w.objects.Scrub(t.Context(), true, func(r ScrubReport) { last = r }); err != nil || len(last.Damaged) > 0 {
		t.Errorf("%+v, %v", last, err)
	}
}

// BenchmarkUpdateEncryption moves an object onto a bucket key, from under a bucket
// key or a KMS data key of its own, over stores in memory.
func BenchmarkUpdateEncryption(b *testing.B) {
	for _, from := range []struct {
		name      string
		bucketKey bool
	}{{"bucket key", true}, {"own key", false}} {
		b.Run(from.name, func(b *testing.B) {
			w := newWorld(b, Config{})
			w.bucket("bkt", "")
			k1, k2 := w.key(), w.key()
			w.put(put("bkt", "k", pattern(1)))
			update := func(key string, bucketKey bool) {
				if _, err := w.objects.UpdateEncryption(b.Context(), alice, UpdateEncryption{VersionRef{ref("bkt", "k"), ""}, key, bucketKey}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if !from.bucketKey {
					b.StopTimer()
					update(k1, false)
					b.StartTimer()
				}
				update(k2, true)
			}
		})
	}
}
