// SPDX-License-Identifier: Apache-2.0

// Package acl is S3's access control lists: who is granted what on one bucket or one
// object. It is pure. Lists are evaluated by package access and kept with what they
// are about.
package acl

import (
	"slices"

	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault.
const (
	// Invalid: a list that cannot be. The message says why.
	Invalid fault.Kind = "acl: invalid list"
	// InvalidGrantee: a grantee that there is none of. The message says why.
	InvalidGrantee fault.Kind = "acl: invalid grantee"
	// ByEmail: a grantee that is named by an e-mail address.
	ByEmail fault.Kind = "acl: grantee by e-mail address"
	// Disabled: an ACL for what is in a bucket whose ACLs are disabled.
	Disabled fault.Kind = "acl: the bucket has ACLs disabled"
	// NotThisOwner: the list names an owner who is not.
	NotThisOwner fault.Kind = "acl: the owner cannot be changed"
)

// Permission is what a grant allows.
type Permission string

// The permissions.
const (
	Read        Permission = "READ"
	Write       Permission = "WRITE"
	ReadACP     Permission = "READ_ACP"
	WriteACP    Permission = "WRITE_ACP"
	FullControl Permission = "FULL_CONTROL"
)

// Valid reports whether there is such a permission.
func (p Permission) Valid() bool {
	return p == Read || p == Write || p == ReadACP || p == WriteACP || p == FullControl
}

// The groups that a grant can be for.
const (
	AllUsers           = "http://acs.amazonaws.com/groups/global/AllUsers"
	AuthenticatedUsers = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
	LogDelivery        = "http://acs.amazonaws.com/groups/s3/LogDelivery"
)

// LogService is the service principal that delivers server access logs. It alone is of the
// group [LogDelivery].
const LogService = "logging.s3.amazonaws.com"

// ValidGroup reports whether there is such a group.
func ValidGroup(uri string) bool {
	return uri == AllUsers || uri == AuthenticatedUsers || uri == LogDelivery
}

// MaxGrants is the most grants of a list.
const MaxGrants = 100

// AnonymousID is the canonical user id of who does not sign.
const AnonymousID = "65a011a29cdf8ec533ec3d1ccaae921c"

// Grant is a permission for one account, by its canonical user id, or one group.
type Grant struct {
	ID         string     `json:"id,omitempty"`
	Group      string     `json:"group,omitempty"`
	Permission Permission `json:"permission"`
}

// List is the grants on a bucket or an object. Nil is the list of what has none of its
// own: everything for the owner. It must not be changed.
type List []Grant

// Public reports whether a list grants something to everybody, or to everybody who
// has an account.
func (l List) Public() bool {
	return slices.ContainsFunc(l, func(g Grant) bool { return g.Group == AllUsers || g.Group == AuthenticatedUsers })
}

// Who is the caller, as far as lists know.
type Who struct {
	ID        string // canonical user id of the account; [AnonymousID]
	Anonymous bool
	// LogDelivery is the service that delivers access logs.
	LogDelivery bool
	// NoPublic leaves out what is granted to everybody (IgnorePublicAcls).
	NoPublic bool
}

// Allows reports whether a grant of the list is for the caller and has the permission.
func (l List) Allows(p Permission, who Who) bool {
	for _, g := range l {
		if g.Permission != p && g.Permission != FullControl {
			continue
		}
		if who.Anonymous && who.NoPublic && !(who.LogDelivery && g.Group == LogDelivery) {
			continue // what is for nobody by name is for everybody, too
		}
		switch {
		case g.ID != "":
			if g.ID == who.ID {
				return true
			}
		case g.Group == LogDelivery:
			if who.LogDelivery {
				return true
			}
		case who.NoPublic:
		case g.Group == AllUsers, g.Group == AuthenticatedUsers && !who.Anonymous:
			return true
		}
	}
	return false
}

// ForLogs reports whether a bucket's list lets the service deliver logs there: WRITE and
// READ_ACP for the group of log delivery.
func (l List) ForLogs() bool {
	has := func(p Permission) bool {
		return slices.ContainsFunc(l, func(g Grant) bool {
			return g.Group == LogDelivery && (g.Permission == p || g.Permission == FullControl)
		})
	}
	return has(Write) && has(ReadACP)
}

// Effective returns the list as it is shown: that of what has none of its own grants
// the owner everything.
func (l List) Effective(owner string) List {
	if l == nil {
		return List{{ID: owner, Permission: FullControl}}
	}
	return l
}

// OnlyOwner reports whether a list grants nobody anything but the owner.
func (l List) OnlyOwner(owner string) bool {
	return !slices.ContainsFunc(l, func(g Grant) bool { return g.ID != owner })
}

// Check holds a list against what lists can be. Faults: Invalid, InvalidGrantee.
func (l List) Check() error {
	if len(l) > MaxGrants {
		return fault.New(Invalid, "")
	}
	for _, g := range l {
		switch {
		case !g.Permission.Valid(), (g.ID == "") == (g.Group == ""):
			return fault.New(Invalid, "")
		case g.Group != "" && !ValidGroup(g.Group):
			return fault.New(InvalidGrantee, "Invalid group uri").With("ArgumentName", "Group/URI").With("ArgumentValue", g.Group)
		}
	}
	return nil
}
