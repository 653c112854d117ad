// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
)

func TestWhatIsNotReplicated(t *testing.T) {
	key := func(w *world, p *replicator) Put {
		in := put("src", "k", pattern(10))
		in.SSE = sse.Request{Algorithm: sse.KMS, KeyID: w.key()}
		p.key = w.key()
		return in
	}
	disable := func(w *world, arn string) {
		if _, err := w.kms.DisableKey(w.t.Context(), alice, kms.KeyOnly{KeyId: arn}); err != nil {
			w.t.Fatal(err)
		}
	}
	for reason, setup := range map[string]func(w *world, p *replicator) Put{
		dstKeyState: func(w *world, p *replicator) Put {
			in := key(w, p)
			disable(w, p.key)
			return in
		},
		srcKeyState: func(w *world, p *replicator) Put {
			in := key(w, p)
			p.before = func() { disable(w, in.SSE.KeyID) }
			return in
		},
		dstNoKey: func(w *world, p *replicator) Put {
			in := key(w, p)
			p.key = "arn:aws:kms:us-east-1:" + account + ":key/00000000-0000-4000-8000-000000000000"
			return in
		},
		srcNotEligible: func(w *world, p *replicator) Put {
			in := key(w, p)
			p.key = ""
			return in
		},
		dstNoBucket: func(w *world, p *replicator) Put {
			if _, err := w.buckets.Delete(w.t.Context(), alice, bucket.Delete{Ref: bucket.Ref{Bucket: "dst"}}); err != nil {
				w.t.Fatal(err)
			}
			return put("src", "k", pattern(10))
		},
		dstUnversioned: func(w *world, p *replicator) Put {
			w.versioning("dst", bucket.Suspended)
			return put("src", "k", pattern(10))
		},
		dstNoLock: func(w *world, p *replicator) Put {
			w.lockable("src")
			return put("src", "k", pattern(10))
		},
		dstNotPermitted: func(w *world, p *replicator) Put {
			w.allowCustomerKeys("src")
			in := put("src", "k", pattern(10))
			in.SSE.Customer = customer(1)
			return in
		},
		dstACL: func(w *world, p *replicator) Put {
			for _, name := range []string{"src", "dst"} {
				w.writers(name)
			}
			if _, err := w.buckets.DeletePublicAccess(w.t.Context(), alice, bucket.DeletePublicAccess{Ref: bucket.Ref{Bucket: "src"}}); err != nil {
				w.t.Fatal(err)
			}
			in := put("src", "k", pattern(10))
			in.ACL = acl.Asked{Canned: acl.PublicRead}
			return in
		},
	} {
		t.Run(reason, func(t *testing.T) {
			w, p := newReplicating(t, filed)
			in := setup(w, p)
			w.put(in)
			if failed := p.run(); !slices.Equal(failed, []string{reason}) {
				t.Fatalf("failed for %q", failed)
			}
			get := read("src", "k", "")
			get.Customer = in.SSE.Customer
			if o, err := w.objects.Head(t.Context(), alice, get); err != nil || o.Replication != StatusFailed {
				t.Errorf("%+v, %v", o, err)
			}
			if err := w.consistent(false); err != nil {
				t.Error(err)
			}
			if infos, err := w.blobs.List(t.Context(), blob.Info{}, 10); err != nil || len(infos) != 1 {
				t.Errorf("streams: %v, %v", infos, err)
			}
		})
	}
}

func TestChangesFollowReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		w, p := newReplicating(t, small)
		w.writers("src")
		w.writers("dst")
		w.lockable("src")
		w.lockable("dst")
		stored := w.put(put("src", "k", pattern(10)))
		at := VersionRef{ref("src", "k"), stored.VersionID}
		there := VersionRef{ref("dst", "k"), stored.VersionID}
		tag := func(at VersionRef, value string) {
			t.Helper()
			time.Sleep(time.Millisecond)
			if _, err := w.objects.PutTagging(ctx, alice, PutTagging{VersionRef: at, Tags: []bucket.Tag{{Key: "a", Value: value}}}); err != nil {
				t.Fatal(err)
			}
		}
		tagged := func(at VersionRef, want string) {
			t.Helper()
			got, err := w.objects.Tagging(ctx, alice, GetTagging{at})
			if err != nil || len(got.Tags) != 1 || got.Tags[0].Value != want {
				t.Errorf("%s: %+v, %v; want %s", at.Bucket, got, err, want)
			}
		}
		p.run()
		tag(at, "one")
		w.status("src", "k", "", StatusPending)
		until := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
		if _, err := w.objects.PutACL(ctx, alice, PutACL{VersionRef: at, ACL: acl.Asked{Canned: acl.AuthenticatedRead}}); err == nil {
			t.Error("a public list was taken")
		}
		grants := acl.List{{ID: account, Permission: acl.Read}}
		if _, err := w.objects.PutACL(ctx, alice, PutACL{VersionRef: at, ACL: acl.Asked{Grants: grants}}); err != nil {
			t.Fatal(err)
		}
		if err := w.retain("src", "k", stored.VersionID, bucket.Governance, until, nil); err != nil {
			t.Fatal(err)
		}
		w.hold("src", "k", stored.VersionID, HoldOn)
		var ops []Operation
		for _, task := range p.tasks {
			ops = append(ops, task.Operation)
		}
		if !slices.Equal(ops, []Operation{OpTags, OpACL, OpRetention, OpLegalHold}) {
			t.Errorf("%v", ops)
		}
		w.trail.records = nil
		if failed := p.run(); failed != nil {
			t.Fatal(failed)
		}
		w.status("src", "k", "", StatusCompleted)
		tagged(there, "one")
		_, o := w.get(read("dst", "k", ""))
		if o.Lock != (Lock{bucket.Governance, until, HoldOn}) {
			t.Errorf("%+v", o.Lock)
		}
		list, err := w.objects.GetACL(ctx, alice, GetACL{there})
		if err != nil || !slices.Equal(list.Grants, grants) {
			t.Errorf("%+v, %v", list, err)
		}
		// A replica that is changed itself stays so until the source is changed later, and is not
		// replicated further.
		tag(there, "own")
		if tasks := p.take(); tasks != nil {
			t.Errorf("%+v", tasks)
		}
		w.status("dst", "k", "", StatusReplica)
		tag(at, "two")
		p.run()
		tagged(there, "two")
		// Both ways: the later change counts in both.
		p.both = true
		p.from("dst", "src")
		tag(there, "three")
		w.status("dst", "k", "", StatusPending)
		p.run()
		w.status("dst", "k", "", StatusReplica)
		tagged(at, "three")
		tag(at, "four")
		tag(there, "five")
		p.run()
		tagged(at, "five")
		tagged(there, "five")
		tag(there, "six")
		tag(at, "seven")
		p.run()
		tagged(at, "seven")
		tagged(there, "seven")
		// What is gone there is not made again by a change.
		tag(at, "eight")
		w.hold("dst", "k", stored.VersionID, HoldOff)
		if err := w.remove("dst", "k", stored.VersionID, func(context.Context, VersionRef) error { return nil }); err != nil {
			t.Fatal(err)
		}
		p.tasks = slices.DeleteFunc(p.tasks, func(t task) bool { return t.Bucket.Name == "dst" })
		if failed := p.run(); !slices.Equal(failed, []string{dstNoVersion}) {
			t.Errorf("failed for %q", failed)
		}
		w.status("src", "k", "", StatusFailed)
		tag(at, "nine") // goes nowhere
		if tasks := p.take(); tasks != nil {
			t.Errorf("%+v", tasks)
		}
	})
}

func TestLocksOfReplicasAreNotMadeWeaker(t *testing.T) {
	w := newWorld(t, small)
	now := time.Now().UTC().Truncate(time.Millisecond)
	early, late := now.Add(time.Hour), now.Add(2*time.Hour)
	compliance := func(until time.Time) Lock { return Lock{Mode: bucket.Compliance, Until: until} }
	governance := func(until time.Time) Lock { return Lock{Mode: bucket.Governance, Until: until} }
	for _, c := range []struct {
		name              string
		op                Operation
		later, byDefault  bool
		was, source, want Lock
	}{
		{"nothing", OpTags, true, false, Lock{}, Lock{}, Lock{}},
		{"a new one", OpRetention, true, false, Lock{}, governance(early), governance(early)},
		{"longer, by another", OpTags, true, false, compliance(early), compliance(late), compliance(early)},
		{"longer, in compliance mode", OpRetention, false, false, compliance(early), compliance(late), compliance(late)},
		{"longer", OpRetention, true, false, governance(early), governance(late), governance(late)},
		{"longer, but before", OpRetention, false, false, governance(early), governance(late), governance(early)},
		{"stronger, although before", OpRetention, false, false, governance(early), compliance(late), compliance(late)},
		{"stronger and shorter, but before", OpRetention, false, false, governance(late), compliance(early), governance(late)},
		{"shorter, in compliance mode", OpRetention, true, false, compliance(late), compliance(early), compliance(late)},
		{"shorter", OpRetention, true, false, governance(late), governance(early), governance(early)},
		{"shorter, by another", OpTags, true, false, governance(late), governance(early), governance(late)},
		{"shorter, but before", OpRetention, false, false, governance(late), governance(early), governance(late)},
		{"removed", OpRetention, true, false, governance(late), Lock{}, Lock{}},
		{"removed, but before", OpRetention, false, false, governance(late), Lock{}, governance(late)},
		{"its own, tagged", OpTags, true, false, governance(late), Lock{}, governance(late)},
		{"the bucket's", OpRetention, true, true, governance(late), Lock{}, governance(late)},
		{"none, in compliance mode", OpRetention, true, false, compliance(late), Lock{}, compliance(late)},
		{"a hold beside", OpLegalHold, true, false, compliance(late), Lock{Hold: HoldOn}, Lock{bucket.Compliance, late, HoldOn}},
		{"a retention beside a hold", OpRetention, true, false, Lock{Hold: HoldOn}, governance(late), Lock{bucket.Governance, late, HoldOn}},
		{"a hold, although before", OpLegalHold, false, false, Lock{}, Lock{Hold: HoldOn}, Lock{Hold: HoldOn}},
		{"a hold that was lifted", OpLegalHold, true, false, Lock{Hold: HoldOn}, Lock{Hold: HoldOff}, Lock{Hold: HoldOff}},
		{"a hold, but before it was lifted", OpLegalHold, false, false, Lock{Hold: HoldOff}, Lock{Hold: HoldOn}, Lock{Hold: HoldOff}},
		{"lifted, but before", OpLegalHold, false, false, Lock{Hold: HoldOn}, Lock{Hold: HoldOff}, Lock{Hold: HoldOn}},
		{"a hold of its own, tagged", OpTags, true, false, Lock{Hold: HoldOn}, Lock{Hold: HoldOff}, Lock{Hold: HoldOn}},
	} {
		b := &bucket.Bucket{ObjectLock: new(bucket.ObjectLock)}
		if c.byDefault {
			b.ObjectLock.Mode, b.ObjectLock.Days = bucket.Governance, 1
		}
		if got := w.objects.lockTaken(t.Context(), b, c.was, c.source, c.op.aspect(), c.later); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestSeveralDestinations(t *testing.T) {
	w, p := newReplicating(t, small)
	w.bucket("other", bucket.Enabled)
	p.from("src", "other", "dst")
	w.put(put("src", "k", pattern(10)))
	w.versioning("other", bucket.Suspended)
	tasks := p.take()
	p.tasks = tasks[1:]
	p.run()
	w.status("src", "k", "", StatusPending)
	p.tasks = tasks[:1]
	if failed := p.run(); !slices.Equal(failed, []string{dstUnversioned}) {
		t.Errorf("%v", failed)
	}
	w.status("src", "k", "", StatusFailed)
	if got, _ := w.get(read("dst", "k", "")); len(got) != 10 {
		t.Errorf("%d bytes", len(got))
	}
	// A change goes to where the object is.
	if _, err := w.objects.PutTagging(t.Context(), alice, PutTagging{VersionRef: VersionRef{Ref: ref("src", "k")}, Tags: []bucket.Tag{{Key: "a", Value: "b"}}}); err != nil {
		t.Fatal(err)
	}
	if tasks := p.take(); len(tasks) != 1 || tasks[0].to != "dst" {
		t.Errorf("%+v", tasks)
	}
}

func TestNothingIsPlannedWithoutAConfiguration(t *testing.T) {
	w, p := newReplicating(t, small)
	w.put(put("dst", "k", nil))
	w.delete("dst", "k", "")
	if p.planned != 0 {
		t.Errorf("asked %d times", p.planned)
	}
	w.status("dst", "k", w.put(put("dst", "k", nil)).VersionID, "")
	p.refuse = errors.New("no plan")
	_, err := w.objects.Put(t.Context(), alice, put("src", "k", nil))
	want(t, err, p.refuse)
	want(t, w.getErr(read("src", "k", "")), NoSuchKey)
}

func TestSourcesThatAreGone(t *testing.T) {
	w, p := newReplicating(t, small)
	stored := w.put(put("src", "k", pattern(10)))
	w.delete("src", "k", stored.VersionID)
	tasks := p.take()
	_, err := p.replicate(tasks[0])
	want(t, err, ErrSourceGone)
	done := func() bool {
		t.Helper()
		if err := p.note(tasks[0], Replica{}, ReplicaCompleted); err != nil {
			t.Fatal(err)
		}
		item, err := meta.Get1(t.Context(), w.rows, []byte("planned/"+stored.VersionID))
		return err == nil && item.Ver == 0
	}
	if !done() {
		t.Error("the task stayed")
	}
	if _, err := w.buckets.Delete(t.Context(), alice, bucket.Delete{Ref: bucket.Ref{Bucket: "src"}}); err != nil {
		t.Fatal(err)
	}
	_, err = p.replicate(tasks[0])
	want(t, err, ErrSourceGone)
	if !done() {
		t.Error("the task stayed")
	}
	w.bucket("src", bucket.Enabled) // another one
	_, err = p.replicate(tasks[0])
	want(t, err, ErrSourceGone)
}

func TestLifecycleLeavesWhatIsPending(t *testing.T) {
	w, p := newReplicating(t, small)
	days := 1
	w.lifecycle("src", bucket.LifecycleRule{Expiration: &bucket.LifecycleExpiration{Days: &days}})
	w.put(put("src", "k", pattern(10)))
	w.change(currentKey(w.uid("src"), "k"), func(r *record) { r.Created -= 3 * 24 * time.Hour.Milliseconds() })
	if got := w.age("src"); got != "" {
		t.Errorf("done: %s", got)
	}
	if err := p.note(p.take()[0], Replica{Taken: Taken{of: allAspects}}, ReplicaCompleted); err != nil {
		t.Fatal(err)
	}
	if got := w.age("src"); got == "" {
		t.Error("nothing was done")
	}
	if tasks := p.take(); tasks != nil {
		t.Errorf("a marker of a rule is to be replicated: %+v", tasks)
	}
}
