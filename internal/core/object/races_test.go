// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/blob"
	blobmem "github.com/cofferstore/coffer/internal/store/blob/mem"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

// scene is a key over which two actors meet, in a bucket of its own if they have
// to do with that.
type scene struct {
	w    *world
	name string // of the bucket
	uid  bucket.UID
	key  string

	kmsKey string // another than what is stored is under

	origins map[string]bucket.UID // of what is replicated

	ids   map[string]string // versions by what is in them: "old", "current", Null
	etag  string            // of the current version
	up    UploadRef
	parts []CompletePart
}

// deed is something that an actor does. What it returns tells apart what a client
// could tell apart; size makes bodies of different actors differ.
type deed struct {
	name string
	on   subject
	// yields is what it is told when the version that it began with went: then it did
	// nothing. "" means that it takes the next one.
	yields string
	do     func(ctx context.Context, s *scene, size int) (string, error)
}

// subject is what a deed is about, and what must be set up for it.
type subject int

const (
	anObject subject = 1 << iota
	anUpload
	theBucket
	aReplica // beside an object
)

// outcome is what came of two deeds: what each was told, and what is there then.
type outcome struct{ first, second, after string }

// answer is what a client is told.
func answer(said string, err error) string {
	if err == nil {
		return said
	}
	f, ok := fault.As(err)
	switch {
	case ok && (f.Kind == bucket.NoSuchBucket || f.Kind == NoSuchUpload):
		return "not there" // an upload may be seen to go before its bucket, or after
	case ok:
		return string(f.Kind)
	}
	return "error: " + err.Error()
}

func (s *scene) ref() Ref { return ref(s.name, s.key) }

func (s *scene) put(ctx context.Context, size int, c WriteCondition) (string, error) {
	in := put(s.name, s.key, pattern(size))
	in.Condition = c
	_, err := s.w.objects.Put(ctx, alice, in)
	return "stored", err
}

func (s *scene) delete(ctx context.Context, version, ifMatch string) (string, error) {
	if version != "" && version != Null && s.ids[version] == "" {
		return "", nil
	}
	if id, ok := s.ids[version]; ok {
		version = id
	}
	_, err := s.w.objects.Delete(ctx, alice, Delete{VersionRef: VersionRef{s.ref(), version}, IfMatch: ifMatch})
	return "gone", err
}

func (s *scene) get(ctx context.Context, version string) (string, error) {
	if id, ok := s.ids[version]; ok {
		version = id
	}
	o, err := s.w.objects.Get(ctx, alice, Get{VersionRef: VersionRef{s.ref(), version}})
	if err != nil {
		return "", err
	}
	defer o.Body.Close()
	data, err := io.ReadAll(o.Body)
	return fmt.Sprintf("%d bytes, %x", len(data), crc32.ChecksumIEEE(data)), err
}

func (s *scene) tag(ctx context.Context, version string, size int) (string, error) {
	if id, ok := s.ids[version]; ok {
		version = id
	}
	_, err := s.w.objects.PutTagging(ctx, alice, PutTagging{VersionRef{s.ref(), version}, []bucket.Tag{{Key: "by", Value: fmt.Sprint(size)}}})
	return "tagged", err
}

// annotate puts an annotation to the current version, so that it has another besides "old".
func (s *scene) annotate(ctx context.Context, size int) (string, error) {
	_, err := s.w.objects.PutAnnotation(ctx, alice, PutAnnotation{
		VersionRef: VersionRef{Ref: s.ref()}, Name: "new", Body: strings.NewReader(strings.Repeat("n", size)), Size: int64(size),
	})
	return "annotated", notReplaced(err)
}

// notReplaced: an object that was replaced meanwhile was, to a client, not there any more.
func notReplaced(err error) error {
	if errors.Is(err, Replaced) {
		return fault.New(NoSuchKey, "")
	}
	return err
}

// annotations tells of those of a version, each read.
func (s *scene) annotations(ctx context.Context, version string) string {
	at := VersionRef{s.ref(), version}
	l, err := s.w.objects.ListAnnotations(ctx, alice, ListAnnotations{VersionRef: at, Max: MaxAnnotations})
	if err != nil {
		return answer("", err)
	}
	var out []string
	for _, e := range l.Entries {
		a, err := s.w.objects.GetAnnotation(ctx, alice, GetAnnotation{VersionRef: at, Name: e.Name})
		if err != nil {
			return answer("", err)
		}
		text, err := io.ReadAll(a.Body)
		a.Body.Close()
		out = append(out, answer(fmt.Sprint(e.Name, len(text)), err))
	}
	return strings.Join(out, ",")
}

func (s *scene) changeKey(ctx context.Context, version string) (string, error) {
	if id, ok := s.ids[version]; ok {
		version = id
	}
	_, err := s.w.objects.UpdateEncryption(ctx, alice, UpdateEncryption{VersionRef: VersionRef{s.ref(), version}, KeyARN: s.kmsKey, BucketKey: true})
	return "changed", err
}

func (s *scene) part(ctx context.Context, number, size int) (string, error) {
	_, err := s.w.objects.UploadPart(ctx, alice, UploadPart{
		UploadRef: s.up, Number: number, Body: bytes.NewReader(pattern(size)), Size: int64(size),
	})
	return "stored", err
}

func (s *scene) complete(ctx context.Context, c WriteCondition) (string, error) {
	_, err := s.w.objects.Complete(ctx, alice, Complete{UploadRef: s.up, Parts: s.parts, Size: -1, Condition: c})
	return "complete", err
}

// Buckets with objects that are replicated into scenes.
const (
	olderName = "older" // than all that is there
	newerName = "newer"
)

// replicas puts the objects that are replicated into the scene.
func (s *scene) replicas() {
	for _, from := range []string{olderName, newerName} {
		s.w.put(put(from, s.key, pattern(int(from[0]))))
		s.w.change(currentKey(s.origins[from], s.key), func(r *record) {
			r.Time = 1
			if from == newerName {
				r.Time = time.Now().Add(time.Hour).UnixMilli()
			}
			s.ids[from] = r.wireVersion()
		})
	}
}

// replicate makes the replica of an object that a bucket has for the scene.
func (s *scene) replicate(ctx context.Context, from string) (string, error) {
	_, err := s.w.objects.Replicate(ctx, alice, Replicate{
		Source: bucket.Ref{Bucket: from}, SourceUID: s.origins[from], Key: s.key, VersionID: s.ids[from], Destination: s.name,
	})
	return "replicated", err
}

// deeds are all that may meet. Reads come last: one is never the second actor,
// which acts while the other stands still.
var deeds = []deed{
	{"put", anObject, "", func(ctx context.Context, s *scene, n int) (string, error) { return s.put(ctx, n, WriteCondition{}) }},
	{"create", anObject, "", func(ctx context.Context, s *scene, n int) (string, error) {
		return s.put(ctx, n, WriteCondition{IfNoneMatch: "*"})
	}},
	{"replace", anObject, "", func(ctx context.Context, s *scene, n int) (string, error) {
		return s.put(ctx, n, WriteCondition{IfMatch: s.etag})
	}},
	{"delete", anObject, "", func(ctx context.Context, s *scene, _ int) (string, error) { return s.delete(ctx, "", "") }},
	{"delete if unchanged", anObject, "", func(ctx context.Context, s *scene, _ int) (string, error) { return s.delete(ctx, "", s.etag) }},
	{"delete the current version", anObject, "", func(ctx context.Context, s *scene, _ int) (string, error) { return s.delete(ctx, "current", "") }},
	{"delete the old version", anObject, "", func(ctx context.Context, s *scene, _ int) (string, error) { return s.delete(ctx, "old", "") }},
	{"delete the null version", anObject, "", func(ctx context.Context, s *scene, _ int) (string, error) { return s.delete(ctx, Null, "") }},
	{"tag", anObject, "", func(ctx context.Context, s *scene, n int) (string, error) { return s.tag(ctx, "", n) }},
	{"tag the old version", anObject, "", func(ctx context.Context, s *scene, n int) (string, error) { return s.tag(ctx, "old", n) }},
	{"annotate", anObject, string(NoSuchKey), func(ctx context.Context, s *scene, n int) (string, error) { return s.annotate(ctx, n) }},
	{"annotate no more", anObject, string(NoSuchKey), func(ctx context.Context, s *scene, _ int) (string, error) {
		_, err := s.w.objects.DeleteAnnotation(ctx, alice, DeleteAnnotation{VersionRef: VersionRef{Ref: s.ref()}, Name: "old"})
		return "not annotated", notReplaced(err)
	}},
	{"copy", anObject, "", func(ctx context.Context, s *scene, n int) (string, error) {
		_, err := s.w.objects.Copy(ctx, alice, Copy{Ref: s.ref(), ReplaceHeaders: true, Source: Source{VersionRef: VersionRef{ref(sharedName, "source"), ""}}})
		return "copied", err
	}},
	{"change the key", anObject, string(NoSuchKey), func(ctx context.Context, s *scene, _ int) (string, error) { return s.changeKey(ctx, "") }},
	{"change the key of the old version", anObject, string(NoSuchKey), func(ctx context.Context, s *scene, _ int) (string, error) { return s.changeKey(ctx, "old") }},
	{"replicate what is older", anObject | aReplica, "", func(ctx context.Context, s *scene, _ int) (string, error) { return s.replicate(ctx, olderName) }},
	{"replicate what is newer", anObject | aReplica, "", func(ctx context.Context, s *scene, _ int) (string, error) { return s.replicate(ctx, newerName) }},
	{"upload a part again", anUpload, "", func(ctx context.Context, s *scene, n int) (string, error) { return s.part(ctx, 1, n) }},
	{"upload another part", anUpload, "", func(ctx context.Context, s *scene, n int) (string, error) { return s.part(ctx, 3, n) }},
	{"complete", anUpload, "", func(ctx context.Context, s *scene, _ int) (string, error) { return s.complete(ctx, WriteCondition{}) }},
	{"complete if unchanged", anUpload, "", func(ctx context.Context, s *scene, _ int) (string, error) {
		return s.complete(ctx, WriteCondition{IfMatch: s.etag})
	}},
	{"abort", anUpload, "", func(ctx context.Context, s *scene, _ int) (string, error) {
		_, err := s.w.objects.Abort(ctx, alice, Abort{s.up})
		return "aborted", err
	}},
	{"begin an upload", anUpload, "", func(ctx context.Context, s *scene, _ int) (string, error) {
		_, err := s.w.objects.CreateUpload(ctx, alice, CreateUpload{Ref: s.ref()})
		return "begun", err
	}},
	{"suspend versioning", theBucket, "", func(ctx context.Context, s *scene, _ int) (string, error) {
		_, err := s.w.buckets.PutVersioning(ctx, alice, bucket.PutVersioning{Ref: s.ref().Ref, Status: bucket.Suspended})
		return "suspended", err
	}},
	{"delete the bucket", theBucket, "", func(ctx context.Context, s *scene, _ int) (string, error) {
		_, err := s.w.buckets.Delete(ctx, alice, bucket.Delete{Ref: s.ref().Ref})
		return "deleted", err
	}},
	{"tag the bucket", theBucket, "", func(ctx context.Context, s *scene, n int) (string, error) {
		_, err := s.w.buckets.PutTagging(ctx, alice, bucket.PutTagging{Ref: s.ref().Ref, Tags: []bucket.Tag{{Key: "by", Value: fmt.Sprint(n)}}})
		return "tagged", err
	}},
	{"make the bucket", theBucket, "", func(ctx context.Context, s *scene, _ int) (string, error) {
		_, err := s.w.buckets.Create(ctx, alice, bucket.Create{Bucket: s.name})
		return "made", err
	}},

	{"get", anObject, "", func(ctx context.Context, s *scene, _ int) (string, error) { return s.get(ctx, "") }},
	{"get the current version", anObject, "", func(ctx context.Context, s *scene, _ int) (string, error) { return s.get(ctx, "current") }},
	{"get the old version", anObject, "", func(ctx context.Context, s *scene, _ int) (string, error) { return s.get(ctx, "old") }},
	{"get the null version", anObject, "", func(ctx context.Context, s *scene, _ int) (string, error) { return s.get(ctx, Null) }},
	{"list", anObject, "", func(ctx context.Context, s *scene, _ int) (string, error) { return s.history(ctx) }},
}

const reads = 5

// history lists all versions of the key, as sizes: x for a marker, ~ for null.
func (s *scene) history(ctx context.Context) (string, error) {
	l, err := s.w.objects.ListVersions(ctx, alice, ListVersions{Ref: s.ref().Ref, Prefix: s.key, Max: 1000})
	var out []string
	for _, e := range l.Entries {
		v := fmt.Sprint(e.Size)
		if e.Marker {
			v = "x"
		}
		if e.VersionID == Null {
			v += "~"
		}
		if e.Latest {
			v += "*"
		}
		out = append(out, v)
	}
	return strings.Join(out, " "), err
}

// after is everything that clients can see.
func (s *scene) after() string {
	ctx := s.w.t.Context()
	b, err := s.w.buckets.Head(ctx, alice, bucket.Head{Ref: s.ref().Ref})
	if err != nil {
		return answer("", err)
	}
	out := []string{b.Versioning, fmt.Sprint(b.Tags)}
	if _, err := s.w.buckets.ForWrite(ctx, s.ref().Ref); err != nil {
		out = append(out, answer("", err))
	}
	if b.UID != s.uid {
		out = append(out, "another bucket")
	}
	out = append(out, answer(s.history(ctx)))
	l, _ := s.w.objects.ListVersions(ctx, alice, ListVersions{Ref: s.ref().Ref, Prefix: s.key, Max: 1000})
	for _, e := range l.Entries {
		if e.Marker {
			continue
		}
		s.ids["listed"] = e.VersionID
		said := answer(s.get(ctx, "listed"))
		tags, _ := s.w.objects.Tagging(ctx, alice, GetTagging{VersionRef{s.ref(), e.VersionID}})
		head, err := s.w.objects.Head(ctx, alice, Get{VersionRef: VersionRef{s.ref(), e.VersionID}})
		if err != nil {
			head = &Object{SSE: sse.Applied{Algorithm: answer("", err)}}
		}
		out = append(out, fmt.Sprint(said, tags.Tags, head.SSE.Algorithm, s.annotations(ctx, e.VersionID)))
	}
	ups, err := s.w.objects.ListUploads(ctx, alice, ListUploads{Ref: s.ref().Ref, Prefix: s.key, Max: 1000})
	out = append(out, answer(fmt.Sprint(len(ups.Uploads), " uploads"), err))
	parts, err := s.w.objects.ListParts(ctx, alice, ListParts{UploadRef: s.up, Max: 1000})
	for _, p := range parts.Parts {
		out = append(out, fmt.Sprintf("part %d: %d", p.Number, p.Size))
	}
	return strings.Join(append(out, answer("upload", err)), "; ")
}

// stage is what is there before the two act, and who may.
type stage struct {
	name string
	who  subject
	set  func(s *scene)
}

func (s *scene) add(as string, size int) {
	out := s.w.put(put(s.name, s.key, pattern(size)))
	s.etag = out.ETag
	if as == "current" {
		s.w.annotate(VersionRef{Ref: s.ref()}, "old", strings.Repeat("o", size))
	}
	if as != Null && out.VersionID != "" {
		s.ids[as] = out.VersionID
	}
}

var stages = []stage{
	{"nothing", anObject | anUpload | theBucket, func(*scene) {}},
	{"an object", anObject, func(s *scene) { s.add("current", 11) }},
	{"versions", anObject | anUpload, func(s *scene) {
		s.w.versioning(s.name, bucket.Suspended)
		s.add(Null, 11)
		s.w.versioning(s.name, bucket.Enabled)
		s.add("old", 12)
		s.add("current", 13)
	}},
	{"the null version first", anObject, func(s *scene) {
		s.w.versioning(s.name, bucket.Enabled)
		s.add("old", 12)
		s.w.versioning(s.name, bucket.Suspended)
		s.add("current", 13)
		s.w.versioning(s.name, bucket.Enabled)
	}},
	{"a marker over the null version", anObject, func(s *scene) {
		s.w.versioning(s.name, bucket.Suspended)
		s.add(Null, 11)
		s.w.versioning(s.name, bucket.Enabled)
		s.ids["current"] = s.w.delete(s.name, s.key, "").VersionID
	}},
	{"one version", anObject, func(s *scene) {
		s.w.versioning(s.name, bucket.Enabled)
		s.add("current", 11)
	}},
	{"versioning suspended", anObject, func(s *scene) {
		s.w.versioning(s.name, bucket.Suspended)
		s.add(Null, 11)
		s.w.versioning(s.name, bucket.Enabled)
		s.add("old", 12)
		s.w.versioning(s.name, bucket.Suspended)
	}},
}

// theatre makes scenes.
type theatre struct {
	w      *world
	rows   *staged
	shared bucket.UID // the bucket of scenes that need none of their own
	kmsKey string
	made   int

	origins map[string]bucket.UID
}

const sharedName = "shared"

func newTheatre(t *testing.T, cfg Config) *theatre {
	return newTheatreOn(t, cfg, blobmem.NewPacking(packLimit))
}

func newTheatreOn(t *testing.T, cfg Config, blobs blob.Store) *theatre {
	rows := &staged{Store: metamem.New()}
	th := &theatre{w: newWorldOn(t, cfg, rows, blobs), rows: rows}
	th.shared, th.kmsKey = th.open(sharedName), th.w.key()
	th.w.put(put(sharedName, "source", pattern(14)))
	th.w.bucket(olderName, bucket.Enabled)
	th.w.bucket(newerName, bucket.Enabled)
	th.origins = map[string]bucket.UID{olderName: th.w.uid(olderName), newerName: th.w.uid(newerName)}
	return th
}

func (th *theatre) open(name string) bucket.UID {
	th.w.bucket(name, "")
	b, err := th.w.buckets.Find(th.w.t.Context(), bucket.Ref{Bucket: name})
	if err != nil {
		th.w.t.Fatal(err)
	}
	return b.UID
}

func (th *theatre) scene(st stage, on subject) *scene {
	th.made++
	s := &scene{w: th.w, name: sharedName, uid: th.shared, key: fmt.Sprintf("k-%06d", th.made), kmsKey: th.kmsKey, ids: map[string]string{}, origins: th.origins}
	if on&theBucket != 0 {
		s.name = fmt.Sprintf("bucket-%d", th.made)
		s.uid = th.open(s.name)
	}
	st.set(s)
	if on&aReplica != 0 {
		s.replicas()
	}
	if on&anUpload != 0 {
		s.up = th.w.begin(CreateUpload{Ref: s.ref()})
		s.parts = []CompletePart{th.w.part(s.up, 1, pattern(15)), th.w.part(s.up, 2, pattern(16))}
	}
	return s
}

const firstSize, secondSize = 101, 102

// alone lets one act, and the other not at all.
func (th *theatre) alone(st stage, on subject, a *deed, size int) (told, after string) {
	s := th.scene(st, on)
	told = answer(a.do(th.w.t.Context(), s, size))
	return told, s.after()
}

// serially lets a act and then b.
func (th *theatre) serially(st stage, a, b *deed, sizeA, sizeB int) (ra, rb, after string) {
	s := th.scene(st, a.on|b.on)
	ctx := th.w.t.Context()
	ra = answer(a.do(ctx, s, sizeA))
	rb = answer(b.do(ctx, s, sizeB))
	return ra, rb, s.after()
}

// gaveWay reports whether a deed was told that it did nothing because of the other.
func (d *deed) gaveWay(said string) bool {
	return said == string(bucket.BeingDeleted) || d.yields != "" && said == d.yields
}

// legal returns the outcomes that clients may see: those of one deed after the
// other. A deed that was refused for being in the other's way counts as not done.
func (th *theatre) legal(st stage, a, b *deed, got outcome) []outcome {
	ra, rb, after := th.serially(st, a, b, firstSize, secondSize)
	out := []outcome{{ra, rb, after}}
	rb, ra, after = th.serially(st, b, a, secondSize, firstSize)
	out = append(out, outcome{ra, rb, after})
	if b.gaveWay(got.second) {
		ra, after = th.alone(st, a.on|b.on, a, firstSize)
		out = append(out, outcome{ra, got.second, after})
	}
	if a.gaveWay(got.first) {
		rb, after = th.alone(st, a.on|b.on, b, secondSize)
		out = append(out, outcome{got.first, rb, after})
	}
	return out
}

// interleaved stops a before its nth call of the store and lets b act meanwhile.
// ok is false when a has fewer calls.
func (th *theatre) interleaved(st stage, a, b *deed, n int) (_ outcome, ok bool) {
	return th.interleavedIn(th.scene(st, a.on|b.on), a, b, n)
}

func (th *theatre) interleavedIn(s *scene, a, b *deed, n int) (_ outcome, ok bool) {
	ctx := th.w.t.Context()
	reached, release := th.rows.pauseAt(n)
	defer th.rows.direct(nil)
	defer release()
	done := make(chan string)
	go func() { done <- answer(a.do(slow(ctx), s, firstSize)) }()
	select {
	case <-reached:
	case <-done:
		return outcome{}, false
	}
	rb := answer(b.do(ctx, s, secondSize))
	release()
	ra := <-done
	th.rows.direct(nil)
	return outcome{ra, rb, s.after()}, true
}

// TestAnyTwoActAsIfOneAfterTheOther stops every operation before each of its
// calls of the store and lets every other one run meanwhile. What the two are
// told and what is there then must be as if they had come one after the other.
func TestAnyTwoActAsIfOneAfterTheOther(t *testing.T) {
	for _, st := range stages {
		for name, cfg := range map[string]Config{"in rows": small, "in packs": filed} {
			t.Run(st.name+" "+name, func(t *testing.T) {
				t.Parallel()
				th := newTheatre(t, cfg)
				for i, a := range deeds {
					for j, b := range deeds[:len(deeds)-reads] {
						if a.on&st.who != 0 && b.on&st.who != 0 && (i+j)%every == 0 {
							th.meet(st, &deeds[i], &deeds[j])
						}
					}
				}
				if err := th.w.consistent(false); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func (th *theatre) meet(st stage, a, b *deed) {
	seen := map[outcome]bool{} // and found legal, or complained of
	for n := 1; ; n++ {
		got, ok := th.interleaved(st, a, b, n)
		if !ok {
			return
		}
		if seen[got] {
			continue
		}
		legal := th.legal(st, a, b, got)
		for _, l := range legal {
			seen[l] = true
		}
		if !seen[got] {
			th.w.t.Errorf("%q stopped before call %d, then %q:\n   got %+v\n legal %+v", a.name, n, b.name, got, legal)
		}
	}
}
