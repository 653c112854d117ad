// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/sse"
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

func (p *replicator) note(t task, out Replica, state ReplicaState) error {
	return p.w.objects.Replicated(p.w.t.Context(), bucket.Ref{Bucket: t.Bucket.Name}, t.Bucket.UID, t.Key, t.VersionID, t.to, state, out.Taken, func(b *meta.Batch) {
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
		out, err := p.replicate(t)
		state := ReplicaCompleted
		var failed *ReplicaError
		switch {
		case errors.Is(err, ErrSourceGone):
		case errors.As(err, &failed):
			state, reasons = ReplicaFailed, append(reasons, failed.Reason)
		case err != nil:
			p.w.t.Fatalf("replicate %s: %v", t.Key, err)
		}
		if err := p.note(t, out, state); err != nil {
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

func (w *world) annotateIf(yes bool, at VersionRef) {
	if yes {
		w.annotate(at, "a", "note")
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
