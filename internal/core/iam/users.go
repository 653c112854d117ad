// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// User is a user as the API shows it.
type User struct {
	Path, UserName, UserId, Arn string
	CreateDate                  time.Time
	PermissionsBoundary         *AttachedBoundary
	Tags                        []Tag
}

// AttachedBoundary is a permissions boundary as the API shows it.
type AttachedBoundary struct{ PermissionsBoundaryType, PermissionsBoundaryArn string }

func shownBoundary(arn string) *AttachedBoundary {
	if arn == "" {
		return nil
	}
	return &AttachedBoundary{"Policy", arn}
}

// brief is how lists show a user.
func (u *user) brief() User {
	return User{Path: u.Path, UserName: u.Name, UserId: u.ID, Arn: u.arn(), CreateDate: u.Created}
}

func (u *user) shown() User {
	out := u.brief()
	out.PermissionsBoundary, out.Tags = shownBoundary(u.Boundary), u.Tags
	return out
}

// UserResult is the result of operations on one user.
type UserResult struct{ User User }

// CreateUser makes a user.
type CreateUser struct {
	UserName            string `api:"required 1-64 name"`
	Path                string `api:"1-512 path"`
	PermissionsBoundary string `api:"20-2048"`
	Tags                []Tag  `api:"0-50"`
}

// CreateUser makes a user. Faults: EntityAlreadyExists, LimitExceeded, NoSuchEntity for
// the boundary, InvalidInput.
func (s *Service) CreateUser(ctx context.Context, by Caller, in CreateUser) (out UserResult, err error) {
	path := orRoot(in.Path)
	err = s.change(ctx, by.Account, func(c *change) error {
		keys := with(tagKeys(nil, in.Tags), boundaryKey, in.PermissionsBoundary)
		if err := s.may(ctx, by, "CreateUser", entityARN(by.Account, kindUser, path, in.UserName), keys); err != nil {
			return err
		}
		if err := checkTags(in.Tags); err != nil {
			return err
		}
		u := &user{entity: c.newEntity(prefixUser, path, in.UserName), Tags: in.Tags}
		if err := c.named(u.holder(), &c.epoch.Users, maxUsers); err != nil {
			return err
		}
		if in.PermissionsBoundary != "" {
			if err := c.useBoundary(u.holder(), in.PermissionsBoundary); err != nil {
				return err
			}
		}
		c.put(userRow(c.account, u.Name), u)
		out.User = u.shown()
		return nil
	})
	return out, err
}

func (c *change) newEntity(prefix, path, name string) entity {
	return entity{Version: formatOfRows, Account: c.account, ID: newID(prefix), Name: name, Path: path, Created: c.now}
}

// titles begin sentences about kinds.
var titles = map[string]string{kindUser: "User", kindGroup: "Group", kindRole: "Role"}

// quotas are the names of how many there may be in an account.
var quotas = map[string]string{kindUser: "UsersPerAccount", kindGroup: "GroupsPerAccount", kindRole: "RolesPerAccount"}

// named takes the name and the id of a new user, group or role, and counts it. Faults:
// EntityAlreadyExists, LimitExceeded.
func (c *change) named(h *holder, count *int, most int) error {
	var other entity
	found, err := c.get(rowOf(h.kind, c.account, h.Name), &other)
	if err != nil {
		return err
	}
	if found {
		return fault.New(EntityAlreadyExists, "%s with name %s already exists.", titles[h.kind], h.Name)
	}
	if *count >= most {
		return quota(quotas[h.kind], most)
	}
	*count++
	c.create(idRow(h.ID), identity{c.account, h.kind, strings.ToLower(h.Name)})
	return nil
}

// GetUser asks for a user, or for the caller.
type GetUser struct {
	UserName string `api:"1-128 name"`
}

// GetUser returns a user. Fault: NoSuchEntity.
func (s *Service) GetUser(ctx context.Context, by Caller, in GetUser) (UserResult, error) {
	if in.UserName == "" && by.Type == Root {
		if err := s.may(ctx, by, "GetUser", by.ARN, nil); err != nil {
			return UserResult{}, err
		}
		a, err := found[account](ctx, s, accountRow(by.Account))
		if err != nil || a == nil {
			return UserResult{}, err
		}
		return UserResult{User{UserId: by.Account, Arn: aws.RootARN(by.Account), CreateDate: a.Created}}, nil
	}
	name, err := userOr(by, in.UserName)
	if err != nil {
		return UserResult{}, err
	}
	h, err := s.allowed(ctx, s, by, "GetUser", kindUser, name, nil)
	if err != nil {
		return UserResult{}, err
	}
	return UserResult{h.row.(*user).shown()}, nil
}

// ListUsers asks for the users of the account.
type ListUsers struct {
	PathPrefix string `api:"1-512 prefix"`
	Paged
}

// Users is a page of users.
type Users struct {
	Users []User
	Page
}

// ListUsers lists users by name.
func (s *Service) ListUsers(ctx context.Context, by Caller, in ListUsers) (Users, error) {
	out := Users{Users: []User{}}
	if err := s.may(ctx, by, "ListUsers", entityARN(by.Account, kindUser, orRoot(in.PathPrefix), ""), nil); err != nil {
		return out, err
	}
	page, err := s.pageOfRows(ctx, in.Paged, userRows+by.Account+"/", func(value []byte) (bool, error) {
		var u user
		if err := decodeRow(userRows, value, &u); err != nil {
			return false, err
		}
		if !strings.HasPrefix(u.Path, in.PathPrefix) {
			return false, nil
		}
		out.Users = append(out.Users, u.brief())
		return true, nil
	})
	out.Page = page
	return out, err
}

// UpdateUser changes the name and path of a user.
type UpdateUser struct {
	UserName    string `api:"required 1-128 name"`
	NewPath     string `api:"1-512 path"`
	NewUserName string `api:"1-64 name"`
}

// UpdateUser changes the name and path of a user, and so its ARN; its id stays. Faults:
// NoSuchEntity, EntityAlreadyExists.
func (s *Service) UpdateUser(ctx context.Context, by Caller, in UpdateUser) (None, error) {
	return None{}, s.move(ctx, by, "UpdateUser", kindUser, in.UserName, in.NewPath, in.NewUserName)
}

// move changes the name and path of a user or group. The caller needs to be allowed it
// under the old ARN and under the new one.
func (s *Service) move(ctx context.Context, by Caller, action, kind, name, newPath, newName string) error {
	return s.change(ctx, by.Account, func(c *change) error {
		h, err := s.allowed(ctx, c, by, action, kind, name, nil)
		if err != nil {
			return err
		}
		old := rowOf(kind, c.account, h.Name)
		if newPath != "" {
			h.Path = newPath
		}
		if newName != "" {
			h.Name = newName
		}
		if err := s.may(ctx, by, action, h.arn(), nil); err != nil {
			return err
		}
		if now := rowOf(kind, c.account, h.Name); now != old {
			var other entity
			taken, err := c.get(now, &other)
			if err != nil {
				return err
			}
			if taken {
				return fault.New(EntityAlreadyExists, "%s with name %s already exists.", titles[kind], newName)
			}
			c.delete(old)
			c.put(idRow(h.ID), identity{c.account, kind, strings.ToLower(h.Name)})
		}
		c.put(rowOf(kind, c.account, h.Name), h.row)
		return nil
	})
}

// DeleteUser deletes a user.
type DeleteUser struct {
	UserName string `api:"required 1-128 name"`
}

// DeleteUser deletes a user who has no access keys, groups or policies any more. Faults:
// NoSuchEntity, DeleteConflict.
func (s *Service) DeleteUser(ctx context.Context, by Caller, in DeleteUser) (None, error) {
	return None{}, s.change(ctx, by.Account, func(c *change) error {
		h, err := s.allowed(ctx, c, by, "DeleteUser", kindUser, in.UserName, nil)
		if err != nil {
			return err
		}
		u := h.row.(*user)
		switch {
		case len(u.Keys) > 0:
			return fault.New(DeleteConflict, "Cannot delete entity, must delete access keys first.")
		case len(u.Groups) > 0:
			return fault.New(DeleteConflict, "Cannot delete entity, must remove users from group first.")
		}
		c.epoch.Users--
		return c.deleteHolder(h)
	})
}

// deleteHolder deletes a user, group or role that has no policies any more. Fault:
// DeleteConflict.
func (c *change) deleteHolder(h *holder) error {
	switch {
	case len(h.Attached) > 0:
		return fault.New(DeleteConflict, "Cannot delete entity, must detach all policies first.")
	case len(h.Inline) > 0:
		return fault.New(DeleteConflict, "Cannot delete entity, must delete policies first.")
	}
	if h.boundary != nil {
		if err := c.useBoundary(h, ""); err != nil {
			return err
		}
	}
	c.delete(rowOf(h.kind, c.account, h.Name))
	c.delete(idRow(h.ID))
	return nil
}

// PutUserPermissionsBoundary sets a user's permissions boundary.
type PutUserPermissionsBoundary struct {
	UserName            string `api:"required 1-64 name"`
	PermissionsBoundary string `api:"required 20-2048"`
}

// PutUserPermissionsBoundary sets a user's permissions boundary. Fault: NoSuchEntity.
func (s *Service) PutUserPermissionsBoundary(ctx context.Context, by Caller, in PutUserPermissionsBoundary) (None, error) {
	return s.bound(ctx, by, "PutUserPermissionsBoundary", kindUser, in.UserName, in.PermissionsBoundary)
}

// DeleteUserPermissionsBoundary removes a user's permissions boundary.
type DeleteUserPermissionsBoundary struct {
	UserName string `api:"required 1-64 name"`
}

// DeleteUserPermissionsBoundary removes a user's permissions boundary. Fault: NoSuchEntity.
func (s *Service) DeleteUserPermissionsBoundary(ctx context.Context, by Caller, in DeleteUserPermissionsBoundary) (None, error) {
	return s.bound(ctx, by, "DeleteUserPermissionsBoundary", kindUser, in.UserName, "")
}

func (s *Service) bound(ctx context.Context, by Caller, action, kind, name, arn string) (None, error) {
	var keys policy.Values
	return None{}, s.edit(ctx, by, action, kind, name, with(keys, boundaryKey, arn), func(c *change, h *holder) error {
		if arn == "" && *h.boundary == "" {
			return fault.New(NoSuchEntity, "The %s with name %s does not have a permissions boundary.", kind, name)
		}
		return c.useBoundary(h, arn)
	})
}
