// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"cmp"
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
// whether it is empty; remove its rows on condition that the mark still stands.
// What else is kept for it is cleared only then: until the rows are gone the
// deletion may fail, and the bucket's keys will be needed again.
// Faults: NoSuchBucket, NotEmpty, BeingDeleted.
func (s *Buckets) Delete(ctx context.Context, _ iam.Caller, in Delete) (struct{}, error) {
	b, err := s.ForWrite(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	// Looked at first without the mark, which would refuse the writers of a bucket
	// that stays.
	if err := s.mustBeEmpty(ctx, b); err != nil {
		return struct{}{}, err
	}
	ver, at, err := s.mark(ctx, b)
	if err == nil {
		err = s.mustBeEmpty(ctx, b)
	}
	if err == nil {
		err = s.remove(ctx, b, ver)
	}
	if err != nil {
		return struct{}{}, errors.Join(err, s.unmark(ctx, b.UID, at))
	}
	if b.Logging != nil {
		// If it fails, a bucket of this name, made again, is not logged until the next change
		// or start.
		_ = s.relog(context.WithoutCancel(ctx), b)
	}
	// The bucket is gone, whatever comes now. The row that remove left behind has
	// ClearDeleted try again, and say so if it fails.
	_ = s.clear(context.WithoutCancel(ctx), b.UID)
	return struct{}{}, nil
}

func (s *Buckets) mustBeEmpty(ctx context.Context, b *Bucket) error {
	empty, err := s.empty(ctx, b.UID)
	if err == nil && !empty {
		return fault.New(NotEmpty, "%s", notEmptyText(b)).With("BucketName", b.Name)
	}
	return err
}

// remove removes the rows of a bucket that was marked at ver, and leaves one that
// says what is still to clear.
func (s *Buckets) remove(ctx context.Context, b *Bucket, ver uint64) error {
	var batch meta.Batch
	batch.Cond(recordKey(b.UID), ver)
	batch.Cond(guardKey(b.UID), ver)
	batch.Delete(nameKey(b.Name))
	batch.Delete(recordKey(b.UID))
	batch.Delete(guardKey(b.UID))
	batch.Delete(policyKey(b.UID))
	batch.Put(clearKey(b.UID), []byte{0})
	err := s.commit(ctx, b.Name, &batch)
	return conflictAs(err, BeingDeleted)
}

// clear drops what is kept for a deleted bucket.
func (s *Buckets) clear(ctx context.Context, uid UID) error {
	if s.cfg.Clear != nil {
		if err := s.cfg.Clear(ctx, uid); err != nil {
			return fmt.Errorf("clear deleted bucket %x: %w", uid, err)
		}
	}
	if err := s.clearDocuments(ctx, uid); err != nil {
		return fmt.Errorf("clear documents of deleted bucket %x: %w", uid, err)
	}
	var batch meta.Batch
	batch.Delete(clearKey(uid))
	if _, err := s.store.Commit(ctx, &batch); err != nil {
		return fmt.Errorf("end clearing deleted bucket %x: %w", uid, err)
	}
	return nil
}

// ClearDeleted clears the buckets whose deletion was cut short after they were gone,
// and returns how many. It is safe to repeat and to run beside deletions. One that
// cannot be cleared does not keep it from the others; the first such error is
// returned in the end.
func (s *Buckets) ClearDeleted(ctx context.Context) (cleared int, failed error) {
	start := []byte(clearRows)
	for {
		page, err := s.store.Scan(ctx, meta.Range{Start: start, End: meta.PrefixEnd([]byte(clearRows)), KeysOnly: true})
		if err != nil {
			return cleared, fmt.Errorf("find deleted buckets: %w", err)
		}
		for _, item := range page.Items {
			var uid UID
			copy(uid[:], item.Key[len(clearRows):])
			if err := s.clear(ctx, uid); err != nil {
				failed = cmp.Or(failed, err)
				continue
			}
			cleared++
		}
		if !page.More || ctx.Err() != nil {
			return cleared, failed
		}
		start = page.Next
	}
}

func notEmptyText(b *Bucket) string {
	if b.Versioning != "" {
		return "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
	}
	return ""
}

// mark begins the deletion and returns the version that record and guard have now,
// and the time that it wrote.
func (s *Buckets) mark(ctx context.Context, b *Bucket) (ver uint64, at time.Time, err error) {
	_, r, err := s.read(ctx, b.UID)
	if err != nil {
		return 0, at, err
	}
	at = time.Now()
	r.Deleting = &at
	var batch meta.Batch
	batch.PutIf(recordKey(b.UID), encode(r), b.ver)
	batch.PutIf(guardKey(b.UID), []byte{0}, b.guard)
	ver, err = s.store.Commit(ctx, &batch)
	return ver, at, conflictAs(err, BeingDeleted)
}

// unmark takes back the mark made at that time, if it stands.
func (s *Buckets) unmark(ctx context.Context, uid UID, at time.Time) error {
	// The client may be gone: the mark must not stay because of that.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := s.update(ctx, uid, func(r *record) error {
		if r.Deleting == nil || !r.Deleting.Equal(at) {
			return errOtherMark
		}
		r.Deleting = nil
		return nil
	})
	if errors.Is(err, errOtherMark) || errors.Is(err, NoSuchBucket) { // somebody else deletes it, or did
		return nil
	}
	return err
}

var errOtherMark = errors.New("bucket: the mark is not this deletion's")

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
