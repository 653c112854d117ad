// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// granting is to whom a new object belongs, and what its list of grants says.
type granting struct {
	owner string // account; "" is nobody's
	list  acl.List
}

// granting decides to whom a new object belongs: to the bucket's owner where lists are
// disabled, else to who writes it, unless the bucket's owner is to have it and prefers
// to. Faults: those of bucket.AskedACL.
func (o *Objects) granting(ctx context.Context, by iam.Caller, b *bucket.Bucket, asked acl.Asked) (granting, error) {
	g := granting{owner: b.Owner}
	// A service that writes for itself has no account: what it delivers is the bucket's.
	if by.Type != iam.AWSService && b.HasACLs() && !(b.Ownership == bucket.BucketOwnerPreferred && asked.Canned == acl.BucketOwnerFullControl) {
		g.owner = by.Account
	}
	if !asked.Given() {
		return g, nil
	}
	var err error
	g.list, err = o.buckets.AskedACL(ctx, b, asked, o.buckets.CanonicalID(g.owner))
	return g, err
}

// checkInitiator refuses to go on with an upload that another account began, where what
// becomes of it is that account's (S3 User Guide, "Multipart upload and
// permissions": only the initiator uploads parts and completes). Fault:
// iam.AccessDenied.
func (u *upload) checkInitiator(b *bucket.Bucket, by iam.Caller) error {
	account := ""
	if a, ok := aws.ParseARN(u.Initiator); ok {
		account = a.Account
	}
	if b.HasACLs() && account != by.Account {
		return fault.New(iam.AccessDenied, "")
	}
	return nil
}

// encodeACL writes a list of grants: for each, grantee and permission.
func encodeACL(l acl.List) []byte {
	b := []byte{}
	for _, g := range l {
		b = appendString(appendString(b, g.ID+g.Group), string(g.Permission)) // one of the two
	}
	return b
}

func decodeACL(b []byte, into *acl.List) error {
	*into = acl.List{}
	for len(b) > 0 {
		grantee, permission, rest, err := cutPair(b)
		if err != nil {
			return err
		}
		g := acl.Grant{ID: grantee, Permission: acl.Permission(permission)}
		if strings.Contains(grantee, ":") {
			g.ID, g.Group = "", grantee
		}
		*into, b = append(*into, g), rest
	}
	if into.Check() != nil {
		return errField
	}
	return nil
}

// GetACL asks for an object's list of grants.
type GetACL struct{ VersionRef }

// Needs says what the request must be allowed.
func (in GetACL) Needs() []policy.Need { return aclNeeds(in.VersionRef, "s3:Get") }

func aclNeeds(ref VersionRef, verb string) []policy.Need {
	what := "ObjectAcl"
	if ref.VersionID != "" {
		what = "ObjectVersionAcl"
	}
	return []policy.Need{{Action: verb + what, Resource: ref.ARN(), Version: ref.VersionID}}
}

// ACL is an object's list of grants. VersionID is "" in a bucket that never had
// versioning.
type ACL struct {
	bucket.Owned
	VersionID string
}

// GetACL returns an object's list of grants. Where lists are disabled it shows the
// bucket's owner alone. Faults: NoSuchKey, NoSuchVersion, DeleteMarker.
func (o *Objects) GetACL(ctx context.Context, _ iam.Caller, in GetACL) (ACL, error) {
	b, err := o.buckets.Find(ctx, in.Ref.Ref)
	if err != nil {
		return ACL{}, err
	}
	v, err := o.find(ctx, b, in.Key, in.VersionID)
	if err == nil && v.Marker {
		err = markerFault(in.VersionRef, v.record)
	}
	if err != nil {
		return ACL{}, err
	}
	return o.aclOf(b, v.record), nil
}

func (o *Objects) aclOf(b *bucket.Bucket, r *record) ACL {
	var out ACL
	out.Owner, out.Grants = o.buckets.CanonicalID(r.Owner), r.ACL
	if !b.HasACLs() {
		out.Owner, out.Grants = o.buckets.CanonicalID(b.Owner), nil
	}
	out.Grants = out.Grants.Effective(out.Owner)
	if b.Versioning != "" {
		out.VersionID = r.wireVersion()
	}
	return out
}

// PutACL sets an object's list of grants.
type PutACL struct {
	VersionRef
	ACL acl.Asked
	// Owner is the owner that the request's document names, "" for none.
	Owner string
}

// Needs says what the request must be allowed.
func (in PutACL) Needs() []policy.Need { return aclNeeds(in.VersionRef, "s3:Put") }

// PutACL sets an object's list of grants. Faults: NoSuchKey, NoSuchVersion,
// DeleteMarker, bucket.PublicBlocked, those of package acl.
func (o *Objects) PutACL(ctx context.Context, by iam.Caller, in PutACL) (ACL, error) {
	b, err := o.buckets.ForWrite(ctx, in.Ref.Ref)
	if err != nil {
		return ACL{}, err
	}
	var out ACL
	err = o.retry(ctx, in.Ref, b.UID, func(b *bucket.Bucket) error {
		v, err := o.find(ctx, b, in.Key, in.VersionID)
		if err == nil && v.Marker {
			err = markerFault(in.of(v), v.record)
		}
		if err != nil {
			return err
		}
		shown := o.aclOf(b, v.record)
		if in.Owner != "" && in.Owner != shown.Owner {
			return fault.New(acl.NotThisOwner, "")
		}
		list, err := o.buckets.AskedACL(ctx, b, in.ACL, shown.Owner)
		if err != nil {
			return err
		}
		var batch meta.Batch
		guard, ver := b.Guard() // do lists count still?
		batch.Cond(guard, ver)
		var notes []note
		if b.HasACLs() {
			v.ACL = list
			if notes, err = o.planChange(ctx, &batch, b, OpACL, v.record); err != nil {
				return err
			}
		}
		out = o.aclOf(b, v.record)
		batch.PutIf(v.row, v.encode(), v.ver)
		return o.commit(ctx, &batch, append(notes, o.changed(b, ACLPut, by, v.record)...)...)
	})
	return out, err
}
