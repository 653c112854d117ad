// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/audit"
)

// Identity returns the principal as an audit record shows it.
func (p Principal) Identity() audit.Identity {
	if p.IsAnonymous() {
		return audit.Identity{Type: p.Type, AccountID: audit.AnonymousAccount}
	}
	if p.Type == AWSService {
		return audit.Identity{Type: p.Type, InvokedBy: p.ARN}
	}
	i := audit.Identity{
		Type: p.Type, PrincipalID: p.PrincipalID, ARN: p.ARN, AccountID: p.Account,
		AccessKeyID: p.AccessKeyID, UserName: p.UserName,
	}
	if p.Type == WebIdentityUser {
		i.ARN = "" // it is the provider's
	}
	if p.Session != nil {
		i.Session = p.sessionContext()
	}
	return i
}

func (p Principal) sessionContext() *audit.SessionContext {
	s := p.Session
	out := &audit.SessionContext{
		Attributes: audit.SessionAttributes{
			CreationDate: s.Issued.UTC().Format(time.RFC3339), MFAAuthenticated: strconv.FormatBool(s.MFA),
		},
		SourceIdentity: s.SourceIdentity,
	}
	switch {
	case p.Type == AssumedRole:
		name := p.RoleARN[strings.LastIndexByte(p.RoleARN, '/')+1:]
		out.Issuer = &audit.Issuer{Type: "Role", PrincipalID: p.RoleID, ARN: p.RoleARN, AccountID: p.Account, UserName: name}
	case p.Type == FederatedUser && s.Issuer == p.Account:
		out.Issuer = &audit.Issuer{Type: Root, PrincipalID: p.Account, ARN: aws.RootARN(p.Account), AccountID: p.Account}
	case p.Type == FederatedUser:
		out.Issuer = &audit.Issuer{Type: IAMUser, PrincipalID: s.Issuer, AccountID: p.Account}
	}
	if s.Provider != "" {
		out.WebIdentity = &audit.WebIdentity{Provider: s.Provider}
	}
	return out
}
