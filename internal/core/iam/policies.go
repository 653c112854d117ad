// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// ManagedPolicy is a managed policy as the API shows it.
type ManagedPolicy struct {
	PolicyName, PolicyId, Arn, Path, DefaultVersionId string
	AttachmentCount, PermissionsBoundaryUsageCount    int
	IsAttachable                                      bool
	Description                                       string
	CreateDate, UpdateDate                            time.Time
	Tags                                              []Tag
}

// PolicyResult is the result of operations on one managed policy.
type PolicyResult struct{ Policy ManagedPolicy }

// ManagedPolicies is a page of managed policies.
type ManagedPolicies struct {
	Policies []ManagedPolicy
	Page
}

func versionID(n int) string { return "v" + strconv.Itoa(n) }

// usesOf counts how a policy is used in an account.
func (s *Service) usesOf(ctx context.Context, account, policyID string) (attached, bounds int, err error) {
	prefix := useRow(account, policyID, "", "")
	err = s.scan(ctx, prefix, "", func(row string, _ []byte) (bool, error) {
		if strings.Contains(boundaryUses, row[len(prefix):len(prefix)+1]) {
			bounds++
		} else {
			attached++
		}
		return true, nil
	})
	return attached, bounds, err
}

// shownPolicy is how lists show a policy.
func (s *Service) shownPolicy(ctx context.Context, account string, p *managed) (ManagedPolicy, error) {
	attached, bounds, err := s.usesOf(ctx, account, p.ID)
	return ManagedPolicy{
		PolicyName: p.Name, PolicyId: p.ID, Arn: p.arn(), Path: p.Path, DefaultVersionId: versionID(p.Default),
		AttachmentCount: attached, PermissionsBoundaryUsageCount: bounds, IsAttachable: true,
		CreateDate: p.Created, UpdateDate: p.Updated,
	}, err
}

// CreatePolicy makes a managed policy.
type CreatePolicy struct {
	PolicyName     string `api:"required 1-128 name"`
	Path           string `api:"1-512 policypath"`
	PolicyDocument string `api:"required 1-131072 document"`
	Description    string `api:"0-1000"`
	Tags           []Tag  `api:"0-50"`
}

// CreatePolicy makes a managed policy. Faults: EntityAlreadyExists, LimitExceeded,
// policy.Malformed, InvalidInput.
func (s *Service) CreatePolicy(ctx context.Context, by Caller, in CreatePolicy) (out PolicyResult, err error) {
	path := orRoot(in.Path)
	err = s.change(ctx, by.Account, func(c *change) error {
		if err := s.may(ctx, by, "CreatePolicy", entityARN(by.Account, kindPolicy, path, in.PolicyName), tagKeys(nil, in.Tags)); err != nil {
			return err
		}
		if err := checkTags(in.Tags); err != nil {
			return err
		}
		if err := checkManaged(in.PolicyDocument); err != nil {
			return err
		}
		other, err := found[managed](ctx, c, policyRow(c.account, in.PolicyName))
		if err != nil {
			return err
		}
		if other != nil {
			return fault.New(EntityAlreadyExists, "A policy called %s already exists. Duplicate names are not allowed.", in.PolicyName)
		}
		if c.epoch.Policies >= maxPolicies {
			return quota("PoliciesPerAccount", maxPolicies)
		}
		c.epoch.Policies++
		p := &managed{
			Version: formatOfRows, Account: c.account, ID: newID(prefixPolicy), Name: in.PolicyName, Path: path, Created: c.now, Updated: c.now,
			Description: in.Description, Tags: in.Tags, Default: 1, Last: 1, Versions: []policyVersion{{1, c.now, in.PolicyDocument}},
		}
		c.create(idRow(p.ID), identity{c.account, kindPolicy, strings.ToLower(p.Name)})
		c.put(policyRow(c.account, p.Name), p)
		out.Policy, err = s.shownPolicy(ctx, c.account, p)
		out.Policy.Tags = p.Tags
		return err
	})
	return out, err
}

// checkManaged refuses what cannot be a managed policy's document. Faults:
// policy.Malformed, LimitExceeded.
func checkManaged(text string) error {
	if _, err := parse(policy.Identity, text); err != nil {
		return err
	}
	if policy.Size(text) > maxManaged {
		return quota("PolicySize", maxManaged)
	}
	return nil
}

// allowedPolicy finds a managed policy that the caller may do something to. Faults:
// AccessDenied, NoSuchEntity.
func (s *Service) allowedPolicy(ctx context.Context, r reader, by Caller, action, arn string, keys policy.Values) (*managed, error) {
	p, err := policyByARN(ctx, r, by.Account, arn)
	if err != nil {
		return nil, err
	}
	if p != nil {
		keys = resourceTags(keys, p.Tags)
	}
	// The ARNs of policies that all accounts have are nobody's: the caller's own account
	// decides.
	if err := s.may(ctx, by, action, arn, keys); err != nil {
		return nil, err
	}
	if p == nil {
		return nil, noSuchPolicy(arn)
	}
	return p, nil
}

// editPolicy changes a managed policy of the caller's account. Fault:
// UnmodifiableEntity for those that all accounts have.
func (s *Service) editPolicy(ctx context.Context, by Caller, action, arn string, keys policy.Values, f func(c *change, p *managed) error) error {
	return s.change(ctx, by.Account, func(c *change) error {
		p, err := s.allowedPolicy(ctx, c, by, action, arn, keys)
		if err != nil {
			return err
		}
		if p.Account == offeredBy {
			return fault.New(UnmodifiableEntity, "Policy %s is managed by the service: it cannot be changed.", arn)
		}
		if err := f(c, p); err != nil {
			return err
		}
		c.put(policyRow(c.account, p.Name), p)
		return nil
	})
}

// GetPolicy asks for a managed policy.
type GetPolicy struct {
	PolicyArn string `api:"required 20-2048"`
}

// GetPolicy returns a managed policy. Fault: NoSuchEntity.
func (s *Service) GetPolicy(ctx context.Context, by Caller, in GetPolicy) (out PolicyResult, err error) {
	p, err := s.allowedPolicy(ctx, s, by, "GetPolicy", in.PolicyArn, nil)
	if err != nil {
		return out, err
	}
	out.Policy, err = s.shownPolicy(ctx, by.Account, p)
	out.Policy.Description, out.Policy.Tags = p.Description, p.Tags
	return out, err
}

// ListPolicies asks for managed policies.
type ListPolicies struct {
	Scope             string `api:"All|AWS|Local"`
	OnlyAttached      bool
	PathPrefix        string `api:"1-512 policypath"`
	PolicyUsageFilter string `api:"PermissionsPolicy|PermissionsBoundary"`
	Paged
}

// ListPolicies lists managed policies: those that all accounts have, then the account's
// own.
func (s *Service) ListPolicies(ctx context.Context, by Caller, in ListPolicies) (out ManagedPolicies, err error) {
	if err := s.may(ctx, by, "ListPolicies", "*", nil); err != nil {
		return out, err
	}
	var all []*managed
	if in.Scope != "Local" {
		for _, p := range offeredPolicies {
			all = append(all, p)
		}
		slices.SortFunc(all, func(a, b *managed) int { return strings.Compare(a.Name, b.Name) })
	}
	if in.Scope != "AWS" {
		err := s.scan(ctx, policyRows+by.Account+"/", "", func(row string, value []byte) (bool, error) {
			p := &managed{}
			if err := decodeRow(row, value, p); err != nil {
				return false, err
			}
			p.Versions = nil // their texts are not shown, and may be long
			all = append(all, p)
			return true, nil
		})
		if err != nil {
			return out, err
		}
	}
	var shown []ManagedPolicy
	for _, p := range all {
		if !strings.HasPrefix(p.Path, in.PathPrefix) {
			continue
		}
		m, err := s.shownPolicy(ctx, by.Account, p)
		if err != nil {
			return out, err
		}
		if !in.wants(m) {
			continue
		}
		shown = append(shown, m)
	}
	position := func(m ManagedPolicy) string { // those of all accounts first
		return strconv.FormatBool(!strings.HasPrefix(m.Arn, "arn:aws:iam::aws:")) + strings.ToLower(m.PolicyName)
	}
	slices.SortFunc(shown, func(a, b ManagedPolicy) int { return strings.Compare(position(a), position(b)) })
	out.Policies, out.Page, err = pageOf(in.Paged, "policies of "+by.Account, shown, position)
	return out, err
}

func (in ListPolicies) wants(m ManagedPolicy) bool {
	n := m.AttachmentCount
	switch in.PolicyUsageFilter {
	case "PermissionsBoundary":
		return m.PermissionsBoundaryUsageCount > 0
	case "PermissionsPolicy":
		return n > 0 || !in.OnlyAttached
	}
	return n+m.PermissionsBoundaryUsageCount > 0 || !in.OnlyAttached
}

// DeletePolicy deletes a managed policy.
type DeletePolicy struct {
	PolicyArn string `api:"required 20-2048"`
}

// DeletePolicy deletes a managed policy that nothing uses, and that has one version
// left. Faults: NoSuchEntity, DeleteConflict.
func (s *Service) DeletePolicy(ctx context.Context, by Caller, in DeletePolicy) (None, error) {
	return None{}, s.change(ctx, by.Account, func(c *change) error {
		p, err := s.allowedPolicy(ctx, c, by, "DeletePolicy", in.PolicyArn, nil)
		if err != nil {
			return err
		}
		if p.Account == offeredBy {
			return fault.New(UnmodifiableEntity, "Policy %s is managed by the service: it cannot be deleted.", in.PolicyArn)
		}
		attached, bounds, err := s.usesOf(ctx, c.account, p.ID)
		switch {
		case err != nil:
			return err
		case attached+bounds > 0:
			return fault.New(DeleteConflict, "Cannot delete a policy attached to entities.")
		case len(p.Versions) > 1:
			return fault.New(DeleteConflict, "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		c.epoch.Policies--
		c.delete(policyRow(c.account, p.Name))
		c.delete(idRow(p.ID))
		return nil
	})
}
