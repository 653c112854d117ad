// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of object ownership.
const (
	// NoOwnershipControls: the bucket has none. Detail BucketName.
	NoOwnershipControls fault.Kind = "bucket: no ownership controls"
	// ACLWithOwnership: a list that BucketOwnerEnforced does not go with.
	ACLWithOwnership fault.Kind = "bucket: ACL with BucketOwnerEnforced"
	// PublicACLBlocked: a new bucket with a list that is public, and that is blocked.
	PublicACLBlocked fault.Kind = "bucket: public ACL with public access blocked"
)

// Ownership says to whom objects in a bucket belong that others put there.
type Ownership string

// The ownerships.
const (
	BucketOwnerEnforced  Ownership = "BucketOwnerEnforced" // to the bucket's owner; lists are disabled
	BucketOwnerPreferred Ownership = "BucketOwnerPreferred"
	ObjectWriter         Ownership = "ObjectWriter"
	// NoOwnership is that of a bucket without ownership controls: as ObjectWriter.
	NoOwnership Ownership = "none"
)

// Valid reports whether a request may name it.
func (o Ownership) Valid() bool {
	return o == BucketOwnerEnforced || o == BucketOwnerPreferred || o == ObjectWriter
}

func (o Ownership) effective() Ownership {
	if o == "" {
		return BucketOwnerEnforced
	}
	return o
}

// Values gives the condition key of a request that names an ownership.
func (o Ownership) Values(key string) ([]string, bool) {
	if o == "" || key != "s3:x-amz-object-ownership" {
		return nil, false
	}
	return []string{string(o)}, true
}

// HasACLs reports whether lists of grants count in the bucket.
func (b *Bucket) HasACLs() bool { return b.Ownership != BucketOwnerEnforced }

// setAccess sets who may use a new bucket.
func (s *Buckets) setAccess(ctx context.Context, r *record, in Create) error {
	r.Ownership = in.Ownership
	if s.cfg.Legacy {
		r.PublicAccess = &PublicAccess{None: true}
		if r.Ownership == "" {
			r.Ownership = NoOwnership
		}
	}
	owner := s.cfg.CanonicalID(r.Owner)
	list := in.ACL.List(owner, owner)
	blocked := r.publicAccess()
	if list.Public() {
		account, err := s.accountAccess(ctx, r.Owner)
		if err != nil {
			return err
		}
		blocked = blocked.or(account)
	}
	switch {
	case r.Ownership.effective() == BucketOwnerEnforced && !list.OnlyOwner(owner):
		return fault.New(ACLWithOwnership, "")
	case blocked.ACLs && list.Public():
		return fault.New(PublicACLBlocked, "")
	}
	r.ACL = list
	if err := list.Check(); err != nil {
		return err
	}
	return s.grantees(ctx, in.ACL.Grants)
}

// PutOwnership sets a bucket's ownership controls.
type PutOwnership struct {
	Ref
	Ownership Ownership
}

// Needs says what the request must be allowed.
func (in PutOwnership) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketOwnershipControls", Resource: aws.BucketARN(in.Bucket)}}
}

// Values is policy.Context's.
func (in PutOwnership) Values(key string) ([]string, bool) { return in.Ownership.Values(key) }

// PutOwnership sets a bucket's ownership controls. Faults: NoSuchBucket,
// ACLWithOwnership.
func (s *Buckets) PutOwnership(ctx context.Context, _ iam.Caller, in PutOwnership) (struct{}, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.update(ctx, b.UID, func(r *record) error {
		if in.Ownership == BucketOwnerEnforced && !r.ACL.OnlyOwner(s.cfg.CanonicalID(r.Owner)) {
			return fault.New(ACLWithOwnership, "")
		}
		r.Ownership = in.Ownership
		return nil
	})
}

// GetOwnership asks for a bucket's ownership controls.
type GetOwnership struct{ Ref }

// Needs says what the request must be allowed.
func (in GetOwnership) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketOwnershipControls", Resource: aws.BucketARN(in.Bucket)}}
}

// GetOwnership returns a bucket's ownership. Faults: NoSuchBucket, NoOwnershipControls.
func (s *Buckets) GetOwnership(ctx context.Context, _ iam.Caller, in GetOwnership) (Ownership, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return "", err
	}
	if b.Ownership == NoOwnership {
		return "", fault.New(NoOwnershipControls, "").With("BucketName", b.Name)
	}
	return b.Ownership, nil
}

// DeleteOwnership removes a bucket's ownership controls.
type DeleteOwnership struct{ Ref }

// Needs says what the request must be allowed.
func (in DeleteOwnership) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketOwnershipControls", Resource: aws.BucketARN(in.Bucket)}}
}

// DeleteOwnership removes a bucket's ownership controls: from then on objects belong
// to who writes them, and lists count.
func (s *Buckets) DeleteOwnership(ctx context.Context, _ iam.Caller, in DeleteOwnership) (struct{}, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.update(ctx, b.UID, func(r *record) error { r.Ownership = NoOwnership; return nil })
}
