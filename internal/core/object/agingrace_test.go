// SPDX-License-Identifier: Apache-2.0

package object

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

// A version that was current after the walk read which ones are is as young, among the others,
// as what took its place.
func TestAgingOfWhatWasCurrentMeanwhile(t *testing.T) {
	for _, c := range []struct {
		what      string
		meanwhile func(w *world, newest string)
		done      string
		left      string
	}{
		{"nothing", func(*world, string) {}, "remove k", "k=2*"},
		{"written once", func(w *world, _ string) { w.put(put("bkt", "k", pattern(3))) }, "remove k", "k=3* k=2"},
		{"written twice", func(w *world, _ string) {
			w.put(put("bkt", "k", pattern(3)))
			w.put(put("bkt", "k", pattern(4)))
		}, "remove k", "k=4* k=3 k=2"},
		{"the one before restored, and overwritten", func(w *world, newest string) {
			w.delete("bkt", "k", newest)
			w.put(put("bkt", "k", pattern(3)))
		}, "", "k=3* k=1"},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, Config{})
				w.bucket("bkt", bucket.Enabled)
				w.put(put("bkt", "k", pattern(1)))
				newest := w.put(put("bkt", "k", pattern(2))).VersionID
				w.lifecycle("bkt", bucket.LifecycleRule{NoncurrentExpiration: &bucket.NoncurrentExpiration{Days: 1}})
				time.Sleep(9 * aDay)
				b, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "bkt"})
				if err != nil {
					t.Fatal(err)
				}
				walk, err := w.objects.Aging(t.Context(), b, "", "", time.Now())
				if err == nil {
					err = walk.merge.current.fill(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
				c.meanwhile(w, newest)
				due, _, err := walk.Next(t.Context(), 10)
				if err != nil {
					t.Fatal(err)
				}
				wants(t, w.do(b, due), c.done)
				w.expect("bkt", c.left)
			})
		})
	}
}

// A walk that is gone on with days later hides today what was due then: what it hid stays for as
// long as the rules say.
func TestAgingThatIsGoneOnWithLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.bucket("bkt", bucket.Enabled)
		w.put(put("bkt", "k", pattern(1)))
		w.lifecycle("bkt", expireIn(1), bucket.LifecycleRule{NoncurrentExpiration: &bucket.NoncurrentExpiration{Days: 2}})
		time.Sleep(aDay)
		began := time.Now()
		b, due := w.due("bkt", "")
		time.Sleep(5 * aDay)
		if _, err := w.objects.Age(t.Context(), bucket.Ref{Bucket: "bkt"}, b.UID, due, began); err != nil {
			t.Fatal(err)
		}
		w.expect("bkt", "k=x* k=1")
		wants(t, w.age("bkt"), "")
		time.Sleep(2 * aDay)
		wants(t, w.age("bkt"), "remove k")
	})
}
