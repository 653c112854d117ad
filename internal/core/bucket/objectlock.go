// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"strconv"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of Object Lock.
const (
	// NoObjectLock: the bucket has no Object Lock configuration. Detail BucketName.
	NoObjectLock fault.Kind = "bucket: no object lock configuration"
	// LockNeedsVersioning: Object Lock is for buckets with versioning enabled.
	LockNeedsVersioning fault.Kind = "bucket: object lock needs versioning"
	// VersioningLocked: versioning cannot be suspended where there is Object Lock.
	VersioningLocked fault.Kind = "bucket: versioning is locked"
	// InvalidRetention: a default retention that is none.
	InvalidRetention fault.Kind = "bucket: default retention invalid"
	// InvalidRetentionPeriod: a period that is out of bounds. Details ArgumentName and
	// ArgumentValue.
	InvalidRetentionPeriod fault.Kind = "bucket: default retention period out of bounds"
)

// RetentionMode says how a retention protects a version.
type RetentionMode string

// The modes.
const (
	Governance RetentionMode = "GOVERNANCE" // who has the permission may bypass it
	Compliance RetentionMode = "COMPLIANCE" // nobody may
)

// Valid reports whether it is one of the modes.
func (m RetentionMode) Valid() bool { return m == Governance || m == Compliance }

// ObjectLock is a bucket's Object Lock: that it has one, and what protects new versions
// that bring no retention of their own. Without Mode, nothing does; with it, either Days or
// Years is set.
type ObjectLock struct {
	Mode  RetentionMode `json:"mode,omitempty"`
	Days  int           `json:"days,omitempty"`
	Years int           `json:"years,omitempty"`
}

// Longest default retention (S3 User Guide, "Object Lock considerations").
const (
	maxRetentionDays  = 36500
	maxRetentionYears = 100
)

// Until returns when the default retention of a version ends that is made at a time.
func (l *ObjectLock) Until(made time.Time) time.Time { return made.UTC().AddDate(l.Years, 0, l.Days) }

// check faults a configuration that cannot be. Faults: InvalidRetention,
// InvalidRetentionPeriod.
func (in PutObjectLock) check() error {
	switch {
	case !in.Rule:
		return nil
	case !in.Mode.Valid(), (in.Days == nil) == (in.Years == nil):
		return fault.New(InvalidRetention, "")
	case in.Days != nil:
		return checkPeriod("Days", *in.Days, maxRetentionDays)
	}
	return checkPeriod("Years", *in.Years, maxRetentionYears)
}

func checkPeriod(unit string, n, most int) error {
	text := "Default retention period must be a positive integer value."
	switch {
	case n > most:
		text = "Default retention period too large."
	case n > 0:
		return nil
	}
	return fault.New(InvalidRetentionPeriod, "%s", text).With("ArgumentName", unit).With("ArgumentValue", strconv.Itoa(n))
}

// PutObjectLock enables a bucket's Object Lock, for ever, and sets its default retention.
type PutObjectLock struct {
	Ref
	Rule  bool // there is to be a default retention: what follows
	Mode  RetentionMode
	Days  *int
	Years *int
}

// Needs says what the request must be allowed.
func (in PutObjectLock) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketObjectLockConfiguration", Resource: aws.BucketARN(in.Bucket)}}
}

// Values is policy.Context's.
func (in PutObjectLock) Values(key string) ([]string, bool) {
	switch {
	case !in.Rule:
	case key == "s3:object-lock-mode":
		return []string{string(in.Mode)}, true
	case key == "s3:object-lock-remaining-retention-days" && in.Days != nil:
		return []string{strconv.Itoa(*in.Days)}, true
	case key == "s3:object-lock-remaining-retention-days" && in.Years != nil:
		return []string{strconv.Itoa(*in.Years * 365)}, true
	}
	return nil, false
}

// PutObjectLock enables a bucket's Object Lock and sets its default retention, for later
// writes. Faults: NoSuchBucket, InvalidRetention, InvalidRetentionPeriod,
// LockNeedsVersioning.
func (s *Buckets) PutObjectLock(ctx context.Context, _ iam.Caller, in PutObjectLock) (struct{}, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	if err := in.check(); err != nil {
		return struct{}{}, err
	}
	lock := new(ObjectLock)
	if in.Rule {
		lock.Mode = in.Mode
		if in.Days != nil {
			lock.Days = *in.Days
		} else {
			lock.Years = *in.Years
		}
	}
	return struct{}{}, s.update(ctx, b.UID, func(r *record) error {
		if r.Versioning != Enabled {
			return fault.New(LockNeedsVersioning, "")
		}
		r.ObjectLock = lock
		return nil
	})
}

// GetObjectLock asks for a bucket's Object Lock.
type GetObjectLock struct{ Ref }

// Needs says what the request must be allowed.
func (in GetObjectLock) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketObjectLockConfiguration", Resource: aws.BucketARN(in.Bucket)}}
}

// GetObjectLock returns a bucket's Object Lock. Faults: NoSuchBucket, NoObjectLock.
func (s *Buckets) GetObjectLock(ctx context.Context, _ iam.Caller, in GetObjectLock) (*ObjectLock, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	if b.ObjectLock == nil {
		return nil, fault.New(NoObjectLock, "").With("BucketName", b.Name)
	}
	return b.ObjectLock, nil
}
