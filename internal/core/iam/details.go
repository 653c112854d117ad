// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"
	"strings"
	"time"
)

// GetAccountAuthorizationDetails asks for everybody in the account and what they are
// allowed.
type GetAccountAuthorizationDetails struct {
	Filter []string `api:"0-5"`
	Paged
}

// PolicyDetail is an inline policy.
type PolicyDetail struct {
	PolicyName     string
	PolicyDocument string `api:"encoded"`
}

// UserDetail is a user with its policies.
type UserDetail struct {
	Path, UserName, UserId, Arn string
	CreateDate                  time.Time
	UserPolicyList              []PolicyDetail
	GroupList                   []string
	AttachedManagedPolicies     []AttachedPolicy
	PermissionsBoundary         *AttachedBoundary
	Tags                        []Tag
}

// GroupDetail is a group with its policies.
type GroupDetail struct {
	Path, GroupName, GroupId, Arn string
	CreateDate                    time.Time
	GroupPolicyList               []PolicyDetail
	AttachedManagedPolicies       []AttachedPolicy
}

// RoleDetail is a role with its policies.
type RoleDetail struct {
	Path, RoleName, RoleId, Arn string
	CreateDate                  time.Time
	AssumeRolePolicyDocument    string     `api:"encoded"`
	InstanceProfileList         []struct{} // there are none
	RolePolicyList              []PolicyDetail
	AttachedManagedPolicies     []AttachedPolicy
	PermissionsBoundary         *AttachedBoundary
	Tags                        []Tag
	RoleLastUsed                *RoleLastUsed
}

// ManagedPolicyDetail is a managed policy with its versions.
type ManagedPolicyDetail struct {
	ManagedPolicy
	PolicyVersionList []PolicyVersion
}

// AuthorizationDetails is a page of what an account has.
type AuthorizationDetails struct {
	UserDetailList  []UserDetail
	GroupDetailList []GroupDetail
	RoleDetailList  []RoleDetail
	Policies        []ManagedPolicyDetail
	Page
}

func details(inline []named) []PolicyDetail {
	out := make([]PolicyDetail, 0, len(inline))
	for _, n := range inline {
		out = append(out, PolicyDetail{n.Name, n.Text})
	}
	return out
}

// sections are the parts of the answer, in its order: what the filter calls them, and
// their rows. Policies that all accounts have come last, and only those in use.
var sections = []struct{ filter, rows string }{
	{"User", userRows}, {"Group", groupRows}, {"Role", roleRows}, {"LocalManagedPolicy", policyRows}, {"AWSManagedPolicy", ""},
}

// GetAccountAuthorizationDetails returns everybody in the account and what they are
// allowed. Fault: ValidationError.
func (s *Service) GetAccountAuthorizationDetails(ctx context.Context, by Caller, in GetAccountAuthorizationDetails) (AuthorizationDetails, error) {
	out := AuthorizationDetails{
		UserDetailList: []UserDetail{}, GroupDetailList: []GroupDetail{}, RoleDetailList: []RoleDetail{}, Policies: []ManagedPolicyDetail{},
	}
	if err := s.may(ctx, by, "GetAccountAuthorizationDetails", "*", nil); err != nil {
		return out, err
	}
	// A position is a section's number and the row within it, without the rows' prefix:
	// whoever forges a marker stays among the account's own.
	list := "details of " + by.Account
	after, err := in.after(list)
	if err != nil {
		return out, err
	}
	n, last := 0, ""
	for i, section := range sections {
		number := string(rune('a' + i))
		if len(in.Filter) > 0 && !slices.Contains(in.Filter, section.filter) || after != "" && after[:1] > number {
			continue
		}
		from := ""
		if after != "" && after[:1] == number {
			from = after[1:]
		}
		more := false
		take := func(row string, add func() error) (bool, error) {
			if n == in.size() {
				more = true
				return false, nil
			}
			n, last = n+1, number+strings.TrimPrefix(row, section.rows+by.Account+"/")
			return true, add()
		}
		if err := s.section(ctx, by.Account, section.rows, from, &out, take); err != nil {
			return out, err
		}
		if more {
			out.Page = Page{true, marker(list, last)}
			break
		}
	}
	return out, nil
}

// section adds one section of the details.
func (s *Service) section(ctx context.Context, account, rows, from string, out *AuthorizationDetails, take func(row string, add func() error) (bool, error)) error {
	if rows != "" {
		prefix := rows + account + "/"
		if from != "" {
			from = prefix + from
		}
		return s.scan(ctx, prefix, from, func(row string, value []byte) (bool, error) {
			return take(row, func() error { return s.detail(ctx, row, value, out) })
		})
	}
	arns := []string{}
	for arn := range offeredPolicies {
		arns = append(arns, arn)
	}
	slices.Sort(arns)
	for _, arn := range arns {
		p := offeredPolicies[arn]
		attached, bounds, err := s.usesOf(ctx, account, p.ID)
		if err != nil {
			return err
		}
		if arn <= from || attached+bounds == 0 {
			continue
		}
		if more, err := take(arn, func() error { return s.policyDetail(ctx, account, p, out) }); err != nil || !more {
			return err
		}
	}
	return nil
}

func (s *Service) detail(ctx context.Context, row string, value []byte, out *AuthorizationDetails) error {
	switch {
	case strings.HasPrefix(row, userRows):
		var u user
		if err := decodeRow(row, value, &u); err != nil {
			return err
		}
		groups, err := s.groupsOf(ctx, &u)
		names := make([]string, 0, len(groups))
		for _, g := range groups {
			names = append(names, g.GroupName)
		}
		out.UserDetailList = append(out.UserDetailList, UserDetail{
			u.Path, u.Name, u.ID, u.arn(), u.Created, details(u.Inline), names, u.shownAttached(), shownBoundary(u.Boundary), u.Tags,
		})
		return err
	case strings.HasPrefix(row, groupRows):
		var g group
		if err := decodeRow(row, value, &g); err != nil {
			return err
		}
		out.GroupDetailList = append(out.GroupDetailList, GroupDetail{g.Path, g.Name, g.ID, g.arn(), g.Created, details(g.Inline), g.shownAttached()})
		return nil
	case strings.HasPrefix(row, roleRows):
		var r role
		if err := decodeRow(row, value, &r); err != nil {
			return err
		}
		shown, err := s.shownRole(ctx, &r)
		out.RoleDetailList = append(out.RoleDetailList, RoleDetail{
			r.Path, r.Name, r.ID, r.arn(), r.Created, shown.AssumeRolePolicyDocument, []struct{}{}, details(r.Inline),
			r.shownAttached(), shownBoundary(r.Boundary), r.Tags, shown.RoleLastUsed,
		})
		return err
	}
	var p managed
	if err := decodeRow(row, value, &p); err != nil {
		return err
	}
	return s.policyDetail(ctx, p.Account, &p, out)
}

func (s *Service) policyDetail(ctx context.Context, account string, p *managed, out *AuthorizationDetails) error {
	shown, err := s.shownPolicy(ctx, account, p)
	d := ManagedPolicyDetail{ManagedPolicy: shown, PolicyVersionList: []PolicyVersion{}}
	d.Description = p.Description
	for _, v := range slices.Backward(p.Versions) {
		version := p.shownVersion(v)
		version.Document = v.Text
		d.PolicyVersionList = append(d.PolicyVersionList, version)
	}
	out.Policies = append(out.Policies, d)
	return err
}
