// SPDX-License-Identifier: Apache-2.0

package object

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

func (w *world) delete(b, key, version string) Deleted {
	w.t.Helper()
	out, err := w.objects.Delete(w.t.Context(), alice, Delete{VersionRef: VersionRef{ref(b, key), version}})
	if err != nil {
		w.t.Fatalf("delete %s %q: %v", key, version, err)
	}
	return out
}

// history lists a bucket's versions as "key=size", with * for the latest, x for a
// delete marker and ~ for the null version.
func (w *world) history(b string, page int) string {
	w.t.Helper()
	var out []string
	in := ListVersions{Ref: bucket.Ref{Bucket: b}, Max: page}
	for {
		l, err := w.objects.ListVersions(w.t.Context(), alice, in)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range l.Entries {
			s := fmt.Sprintf("%s=%d", e.Key, e.Size)
			if e.Marker {
				s = e.Key + "=x"
			}
			if e.VersionID == Null {
				s += "~"
			}
			if e.Latest {
				s += "*"
			}
			out = append(out, s)
		}
		if !l.Truncated {
			return strings.Join(out, " ")
		}
		in.KeyMarker, in.VersionMarker = l.NextKey, l.NextVersion
	}
}

func (w *world) expect(b, want string) {
	w.t.Helper()
	for _, page := range []int{1000, 1, 2, 3} {
		if got := w.history(b, page); got != want {
			w.t.Errorf("history in pages of %d:\n got %s\nwant %s", page, got, want)
		}
	}
}

func TestVersionsOfAKey(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", "")
	w.put(put("bkt", "k", pattern(1)))
	w.put(put("bkt", "k", pattern(2)))
	w.expect("bkt", "k=2~*")
	w.versioning("bkt", bucket.Enabled)
	v3 := w.put(put("bkt", "k", pattern(3)))
	w.put(put("bkt", "k", pattern(4)))
	w.expect("bkt", "k=4* k=3 k=2~")
	marker := w.delete("bkt", "k", "")
	if !marker.Marker || marker.VersionID == "" {
		t.Errorf("delete: %+v", marker)
	}
	w.expect("bkt", "k=x* k=4 k=3 k=2~")
	want(t, w.getErr(read("bkt", "k", "")), NoSuchKey)
	want(t, w.getErr(read("bkt", "k", marker.VersionID)), DeleteMarker)
	if got, _ := w.get(read("bkt", "k", v3.VersionID)); len(got) != 3 {
		t.Errorf("version 3 has %d bytes", len(got))
	}
	if got, _ := w.get(read("bkt", "k", Null)); len(got) != 2 {
		t.Errorf("the null version has %d bytes", len(got))
	}
	w.versioning("bkt", bucket.Suspended)
	w.put(put("bkt", "k", pattern(5)))
	w.expect("bkt", "k=5~* k=x k=4 k=3")
	w.versioning("bkt", bucket.Enabled)
	w.put(put("bkt", "k", pattern(6)))
	w.expect("bkt", "k=6* k=5~ k=x k=4 k=3")
	w.versioning("bkt", bucket.Suspended)
	if d := w.delete("bkt", "k", ""); !d.Marker || d.VersionID != Null {
		t.Errorf("delete while suspended: %+v", d)
	}
	w.expect("bkt", "k=x~* k=6 k=x k=4 k=3")
	w.delete("bkt", "k", Null)
	w.expect("bkt", "k=6* k=x k=4 k=3")
	w.delete("bkt", "k", v3.VersionID)
	w.expect("bkt", "k=6* k=x k=4")
	want(t, w.getErr(read("bkt", "k", v3.VersionID)), NoSuchVersion)
	want(t, w.getErr(read("bkt", "k", "nonsense")), InvalidVersionID)
}

func TestDeletingTheLatestVersionsBringsBackTheOnesBefore(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", "")
	w.put(put("bkt", "k", pattern(1)))
	w.versioning("bkt", bucket.Enabled)
	v2 := w.put(put("bkt", "k", pattern(2)))
	m := w.delete("bkt", "k", "")
	w.expect("bkt", "k=x* k=2 k=1~")
	if d := w.delete("bkt", "k", m.VersionID); !d.Marker {
		t.Errorf("deleting a marker: %+v", d)
	}
	w.expect("bkt", "k=2* k=1~")
	w.delete("bkt", "k", v2.VersionID)
	w.expect("bkt", "k=1~*")
	w.delete("bkt", "k", Null)
	w.expect("bkt", "")
	// The pointer to the null version went with it: another one is found.
	w.put(put("bkt", "k", pattern(7)))
	w.delete("bkt", "k", "")
	w.expect("bkt", "k=x* k=7")
}

func TestHistoryOfManyKeysWithADelimiter(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", bucket.Enabled)
	for _, k := range []string{"a", "dir/1", "dir/2", "z"} {
		w.put(put("bkt", k, pattern(1)))
		w.put(put("bkt", k, pattern(2)))
	}
	w.delete("bkt", "dir/2", "")
	l, err := w.objects.ListVersions(t.Context(), alice, ListVersions{Ref: bucket.Ref{Bucket: "bkt"}, Delimiter: "/", Max: 3})
	if err != nil || len(l.Entries) != 2 || len(l.Prefixes) != 1 || !l.Truncated || l.NextKey != "dir/" {
		t.Fatalf("%+v, %v", l, err)
	}
	l, err = w.objects.ListVersions(t.Context(), alice, ListVersions{
		Ref: bucket.Ref{Bucket: "bkt"}, Delimiter: "/", Max: 3, KeyMarker: l.NextKey, VersionMarker: l.NextVersion,
	})
	if err != nil || len(l.Entries) != 2 || l.Entries[0].Key != "z" || l.Truncated {
		t.Fatalf("%+v, %v", l, err)
	}
}

func TestConditionalDelete(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", "")
	s := w.put(put("bkt", "k", pattern(1)))
	del := func(tag string) error {
		_, err := w.objects.Delete(t.Context(), alice, Delete{VersionRef: VersionRef{ref("bkt", "k"), ""}, IfMatch: tag})
		return err
	}
	want(t, del(`"other"`), PreconditionFailed)
	if err := del(s.ETag); err != nil {
		t.Error(err)
	}
	want(t, del(s.ETag), NoSuchKey)
	if err := del(""); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
}

func TestListing(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", "")
	for _, k := range []string{"a/1", "a/2", "b", "c/x/1", "c/y", "d"} {
		w.put(put("bkt", k, nil))
	}
	list := func(prefix, delimiter, after string, limit int) string {
		l, err := w.objects.List(t.Context(), alice, List{Ref: bucket.Ref{Bucket: "bkt"}, Prefix: prefix, Delimiter: delimiter, After: after, Max: limit})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range l.Entries {
			out = append(out, e.Key)
		}
		for _, p := range l.Prefixes {
			out = append(out, p+"*")
		}
		if l.Truncated {
			out = append(out, "then "+l.Next)
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		prefix, delimiter, after string
		limit                    int
		want                     string
	}{
		{"", "", "", 1000, "a/1 a/2 b c/x/1 c/y d"},
		{"", "/", "", 1000, "b d a/* c/*"},
		{"", "/", "", 2, "b a/* then b"},
		{"", "/", "b", 1, "c/* then c/"},
		{"", "/", "c/", 1000, "d"},
		{"", "/", "a/1", 1000, "b d a/* c/*"},
		{"c/", "/", "", 1000, "c/y c/x/*"},
		{"c/", "", "c/x/1", 1000, "c/y"},
		{"a", "", "", 1, "a/1 then a/1"},
		{"", "", "a/2", 1000, "b c/x/1 c/y d"},
		{"zz", "", "", 1000, ""},
		{"", "", "", 0, ""},
		{"b", "", "a", 10, "b"},
		{"b", "", "c", 10, ""},
	} {
		if got := list(c.prefix, c.delimiter, c.after, c.limit); got != c.want {
			t.Errorf("prefix %q delimiter %q after %q max %d:\n got %s\nwant %s", c.prefix, c.delimiter, c.after, c.limit, got, c.want)
		}
	}
}

func TestADelimitedListingSeeksOverGroups(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", "")
	for g := range 10 {
		for i := range 300 {
			w.put(put("bkt", fmt.Sprintf("g%d/%04d", g, i), nil))
		}
	}
	b, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "bkt"})
	if err != nil {
		t.Fatal(err)
	}
	walk := newWalk(w.rows, bucketPrefix("c/", b.UID), 0, "", "/", "", 1001)
	groups := 0
	for {
		item, key, err := walk.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if item.Key == nil {
			break
		}
		group, _ := commonPrefix(key, "", "/")
		groups++
		walk.skip(group)
	}
	if groups != 10 || walk.seeks > 20 {
		t.Errorf("%d groups in %d scans", groups, walk.seeks)
	}
}
