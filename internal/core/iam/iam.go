// SPDX-License-Identifier: Apache-2.0

// Package iam knows who calls: accounts and who is in them, their access keys and
// policies, and the facts of a call that travel with them from service to service.
package iam

import (
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault.
const (
	// NoSuchAccessKey: the access key id is not known, or is not active.
	NoSuchAccessKey fault.Kind = "iam: no such access key"
	// AccessDenied: no policy allows it, or one denies it.
	AccessDenied fault.Kind = "iam: access denied"
)

// Principal types, as CloudTrail's userIdentity.type names them.
const (
	Root            = "Root"
	IAMUser         = "IAMUser"
	AssumedRole     = "AssumedRole"
	FederatedUser   = "FederatedUser"
	WebIdentityUser = "WebIdentityUser"
	Anonymous       = "AWSAccount"
	AWSService      = "AWSService"
)

// Principal is an authenticated identity, or the anonymous one.
type Principal struct {
	Type        string // one of the constants above
	Account     string // twelve digits; "" when anonymous
	ARN         string
	PrincipalID string // the unique id; of a role's session "AROA…:NAME"; of a federated user's "ACCOUNT:NAME"
	AccessKeyID string
	UserName    string
	// Scope is the hash of the session policies and session tags that narrow
	// the principal; zero when there are none.
	Scope [32]byte

	RoleARN string // of a role's session
	RoleID  string // of a role's session: the role's unique id
	// Session is what began with temporary credentials; nil for access keys. It does not
	// change.
	Session *Session
}

// Session is what temporary credentials were given for.
type Session struct {
	Name            string // of a role's session, a federated user's name
	Issuer          string // unique id of the user, or the account of the root, that a federated session is of
	Issued, Expires time.Time
	Policies        []string          // texts of the session policies
	PolicyARNs      []string          // managed session policies, of the principal's account
	Narrowed        bool              // session policies were given, or needed
	Tags            map[string]string // session tags, by their keys as they were given
	Transitive      []string          // keys of tags that go on to the next role
	SourceIdentity  string
	MFA             bool   // begun with a second factor
	Provider        string // of a web identity: aws:FederatedProvider
	Chained         bool   // begun by another role's session
	ParentKey       string // the access key that a user's or root's session began with, and ends with
}

// Requester is what tells one user of a KMS key from another: the stable part of
// a principal, without access key and session name. It is comparable.
type Requester struct {
	Account, ARN string
	Scope        [32]byte
}

// Requester returns the principal's requester identity.
func (p Principal) Requester() Requester {
	if p.Type == AssumedRole {
		return Requester{p.Account, p.RoleARN, p.Scope}
	}
	return Requester{p.Account, p.ARN, p.Scope}
}

// IsAnonymous reports whether nobody signed the request.
func (p Principal) IsAnonymous() bool { return p.Type == Anonymous }

// entity is the unique id of what in the account the principal rests on: the user,
// the role, the account itself for its root.
func (p *Principal) entity() string {
	switch p.Type {
	case Root:
		return p.Account
	case AssumedRole:
		return p.RoleID
	case FederatedUser:
		if p.Session != nil {
			return p.Session.Issuer
		}
		return ""
	}
	return p.PrincipalID
}

// Caller is a principal in the course of one call. A service that calls another
// forwards its caller unchanged.
type Caller struct {
	Principal
	RequestID string // of the call that the client made, and HostID: x-amz-id-2
	HostID    string
	SourceIP  string
	UserAgent string
	Secure    bool // the transport counts as secure (TLS, loopback, or a listed proxy's word)
	SigV4     bool // signed with Signature Version 4
	// Replicates says that S3 makes a replica with the role's session that this is. Of the
	// KMS key of a replica kms:Encrypt is then as good as kms:GenerateDataKey: the S3 User
	// Guide asks for the one in some places and for the other elsewhere ("Replicating encrypted
	// objects").
	Replicates bool
	// Of a service that calls for itself: the resource for which it does (aws:SourceArn,
	// aws:SourceAccount).
	SourceARN, SourceAccount string
}

// ServiceCaller returns a service that calls for itself, on account of a resource:
// "cloudtrail.amazonaws.com" delivers a trail's files. Policies must allow it as they
// must allow anybody.
func ServiceCaller(name, sourceARN, sourceAccount string) Caller {
	return Caller{
		Principal: Principal{Type: AWSService, ARN: name}, RequestID: aws.NewRequestID(), UserAgent: name,
		Secure: true, SigV4: true, SourceARN: sourceARN, SourceAccount: sourceAccount,
	}
}
