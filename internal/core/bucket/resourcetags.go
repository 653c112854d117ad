// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
)

// Tagged is the bucket of a request that names it by its ARN, and the account that the
// request says it is of.
type Tagged struct {
	Account string
	Bucket  string
}

func (t Tagged) need(action string) []policy.Need {
	return []policy.Need{{Action: action, Resource: aws.BucketARN(t.Bucket)}}
}

// tagged returns the bucket. Faults: NoSuchBucket, OtherAccount.
func (s *Buckets) tagged(ctx context.Context, by iam.Caller, t Tagged) (*Bucket, error) {
	if err := ownAccount(by, t.Account); err != nil {
		return nil, err
	}
	b, err := s.Find(ctx, Ref{Bucket: t.Bucket})
	if err == nil {
		err = ownAccount(by, b.Owner)
	}
	return b, err
}

// TagResource adds tags to a bucket, or gives those that it has other values (S3 API
// Reference, TagResource).
type TagResource struct {
	Tagged
	Tags []Tag
}

// Needs says what the request must be allowed.
func (in TagResource) Needs() []policy.Need { return in.need("s3:TagResource") }

// Values is policy.Context's: the tags that the request brings.
func (in TagResource) Values(key string) ([]string, bool) { return requestedTags(in.Tags, key) }

// TagResource adds tags. Faults: NoSuchBucket, OtherAccount, those of CheckTags.
func (s *Buckets) TagResource(ctx context.Context, by iam.Caller, in TagResource) (struct{}, error) {
	b, err := s.tagged(ctx, by, in.Tagged)
	if err != nil {
		return struct{}{}, err
	}
	if err := CheckTags(in.Tags, MaxTags); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.update(ctx, b.UID, func(r *record) error {
		tags := slices.Clone(r.Tags)
		for _, t := range in.Tags {
			if i := slices.IndexFunc(tags, func(old Tag) bool { return old.Key == t.Key }); i >= 0 {
				tags[i] = t
			} else {
				tags = append(tags, t)
			}
		}
		r.Tags = tags
		return CheckTags(tags, MaxTags)
	})
}

// UntagResource takes tags from a bucket.
type UntagResource struct {
	Tagged
	Keys []string
}

// Needs says what the request must be allowed.
func (in UntagResource) Needs() []policy.Need { return in.need("s3:UntagResource") }

// Values is policy.Context's: the keys that the request names.
func (in UntagResource) Values(key string) ([]string, bool) {
	if key == "aws:tagkeys" && len(in.Keys) > 0 {
		return in.Keys, true
	}
	return nil, false
}

// UntagResource takes tags; of those that are not there it says nothing. Faults:
// NoSuchBucket, OtherAccount.
func (s *Buckets) UntagResource(ctx context.Context, by iam.Caller, in UntagResource) (struct{}, error) {
	b, err := s.tagged(ctx, by, in.Tagged)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.update(ctx, b.UID, func(r *record) error {
		r.Tags = slices.DeleteFunc(slices.Clone(r.Tags), func(t Tag) bool { return slices.Contains(in.Keys, t.Key) })
		return nil
	})
}

// ListTagsForResource asks for a bucket's tags.
type ListTagsForResource struct{ Tagged }

// Needs says what the request must be allowed.
func (in ListTagsForResource) Needs() []policy.Need { return in.need("s3:ListTagsForResource") }

// ListTagsForResource returns a bucket's tags. Faults: NoSuchBucket, OtherAccount.
func (s *Buckets) ListTagsForResource(ctx context.Context, by iam.Caller, in ListTagsForResource) ([]Tag, error) {
	b, err := s.tagged(ctx, by, in.Tagged)
	if err != nil {
		return nil, err
	}
	return b.Tags, nil
}

// requestedTags returns the values of the condition keys aws:TagKeys and aws:RequestTag.
func requestedTags(tags []Tag, key string) (values []string, ok bool) {
	const requestTag = "aws:requesttag/"
	for _, t := range tags {
		switch {
		case key == "aws:tagkeys":
			values = append(values, t.Key)
		case len(key) == len(requestTag)+len(t.Key) && key[:len(requestTag)] == requestTag && strings.EqualFold(t.Key, key[len(requestTag):]):
			values = append(values, t.Value)
		}
	}
	return values, values != nil
}
