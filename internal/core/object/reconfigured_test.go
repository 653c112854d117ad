// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/store/meta"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

// meanwhile is a store in which something happens once, before a row is read.
type meanwhile struct {
	meta.Store
	row  []byte
	then func()
}

func (s *meanwhile) Get(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	if do := s.then; do != nil && slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, s.row) }) {
		s.then = nil
		do()
	}
	return s.Store.Get(ctx, keys...)
}

// reconfigured is a world with an object, in which versioning is enabled and another
// version put when the object's row is read next.
func reconfigured(t *testing.T, versioning string) (w *world, put2 *Stored) {
	rows := &meanwhile{Store: metamem.New()}
	w = newWorldOver(t, Config{}, rows)
	w.bucket("bkt", versioning)
	w.put(put("bkt", "k", pattern(10)))
	b, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "bkt"})
	if err != nil {
		t.Fatal(err)
	}
	put2 = new(Stored)
	rows.row = currentKey(b.UID, "k")
	rows.then = func() {
		w.versioning("bkt", bucket.Enabled)
		*put2 = w.put(put("bkt", "k", pattern(20)))
	}
	return w, put2
}

// A delete that found the bucket without versioning does not destroy a version that was
// put since it has some.
func TestADeleteMeetsVersioning(t *testing.T) {
	w, second := reconfigured(t, "")
	if _, err := w.objects.Delete(t.Context(), alice, Delete{VersionRef: VersionRef{Ref: ref("bkt", "k")}}); err != nil {
		t.Fatal(err)
	}
	w.get(Get{VersionRef: VersionRef{Ref: ref("bkt", "k"), VersionID: second.VersionID}})
	w.versioning("bkt", bucket.Suspended)
	w.put(put("bkt", "k", pattern(30)))
	w.versioning("bkt", bucket.Enabled)
	w.put(put("bkt", "k", pattern(40)))
}

// Nor does one that found versioning suspended remove the null version that was set
// aside since.
func TestAMarkerMeetsVersioning(t *testing.T) {
	w, _ := reconfigured(t, bucket.Suspended)
	if _, err := w.objects.Delete(t.Context(), alice, Delete{VersionRef: VersionRef{Ref: ref("bkt", "k")}}); err != nil {
		t.Fatal(err)
	}
	w.get(Get{VersionRef: VersionRef{Ref: ref("bkt", "k"), VersionID: Null}})
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// A put answers with the version that it stored, also when the bucket got versioning
// while the body came.
func TestAPutMeetsVersioning(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", "")
	in := put("bkt", "k", []byte("data"))
	body, done := in.Body, false
	in.Body = readFunc(func(p []byte) (int, error) {
		if !done {
			done = true
			w.versioning("bkt", bucket.Enabled)
		}
		return body.Read(p)
	})
	out := w.put(in)
	if _, o := w.get(Get{VersionRef: VersionRef{Ref: in.Ref}}); out.VersionID != o.VersionID || out.VersionID == "" {
		t.Errorf("put answered version %q, and stored %q", out.VersionID, o.VersionID)
	}
}

// A delete that meets a conflict and then finds nothing left commits nothing, so the
// record of its first try is in no commit.
func TestRecordOfATryThatWasNotCommitted(t *testing.T) {
	for name, versioning := range map[string]string{"the only version": "", "one version": bucket.Enabled} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Config{})
			w.bucket("bkt", versioning)
			at := VersionRef{Ref: ref("bkt", "k")}
			at.VersionID = w.put(put("bkt", "k", []byte("data"))).VersionID
			joined, rival := false, false
			ctx := audit.WithJoin(t.Context(), func(b *meta.Batch, _ any) error {
				if joined = b != nil; joined && !rival {
					rival = true
					_, err := w.objects.Delete(context.Background(), alice, Delete{VersionRef: at})
					return err
				}
				return nil
			})
			if _, err := w.objects.Delete(ctx, alice, Delete{VersionRef: at}); err != nil {
				t.Fatal(err)
			}
			if joined {
				t.Error("the record counts as committed")
			}
		})
	}
}
