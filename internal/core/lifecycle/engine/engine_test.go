// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore/builtin"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/secret"
	blobmem "github.com/cofferstore/coffer/internal/store/blob/mem"
	"github.com/cofferstore/coffer/internal/store/meta"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

const account = "000000000001"

var alice = iam.Caller{
	Principal: iam.Principal{Type: iam.Root, Account: account, ARN: "arn:aws:iam::" + account + ":root"},
	RequestID: "R", Secure: true, SigV4: true,
}

type noTrail struct{}

func (noTrail) Append(context.Context, audit.Record, bool) error { return nil }

// world is buckets and objects over rows in memory.
type world struct {
	*testing.T
	rows  meta.Store
	blobs *blobmem.Store
	kms   *kms.Service
	bind  secret.Bytes

	buckets *bucket.Buckets
	objects *object.Objects
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, rows: metamem.New(), blobs: blobmem.New(), bind: secret.Random(secret.Size)}
	root, err := rootkey.Create(t.TempDir(), rootkey.SlotOptions{Type: rootkey.File})
	if err != nil {
		t.Fatal(err)
	}
	w.kms = kms.New(w.rows, builtin.New(w.rows, root, builtin.Config{}), noTrail{}, kms.Config{Region: "us-east-1"})
	w.buckets, w.objects = w.services(w.rows)
	return w
}

func (w *world) services(rows meta.Store) (*bucket.Buckets, *object.Objects) {
	buckets := bucket.New(rows, bucket.Config{Region: "us-east-1"})
	cache := bucketkey.New(w.kms.ViaS3(), rows, bucketkey.Config{TTL: 5 * time.Minute})
	owned := bucketkey.New(w.kms.Owned(), rows, bucketkey.Config{TTL: bucketkey.MaxTTL})
	w.Cleanup(func() { cache.Close(); owned.Close() })
	return buckets, object.New(buckets, rows, w.blobs, sse.New(w.kms.ViaS3(), cache, owned), w.bind, object.Config{})
}

// process is one that sweeps, until it is stopped.
type process struct {
	*Engine
	stop func()
	told []string // when it has stopped
}

// start begins a process on rows.
func (w *world) start(rows meta.Store) *process {
	p := new(process)
	runner := jobs.New(rows, jobs.Config{Sole: true})
	buckets, objects := w.services(rows)
	p.Engine = New(buckets, objects, runner, Config{Tell: func(_ *bucket.Bucket, d object.Aged) { p.told = append(p.told, string(d.Kind)+" "+d.Key) }})
	ctx, cancel := context.WithCancel(w.Context())
	over := make(chan struct{})
	go func() { defer close(over); runner.Run(ctx) }()
	p.stop = sync.OnceFunc(func() { cancel(); <-over })
	w.Cleanup(p.stop)
	return p
}

// sweep has a process sweep a bucket and waits for the end.
func (w *world) sweep(p *process, name string) jobs.Status {
	w.Helper()
	if _, err := p.Run(w.Context(), name); err != nil {
		w.Fatal(err)
	}
	for range 100 {
		s, err := p.Status(w.Context(), name)
		if err != nil || len(s) != 1 {
			w.Fatal(s, err)
		}
		if s[0].Over() {
			return *s[0].Job
		}
		time.Sleep(time.Second)
	}
	w.Fatal("the sweep does not end")
	return jobs.Status{}
}

func (w *world) put(name, key string, size int) {
	w.Helper()
	ref := object.Ref{Ref: bucket.Ref{Bucket: name}, Key: key}
	if _, err := w.objects.Put(w.Context(), alice, object.Put{Ref: ref, Body: bytes.NewReader(make([]byte, size)), Size: int64(size)}); err != nil {
		w.Fatal(err)
	}
}

// fill makes a bucket with versions of every fate, and its rules, and lets more than a day pass.
func (w *world) fill(name string) {
	w.Helper()
	ctx, ref := w.Context(), bucket.Ref{Bucket: name}
	if _, err := w.buckets.Create(ctx, alice, bucket.Create{Bucket: name}); err != nil {
		w.Fatal(err)
	}
	if _, err := w.buckets.PutVersioning(ctx, alice, bucket.PutVersioning{Ref: ref, Status: bucket.Enabled}); err != nil {
		w.Fatal(err)
	}
	for _, prefix := range []string{"gone/", "hidden/", "kept/", "moved/"} {
		for n := range 30 {
			for range 3 {
				w.put(name, fmt.Sprintf("%s%02d", prefix, n), 10)
			}
		}
	}
	for n := range 3 {
		if _, err := w.objects.CreateUpload(ctx, alice, object.CreateUpload{Ref: object.Ref{Ref: ref, Key: fmt.Sprint("gone/upload", n)}}); err != nil {
			w.Fatal(err)
		}
	}
	one, zero := 1, int64(0)
	below := func(prefix string) *bucket.LifecycleFilter { return &bucket.LifecycleFilter{Prefix: &prefix} }
	expire, gone := &bucket.LifecycleExpiration{Days: &one}, &bucket.NoncurrentExpiration{Days: 1}
	moved := below("moved/")
	moved.And, moved.Greater = true, &zero
	rules := []bucket.LifecycleRule{
		{Filter: below("gone/"), Expiration: expire, NoncurrentExpiration: gone, AbortDays: &one},
		{Filter: below("hidden/"), Expiration: expire, NoncurrentExpiration: &bucket.NoncurrentExpiration{Days: 1, Newer: &one}},
		{Filter: moved, Transitions: []bucket.LifecycleTransition{{Days: &one, Class: "GLACIER_IR"}}},
	}
	for i := range rules {
		rules[i].Enabled = true
	}
	if _, err := w.buckets.PutLifecycle(ctx, alice, bucket.PutLifecycle{Ref: ref, Lifecycle: bucket.Lifecycle{Rules: rules}}); err != nil {
		w.Fatal(err)
	}
	time.Sleep(49 * time.Hour)
}

// history says what is in a bucket: of each key how many versions, of which class, and x for
// delete markers.
func (w *world) history(name string) string {
	w.Helper()
	var out strings.Builder
	in := object.ListVersions{Ref: bucket.Ref{Bucket: name}, Max: 1000}
	for {
		page, err := w.objects.ListVersions(w.Context(), alice, in)
		if err != nil {
			w.Fatal(err)
		}
		for _, e := range page.Entries {
			class := e.StorageClass
			if e.Marker {
				class = "x"
			}
			fmt.Fprintf(&out, "%s %s\n", e.Key, class)
		}
		if !page.Truncated {
			break
		}
		in.KeyMarker, in.VersionMarker = page.NextKey, page.NextVersion
	}
	uploads, err := w.objects.ListUploads(w.Context(), alice, object.ListUploads{Ref: bucket.Ref{Bucket: name}, Max: 10})
	if err != nil {
		w.Fatal(err)
	}
	return out.String() + fmt.Sprint(len(uploads.Uploads), " uploads")
}

// predicted is what fill's bucket is when all is done that is due.
func predicted() string {
	var out strings.Builder
	for _, key := range []struct {
		prefix   string
		versions []string
	}{{"gone/", []string{"x", ""}}, {"hidden/", []string{"x", ""}}, {"kept/", []string{"", "", ""}}, {"moved/", []string{"GLACIER_IR", "", ""}}} {
		for n := range 30 {
			for _, v := range key.versions {
				fmt.Fprintf(&out, "%s%02d %s\n", key.prefix, n, v)
			}
		}
	}
	return out.String() + "0 uploads"
}

func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fill("bkt")
		p := w.start(w.rows)
		// Of three versions of a key two are not current: both go below gone/, one below
		// hidden/.
		const want = "270 versions seen, expire 60, remove 90, transition 30, abort 3"
		if job := w.sweep(p, "bkt"); job.State != jobs.Done || job.Note != want || job.Done != 183 {
			t.Errorf("%+v", job)
		}
		// The markers hid versions, of which all but the newest of a key are due then.
		for _, n := range []int64{30, 0} {
			if job := w.sweep(p, "bkt"); job.Done != n {
				t.Errorf("again: %+v", job)
			}
		}
		if got := w.history("bkt"); got != predicted() {
			t.Errorf("after the sweeps:\n%s", got)
		}
		p.stop()
		if len(p.told) != 213 || p.told[0] != "abort gone/upload0" {
			t.Errorf("told of %d: %q", len(p.told), p.told[:3])
		}
		if got := p.Every(); got != time.Hour {
			t.Errorf("every %v", got)
		}
	})
}

// cutStore breaks off after so many commits.
type cutStore struct {
	meta.Store
	left atomic.Int64
}

func (s *cutStore) Commit(ctx context.Context, b *meta.Batch) (uint64, error) {
	if s.left.Add(-1) < 0 {
		return 0, fault.New(meta.Unavailable, "")
	}
	return s.Store.Commit(ctx, b)
}

// A process that ends between any two of its commits is followed by one that comes to the
// same end.
func TestSweepThatIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for commits := int64(1); ; commits++ {
			name := fmt.Sprintf("bucket-%d", commits)
			w.fill(name)
			cut := &cutStore{Store: w.rows}
			cut.left.Store(commits)
			first := w.start(cut)
			_, _ = first.Run(w.Context(), name)
			time.Sleep(4 * time.Second)
			first.stop()
			if cut.left.Load() >= 0 { // it came to the end
				if commits < 6 {
					t.Errorf("a sweep is only %d commits", commits)
				}
				return
			}
			second := w.start(w.rows)
			if job := w.sweep(second, name); job.State != jobs.Done {
				t.Errorf("after %d commits: %+v", commits, job)
			}
			w.sweep(second, name) // for what fell due by the first sweep, as far as that came
			if got := w.history(name); got != predicted() {
				t.Errorf("after %d commits and a second process:\n%s", commits, got)
			}
			second.stop()
		}
	})
}

// Buckets without rules are not swept, and those that lose theirs have none any more.
func TestSweepOfWhatHasNoRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fill("bkt")
		if _, err := w.buckets.Create(t.Context(), alice, bucket.Create{Bucket: "plain"}); err != nil {
			t.Fatal(err)
		}
		p := w.start(w.rows)
		if _, err := p.Run(t.Context(), "plain"); !errors.Is(err, bucket.NoLifecycle) {
			t.Error(err)
		}
		if _, err := p.Run(t.Context(), "nowhere"); !errors.Is(err, bucket.NoSuchBucket) {
			t.Error(err)
		}
		if n, err := p.Sweep(t.Context()); n != 1 || err != nil {
			t.Error(n, err)
		}
		if _, err := w.buckets.DeleteLifecycle(t.Context(), alice, bucket.DeleteLifecycle{Ref: bucket.Ref{Bucket: "bkt"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if s, err := p.Status(t.Context(), ""); err != nil || len(s) != 0 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// A sweep that began by a clock that was ahead goes on by the one that was put right.
func TestSweepByAClockThatWasAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fill("bkt")
		w.put("bkt", "gone/young", 10)
		b, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "bkt"})
		if err != nil {
			t.Fatal(err)
		}
		var batch meta.Batch
		batch.Put([]byte("j/lifecycle.sweep/"+jobID(b.UID)), fmt.Appendf(nil,
			`{"argument":{"bucket":"bkt"},"state":"queued","cursor":{"at":%d}}`, time.Now().AddDate(4, 0, 0).UnixMilli()))
		if _, err := w.rows.Commit(t.Context(), &batch); err != nil {
			t.Fatal(err)
		}
		if job := w.sweep(w.start(w.rows), "bkt"); job.State != jobs.Done || job.Done == 0 {
			t.Errorf("%+v", job)
		}
		if got := w.history("bkt"); !strings.Contains(got, "gone/29 x\n") || strings.Contains(got, "gone/young x") {
			t.Errorf("after the sweep:\n%s", got)
		}
	})
}
