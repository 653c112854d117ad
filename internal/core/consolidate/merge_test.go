// SPDX-License-Identifier: Apache-2.0

package consolidate

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// days lets days pass with writes of each sort.
func (w *world) days(n int, keyARN string) {
	w.t.Helper()
	for d := range n {
		_, err := w.buckets.SetLegacy(w.t.Context(), photos, d%2 == 1)
		w.must(err)
		w.put(alice, name(d, 0), underBucketKey(keyARN))
		w.put(alice, name(d, 1), sse.Request{})                                   // SSE-S3, every other day reported as not encrypted
		w.put(alice, name(d, 2), sse.Request{Algorithm: sse.DSSE, KeyID: keyARN}) // in two layers
		w.put(alice, name(d, 3), sse.Request{Algorithm: sse.KMS, KeyID: keyARN})  // a key of its own
		w.put(alice, "always", underBucketKey(keyARN))                            // a version a day
		w.multipart(name(d, 4), underBucketKey(keyARN))
		w.multipart(name(d, 5), sse.Request{Algorithm: sse.DSSE, KeyID: keyARN})
		time.Sleep(26*time.Hour + 30*time.Minute)
	}
	time.Sleep(3 * time.Hour)
}

func (w *world) multipart(key string, how sse.Request) {
	w.t.Helper()
	up := w.begin(key, how)
	w.complete(up, w.part(up, key))
}

func (w *world) begin(key string, how sse.Request) object.UploadRef {
	w.t.Helper()
	up, err := w.objects.CreateUpload(w.t.Context(), alice, object.CreateUpload{Ref: ref(key), Attributes: object.Attributes{SSE: how}})
	w.must(err)
	return object.UploadRef{Ref: ref(key), UploadID: up.UploadID}
}

func (w *world) part(up object.UploadRef, data string) object.CompletePart {
	w.t.Helper()
	p, err := w.objects.UploadPart(w.t.Context(), alice, object.UploadPart{UploadRef: up, Number: 1, Body: strings.NewReader(data), Size: int64(len(data))})
	w.must(err)
	w.stored[up.Key+"@"] = []byte(data)
	return object.CompletePart{Number: 1, ETag: p.ETag}
}

func (w *world) complete(up object.UploadRef, p object.CompletePart) {
	w.t.Helper()
	_, err := w.objects.Complete(w.t.Context(), alice, object.Complete{UploadRef: up, Parts: []object.CompletePart{p}, Size: -1})
	w.must(err)
}

func TestMerging(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.bucket(bucket.Enabled)
		k := w.key()
		w.days(9, k)
		before := w.generations()
		direct, _ := w.objects.Head(t.Context(), alice, object.Get{VersionRef: object.VersionRef{Ref: ref(name(0, 3))}})
		w.done(w.consolidate())
		w.readable("after the merge")
		after := w.generations()
		for arn, n := range before {
			if want := n - bucketkey.Fan + 1; n != 9 || after[arn] != want {
				t.Errorf("%d generations under %s became %d, want %d", n, arn, after[arn], want)
			}
		}
		now, _ := w.objects.Head(t.Context(), alice, object.Get{VersionRef: object.VersionRef{Ref: ref(name(0, 3))}})
		if direct.SSE != now.SSE {
			t.Errorf("an object with a key of its own was touched: %+v, %+v", direct.SSE, now.SSE)
		}
		for d, want := range []string{sse.AES256, sse.NotSSE} {
			if _, a, err := get(t.Context(), w.objects, alice, name(d, 1), ""); a.Algorithm != want {
				t.Errorf("an object of day %d is %s, want %s, %v", d, a.Algorithm, want, err)
			}
		}
		// Both keys: an event for each of the 8 pairs, and one for each end.
		for event, want := range map[string]int{"MergeBucketKeyGeneration": 16, "DeleteBucketKeyGeneration": 16, "CreateBucketKeyGeneration": 2} {
			if got := w.trail.count(named(event)); got != want {
				t.Errorf("%d %s events, want %d", got, event, want)
			}
		}
		pair := w.trail.last(named("MergeBucketKeyGeneration"))
		if pair.EventType != audit.TypeServiceEvent || pair.UserIdentity.InvokedBy != "AWS Internal" || pair.RecipientAccountID != account {
			t.Errorf("%+v", pair)
		}
		var details map[string]string
		w.must(json.Unmarshal(pair.ServiceEventDetails, &details))
		if details["cofferGeneration"] == "" || details["cofferNewGeneration"] == "" || details["bucketArn"] != "arn:aws:s3:::photos" {
			t.Errorf("%v", details)
		}
		// Nothing is left to do.
		commits := w.rows.commits
		if n, err := w.c.Sweep(t.Context()); n != 0 || err != nil || w.rows.commits != commits {
			t.Errorf("%d buckets are due after the merge, %v", n, err)
		}
	})
}

func TestUploadsHoldTheirGeneration(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.bucket("")
		k := w.key()
		up := w.begin("upload", underBucketKey(k))
		p := w.part(up, "of the first day")
		delete(w.stored, "upload@")
		w.days(9, k)
		w.done(w.consolidate())
		if n := w.generations()[k]; n != 2 {
			t.Errorf("%d generations, want the upload's and one", n)
		}
		w.complete(up, p)
		w.stored["upload@"] = []byte("of the first day")
		w.readable("after the upload")
	})
}

func TestEmptyGenerationsGo(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.bucket("")
		k := w.key()
		for d := range 3 {
			w.put(alice, name(d, 0), underBucketKey(k))
			time.Sleep(27 * time.Hour)
		}
		_, err := w.objects.Delete(t.Context(), alice, object.Delete{VersionRef: object.VersionRef{Ref: ref(name(1, 0))}})
		w.must(err)
		delete(w.stored, name(1, 0)+"@")
		w.done(w.consolidate())
		if n := w.generations()[k]; n != 2 {
			t.Errorf("%d generations, want 2", n)
		}
		w.readable("after the deletion")
	})
}

func TestWhatStopsIt(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.bucket("")
		k := w.key()
		w.days(9, k)
		// Its setting.
		w.must(w.buckets.SetConsolidation(t.Context(), photos, false))
		if n, err := w.c.Sweep(t.Context()); n != 0 || err != nil {
			t.Errorf("%d, %v: a bucket that is off", n, err)
		}
		if _, err := w.c.Start(t.Context(), photos); err == nil {
			t.Error("a bucket that is off was begun")
		}
		w.must(w.buckets.SetConsolidation(t.Context(), photos, true))
		// A disabled key: SSE-S3 goes on.
		_, err := w.kms.DisableKey(t.Context(), alice, kms.KeyOnly{KeyId: k})
		w.must(err)
		n, err := w.c.Sweep(t.Context())
		if n != 1 || err != nil {
			t.Errorf("%d, %v: a bucket that is due", n, err)
		}
		w.done(w.work())
		if n := w.generations()[k]; n != 9 {
			t.Errorf("%d generations under a disabled key, want 9", n)
		}
		if n := w.trail.count(func(r audit.Record) bool { return r.EventType == audit.TypeServiceEvent && r.ErrorCode != "" }); n != 0 {
			t.Errorf("%d refused uses of a disabled key", n)
		}
		_, err = w.kms.EnableKey(t.Context(), alice, kms.KeyOnly{KeyId: k})
		w.must(err)
		// The key's policy.
		policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + alice.Account + `"},"Action":"kms:*","Resource":"*"}`
		put := func(text string) {
			_, err := w.kms.PutKeyPolicy(t.Context(), alice, kms.PutKeyPolicy{KeyId: k, Policy: policy + text + `]}`})
			w.must(err)
		}
		put(`,{"Effect":"Deny","Principal":{"Service":"s3.amazonaws.com"},"Action":"kms:Decrypt","Resource":"*"}`)
		w.done(w.consolidate())
		if n := w.generations()[k]; n != 9 {
			t.Errorf("%d generations under a key whose policy denies it, want 9", n)
		}
		w.readable("when the policy denies upkeep")
		put("")
		w.done(w.consolidate())
		if n := w.generations()[k]; n != 2 {
			t.Errorf("%d generations, want 2", n)
		}
		w.readable("in the end")
	})
}

func TestDisabledHalfWay(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.bucket("")
		k := w.key()
		for d := range 9 {
			for n := range 20 { // more than one commit moves
				w.put(alice, name(d, n), underBucketKey(k))
			}
			time.Sleep(27 * time.Hour)
		}
		disabled := false // after some data keys have moved, and not all
		w.rows.before = func(b *meta.Batch) {
			if bytes.HasPrefix(b.Puts[0].Key, []byte("c/")) {
				w.rows.set(func() { w.rows.before = nil })
				disabled = true
				_, err := w.kms.DisableKey(t.Context(), alice, kms.KeyOnly{KeyId: k})
				w.must(err)
			}
		}
		w.done(w.consolidate())
		_, err := w.kms.EnableKey(t.Context(), alice, kms.KeyOnly{KeyId: k})
		w.must(err)
		w.readable("half way")
		if n, err := w.c.Sweep(t.Context()); n != 1 || err != nil || !disabled {
			t.Fatalf("%d buckets are due, %v", n, err)
		}
		w.done(w.work())
		w.readable("in the end")
		if n := w.generations()[k]; n != 2 {
			t.Errorf("%d generations, want 2", n)
		}
	})
}

func TestRotationReachesOldGenerations(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.bucket("")
		k := w.key()
		for d := range 3 {
			w.put(alice, name(d, 0), underBucketKey(k))
			time.Sleep(27 * time.Hour)
		}
		_, err := w.kms.RotateKeyOnDemand(t.Context(), alice, kms.KeyOnly{KeyId: k})
		w.must(err)
		gen := w.generationOf(name(0, 0))
		n, err := w.c.Sweep(t.Context())
		if n != 1 || err != nil {
			t.Fatalf("%d buckets are due, %v", n, err)
		}
		w.done(w.work())
		entries := w.entries()
		for i := range entries {
			version, current, err := w.c.ledger.Material(t.Context(), &entries[i])
			if version != 2 || !current || err != nil {
				t.Errorf("generation %v is under material %d, %v", entries[i].ID, version, err)
			}
		}
		if w.generationOf(name(0, 0)) != gen || w.trail.count(named("ReEncryptBucketKeyGeneration")) != 3 {
			t.Error("a rotation moved data keys")
		}
		w.readable("after the rotation")
	})
}

// TestSlowWriter commits a write that was wrapped under a generation that was retired
// meanwhile: it must not come to be under it.
func TestSlowWriter(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.bucket("")
		k := w.key()
		w.days(8, k)
		w.put(alice, "now", underBucketKey(k))
		b, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: photos})
		w.must(err)
		entries := w.entries()
		i := len(entries) - 1
		for entries[i].KeyARN != k {
			i--
		}
		live := entries[i]
		first := true
		w.rows.before = func(batch *meta.Batch) {
			for _, p := range batch.Puts {
				if first && bytes.Contains(p.Key, []byte("slow")) {
					first = false
					guard, ver := b.Guard()
					_, err := w.c.ledger.Retire(t.Context(), owned(b), bucketkey.Guard{Row: guard, Ver: ver}, bucketkey.Merge{Sources: []bucketkey.Entry{live}, Empty: true})
					w.must(err)
				}
			}
		}
		w.put(alice, "slow", underBucketKey(k))
		if w.generationOf("slow") == live.ID || first {
			t.Error("a retired generation took a new data key")
		}
		up := w.begin("slow upload", underBucketKey(k))
		w.complete(up, w.part(up, "data"))
		w.readable("after the slow write")
		// It has data keys, and so it is kept.
		w.rows.before = nil
		w.done(w.consolidate())
		w.readable("after consolidation")
		if w.generationOf("now") != live.ID {
			t.Error("a generation that was thought to be empty is gone")
		}
	})
}

func TestStartingTwice(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.bucket("")
		a, err := w.c.Start(t.Context(), photos)
		w.must(err)
		time.Sleep(time.Minute)
		b, err := w.c.Start(t.Context(), photos)
		w.must(err)
		if !a.Created.Equal(b.Created) || b.State != jobs.Queued {
			t.Errorf("%+v, %+v: not one job", a, b)
		}
	})
}
