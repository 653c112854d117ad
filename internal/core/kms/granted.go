// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// granted is what grants say to a question.
type granted struct {
	allows bool
	// toRole: a grant to the caller's role allows it, within what boundary and session
	// policies let the role's sessions do.
	toRole bool
	// delegates: a grant for the account's root allows it, to those whom the account's
	// own policies allow it too.
	delegates bool
}

// grantsSay looks for grants of the key to the caller, and of his account. The
// common key has none, and then nothing is looked up.
func (s *Service) grantsSay(ctx context.Context, by iam.Caller, action string, k *key, f *facts) (out granted, err error) {
	operation := strings.TrimPrefix(action, "kms:")
	for _, g := range f.tokens {
		if g.of == k.ref() && g.grantee(&by.Principal) && g.allows(operation, f) {
			if g.Grantee.isRoleOf(&by.Principal) {
				out.toRole = true
			} else {
				out.allows = true
			}
		}
	}
	if k.Grants == 0 || out.allows || !slices.Contains(grantOperations, operation) {
		return out, nil
	}
	for _, identity := range identities(&by.Principal) {
		if identity == "" {
			continue
		}
		set, err := s.grantsOf(ctx, k, identity)
		if err != nil {
			return out, err
		}
		if set.allow(operation, f) {
			switch {
			case by.Type == iam.AssumedRole && identity == "id/"+by.RoleID:
				out.toRole = true
			case identity != ofAccount(by.Account) || by.Type == iam.Root:
				return granted{allows: true}, nil
			default:
				out.delegates = true
			}
		}
	}
	return out, nil
}

// identities are the principals that the caller is, as principal.identity names them:
// the user or role, the session, the account.
func identities(p *iam.Principal) [3]string {
	switch p.Type {
	case iam.Root:
		return [3]string{ofAccount(p.Account)}
	case iam.AssumedRole:
		return [3]string{"id/" + p.RoleID, "id/" + p.PrincipalID, ofAccount(p.Account)}
	case iam.FederatedUser:
		return [3]string{"arn/" + p.ARN, ofAccount(p.Account)}
	case iam.IAMUser:
		return [3]string{"id/" + p.PrincipalID, ofAccount(p.Account)}
	}
	return [3]string{}
}

// is reports whether the caller is the principal.
func (p principal) is(who *iam.Principal) bool {
	identity := p.identity()
	if identity == ofAccount(who.Account) {
		return who.Type == iam.Root
	}
	of := identities(who)
	return slices.Contains(of[:], identity)
}

// isRoleOf reports whether the principal is the role that the caller is a session of.
func (p principal) isRoleOf(who *iam.Principal) bool {
	return who.Type == iam.AssumedRole && p.ID == who.RoleID
}

// grantSet is the grants of a key to one principal, by what decides of them. The same
// role may have tens of thousands, each for another encryption context.
type grantSet struct {
	free   map[string]bool   // operations allowed without constraints
	bound  map[pair][]*grant // constrained: by one of the pairs that they demand
	others []*grant          // that demand an empty context, or may make grants
	size   int
}

type pair struct{ key, value string }

func newGrantSet(grants []*grant) *grantSet {
	set := &grantSet{free: map[string]bool{}, bound: map[pair][]*grant{}, size: len(grants)}
	for _, g := range grants {
		c := g.context()
		switch {
		case g.Equals == nil && g.Subset == nil:
			for _, o := range g.Operations {
				set.free[o] = true
			}
		case len(c) == 0:
			set.others = append(set.others, g)
		default:
			key := slices.Min(slices.Collect(maps.Keys(c)))
			p := pair{key, c[key]}
			set.bound[p] = append(set.bound[p], g)
			for _, o := range g.Operations {
				if unconstrained(o) {
					set.free[o] = true
				}
			}
		}
		if slices.Contains(g.Operations, "CreateGrant") {
			set.others = append(set.others, g)
		}
	}
	return set
}

// unconstrained are operations that a grant's constraints do not concern.
func unconstrained(operation string) bool {
	return operation == "DescribeKey" || operation == "RetireGrant"
}

func (set *grantSet) allow(operation string, f *facts) bool {
	allows := func(g *grant) bool { return g.allows(operation, f) }
	if operation == "CreateGrant" {
		return slices.ContainsFunc(set.others, allows)
	}
	if set.free[operation] || slices.ContainsFunc(set.others, allows) {
		return true
	}
	if len(set.bound) == 0 {
		return false
	}
	for k, v := range f.Context {
		if slices.ContainsFunc(set.bound[pair{k, v}], allows) {
			return true
		}
	}
	return false
}

// allows reports whether the grant allows its grantee the operation.
func (g *grant) allows(operation string, f *facts) bool {
	switch {
	case !slices.Contains(g.Operations, operation):
		return false
	case operation == "CreateGrant":
		return f.grant != nil && g.covers(f.grant)
	case unconstrained(operation):
		return true
	case g.Equals != nil:
		return maps.Equal(g.Equals, f.Context)
	}
	return contains(f.Context, g.Subset)
}

// contains reports whether a context has all the pairs.
func contains(ec, pairs Context) bool {
	for k, v := range pairs {
		if got, ok := ec[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// covers reports whether the grantee of g may give child to another: some of g's
// operations under constraints that are as strict, or stricter (KMS Developer Guide,
// "Granting CreateGrant permission").
func (g *grant) covers(child *grant) bool {
	for _, o := range child.Operations {
		if !slices.Contains(g.Operations, o) {
			return false
		}
	}
	switch {
	case g.Equals != nil:
		return child.Equals != nil && maps.Equal(g.Equals, child.Equals)
	case g.Subset != nil:
		return (child.Equals != nil || child.Subset != nil) && contains(child.context(), g.Subset)
	}
	return true
}

// grantsOf returns the grants of a key to a principal, from memory.
func (s *Service) grantsOf(ctx context.Context, k *key, identity string) (*grantSet, error) {
	row := s.rowOf(k)
	set, drops := s.view.grants(row, identity)
	if set != nil {
		return set, nil
	}
	prefix := []byte(grantRows + strings.TrimPrefix(row, keyRows) + "/" + segmentOf(identity) + "/")
	r := meta.Range{Start: prefix, End: meta.PrefixEnd(prefix)}
	var grants []*grant
	for {
		page, err := s.store.Scan(ctx, r)
		if err != nil {
			return nil, fromMeta(err)
		}
		for _, item := range page.Items {
			g, err := decodeGrant(item.Value)
			if err != nil {
				return nil, err
			}
			grants = append(grants, g)
		}
		if !page.More {
			break
		}
		r.Start = page.Next
	}
	set = newGrantSet(grants)
	s.view.keepGrants(row, identity, set, drops)
	return set, nil
}

// delegation is the policy that a grant to an account's root amounts to.
func (s *Service) delegation(k *key, account string) (*policy.Document, error) {
	return policy.Parse(policy.Key, s.arnOf(k), defaultPolicy(account))
}
