// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// told is a Notifier that keeps a row for each change, and what was committed.
type told struct {
	refuse  error
	queued  []Change
	changes []Change
}

func (n *told) Queue(_ context.Context, b *meta.Batch, c Change) (func(), error) {
	if n.refuse != nil {
		return nil, n.refuse
	}
	n.queued = append(n.queued, c)
	b.Put([]byte("told/"+string(c.Event)+c.VersionID), []byte("1"))
	return func() { n.changes = append(n.changes, c) }, nil
}

func (n *told) take() (out []string) {
	for _, c := range n.changes {
		out = append(out, string(c.Event)+" "+c.Key)
	}
	n.changes, n.queued = nil, nil
	return out
}

func newTold(t *testing.T, versioning string) (*world, *told) {
	t.Helper()
	w, n := newWorld(t, Config{}), new(told)
	w.objects.Notify(n)
	w.bucket("bkt", versioning)
	w.notified("bkt")
	return w, n
}

// notified has somebody told of a bucket's changes.
func (w *world) notified(name string) {
	w.t.Helper()
	err := w.buckets.PutNotification(w.t.Context(), bucket.PutNotification{
		Ref: bucket.Ref{Bucket: name}, Notifications: bucket.Notifications{EventBridge: true},
	}, func(*bucket.Bucket) error { return nil }, func(*bucket.Bucket, *meta.Batch) error { return nil })
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestChangesAreTold(t *testing.T) {
	ctx := t.Context()
	w, n := newTold(t, "")
	if _, err := w.buckets.PutOwnership(ctx, alice, bucket.PutOwnership{Ref: bucket.Ref{Bucket: "bkt"}, Ownership: bucket.ObjectWriter}); err != nil {
		t.Fatal(err)
	}
	del := func(in Delete) {
		t.Helper()
		if _, err := w.objects.Delete(ctx, alice, in); err != nil {
			t.Fatal(err)
		}
	}
	at := VersionRef{Ref: ref("bkt", "k")}
	w.put(put("bkt", "k", []byte("some")))
	form := Put{Ref: ref("bkt", "form"), Body: strings.NewReader("x"), Size: 1, Form: true}
	_, err := w.objects.Put(ctx, alice, form)
	if _, e := w.objects.Copy(ctx, alice, Copy{Ref: ref("bkt", "copy"), Source: Source{VersionRef: at}}); e != nil {
		err = e
	}
	if _, e := w.objects.PutTagging(ctx, alice, PutTagging{at, []bucket.Tag{{Key: "a", Value: "b"}}}); e != nil {
		err = e
	}
	if _, e := w.objects.DeleteTagging(ctx, alice, DeleteTagging{at}); e != nil {
		err = e
	}
	if _, e := w.objects.PutACL(ctx, alice, PutACL{VersionRef: at, ACL: acl.Asked{Canned: acl.Private}}); e != nil {
		err = e
	}
	if err != nil {
		t.Fatal(err)
	}
	up := w.begin(CreateUpload{Ref: ref("bkt", "parts")})
	part := w.part(up, 1, []byte("x"))
	if _, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{part}, Size: -1}); err != nil {
		t.Fatal(err)
	}
	del(Delete{VersionRef: at})
	del(Delete{VersionRef: at}) // nothing is there
	if c := n.changes[0]; c.Size != 4 || c.ETag == "" || c.VersionID != "" || c.By.RequestID != alice.RequestID || c.Bucket.Name != "bkt" {
		t.Errorf("told of a put: %+v", c)
	}
	want := []string{
		"ObjectCreated:Put k", "ObjectCreated:Post form", "ObjectCreated:Copy copy", "ObjectTagging:Put k", "ObjectTagging:Delete k",
		"ObjectAcl:Put k", "ObjectCreated:CompleteMultipartUpload parts", "ObjectRemoved:Delete k",
	}
	if got := n.take(); !slices.Equal(got, want) {
		t.Errorf("told\n%q, want\n%q", got, want)
	}
	w.bucket("quiet", "")
	w.put(put("quiet", "k", []byte("some")))
	if len(n.queued) != 0 {
		t.Errorf("told of a bucket without notifications: %q", n.take())
	}
}

func TestChangesOfVersionsAreTold(t *testing.T) {
	ctx := t.Context()
	w, n := newTold(t, bucket.Enabled)
	first := w.put(put("bkt", "k", []byte("some")))
	at := VersionRef{Ref: ref("bkt", "k")}
	hidden, err := w.objects.Delete(ctx, alice, Delete{VersionRef: at})
	if err != nil {
		t.Fatal(err)
	}
	if c := n.changes[1]; !c.Marker || c.VersionID != hidden.VersionID {
		t.Errorf("told of a marker: %+v", c)
	}
	for _, in := range []Delete{
		{VersionRef: VersionRef{at.Ref, first.VersionID}},
		{VersionRef: VersionRef{at.Ref, first.VersionID}}, // is gone
	} {
		if _, err := w.objects.Delete(ctx, alice, in); err != nil {
			t.Fatal(err)
		}
	}
	if c := n.changes[2]; c.Marker || c.VersionID != first.VersionID {
		t.Errorf("told of a version that went: %+v", c)
	}
	want := []string{"ObjectCreated:Put k", "ObjectRemoved:DeleteMarkerCreated k", "ObjectRemoved:Delete k"}
	if got := n.take(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// A change that fails is told to nobody, and one that cannot be told fails.
func TestToldAndDoneTogether(t *testing.T) {
	ctx := t.Context()
	w, n := newTold(t, "")
	w.put(put("bkt", "k", []byte("some")))
	n.take()
	in := Put{Ref: ref("bkt", "k"), Body: strings.NewReader("x"), Size: 1, Condition: WriteCondition{IfNoneMatch: "*"}}
	if _, err := w.objects.Put(ctx, alice, in); !errors.Is(err, PreconditionFailed) {
		t.Fatal(err)
	}
	if len(n.changes) != 0 {
		t.Errorf("told of what failed: %q", n.take())
	}
	n.refuse = fault.New(meta.Unavailable, "")
	if _, err := w.objects.Delete(ctx, alice, Delete{VersionRef: VersionRef{Ref: ref("bkt", "k")}}); !errors.Is(err, meta.Unavailable) {
		t.Errorf("what cannot be told: %v", err)
	}
	if got, _ := w.get(read("bkt", "k", "")); string(got) != "some" {
		t.Errorf("it was done: %q", got)
	}
}
