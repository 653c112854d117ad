// SPDX-License-Identifier: Apache-2.0

package object

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const aDay = 24 * time.Hour

func (w *world) lifecycle(name string, rules ...bucket.LifecycleRule) {
	w.t.Helper()
	for i := range rules {
		rules[i].Enabled, rules[i].ID = true, fmt.Sprint(i)
		if rules[i].Filter == nil {
			rules[i].Filter = &bucket.LifecycleFilter{}
		}
	}
	_, err := w.buckets.PutLifecycle(w.t.Context(), alice, bucket.PutLifecycle{Ref: bucket.Ref{Bucket: name}, Lifecycle: bucket.Lifecycle{Rules: rules}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// due finds what is due now in a bucket.
func (w *world) due(name, after string) (b *bucket.Bucket, due []Due) {
	w.t.Helper()
	ctx := w.t.Context()
	b, err := w.buckets.Find(ctx, bucket.Ref{Bucket: name})
	if err != nil {
		w.t.Fatal(err)
	}
	walk, err := w.objects.Aging(ctx, b, "", after, time.Now(), w.noDamage)
	if err != nil || walk == nil {
		w.t.Fatal("no walk", err)
	}
	for {
		some, seen, err := walk.Next(ctx, 3)
		if err != nil {
			w.t.Fatal(err)
		}
		if seen == 0 {
			break
		}
		due = append(due, some...)
	}
	uploads, next, err := w.objects.AgingUploads(ctx, b, "", nil, time.Now(), w.noDamage)
	if err != nil || next != nil {
		w.t.Fatal(err, next)
	}
	return b, append(due, uploads...)
}

// age does what is due now, and says what that was.
func (w *world) age(name string) string {
	w.t.Helper()
	b, due := w.due(name, "")
	return w.do(b, due)
}

func (w *world) do(b *bucket.Bucket, due []Due) string {
	w.t.Helper()
	done, err := w.objects.Age(w.t.Context(), bucket.Ref{Bucket: b.Name}, b.UID, due, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, d := range done {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", d.Kind, d.Key, d.Class)))
	}
	return strings.Join(out, ", ")
}

func expireIn(days int) bucket.LifecycleRule {
	return bucket.LifecycleRule{Expiration: &bucket.LifecycleExpiration{Days: &days}}
}

func noncurrentIn(days, newer int) bucket.LifecycleRule {
	return bucket.LifecycleRule{NoncurrentExpiration: &bucket.NoncurrentExpiration{Days: days, Newer: &newer}}
}

func loneMarkers() bucket.LifecycleRule {
	yes := true
	return bucket.LifecycleRule{Expiration: &bucket.LifecycleExpiration{Markers: &yes}}
}

func transitionIn(days int, class string) bucket.LifecycleRule {
	return bucket.LifecycleRule{Transitions: []bucket.LifecycleTransition{{Days: &days, Class: class}}}
}

func wants(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("done: %s\nwant: %s", got, want)
	}
}

// What becomes of an object of each bucket, one step of its age after another.
func TestAging(t *testing.T) {
	for _, c := range []struct {
		versioning string
		steps      []string // what is done, and what is there then
	}{
		{"", []string{"expire k", ""}},
		{bucket.Enabled, []string{"expire k", "k=x* k=2 k=1"}},
		{bucket.Suspended, []string{"expire k", "k=x~*"}},
	} {
		t.Run("versioning "+c.versioning, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, Config{})
				w.bucket("bkt", c.versioning)
				w.put(put("bkt", "k", pattern(1)))
				w.put(put("bkt", "k", pattern(2)))
				w.lifecycle("bkt", expireIn(2))
				time.Sleep(2*aDay - time.Minute) // the world begins at midnight
				wants(t, w.age("bkt"), "")
				time.Sleep(time.Minute)
				wants(t, w.age("bkt"), c.steps[0])
				w.expect("bkt", c.steps[1])
				wants(t, w.age("bkt"), "")
			})
		})
	}
}

// A key's whole life under rules of all kinds: hidden, its versions removed but the newest
// of them, then those, and at last the marker.
func TestAgingToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.bucket("bkt", bucket.Enabled)
		for n := range 4 {
			w.put(put("bkt", "k", pattern(n+1)))
		}
		w.put(put("bkt", "k2", pattern(9)))
		w.lifecycle("bkt", expireIn(1), noncurrentIn(1, 2), loneMarkers())
		time.Sleep(aDay)
		wants(t, w.age("bkt"), "expire k, remove k, expire k2")
		w.expect("bkt", "k=x* k=4 k=3 k=2 k2=x* k2=9")
		time.Sleep(aDay)
		wants(t, w.age("bkt"), "remove k")
		w.expect("bkt", "k=x* k=4 k=3 k2=x* k2=9")
		w.lifecycle("bkt", noncurrentIn(1, 1), bucket.LifecycleRule{NoncurrentExpiration: &bucket.NoncurrentExpiration{Days: 1}}, loneMarkers())
		wants(t, w.age("bkt"), "remove k, remove k, remove k2")
		w.expect("bkt", "k=x* k2=x*")
		wants(t, w.age("bkt"), "remove-marker k, remove-marker k2")
		w.expect("bkt", "")
	})
}

// The null version goes with the pointer to it, and a marker made under suspended
// versioning takes its place.
func TestAgingOfNullVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.bucket("bkt", "")
		w.put(put("bkt", "k", pattern(1)))
		w.put(put("bkt", "l", pattern(1)))
		w.versioning("bkt", bucket.Enabled)
		w.put(put("bkt", "k", pattern(2)))
		w.put(put("bkt", "l", pattern(2)))
		w.expect("bkt", "k=2* k=1~ l=2* l=1~")
		w.lifecycle("bkt", noncurrentIn(1, 1), bucket.LifecycleRule{
			NoncurrentExpiration: &bucket.NoncurrentExpiration{Days: 1}, Filter: &bucket.LifecycleFilter{Prefix: new(string)},
		})
		time.Sleep(aDay)
		wants(t, w.age("bkt"), "remove k, remove l")
		w.expect("bkt", "k=2* l=2*")
		w.versioning("bkt", bucket.Suspended)
		w.lifecycle("bkt", expireIn(1))
		wants(t, w.age("bkt"), "expire k, expire l")
		w.expect("bkt", "k=x~* k=2 l=x~* l=2")
		w.put(put("bkt", "k", pattern(3)))
		w.expect("bkt", "k=3~* k=2 l=x~* l=2")
		time.Sleep(2 * aDay)
		wants(t, w.age("bkt"), "expire k")
		w.expect("bkt", "k=x~* k=2 l=x~* l=2")
		// Its marker is as old as the day.
		l, err := w.objects.ListVersions(t.Context(), alice, ListVersions{Ref: bucket.Ref{Bucket: "bkt"}, Max: 1})
		if err != nil || l.Entries[0].Modified != time.Now().Truncate(aDay).UnixMilli() {
			t.Errorf("%+v, %v", l.Entries, err)
		}
	})
}

// A transition changes the class and nothing else.
func TestTransition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.bucket("bkt", bucket.Enabled)
		w.put(put("bkt", "k", pattern(200<<10)))
		w.put(put("bkt", "small", pattern(10)))
		w.lifecycle("bkt", transitionIn(1, "GLACIER_IR"), transitionIn(3, "DEEP_ARCHIVE"))
		_, before := w.get(Get{VersionRef: VersionRef{Ref: ref("bkt", "k")}})
		time.Sleep(aDay)
		wants(t, w.age("bkt"), "transition k GLACIER_IR")
		data, after := w.get(Get{VersionRef: VersionRef{Ref: ref("bkt", "k")}})
		if after.StorageClass != "GLACIER_IR" || after.ETag != before.ETag || !after.Modified.Equal(before.Modified) || after.VersionID != before.VersionID || after.SSE != before.SSE || len(data) != 200<<10 {
			t.Errorf("before %+v\nafter  %+v", before, after)
		}
		wants(t, w.age("bkt"), "")
		time.Sleep(2 * aDay)
		wants(t, w.age("bkt"), "transition k DEEP_ARCHIVE")
	})
}

// Uploads are given up, with their parts.
func TestAgingOfUploads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{MinPart: 1})
		w.bucket("bkt", "")
		days := 1
		w.lifecycle("bkt", bucket.LifecycleRule{AbortDays: &days, Filter: &bucket.LifecycleFilter{Prefix: &[]string{"a"}[0]}})
		for _, key := range []string{"a", "b"} {
			w.part(w.begin(CreateUpload{Ref: ref("bkt", key)}), 1, pattern(10))
		}
		created, err := w.objects.CreateUpload(t.Context(), alice, CreateUpload{Ref: ref("bkt", "ab")})
		if err != nil || created.Aborted != (Expiry{time.Now().UTC().Add(aDay), "0"}) {
			t.Errorf("%+v, %v", created.Aborted, err)
		}
		listed, err := w.objects.ListParts(t.Context(), alice, ListParts{UploadRef: UploadRef{ref("bkt", "ab"), created.UploadID}, Max: 1})
		if err != nil || listed.Aborted != created.Aborted {
			t.Errorf("%+v, %v", listed.Aborted, err)
		}
		time.Sleep(aDay)
		wants(t, w.age("bkt"), "abort a, abort ab")
		l, err := w.objects.ListUploads(t.Context(), alice, ListUploads{Ref: bucket.Ref{Bucket: "bkt"}, Max: 10})
		if err != nil || len(l.Uploads) != 1 || l.Uploads[0].Key != "b" {
			t.Errorf("%+v, %v", l, err)
		}
	})
}

// What changed since it was found is not touched, and what has no rule any more neither.
func TestAgingConflicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.bucket("bkt", "")
		for _, key := range []string{"a", "b", "c", "d"} {
			w.put(put("bkt", key, pattern(1)))
		}
		w.lifecycle("bkt", expireIn(1))
		time.Sleep(aDay)
		b, due := w.due("bkt", "")
		w.put(put("bkt", "b", pattern(2)))
		w.delete("bkt", "c", "")
		wants(t, w.do(b, due), "expire a, expire d")
		w.expect("bkt", "b=2~*")
		time.Sleep(aDay)
		b, due = w.due("bkt", "")
		if len(due) != 1 {
			t.Fatal(due)
		}
		if _, err := w.buckets.DeleteLifecycle(t.Context(), alice, bucket.DeleteLifecycle{Ref: bucket.Ref{Bucket: "bkt"}}); err != nil {
			t.Fatal(err)
		}
		wants(t, w.do(b, due), "")
		w.lifecycle("bkt", expireIn(9))
		wants(t, w.do(b, due), "")
		w.delete("bkt", "b", "")
		if _, err := w.buckets.Delete(t.Context(), alice, bucket.Delete{Ref: bucket.Ref{Bucket: "bkt"}}); err != nil {
			t.Fatal(err)
		}
		w.bucket("bkt", "")
		if _, err := w.objects.Age(t.Context(), bucket.Ref{Bucket: "bkt"}, b.UID, due, time.Now()); !errors.Is(err, bucket.NoSuchBucket) {
			t.Error("another bucket of that name:", err)
		}
	})
}

// A marker that something came behind, of which the walk knew nothing, stays.
func TestMarkerThatIsNotAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.bucket("bkt", bucket.Enabled)
		w.lifecycle("bkt", loneMarkers())
		w.put(put("bkt", "k", pattern(1)))
		w.delete("bkt", "k", "")
		ctx := t.Context()
		b, err := w.buckets.Find(ctx, bucket.Ref{Bucket: "bkt"})
		if err != nil {
			t.Fatal(err)
		}
		v, err := w.objects.find(ctx, b, "k", "")
		if err != nil {
			t.Fatal(err)
		}
		stale := Due{Key: "k", age: *ageOf(v.record), current: true, found: v}
		stale.age.Alone = true
		wants(t, w.do(b, []Due{stale}), "")
		w.expect("bkt", "k=x* k=1")
	})
}

// A locked version stays for as long as it is, and a marker hides it.
func TestAgingOfLockedVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.locking("bkt", bucket.Compliance, 3)
		w.put(locked("bkt", "k", 1, Lock{}))
		w.lifecycle("bkt", expireIn(1), noncurrentIn(1, 1), bucket.LifecycleRule{NoncurrentExpiration: &bucket.NoncurrentExpiration{Days: 1}}, loneMarkers())
		time.Sleep(aDay)
		wants(t, w.age("bkt"), "expire k")
		time.Sleep(aDay)
		wants(t, w.age("bkt"), "")
		w.expect("bkt", "k=x* k=1")
		time.Sleep(2 * aDay)
		wants(t, w.age("bkt"), "remove k")
		wants(t, w.age("bkt"), "remove-marker k")
		w.expect("bkt", "")
	})
}

// The header's facts: a copy in place is young again, a new encryption or tag changes no
// age, but tags may change the rule.
func TestExpiryOfWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.bucket("bkt", "")
		old := bucket.Tag{Key: "reencrypted-age", Value: "2-bkt"}
		one := expireIn(1)
		one.Filter = &bucket.LifecycleFilter{Tags: []bucket.Tag{old}}
		w.lifecycle("bkt", expireIn(3), one)
		time.Sleep(time.Hour)
		first := Expiry{time.Now().Truncate(aDay).UTC().Add(4 * aDay), "0"}
		if got := w.put(put("bkt", "k", pattern(1))).Expires; got != first {
			t.Errorf("put: %+v, want %+v", got, first)
		}
		is := func(what string, want Expiry) {
			t.Helper()
			_, got := w.get(Get{VersionRef: VersionRef{Ref: ref("bkt", "k")}})
			head, err := w.objects.Head(t.Context(), alice, Get{VersionRef: VersionRef{Ref: ref("bkt", "k")}})
			if err != nil || got.Expires != want || head.Expires != want {
				t.Errorf("%s: %+v and %+v, want %+v, %v", what, got.Expires, head.Expires, want, err)
			}
		}
		time.Sleep(2 * aDay)
		w.update("bkt", "k", w.key())
		is("a new encryption", first)
		if _, err := w.objects.PutTagging(t.Context(), alice, PutTagging{VersionRef: VersionRef{Ref: ref("bkt", "k")}, Tags: []bucket.Tag{old}}); err != nil {
			t.Fatal(err)
		}
		is("tags", Expiry{first.Time.Add(-2 * aDay), "1"})
		copied, err := w.objects.Copy(t.Context(), alice, Copy{
			Ref: ref("bkt", "k"), Source: Source{VersionRef: VersionRef{Ref: ref("bkt", "k")}}, ReplaceHeaders: true, ReplaceTags: true,
		})
		if again := (Expiry{first.Time.Add(2 * aDay), "0"}); err != nil || copied.Expires != again {
			t.Errorf("copy: %+v, want %+v, %v", copied.Expires, again, err)
		}
		_, byID := w.get(Get{VersionRef: VersionRef{Ref: ref("bkt", "k"), VersionID: Null}})
		if byID.Expires != (Expiry{}) {
			t.Errorf("by its id: %+v", byID.Expires)
		}
	})
}

// Who asks for events is told of what rules do, in the same commits.
func TestAgingIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, n := newTold(t, bucket.Enabled)
		for range 2 {
			w.put(put("bkt", "k", pattern(1)))
		}
		w.put(put("bkt", "moved", pattern(200<<10)))
		n.take()
		one := transitionIn(1, "GLACIER_IR")
		one.Filter = &bucket.LifecycleFilter{Prefix: &[]string{"m"}[0]}
		w.lifecycle("bkt", one, expireIn(1), noncurrentIn(1, 1), bucket.LifecycleRule{NoncurrentExpiration: &bucket.NoncurrentExpiration{Days: 1}})
		time.Sleep(2 * aDay)
		wants(t, w.age("bkt"), "expire k, remove k, transition moved GLACIER_IR")
		if c := n.changes[0]; !c.Marker || c.By.Type != iam.AWSService || c.By.PrincipalID != "s3.amazonaws.com" {
			t.Errorf("%+v", c)
		}
		if c := n.changes[2]; c.Class != "GLACIER_IR" || c.Size != 200<<10 {
			t.Errorf("%+v", c)
		}
		want := []string{"LifecycleExpiration:DeleteMarkerCreated k", "LifecycleExpiration:Delete k", "LifecycleTransition moved"}
		if got := n.take(); !slices.Equal(got, want) {
			t.Errorf("told\n%q, want\n%q", got, want)
		}
		w.bucket("plain", "")
		w.notified("plain")
		w.put(put("plain", "k", pattern(1)))
		n.take()
		w.lifecycle("plain", expireIn(1))
		time.Sleep(2 * aDay)
		wants(t, w.age("plain"), "expire k")
		if got := n.take(); !slices.Equal(got, []string{"LifecycleExpiration:Delete k"}) {
			t.Errorf("told %q", got)
		}
	})
}

// A marker under suspended versioning takes the place of the null version, also of one that
// is due itself: it goes once.
func TestAgingOfANullVersionThatIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.bucket("bkt", "")
		w.put(put("bkt", "k", pattern(1)))
		w.versioning("bkt", bucket.Enabled)
		w.put(put("bkt", "k", pattern(2)))
		w.put(put("bkt", "k", pattern(3)))
		w.versioning("bkt", bucket.Suspended)
		w.lifecycle("bkt", expireIn(1), bucket.LifecycleRule{NoncurrentExpiration: &bucket.NoncurrentExpiration{Days: 1}})
		time.Sleep(2 * aDay)
		wants(t, w.age("bkt"), "expire k, remove k")
		w.expect("bkt", "k=x~* k=3")
		time.Sleep(aDay)
		wants(t, w.age("bkt"), "remove k")
		wants(t, w.age("bkt"), "remove-marker k")
		w.expect("bkt", "")
		if n := w.removed(); n != 3 {
			t.Errorf("%d streams are to be removed, want 3", n)
		}
	})
}

// removed counts the streams that are to be removed.
func (w *world) removed() int {
	w.t.Helper()
	page, err := w.rows.Scan(w.t.Context(), meta.Range{Start: []byte("x/"), End: meta.PrefixEnd([]byte("x/"))})
	if err != nil {
		w.t.Fatal(err)
	}
	return len(page.Items)
}
