// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of Object Lock.
const (
	// Locked: the version's lock forbids it.
	Locked fault.Kind = "object: protected by object lock"
	// NoLock: nobody ever set what is asked for on the version.
	NoLock fault.Kind = "object: no object lock configuration"
	// LockNotEnabled: the bucket has no Object Lock.
	LockNotEnabled fault.Kind = "object: bucket without object lock"
	// RetentionPast: a retention that is to end in the past. Details ArgumentName and
	// ArgumentValue.
	RetentionPast fault.Kind = "object: retention ends in the past"
	// LockNeedsDigest: what is to be locked must come with a digest of its bytes.
	LockNeedsDigest fault.Kind = "object: locked object without a digest"
	// BypassNotApplicable: there is nothing to bypass in a bucket without Object Lock.
	// Detail ArgumentName.
	BypassNotApplicable fault.Kind = "object: bypass in a bucket without object lock"
)

// Lock is what protects a version from removal.
type Lock struct {
	Mode  bucket.RetentionMode // "" without retention
	Until time.Time            // when the retention ends, to the millisecond; with Mode
	Hold  LegalHold
}

// LegalHold says whether there is a legal hold on a version; "" when there never was one.
type LegalHold string

// The states of a legal hold.
const (
	HoldOn  LegalHold = "ON"
	HoldOff LegalHold = "OFF"
)

// given reports whether a request asks for any part of a lock.
func (l Lock) given() bool { return l != Lock{} }

// clock tells whether retentions have ended. A host's clock can be set while the service
// runs; what has passed since the service began cannot. A retention has ended when both say so,
// and begins at the later of the two: setting the clock, either way, makes none shorter. A
// clock that is wrong at the start is not noticed (docs/aws-divergences.md).
type clock struct {
	began time.Time // by what counts on
	said  time.Time // by the clock
}

func newClock() clock {
	now := time.Now()
	return clock{now, now.Round(0)}
}

func (c clock) times() (earlier, later time.Time) {
	set, counted := time.Now().Round(0), c.said.Add(time.Since(c.began))
	if set.Before(counted) {
		return set, counted
	}
	return counted, set
}

// retained reports whether a retention protects now.
func (o *Objects) retained(l Lock) bool {
	if l.Mode == "" {
		return false
	}
	now, _ := o.clock.times()
	return now.Before(l.Until)
}

// protected reports whether a version must stay now, unless somebody may bypass its
// retention.
func (o *Objects) protected(r *record) bool { return r.Lock.Hold == HoldOn || o.retained(r.Lock) }

// Bypass asks whether the caller may bypass the retention of a version: nil when it may. It
// is asked only for versions that a retention in governance mode protects. nil is for who
// does not want to bypass any.
type Bypass func(ctx context.Context, in VersionRef) error

// removable faults the removal of a version that its lock protects. Faults: Locked, those of
// bypass.
func (o *Objects) removable(ctx context.Context, ref VersionRef, r *record, bypass Bypass) error {
	switch {
	case !o.protected(r):
		return nil
	case r.Lock.Hold == HoldOn, r.Lock.Mode != bucket.Governance, bypass == nil:
		return fault.New(Locked, "")
	}
	return bypass(ctx, ref)
}

// changeable faults a change of a version's retention that its lock forbids: one in compliance
// mode can only be made longer, one in governance mode too, without a bypass (S3 User Guide,
// "Object Lock considerations"). Faults: Locked, those of bypass.
func (o *Objects) changeable(ctx context.Context, ref VersionRef, was, to Lock, bypass Bypass) error {
	switch {
	case !o.retained(was), to.Mode == was.Mode && !to.Until.Before(was.Until):
		return nil
	case was.Mode != bucket.Governance, bypass == nil:
		return fault.New(Locked, "")
	}
	return bypass(ctx, ref)
}

// checkLock refuses, before any byte is read, a lock that a new version cannot have. Faults:
// LockNotEnabled, RetentionPast.
func (o *Objects) checkLock(b *bucket.Bucket, asked Lock) error {
	if !asked.given() {
		return nil
	}
	if err := o.checkFuture(asked, "x-amz-object-lock-retain-until-date", asked.Until.Format(time.RFC3339)); err != nil {
		return err
	}
	if b.ObjectLock == nil {
		return fault.New(LockNotEnabled, "Bucket is missing ObjectLockConfiguration")
	}
	return nil
}

// checkDigest refuses bytes that are to be locked and come without a digest of them: who
// finds out too late that they are the wrong ones cannot remove them. what is Object or Part.
// A service has its bytes in its own hands. Fault: LockNeedsDigest.
func checkDigest(b *bucket.Bucket, by iam.Caller, asked Lock, e Expect, what string) error {
	locks := asked.given() || b.ObjectLock != nil && b.ObjectLock.Mode != ""
	if !locks || e.MD5 != nil || e.Value != nil || by.Type == iam.AWSService {
		return nil
	}
	return fault.New(LockNeedsDigest, "Content-MD5 OR x-amz-checksum- HTTP header is required for Put %s requests with Object Lock parameters", what)
}

// checkFuture refuses a retention that ends in the past. Fault: RetentionPast.
func (o *Objects) checkFuture(l Lock, name, value string) error {
	_, now := o.clock.times()
	if l.Mode == "" || l.Until.After(now) {
		return nil
	}
	return fault.New(RetentionPast, "").With("ArgumentName", name).With("ArgumentValue", value)
}

// lockOf returns the lock of a new version: what was asked for and, where that has no
// retention, the bucket's default.
func (o *Objects) lockOf(b *bucket.Bucket, asked Lock, made int64) Lock {
	if d := b.ObjectLock; d != nil && d.Mode != "" && asked.Mode == "" {
		_, now := o.clock.times()
		if at := time.UnixMilli(made); at.After(now) {
			now = at
		}
		asked.Mode, asked.Until = d.Mode, d.Until(now).Truncate(time.Millisecond)
	}
	return asked
}

// Values gives the condition keys of a request for a lock (Service Authorization Reference,
// "Condition keys for Amazon S3").
func (l Lock) Values(key string) ([]string, bool) {
	one := func(v string, ok bool) ([]string, bool) {
		if !ok {
			return nil, false
		}
		return []string{v}, true
	}
	switch key {
	case "s3:object-lock-mode":
		return one(string(l.Mode), l.Mode != "")
	case "s3:object-lock-legal-hold":
		return one(string(l.Hold), l.Hold != "")
	case "s3:object-lock-retain-until-date":
		return one(l.Until.Format(time.RFC3339), l.Mode != "")
	case "s3:object-lock-remaining-retention-days":
		// A day that has begun counts: who asks for ten days must not be told that it was
		// nine, because the request took a moment.
		return one(strconv.Itoa(int(math.Ceil(time.Until(l.Until).Hours()/24))), l.Mode != "")
	}
	return nil, false
}

// Codes of modes and holds in rows; 0 is none.
var (
	modeCodes = []bucket.RetentionMode{"", bucket.Governance, bucket.Compliance}
	holdCodes = []LegalHold{"", HoldOff, HoldOn}
)

const lockSize = 1 + 8 + 1

// encode writes u8 mode ‖ u64 until, ms ‖ u8 hold. docs/formats.md, "COR1", tag 4A.
func (l Lock) encode() []byte {
	b := make([]byte, lockSize)
	for i, m := range modeCodes {
		if m == l.Mode {
			b[0] = byte(i)
		}
	}
	if l.Mode != "" {
		binary.BigEndian.PutUint64(b[1:], uint64(l.Until.UnixMilli()))
	}
	for i, h := range holdCodes {
		if h == l.Hold {
			b[9] = byte(i)
		}
	}
	return b
}

// decode refuses what encode does not write: a lock that is not understood must not be taken
// for none.
func (l *Lock) decode(v []byte) error {
	if len(v) != lockSize || int(v[0]) >= len(modeCodes) || int(v[9]) >= len(holdCodes) {
		return errField
	}
	ms := int64(binary.BigEndian.Uint64(v[1:]))
	*l = Lock{Mode: modeCodes[v[0]], Hold: holdCodes[v[9]]}
	if (l.Mode == "" && ms != 0) || ms < 0 || !l.given() {
		return errField
	}
	if l.Mode != "" {
		l.Until = time.UnixMilli(ms).UTC()
	}
	return nil
}
