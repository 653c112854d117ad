// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// locking makes a bucket with Object Lock; days is its default retention in that mode.
func (w *world) locking(name string, mode bucket.RetentionMode, days int) {
	w.t.Helper()
	if _, err := w.buckets.Create(w.t.Context(), alice, bucket.Create{Bucket: name, ObjectLock: true}); err != nil {
		w.t.Fatal(err)
	}
	if days == 0 {
		return
	}
	in := bucket.PutObjectLock{Ref: bucket.Ref{Bucket: name}, Rule: true, Mode: mode, Days: &days}
	if _, err := w.buckets.PutObjectLock(w.t.Context(), alice, in); err != nil {
		w.t.Fatal(err)
	}
}

// locked is put with a digest and a lock.
func locked(b, key string, n int, l Lock) Put {
	in := put(b, key, pattern(n))
	in.Lock = l
	in.Expect.Value = func() ([]byte, error) { return nil, nil }
	return in
}

func (w *world) remove(b, key, version string, bypass Bypass) error {
	_, err := w.objects.Delete(w.t.Context(), alice, Delete{
		VersionRef: VersionRef{ref(b, key), version}, BypassRetention: BypassRetention{bypass != nil, bypass},
	})
	return err
}

func (w *world) retain(b, key, version string, mode bucket.RetentionMode, until time.Time, bypass Bypass) error {
	_, err := w.objects.PutRetention(w.t.Context(), alice, PutRetention{VersionRef{ref(b, key), version}, mode, until, bypass})
	return err
}

func (w *world) hold(b, key, version string, to LegalHold) {
	w.t.Helper()
	if _, err := w.objects.PutLegalHold(w.t.Context(), alice, PutLegalHold{VersionRef{ref(b, key), version}, to}); err != nil {
		w.t.Fatal(err)
	}
}

func may(context.Context, VersionRef) error { return nil }

var errMayNot = fault.New(iam.AccessDenied, "may not bypass")

func mayNot(context.Context, VersionRef) error { return errMayNot }

func TestWhoRemovesALockedVersion(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		what   string
		lock   Lock
		after  time.Duration
		bypass Bypass
		want   error
	}{
		{"without a lock", Lock{}, 0, nil, nil},
		{"governance", Lock{Mode: bucket.Governance}, 0, nil, Locked},
		{"governance, to the end", Lock{Mode: bucket.Governance}, day - time.Millisecond, nil, Locked},
		{"governance, ended", Lock{Mode: bucket.Governance}, day, nil, nil},
		{"governance, bypassed", Lock{Mode: bucket.Governance}, 0, may, nil},
		{"governance, who may not bypass it", Lock{Mode: bucket.Governance}, 0, mayNot, errMayNot},
		{"governance, ended, who need not bypass it", Lock{Mode: bucket.Governance}, day, mayNot, nil},
		{"compliance", Lock{Mode: bucket.Compliance}, 0, nil, Locked},
		{"compliance, bypassed", Lock{Mode: bucket.Compliance}, day - 1, may, Locked},
		{"compliance, ended", Lock{Mode: bucket.Compliance}, day, nil, nil},
		{"legal hold", Lock{Hold: HoldOn}, 10000 * day, nil, Locked},
		{"legal hold, bypassed", Lock{Hold: HoldOn}, 0, may, Locked},
		{"legal hold and governance, bypassed", Lock{Mode: bucket.Governance, Hold: HoldOn}, 0, may, Locked},
		{"no legal hold", Lock{Hold: HoldOff}, 0, mayNot, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, Config{})
				w.locking("bkt", "", 0)
				if c.lock.Mode != "" {
					c.lock.Until = time.Now().Add(day)
				}
				v := w.put(locked("bkt", "k", 1, c.lock)).VersionID
				w.put(put("bkt", "k", pattern(2)))     // is in nobody's way
				marker := w.delete("bkt", "k", "")     // nor is a marker
				w.delete("bkt", "k", marker.VersionID) // which can go
				time.Sleep(c.after)
				b, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "bkt"})
				if err != nil {
					t.Fatal(err)
				}
				found, err := w.objects.find(t.Context(), b, "k", v)
				if err != nil {
					t.Fatal(err)
				}
				locked := c.lock.Hold == HoldOn || c.lock.Mode != "" && c.after < day
				if w.objects.protected(found.record) != locked {
					t.Errorf("protected: %t, want %t", !locked, locked)
				}
				err = w.remove("bkt", "k", v, c.bypass)
				if !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if _, stays := w.objects.Tagging(t.Context(), alice, GetTagging{VersionRef{ref("bkt", "k"), v}}); (stays == nil) != (err != nil) {
					t.Errorf("removed with %v, and then %v", err, stays)
				}
			})
		})
	}
}

func TestWhatBecomesOfARetention(t *testing.T) {
	const gov, comp = bucket.Governance, bucket.Compliance
	for _, c := range []struct {
		what     string
		was, to  bucket.RetentionMode
		days     int // from now on; it was ten
		after    int // days
		bypass   Bypass
		want     error
		newRefus bool
	}{
		{what: "the first", to: comp, days: 1},
		{what: "none, where there is none"},
		{what: "governance longer", was: gov, to: gov, days: 11},
		{what: "governance the same", was: gov, to: gov, days: 10},
		{what: "governance shorter", was: gov, to: gov, days: 9, want: Locked},
		{what: "governance shorter, bypassed", was: gov, to: gov, days: 9, bypass: may},
		{what: "governance shorter, who may not", was: gov, to: gov, days: 9, bypass: mayNot, want: errMayNot},
		{what: "governance removed", was: gov, want: Locked},
		{what: "governance removed, bypassed", was: gov, bypass: may},
		{what: "governance to compliance", was: gov, to: comp, days: 11, want: Locked},
		{what: "governance to compliance, bypassed", was: gov, to: comp, days: 1, bypass: may},
		{what: "compliance longer", was: comp, to: comp, days: 11},
		{what: "compliance the same", was: comp, to: comp, days: 10},
		{what: "compliance shorter, bypassed", was: comp, to: comp, days: 9, bypass: may, want: Locked},
		{what: "compliance removed, bypassed", was: comp, bypass: may, want: Locked},
		{what: "compliance to governance, bypassed", was: comp, to: gov, days: 20, bypass: may, want: Locked},
		{what: "compliance that has ended, removed", was: comp, after: 10},
		{what: "compliance that has ended, to governance", was: comp, to: gov, days: 1, after: 10},
		{what: "ending in the past", to: gov, days: -1, want: RetentionPast},
		{what: "ending now", to: gov, want: RetentionPast},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, Config{})
				w.locking("bkt", "", 0)
				v := w.put(put("bkt", "k", pattern(1))).VersionID
				w.put(put("bkt", "k", pattern(2)))
				at := func(days int) time.Time { return time.Now().Add(time.Duration(days) * 24 * time.Hour) }
				before := Lock{}
				if c.was != "" {
					before = Lock{Mode: c.was, Until: at(10).UTC()}
					if err := w.retain("bkt", "k", v, c.was, before.Until, nil); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Duration(c.after) * 24 * time.Hour)
				to := Lock{}
				if c.to != "" {
					to = Lock{Mode: c.to, Until: at(c.days).UTC()}
				}
				err := w.retain("bkt", "k", v, c.to, to.Until, c.bypass)
				if !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if err != nil {
					to = before
				}
				got, err := w.objects.GetRetention(t.Context(), alice, GetRetention{VersionRef{ref("bkt", "k"), v}})
				if to.Mode == "" {
					want(t, err, NoLock)
				} else if got.Mode != to.Mode || !got.Until.Equal(to.Until) {
					t.Errorf("it is %+v, %v; want %+v", got, err, to)
				}
			})
		})
	}
}

func TestLegalHolds(t *testing.T) {
	w := newWorld(t, Config{})
	w.locking("bkt", bucket.Compliance, 1)
	v := w.put(locked("bkt", "k", 1, Lock{})).VersionID
	which := VersionRef{ref("bkt", "k"), v}
	_, err := w.objects.GetLegalHold(t.Context(), alice, GetLegalHold{which})
	want(t, err, NoLock)
	for _, to := range []LegalHold{HoldOn, HoldOff} {
		w.hold("bkt", "k", v, to)
		l, err := w.objects.GetLegalHold(t.Context(), alice, GetLegalHold{which})
		if err != nil || l.Hold != to || l.Mode != bucket.Compliance {
			t.Errorf("%s: %+v, %v", to, l, err)
		}
		if _, o := w.get(read("bkt", "k", v)); o.Lock != l {
			t.Errorf("%s: read with %+v, want %+v", to, o.Lock, l)
		}
	}
	marker := w.delete("bkt", "k", "")
	_, err = w.objects.PutLegalHold(t.Context(), alice, PutLegalHold{VersionRef{ref("bkt", "k"), marker.VersionID}, HoldOn})
	want(t, err, DeleteMarker)
	_, err = w.objects.GetRetention(t.Context(), alice, GetRetention{VersionRef{ref("bkt", "k"), marker.VersionID}})
	want(t, err, DeleteMarker)
	_, err = w.objects.PutLegalHold(t.Context(), alice, PutLegalHold{VersionRef{ref("bkt", "other"), ""}, HoldOn})
	want(t, err, NoSuchKey)
	w.bucket("plain", "")
	w.put(put("plain", "k", nil))
	_, err = w.objects.PutLegalHold(t.Context(), alice, PutLegalHold{VersionRef{ref("plain", "k"), ""}, HoldOn})
	want(t, err, LockNotEnabled)
	want(t, w.retain("plain", "k", "", bucket.Governance, time.Now().Add(time.Hour), nil), LockNotEnabled)
	want(t, w.remove("plain", "k", "", may), BypassNotApplicable)
	_, err = w.objects.DeleteMany(t.Context(), alice, DeleteMany{Ref: bucket.Ref{Bucket: "plain"}, BypassRetention: BypassRetention{Asked: true}})
	want(t, err, BypassNotApplicable)
}

// However a version comes to be, it has the lock that was asked for or else the bucket's
// default.
func TestTheLockOfNewVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, filed)
		w.locking("bkt", bucket.Governance, 3)
		asked := Lock{Mode: bucket.Compliance, Until: time.Now().Add(time.Hour).UTC(), Hold: HoldOn}
		def := func() Lock { return Lock{Mode: bucket.Governance, Until: time.Now().AddDate(0, 0, 3).UTC()} }
		check := func(what, key string, want Lock) {
			t.Helper()
			if _, o := w.get(read("bkt", key, "")); o.Lock != want {
				t.Errorf("%s: %+v, want %+v", what, o.Lock, want)
			}
		}
		w.put(locked("bkt", "default", 1, Lock{}))
		check("default", "default", def())
		w.put(locked("bkt", "asked", 1, asked))
		check("asked", "asked", asked)
		w.put(locked("bkt", "held", 1, Lock{Hold: HoldOff}))
		check("default and hold", "held", Lock{def().Mode, def().Until, HoldOff})

		for _, lock := range []Lock{{}, asked} {
			if _, err := w.objects.Copy(t.Context(), alice, Copy{
				Ref: ref("bkt", "copy"), Attributes: Attributes{Lock: lock}, Source: Source{VersionRef: VersionRef{ref("bkt", "held"), ""}},
			}); err != nil {
				t.Fatal(err)
			}
			want := lock
			if lock.Mode == "" {
				want = def()
			}
			check("copy", "copy", want)
		}
		for _, lock := range []Lock{{}, {Hold: HoldOn}, asked} {
			up := w.begin(CreateUpload{Ref: ref("bkt", "multi"), Attributes: Attributes{Lock: lock}})
			in := UploadPart{UploadRef: up, Number: 1, Body: put("", "", pattern(3)).Body, Size: 3}
			_, err := w.objects.UploadPart(t.Context(), alice, in)
			if !errors.Is(err, LockNeedsDigest) {
				t.Errorf("part without a digest: %v", err)
			}
			in.Expect.Value = func() ([]byte, error) { return nil, nil }
			part, err := w.objects.UploadPart(t.Context(), alice, in)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if _, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{{Number: 1, ETag: part.ETag}}}); err != nil {
				t.Fatal(err)
			}
			want := lock
			if lock.Mode == "" {
				want.Mode, want.Until = def().Mode, def().Until
			}
			check("upload", "multi", want)
		}
		marker := w.delete("bkt", "held", "")
		if err := w.remove("bkt", "held", marker.VersionID, nil); err != nil {
			t.Errorf("a marker has a lock: %v", err)
		}
	})
}

func TestLocksThatNewVersionsCannotHave(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("plain", bucket.Enabled)
	w.locking("bkt", "", 0)
	w.locking("default", bucket.Governance, 1)
	future := Lock{Mode: bucket.Governance, Until: time.Now().Add(time.Hour)}
	past := Lock{Mode: bucket.Governance, Until: time.Now().Add(-time.Hour)}
	for _, c := range []struct {
		bucket string
		lock   Lock
		want   error
	}{
		{"plain", future, LockNotEnabled}, {"plain", past, RetentionPast}, {"plain", Lock{Hold: HoldOff}, LockNotEnabled},
		{"bkt", past, RetentionPast}, {"bkt", future, LockNeedsDigest}, {"bkt", Lock{Hold: HoldOn}, LockNeedsDigest}, {"bkt", Lock{}, nil},
		{"default", Lock{}, LockNeedsDigest},
	} {
		in := put(c.bucket, "k", pattern(1))
		in.Lock = c.lock
		if _, err := w.objects.Put(t.Context(), alice, in); !errors.Is(err, c.want) {
			t.Errorf("put into %s with %+v: %v, want %v", c.bucket, c.lock, err, c.want)
		}
		if c.want == LockNeedsDigest || c.want == nil {
			continue
		}
		if _, err := w.objects.CreateUpload(t.Context(), alice, CreateUpload{Ref: in.Ref, Attributes: in.Attributes}); !errors.Is(err, c.want) {
			t.Errorf("upload to %s with %+v: %v, want %v", c.bucket, c.lock, err, c.want)
		}
		if _, err := w.objects.Copy(t.Context(), alice, Copy{Ref: in.Ref, Attributes: in.Attributes}); !errors.Is(err, c.want) {
			t.Errorf("copy into %s with %+v: %v, want %v", c.bucket, c.lock, err, c.want)
		}
	}
	service := iam.Caller{Principal: iam.Principal{Type: iam.AWSService, ARN: "delivery"}, Secure: true, SigV4: true}
	if _, err := w.objects.Put(t.Context(), service, put("default", "log", pattern(1))); err != nil {
		t.Errorf("a service's delivery: %v", err)
	}
}

// Setting the clock of the host, forwards or back, makes no retention shorter.
func TestAClockThatIsSet(t *testing.T) {
	for _, set := range []time.Duration{-1000 * time.Hour, 1000 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, Config{})
			w.locking("bkt", bucket.Compliance, 1)
			v := w.put(locked("bkt", "k", 1, Lock{})).VersionID
			w.objects.clock.said = w.objects.clock.said.Add(-set) // as if the clock had been set since
			want(t, w.remove("bkt", "k", v, nil), Locked)
			later := w.put(locked("bkt", "k", 2, Lock{}))
			_, o := w.get(read("bkt", "k", later.VersionID))
			if least := time.Now().Add(24*time.Hour + max(0, -set)); o.Lock.Until.Before(least) {
				t.Errorf("a clock set by %v: retained until %v, want %v or later", set, o.Lock.Until, least)
			}
			time.Sleep(24 * time.Hour)
			if err := w.remove("bkt", "k", v, nil); (err == nil) != (set < 0) {
				t.Errorf("a clock set by %v, a day after: %v", set, err)
			}
		})
	}
}

func TestLockedEncryptionStays(t *testing.T) {
	w := newWorld(t, Config{})
	w.locking("bkt", "", 0)
	v := w.put(put("bkt", "k", pattern(1))).VersionID
	update := func() error {
		_, err := w.objects.UpdateEncryption(t.Context(), alice, UpdateEncryption{VersionRef: VersionRef{ref("bkt", "k"), v}, KeyARN: w.key()})
		return err
	}
	w.hold("bkt", "k", v, HoldOn)
	want(t, update(), Locked)
	w.hold("bkt", "k", v, HoldOff)
	if err := update(); err != nil {
		t.Error(err)
	}
	// The hold comes while the key is asked for.
	w.trail.meanwhile = func() { w.hold("bkt", "k", v, HoldOn) }
	want(t, update(), Locked)
	w.hold("bkt", "k", v, HoldOff)
	if err := w.retain("bkt", "k", v, bucket.Governance, time.Now().Add(time.Hour), nil); err != nil {
		t.Fatal(err)
	}
	want(t, update(), Locked)
}

// A null version of a bucket that got its lock later is protected as others are.
func TestLockOfANullVersion(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("bkt", "")
	w.put(put("bkt", "k", pattern(1)))
	w.put(put("bkt", "alone", pattern(1)))
	enable := func() error {
		_, err := w.buckets.PutObjectLock(t.Context(), alice, bucket.PutObjectLock{Ref: bucket.Ref{Bucket: "bkt"}})
		return err
	}
	want(t, enable(), bucket.LockNeedsVersioning)
	w.versioning("bkt", bucket.Suspended)
	want(t, enable(), bucket.LockNeedsVersioning)
	w.versioning("bkt", bucket.Enabled)
	if err := enable(); err != nil {
		t.Fatal(err)
	}
	_, err := w.buckets.PutVersioning(t.Context(), alice, bucket.PutVersioning{Ref: bucket.Ref{Bucket: "bkt"}, Status: bucket.Suspended})
	want(t, err, bucket.VersioningLocked)
	w.hold("bkt", "k", Null, HoldOn)
	w.hold("bkt", "alone", "", HoldOn)
	w.put(put("bkt", "k", pattern(2)))
	want(t, w.remove("bkt", "k", Null, nil), Locked)
	_, err = w.buckets.Delete(t.Context(), alice, bucket.Delete{Ref: bucket.Ref{Bucket: "bkt"}})
	want(t, err, bucket.NotEmpty)

	// Even if versioning were suspended, by whatever means, the lock would count.
	b, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "bkt"})
	if err != nil {
		t.Fatal(err)
	}
	for _, versioning := range []string{"", bucket.Suspended} {
		forced := *b
		forced.Versioning = versioning
		for _, key := range []string{"k", "alone"} {
			r := newRecord(&forced, key, granting{owner: account}, Attributes{})
			want(t, w.objects.placeOnce(t.Context(), &forced, r, placing{}), Locked)
		}
		_, err = w.objects.deleteOnly(t.Context(), alice, &forced, Delete{VersionRef: VersionRef{ref("bkt", "alone"), ""}})
		want(t, err, Locked)
		_, err = w.objects.hide(t.Context(), alice, &forced, Delete{VersionRef: VersionRef{ref("bkt", "k"), ""}})
		want(t, err, Locked)
	}
}

// Lifecycle rules hide what is locked, and remove it when its lock lets it go.
func TestRulesKeepWhatIsLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		w.locking("bkt", bucket.Governance, 5)
		w.lifecycle("bkt", expireIn(1), bucket.LifecycleRule{NoncurrentExpiration: &bucket.NoncurrentExpiration{Days: 1}}, loneMarkers())
		v := w.put(locked("bkt", "k", 1, Lock{})).VersionID
		w.hold("bkt", "k", v, HoldOn)
		for i, step := range []struct {
			days int
			lift bool
			want string
		}{
			{days: 2, want: "expire k"}, {days: 2}, {days: 5}, {lift: true, want: "remove k"}, {want: "remove-marker k"},
		} {
			time.Sleep(time.Duration(step.days) * 24 * time.Hour)
			if step.lift {
				w.hold("bkt", "k", v, HoldOff)
			}
			if got := w.age("bkt"); got != step.want {
				t.Errorf("step %d: done %q, want %q", i, got, step.want)
			}
		}
	})
}

func TestLocksInRows(t *testing.T) {
	for _, l := range []Lock{
		{Hold: HoldOff}, {Hold: HoldOn}, {Mode: bucket.Governance, Until: time.UnixMilli(1234).UTC()},
		{Mode: bucket.Compliance, Until: time.UnixMilli(4102444800000).UTC(), Hold: HoldOn},
	} {
		r, err := decodeRecord((&record{Key: "k", Lock: l}).encode())
		if err != nil || r.Lock != l {
			t.Errorf("%+v is read back as %+v, %v", l, r, err)
		}
		u, err := decodeUpload((&upload{Key: "k", Lock: l}).encode())
		if err != nil || u.Lock != l {
			t.Errorf("%+v of an upload is read back as %+v, %v", l, u, err)
		}
	}
	if with, without := len((&record{Lock: Lock{Hold: HoldOn}}).encode()), len((&record{}).encode()); with != without+5+lockSize {
		t.Errorf("a lock takes %d bytes, and none %d", with, without)
	}
	golden := "\x02\x00\x00\x03\xbb\x2c\xc3\xd8\x00\x02"
	if got := (Lock{Mode: bucket.Compliance, Until: time.UnixMilli(4102444800000), Hold: HoldOn}).encode(); string(got) != golden {
		t.Errorf("a lock is written %x, want %x", got, golden)
	}
	for _, damaged := range []string{"", golden[:9], golden + "\x00", "\x03" + golden[1:], golden[:9] + "\x03", "\x00" + golden[1:], "\x01\xff" + golden[2:], "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		_, err := decodeRecord(appendField((&record{Key: "k"}).encode(), tagLock, []byte(damaged)))
		want(t, err, meta.Damaged)
	}
}
