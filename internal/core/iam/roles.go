// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Role is a role as the API shows it.
type Role struct {
	Path, RoleName, RoleId, Arn string
	CreateDate                  time.Time
	AssumeRolePolicyDocument    string `api:"encoded"`
	Description                 string
	MaxSessionDuration          int
	PermissionsBoundary         *AttachedBoundary
	Tags                        []Tag
	RoleLastUsed                *RoleLastUsed
}

// RoleLastUsed says when a role's session last did something.
type RoleLastUsed struct {
	LastUsedDate time.Time
	Region       string
}

// RoleResult is the result of operations on one role.
type RoleResult struct{ Role Role }

// brief is how lists show a role.
func (s *Service) brief(ctx context.Context, r *role) (Role, error) {
	trust, err := s.Show(ctx, r.Trust, r.Principals)
	return Role{
		Path: r.Path, RoleName: r.Name, RoleId: r.ID, Arn: r.arn(), CreateDate: r.Created,
		AssumeRolePolicyDocument: trust, Description: r.Description, MaxSessionDuration: r.MaxSession,
	}, err
}

func (s *Service) shownRole(ctx context.Context, r *role) (Role, error) {
	out, err := s.brief(ctx, r)
	if err != nil {
		return out, err
	}
	out.PermissionsBoundary, out.Tags = shownBoundary(r.Boundary), r.Tags
	out.RoleLastUsed, err = s.roleUsed(ctx, r.ID)
	return out, err
}

func (s *Service) roleUsed(ctx context.Context, id string) (*RoleLastUsed, error) {
	used, err := s.lastUse(ctx, id)
	if err != nil || used == nil {
		return &RoleLastUsed{}, err
	}
	return &RoleLastUsed{used.At, used.Region}, nil
}

// CreateRole makes a role.
type CreateRole struct {
	RoleName                 string `api:"required 1-64 name"`
	AssumeRolePolicyDocument string `api:"required 1-131072 document"`
	Path                     string `api:"1-512 path"`
	Description              string `api:"0-1000 text"`
	MaxSessionDuration       *int   `api:"3600-43200"`
	PermissionsBoundary      string `api:"20-2048"`
	Tags                     []Tag  `api:"0-50"`
}

// CreateRole makes a role. Faults: EntityAlreadyExists, LimitExceeded, policy.Malformed,
// NoSuchEntity for the boundary, InvalidInput.
func (s *Service) CreateRole(ctx context.Context, by Caller, in CreateRole) (out RoleResult, err error) {
	path := orRoot(in.Path)
	err = s.change(ctx, by.Account, func(c *change) error {
		keys := with(tagKeys(nil, in.Tags), boundaryKey, in.PermissionsBoundary)
		if err := s.may(ctx, by, "CreateRole", entityARN(by.Account, kindRole, path, in.RoleName), keys); err != nil {
			return err
		}
		if err := checkTags(in.Tags); err != nil {
			return err
		}
		r := &role{
			entity: c.newEntity(prefixRole, path, in.RoleName), Tags: in.Tags, Description: in.Description, MaxSession: defaultSession,
		}
		if in.MaxSessionDuration != nil {
			r.MaxSession = *in.MaxSessionDuration
		}
		if err := c.trust(r, in.AssumeRolePolicyDocument); err != nil {
			return err
		}
		if err := c.named(r.holder(), &c.epoch.Roles, maxRoles); err != nil {
			return err
		}
		if in.PermissionsBoundary != "" {
			if err := c.useBoundary(r.holder(), in.PermissionsBoundary); err != nil {
				return err
			}
		}
		c.put(roleRow(c.account, r.Name), r)
		out.Role, err = s.brief(ctx, r)
		out.Role.PermissionsBoundary, out.Role.Tags = shownBoundary(r.Boundary), r.Tags
		return err
	})
	return out, err
}

// trust sets a role's trust policy, whose principals it binds to their unique ids.
// Faults: policy.Malformed, LimitExceeded.
func (c *change) trust(r *role, text string) error {
	d, err := parse(policy.Trust, text)
	if err != nil {
		return err
	}
	if policy.Size(text) > maxTrust {
		return quota("ACLSizePerRole", maxTrust)
	}
	ids, err := bind(c.ctx, c, d)
	if errors.Is(err, InvalidPrincipal) {
		who := ""
		if f, ok := fault.As(err); ok && len(f.Details) > 0 {
			who = f.Details[0].Value
		}
		return fault.New(policy.Malformed, `Invalid principal in policy: "AWS":"%s"`, who)
	}
	r.Trust, r.Principals = text, ids
	return err
}

// GetRole asks for a role.
type GetRole struct {
	RoleName string `api:"required 1-64 name"`
}

// GetRole returns a role. Fault: NoSuchEntity.
func (s *Service) GetRole(ctx context.Context, by Caller, in GetRole) (out RoleResult, err error) {
	h, err := s.allowed(ctx, s, by, "GetRole", kindRole, in.RoleName, nil)
	if err != nil {
		return out, err
	}
	out.Role, err = s.shownRole(ctx, h.row.(*role))
	return out, err
}

// ListRoles asks for the roles of the account.
type ListRoles struct {
	PathPrefix string `api:"1-512 prefix"`
	Paged
}

// Roles is a page of roles.
type Roles struct {
	Roles []Role
	Page
}

// ListRoles lists roles by name.
func (s *Service) ListRoles(ctx context.Context, by Caller, in ListRoles) (Roles, error) {
	out := Roles{Roles: []Role{}}
	if err := s.may(ctx, by, "ListRoles", entityARN(by.Account, kindRole, orRoot(in.PathPrefix), ""), nil); err != nil {
		return out, err
	}
	page, err := s.pageOfRows(ctx, in.Paged, roleRows+by.Account+"/", func(value []byte) (bool, error) {
		var r role
		if err := decodeRow(roleRows, value, &r); err != nil {
			return false, err
		}
		if !strings.HasPrefix(r.Path, in.PathPrefix) {
			return false, nil
		}
		shown, err := s.brief(ctx, &r)
		out.Roles = append(out.Roles, shown)
		return true, err
	})
	out.Page = page
	return out, err
}

// UpdateRole changes a role's description and the longest duration of its sessions.
type UpdateRole struct {
	RoleName           string  `api:"required 1-64 name"`
	Description        *string `api:"0-1000 text"`
	MaxSessionDuration *int    `api:"3600-43200"`
}

// RoleUpdated is the result of UpdateRole: one without members, which is not none.
type RoleUpdated struct{ _ struct{} }

// UpdateRole changes a role's description and the longest duration of its sessions. What is
// not given is as if it had been left out when the role was made. Fault: NoSuchEntity.
func (s *Service) UpdateRole(ctx context.Context, by Caller, in UpdateRole) (RoleUpdated, error) {
	return RoleUpdated{}, s.edit(ctx, by, "UpdateRole", kindRole, in.RoleName, nil, func(_ *change, h *holder) error {
		r := h.row.(*role)
		if in.Description != nil {
			r.Description = *in.Description
		}
		r.MaxSession = defaultSession
		if in.MaxSessionDuration != nil {
			r.MaxSession = *in.MaxSessionDuration
		}
		return nil
	})
}

// UpdateRoleDescription changes a role's description.
type UpdateRoleDescription struct {
	RoleName    string `api:"required 1-64 name"`
	Description string `api:"required 0-1000 text"`
}

// UpdateRoleDescription changes a role's description. Fault: NoSuchEntity.
func (s *Service) UpdateRoleDescription(ctx context.Context, by Caller, in UpdateRoleDescription) (out RoleResult, err error) {
	err = s.edit(ctx, by, "UpdateRoleDescription", kindRole, in.RoleName, nil, func(_ *change, h *holder) error {
		r := h.row.(*role)
		r.Description = in.Description
		out.Role, err = s.shownRole(ctx, r)
		return err
	})
	return out, err
}

// UpdateAssumeRolePolicy replaces a role's trust policy.
type UpdateAssumeRolePolicy struct {
	RoleName       string `api:"required 1-64 name"`
	PolicyDocument string `api:"required 1-131072 document"`
}

// UpdateAssumeRolePolicy replaces a role's trust policy. Faults: NoSuchEntity,
// policy.Malformed, LimitExceeded.
func (s *Service) UpdateAssumeRolePolicy(ctx context.Context, by Caller, in UpdateAssumeRolePolicy) (None, error) {
	return None{}, s.edit(ctx, by, "UpdateAssumeRolePolicy", kindRole, in.RoleName, nil, func(c *change, h *holder) error {
		return c.trust(h.row.(*role), in.PolicyDocument)
	})
}

// DeleteRole deletes a role.
type DeleteRole struct {
	RoleName string `api:"required 1-64 name"`
}

// DeleteRole deletes a role that has no policies any more. Its sessions can do nothing
// from then on. Faults: NoSuchEntity, DeleteConflict.
func (s *Service) DeleteRole(ctx context.Context, by Caller, in DeleteRole) (None, error) {
	return None{}, s.change(ctx, by.Account, func(c *change) error {
		h, err := s.allowed(ctx, c, by, "DeleteRole", kindRole, in.RoleName, nil)
		if err != nil {
			return err
		}
		c.epoch.Roles--
		c.delete(lastUsedRow(h.ID))
		return c.deleteHolder(h)
	})
}

// PutRolePermissionsBoundary sets a role's permissions boundary.
type PutRolePermissionsBoundary struct {
	RoleName            string `api:"required 1-64 name"`
	PermissionsBoundary string `api:"required 20-2048"`
}

// PutRolePermissionsBoundary sets a role's permissions boundary. Fault: NoSuchEntity.
func (s *Service) PutRolePermissionsBoundary(ctx context.Context, by Caller, in PutRolePermissionsBoundary) (None, error) {
	return s.bound(ctx, by, "PutRolePermissionsBoundary", kindRole, in.RoleName, in.PermissionsBoundary)
}

// DeleteRolePermissionsBoundary removes a role's permissions boundary.
type DeleteRolePermissionsBoundary struct {
	RoleName string `api:"required 1-64 name"`
}

// DeleteRolePermissionsBoundary removes a role's permissions boundary. Fault: NoSuchEntity.
func (s *Service) DeleteRolePermissionsBoundary(ctx context.Context, by Caller, in DeleteRolePermissionsBoundary) (None, error) {
	return s.bound(ctx, by, "DeleteRolePermissionsBoundary", kindRole, in.RoleName, "")
}
