// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of attribute-based access control.
const (
	// InvalidABAC: a status that there is not.
	InvalidABAC fault.Kind = "bucket: unknown status of attribute-based access control"
	// TagsDecide: the bucket's tags decide about access and are changed with TagResource only.
	TagsDecide fault.Kind = "bucket: tags decide about access"
)

// PutABAC says whether a bucket's tags count when access to it is decided.
type PutABAC struct {
	Ref
	Status string // Enabled or Disabled
}

// Needs says what the request must be allowed.
func (in PutABAC) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketAbac", Resource: aws.BucketARN(in.Bucket)}}
}

// PutABAC says whether a bucket's tags count when access to it is decided, as the condition
// keys aws:ResourceTag and s3:BucketTag. While they do, they are changed with TagResource and
// UntagResource only, which have permissions of their own (S3 API Reference, PutBucketAbac).
// Faults: NoSuchBucket, InvalidABAC.
func (s *Buckets) PutABAC(ctx context.Context, _ iam.Caller, in PutABAC) (struct{}, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	if !oneOf(in.Status, Enabled+" "+Disabled) {
		return struct{}{}, fault.New(InvalidABAC, "")
	}
	return struct{}{}, s.update(ctx, b.UID, func(r *record) error { r.ABAC = in.Status == Enabled; return nil })
}

// Disabled is the state of what is not [Enabled].
const Disabled = "Disabled"

// GetABAC asks whether a bucket's tags count.
type GetABAC struct{ Ref }

// Needs says what the request must be allowed.
func (in GetABAC) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketAbac", Resource: aws.BucketARN(in.Bucket)}}
}

// ABAC returns Enabled or Disabled.
func (s *Buckets) ABAC(ctx context.Context, _ iam.Caller, in GetABAC) (string, error) {
	b, err := s.Find(ctx, in.Ref)
	switch {
	case err != nil:
		return "", err
	case b.ABAC:
		return Enabled, nil
	}
	return Disabled, nil
}
