// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of transfer acceleration.
const (
	// UnknownAcceleration: a state that is neither Enabled nor Suspended.
	UnknownAcceleration fault.Kind = "bucket: unknown state of transfer acceleration"
	// NeverAccelerated: a bucket whose name has dots, which no certificate of the endpoint fits.
	NeverAccelerated fault.Kind = "bucket: transfer acceleration with dots in the name"
)

const accelerateDocument DocumentKind = "accelerate"

// accelerate is the document. There is no endpoint that accelerates: it is kept for who
// asks.
type accelerate struct {
	Status string `json:"status"`
}

// PutAccelerate sets the state of a bucket's transfer acceleration: Enabled or Suspended.
type PutAccelerate struct {
	Ref
	Status string
}

// Needs says what the request must be allowed.
func (in PutAccelerate) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutAccelerateConfiguration", Resource: aws.BucketARN(in.Bucket)}}
}

// PutAccelerate sets the state of a bucket's transfer acceleration. Faults: NoSuchBucket,
// UnknownAcceleration, NeverAccelerated.
func (s *Buckets) PutAccelerate(ctx context.Context, _ iam.Caller, in PutAccelerate) (struct{}, error) {
	if in.Status != Enabled && in.Status != Suspended {
		return struct{}{}, fault.New(UnknownAcceleration, "")
	}
	if strings.Contains(in.Bucket, ".") {
		return struct{}{}, fault.New(NeverAccelerated, "")
	}
	return struct{}{}, s.putDocument(ctx, in.Ref, accelerateDocument, "", accelerate{in.Status})
}

// GetAccelerate asks for the state of a bucket's transfer acceleration.
type GetAccelerate struct{ Ref }

// Needs says what the request must be allowed.
func (in GetAccelerate) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetAccelerateConfiguration", Resource: aws.BucketARN(in.Bucket)}}
}

// Acceleration returns the state of a bucket's transfer acceleration, "" if it was never
// set. Fault: NoSuchBucket.
func (s *Buckets) Acceleration(ctx context.Context, _ iam.Caller, in GetAccelerate) (string, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return "", err
	}
	doc, err := document[accelerate](ctx, s, b, accelerateDocument, "")
	if err != nil || doc == nil {
		return "", err
	}
	return doc.Status, nil
}
