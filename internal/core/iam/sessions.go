// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"time"

	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of temporary credentials.
const (
	// ExpiredToken: the session is over.
	ExpiredToken fault.Kind = "iam: expired session token"
	// InvalidToken: the session token is missing, was not given out here, or is not of
	// this access key; or what the session was of is no more.
	InvalidToken fault.Kind = "iam: invalid session token"
)

// Types of principals with temporary credentials, as CloudTrail names them.
const (
	AssumedRole     = "AssumedRole"
	FederatedUser   = "FederatedUser"
	WebIdentityUser = "WebIdentityUser"
)

// Session is what temporary credentials say of their holder. It does not change, and
// [Principal.Session] is the same for all requests of one session token that the cache
// of tokens still has.
type Session struct {
	RoleID  string // of a role's session
	RoleARN string
	Name    string // of a role's session, or of a federated user's
	Issued  time.Time
	Expires time.Time
	// Narrowed says that the session was begun with policies, or can do nothing
	// without some: a federated user's. Policies are those passed inline; Managed are
	// the ARNs of managed ones, whose text is that of the moment of the request.
	Narrowed bool
	Policies []*policy.Document
	Managed  []string
	// Tags are the session's, which override those of the user or role, name by name.
	Tags           map[string]string
	Transitive     []string // names of tags that go on to the next session of a chain
	SourceIdentity string
	Provider       string // ARN or name of the provider of a web identity
	// Context are condition keys of the web identity, in lower case: "<issuer>:sub".
	Context  map[string][]string
	Chained  bool // begun with temporary credentials
	MFA      bool
	ParentID string // the long-term access key that it was begun with
}
