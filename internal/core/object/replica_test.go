// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

// replicator replicates what it is told of when a test says so.
type replicator struct {
	w      *world
	to     map[string][]string // by source bucket
	key    string
	both   bool // changes of replicas travel back
	refuse error
	before func() // nil, or what happens before a replica is made

	mu      sync.Mutex
	planned int
	changes []ReplicaChange
	tasks   []task
}

type task struct {
	ReplicaChange
	to string
}

func (p *replicator) Plan(_ context.Context, b *meta.Batch, c ReplicaChange) ([]string, func(), error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.planned++
	if p.refuse != nil {
		return nil, nil, p.refuse
	}
	to := p.to[c.Bucket.Name]
	switch {
	case c.Replica && !p.both:
		to = nil
	case c.Operation != OpPut && c.Operation != OpMarker && !c.Replica:
		to = c.Replicated
	}
	if len(to) == 0 {
		return nil, nil, nil
	}
	b.Put([]byte("planned/"+c.VersionID), []byte("1"))
	return to, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.changes = append(p.changes, c)
		for _, name := range to {
			p.tasks = append(p.tasks, task{c, name})
		}
	}, nil
}

// newReplicating is a world in which src is replicated to dst.
func newReplicating(t testing.TB, cfg Config) (*world, *replicator) {
	t.Helper()
	return newReplicatingOver(t, cfg, metamem.New())
}

func newReplicatingOver(t testing.TB, cfg Config, rows meta.Store) (*world, *replicator) {
	t.Helper()
	w := newWorldOver(t, cfg, rows)
	p := &replicator{w: w, to: map[string][]string{}}
	w.objects.ReplicateWith(p)
	w.bucket("src", bucket.Enabled)
	w.bucket("dst", bucket.Enabled)
	p.from("src", "dst")
	return w, p
}

// from has a bucket replicated to others.
func (p *replicator) from(name string, to ...string) {
	p.w.t.Helper()
	c := &bucket.Replication{Role: "arn:aws:iam::" + account + ":role/r"}
	for i, n := range to {
		c.Rules = append(c.Rules, bucket.ReplicationRule{
			Priority: &i, Filter: &bucket.Filter{}, Status: "Enabled", DeleteMarkers: "Enabled",
			Destination: bucket.ReplicationDestination{Bucket: "arn:aws:s3:::" + n},
		})
	}
	if _, err := p.w.buckets.PutReplication(p.w.t.Context(), alice, bucket.PutReplication{Ref: bucket.Ref{Bucket: name}, Replication: c}); err != nil {
		p.w.t.Fatal(err)
	}
	p.to[name] = to
}

func (p *replicator) take() (tasks []task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	tasks, p.tasks = p.tasks, nil
	return tasks
}

func (p *replicator) replicate(t task) (Replica, error) {
	return p.w.objects.Replicate(p.w.t.Context(), alice, Replicate{
		Source: bucket.Ref{Bucket: t.Bucket.Name}, SourceUID: t.Bucket.UID, Key: t.Key, VersionID: t.VersionID,
		Destination: t.to, KMSKey: p.key, Operation: t.Operation,
	})
}

func (p *replicator) note(t task, state ReplicaState) error {
	return p.w.objects.Replicated(p.w.t.Context(), bucket.Ref{Bucket: t.Bucket.Name}, t.Bucket.UID, t.Key, t.VersionID, t.to, state, func(b *meta.Batch) {
		b.Delete([]byte("planned/" + t.VersionID))
	})
}

// run does what is to be done, and returns what failed for good.
func (p *replicator) run() (reasons []string) {
	p.w.t.Helper()
	for _, t := range p.take() {
		if p.before != nil {
			p.before()
		}
		_, err := p.replicate(t)
		state := ReplicaCompleted
		var failed *ReplicaError
		switch {
		case errors.Is(err, ErrSourceGone):
		case errors.As(err, &failed):
			state, reasons = ReplicaFailed, append(reasons, failed.Reason)
		case err != nil:
			p.w.t.Fatalf("replicate %s: %v", t.Key, err)
		}
		if err := p.note(t, state); err != nil {
			p.w.t.Fatal(err)
		}
	}
	return reasons
}

// status fails unless a version has a replication status.
func (w *world) status(b, key, version, status string) {
	w.t.Helper()
	in := read(b, key, version)
	o, err := w.objects.Head(w.t.Context(), alice, in)
	if err != nil || o.Replication != status {
		w.t.Errorf("%s/%s is %+v, %v; want replication status %q", b, key, o, err, status)
	}
}

// same fails unless a version reads the same in both buckets, but for what replication
// changes.
func (w *world) same(key, version string) (src, dst *Object) {
	w.t.Helper()
	in := read("src", key, version)
	in.Checksum = true
	data, src := w.get(in)
	in.Bucket = "dst"
	copied, dst := w.get(in)
	if !bytes.Equal(data, copied) {
		w.t.Errorf("%s: %d bytes, the replica has %d", key, len(data), len(copied))
	}
	a, b := *src, *dst
	for _, o := range []*Object{&a, &b} {
		o.Body, o.SSE, o.Replication = nil, sse.Applied{}, ""
	}
	if !reflect.DeepEqual(a, b) {
		w.t.Errorf("%s:\n%+v\n%+v", key, a, b)
	}
	return src, dst
}

func TestReplicasAreAsTheirSources(t *testing.T) {
	for name, cfg := range map[string]Config{"inline": {MinPart: 10}, "files": filed} {
		t.Run(name, func(t *testing.T) {
			w, p := newReplicating(t, cfg)
			key, other := w.key(), w.key()
			p.key = other
			yes, no := true, false
			for algorithm, asked := range map[string]sse.Request{
				sse.AES256: {}, "bucket key": {Algorithm: sse.KMS, KeyID: key, BucketKey: &yes, Context: kms.Context{"a": "b"}},
				"no bucket key": {Algorithm: sse.KMS, KeyID: key, BucketKey: &no, Context: kms.Context{"a": "b"}},
				sse.DSSE:        {Algorithm: sse.DSSE, KeyID: key},
			} {
				for _, size := range []int{0, 1, 70_000, 300_000} {
					in := put("src", fmt.Sprint(algorithm, size), pattern(size))
					in.Headers = []Header{{"content-type", "text/plain"}, {"x-amz-meta-a", "b"}}
					in.Tags = []bucket.Tag{{Key: "a", Value: "b"}}
					in.StorageClass, in.SSE = "STANDARD_IA", asked
					in.Expect.Algorithm = checksum.SHA256
					stored := w.put(in)
					w.status("src", in.Key, "", StatusPending)
					w.annotateIf(size == 1, VersionRef{in.Ref, stored.VersionID})
					if failed := p.run(); failed != nil {
						t.Fatal(failed)
					}
					w.status("src", in.Key, "", StatusCompleted)
					w.status("dst", in.Key, "", StatusReplica)
					src, dst := w.same(in.Key, stored.VersionID)
					if src.SSE.Algorithm != dst.SSE.Algorithm || src.SSE.BucketKey != dst.SSE.BucketKey {
						t.Errorf("%s: %+v, %+v", algorithm, src.SSE, dst.SSE)
					}
					if src.SSE.KeyARN != "" && (src.SSE.KeyARN != key || dst.SSE.KeyARN != other) {
						t.Errorf("%s: %+v, %+v", algorithm, src.SSE, dst.SSE)
					}
					if size == 1 {
						w.reads(VersionRef{ref("dst", in.Key), stored.VersionID}, "a", "note")
					}
				}
				up := w.begin(CreateUpload{Ref: ref("src", "multi"+algorithm), Attributes: Attributes{SSE: asked}, Algorithm: checksum.CRC32, Type: checksum.Composite})
				first, last := w.part(up, 3, pattern(100_000)), w.part(up, 7, pattern(10))
				for i, data := range [][]byte{pattern(100_000), pattern(10)} {
					sum := checksum.CRC32.New()
					sum.Write(data)
					part := []*CompletePart{&first, &last}[i]
					part.Algorithm, part.Checksum = checksum.CRC32, sum.Sum(nil)
				}
				multi, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{first, last}})
				if err != nil {
					t.Fatal(err)
				}
				if failed := p.run(); failed != nil {
					t.Fatal(failed)
				}
				w.same(up.Key, multi.VersionID)
				for part := 1; part <= 2; part++ {
					a, b := read("src", up.Key, ""), read("dst", up.Key, "")
					a.Part, a.Checksum, b.Part, b.Checksum = part, true, part, true
					_, x := w.get(a)
					_, y := w.get(b)
					if x.Length != y.Length || x.PartsCount != 2 || y.PartsCount != 2 || !reflect.DeepEqual(x.Checksum, y.Checksum) {
						t.Errorf("part %d: %+v, %+v", part, x, y)
					}
				}
			}
			if err := w.consistent(false); err != nil {
				t.Error(err)
			}
			var last ScrubReport
			if err := w.objects.Scrub(t.Context(), true, func(r ScrubReport) { last = r }); err != nil || len(last.Damaged) > 0 {
				t.Errorf("%+v, %v", last, err)
			}
		})
	}
}

func (w *world) annotateIf(yes bool, at VersionRef) {
	if yes {
		w.annotate(at, "a", "note")
	}
}

// Contexts of callers go along, those of S3 are of the bucket or object.
func TestContextsOfReplicas(t *testing.T) {
	w, p := newReplicating(t, small)
	key := w.key()
	p.key = w.key()
	for _, bucketKey := range []bool{true, false} {
		in := put("src", "k", pattern(10))
		in.SSE = sse.Request{Algorithm: sse.KMS, KeyID: key, BucketKey: &bucketKey, Context: kms.Context{"team": "red"}}
		w.put(in)
		w.trail.records = nil
		if failed := p.run(); failed != nil {
			t.Fatal(failed)
		}
		arn := "arn:aws:s3:::dst"
		if !bucketKey {
			arn += "/k"
		}
		found := false
		for _, r := range w.trail.records {
			text := fmt.Sprintf("%s", r.RequestParameters)
			found = found || r.EventName == "GenerateDataKey" && strings.Contains(text, "aws:s3:arn:"+arn+" team:red") && strings.Contains(text, p.key)
		}
		if !found {
			t.Errorf("bucket key %t: %+v", bucketKey, w.trail.records)
		}
	}
}

// What is not encrypted takes the default of the replica's bucket, nothing else does.
func TestReplicasOfObjectsWithoutEncryption(t *testing.T) {
	w, p := newReplicating(t, small)
	w.legacy("src", true)
	key, yes := w.key(), true
	stored := w.put(put("src", "plain", pattern(10)))
	p.run()
	w.same("plain", stored.VersionID)
	_, err := w.buckets.PutEncryption(t.Context(), alice, bucket.PutEncryption{Ref: bucket.Ref{Bucket: "dst"}, Rules: []bucket.EncryptionRule{
		{Default: &bucket.DefaultEncryption{Algorithm: sse.KMS, KeyID: key}, BucketKey: &yes},
	}})
	if err != nil {
		t.Fatal(err)
	}
	in := put("src", "s3", pattern(10))
	in.SSE.Algorithm = sse.AES256
	w.put(in)
	w.put(put("src", "k", pattern(10)))
	up := w.begin(CreateUpload{Ref: ref("src", "multi")})
	if _, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{w.part(up, 1, pattern(10))}}); err != nil {
		t.Fatal(err)
	}
	if failed := p.run(); failed != nil {
		t.Fatal(failed)
	}
	for _, c := range []struct {
		key, algorithm string
		same           bool
	}{{"s3", sse.AES256, true}, {"k", sse.KMS, false}, {"multi", sse.KMS, false}} {
		_, src := w.get(read("src", c.key, ""))
		_, dst := w.get(read("dst", c.key, ""))
		if dst.SSE.Algorithm != c.algorithm || dst.SSE.BucketKey != (c.algorithm == sse.KMS) || (src.ETag == dst.ETag) != c.same || len(src.ETag) != len(dst.ETag) {
			t.Errorf("%s: %+v, %+v", c.key, src, dst)
		}
	}
}

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

// lockable enables Object Lock in a bucket.
func (w *world) lockable(name string) {
	w.t.Helper()
	if _, err := w.buckets.PutObjectLock(w.t.Context(), alice, bucket.PutObjectLock{Ref: bucket.Ref{Bucket: name}}); err != nil {
		w.t.Fatal(err)
	}
}

// writers lets those who write objects own them.
func (w *world) writers(name string) {
	w.t.Helper()
	if _, err := w.buckets.PutOwnership(w.t.Context(), alice, bucket.PutOwnership{Ref: bucket.Ref{Bucket: name}, Ownership: bucket.ObjectWriter}); err != nil {
		w.t.Fatal(err)
	}
}

func TestReplicasComeInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newReplicating(t, small)
		w.versioning("dst", bucket.Suspended)
		for i, name := range []string{"dst", "src", "dst", "src"} {
			w.put(put(name, "k", pattern(i+1)))
			w.versioning("dst", bucket.Enabled)
			time.Sleep(time.Millisecond)
		}
		w.delete("src", "k", "")
		w.put(put("src", "k", pattern(5)))
		w.put(put("src", "l", pattern(6)))
		w.delete("src", "l", "")
		tasks := p.take()
		if len(tasks) != 6 || tasks[2].Operation != OpMarker || tasks[0].Operation != OpPut {
			t.Fatalf("%+v", tasks)
		}
		for _, step := range []struct {
			task    int
			history string
		}{
			{1, "k=4* k=3 k=1~"}, {3, "k=5* k=4 k=3 k=1~"}, {0, "k=5* k=4 k=3 k=2 k=1~"}, {2, "k=5* k=x k=4 k=3 k=2 k=1~"},
			{5, "k=5* k=x k=4 k=3 k=2 k=1~ l=x*"}, {4, "k=5* k=x k=4 k=3 k=2 k=1~ l=x* l=6"},
		} {
			for range 2 { // the second time it is there
				if _, err := p.replicate(tasks[step.task]); err != nil {
					t.Fatal(err)
				}
				w.expect("dst", step.history)
			}
		}
		if err := w.consistent(false); err != nil {
			t.Error(err)
		}
		// What takes the place of a newest replica that goes, is the one before.
		w.delete("dst", "k", tasks[3].VersionID)
		w.expect("dst", "k=x* k=4 k=3 k=2 k=1~ l=x* l=6")
	})
}

// A replica that stands beside another version of its moment has its place in both orders.
func TestReplicasOfOneMoment(t *testing.T) {
	w, p := newReplicating(t, small)
	w.put(put("src", "k", pattern(1)))
	made := p.take()[0]
	at, _ := parseID(made.VersionID)
	w.put(put("dst", "k", pattern(2)))
	for _, uid := range []byte{0, 0xff} {
		w.change(currentKey(w.uid("dst"), "k"), func(r *record) { r.Time, r.UID[0] = at.time, uid })
		if _, err := p.replicate(made); err != nil {
			t.Fatal(err)
		}
		if wanted := map[byte]string{0: "k=2* k=1", 0xff: "k=1* k=2"}[uid]; w.history("dst", 1000) != wanted {
			t.Errorf("%x: %s", uid, w.history("dst", 1000))
		}
		if err := w.consistent(false); err != nil {
			t.Error(err)
		}
		w.delete("dst", "k", made.VersionID)
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
		if tasks := p.take(); tasks != nil && tasks[0].to == "dst" && len(tasks[0].Replicated) > 0 {
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
		{"longer", OpRetention, false, false, governance(early), governance(late), governance(late)},
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
		{"lifted, but before", OpLegalHold, false, false, Lock{Hold: HoldOn}, Lock{Hold: HoldOff}, Lock{Hold: HoldOn}},
		{"a hold of its own, tagged", OpTags, true, false, Lock{Hold: HoldOn}, Lock{Hold: HoldOff}, Lock{Hold: HoldOn}},
	} {
		b := &bucket.Bucket{ObjectLock: new(bucket.ObjectLock)}
		if c.byDefault {
			b.ObjectLock.Mode, b.ObjectLock.Days = bucket.Governance, 1
		}
		if got := w.objects.lockTaken(t.Context(), b, c.was, c.source, c.op, c.later); got != c.want {
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
		if err := p.note(tasks[0], ReplicaCompleted); err != nil {
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
	if err := p.note(p.take()[0], ReplicaCompleted); err != nil {
		t.Fatal(err)
	}
	if got := w.age("src"); got == "" {
		t.Error("nothing was done")
	}
	if tasks := p.take(); tasks != nil {
		t.Errorf("a marker of a rule is to be replicated: %+v", tasks)
	}
}

// The data key of a replica of an upload leaves its generation like any other.
func TestReplicasAreRewrapped(t *testing.T) {
	w, p := newReplicating(t, small)
	up := w.begin(CreateUpload{Ref: ref("src", "k")})
	if _, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{w.part(up, 1, pattern(10)), w.part(up, 2, pattern(5))}}); err != nil {
		t.Fatal(err)
	}
	p.run()
	r, _, err := w.objects.row(t.Context(), w.uid("dst"), "k", currentKey(w.uid("dst"), "k"))
	if err != nil {
		t.Fatal(err)
	}
	if bind, err := sse.BindOf(r.Wrap); err != nil || bind != sse.BindDescriptor || r.Upload == nil {
		t.Errorf("bound to %v, %v", bind, err)
	}
	key := w.key()
	if _, err := w.objects.UpdateEncryption(t.Context(), alice, UpdateEncryption{VersionRef: VersionRef{Ref: ref("dst", "k")}, KeyARN: key, BucketKey: true}); err != nil {
		t.Fatal(err)
	}
	if got, _ := w.get(read("dst", "k", "")); len(got) != 15 {
		t.Errorf("%d bytes", len(got))
	}
	sum := fips.MD5(pattern(15))
	if r.ETag == hex.EncodeToString(sum[:]) {
		t.Error("the ETag is not that of an upload")
	}
}

// A replica that cannot be made leaves nothing, and the next try makes it.
func TestTriesOfReplicas(t *testing.T) {
	for call := range 40 {
		for _, lost := range []bool{false, true} {
			ended := func() bool {
				rows := &staged{Store: metamem.New()}
				w, p := newReplicatingOver(t, filed, rows)
				in := put("src", "k", pattern(100_000))
				stored := w.put(in)
				w.annotate(VersionRef{in.Ref, stored.VersionID}, "a", "note")
				task := p.take()[0]
				failed := rows.failAt(commitRows, call+1, lost)
				_, err := p.replicate(task)
				if err == nil {
					err = p.note(task, ReplicaCompleted)
				}
				met := failed()
				rows.direct(nil)
				if met != (err != nil) {
					t.Errorf("call %d, lost %t: %v", call, lost, err)
				}
				if err := w.consistent(false); err != nil {
					t.Errorf("call %d, lost %t: %v", call, lost, err)
				}
				if _, err := p.replicate(task); err != nil {
					t.Errorf("call %d, lost %t: again: %v", call, lost, err)
				}
				if err := p.note(task, ReplicaCompleted); err != nil {
					t.Fatal(err)
				}
				w.same("k", stored.VersionID)
				w.status("src", "k", "", StatusCompleted)
				return !met
			}()
			if ended {
				if call == 0 {
					t.Error("no call failed")
				}
				return
			}
		}
	}
}

// What it was decided by that a version may be replicated must be so still when it is.
func TestDecisionsThatAreOutOfDate(t *testing.T) {
	w, _ := newReplicating(t, Config{})
	at := at1("src", "k", w.put(put("src", "k", pattern(10))).VersionID)
	b, err := w.buckets.Find(t.Context(), at.Ref.Ref)
	if err != nil {
		t.Fatal(err)
	}
	decide := func() *Decided {
		t.Helper()
		to, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "dst"})
		if err != nil {
			t.Fatal(err)
		}
		facts, err := w.objects.Facts(t.Context(), b, "k", at.VersionID)
		if err != nil {
			t.Fatal(err)
		}
		return &Decided{Destination: to.UID, Changed: facts.Changed, Algorithm: sse.AES256}
	}
	try := func(d *Decided) error {
		_, err := w.objects.Replicate(t.Context(), alice, Replicate{
			Source: at.Ref.Ref, SourceUID: b.UID, Key: "k", VersionID: at.VersionID, Destination: "dst", Decided: d,
		})
		return err
	}
	old := decide()
	if _, err := w.objects.PutTagging(t.Context(), alice, PutTagging{VersionRef: at, Tags: []bucket.Tag{{Key: "a", Value: "b"}}}); err != nil {
		t.Fatal(err)
	}
	if err := try(old); !errors.Is(err, ErrChanged) {
		t.Errorf("tags came: %v", err)
	}
	other := decide()
	other.Algorithm = sse.KMS
	if err := try(other); !errors.Is(err, ErrChanged) {
		t.Errorf("the encryption is another: %v", err)
	}
	last := decide()
	if _, err := w.buckets.Delete(t.Context(), alice, bucket.Delete{Ref: bucket.Ref{Bucket: "dst"}}); err != nil {
		t.Fatal(err)
	}
	w.bucket("dst", bucket.Enabled)
	var failed *ReplicaError
	if err := try(last); !errors.As(err, &failed) || failed.Reason != "DstBucketNotFound" {
		t.Errorf("another bucket has the name: %v", err)
	}
	if err := try(decide()); err != nil {
		t.Error(err)
	}
}
