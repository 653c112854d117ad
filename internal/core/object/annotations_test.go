// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/store/meta"
)

func annotation1(at VersionRef, name, text string) PutAnnotation {
	return PutAnnotation{VersionRef: at, Name: name, Body: strings.NewReader(text), Size: int64(len(text))}
}

func at1(b, key, version string) VersionRef { return VersionRef{ref(b, key), version} }

func (w *world) annotate(at VersionRef, name, text string) Annotated {
	w.t.Helper()
	out, err := w.objects.PutAnnotation(w.t.Context(), alice, annotation1(at, name, text))
	if err != nil {
		w.t.Fatalf("annotate %s: %v", at.Key, err)
	}
	return out
}

func (w *world) annotation(at VersionRef, name string) (string, error) {
	out, err := w.objects.GetAnnotation(w.t.Context(), alice, GetAnnotation{VersionRef: at, Name: name})
	if err != nil {
		return "", err
	}
	defer out.Body.Close()
	text, err := io.ReadAll(out.Body)
	return string(text), err
}

// reads fails unless the annotation's payload is this.
func (w *world) reads(at VersionRef, name, text string) {
	w.t.Helper()
	if got, err := w.annotation(at, name); got != text || err != nil {
		w.t.Errorf("annotation %s of %s: %.40q, %v; want %.40q", name, at.Key, got, err, text)
	}
}

func (w *world) names(in ListAnnotations) (names []string, more bool) {
	w.t.Helper()
	l, err := w.objects.ListAnnotations(w.t.Context(), alice, in)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range l.Entries {
		names = append(names, e.Name)
	}
	return names, l.More
}

// An annotation is sealed as its object is, and read whatever becomes of the object's keys.
func TestAnnotationsAreSealedAsTheirObject(t *testing.T) {
	w := newWorld(t, Config{MinPart: 1, InlineLimit: 100})
	w.bucket("bkt", bucket.Enabled)
	yes := true
	key := w.key()
	for name, asked := range map[string]sse.Request{
		"s3": {}, "kms": {Algorithm: sse.KMS, KeyID: key}, "bk": {Algorithm: sse.KMS, KeyID: key, BucketKey: &yes}, "dsse": {Algorithm: sse.DSSE, KeyID: key},
	} {
		in := put("bkt", name, pattern(10))
		in.SSE = asked
		was := w.put(in)
		up := w.begin(CreateUpload{Ref: ref("bkt", name+"-parts"), Attributes: Attributes{SSE: asked}})
		if _, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{w.part(up, 1, pattern(9))}}); err != nil {
			t.Fatal(err)
		}
		for _, object := range []string{name, name + "-parts"} {
			at := at1("bkt", object, "")
			for _, n := range []int{1, 99, 64 << 10, 64<<10 + 1, 1 << 20} {
				text := strings.Repeat("ä", n/2) + strings.Repeat("x", n%2)
				out := w.annotate(at, "labels", text)
				if out.SSE.Algorithm != cmpOr(asked.Algorithm, sse.AES256) || out.Size != int64(n) || len(out.ETag) != 32 {
					t.Errorf("%s: %+v", object, out)
				}
				sum := checksum.CRC64NVME.New()
				sum.Write([]byte(text))
				if !bytes.Equal(out.Checksum.Value, sum.Sum(nil)) || out.Checksum.Type != checksum.FullObject {
					t.Errorf("%s: checksum %+v", object, out.Checksum)
				}
				w.reads(at, "labels", text)
			}
			w.annotate(at, "more", "text")
		}
		now, o := w.get(read("bkt", name, ""))
		if len(now) != 10 || o.ETag != was.ETag || !o.Modified.Equal(was.Modified) || o.VersionID != was.VersionID {
			t.Errorf("%s is another object: %+v", name, o)
		}
	}
	for _, name := range []string{"s3", "kms", "bk"} {
		w.update("bkt", name, w.key())
		w.reads(at1("bkt", name, ""), "more", "text")
		w.annotate(at1("bkt", name, ""), "more", "other")
		w.reads(at1("bkt", name, ""), "more", "other")
	}
	if err := w.consistent(false); err != nil {
		t.Error(err)
	}
	var last ScrubReport
	if err := w.objects.Scrub(t.Context(), true, func(r ScrubReport) { last = r }); err != nil || len(last.Damaged) > 0 || last.Streams != 24 {
		t.Errorf("%+v, %v", last, err)
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// To read an annotation, or to put one, takes what reading the object takes of the KMS.
func TestAnnotationsNeedTheKey(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", "")
	key := w.key()
	in := put("bkt", "k", pattern(1))
	in.SSE = sse.Request{Algorithm: sse.KMS, KeyID: key}
	w.put(in)
	at := at1("bkt", "k", "")
	asked := func(do func()) (events []string) {
		before := len(w.trail.records)
		do()
		for _, r := range w.trail.records[before:] {
			events = append(events, r.EventName)
		}
		return events
	}
	decrypt := []string{"Decrypt"}
	if got := asked(func() { w.annotate(at, "a", "text") }); !slices.Equal(got, decrypt) {
		t.Errorf("to put one: %q", got)
	}
	if got := asked(func() { w.reads(at, "a", "text") }); !slices.Equal(got, decrypt) {
		t.Errorf("to read one: %q", got)
	}
	if got := asked(func() { w.names(ListAnnotations{VersionRef: at, Max: 10}) }); len(got) > 0 {
		t.Errorf("to list them: %q", got)
	}
	anonymous := alice
	anonymous.SigV4 = false
	_, err := w.objects.GetAnnotation(t.Context(), anonymous, GetAnnotation{VersionRef: at, Name: "a"})
	want(t, err, sse.NeedsSignatureV4)
	if _, err := w.kms.DisableKey(t.Context(), alice, kms.KeyOnly{KeyId: key}); err != nil {
		t.Fatal(err)
	}
	_, err = w.annotation(at, "a")
	want(t, err, kms.Disabled)
	_, err = w.objects.PutAnnotation(t.Context(), alice, annotation1(at, "b", "text"))
	want(t, err, kms.Disabled)
	if _, err := w.objects.DeleteAnnotation(t.Context(), alice, DeleteAnnotation{VersionRef: at, Name: "a"}); err != nil {
		t.Error(err)
	}
}

func TestAnnotationsThatCannotBe(t *testing.T) {
	w := newWorld(t, filed)
	w.bucket("bkt", "")
	w.allowCustomerKeys("bkt")
	w.put(put("bkt", "k", pattern(1)))
	secret := put("bkt", "secret", pattern(1))
	secret.SSE.Customer = customer('c')
	w.put(secret)
	at := at1("bkt", "k", "")
	long, digest := annotation1(at, "a", strings.Repeat("x", 1<<20+1)), annotation1(at, "a", "text")
	digest.Expect.MD5 = make([]byte, 16)
	sum := annotation1(at, "a", "text")
	sum.Expect.Algorithm, sum.Expect.Value = checksum.SHA256, func() ([]byte, error) { return make([]byte, 32), nil }
	short := annotation1(at, "a", "text")
	short.Size++
	other := annotation1(at, "a", "text")
	other.IfMatch = `"x"`
	bypass := annotation1(at, "a", "text")
	bypass.Asked = true
	for _, c := range []struct {
		in   PutAnnotation
		want error
	}{
		{annotation1(at, "", "text"), InvalidAnnotationName},
		{annotation1(at, "a b", "text"), InvalidAnnotationName},
		{annotation1(at, "a/b", "text"), InvalidAnnotationName},
		{annotation1(at, "a\x00", "text"), InvalidAnnotationName},
		{annotation1(at, "\xff", "text"), InvalidAnnotationName},
		{annotation1(at, "awsome", "text"), InvalidAnnotationName},
		{annotation1(at, "AwS", "text"), InvalidAnnotationName},
		{annotation1(at, "S3-x", "text"), InvalidAnnotationName},
		{annotation1(at, strings.Repeat("ä", 256)+"a", "text"), AnnotationNameTooLong},
		{annotation1(at, "a", ""), EmptyAnnotation},
		{annotation1(at, "a", "\xff"), AnnotationNotText},
		{annotation1(at, "a", "x\xc3"), AnnotationNotText},
		{annotation1(at, "a", strings.Repeat("x", 256<<10-1)+"\xc3x"), AnnotationNotText},
		{long, TooLarge}, {digest, BadDigest}, {sum, BadDigest}, {short, IncompleteBody}, {other, PreconditionFailed},
		{bypass, BypassNotApplicable},
		{annotation1(at1("bkt", "none", ""), "a", "text"), NoSuchKey},
		{annotation1(at1("bkt", "secret", ""), "a", "text"), CustomerAnnotated},
	} {
		_, err := w.objects.PutAnnotation(t.Context(), alice, c.in)
		if !errors.Is(err, c.want) {
			t.Errorf("%q with %.20q: %v, want %v", c.in.Name, c.in.Body, err, c.want)
		}
	}
	for _, name := range []string{"a", "Ä.b-c_9", strings.Repeat("ä", 256), "किताब"} {
		w.annotate(at, name, "text")
		w.reads(at, name, "text")
	}
	_, err := w.annotation(at, "none")
	want(t, err, NoSuchAnnotation)
	_, err = w.objects.ListAnnotations(t.Context(), alice, ListAnnotations{VersionRef: at, Prefix: "a b", Max: 1})
	want(t, err, InvalidAnnotationPrefix)
	if err := w.consistent(false); err != nil {
		t.Error(err)
	}
}

// Text that comes in pieces is text, wherever they end.
func TestTextInPieces(t *testing.T) {
	const text = "a\u00e4\u20ac\U0001f600z"
	for i, r := range []io.Reader{iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text)), strings.NewReader(text)} {
		if got, err := io.ReadAll(&textReader{from: r}); string(got) != text || err != nil {
			t.Errorf("%d: %q, %v", i, got, err)
		}
	}
	for _, bad := range []string{"\xf0\x9f\x98", "\xe2\x82z", "\x80", "ab\xed\xa0\x80", "\xc0\x80"} {
		for _, r := range []io.Reader{iotest.OneByteReader(strings.NewReader(bad)), iotest.DataErrReader(strings.NewReader(bad))} {
			_, err := io.ReadAll(&textReader{from: r})
			want(t, err, AnnotationNotText)
		}
	}
}

func TestListingAnnotations(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", "")
	w.put(put("bkt", "k", pattern(1)))
	at := at1("bkt", "k", "")
	for _, name := range []string{"b", "a2", "c", "a1", "a"} {
		w.annotate(at, name, name)
	}
	for _, c := range []struct {
		prefix, after string
		max           int
		want          string
		more          bool
	}{
		{"", "", 10, "a a1 a2 b c", false}, {"", "", 5, "a a1 a2 b c", false}, {"", "", 4, "a a1 a2 b", true}, {"", "a2", 10, "b c", false},
		{"a", "", 10, "a a1 a2", false}, {"a", "", 3, "a a1 a2", false}, {"a", "a", 1, "a1", true}, {"a", "a2", 1, "", false}, {"x", "", 1, "", false},
	} {
		names, more := w.names(ListAnnotations{VersionRef: at, Prefix: c.prefix, After: c.after, Max: c.max})
		if got := strings.Join(names, " "); got != c.want || more != c.more {
			t.Errorf("%+v: %s, %t", c, got, more)
		}
	}
	if _, err := w.objects.DeleteAnnotation(t.Context(), alice, DeleteAnnotation{VersionRef: at, Name: "none"}); err != nil {
		t.Error("one that is not there:", err)
	}
	_, err := w.objects.DeleteAnnotation(t.Context(), alice, DeleteAnnotation{VersionRef: at, Name: "b", IfMatch: "x"})
	want(t, err, PreconditionFailed)
	for _, name := range []string{"b", "a", "c", "a2", "a1"} {
		if _, err := w.objects.DeleteAnnotation(t.Context(), alice, DeleteAnnotation{VersionRef: at, Name: name}); err != nil {
			t.Error(err)
		}
	}
	row, err := meta.Get1(t.Context(), w.rows, currentKey(w.uid("bkt"), "k"))
	if r, bad := decodeRecord(row.Value); err != nil || bad != nil || r.Annotations != nil {
		t.Errorf("%+v, %v, %v", r, err, bad)
	}
}

func (w *world) uid(name string) bucket.UID {
	w.t.Helper()
	b, err := w.buckets.Find(w.t.Context(), bucket.Ref{Bucket: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return b.UID
}

// A version has a thousand, and a row that holds their names.
func TestAThousandAnnotations(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", "")
	w.put(put("bkt", "k", pattern(1)))
	at := at1("bkt", "k", "")
	name := func(n int) string { return fmt.Sprintf("%04d%s", n, strings.Repeat("n", maxAnnotationName-4)) }
	w.annotate(at, name(500), "five hundred")
	w.change(currentKey(w.uid("bkt"), "k"), func(r *record) {
		one, _ := r.Annotations.find(name(500))
		for n := range MaxAnnotations {
			if one.Name = name(n); n != 500 {
				r.Annotations, _ = r.Annotations.with(one)
			}
		}
		if len(r.Annotations) > 700<<10 {
			t.Errorf("%d bytes", len(r.Annotations))
		}
	})
	_, err := w.objects.PutAnnotation(t.Context(), alice, annotation1(at, "one", "more"))
	want(t, err, TooManyAnnotations)
	w.reads(at, name(500), "five hundred")
	w.annotate(at, name(500), "500")
	w.reads(at, name(500), "500")
	if names, more := w.names(ListAnnotations{VersionRef: at, Max: MaxAnnotations}); len(names) != MaxAnnotations || more || !slices.IsSorted(names) {
		t.Errorf("%d names", len(names))
	}
}

// Wherever a version goes for good, its annotations go with it: no stream is left.
func TestAnnotationsGoWithTheirVersion(t *testing.T) {
	for _, c := range []struct {
		what, versioning string
		do               func(w *world)
	}{
		{"delete", "", func(w *world) { w.delete("bkt", "k", "") }},
		{"overwrite", "", func(w *world) { w.put(put("bkt", "k", pattern(2))); w.delete("bkt", "k", "") }},
		{"delete of a version", bucket.Enabled, func(w *world) {
			w.delete("bkt", "k", "")
			for _, v := range w.versions("bkt") {
				w.delete("bkt", "k", v)
			}
		}},
		{"null replaced", bucket.Suspended, func(w *world) { w.put(put("bkt", "k", pattern(2))); w.delete("bkt", "k", Null) }},
		{"null hidden", bucket.Suspended, func(w *world) { w.delete("bkt", "k", ""); w.delete("bkt", "k", Null) }},
		{"older null replaced", bucket.Suspended, func(w *world) {
			w.versioning("bkt", bucket.Enabled)
			v := w.put(put("bkt", "k", pattern(3))).VersionID
			w.versioning("bkt", bucket.Suspended)
			w.put(put("bkt", "k", pattern(2)))
			w.delete("bkt", "k", v)
			w.delete("bkt", "k", Null)
		}},
		{"completed upload over it", "", func(w *world) {
			up := w.begin(CreateUpload{Ref: ref("bkt", "k")})
			if _, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{w.part(up, 1, pattern(3))}}); err != nil {
				w.t.Fatal(err)
			}
			w.delete("bkt", "k", "")
		}},
		{"many", "", func(w *world) {
			if _, err := w.objects.DeleteMany(w.t.Context(), alice, DeleteMany{Ref: bucket.Ref{Bucket: "bkt"}, Items: []DeleteItem{{Key: "k"}}}); err != nil {
				w.t.Fatal(err)
			}
		}},
		{"expiry", "", func(w *world) {
			w.lifecycle("bkt", expireIn(1))
			time.Sleep(2 * aDay)
			wants(w.t.(*testing.T), w.age("bkt"), "expire k")
		}},
		{"their own deletion", "", func(w *world) {
			for _, name := range []string{"a", "b"} {
				if _, err := w.objects.DeleteAnnotation(w.t.Context(), alice, DeleteAnnotation{VersionRef: at1("bkt", "k", ""), Name: name}); err != nil {
					w.t.Fatal(err)
				}
			}
			w.change(currentKey(w.uid("bkt"), "k"), func(r *record) {
				if len(r.Annotations) > 0 {
					w.t.Error("annotations are left")
				}
			})
			w.delete("bkt", "k", "")
		}},
	} {
		for _, cfg := range []Config{{MinPart: 1}, filed} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, cfg)
				w.bucket("bkt", c.versioning)
				w.put(put("bkt", "k", pattern(1)))
				at := at1("bkt", "k", "")
				w.annotate(at, "a", "one")
				w.annotate(at, "b", "two")
				w.annotate(at, "b", "three")
				c.do(w)
				if err := w.consistent(false); err != nil {
					t.Errorf("%s: %v", c.what, err)
				}
				time.Sleep(time.Hour)
				if _, err := w.objects.RemoveDue(t.Context()); err != nil {
					t.Error(err)
				}
				if err := w.consistent(true); err != nil {
					t.Errorf("%s: %v", c.what, err)
				}
				w.nothingLeft()
			})
		}
	}
}

// versions returns the ids of a bucket's versions.
func (w *world) versions(name string) (ids []string) {
	w.t.Helper()
	l, err := w.objects.ListVersions(w.t.Context(), alice, ListVersions{Ref: bucket.Ref{Bucket: name}, Max: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range l.Entries {
		ids = append(ids, e.VersionID)
	}
	return ids
}

// Annotations are a version's own, also when it is current no more, and again.
func TestAnnotationsOfVersions(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", bucket.Enabled)
	v1 := w.put(put("bkt", "k", pattern(1))).VersionID
	w.annotate(at1("bkt", "k", ""), "a", "first")
	v2 := w.put(put("bkt", "k", pattern(2))).VersionID
	if got := w.annotate(at1("bkt", "k", ""), "a", "second"); got.VersionID != v2 {
		t.Errorf("of version %s", got.VersionID)
	}
	w.annotate(at1("bkt", "k", v1), "b", "old")
	w.reads(at1("bkt", "k", v1), "a", "first")
	w.reads(at1("bkt", "k", ""), "a", "second")
	_, err := w.annotation(at1("bkt", "k", ""), "b")
	want(t, err, NoSuchAnnotation)
	w.delete("bkt", "k", v2)
	w.reads(at1("bkt", "k", ""), "b", "old")
	marker := w.delete("bkt", "k", "").VersionID
	_, err = w.annotation(at1("bkt", "k", ""), "a")
	want(t, err, NoSuchKey)
	_, err = w.annotation(at1("bkt", "k", marker), "a")
	want(t, err, DeleteMarker)
	w.reads(at1("bkt", "k", v1), "a", "first")
}

func TestLockedVersionsKeepTheirAnnotations(t *testing.T) {
	for _, c := range []struct {
		what   string
		lock   Lock
		bypass Bypass
		want   error
	}{
		{"unlocked", Lock{}, nil, nil},
		{"held", Lock{Hold: HoldOn}, may, Locked},
		{"compliance", Lock{Mode: bucket.Compliance, Until: time.Now().Add(time.Hour)}, may, Locked},
		{"governance", Lock{Mode: bucket.Governance, Until: time.Now().Add(time.Hour)}, nil, Locked},
		{"governance, may not", Lock{Mode: bucket.Governance, Until: time.Now().Add(time.Hour)}, mayNot, errMayNot},
		{"governance, bypassed", Lock{Mode: bucket.Governance, Until: time.Now().Add(time.Hour)}, may, nil},
	} {
		w := newWorld(t, Config{})
		w.locking("bkt", "", 0)
		w.put(locked("bkt", "k", 1, c.lock))
		at := at1("bkt", "k", "")
		w.annotate(at, "a", "text") // what is added takes nothing away
		again := annotation1(at, "a", "other")
		again.May = c.bypass
		_, err := w.objects.PutAnnotation(t.Context(), alice, again)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: replaced: %v", c.what, err)
		}
		_, err = w.objects.DeleteAnnotation(t.Context(), alice, DeleteAnnotation{VersionRef: at, Name: "a", BypassRetention: BypassRetention{May: c.bypass}})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: deleted: %v", c.what, err)
		}
	}
}

// acting does something while its body is read.
type acting struct {
	io.Reader
	do func()
}

func (a *acting) Read(p []byte) (int, error) {
	if a.do != nil {
		a.do()
		a.do = nil
	}
	return a.Reader.Read(p)
}

// While a payload comes, its object may go, be replaced, or move.
func TestObjectsThatChangeUnderAnAnnotation(t *testing.T) {
	for _, c := range []struct {
		what, versioning string
		do               func(w *world)
		want             error
	}{
		{"nothing", "", func(*world) {}, nil},
		{"replaced", "", func(w *world) { w.put(put("bkt", "k", pattern(2))) }, Replaced},
		{"deleted", "", func(w *world) { w.delete("bkt", "k", "") }, NoSuchKey},
		{"another version", bucket.Enabled, func(w *world) { w.put(put("bkt", "k", pattern(2))) }, nil},
		{"version deleted", bucket.Enabled, func(w *world) { w.delete("bkt", "k", w.versions("bkt")[0]) }, NoSuchKey},
		{"other annotation", "", func(w *world) { w.annotate(at1("bkt", "k", ""), "b", "other") }, nil},
		{"the same annotation", "", func(w *world) { w.annotate(at1("bkt", "k", ""), "a", "other") }, nil},
		{"another key", "", func(w *world) { w.update("bkt", "k", w.key()) }, nil},
	} {
		w := newWorld(t, filed)
		w.bucket("bkt", c.versioning)
		v := w.put(put("bkt", "k", pattern(1))).VersionID
		in := annotation1(at1("bkt", "k", ""), "a", "text")
		in.Body = &acting{in.Body, func() { c.do(w) }}
		_, err := w.objects.PutAnnotation(t.Context(), alice, in)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
		if c.want == nil {
			w.reads(at1("bkt", "k", v), "a", "text")
		}
		if err := w.consistent(false); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// Annotations are bound to their version, name and stream, even against who can forge rows.
func TestSwappedAnnotationsAreRefused(t *testing.T) {
	w := newWorld(t, small)
	w.bucket("bkt", "")
	uid := w.uid("bkt")
	edit := func(change func(a, b *annotation)) func(*record) {
		return func(r *record) {
			a, _ := r.Annotations.find("a")
			b, _ := r.Annotations.find("b")
			change(&a, &b)
			r.Annotations = nil
			for _, x := range []annotation{a, b} {
				r.Annotations, _ = r.Annotations.with(x)
			}
		}
	}
	for what, change := range map[string]func(a, b *annotation){
		"streams":  func(a, b *annotation) { a.Stream, b.Stream = b.Stream, a.Stream },
		"names":    func(a, b *annotation) { a.Name, b.Name = b.Name, a.Name },
		"size":     func(a, _ *annotation) { a.Size-- },
		"etag":     func(a, _ *annotation) { a.ETag[0]++ },
		"checksum": func(a, _ *annotation) { a.Checksum.Value[0]++ },
		"modified": func(a, _ *annotation) { a.Modified++ },
		"segments": func(a, _ *annotation) { a.Log2-- },
		"binding":  func(a, b *annotation) { a.Binding = b.Binding },
	} {
		w.put(put("bkt", what, pattern(1)))
		w.annotate(at1("bkt", what, ""), "a", "one")
		w.annotate(at1("bkt", what, ""), "b", "two")
		w.change(currentKey(uid, what), edit(change))
		_, err := w.annotation(at1("bkt", what, ""), "a")
		want(t, err, Damaged)
		_, err = w.objects.Copy(t.Context(), alice, Copy{Ref: ref("bkt", "copy"), Source: Source{VersionRef: at1("bkt", what, "")}})
		want(t, err, Damaged)
	}
	// The payload of another, in the row of this one's stream.
	w.put(put("bkt", "k", pattern(1)))
	w.annotate(at1("bkt", "k", ""), "a", "one")
	w.annotate(at1("bkt", "k", ""), "b", "two")
	row, err := meta.Get1(t.Context(), w.rows, currentKey(uid, "k"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := decodeRecord(row.Value)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := r.Annotations.find("a")
	b, _ := r.Annotations.find("b")
	other, err := meta.Get1(t.Context(), w.rows, inlineKey(b.Stream))
	if err != nil || other.Ver == 0 {
		t.Fatal("no payload", err)
	}
	var batch meta.Batch
	batch.Put(inlineKey(a.Stream), other.Value)
	if _, err := w.rows.Commit(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	_, err = w.annotation(at1("bkt", "k", ""), "a")
	want(t, err, sse.Damaged)
	w.reads(at1("bkt", "k", ""), "b", "two")
	var last ScrubReport
	if err := w.objects.Scrub(t.Context(), false, func(r ScrubReport) { last = r }); err != nil || !slices.ContainsFunc(last.Damaged, func(d Damage) bool { return d.Stream == a.Stream.String() }) {
		t.Errorf("%+v, %v", last.Damaged, err)
	}
}

func TestCopiesHaveTheAnnotations(t *testing.T) {
	w := newWorld(t, Config{MinPart: 1, InlineLimit: 200})
	w.bucket("bkt", bucket.Enabled)
	w.bucket("other", "")
	w.allowCustomerKeys("other")
	long := strings.Repeat("x", 1<<20)
	v := w.put(put("bkt", "k", pattern(1))).VersionID
	at := at1("bkt", "k", v)
	sha := annotation1(at, "a", "text")
	sha.Expect.Algorithm = checksum.SHA256
	was, err := w.objects.PutAnnotation(t.Context(), alice, sha)
	if err != nil {
		t.Fatal(err)
	}
	w.annotate(at, "b", long)
	copied := func(in Copy) error {
		in.Source.VersionRef = at
		_, err := w.objects.Copy(t.Context(), alice, in)
		return err
	}
	list := func(to VersionRef) []AnnotationEntry {
		l, err := w.objects.ListAnnotations(t.Context(), alice, ListAnnotations{VersionRef: to, Max: 10})
		if err != nil {
			t.Fatal(err)
		}
		return l.Entries
	}
	kmsKey := Attributes{SSE: sse.Request{Algorithm: sse.KMS, KeyID: w.key()}}
	for name, in := range map[string]Copy{"plain": {}, "kms": {Attributes: kmsKey}, "crc": {Algorithm: checksum.CRC32C}} {
		in.Ref = ref("other", name)
		if err := copied(in); err != nil {
			t.Fatal(err)
		}
		to := at1("other", name, "")
		w.reads(to, "a", "text")
		w.reads(to, "b", long)
		a := list(to)[0]
		if sameETag := a.ETag == was.ETag; sameETag != (name != "kms") {
			t.Errorf("%s: ETag %s of %s", name, a.ETag, was.ETag)
		}
		if sum := a.Checksum; sum.Algorithm != checksum.Algorithm(cmpOr(string(in.Algorithm), string(checksum.SHA256))) || in.Algorithm == "" && !bytes.Equal(sum.Value, was.Checksum.Value) {
			t.Errorf("%s: checksum %+v", name, sum)
		}
	}
	if err := copied(Copy{Ref: ref("other", "without"), ExcludeAnnotations: true}); err != nil || len(list(at1("other", "without", ""))) > 0 {
		t.Error("annotations that were not asked for", err)
	}
	mine := Attributes{SSE: sse.Request{Customer: customer('c')}}
	want(t, copied(Copy{Ref: ref("other", "mine"), Attributes: mine}), CustomerAnnotated)
	if err := copied(Copy{Ref: ref("other", "mine"), Attributes: mine, ExcludeAnnotations: true}); err != nil {
		t.Error(err)
	}
	// Onto itself, where the versions replace one another.
	self := Copy{Ref: ref("other", "plain"), ReplaceHeaders: true, Source: Source{VersionRef: at1("other", "plain", "")}}
	if _, err := w.objects.Copy(t.Context(), alice, self); err != nil {
		t.Error(err)
	}
	w.reads(at1("other", "plain", ""), "b", long)
	want(t, copied(Copy{Ref: ref("other", "plain"), Condition: WriteCondition{IfNoneMatch: "*"}}), PreconditionFailed)
	if err := w.consistent(false); err != nil {
		t.Error(err)
	}
}

// What they are told of annotations, and what a version of which one is removed is.
func TestAnnotationsAreTold(t *testing.T) {
	w, n := newTold(t, "")
	w.put(put("bkt", "k", pattern(1)))
	w.annotate(at1("bkt", "k", ""), "a", "text")
	if _, err := w.objects.DeleteAnnotation(t.Context(), alice, DeleteAnnotation{VersionRef: at1("bkt", "k", ""), Name: "a"}); err != nil {
		t.Fatal(err)
	}
	var events []Event
	for _, c := range n.changes {
		events = append(events, c.Event)
	}
	if !slices.Equal(events, []Event{CreatedPut, AnnotationPut, AnnotationDeleted}) {
		t.Errorf("told of %q", events)
	}
}

// Many that annotate one object at a time are all heard, and none twice.
func TestAnnotatingAtATime(t *testing.T) {
	w := newWorld(t, filed)
	w.bucket("bkt", "")
	w.put(put("bkt", "k", pattern(1)))
	at := at1("bkt", "k", "")
	const many = 16
	done := make(chan error)
	for i := range many {
		go func() {
			_, err := w.objects.PutAnnotation(context.Background(), alice, annotation1(at, fmt.Sprint("n", i/2), fmt.Sprint(i)))
			done <- err
		}()
	}
	for range many {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if names, _ := w.names(ListAnnotations{VersionRef: at, Max: 100}); len(names) != many/2 {
		t.Errorf("%q", names)
	}
	if err := w.consistent(false); err != nil {
		t.Error(err)
	}
}

// FuzzAnnotations: what a record may say of annotations is found by name, put and taken
// away, each once and in order.
func FuzzAnnotations(f *testing.F) {
	var l annotations
	for _, name := range []string{"b", "a", "cc"} {
		l, _ = l.with(annotation{Name: name, Size: 1, Checksum: Checksum{Algorithm: checksum.CRC32, Value: []byte{1, 2, 3, 4}}})
	}
	f.Add([]byte(l), "b")
	f.Add([]byte(l[:len(l)-1]), "")
	f.Add([]byte{0, 1, 'a'}, "a")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		l := annotations(b)
		if l.check() != nil {
			return
		}
		var again annotations
		last, count := "", 0
		for a := range l.all("") {
			if is, ok := l.find(a.Name); !ok || is.Stream != a.Stream || a.Name <= last && count > 0 {
				t.Errorf("%q is not found", a.Name)
			}
			again = append(append(again, a.unbound()...), a.Binding[:]...)
			last = a.Name
			count++
		}
		if !bytes.Equal(again, l) || count != l.count() {
			t.Errorf("%q is read back as %q", l, again)
		}
		if name == "" || len(name) > maxAnnotationName {
			return
		}
		with, err := l.with(annotation{Name: name})
		if err != nil {
			return
		}
		without := with.without(name)
		if _, ok := with.find(name); !ok || with.check() != nil || len(without) > 0 && without.check() != nil || !bytes.Equal(without, l.without(name)) {
			t.Errorf("%q with %q is %q, and without %q", l, name, with, without)
		}
	})
}
