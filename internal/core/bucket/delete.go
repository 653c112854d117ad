// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Delete removes an empty bucket.
type Delete struct{ Ref }

// Needs says what the request must be allowed.
func (in Delete) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:DeleteBucket", Resource: aws.BucketARN(in.Bucket)}}
}

// Contents are the prefixes of the rows that make a bucket not empty: current
// versions and older ones. An upload under way does not keep a bucket, as on S3.
var contents = []string{"c/", "v/"}

// Delete removes an empty bucket, in three steps: mark it and rewrite the guard,
// so that writers who began earlier conflict and later ones are refused; look
// whether it is empty and clear what else is kept for it; remove its rows on
// condition that the mark still stands.
// Faults: NoSuchBucket, NotEmpty, BeingDeleted.
func (s *Buckets) Delete(ctx context.Context, _ iam.Caller, in Delete) (struct{}, error) {
	b, err := s.ForWrite(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	ver, err := s.mark(ctx, b)
	if err != nil {
		return struct{}{}, err
	}
	empty, err := s.empty(ctx, b.UID)
	if err == nil && !empty {
		err = fault.New(NotEmpty, "%s", notEmptyText(b)).With("BucketName", b.Name)
	}
	if err != nil {
		return struct{}{}, errors.Join(err, s.unmark(ctx, b.UID))
	}
	if s.cfg.Clear != nil {
		if err := s.cfg.Clear(ctx, b.UID); err != nil {
			return struct{}{}, errors.Join(fmt.Errorf("clear bucket %q: %w", b.Name, err), s.unmark(ctx, b.UID))
		}
	}
	var batch meta.Batch
	batch.Cond(recordKey(b.UID), ver)
	batch.Cond(guardKey(b.UID), ver)
	batch.Delete(nameKey(b.Name))
	batch.Delete(recordKey(b.UID))
	batch.Delete(guardKey(b.UID))
	if _, err := s.store.Commit(ctx, &batch); err != nil {
		return struct{}{}, conflictAs(err, BeingDeleted)
	}
	return struct{}{}, nil
}

func notEmptyText(b *Bucket) string {
	if b.Versioning != "" {
		return "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
	}
	return ""
}

// mark begins the deletion and returns the version that record and guard have now.
func (s *Buckets) mark(ctx context.Context, b *Bucket) (uint64, error) {
	_, r, err := s.read(ctx, b.UID)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	r.Deleting = &now
	var batch meta.Batch
	batch.PutIf(recordKey(b.UID), encode(r), b.ver)
	batch.PutIf(guardKey(b.UID), []byte{0}, b.guard)
	ver, err := s.store.Commit(ctx, &batch)
	return ver, conflictAs(err, BeingDeleted)
}

func (s *Buckets) unmark(ctx context.Context, uid UID) error {
	// The client may be gone: the mark must not stay because of that.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return s.update(ctx, uid, func(r *record) error { r.Deleting = nil; return nil })
}

func (s *Buckets) empty(ctx context.Context, uid UID) (bool, error) {
	for _, p := range contents {
		prefix := append(append([]byte(p), uid[:]...), '/')
		page, err := s.store.Scan(ctx, meta.Range{Start: prefix, End: meta.PrefixEnd(prefix), Limit: 1, KeysOnly: true})
		if err != nil {
			return false, fmt.Errorf("look for objects: %w", err)
		}
		if len(page.Items) > 0 {
			return false, nil
		}
	}
	return true, nil
}

// conflictAs turns a conflict into a fault of the kind.
func conflictAs(err error, kind fault.Kind) error {
	var conflict *meta.ConflictError
	if errors.As(err, &conflict) {
		return fault.New(kind, "").Because(err)
	}
	return err
}
