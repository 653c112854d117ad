// SPDX-License-Identifier: Apache-2.0

// Package policy is the IAM policy language: documents, what they allow, and why
// not. It is pure: no I/O, no clock. A document is parsed once and is then read by
// any number of goroutines.
package policy

import (
	"errors"

	"github.com/cofferstore/coffer/internal/fault"
)

// Malformed: a text is no policy document of its kind. The fault's message is the
// one that AWS's service gives for that kind.
const Malformed fault.Kind = "policy: malformed document"

// Kind says where a document stands. Its grammar and the texts of its errors follow
// from it.
type Kind uint8

// The kinds.
const (
	Identity       Kind = iota // of a user, group or role, inline or managed; also as a permissions boundary
	Session                    // passed when a session begins
	ServiceControl             // what an account's principals may be allowed at all
	Trust                      // who may assume a role
	Bucket                     // of a bucket
	Key                        // of a KMS key
)

// Need is one action on one resource that a request must be allowed.
type Need struct {
	Action   string // "s3:PutObject", "kms:Decrypt"
	Resource string // ARN; "*" for actions without one
	Version  string // of the object that Resource names; "" is the current one
	Keys     Values // condition keys that the request itself sets; may be nil
}

// Context is the condition keys of a request. The names are asked for in lower
// case as a whole, "s3:existingobjecttag/team" too. It is asked only for keys that
// a policy in question names, so a value may be found when it is asked for.
type Context interface {
	// Values returns a key's values; present is false when the request has no
	// such key. The slice must not be changed.
	Values(key string) (values []string, present bool)
}

// Values is a Context that is known beforehand. Its keys are in lower case.
type Values map[string][]string

// Values is Context's.
func (v Values) Values(key string) ([]string, bool) {
	values, present := v[key]
	return values, present
}

// PrincipalType is what a principal is; the names are those of aws:PrincipalType.
type PrincipalType string

// The types.
const (
	Account       PrincipalType = "Account" // an account's root
	User          PrincipalType = "User"
	AssumedRole   PrincipalType = "AssumedRole"
	FederatedUser PrincipalType = "FederatedUser"
	Anonymous     PrincipalType = "Anonymous"
	Service       PrincipalType = "Service"     // a service for itself; ARN is its name, "s3.amazonaws.com"
	WebIdentity   PrincipalType = "WebIdentity" // before it has assumed a role; ARN is its provider's
)

// Principal is who asks, as far as policies know.
type Principal struct {
	Type    PrincipalType
	Account string
	ARN     string // of the root, the user, the session
	ID      string // the user's unique id; a session's: its role's
	RoleARN string // of a role's session
}

// Attached is a document where it stands.
type Attached struct {
	Name string // a managed policy's ARN, an inline one's name
	Doc  *Document
}

// Rights is what a principal's own account says of it, put together for deciding.
// NewRights makes it; it does not change.
type Rights struct {
	RightsConfig
	index rightsIndex
}

// RightsConfig is what Rights are made of.
type RightsConfig struct {
	Policies []Attached // the user's and its groups', or the role's
	Boundary *Attached  // nil: none. One whose Doc is nil allows nothing
	// Session holds the policies that narrow a session, if Narrowed; together
	// they allow what one of them allows.
	Session  []Attached
	Narrowed bool
	// Controls are the service control policies of the account, level by level;
	// each level must allow. Nil: none apply.
	Controls [][]Attached
}

// Question asks whether a principal may do something.
type Question struct {
	Principal Principal
	Rights    *Rights // nil: its account allows it nothing
	Action    string
	Resource  string
	Owner     string // the account of the resource; "" is the principal's
	Context   Context

	Policy *Document // of the resource; nil: it has none
	// Decides says that the resource's policy is the primary control, as KMS keys'
	// and roles' are: without its allow, or its delegation to the account, the
	// rights allow nothing, and the account's root is a principal as any other.
	Decides bool
	// Granted says that the resource allows it in another way: a grant of a KMS key,
	// an access control list.
	Granted bool
	// ToRole says that what is Granted is so to the principal's role, which boundary and
	// session policies limit, as they do an allow that names the role.
	ToRole bool
	// Closed says that the allows of the resource's policy, and Granted, count only for
	// principals of the owner's account and for services (RestrictPublicBuckets).
	Closed bool
}

// Layer is a kind of policy in a decision.
type Layer string

// The layers, as denials name them.
const (
	ByIdentity Layer = "identity-based policy"
	ByResource Layer = "resource-based policy"
	ByBoundary Layer = "permissions boundary"
	BySession  Layer = "session policy"
	ByControl  Layer = "service control policy"
)

// Decision is an answer with its reasons.
type Decision struct {
	Allowed  bool
	Explicit bool  // refused by a statement, and not for want of one
	Layer    Layer // that decided: that allows, that denies, or whose allow is missing
	// Matched are the statements that the decision rests on: the allows that
	// count, or the denies.
	Matched []Match
}

// ErrExplicit is what errors.Is finds in the error of a decision when a statement denied, and
// not the want of one that allows.
var ErrExplicit = errors.New("explicit deny")

// explicit is an error that says no more than the one in it: why is not everybody's to know.
type explicit struct{ error }

func (e explicit) Unwrap() []error { return []error{e.error, ErrExplicit} }

// Mark returns err, in which errors.Is finds ErrExplicit if that is why.
func (d *Decision) Mark(err error) error {
	if d.Explicit {
		return explicit{err}
	}
	return err
}

// Match is a statement that applies.
type Match struct {
	Layer  Layer
	Policy string // Attached.Name; "" for the resource's
	Sid    string
	Index  int // of the statement in its document, from 0
}
