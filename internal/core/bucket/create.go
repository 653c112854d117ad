// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Create makes a bucket.
type Create struct {
	Bucket   string
	Location string // LocationConstraint; "" when absent
	HasTags  bool
	Tags     []Tag
	// Ownership is "" for the default.
	Ownership Ownership
	ACL       acl.Asked
	// AccountRegional says that the name is to be one of the account's own in this region.
	AccountRegional bool
	// ObjectLock says that the bucket has Object Lock, and with it versioning.
	ObjectLock bool
}

// Needs says what the request must be allowed.
func (in Create) Needs() []policy.Need {
	arn := aws.BucketARN(in.Bucket)
	needs := []policy.Need{{Action: "s3:CreateBucket", Resource: arn}}
	if in.ACL.Given() {
		needs = append(needs, policy.Need{Action: "s3:PutBucketAcl", Resource: arn})
	}
	if in.Ownership != "" {
		needs = append(needs, policy.Need{Action: "s3:PutBucketOwnershipControls", Resource: arn})
	}
	if in.ObjectLock {
		needs = append(needs, policy.Need{Action: "s3:PutBucketObjectLockConfiguration", Resource: arn},
			policy.Need{Action: "s3:PutBucketVersioning", Resource: arn})
	}
	return needs
}

// Values is policy.Context's.
func (in Create) Values(key string) ([]string, bool) {
	if key == "s3:locationconstraint" && in.Location != "" {
		return []string{in.Location}, true
	}
	return in.Ownership.Values(key)
}

// defaultRegion is the region whose CreateBucket takes no location constraint,
// and in which creating one's own bucket again succeeds.
const defaultRegion = "us-east-1"

// Create makes a bucket. Faults: InvalidName, InvalidLocation, IllegalLocation,
// AlreadyOwnedByYou, AlreadyExists.
func (s *Buckets) Create(ctx context.Context, by iam.Caller, in Create) (*Bucket, error) {
	if !aws.ValidBucketName(in.Bucket) {
		return nil, fault.New(InvalidName, "").With("BucketName", in.Bucket)
	}
	if account, region, ok := accountRegional(in.Bucket); ok && account != by.Account || in.AccountRegional && (!ok || region != s.cfg.Region) {
		return nil, fault.New(InvalidName, "").With("BucketName", in.Bucket)
	}
	if err := s.checkLocation(in.Location); err != nil {
		return nil, err
	}
	r := record{
		Name: in.Bucket, Owner: by.Account, Region: s.cfg.Region, Tags: in.Tags,
		Created:    time.Now().UTC().Truncate(time.Millisecond),
		Encryption: Encryption{Algorithm: "AES256", BlockSSEC: !s.cfg.Legacy},
	}
	if in.ObjectLock {
		r.ObjectLock, r.Versioning = new(ObjectLock), Enabled
	}
	if err := s.setAccess(ctx, &r, in); err != nil {
		return nil, err
	}
	for range maxConflicts {
		b, err := s.create(ctx, r)
		var conflict *meta.ConflictError
		if errors.As(err, &conflict) {
			b, err = s.createAgain(ctx, by, in)
			if errors.Is(err, NoSuchBucket) { // deleted meanwhile: the name is free
				continue
			}
		}
		return b, err
	}
	return nil, fault.New(BeingDeleted, "").Because(errors.New("the name is made and deleted again and again"))
}

// accountRegional reads a name PREFIX-ACCOUNT-REGION-an, which is in the namespace of an
// account: no other one may make such a bucket (S3 User Guide, "Namespaces for general
// purpose buckets").
func accountRegional(name string) (account, region string, ok bool) {
	name, ok = strings.CutSuffix(name, "-an")
	words := strings.Split(name, "-")
	for _, of := range []int{3, 4} { // us-east-1, us-gov-west-1
		if at := len(words) - of - 1; ok && at > 0 && aws.ValidAccount(words[at]) {
			return words[at], strings.Join(words[at+1:], "-"), true
		}
	}
	return "", "", false
}

// create makes the bucket's rows. A *meta.ConflictError says that the name is taken.
func (s *Buckets) create(ctx context.Context, r record) (*Bucket, error) {
	var uid UID
	rand.Read(uid[:])
	var batch meta.Batch
	batch.PutIf(nameKey(r.Name), uid[:], 0)
	batch.PutIf(recordKey(uid), encode(r), 0)
	batch.PutIf(guardKey(uid), []byte{0}, 0)
	ver, err := s.store.Commit(ctx, &batch) // a name that is not known: nothing to forget
	if err != nil {
		return nil, fmt.Errorf("create bucket %q: %w", r.Name, err)
	}
	return r.bucket(uid, ver, ver), nil
}

// createAgain answers for a name that is taken.
func (s *Buckets) createAgain(ctx context.Context, by iam.Caller, in Create) (*Bucket, error) {
	b, err := s.Find(ctx, Ref{Bucket: in.Bucket})
	if err != nil {
		return nil, err
	}
	switch {
	case b.Owner != by.Account:
		return nil, fault.New(AlreadyExists, "").With("BucketName", in.Bucket)
	case s.cfg.Region == defaultRegion && !in.HasTags && (b.ObjectLock != nil || !in.ObjectLock):
		return b, nil
	}
	return nil, fault.New(AlreadyOwnedByYou, "").With("BucketName", in.Bucket)
}

// regionName is what a location constraint looks like; EU is that of eu-west-1 of old.
var regionName = regexp.MustCompile(`^(EU|[a-z]{2,}(-[a-z]+)+-[0-9]+)$`)

func (s *Buckets) checkLocation(location string) error {
	if s.cfg.Region == defaultRegion {
		switch location {
		case "":
			return nil
		case defaultRegion:
			return fault.New(InvalidLocation, "").With("LocationConstraint", location)
		}
	}
	// Elsewhere a missing constraint is tolerated: a store of one region has no
	// other place to put the bucket, and tools written for us-east-1 send none.
	if location == "" || location == s.cfg.Region {
		return nil
	}
	if !regionName.MatchString(location) {
		return fault.New(InvalidLocation, "").With("LocationConstraint", location)
	}
	return fault.New(IllegalLocation, "The %s location constraint is incompatible for the region specific endpoint this request was sent to.", location)
}
