// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"strings"

	"github.com/cofferstore/coffer/internal/fault"
)

// AttachedPolicy is an attached managed policy as the API shows it.
type AttachedPolicy struct{ PolicyName, PolicyArn string }

// AttachedPolicies is a page of attached managed policies.
type AttachedPolicies struct {
	AttachedPolicies []AttachedPolicy
	Page
}

// policyFor returns a managed policy that can be attached. Fault: NoSuchEntity.
func (c *change) policyFor(arn string) (*managed, error) {
	p, err := policyByARN(c.ctx, c, c.account, arn)
	if err == nil && p == nil {
		err = fault.New(NoSuchEntity, "Policy %s does not exist or is not attachable.", arn)
	}
	return p, err
}

func (s *Service) attach(ctx context.Context, by Caller, action, kind, name, arn string) (None, error) {
	return None{}, s.edit(ctx, by, action, kind, name, with(nil, "iam:policyarn", arn), func(c *change, h *holder) error {
		p, err := c.policyFor(arn)
		if err != nil {
			return err
		}
		attached, added := add(h.Attached, arn)
		if added && len(attached) > maxAttached {
			return quota("PoliciesPer"+titles[kind], maxAttached)
		}
		h.Attached = attached
		c.put(useRow(c.account, p.ID, h.use(), h.ID), p.ID)
		return nil
	})
}

func (s *Service) detach(ctx context.Context, by Caller, action, kind, name, arn string) (None, error) {
	return None{}, s.edit(ctx, by, action, kind, name, with(nil, "iam:policyarn", arn), func(c *change, h *holder) error {
		attached, removed := remove(h.Attached, arn)
		if !removed {
			return noSuchPolicy(arn)
		}
		h.Attached = attached
		p, err := policyByARN(ctx, c, c.account, arn)
		if err == nil && p != nil {
			c.delete(useRow(c.account, p.ID, h.use(), h.ID))
		}
		return err
	})
}

func noSuchPolicy(arn string) error { return fault.New(NoSuchEntity, "Policy %s was not found.", arn) }

func (s *Service) listAttached(ctx context.Context, by Caller, action, kind, name, pathPrefix string, p Paged) (out AttachedPolicies, err error) {
	h, err := s.allowed(ctx, s, by, action, kind, name, nil)
	if err != nil {
		return out, err
	}
	var all []AttachedPolicy
	for _, a := range h.shownAttached() {
		if path := a.PolicyArn[strings.IndexByte(a.PolicyArn, '/'):]; strings.HasPrefix(path, pathPrefix) {
			all = append(all, a)
		}
	}
	out.AttachedPolicies, out.Page, err = pageOf(p, "attached policies of "+h.ID, all, func(a AttachedPolicy) string { return a.PolicyArn })
	return out, err
}

// shownAttached returns what is attached, by ARN.
func (e *entity) shownAttached() []AttachedPolicy {
	all := make([]AttachedPolicy, 0, len(e.Attached))
	for _, arn := range e.Attached {
		all = append(all, AttachedPolicy{arn[strings.LastIndexByte(arn, '/')+1:], arn})
	}
	return all
}

// AttachUserPolicy attaches a managed policy to a user.
type AttachUserPolicy struct {
	UserName  string `api:"required 1-128 name"`
	PolicyArn string `api:"required 20-2048"`
}

// AttachUserPolicy attaches a managed policy to a user; one that is attached already, too.
// Faults: NoSuchEntity, LimitExceeded.
func (s *Service) AttachUserPolicy(ctx context.Context, by Caller, in AttachUserPolicy) (None, error) {
	return s.attach(ctx, by, "AttachUserPolicy", kindUser, in.UserName, in.PolicyArn)
}

// DetachUserPolicy detaches a managed policy from a user.
type DetachUserPolicy struct {
	UserName  string `api:"required 1-128 name"`
	PolicyArn string `api:"required 20-2048"`
}

// DetachUserPolicy detaches a managed policy from a user. Fault: NoSuchEntity.
func (s *Service) DetachUserPolicy(ctx context.Context, by Caller, in DetachUserPolicy) (None, error) {
	return s.detach(ctx, by, "DetachUserPolicy", kindUser, in.UserName, in.PolicyArn)
}

// ListAttachedUserPolicies asks for the managed policies of a user.
type ListAttachedUserPolicies struct {
	UserName   string `api:"required 1-128 name"`
	PathPrefix string `api:"1-512 policypath"`
	Paged
}

// ListAttachedUserPolicies lists the managed policies of a user. Fault: NoSuchEntity.
func (s *Service) ListAttachedUserPolicies(ctx context.Context, by Caller, in ListAttachedUserPolicies) (AttachedPolicies, error) {
	return s.listAttached(ctx, by, "ListAttachedUserPolicies", kindUser, in.UserName, in.PathPrefix, in.Paged)
}

// AttachGroupPolicy attaches a managed policy to a group.
type AttachGroupPolicy struct {
	GroupName string `api:"required 1-128 name"`
	PolicyArn string `api:"required 20-2048"`
}

// AttachGroupPolicy attaches a managed policy to a group; one that is attached already, too.
// Faults: NoSuchEntity, LimitExceeded.
func (s *Service) AttachGroupPolicy(ctx context.Context, by Caller, in AttachGroupPolicy) (None, error) {
	return s.attach(ctx, by, "AttachGroupPolicy", kindGroup, in.GroupName, in.PolicyArn)
}

// DetachGroupPolicy detaches a managed policy from a group.
type DetachGroupPolicy struct {
	GroupName string `api:"required 1-128 name"`
	PolicyArn string `api:"required 20-2048"`
}

// DetachGroupPolicy detaches a managed policy from a group. Fault: NoSuchEntity.
func (s *Service) DetachGroupPolicy(ctx context.Context, by Caller, in DetachGroupPolicy) (None, error) {
	return s.detach(ctx, by, "DetachGroupPolicy", kindGroup, in.GroupName, in.PolicyArn)
}

// ListAttachedGroupPolicies asks for the managed policies of a group.
type ListAttachedGroupPolicies struct {
	GroupName  string `api:"required 1-128 name"`
	PathPrefix string `api:"1-512 policypath"`
	Paged
}

// ListAttachedGroupPolicies lists the managed policies of a group. Fault: NoSuchEntity.
func (s *Service) ListAttachedGroupPolicies(ctx context.Context, by Caller, in ListAttachedGroupPolicies) (AttachedPolicies, error) {
	return s.listAttached(ctx, by, "ListAttachedGroupPolicies", kindGroup, in.GroupName, in.PathPrefix, in.Paged)
}

// AttachRolePolicy attaches a managed policy to a role.
type AttachRolePolicy struct {
	RoleName  string `api:"required 1-64 name"`
	PolicyArn string `api:"required 20-2048"`
}

// AttachRolePolicy attaches a managed policy to a role; one that is attached already, too.
// Faults: NoSuchEntity, LimitExceeded.
func (s *Service) AttachRolePolicy(ctx context.Context, by Caller, in AttachRolePolicy) (None, error) {
	return s.attach(ctx, by, "AttachRolePolicy", kindRole, in.RoleName, in.PolicyArn)
}

// DetachRolePolicy detaches a managed policy from a role.
type DetachRolePolicy struct {
	RoleName  string `api:"required 1-64 name"`
	PolicyArn string `api:"required 20-2048"`
}

// DetachRolePolicy detaches a managed policy from a role. Fault: NoSuchEntity.
func (s *Service) DetachRolePolicy(ctx context.Context, by Caller, in DetachRolePolicy) (None, error) {
	return s.detach(ctx, by, "DetachRolePolicy", kindRole, in.RoleName, in.PolicyArn)
}

// ListAttachedRolePolicies asks for the managed policies of a role.
type ListAttachedRolePolicies struct {
	RoleName   string `api:"required 1-64 name"`
	PathPrefix string `api:"1-512 policypath"`
	Paged
}

// ListAttachedRolePolicies lists the managed policies of a role. Fault: NoSuchEntity.
func (s *Service) ListAttachedRolePolicies(ctx context.Context, by Caller, in ListAttachedRolePolicies) (AttachedPolicies, error) {
	return s.listAttached(ctx, by, "ListAttachedRolePolicies", kindRole, in.RoleName, in.PathPrefix, in.Paged)
}
