// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// GetACL asks for a bucket's list of grants.
type GetACL struct{ Ref }

// Needs says what the request must be allowed.
func (in GetACL) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketAcl", Resource: aws.BucketARN(in.Bucket)}}
}

// Owned is a list of grants and the canonical user id of the owner.
type Owned struct {
	Owner  string
	Grants acl.List
}

// GetACL returns a bucket's list of grants. Where lists are disabled it shows the
// owner alone.
func (s *Buckets) GetACL(ctx context.Context, _ iam.Caller, in GetACL) (Owned, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return Owned{}, err
	}
	out := Owned{Owner: s.CanonicalID(b.Owner), Grants: b.ACL}
	if !b.HasACLs() {
		out.Grants = nil
	}
	out.Grants = out.Grants.Effective(out.Owner)
	return out, nil
}

// CanonicalID returns the canonical user id of an account; "" is nobody's.
func (s *Buckets) CanonicalID(account string) string {
	if account == "" {
		return acl.AnonymousID
	}
	return s.cfg.CanonicalID(account)
}

// PutACL sets a bucket's list of grants.
type PutACL struct {
	Ref
	ACL acl.Asked
	// Owner is the owner that the request's document names, "" for none.
	Owner string
}

// Needs says what the request must be allowed.
func (in PutACL) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketAcl", Resource: aws.BucketARN(in.Bucket)}}
}

// PutACL sets a bucket's list of grants. Faults: NoSuchBucket, PublicBlocked, those of
// package acl.
func (s *Buckets) PutACL(ctx context.Context, _ iam.Caller, in PutACL) (struct{}, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	owner := s.CanonicalID(b.Owner)
	if in.Owner != "" && in.Owner != owner {
		return struct{}{}, fault.New(acl.NotThisOwner, "")
	}
	list, err := s.AskedACL(ctx, b, in.ACL, owner)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.update(ctx, b.UID, func(r *record) error {
		if b.HasACLs() != (r.Ownership.effective() != BucketOwnerEnforced) {
			return fault.New(BeingDeleted, "") // its ownership changed meanwhile
		}
		if b.HasACLs() {
			r.ACL = list
		}
		return nil
	})
}

// AskedACL returns the list that a request asks for, of what belongs to owner, a
// canonical user id, in a bucket; nil when that is the owner's alone. Faults:
// acl.Disabled, acl.Invalid, acl.InvalidGrantee, PublicBlocked.
func (s *Buckets) AskedACL(ctx context.Context, b *Bucket, asked acl.Asked, owner string) (acl.List, error) {
	if !asked.Given() {
		return nil, nil
	}
	if err := asked.Grants.Check(); err != nil {
		return nil, err
	}
	bucketOwner := s.CanonicalID(b.Owner)
	if !b.HasACLs() {
		if !asked.AllowedDisabled(bucketOwner) {
			return nil, fault.New(acl.Disabled, "")
		}
		return nil, nil
	}
	list := asked.List(owner, bucketOwner)
	if list.Public() {
		blocked, err := s.Blocked(ctx, b)
		if err != nil {
			return nil, err
		}
		if blocked.ACLs {
			return nil, fault.New(PublicBlocked, "").With("BucketName", b.Name)
		}
	}
	return list, s.grantees(ctx, asked.Grants)
}

// grantees looks for the accounts that grants are for. Fault: acl.InvalidGrantee.
func (s *Buckets) grantees(ctx context.Context, l acl.List) error {
	if s.cfg.Principals == nil {
		return nil
	}
	for _, g := range l {
		if g.ID == "" {
			continue
		}
		account, err := s.cfg.Principals.AccountOf(ctx, g.ID)
		if err != nil {
			return err
		}
		if account == "" {
			return fault.New(acl.InvalidGrantee, "Invalid id").With("ArgumentName", "CanonicalUser/ID").With("ArgumentValue", g.ID)
		}
	}
	return nil
}
