// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// PutRetention sets the retention of a version, or removes it.
type PutRetention struct {
	VersionRef
	Mode  bucket.RetentionMode // "" removes the retention
	Until time.Time
	May   Bypass
}

// Needs says what the request must be allowed.
func (in PutRetention) Needs() []policy.Need {
	return lockNeeds(in.VersionRef, "s3:PutObjectRetention")
}

// Values is policy.Context's.
func (in PutRetention) Values(key string) ([]string, bool) { return in.lock().Values(key) }

func (in PutRetention) lock() Lock {
	if in.Mode == "" {
		return Lock{}
	}
	return Lock{Mode: in.Mode, Until: in.Until.UTC().Truncate(time.Millisecond)}
}

// GetRetention asks for the retention of a version.
type GetRetention struct{ VersionRef }

// Needs says what the request must be allowed.
func (in GetRetention) Needs() []policy.Need {
	return lockNeeds(in.VersionRef, "s3:GetObjectRetention")
}

// PutLegalHold sets or lifts the legal hold on a version.
type PutLegalHold struct {
	VersionRef
	Hold LegalHold
}

// Needs says what the request must be allowed.
func (in PutLegalHold) Needs() []policy.Need {
	return lockNeeds(in.VersionRef, "s3:PutObjectLegalHold")
}

// Values is policy.Context's.
func (in PutLegalHold) Values(key string) ([]string, bool) { return Lock{Hold: in.Hold}.Values(key) }

// GetLegalHold asks for the legal hold on a version.
type GetLegalHold struct{ VersionRef }

// Needs says what the request must be allowed.
func (in GetLegalHold) Needs() []policy.Need {
	return lockNeeds(in.VersionRef, "s3:GetObjectLegalHold")
}

// MayBypass asks whether somebody may bypass the retention of a version.
type MayBypass struct {
	VersionRef
	Lock Lock // that the version is to get, if any
}

// Values is policy.Context's.
func (in MayBypass) Values(key string) ([]string, bool) { return in.Lock.Values(key) }

// Needs says what it takes.
func (in MayBypass) Needs() []policy.Need {
	return lockNeeds(in.VersionRef, "s3:BypassGovernanceRetention")
}

// lockNeeds: these actions have no other name for a version that is asked for by its id.
func lockNeeds(ref VersionRef, action string) []policy.Need {
	return []policy.Need{{Action: action, Resource: ref.ARN(), Version: ref.VersionID}}
}

// javaDate is how S3 writes the date that it refuses here.
const javaDate = "Mon Jan 02 15:04:05 MST 2006"

// PutRetention sets the retention of a version. Faults: LockNotEnabled, RetentionPast,
// NoSuchKey, NoSuchVersion, DeleteMarker, Locked, those of the bypass.
func (o *Objects) PutRetention(ctx context.Context, _ iam.Caller, in PutRetention) (struct{}, error) {
	to := in.lock()
	if err := o.checkFuture(to, "RetainUntilDate", to.Until.Format(javaDate)); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, o.relock(ctx, in.VersionRef, OpRetention, func(l *Lock) error {
		if err := o.changeable(ctx, in.VersionRef, *l, to, in.May); err != nil {
			return err
		}
		l.Mode, l.Until = to.Mode, to.Until
		return nil
	})
}

// PutLegalHold sets or lifts the legal hold on a version, whatever its retention. Faults:
// LockNotEnabled, NoSuchKey, NoSuchVersion, DeleteMarker.
func (o *Objects) PutLegalHold(ctx context.Context, _ iam.Caller, in PutLegalHold) (struct{}, error) {
	return struct{}{}, o.relock(ctx, in.VersionRef, OpLegalHold, func(l *Lock) error { l.Hold = in.Hold; return nil })
}

// relock changes the lock of a version.
func (o *Objects) relock(ctx context.Context, ref VersionRef, op Operation, change func(*Lock) error) error {
	b, err := o.buckets.ForWrite(ctx, ref.Ref.Ref)
	if err != nil {
		return err
	}
	return o.retry(ctx, ref.Ref, b.UID, func(b *bucket.Bucket) error {
		v, err := o.lockable(ctx, b, ref)
		if err != nil {
			return err
		}
		if err := change(&v.Lock); err != nil {
			return err
		}
		var batch meta.Batch
		notes, err := o.planChange(ctx, &batch, b, op, v.record)
		if err != nil {
			return err
		}
		batch.PutIf(v.row, v.encode(), v.ver)
		return o.commit(ctx, &batch, notes...)
	})
}

// GetRetention returns the retention of a version, also one that has ended. Faults:
// LockNotEnabled, NoSuchKey, NoSuchVersion, DeleteMarker, NoLock.
func (o *Objects) GetRetention(ctx context.Context, _ iam.Caller, in GetRetention) (Lock, error) {
	return o.lock(ctx, in.VersionRef, func(l Lock) bool { return l.Mode != "" })
}

// GetLegalHold returns the legal hold on a version, also one that was lifted. Faults:
// LockNotEnabled, NoSuchKey, NoSuchVersion, DeleteMarker, NoLock.
func (o *Objects) GetLegalHold(ctx context.Context, _ iam.Caller, in GetLegalHold) (Lock, error) {
	return o.lock(ctx, in.VersionRef, func(l Lock) bool { return l.Hold != "" })
}

// lock returns the lock of a version that has what is asked for.
func (o *Objects) lock(ctx context.Context, ref VersionRef, has func(Lock) bool) (Lock, error) {
	b, err := o.buckets.Find(ctx, ref.Ref.Ref)
	if err != nil {
		return Lock{}, err
	}
	v, err := o.lockable(ctx, b, ref)
	if err != nil {
		return Lock{}, err
	}
	if !has(v.Lock) {
		return Lock{}, fault.New(NoLock, "")
	}
	return v.Lock, nil
}

// lockable finds a version that can have a lock: one that is no delete marker, where there is
// Object Lock.
func (o *Objects) lockable(ctx context.Context, b *bucket.Bucket, ref VersionRef) (found, error) {
	v, err := o.find(ctx, b, ref.Key, ref.VersionID)
	switch {
	case err != nil:
	case v.Marker:
		err = markerFault(ref, v.record)
	case b.ObjectLock == nil:
		err = fault.New(LockNotEnabled, "")
	}
	return v, err
}
