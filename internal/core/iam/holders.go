// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"

	"github.com/cofferstore/coffer/internal/core/policy"
)

// holder is a user, group or role, as far as it holds policies. Its fields are those of
// its row, so that a change of them is a change of the row.
type holder struct {
	*entity
	kind     string
	boundary *string // nil for groups, which have none
	tags     *[]Tag  // likewise
	row      any
}

func (u *user) holder() *holder  { return &holder{&u.entity, kindUser, &u.Boundary, &u.Tags, u} }
func (g *group) holder() *holder { return &holder{&g.entity, kindGroup, nil, nil, g} }
func (r *role) holder() *holder  { return &holder{&r.entity, kindRole, &r.Boundary, &r.Tags, r} }

func (h *holder) arn() string { return entityARN(h.Account, h.kind, h.Path, h.Name) }

// use is the letter under which an attached policy's use is kept.
func (h *holder) use() string { return h.kind[:1] }

// bounds is the letter under which a boundary's use is kept.
func (h *holder) bounds() string {
	if h.kind == kindUser {
		return boundsUser
	}
	return boundsRole
}

// rowOf is the row of a user, group, role or policy.
func rowOf(kind, account, name string) string {
	switch kind {
	case kindUser:
		return userRow(account, name)
	case kindGroup:
		return groupRow(account, name)
	case kindRole:
		return roleRow(account, name)
	}
	return policyRow(account, name)
}

// holderNamed returns nil when there is none.
func holderNamed(ctx context.Context, r reader, kind, account, name string) (*holder, error) {
	switch kind {
	case kindUser:
		u, err := userNamed(ctx, r, account, name)
		if err != nil || u == nil {
			return nil, err
		}
		return u.holder(), nil
	case kindGroup:
		g, err := groupNamed(ctx, r, account, name)
		if err != nil || g == nil {
			return nil, err
		}
		return g.holder(), nil
	}
	found, err := roleNamed(ctx, r, account, name)
	if err != nil || found == nil {
		return nil, err
	}
	return found.holder(), nil
}

const boundaryKey = "iam:permissionsboundary"

// delegated are the actions with the condition key iam:PermissionsBoundary: so
// administrators are kept to users and roles that have a boundary. It is the boundary
// that a request sets, or else the one that there is (Service Authorization Reference,
// "Actions, resources, and condition keys for AWS Identity and Access Management").
var delegated = map[string]bool{
	"AttachUserPolicy": true, "DetachUserPolicy": true, "PutUserPolicy": true, "DeleteUserPolicy": true,
	"AttachRolePolicy": true, "DetachRolePolicy": true, "PutRolePolicy": true, "DeleteRolePolicy": true,
	"DeleteUserPermissionsBoundary": true, "DeleteRolePermissionsBoundary": true,
}

// allowed finds a user, group or role that the caller may do something to. Who may not
// is not told whether there is one. Faults: AccessDenied, NoSuchEntity.
func (s *Service) allowed(ctx context.Context, r reader, by Caller, action, kind, name string, keys policy.Values) (*holder, error) {
	h, err := holderNamed(ctx, r, kind, by.Account, name)
	if err != nil {
		return nil, err
	}
	arn := entityARN(by.Account, kind, "/", name)
	if h != nil {
		arn = h.arn()
		if h.tags != nil {
			keys = resourceTags(keys, *h.tags)
		}
		if _, asked := keys[boundaryKey]; !asked && h.boundary != nil && delegated[action] {
			keys = with(keys, boundaryKey, *h.boundary)
		}
	}
	if err := s.may(ctx, by, action, arn, keys); err != nil {
		return nil, err
	}
	if h == nil {
		return nil, noSuch(kind, name)
	}
	return h, nil
}

// edit changes a user, group or role. f may run more than once.
func (s *Service) edit(ctx context.Context, by Caller, action, kind, name string, keys policy.Values, f func(c *change, h *holder) error) error {
	return s.change(ctx, by.Account, func(c *change) error {
		h, err := s.allowed(ctx, c, by, action, kind, name, keys)
		if err != nil {
			return err
		}
		if err := f(c, h); err != nil {
			return err
		}
		c.put(rowOf(kind, h.Account, h.Name), h.row)
		return nil
	})
}

// useBoundary replaces the boundary of a user or role by a policy of its account, or by
// none. Fault: NoSuchEntity.
func (c *change) useBoundary(h *holder, arn string) error {
	if *h.boundary != "" {
		old, err := policyByARN(c.ctx, c, c.account, *h.boundary)
		if err != nil {
			return err
		}
		if old != nil {
			c.delete(useRow(c.account, old.ID, h.bounds(), h.ID))
		}
	}
	*h.boundary = arn
	if arn == "" {
		return nil
	}
	p, err := c.policyFor(arn)
	if err != nil {
		return err
	}
	c.put(useRow(c.account, p.ID, h.bounds(), h.ID), p.ID)
	return nil
}
