// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"sync"

	"github.com/cofferstore/coffer/internal/core/policy"
)

// Decide asks what policies say. It fills in what is known of the caller: the
// question's Principal and Rights, and, behind the question's own Context, the
// condition keys that every request has (aws:SourceIp, aws:PrincipalArn,
// aws:CurrentTime and so on). q.Action, q.Resource, q.Owner and the resource's side are
// the asking service's. A principal that was deleted is refused everything. An error
// says that the decision could not be made.
func (s *Service) Decide(ctx context.Context, by Caller, q *policy.Question) (policy.Decision, error) {
	f := factsMemory.Get().(*facts)
	*f = facts{own: q.Context, by: by, region: s.cfg.Region, owner: q.Owner}
	defer f.release(q)
	if f.owner == "" {
		f.owner = by.Account
	}
	q.Principal, q.Context, q.Rights = questioned(&f.by.Principal), f, nil
	switch by.Type {
	case Anonymous, AWSService, WebIdentityUser:
		return policy.Decide(q), nil
	}
	r, err := s.rightsOf(ctx, &f.by.Principal)
	if err != nil {
		return policy.Decision{}, err
	}
	if r.gone {
		return policy.Decision{Layer: policy.ByIdentity}, nil
	}
	s.used.note(&f.by.Principal, q.Action, s.cfg.Region)
	f.tags, q.Rights = r.tags, r.all
	if by.Type == Root && q.Policy == nil && !q.Decides && f.owner == by.Account && len(r.all.Controls) == 0 && r.all.Boundary == nil && !r.all.Narrowed {
		return policy.Decision{Allowed: true, Layer: policy.ByIdentity}, nil // nothing there could say otherwise
	}
	return policy.Decide(q), nil
}

// factsMemory is used again and again: a decision takes no memory.
var factsMemory = sync.Pool{New: func() any { return new(facts) }}

// release gives the question back its own Context.
func (f *facts) release(q *policy.Question) {
	q.Context = f.own
	*f = facts{}
	factsMemory.Put(f)
}

// questioned returns a principal as policies know it.
func questioned(p *Principal) policy.Principal {
	return policy.Principal{Type: policyType(p), Account: p.Account, ARN: p.ARN, ID: p.entity(), RoleARN: p.RoleARN}
}

func policyType(p *Principal) policy.PrincipalType {
	switch p.Type {
	case Root:
		return policy.Account
	case IAMUser:
		return policy.User
	case AssumedRole:
		return policy.AssumedRole
	case FederatedUser:
		return policy.FederatedUser
	case WebIdentityUser:
		return policy.WebIdentity
	case AWSService:
		return policy.Service
	}
	return policy.Anonymous
}
