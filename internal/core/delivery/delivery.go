// SPDX-License-Identifier: Apache-2.0

// Package delivery writes files into customers' buckets for services that call for
// themselves: a trail's log files and digests, server access logs. The bucket's policy,
// its default encryption and the key's policy hold for them as for anybody, and what they
// write is in the audit trail.
package delivery

import (
	"context"

	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
)

// Authorizer decides whether a service may write (access.Authorizer).
type Authorizer interface {
	Authorize(ctx context.Context, r access.Request) error
}

// Objects writes (object.Objects).
type Objects interface {
	Put(ctx context.Context, by iam.Caller, in object.Put) (object.Stored, error)
}

// Recorder keeps audit records (audit.Trail).
type Recorder interface {
	Append(ctx context.Context, r audit.Record, durable bool) error
}

// Writer writes for services. It is safe for concurrent use.
type Writer struct {
	access  Authorizer
	objects Objects
	trail   Recorder
	region  string
}

// New returns a writer.
func New(access Authorizer, objects Objects, trail Recorder, region string) *Writer {
	return &Writer{access, objects, trail, region}
}

// Put stores an object for a service, when the service may. keys are the condition keys of
// the request beside those that in says itself, as s3:x-amz-acl. Faults: those of
// access.Authorizer.Authorize and object.Objects.Put.
func (w *Writer) Put(ctx context.Context, by iam.Caller, in object.Put, keys policy.Context) (object.Stored, error) {
	if err := w.access.Authorize(ctx, access.Request{By: by, In: in, Keys: keys}); err != nil {
		return object.Stored{}, err
	}
	return w.objects.Put(ctx, by, in)
}
