// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Tagging is the tags of a version. VersionID is "" in a bucket that never had
// versioning.
type Tagging struct {
	VersionID string
	Tags      []bucket.Tag
}

// PutTagging replaces a version's tags.
type PutTagging struct {
	VersionRef
	Tags []bucket.Tag
}

// Needs says what the request must be allowed.
func (in PutTagging) Needs() []policy.Need { return taggingNeeds(in.VersionRef, "s3:Put") }

// GetTagging asks for a version's tags.
type GetTagging struct{ VersionRef }

// Needs says what the request must be allowed.
func (in GetTagging) Needs() []policy.Need { return taggingNeeds(in.VersionRef, "s3:Get") }

// DeleteTagging removes a version's tags.
type DeleteTagging struct{ VersionRef }

// Needs says what the request must be allowed.
func (in DeleteTagging) Needs() []policy.Need { return taggingNeeds(in.VersionRef, "s3:Delete") }

func taggingNeeds(ref VersionRef, verb string) []policy.Need {
	what := "ObjectTagging"
	if ref.VersionID != "" {
		what = "ObjectVersionTagging"
	}
	return []policy.Need{{Action: verb + what, Resource: ref.ARN(), Version: ref.VersionID}}
}

// PutTagging replaces a version's tags. Faults: those of bucket.CheckTags,
// NoSuchKey, NoSuchVersion, DeleteMarker.
func (o *Objects) PutTagging(ctx context.Context, by iam.Caller, in PutTagging) (Tagging, error) {
	if err := bucket.CheckTags(in.Tags, MaxTags); err != nil {
		return Tagging{}, err
	}
	return o.setTags(ctx, cause{TaggingPut, by}, in.VersionRef, in.Tags)
}

// DeleteTagging removes a version's tags.
func (o *Objects) DeleteTagging(ctx context.Context, by iam.Caller, in DeleteTagging) (Tagging, error) {
	return o.setTags(ctx, cause{TaggingDeleted, by}, in.VersionRef, nil)
}

// Tagging returns a version's tags.
func (o *Objects) Tagging(ctx context.Context, _ iam.Caller, in GetTagging) (Tagging, error) {
	b, err := o.buckets.Find(ctx, in.Ref.Ref)
	if err != nil {
		return Tagging{}, err
	}
	v, err := o.find(ctx, b, in.Key, in.VersionID)
	if err == nil && v.Marker {
		err = markerFault(in.of(v), v.record)
	}
	if err != nil {
		return Tagging{}, err
	}
	return tagging(b, v.record), nil
}

func (o *Objects) setTags(ctx context.Context, why cause, ref VersionRef, tags []bucket.Tag) (Tagging, error) {
	b, err := o.buckets.ForWrite(ctx, ref.Ref.Ref)
	if err != nil {
		return Tagging{}, err
	}
	var out Tagging
	err = o.retry(ctx, ref.Ref, b.UID, func(b *bucket.Bucket) error {
		v, err := o.find(ctx, b, ref.Key, ref.VersionID)
		if err == nil && v.Marker {
			err = markerFault(ref.of(v), v.record)
		}
		if err != nil {
			return err
		}
		v.Tags = tags
		var batch meta.Batch
		notes, err := o.planChange(ctx, &batch, b, OpTags, v.record)
		if err != nil {
			return err
		}
		batch.PutIf(v.row, v.encode(), v.ver)
		out = tagging(b, v.record)
		return o.commit(ctx, &batch, append(notes, o.changed(b, why.event, why.by, v.record)...)...)
	})
	return out, err
}

// of returns a reference to the very version: who changes or reads what is beside the
// bytes learns that the current version is a delete marker, where a read finds nothing.
func (ref VersionRef) of(v found) VersionRef {
	return VersionRef{ref.Ref, v.wireVersion()}
}

func tagging(b *bucket.Bucket, r *record) Tagging {
	t := Tagging{Tags: r.Tags}
	if b.Versioning != "" {
		t.VersionID = r.wireVersion()
	}
	return t
}
