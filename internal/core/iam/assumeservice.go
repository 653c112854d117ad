// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/core/policy"
)

// serviceSession is how long a session is good that a service has of a role, as one that
// says nothing of its duration.
const serviceSession = time.Hour

// AssumeForService begins a session of a role for a service that acts for a resource of the
// role's account (by is a [ServiceCaller]), as replication does. The role's trust policy
// decides. Nobody is given credentials, so the session is as good as what the service makes of
// it: who keeps one asks again before each use whether the role still trusts the service.
// Fault: AccessDenied, also when there is no such role.
func (s *Service) AssumeForService(ctx context.Context, by Caller, roleARN, name string) (Principal, error) {
	r, err := roleByARN(ctx, s, roleARN)
	if err != nil {
		return Principal{}, err
	}
	keys := policy.Values{"sts:rolesessionname": {name}}
	if err := s.trusted(ctx, by, r, roleARN, "sts:AssumeRole", keys); err != nil {
		return Principal{}, err
	}
	issued := time.Now().UTC().Truncate(time.Second)
	d := &tokenDocument{Type: AssumedRole, Account: r.Account, ID: r.ID, Issued: issued, Expires: issued.Add(serviceSession), Name: name}
	who, err := s.present1(ctx, d.principal(newTemporaryID()))
	if isKind(err, InvalidToken) { // the role or its account has gone meanwhile
		err = s.trusted(ctx, by, nil, roleARN, "sts:AssumeRole", keys)
	}
	return who, err
}
