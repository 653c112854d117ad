// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Reasons of failures (S3 User Guide, "Amazon S3 replication failure reasons").
const (
	srcNotPermitted = "SrcGetObjectNotPermitted"
	srcKeyState     = "SrcKmsKeyInvalidState"
	srcNotEligible  = "SrcObjectNotEligible"
	dstNoBucket     = "DstBucketNotFound"
	dstUnversioned  = "DstBucketUnversioned"
	dstNoLock       = "DstBucketObjectLockConfigMissing"
	dstNotPermitted = "DstPutObjectNotPermitted"
	dstACL          = "DstPutAclNotPermitted"
	dstNoKey        = "DstKmsKeyNotFound"
	dstKeyState     = "DstKmsKeyInvalidState"
	dstNoVersion    = "DstVersionNotFound"
)

// replicating is a version on its way to another bucket.
type replicating struct {
	Replicate
	src *copySource
	dst *bucket.Bucket
	ref Ref // at the destination
	by  iam.Caller
}

// replicate is one try of Replicate.
func (o *Objects) replicate(ctx context.Context, by iam.Caller, in Replicate) (Replica, error) {
	p := &replicating{Replicate: in, ref: Ref{bucket.Ref{Bucket: in.Destination}, in.Key}, by: by}
	p.src = &copySource{o: o, ticket: o.reads.begin()}
	defer p.src.Close()
	if err := o.replicaSource(ctx, p); err != nil {
		return Replica{}, err
	}
	if err := o.replicaBucket(ctx, p); err != nil {
		return Replica{}, err
	}
	r := p.src.r
	_, err := o.find(ctx, p.dst, r.Key, r.id().String())
	switch {
	case err == nil:
		return o.syncReplica(ctx, p)
	case !errors.Is(err, NoSuchVersion):
		return Replica{}, err
	}
	if r.Replication.was(in.Destination) {
		// It was there, and somebody deleted it for good.
		return Replica{Taken: p.taken(in.Operation.aspect())}, &ReplicaError{Reason: dstNoVersion, Err: err}
	}
	making := o.makeReplica
	if r.Marker {
		making = o.makeMarker
	}
	out, err := making(ctx, p)
	if errors.Is(err, errReplicaThere) { // by another try of this
		return o.syncReplica(ctx, p)
	}
	return out, err
}

// replicaSource finds the version to replicate.
func (o *Objects) replicaSource(ctx context.Context, p *replicating) error {
	b, err := o.buckets.Find(ctx, p.Source)
	if errors.Is(err, bucket.NoSuchBucket) || err == nil && b.UID != p.SourceUID {
		return ErrSourceGone
	}
	if err != nil {
		return err
	}
	v, err := o.find(ctx, b, p.Key, p.VersionID)
	if errors.Is(err, NoSuchKey) || errors.Is(err, NoSuchVersion) {
		return ErrSourceGone
	}
	if err != nil {
		return err
	}
	if v.Null { // it would replace another one
		return &ReplicaError{Reason: srcNotEligible, Err: errors.New("the version is null")}
	}
	p.src.b, p.src.r = b, v.record
	if d := p.Decided; d != nil && (v.Replication.Changed != d.Changed || !v.Marker && o.encryptionOf(ctx, b, v.record).Algorithm != d.Algorithm) {
		return ErrChanged
	}
	return nil
}

// replicaBucket finds the bucket that is to have the replica.
func (o *Objects) replicaBucket(ctx context.Context, p *replicating) (err error) {
	p.dst, err = o.buckets.ForWrite(ctx, p.ref.Ref)
	if err != nil {
		return bucketGone(err)
	}
	if d := p.Decided; d != nil && p.dst.UID != d.Destination { // deleted, and made again
		return &ReplicaError{Reason: dstNoBucket}
	}
	return takesReplica(p.src.b, p.dst)
}

// takesReplica faults a bucket that cannot have replicas of another's versions.
func takesReplica(src, dst *bucket.Bucket) error {
	switch {
	case dst.Versioning != bucket.Enabled:
		return &ReplicaError{Reason: dstUnversioned}
	case src.ObjectLock != nil && dst.ObjectLock == nil:
		return &ReplicaError{Reason: dstNoLock}
	}
	return nil
}

// replicaChoice says how a replica is encrypted: as the source is, under the rule's key. Only
// what is reported as not encrypted takes the default of the bucket (S3 User Guide,
// "Replicating encrypted objects").
func (o *Objects) replicaChoice(ctx context.Context, p *replicating, was sse.Applied) (sse.Choice, error) {
	switch was.Algorithm {
	case sse.NotSSE:
		return sse.Effective(sse.Request{}, p.dst.Default()), nil
	case sse.AES256:
		return sse.Choice{Algorithm: sse.AES256}, nil
	case sse.KMS, sse.DSSE:
	default:
		return sse.Choice{}, &ReplicaError{Reason: dstNotPermitted, Err: errors.New("a customer's key is not kept")}
	}
	if p.KMSKey == "" {
		return sse.Choice{}, &ReplicaError{Reason: srcNotEligible, Err: errors.New("the rule has no key for it")}
	}
	pairs, err := o.keys.CallersContext(ctx, keyBucket(p.src.b), p.src.r.Wrap)
	return sse.Choice{Algorithm: was.Algorithm, KeyID: p.KMSKey, BucketKey: was.BucketKey, Context: pairs}, err
}

// sourceFailure and destinationFailure tell failures of keys that last from others.
func sourceFailure(err error) error {
	switch {
	case errors.Is(err, kms.AccessDenied):
		return &ReplicaError{Reason: srcNotPermitted, Err: err}
	case errors.Is(err, kms.Disabled), errors.Is(err, kms.InvalidState), errors.Is(err, kms.NotFound):
		return &ReplicaError{Reason: srcKeyState, Err: err}
	}
	return err
}

func destinationFailure(err error) error {
	var told *ReplicaError
	switch {
	case errors.As(err, &told):
	case errors.Is(err, kms.AccessDenied):
		return &ReplicaError{Reason: dstNotPermitted, Err: err}
	case errors.Is(err, kms.Disabled), errors.Is(err, kms.InvalidState), errors.Is(err, kms.InvalidKeyUsage):
		return &ReplicaError{Reason: dstKeyState, Err: err}
	case errors.Is(err, kms.NotFound), errors.Is(err, kms.InvalidArn), errors.Is(err, kms.Validation):
		return &ReplicaError{Reason: dstNoKey, Err: err}
	}
	return err
}

// makeReplica makes the replica of an object. Its bytes pass as a stream; its data key is its
// own.
func (o *Objects) makeReplica(ctx context.Context, p *replicating) (Replica, error) {
	if p.src.r.archived() {
		return Replica{}, &ReplicaError{Reason: srcNotEligible, Err: errors.New("the version is archived")}
	}
	was, err := o.keys.Applied(ctx, keyBucket(p.src.b), p.src.r.Key, p.src.r.Wrap)
	if err != nil {
		return Replica{}, err
	}
	choice, err := o.replicaChoice(ctx, p, was)
	if err != nil {
		return Replica{}, err
	}
	plain, err := p.src.open(ctx, p.by, 0, p.src.r.Size)
	if err != nil {
		return Replica{}, sourceFailure(err)
	}
	defer plain.Close()
	s, err := o.keys.ForWrite(ctx, p.by, keyBucket(p.dst), p.Key, choice)
	if err != nil {
		return Replica{}, destinationFailure(err)
	}
	defer s.Clear()
	r, err := o.replicaRecord(ctx, p, s)
	if err != nil {
		return Replica{}, err
	}
	made, err := o.replicaStreams(ctx, p, plain, s, r)
	defer o.making.remove(made)
	if err == nil {
		var out Replica
		out, err = o.publishReplica(ctx, p, s, r, made, choice.FromDefault)
		if err == nil {
			return out, nil
		}
	}
	if !outcomeOpen(err) {
		o.discard(ctx, made...)
	}
	return Replica{}, sourceError(err)
}

// replicaRecord begins the record of a replica: all that is known before its bytes are sealed.
func (o *Objects) replicaRecord(ctx context.Context, p *replicating, s *sse.Sealing) (*record, error) {
	src := p.src.r
	g, err := o.replicaGranting(ctx, p, p.dst)
	if err != nil {
		return nil, err
	}
	r := &record{
		Bucket: p.dst.UID, Key: src.Key, UID: src.UID, Time: src.Time, Created: src.Created, Owner: g.owner, ACL: g.list,
		Size: src.Size, ETag: src.ETag, Checksum: src.Checksum, Headers: src.Headers, Body: s.Format(),
		StorageClass: src.StorageClass, Lock: src.Lock,
		Replication: replication{Replica: true, Changed: src.Replication.Changed},
	}
	if !p.WithoutTags {
		r.Tags = src.Tags
	}
	if p.StorageClass != "" {
		r.StorageClass = p.StorageClass
	}
	if c := r.StorageClass; c != "" && !storageClasses[c] {
		return nil, &ReplicaError{Reason: dstNotPermitted, Err: fault.New(InvalidStorageClass, "").With("StorageClassRequested", c)}
	}
	if src.Upload != nil {
		// It has parts, but its data key is bound to what it is: the upload was the source's.
		r.Upload = &boundUpload{Created: src.Upload.Created}
	}
	if !s.Applied().ByService() && p.src.applied.ByService() {
		if r.ETag, err = opaqueETag(src.ETag); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// opaqueETag returns an ETag that is not made of the data, in the form of another one.
func opaqueETag(like string) (string, error) {
	sum := make([]byte, 16)
	if _, err := rand.Read(sum); err != nil {
		return "", err
	}
	_, parts, ok := strings.Cut(like, "-")
	if !ok {
		return hex.EncodeToString(sum), nil
	}
	return hex.EncodeToString(sum) + "-" + parts, nil
}

// replicaGranting is to whom a replica belongs: to the source's owner, with the same grants,
// unless the bucket or the rule gives it to the bucket's owner.
func (o *Objects) replicaGranting(ctx context.Context, p *replicating, dst *bucket.Bucket) (granting, error) {
	if !dst.HasACLs() || p.ToOwner {
		return granting{owner: dst.Owner}, nil
	}
	if !p.src.b.HasACLs() { // what the record says does not count
		return granting{owner: p.src.b.Owner}, nil
	}
	g := granting{owner: p.src.r.Owner, list: p.src.r.ACL}
	if g.list.Public() {
		blocked, err := o.buckets.Blocked(ctx, dst)
		if err != nil {
			return g, err
		}
		if blocked.ACLs {
			return g, &ReplicaError{Reason: dstACL, Err: fault.New(bucket.PublicBlocked, "")}
		}
	}
	return g, nil
}

// replicaStreams seals the source's bytes anew, part by part, and its annotations. The streams
// that it returns are to be discarded on an error.
func (o *Objects) replicaStreams(ctx context.Context, p *replicating, plain *body, s *sse.Sealing, r *record) (made []stream, err error) {
	for _, from := range p.src.r.Parts {
		st, err := o.ingest(ctx, s, io.LimitReader(plain, from.Size), ingestion{size: from.Size, limit: from.Size, algorithm: checksum.Default})
		if err != nil {
			return made, err
		}
		o.making.add(st)
		made = append(made, st)
		to := st.part
		to.Number, to.Checksum = from.Number, from.Checksum
		r.Parts = append(r.Parts, to)
	}
	if len(p.src.r.Annotations) == 0 {
		return made, nil
	}
	beside, err := o.copyAnnotations(ctx, p.src, plain.opening, s, "", r)
	o.making.add(beside...)
	return append(made, beside...), err
}

// publishReplica wraps the replica's data key, binds it to the record, and puts that into its
// place.
func (o *Objects) publishReplica(ctx context.Context, p *replicating, s *sse.Sealing, r *record, streams []stream, fromDefault bool) (out Replica, err error) {
	lock := r.Lock
	err = o.wrapping(ctx, s, func() error {
		if r.Wrap, err = s.Wrap(ctx, r.descriptor(), sse.BindDescriptor); err != nil {
			return fmt.Errorf("wrap data key: %w", err)
		}
		return o.placeReplica(ctx, p, r, placingReplica{
			event: CreatedPut, lock: lock,
			result: func(b *bucket.Bucket) Replica {
				out = Replica{Made: true, Size: r.Size, Stored: o.stored(ctx, b, r, s.Applied(), fromDefault), FromSSE: p.src.applied, Taken: p.taken(allAspects)}
				return out
			},
			add: func(batch *meta.Batch) {
				for i := range streams {
					streams[i].record(batch)
				}
			},
		})
	})
	return out, destinationFailure(err)
}

// makeMarker makes the replica of a delete marker.
func (o *Objects) makeMarker(ctx context.Context, p *replicating) (out Replica, err error) {
	src := p.src.r
	r := &record{
		Bucket: p.dst.UID, Key: src.Key, UID: src.UID, Time: src.Time, Marker: true, Created: src.Created, Owner: src.Owner,
		Replication: replication{Replica: true},
	}
	if !p.dst.HasACLs() || p.ToOwner {
		r.Owner = p.dst.Owner
	}
	err = o.placeReplica(ctx, p, r, placingReplica{event: Hidden, add: func(*meta.Batch) {}, result: func(*bucket.Bucket) Replica {
		out = Replica{Made: true, Marker: true, Stored: Stored{VersionID: r.wireVersion(), Modified: r.modified()}, Taken: p.taken(allAspects)}
		return out
	}})
	return out, err
}
