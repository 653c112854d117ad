// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"slices"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// PutVersioning sets a bucket's versioning state.
type PutVersioning struct {
	Ref
	Status string // Enabled or Suspended; "" when absent
}

// Needs says what the request must be allowed.
func (in PutVersioning) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketVersioning", Resource: aws.BucketARN(in.Bucket)}}
}

// PutVersioning sets a bucket's versioning state, for later writes. Faults:
// NoSuchBucket, IllegalVersioning, InvalidVersioningStatus, VersioningLocked, VersioningReplicated.
func (s *Buckets) PutVersioning(ctx context.Context, _ iam.Caller, in PutVersioning) (struct{}, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	switch in.Status {
	case Enabled, Suspended:
	case "":
		return struct{}{}, fault.New(IllegalVersioning, "")
	default:
		return struct{}{}, fault.New(InvalidVersioningStatus, "")
	}
	return struct{}{}, s.update(ctx, b.UID, func(r *record) error {
		if r.ObjectLock != nil && in.Status != Enabled {
			return fault.New(VersioningLocked, "")
		}
		if slices.Contains(r.Documents, ReplicationDocument) && in.Status != Enabled {
			return fault.New(VersioningReplicated, "")
		}
		r.Versioning = in.Status
		return nil
	})
}

// GetVersioning asks for a bucket's versioning state.
type GetVersioning struct{ Ref }

// Needs says what the request must be allowed.
func (in GetVersioning) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketVersioning", Resource: aws.BucketARN(in.Bucket)}}
}

// Versioning returns a bucket's versioning state.
func (s *Buckets) Versioning(ctx context.Context, _ iam.Caller, in GetVersioning) (string, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return "", err
	}
	return b.Versioning, nil
}
