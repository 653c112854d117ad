// SPDX-License-Identifier: Apache-2.0

package acl

import "slices"

// Canned is the name of a list that S3 knows.
type Canned string

// The canned lists.
const (
	Private                Canned = "private"
	PublicRead             Canned = "public-read"
	PublicReadWrite        Canned = "public-read-write"
	AuthenticatedRead      Canned = "authenticated-read"
	AWSExecRead            Canned = "aws-exec-read"
	BucketOwnerRead        Canned = "bucket-owner-read"
	BucketOwnerFullControl Canned = "bucket-owner-full-control"
	LogDeliveryWrite       Canned = "log-delivery-write"
)

// Valid reports whether there is such a list.
func (c Canned) Valid() bool {
	switch c {
	case Private, PublicRead, PublicReadWrite, AuthenticatedRead, AWSExecRead, BucketOwnerRead, BucketOwnerFullControl, LogDeliveryWrite:
		return true
	}
	return false
}

// Asked is what a request says of a list: at most one of the two.
type Asked struct {
	Canned Canned
	Grants List // not nil: these and nothing else
}

// Given reports whether the request says anything.
func (a Asked) Given() bool { return a.Canned != "" || a.Grants != nil }

// List returns the list that is asked for, of what belongs to owner in a bucket of
// bucketOwner; both are canonical user ids. Nil is the owner's alone.
func (a Asked) List(owner, bucketOwner string) List {
	if a.Grants != nil {
		if len(a.Grants) == 1 && a.Grants[0] == (Grant{ID: owner, Permission: FullControl}) {
			return nil
		}
		return slices.Clone(a.Grants)
	}
	l := List{{ID: owner, Permission: FullControl}}
	switch a.Canned {
	case PublicRead:
		return append(l, Grant{Group: AllUsers, Permission: Read})
	case PublicReadWrite:
		return append(l, Grant{Group: AllUsers, Permission: Read}, Grant{Group: AllUsers, Permission: Write})
	case AuthenticatedRead:
		return append(l, Grant{Group: AuthenticatedUsers, Permission: Read})
	case BucketOwnerRead:
		if owner != bucketOwner {
			return append(l, Grant{ID: bucketOwner, Permission: Read})
		}
	case BucketOwnerFullControl:
		if owner != bucketOwner {
			return append(l, Grant{ID: bucketOwner, Permission: FullControl})
		}
	case LogDeliveryWrite:
		return append(l, Grant{Group: LogDelivery, Permission: Write}, Grant{Group: LogDelivery, Permission: ReadACP})
	}
	return nil
}

// AllowedDisabled reports whether a request may ask for this list where lists are
// disabled: for nothing, or for what is so anyway. Both ids are canonical.
func (a Asked) AllowedDisabled(bucketOwner string) bool {
	if a.Grants != nil {
		return len(a.Grants) == 1 && a.Grants[0] == (Grant{ID: bucketOwner, Permission: FullControl})
	}
	return a.Canned == "" || a.Canned == BucketOwnerFullControl
}
