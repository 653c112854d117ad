// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// PolicyNames is a page of the names of inline policies.
type PolicyNames struct {
	PolicyNames []string
	Page
}

func byName(n named, name string) int { return strings.Compare(n.Name, name) }

// mostInline is how much all inline policies of one may weigh, and how messages say what
// it is.
var mostInline = map[string]int{kindUser: maxUserInline, kindGroup: maxGroupInline, kindRole: maxRoleInline}

func (s *Service) putInline(ctx context.Context, by Caller, action, kind, name, policyName, text string) (None, error) {
	return None{}, s.edit(ctx, by, action, kind, name, nil, func(_ *change, h *holder) error {
		if _, err := parse(policy.Identity, text); err != nil {
			return err
		}
		i, found := slices.BinarySearchFunc(h.Inline, policyName, byName)
		if found {
			h.Inline[i].Text = text
		} else {
			h.Inline = slices.Insert(h.Inline, i, named{policyName, text})
		}
		n, size := 0, 0
		for _, p := range h.Inline {
			n += policy.Size(p.Text)
			size += len(p.Text)
		}
		if size > maxInlineBytes {
			return fault.New(LimitExceeded, "Maximum size of %d bytes with white space exceeded for all inline policies of %s %s", maxInlineBytes, kind, h.Name)
		}
		if n > mostInline[kind] {
			return fault.New(LimitExceeded, "Maximum policy size of %d bytes exceeded for %s %s", mostInline[kind], kind, h.Name)
		}
		return nil
	})
}

func (s *Service) inline(ctx context.Context, by Caller, action, kind, name, policyName string) (string, error) {
	h, err := s.allowed(ctx, s, by, action, kind, name, nil)
	if err != nil {
		return "", err
	}
	i, found := slices.BinarySearchFunc(h.Inline, policyName, byName)
	if !found {
		return "", noSuch(kind+" policy", policyName)
	}
	return h.Inline[i].Text, nil
}

func (s *Service) deleteInline(ctx context.Context, by Caller, action, kind, name, policyName string) (None, error) {
	return None{}, s.edit(ctx, by, action, kind, name, nil, func(_ *change, h *holder) error {
		i, found := slices.BinarySearchFunc(h.Inline, policyName, byName)
		if !found {
			return noSuch(kind+" policy", policyName)
		}
		h.Inline = slices.Delete(h.Inline, i, i+1)
		return nil
	})
}

func (s *Service) listInline(ctx context.Context, by Caller, action, kind, name string, p Paged) (out PolicyNames, err error) {
	h, err := s.allowed(ctx, s, by, action, kind, name, nil)
	if err != nil {
		return out, err
	}
	names := make([]string, 0, len(h.Inline))
	for _, n := range h.Inline {
		names = append(names, n.Name)
	}
	out.PolicyNames, out.Page, err = pageOf(p, "inline policies of "+h.ID, names, func(n string) string { return n })
	return out, err
}

// PutUserPolicy sets an inline policy of a user.
type PutUserPolicy struct {
	UserName       string `api:"required 1-128 name"`
	PolicyName     string `api:"required 1-128 name"`
	PolicyDocument string `api:"required 1-131072 document"`
}

// PutUserPolicy sets an inline policy of a user. Faults: NoSuchEntity, policy.Malformed,
// LimitExceeded.
func (s *Service) PutUserPolicy(ctx context.Context, by Caller, in PutUserPolicy) (None, error) {
	return s.putInline(ctx, by, "PutUserPolicy", kindUser, in.UserName, in.PolicyName, in.PolicyDocument)
}

// GetUserPolicy asks for an inline policy of a user.
type GetUserPolicy struct {
	UserName   string `api:"required 1-128 name"`
	PolicyName string `api:"required 1-128 name"`
}

// UserPolicy is an inline policy of a user.
type UserPolicy struct {
	UserName, PolicyName string
	PolicyDocument       string `api:"encoded"`
}

// GetUserPolicy returns an inline policy of a user. Fault: NoSuchEntity.
func (s *Service) GetUserPolicy(ctx context.Context, by Caller, in GetUserPolicy) (UserPolicy, error) {
	text, err := s.inline(ctx, by, "GetUserPolicy", kindUser, in.UserName, in.PolicyName)
	return UserPolicy{in.UserName, in.PolicyName, text}, err
}

// DeleteUserPolicy removes an inline policy of a user.
type DeleteUserPolicy struct {
	UserName   string `api:"required 1-128 name"`
	PolicyName string `api:"required 1-128 name"`
}

// DeleteUserPolicy removes an inline policy of a user. Fault: NoSuchEntity.
func (s *Service) DeleteUserPolicy(ctx context.Context, by Caller, in DeleteUserPolicy) (None, error) {
	return s.deleteInline(ctx, by, "DeleteUserPolicy", kindUser, in.UserName, in.PolicyName)
}

// ListUserPolicies asks for the names of the inline policies of a user.
type ListUserPolicies struct {
	UserName string `api:"required 1-128 name"`
	Paged
}

// ListUserPolicies lists the names of the inline policies of a user. Fault: NoSuchEntity.
func (s *Service) ListUserPolicies(ctx context.Context, by Caller, in ListUserPolicies) (PolicyNames, error) {
	return s.listInline(ctx, by, "ListUserPolicies", kindUser, in.UserName, in.Paged)
}

// PutGroupPolicy sets an inline policy of a group.
type PutGroupPolicy struct {
	GroupName      string `api:"required 1-128 name"`
	PolicyName     string `api:"required 1-128 name"`
	PolicyDocument string `api:"required 1-131072 document"`
}

// PutGroupPolicy sets an inline policy of a group. Faults: NoSuchEntity, policy.Malformed,
// LimitExceeded.
func (s *Service) PutGroupPolicy(ctx context.Context, by Caller, in PutGroupPolicy) (None, error) {
	return s.putInline(ctx, by, "PutGroupPolicy", kindGroup, in.GroupName, in.PolicyName, in.PolicyDocument)
}

// GetGroupPolicy asks for an inline policy of a group.
type GetGroupPolicy struct {
	GroupName  string `api:"required 1-128 name"`
	PolicyName string `api:"required 1-128 name"`
}

// GroupPolicy is an inline policy of a group.
type GroupPolicy struct {
	GroupName, PolicyName string
	PolicyDocument        string `api:"encoded"`
}

// GetGroupPolicy returns an inline policy of a group. Fault: NoSuchEntity.
func (s *Service) GetGroupPolicy(ctx context.Context, by Caller, in GetGroupPolicy) (GroupPolicy, error) {
	text, err := s.inline(ctx, by, "GetGroupPolicy", kindGroup, in.GroupName, in.PolicyName)
	return GroupPolicy{in.GroupName, in.PolicyName, text}, err
}

// DeleteGroupPolicy removes an inline policy of a group.
type DeleteGroupPolicy struct {
	GroupName  string `api:"required 1-128 name"`
	PolicyName string `api:"required 1-128 name"`
}

// DeleteGroupPolicy removes an inline policy of a group. Fault: NoSuchEntity.
func (s *Service) DeleteGroupPolicy(ctx context.Context, by Caller, in DeleteGroupPolicy) (None, error) {
	return s.deleteInline(ctx, by, "DeleteGroupPolicy", kindGroup, in.GroupName, in.PolicyName)
}

// ListGroupPolicies asks for the names of the inline policies of a group.
type ListGroupPolicies struct {
	GroupName string `api:"required 1-128 name"`
	Paged
}

// ListGroupPolicies lists the names of the inline policies of a group. Fault: NoSuchEntity.
func (s *Service) ListGroupPolicies(ctx context.Context, by Caller, in ListGroupPolicies) (PolicyNames, error) {
	return s.listInline(ctx, by, "ListGroupPolicies", kindGroup, in.GroupName, in.Paged)
}

// PutRolePolicy sets an inline policy of a role.
type PutRolePolicy struct {
	RoleName       string `api:"required 1-64 name"`
	PolicyName     string `api:"required 1-128 name"`
	PolicyDocument string `api:"required 1-131072 document"`
}

// PutRolePolicy sets an inline policy of a role. Faults: NoSuchEntity, policy.Malformed,
// LimitExceeded.
func (s *Service) PutRolePolicy(ctx context.Context, by Caller, in PutRolePolicy) (None, error) {
	return s.putInline(ctx, by, "PutRolePolicy", kindRole, in.RoleName, in.PolicyName, in.PolicyDocument)
}

// GetRolePolicy asks for an inline policy of a role.
type GetRolePolicy struct {
	RoleName   string `api:"required 1-64 name"`
	PolicyName string `api:"required 1-128 name"`
}

// RolePolicy is an inline policy of a role.
type RolePolicy struct {
	RoleName, PolicyName string
	PolicyDocument       string `api:"encoded"`
}

// GetRolePolicy returns an inline policy of a role. Fault: NoSuchEntity.
func (s *Service) GetRolePolicy(ctx context.Context, by Caller, in GetRolePolicy) (RolePolicy, error) {
	text, err := s.inline(ctx, by, "GetRolePolicy", kindRole, in.RoleName, in.PolicyName)
	return RolePolicy{in.RoleName, in.PolicyName, text}, err
}

// DeleteRolePolicy removes an inline policy of a role.
type DeleteRolePolicy struct {
	RoleName   string `api:"required 1-64 name"`
	PolicyName string `api:"required 1-128 name"`
}

// DeleteRolePolicy removes an inline policy of a role. Fault: NoSuchEntity.
func (s *Service) DeleteRolePolicy(ctx context.Context, by Caller, in DeleteRolePolicy) (None, error) {
	return s.deleteInline(ctx, by, "DeleteRolePolicy", kindRole, in.RoleName, in.PolicyName)
}

// ListRolePolicies asks for the names of the inline policies of a role.
type ListRolePolicies struct {
	RoleName string `api:"required 1-64 name"`
	Paged
}

// ListRolePolicies lists the names of the inline policies of a role. Fault: NoSuchEntity.
func (s *Service) ListRolePolicies(ctx context.Context, by Caller, in ListRolePolicies) (PolicyNames, error) {
	return s.listInline(ctx, by, "ListRolePolicies", kindRole, in.RoleName, in.Paged)
}
