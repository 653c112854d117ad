// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

// A change of one thing takes nothing else over: who tags an object has no say in how its
// replica is protected.
func TestChangesOfReplicasAreOfWhatWasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newReplicating(t, small)
		for _, name := range []string{"src", "dst"} {
			w.lockable(name)
			w.writers(name)
		}
		stored := w.put(put("src", "k", pattern(10)))
		at, there := VersionRef{ref("src", "k"), stored.VersionID}, VersionRef{ref("dst", "k"), stored.VersionID}
		p.run()
		w.hold("src", "k", stored.VersionID, HoldOn)
		w.hold("src", "k", stored.VersionID, HoldOff)
		p.run()
		// The replica's own.
		until := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
		if err := w.retain("dst", "k", stored.VersionID, bucket.Governance, until, nil); err != nil {
			t.Fatal(err)
		}
		w.hold("dst", "k", stored.VersionID, HoldOn)
		w.tag(there, "own")
		time.Sleep(time.Second)
		w.tag(at, "of the source")
		if failed := p.run(); failed != nil {
			t.Fatal(failed)
		}
		w.tagged(there, "of the source")
		_, o := w.get(read("dst", "k", ""))
		if o.Lock != (Lock{bucket.Governance, until, HoldOn}) {
			t.Errorf("tags took over the lock: %+v", o.Lock)
		}
		// What is changed there later stays, also when something else comes.
		w.tag(there, "own again")
		w.hold("src", "k", stored.VersionID, HoldOff)
		p.run()
		w.tagged(there, "own again")
		if _, o := w.get(read("dst", "k", "")); o.Lock != (Lock{bucket.Governance, until, HoldOff}) {
			t.Errorf("%+v", o.Lock)
		}
		if err := w.consistent(false); err != nil {
			t.Error(err)
		}
	})
}

func (w *world) tag(at VersionRef, value string) {
	w.t.Helper()
	if _, err := w.objects.PutTagging(w.t.Context(), alice, PutTagging{VersionRef: at, Tags: []bucket.Tag{{Key: "a", Value: value}}}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tagged(at VersionRef, want string) {
	w.t.Helper()
	got, err := w.objects.Tagging(w.t.Context(), alice, GetTagging{at})
	if err != nil || len(got.Tags) != 1 || got.Tags[0].Value != want {
		w.t.Errorf("%s: %+v, %v; want %s", at.Bucket, got, err, want)
	}
}

// A version is COMPLETED when its replica has all changes, and FAILED once one of them has failed.
func TestStatusWhileThereAreChanges(t *testing.T) {
	for name, c := range map[string]struct {
		before, after func(w *world, at VersionRef) // the replica is made
		open          string                        // status once it is noted that the replica was made
	}{
		"none":   {nil, nil, StatusCompleted},
		"before": {func(w *world, at VersionRef) { w.tag(at, "1") }, nil, StatusCompleted},
		"after":  {nil, func(w *world, at VersionRef) { w.tag(at, "1") }, StatusPending},
		"both":   {func(w *world, at VersionRef) { w.tag(at, "1") }, func(w *world, at VersionRef) { w.tag(at, "2") }, StatusPending},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := newReplicating(t, small)
				w.lockable("src")
				w.lockable("dst")
				stored := w.put(put("src", "k", pattern(10)))
				at := VersionRef{ref("src", "k"), stored.VersionID}
				step := func(do func(w *world, at VersionRef)) {
					if do != nil {
						do(w, at)
						time.Sleep(time.Second)
					}
				}
				made := p.take()[0]
				step(c.before)
				out, err := p.replicate(made)
				if err != nil {
					t.Fatal(err)
				}
				step(c.after)
				if err := p.note(made, out, ReplicaCompleted); err != nil {
					t.Fatal(err)
				}
				w.status("src", "k", "", c.open)
				// Then one after the other, of which the next begins before the last is noted.
				w.tag(at, "3")
				time.Sleep(time.Second)
				w.hold("src", "k", stored.VersionID, HoldOn)
				tasks := p.take()
				for _, task := range tasks {
					w.status("src", "k", "", StatusPending)
					out, err := p.replicate(task)
					if err == nil {
						err = p.note(task, out, ReplicaCompleted)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				w.status("src", "k", "", StatusCompleted)
				w.tagged(VersionRef{ref("dst", "k"), stored.VersionID}, "3")
				// A failure stays, whatever else succeeds.
				w.tag(at, "4")
				w.hold("src", "k", stored.VersionID, HoldOff)
				tasks = p.take()
				if err := p.note(tasks[0], Replica{}, ReplicaFailed); err != nil {
					t.Fatal(err)
				}
				if out, err = p.replicate(tasks[1]); err != nil {
					t.Fatal(err)
				}
				if err := p.note(tasks[1], out, ReplicaCompleted); err != nil {
					t.Fatal(err)
				}
				w.status("src", "k", "", StatusFailed)
			})
		})
	}
}

// A deletion of a bucket that has begun may come to nothing: until it is done, nothing is said for
// good.
func TestBucketsThatArePerhapsDeleted(t *testing.T) {
	for _, name := range []string{"src", "dst"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rows := &staged{Store: metamem.New()}
				w, p := newReplicatingOver(t, small, rows)
				var stored Stored
				commits := 0
				rows.direct(func(ctx context.Context, call rowCall, do func() error) error {
					if ctx.Value(slowly{}) == nil || call != commitRows {
						return do()
					}
					if commits++; commits > 1 { // the process that deletes it ends
						return errRows
					}
					stored = w.put(put("src", "k", pattern(10))) // when it has been found empty
					return do()
				})
				if _, err := w.buckets.Delete(slow(t.Context()), alice, bucket.Delete{Ref: bucket.Ref{Bucket: name}}); err == nil || stored.ETag == "" {
					t.Fatal(err, stored)
				}
				task := p.take()[0]
				out, err := p.replicate(task)
				var failed *ReplicaError
				if (err == nil) != (name == "src") || errors.As(err, &failed) {
					t.Errorf("while it is perhaps deleted: %v", err)
				}
				if err == nil {
					want(t, p.note(task, out, ReplicaCompleted), bucket.BeingDeleted)
				}
				time.Sleep(2 * time.Minute) // after which it is not
				if out, err = p.replicate(task); err != nil {
					t.Fatal(err)
				}
				if err := p.note(task, out, ReplicaCompleted); err != nil {
					t.Fatal(err)
				}
				w.status("src", "k", "", StatusCompleted)
				w.same("k", stored.VersionID)
			})
		})
	}
}

// Where lists of grants are disabled, setting one changes nothing: not the replica's either.
func TestListsThatDoNotCountAreNotReplicated(t *testing.T) {
	w, p := newReplicating(t, small)
	w.writers("dst")
	stored := w.put(put("src", "k", pattern(10)))
	p.run()
	there := VersionRef{ref("dst", "k"), stored.VersionID}
	grants := acl.List{{ID: account, Permission: acl.Read}}
	if _, err := w.objects.PutACL(t.Context(), alice, PutACL{VersionRef: there, ACL: acl.Asked{Grants: grants}}); err != nil {
		t.Fatal(err)
	}
	at := VersionRef{ref("src", "k"), stored.VersionID}
	if _, err := w.objects.PutACL(t.Context(), alice, PutACL{VersionRef: at, ACL: acl.Asked{Canned: acl.BucketOwnerFullControl}}); err != nil {
		t.Fatal(err)
	}
	if tasks := p.take(); tasks != nil {
		t.Errorf("%+v", tasks)
	}
	w.status("src", "k", "", StatusCompleted)
}
