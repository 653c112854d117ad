// SPDX-License-Identifier: Apache-2.0

package object

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

// TestAMarkerInAGroupStandsForTheGroup: that is how the older listings go on, whatever
// in the group their marker names. A start-after is a key like others.
func TestAMarkerInAGroupStandsForTheGroup(t *testing.T) {
	w := newWorld(t, small)
	w.bucket("bkt", bucket.Enabled)
	for _, k := range []string{"d/a/1", "d/a/2", "d/f", "d/g"} {
		w.put(put("bkt", k, nil))
		w.begin(CreateUpload{Ref: ref("bkt", k)})
	}
	at := bucket.Ref{Bucket: "bkt"}
	for over, wanted := range map[bool]string{true: "[] d/f", false: "[d/a/] d/f"} {
		l, err := w.objects.List(t.Context(), alice, List{Ref: at, Prefix: "d/", Delimiter: "/", After: "d/a/1", OverGroup: over, Max: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(l.Prefixes, " ", l.Entries[0].Key); got != wanted {
			t.Errorf("over groups %t: %s, want %s", over, got, wanted)
		}
	}
	v, err := w.objects.ListVersions(t.Context(), alice, ListVersions{Ref: at, Prefix: "d/", Delimiter: "/", KeyMarker: "d/a/1", VersionMarker: Null, Max: 1000})
	if err != nil || len(v.Prefixes) > 0 || v.Entries[0].Key != "d/f" {
		t.Errorf("versions: %+v, %v", v, err)
	}
	u, err := w.objects.ListUploads(t.Context(), alice, ListUploads{Ref: at, Prefix: "d/", Delimiter: "/", KeyMarker: "d/a/1", Max: 1000})
	if err != nil || len(u.Prefixes) > 0 || u.Uploads[0].Key != "d/f" {
		t.Errorf("uploads: %+v, %v", u, err)
	}
	_, err = w.objects.ListUploads(t.Context(), alice, ListUploads{Ref: at, KeyMarker: "d/f", UploadMarker: "nonsense", Max: 1000})
	want(t, err, InvalidArgument)
}

// TestWhoDeletesWhatAPageListsMissesNothing empties a bucket page by page, as tools do:
// of a key whose listed versions are gone, an older one is current when the next page is
// asked for.
func TestWhoDeletesWhatAPageListsMissesNothing(t *testing.T) {
	for _, page := range []int{1, 2, 3, 4} {
		w := newWorld(t, Config{})
		w.bucket("bkt", "")
		w.put(put("bkt", "k", pattern(1)))
		w.versioning("bkt", bucket.Enabled)
		for i := range 3 {
			w.put(put("bkt", "k", pattern(i)))
			w.delete("bkt", "k", "")
		}
		w.versioning("bkt", bucket.Suspended)
		w.put(put("bkt", "k", pattern(9)))
		w.versioning("bkt", bucket.Enabled)
		w.put(put("bkt", "k", pattern(8)))
		w.put(put("bkt", "l", nil))
		in := ListVersions{Ref: bucket.Ref{Bucket: "bkt"}, Max: page}
		for {
			l, err := w.objects.ListVersions(t.Context(), alice, in)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range l.Entries {
				w.delete("bkt", e.Key, e.VersionID)
			}
			if !l.Truncated {
				break
			}
			in.KeyMarker, in.VersionMarker = l.NextKey, l.NextVersion
		}
		if left := w.history("bkt", 1000); left != "" {
			t.Errorf("pages of %d: %s is left", page, left)
		}
	}
}

func TestVersionsOfABucketWithoutVersioning(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", "")
	w.put(put("bkt", "k", nil))
	id := strings.Repeat("A", 32)
	want(t, w.getErr(read("bkt", "k", id)), InvalidVersionID)
	if _, err := w.objects.Delete(t.Context(), alice, Delete{VersionRef: VersionRef{ref("bkt", "k"), id}}); err == nil {
		t.Error("a version is deleted where there can be none")
	}
	w.get(read("bkt", "k", Null))
}
