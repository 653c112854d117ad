// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"fmt"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Kinds of fault of UpdateEncryption.
const (
	// InvalidUpdate: the object's encryption cannot be changed in place.
	InvalidUpdate fault.Kind = "object: encryption cannot be updated"
	// ForeignKey: the key is not of the bucket owner's account.
	ForeignKey fault.Kind = "object: key of another account"
)

// UpdateEncryption changes the KMS key, or the use of a Bucket Key, of what is
// stored (S3 API Reference, UpdateObjectEncryption).
type UpdateEncryption struct {
	VersionRef
	KeyARN    string
	BucketKey bool
}

// Encryption returns what the request asks for.
func (in UpdateEncryption) Encryption() sse.Request {
	return sse.Request{Algorithm: sse.KMS, KeyID: in.KeyARN, BucketKey: &in.BucketKey}
}

// Values is policy.Context's: the method is that of the document, whatever a header says.
func (in UpdateEncryption) Values(key string) ([]string, bool) {
	if key != "s3:x-amz-server-side-encryption" {
		return nil, false
	}
	return []string{sse.KMS}, true
}

// Needs says what the request must be allowed.
func (in UpdateEncryption) Needs() []policy.Need {
	return []policy.Need{
		{Action: "s3:PutObject", Resource: in.ARN(), Version: in.VersionID},
		{Action: "s3:UpdateObjectEncryption", Resource: in.ARN(), Version: in.VersionID},
	}
}

// Updated describes the encryption after an update.
type Updated struct {
	VersionID string
	SSE       sse.Applied
	Before    sse.Applied
}

// UpdateEncryption wraps the data key of a version under another KMS key, with or
// without a Bucket Key. No byte of the body is read or written; ETag,
// Last-Modified, checksums and version stay. The version is the one that the request
// names, or the one that is current when it begins. Faults: NoSuchKey,
// NoSuchVersion, DeleteMarker, Locked, InvalidUpdate, ForeignKey, and those of kms.
func (o *Objects) UpdateEncryption(ctx context.Context, by iam.Caller, in UpdateEncryption) (Updated, error) {
	return rereading(func() (Updated, error) { return o.updateEncryption(ctx, by, in) })
}

func (o *Objects) updateEncryption(ctx context.Context, by iam.Caller, in UpdateEncryption) (Updated, error) {
	b, err := o.buckets.ForWrite(ctx, in.Ref.Ref)
	if err != nil {
		return Updated{}, err
	}
	if arn, ok := aws.ParseARN(in.KeyARN); !ok || arn.Account != b.Owner {
		return Updated{}, fault.New(ForeignKey, "")
	}
	v, err := o.find(ctx, b, in.Key, in.VersionID)
	if err == nil && v.Marker {
		err = markerFault(VersionRef{Ref: in.Ref}.of(v), v.record)
	}
	if err != nil {
		return Updated{}, err
	}
	if o.protected(v.record) {
		return Updated{}, fault.New(Locked, "")
	}
	choice := sse.Choice{Algorithm: sse.KMS, KeyID: in.KeyARN, BucketKey: in.BucketKey}
	if err := sse.CheckTransport(choice, by); err != nil {
		return Updated{}, err
	}
	was, err := o.keys.Applied(ctx, keyBucket(b), v.Key, v.Wrap)
	if err != nil {
		return Updated{}, err
	}
	if was.Algorithm != sse.AES256 && was.Algorithm != sse.KMS {
		return Updated{}, fault.New(InvalidUpdate, "The encryption type of the object cannot be updated")
	}
	opening, err := o.opening(ctx, by, b, v.record, sse.CustomerKey{})
	if err != nil {
		return Updated{}, err
	}
	s, err := o.keys.ForRewrap(ctx, by, keyBucket(b), v.Key, opening, choice)
	if err != nil {
		opening.Clear()
		return Updated{}, err
	}
	defer s.Clear()
	if err := o.rewrap(ctx, in.Ref, b, v, s); err != nil {
		return Updated{}, err
	}
	out := Updated{SSE: s.Applied(), Before: opening.Applied()}
	if b.Versioning != "" {
		out.VersionID = v.wireVersion()
	}
	return out, nil
}

// rewrap puts the data key's new wrap into the version's row, wherever that stands
// by then: another write may have moved it behind a newer version. The wrap binds
// the version's own descriptor, also if the one before was an upload's.
func (o *Objects) rewrap(ctx context.Context, ref Ref, b *bucket.Bucket, v found, s *sse.Sealing) error {
	return o.wrapping(ctx, s, func() error {
		d := v.descriptor()
		wrap, err := s.Wrap(ctx, d, sse.BindDescriptor)
		if err != nil {
			return fmt.Errorf("wrap data key: %w", err)
		}
		if err := s.Verify(ctx, keyBucket(b), wrap, d); err != nil {
			return fmt.Errorf("verify new wrap: %w", err)
		}
		return o.replaceWrap(ctx, ref, b, v, wrap)
	})
}

// replaceWrap puts a new wrap into the row of a version: where that was found, and
// if anything changed since, wherever it stands by then.
func (o *Objects) replaceWrap(ctx context.Context, ref Ref, b *bucket.Bucket, v found, wrap []byte) error {
	err := o.putWrap(ctx, b, v, wrap)
	var conflict *meta.ConflictError
	if !errors.As(err, &conflict) {
		return err
	}
	return o.retry(ctx, ref, b.UID, func(b *bucket.Bucket) error {
		now, err := o.find(ctx, b, v.Key, v.wireVersion())
		if errors.Is(err, NoSuchVersion) || err == nil && now.UID != v.UID {
			return fault.New(NoSuchKey, "").With("Key", v.Key)
		}
		if err != nil {
			return err
		}
		if o.protected(now.record) {
			return fault.New(Locked, "")
		}
		return o.putWrap(ctx, b, now, wrap)
	})
}

// putWrap puts a new wrap into the row of a version, on condition of that row and of
// the bucket's guard as they were read.
func (o *Objects) putWrap(ctx context.Context, b *bucket.Bucket, v found, wrap []byte) error {
	if err := o.fresh(ctx, b.UID, wrap); err != nil {
		return err
	}
	r := *v.record
	r.Wrap = wrap
	var batch meta.Batch
	guard, ver := b.Guard()
	batch.Cond(guard, ver)
	batch.PutIf(v.row, r.encode(), v.ver)
	if err := o.depend(ctx, &batch, b.UID, dependence{v.Wrap, -1}, dependence{wrap, +1}); err != nil {
		return err
	}
	return o.commit(ctx, &batch)
}
