// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
)

// Group is a group as the API shows it.
type Group struct {
	Path, GroupName, GroupId, Arn string
	CreateDate                    time.Time
}

func (g *group) shown() Group { return Group{g.Path, g.Name, g.ID, g.arn(), g.Created} }

// GroupResult is the result of operations on one group.
type GroupResult struct{ Group Group }

// Groups is a page of groups.
type Groups struct {
	Groups []Group
	Page
}

// CreateGroup makes a group.
type CreateGroup struct {
	GroupName string `api:"required 1-128 name"`
	Path      string `api:"1-512 path"`
}

// CreateGroup makes a group. Faults: EntityAlreadyExists, LimitExceeded.
func (s *Service) CreateGroup(ctx context.Context, by Caller, in CreateGroup) (out GroupResult, err error) {
	path := orRoot(in.Path)
	err = s.change(ctx, by.Account, func(c *change) error {
		if err := s.may(ctx, by, "CreateGroup", entityARN(by.Account, kindGroup, path, in.GroupName), nil); err != nil {
			return err
		}
		g := &group{c.newEntity(prefixGroup, path, in.GroupName)}
		if err := c.named(g.holder(), &c.epoch.Groups, maxGroups); err != nil {
			return err
		}
		c.put(groupRow(c.account, g.Name), g)
		out.Group = g.shown()
		return nil
	})
	return out, err
}

// GetGroup asks for a group and its users.
type GetGroup struct {
	GroupName string `api:"required 1-128 name"`
	Paged
}

// GroupUsers is a group with a page of its users.
type GroupUsers struct {
	Group Group
	Users []User
	Page
}

// GetGroup returns a group and its users. Fault: NoSuchEntity.
func (s *Service) GetGroup(ctx context.Context, by Caller, in GetGroup) (GroupUsers, error) {
	h, err := s.allowed(ctx, s, by, "GetGroup", kindGroup, in.GroupName, nil)
	if err != nil {
		return GroupUsers{}, err
	}
	out := GroupUsers{Group: h.row.(*group).shown(), Users: []User{}}
	out.Page, err = s.pageOfRows(ctx, in.Paged, memberRow(h.ID, ""), func(value []byte) (bool, error) {
		var id string
		if err := decodeRow(memberRows, value, &id); err != nil {
			return false, err
		}
		u, err := userByID(ctx, s, id)
		if err != nil || u == nil {
			return false, err
		}
		out.Users = append(out.Users, u.brief())
		return true, nil
	})
	return out, err
}

// ListGroups asks for the groups of the account.
type ListGroups struct {
	PathPrefix string `api:"1-512 prefix"`
	Paged
}

// ListGroups lists groups by name.
func (s *Service) ListGroups(ctx context.Context, by Caller, in ListGroups) (Groups, error) {
	out := Groups{Groups: []Group{}}
	if err := s.may(ctx, by, "ListGroups", entityARN(by.Account, kindGroup, orRoot(in.PathPrefix), ""), nil); err != nil {
		return out, err
	}
	page, err := s.pageOfRows(ctx, in.Paged, groupRows+by.Account+"/", func(value []byte) (bool, error) {
		var g group
		if err := decodeRow(groupRows, value, &g); err != nil {
			return false, err
		}
		if !strings.HasPrefix(g.Path, in.PathPrefix) {
			return false, nil
		}
		out.Groups = append(out.Groups, g.shown())
		return true, nil
	})
	out.Page = page
	return out, err
}

// UpdateGroup changes the name and path of a group.
type UpdateGroup struct {
	GroupName    string `api:"required 1-128 name"`
	NewPath      string `api:"1-512 path"`
	NewGroupName string `api:"1-128 name"`
}

// UpdateGroup changes the name and path of a group; its id stays. Faults: NoSuchEntity,
// EntityAlreadyExists.
func (s *Service) UpdateGroup(ctx context.Context, by Caller, in UpdateGroup) (None, error) {
	return None{}, s.move(ctx, by, "UpdateGroup", kindGroup, in.GroupName, in.NewPath, in.NewGroupName)
}

// DeleteGroup deletes a group.
type DeleteGroup struct {
	GroupName string `api:"required 1-128 name"`
}

// DeleteGroup deletes a group that has no users and policies any more. Faults:
// NoSuchEntity, DeleteConflict.
func (s *Service) DeleteGroup(ctx context.Context, by Caller, in DeleteGroup) (None, error) {
	return None{}, s.change(ctx, by.Account, func(c *change) error {
		h, err := s.allowed(ctx, c, by, "DeleteGroup", kindGroup, in.GroupName, nil)
		if err != nil {
			return err
		}
		err = s.scan(ctx, memberRow(h.ID, ""), "", func(string, []byte) (bool, error) {
			return false, fault.New(DeleteConflict, "Cannot delete entity, must remove users from group first.")
		})
		if err != nil {
			return err
		}
		c.epoch.Groups--
		return c.deleteHolder(h)
	})
}

// AddUserToGroup puts a user into a group.
type AddUserToGroup struct {
	GroupName string `api:"required 1-128 name"`
	UserName  string `api:"required 1-128 name"`
}

// AddUserToGroup puts a user into a group; into one that it is in already, too. Faults:
// NoSuchEntity, LimitExceeded.
func (s *Service) AddUserToGroup(ctx context.Context, by Caller, in AddUserToGroup) (None, error) {
	return None{}, s.member(ctx, by, "AddUserToGroup", in.GroupName, in.UserName, func(c *change, g *holder, u *user) error {
		groups, added := add(u.Groups, g.ID)
		if added && len(groups) > maxUserGroups {
			return quota("GroupsPerUser", maxUserGroups)
		}
		u.Groups = groups
		c.put(memberRow(g.ID, u.ID), u.ID)
		return nil
	})
}

// RemoveUserFromGroup takes a user out of a group.
type RemoveUserFromGroup struct {
	GroupName string `api:"required 1-128 name"`
	UserName  string `api:"required 1-128 name"`
}

// RemoveUserFromGroup takes a user out of a group. Fault: NoSuchEntity.
func (s *Service) RemoveUserFromGroup(ctx context.Context, by Caller, in RemoveUserFromGroup) (None, error) {
	return None{}, s.member(ctx, by, "RemoveUserFromGroup", in.GroupName, in.UserName, func(c *change, g *holder, u *user) error {
		groups, removed := remove(u.Groups, g.ID)
		if !removed {
			return fault.New(NoSuchEntity, "User %s is not in group %s.", u.Name, g.Name)
		}
		u.Groups = groups
		c.delete(memberRow(g.ID, u.ID))
		return nil
	})
}

func (s *Service) member(ctx context.Context, by Caller, action, groupName, userName string, f func(c *change, g *holder, u *user) error) error {
	return s.change(ctx, by.Account, func(c *change) error {
		g, err := s.allowed(ctx, c, by, action, kindGroup, groupName, nil)
		if err != nil {
			return err
		}
		u, err := userNamed(ctx, c, c.account, userName)
		if err != nil {
			return err
		}
		if u == nil {
			return noSuch(kindUser, userName)
		}
		if err := f(c, g, u); err != nil {
			return err
		}
		c.put(userRow(c.account, u.Name), u)
		return nil
	})
}

// ListGroupsForUser asks for the groups that a user is in.
type ListGroupsForUser struct {
	UserName string `api:"required 1-128 name"`
	Paged
}

// ListGroupsForUser lists the groups that a user is in, by name. Fault: NoSuchEntity.
func (s *Service) ListGroupsForUser(ctx context.Context, by Caller, in ListGroupsForUser) (Groups, error) {
	h, err := s.allowed(ctx, s, by, "ListGroupsForUser", kindUser, in.UserName, nil)
	if err != nil {
		return Groups{}, err
	}
	all, err := s.groupsOf(ctx, h.row.(*user))
	if err != nil {
		return Groups{}, err
	}
	var out Groups
	out.Groups, out.Page, err = pageOf(in.Paged, "groups of "+h.ID, all, func(g Group) string { return g.GroupName })
	return out, err
}

func (s *Service) groupsOf(ctx context.Context, u *user) ([]Group, error) {
	var all []Group
	for _, id := range u.Groups {
		g, err := groupByID(ctx, s, id)
		if err != nil {
			return nil, err
		}
		if g != nil {
			all = append(all, g.shown())
		}
	}
	slices.SortFunc(all, func(a, b Group) int { return strings.Compare(a.GroupName, b.GroupName) })
	return all, nil
}
