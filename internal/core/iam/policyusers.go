// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"strings"
)

// ListEntitiesForPolicy asks who uses a managed policy.
type ListEntitiesForPolicy struct {
	PolicyArn         string `api:"required 20-2048"`
	EntityFilter      string `api:"User|Role|Group|LocalManagedPolicy|AWSManagedPolicy"`
	PathPrefix        string `api:"1-512 path"`
	PolicyUsageFilter string `api:"PermissionsPolicy|PermissionsBoundary"`
	Paged
}

// PolicyEntities is a page of who uses a managed policy.
type PolicyEntities struct {
	PolicyGroups []PolicyGroup
	PolicyUsers  []PolicyUser
	PolicyRoles  []PolicyRole
	Page
}

// PolicyGroup, PolicyUser and PolicyRole are who uses a managed policy.
type (
	PolicyGroup struct{ GroupName, GroupId string }
	PolicyUser  struct{ UserName, UserId string }
	PolicyRole  struct{ RoleName, RoleId string }
)

// ListEntitiesForPolicy lists who uses a managed policy, attached or as a boundary.
// Fault: NoSuchEntity.
func (s *Service) ListEntitiesForPolicy(ctx context.Context, by Caller, in ListEntitiesForPolicy) (PolicyEntities, error) {
	out := PolicyEntities{PolicyGroups: []PolicyGroup{}, PolicyUsers: []PolicyUser{}, PolicyRoles: []PolicyRole{}}
	p, err := s.allowedPolicy(ctx, s, by, "ListEntitiesForPolicy", in.PolicyArn, nil)
	if err != nil {
		return out, err
	}
	wanted := attachedUses + boundaryUses
	switch in.PolicyUsageFilter {
	case "PermissionsPolicy":
		wanted = attachedUses
	case "PermissionsBoundary":
		wanted = boundaryUses
	}
	prefix := useRow(by.Account, p.ID, "", "")
	page, err := s.pageOfUses(ctx, in.Paged, prefix, func(use, id string) (bool, error) {
		if !strings.Contains(wanted, use) {
			return false, nil
		}
		i, err := identityOf(ctx, s, id)
		if err != nil || i == nil {
			return false, err
		}
		h, err := holderNamed(ctx, s, i.Kind, i.Account, i.Name)
		if err != nil || h == nil || !strings.HasPrefix(h.Path, in.PathPrefix) || in.EntityFilter != "" && in.EntityFilter != titles[h.kind] {
			return false, err
		}
		switch h.kind {
		case kindUser:
			out.PolicyUsers = append(out.PolicyUsers, PolicyUser{h.Name, h.ID})
		case kindGroup:
			out.PolicyGroups = append(out.PolicyGroups, PolicyGroup{h.Name, h.ID})
		case kindRole:
			out.PolicyRoles = append(out.PolicyRoles, PolicyRole{h.Name, h.ID})
		}
		return true, nil
	})
	out.Page = page
	return out, err
}

// pageOfUses is pageOfRows over i/x/ rows, whose keys say it all.
func (s *Service) pageOfUses(ctx context.Context, p Paged, prefix string, take func(use, id string) (bool, error)) (Page, error) {
	after, err := p.after(prefix)
	if err != nil {
		return Page{}, err
	}
	if after != "" {
		after = prefix + after
	}
	n, last, out := 0, "", Page{}
	err = s.scan(ctx, prefix, after, func(row string, _ []byte) (bool, error) {
		use := strings.TrimPrefix(row, prefix)
		if n == p.size() {
			out = Page{true, marker(prefix, last)}
			return false, nil
		}
		last = use
		ok, err := take(use[:1], use[1:])
		if ok {
			n++
		}
		return true, err
	})
	return out, err
}
