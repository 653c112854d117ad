// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of S3 Metadata, which keeps its tables in S3 Tables: without them no bucket
// can have a configuration.
const (
	NoMetadata fault.Kind = "bucket: no metadata configuration"
	NoTables   fault.Kind = "bucket: no tables for metadata"
)

// Metadata is a request about the metadata tables of a bucket. Action is the permission that
// it needs, without "s3:".
type Metadata struct {
	Ref
	Action string
}

// Needs says what the request must be allowed.
func (in Metadata) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:" + in.Action, Resource: aws.BucketARN(in.Bucket)}}
}

// CreateMetadata refuses a configuration. Faults: NoSuchBucket, NoTables.
func (s *Buckets) CreateMetadata(ctx context.Context, _ iam.Caller, in Metadata) (struct{}, error) {
	return s.without(ctx, in.Ref, NoTables)
}

// Metadata looks for a configuration, to read it, to change it or to remove it. Faults:
// NoSuchBucket, NoMetadata.
func (s *Buckets) Metadata(ctx context.Context, _ iam.Caller, in Metadata) (struct{}, error) {
	return s.without(ctx, in.Ref, NoMetadata)
}

// without answers for what no bucket has.
func (s *Buckets) without(ctx context.Context, ref Ref, kind fault.Kind) (struct{}, error) {
	b, err := s.Find(ctx, ref)
	if err == nil {
		err = fault.New(kind, "").With("BucketName", b.Name)
	}
	return struct{}{}, err
}
