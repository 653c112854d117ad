// SPDX-License-Identifier: Apache-2.0

package object

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/authentic"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
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
				walk, err := w.objects.Aging(t.Context(), b, "", "", time.Now(), w.noDamage)
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

// One damaged row must not keep the rules from all that is behind it. What it may be about stays.
func TestAgingGoesOnBehindWhatIsDamaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := metamem.New()
		rows := authentic.Wrap(disk, authentic.Keys{Current: 1, Key: map[uint32]secret.Bytes{1: secret.Random(secret.Size)}})
		w := newWorldOver(t, Config{}, rows)
		w.bucket("bkt", bucket.Enabled)
		for _, key := range []string{"a", "b", "c", "d"} {
			w.put(put("bkt", key, pattern(1)))
			w.put(put("bkt", key, pattern(2)))
		}
		w.begin(CreateUpload{Ref: ref("bkt", "up")})
		days := 1
		w.lifecycle("bkt", expireIn(1), bucket.LifecycleRule{NoncurrentExpiration: &bucket.NoncurrentExpiration{Days: 1}}, bucket.LifecycleRule{AbortDays: &days})
		b, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "bkt"})
		if err != nil {
			t.Fatal(err)
		}
		w.damageRow(currentKey(b.UID, "a"))
		w.damageRow(uploadKey(b.UID, "a", versionID{}))
		it, err := meta.Get1(t.Context(), disk, currentKey(b.UID, "b"))
		if err != nil {
			t.Fatal(err)
		}
		var batch meta.Batch
		batch.Put(it.Key, append(it.Value, 0))
		if _, err := disk.Commit(t.Context(), &batch); err != nil {
			t.Fatal(err)
		}
		time.Sleep(aDay)
		var due []Due
		bad := 0
		damaged := func(err error) {
			if bad++; !errors.Is(err, meta.Damaged) {
				t.Error(err)
			}
		}
		walk, err := w.objects.Aging(t.Context(), b, "", "", time.Now(), damaged)
		if err == nil {
			due, _, err = walk.Next(t.Context(), 100)
		}
		if err != nil {
			t.Fatal(err)
		}
		uploads, _, err := w.objects.AgingUploads(t.Context(), b, "", nil, time.Now(), damaged)
		if err != nil {
			t.Fatal(err)
		}
		wants(t, w.do(b, append(due, uploads...)), "expire c, remove c, expire d, remove d, abort up")
		if bad != 3 {
			t.Errorf("told of %d damaged rows", bad)
		}
	})
}

// noDamage is told of damaged rows where there are none.
func (w *world) noDamage(err error) { w.t.Error(err) }
