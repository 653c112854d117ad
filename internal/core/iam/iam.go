// SPDX-License-Identifier: Apache-2.0

// Package iam knows who calls: principals, their access keys, and the facts of
// a call that travel with them from service to service.
package iam

import "github.com/cofferstore/coffer/internal/fault"

// Kinds of fault.
const (
	// NoSuchAccessKey: the access key id is not known.
	NoSuchAccessKey fault.Kind = "iam: no such access key"
	// AccessDenied: no policy allows it, or one denies it.
	AccessDenied fault.Kind = "iam: access denied"
)

// Principal types, as CloudTrail's userIdentity.type names them.
const (
	Root       = "Root"
	IAMUser    = "IAMUser"
	Anonymous  = "AWSAccount"
	AWSService = "AWSService"
)

// Principal is an authenticated identity, or the anonymous one.
type Principal struct {
	Type        string // one of the constants above
	Account     string // twelve digits; "" when anonymous
	ARN         string
	PrincipalID string
	AccessKeyID string
	UserName    string
	// Scope is the hash of the session policies and session tags that narrow
	// the principal; zero when there are none.
	Scope [32]byte
	// Session is that of temporary credentials; nil for others.
	Session *Session
}

// Requester is what tells one user of a KMS key from another: the stable part of
// a principal, without access key and session name. It is comparable.
type Requester struct {
	Account, ARN string
	Scope        [32]byte
}

// Requester returns the principal's requester identity.
// All sessions of a role that nothing narrows are one.
func (p Principal) Requester() Requester {
	if p.Type == AssumedRole {
		return Requester{p.Account, p.Session.RoleARN, p.Scope}
	}
	return Requester{p.Account, p.ARN, p.Scope}
}

// IsAnonymous reports whether nobody signed the request.
func (p Principal) IsAnonymous() bool { return p.Type == Anonymous }

// Caller is a principal in the course of one call. A service that calls another
// forwards its caller unchanged.
type Caller struct {
	Principal
	RequestID string // of the call that the client made
	SourceIP  string
	UserAgent string
	Secure    bool // the transport counts as secure (TLS, loopback, or a listed proxy's word)
	SigV4     bool // signed with Signature Version 4
}
