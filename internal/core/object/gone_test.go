// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"context"
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/kms"
)

// noKeys is the KMS for upkeep that opens nothing.
type noKeys struct{ bucketkey.ServiceKeys }

func (noKeys) Deleted(context.Context, string, kms.Purpose) error { return nil }

// retireAll retires all generations of a bucket, and returns them and who keeps them.
func (w *world) retireAll(name string) (*bucketkey.Ledger, bucketkey.Owned, []bucketkey.Entry) {
	w.t.Helper()
	ctx := w.t.Context()
	ledger := bucketkey.NewLedger(noKeys{}, w.rows, 0)
	b, err := w.buckets.Find(ctx, bucket.Ref{Bucket: name})
	if err != nil {
		w.t.Fatal(err)
	}
	owner := bucketkey.Owned{Bucket: keyBucket(b), Account: b.Owner}
	entries, err := ledger.List(ctx, b.UID)
	if err != nil || len(entries) == 0 {
		w.t.Fatalf("%d generations, %v", len(entries), err)
	}
	row, ver := b.Guard()
	_, err = ledger.Retire(ctx, owner, bucketkey.Guard{Row: row, Ver: ver}, bucketkey.Merge{Sources: entries, Empty: true})
	if err != nil {
		w.t.Fatal(err)
	}
	if entries, err = ledger.List(ctx, b.UID); err != nil {
		w.t.Fatal(err)
	}
	return ledger, owner, entries
}

// dropGenerations retires and deletes all generations of a bucket that has nothing
// in it.
func (w *world) dropGenerations(name string) {
	w.t.Helper()
	ledger, owner, entries := w.retireAll(name)
	for i := range entries {
		e := &entries[i]
		if e.Retired.IsZero() {
			continue
		}
		if done, err := ledger.Delete(w.t.Context(), owner, e, e.StateVer()); !done || err != nil {
			w.t.Fatalf("delete generation: %t, %v", done, err)
		}
	}
}

// A write that got its keys, and stands still until they were retired and are gone,
// must be sealed under others: what it stores is read by a process that has the old
// ones in no cache.
func TestNoWriteIsSealedUnderKeysThatAreGone(t *testing.T) {
	writes := map[string]func(ctx context.Context, w *world) error{
		"put": func(ctx context.Context, w *world) error {
			_, err := w.objects.Put(ctx, alice, put("bkt", "k", pattern(100)))
			return err
		},
		"upload": func(ctx context.Context, w *world) error {
			out, err := w.objects.CreateUpload(ctx, alice, CreateUpload{Ref: ref("bkt", "k")})
			if err != nil {
				return err
			}
			ctx = w.t.Context() // from here on the upload holds its keys
			w.start(small)      // so that the part opens the key anew
			up := UploadRef{ref("bkt", "k"), out.UploadID}
			part, err := w.objects.UploadPart(ctx, alice, UploadPart{UploadRef: up, Number: 1, Body: bytes.NewReader(pattern(100)), Size: 100})
			if err != nil {
				return err
			}
			_, err = w.complete(Complete{UploadRef: up, Parts: []CompletePart{{Number: 1, ETag: part.ETag}}})
			return err
		},
		"replica": func(ctx context.Context, w *world) error {
			uid, at := w.uid("src"), VersionRef{Ref: ref("src", "k")}
			at.VersionID = w.put(put("src", "k", pattern(100))).VersionID
			_, err := w.objects.Replicate(ctx, alice, Replicate{Source: at.Ref.Ref, SourceUID: uid, Key: "k", VersionID: at.VersionID, Destination: "bkt"})
			return err
		},
	}
	for name, write := range writes {
		for n := 1; ; n++ {
			w, rows := stagedWorld(t, small)
			w.bucket("src", bucket.Enabled)
			w.bucket("bkt", bucket.Enabled)
			w.delete("bkt", "before", w.put(put("bkt", "before", nil)).VersionID)
			reached, release := rows.pauseAt(n)
			done := make(chan error, 1)
			go func() { done <- write(slow(t.Context()), w) }()
			paused := false
			select {
			case <-reached:
				paused = true
				w.dropGenerations("bkt")
			case err := <-done:
				done <- err
			}
			release()
			if err := <-done; err != nil {
				t.Errorf("%s stopped before call %d: %v", name, n, err)
			}
			w.start(small)
			if err := w.getErr(read("bkt", "k", "")); err != nil {
				t.Errorf("%s stopped before call %d: then the object is not read: %v", name, n, err)
			} else if got, _ := w.get(read("bkt", "k", "")); !bytes.Equal(got, pattern(100)) {
				t.Errorf("%s stopped before call %d: %d bytes", name, n, len(got))
			}
			if !paused {
				break
			}
		}
	}
}

// An upload and the version that it replaces may be under one retired generation.
func TestACompletionMayMoveTwoDataKeysOfARetiredGeneration(t *testing.T) {
	w := newWorld(t, small)
	w.bucket("bkt", bucket.Enabled)
	w.put(put("bkt", "k", pattern(10)))
	up := w.begin(CreateUpload{Ref: ref("bkt", "k")})
	part := w.part(up, 1, pattern(20))
	_, _, before := w.retireAll("bkt")
	if _, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{part}}); err != nil {
		t.Fatal(err)
	}
	w.expect("bkt", "k=20* k=10")
	b, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "bkt"})
	if err != nil {
		t.Fatal(err)
	}
	after, err := bucketkey.NewLedger(noKeys{}, w.rows, 0).List(t.Context(), b.UID)
	if err != nil || after[0].StateVer() == before[0].StateVer() {
		t.Errorf("a scan for what is under the generation cannot know that something moved: %v", err)
	}
}

// Keys may be retired before any step of any operation. Nobody notices, also when
// nothing of them is in a cache any more.
func TestKeysMayRetireAtAnyPoint(t *testing.T) {
	th := newTheatre(t, small)
	retirement := deed{name: "retirement", do: func(_ context.Context, s *scene, _ int) (string, error) {
		s.w.retireAll(s.name)
		return "retired", nil
	}}
	var left []wreck
	for i := range deeds {
		a := &deeds[i]
		if a.on == theBucket || i%every != 0 {
			continue
		}
		said, done := th.alone(stages[2], a.on, a, firstSize)
		for n := 1; ; n++ {
			s := th.scene(stages[2], a.on)
			got, ok := th.interleavedIn(s, a, &retirement, n)
			if !ok {
				break
			}
			if got.first != said || got.after != done {
				t.Errorf("%q stopped before call %d for a retirement: told %q, there is\n%s\nwhere it should be\n%s", a.name, n, got.first, got.after, done)
			}
			left = append(left, wreck{s, a.name, got.after})
		}
	}
	th.w.start(small)
	for _, l := range left {
		if now := l.scene.after(); now != l.after {
			t.Errorf("%q: after a restart there is\n%s\nwhere there was\n%s", l.how, now, l.after)
		}
	}
	if err := th.w.consistent(false); err != nil {
		t.Error(err)
	}
}
