// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// MaxTags is how many tags a bucket may have.
const MaxTags = 50

// PutTagging replaces a bucket's tags, already checked by CheckTags.
type PutTagging struct {
	Ref
	Tags []Tag
}

// Needs says what the request must be allowed.
func (in PutTagging) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketTagging", Resource: aws.BucketARN(in.Bucket)}}
}

// PutTagging replaces a bucket's tags. Faults: NoSuchBucket, TagsDecide and those of
// CheckTags.
func (s *Buckets) PutTagging(ctx context.Context, _ iam.Caller, in PutTagging) (struct{}, error) {
	if err := CheckTags(in.Tags, MaxTags); err != nil {
		return struct{}{}, err
	}
	return s.setTags(ctx, in.Ref, in.Tags)
}

// GetTagging asks for a bucket's tags.
type GetTagging struct{ Ref }

// Needs says what the request must be allowed.
func (in GetTagging) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketTagging", Resource: aws.BucketARN(in.Bucket)}}
}

// Tagging returns a bucket's tags. Faults: NoSuchBucket, NoSuchTagSet.
func (s *Buckets) Tagging(ctx context.Context, _ iam.Caller, in GetTagging) ([]Tag, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	if len(b.Tags) == 0 {
		return nil, fault.New(NoSuchTagSet, "").With("BucketName", b.Name)
	}
	return b.Tags, nil
}

// DeleteTagging removes a bucket's tags.
type DeleteTagging struct{ Ref }

// Needs says what the request must be allowed.
func (in DeleteTagging) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketTagging", Resource: aws.BucketARN(in.Bucket)}}
}

// DeleteTagging removes a bucket's tags. Faults: NoSuchBucket, TagsDecide.
func (s *Buckets) DeleteTagging(ctx context.Context, _ iam.Caller, in DeleteTagging) (struct{}, error) {
	return s.setTags(ctx, in.Ref, nil)
}

func (s *Buckets) setTags(ctx context.Context, ref Ref, tags []Tag) (struct{}, error) {
	b, err := s.Find(ctx, ref)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.update(ctx, b.UID, func(r *record) error {
		if r.ABAC {
			return fault.New(TagsDecide, "").With("BucketName", r.Name)
		}
		r.Tags = tags
		return nil
	})
}
