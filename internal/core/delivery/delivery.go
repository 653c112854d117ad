// SPDX-License-Identifier: Apache-2.0

// Package delivery writes files into customers' buckets for services that call for
// themselves: a trail's log files and digests, server access logs. The bucket's policy,
// its default encryption and the key's policy hold for them as for anybody, and what they
// write is in the audit trail.
package delivery

import (
	"context"
	"sync"

	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
)

// Authorizer decides whether a service may write (access.Authorizer).
type Authorizer interface {
	Authorize(ctx context.Context, r access.Request) error
}

// Objects writes (object.Objects).
type Objects interface {
	Put(ctx context.Context, by iam.Caller, in object.Put) (object.Stored, error)
}

// Buckets tells whose a bucket is (bucket.Buckets).
type Buckets interface {
	Access(ctx context.Context, name string) (*bucket.Access, error)
}

// Recorder keeps audit records (audit.Trail).
type Recorder interface {
	Append(ctx context.Context, r audit.Record, durable bool) error
}

// Config is the writer's settings.
type Config struct {
	Region string
	// Name is how S3 names an error: its code, and its text.
	Name func(err error) (code, message string)
	// Room refuses what would fill the device, as it does clients' writes. nil: nothing
	// does.
	Room func(ctx context.Context) error
}

// Writer writes for services. It is safe for concurrent use.
type Writer struct {
	access  Authorizer
	objects Objects
	buckets Buckets
	trail   Recorder
	cfg     Config

	mu       sync.Mutex
	failures map[target]string // of targets whose last write failed: S3's code
}

// target is where a service writes for whom: as long as it fails there in the same way,
// one record tells of it.
type target struct{ service, source, bucket string }

// maxFailures bounds the targets of which it is known how they fail. There are no more
// of them than trails and logged buckets.
const maxFailures = 4096

// New returns a writer.
func New(access Authorizer, objects Objects, buckets Buckets, trail Recorder, cfg Config) *Writer {
	return &Writer{access: access, objects: objects, buckets: buckets, trail: trail, cfg: cfg, failures: map[target]string{}}
}

// Put stores an object for a service, when the service may: s3:PutObject alone is asked
// for, as the policies want it that AWS gives its customers for this, also for a request
// with a list of grants or tags. keys are condition keys of the request beside those that
// in says itself (s3:x-amz-acl, s3:x-amz-server-side-encryption); nil: none.
//
// What was written has its record, durable, when Put returns. Failures have one, too,
// but each only once for as long as the same service fails there in the same way: who
// tries again and again must not fill the trail. Faults: those of
// access.Authorizer.Authorize and object.Objects.Put, blob.Full, and audit.Unavailable,
// after which the object may be there.
func (w *Writer) Put(ctx context.Context, by iam.Caller, in object.Put, keys policy.Context) (object.Stored, error) {
	out, err := w.put(ctx, by, in, keys)
	if ctx.Err() != nil && err != nil {
		return out, err // the server stops: that is no outcome
	}
	if !w.tells(target{by.ARN, by.SourceARN, in.Bucket}, err) {
		return out, err
	}
	if unrecorded := w.trail.Append(context.WithoutCancel(ctx), w.record(ctx, by, in, out, err), true); unrecorded != nil && err == nil {
		err = unrecorded
	}
	return out, err
}

func (w *Writer) put(ctx context.Context, by iam.Caller, in object.Put, keys policy.Context) (object.Stored, error) {
	if err := w.access.Authorize(ctx, access.Request{By: by, In: asked{in}, Keys: surface{&in, keys}}); err != nil {
		return object.Stored{}, err
	}
	if w.cfg.Room != nil {
		if err := w.cfg.Room(ctx); err != nil {
			return object.Stored{}, err
		}
	}
	return w.objects.Put(ctx, by, in)
}

// tells reports whether an outcome is one that the trail has to be told of.
func (w *Writer) tells(t target, err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		delete(w.failures, t)
		return true
	}
	code, _ := w.cfg.Name(err)
	if w.failures[t] == code {
		return false
	}
	if len(w.failures) >= maxFailures {
		clear(w.failures)
	}
	w.failures[t] = code
	return true
}

// asked is what a service's write must be allowed.
type asked struct{ object.Put }

// Needs says what the request must be allowed.
func (a asked) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutObject", Resource: a.ARN()}}
}

// surface is the condition keys that would be on the surface of the request, had the
// service sent one.
type surface struct {
	in   *object.Put
	more policy.Context
}

// Values is policy.Context's.
func (s surface) Values(key string) ([]string, bool) {
	value := ""
	switch key {
	case "s3:x-amz-acl":
		value = string(s.in.ACL.Canned)
	case "s3:" + sse.AlgorithmHeader:
		value = s.in.SSE.Algorithm
	case "s3:x-amz-storage-class":
		value = s.in.StorageClass
	}
	if value != "" {
		return []string{value}, true
	}
	if s.more == nil {
		return nil, false
	}
	return s.more.Values(key)
}
