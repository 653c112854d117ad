// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/core/policy"
)

// Tags is a page of tags.
type Tags struct {
	Tags []Tag
	Page
}

// setTags adds tags, in the place of those with the same keys. Faults: InvalidInput,
// LimitExceeded.
func setTags(have *[]Tag, tags []Tag) error {
	if err := checkTags(tags); err != nil {
		return err
	}
	for _, tag := range tags {
		i := slices.IndexFunc(*have, sameKey(tag.Key))
		if i >= 0 {
			(*have)[i] = tag
		} else {
			*have = append(*have, tag)
		}
	}
	if len(*have) > maxTags {
		return quota("TagsPerResource", maxTags)
	}
	return nil
}

func dropTags(have *[]Tag, keys []string) {
	*have = slices.DeleteFunc(*have, func(t Tag) bool {
		return slices.ContainsFunc(keys, func(key string) bool { return sameKey(key)(t) })
	})
}

func untagKeys(keys []string) policy.Values {
	if len(keys) == 0 {
		return nil
	}
	return policy.Values{"aws:tagkeys": keys}
}

func (s *Service) tag(ctx context.Context, by Caller, action, kind, name string, tags []Tag) (None, error) {
	return None{}, s.edit(ctx, by, action, kind, name, tagKeys(nil, tags), func(_ *change, h *holder) error {
		return setTags(h.tags, tags)
	})
}

func (s *Service) untag(ctx context.Context, by Caller, action, kind, name string, keys []string) (None, error) {
	return None{}, s.edit(ctx, by, action, kind, name, untagKeys(keys), func(_ *change, h *holder) error {
		dropTags(h.tags, keys)
		return nil
	})
}

func (s *Service) listTags(ctx context.Context, by Caller, action, kind, name string, p Paged) (Tags, error) {
	h, err := s.allowed(ctx, s, by, action, kind, name, nil)
	if err != nil {
		return Tags{}, err
	}
	return pageOfTags(p, h.ID, *h.tags)
}

func pageOfTags(p Paged, id string, tags []Tag) (out Tags, err error) {
	tags = slices.SortedFunc(slices.Values(tags), func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	out.Tags, out.Page, err = pageOf(p, "tags of "+id, tags, func(t Tag) string { return t.Key })
	return out, err
}

// TagUser sets tags of a user.
type TagUser struct {
	UserName string `api:"required 1-128 name"`
	Tags     []Tag  `api:"required 0-50"`
}

// TagUser sets tags of a user. Faults: NoSuchEntity, InvalidInput, LimitExceeded.
func (s *Service) TagUser(ctx context.Context, by Caller, in TagUser) (None, error) {
	return s.tag(ctx, by, "TagUser", kindUser, in.UserName, in.Tags)
}

// UntagUser removes tags from a user.
type UntagUser struct {
	UserName string   `api:"required 1-128 name"`
	TagKeys  []string `api:"required 0-50 each:1-128"`
}

// UntagUser removes tags from a user. Fault: NoSuchEntity.
func (s *Service) UntagUser(ctx context.Context, by Caller, in UntagUser) (None, error) {
	return s.untag(ctx, by, "UntagUser", kindUser, in.UserName, in.TagKeys)
}

// ListUserTags asks for the tags of a user.
type ListUserTags struct {
	UserName string `api:"required 1-128 name"`
	Paged
}

// ListUserTags lists the tags of a user by key. Fault: NoSuchEntity.
func (s *Service) ListUserTags(ctx context.Context, by Caller, in ListUserTags) (Tags, error) {
	return s.listTags(ctx, by, "ListUserTags", kindUser, in.UserName, in.Paged)
}

// TagRole sets tags of a role.
type TagRole struct {
	RoleName string `api:"required 1-64 name"`
	Tags     []Tag  `api:"required 0-50"`
}

// TagRole sets tags of a role. Faults: NoSuchEntity, InvalidInput, LimitExceeded.
func (s *Service) TagRole(ctx context.Context, by Caller, in TagRole) (None, error) {
	return s.tag(ctx, by, "TagRole", kindRole, in.RoleName, in.Tags)
}

// UntagRole removes tags from a role.
type UntagRole struct {
	RoleName string   `api:"required 1-64 name"`
	TagKeys  []string `api:"required 0-50 each:1-128"`
}

// UntagRole removes tags from a role. Fault: NoSuchEntity.
func (s *Service) UntagRole(ctx context.Context, by Caller, in UntagRole) (None, error) {
	return s.untag(ctx, by, "UntagRole", kindRole, in.RoleName, in.TagKeys)
}

// ListRoleTags asks for the tags of a role.
type ListRoleTags struct {
	RoleName string `api:"required 1-64 name"`
	Paged
}

// ListRoleTags lists the tags of a role by key. Fault: NoSuchEntity.
func (s *Service) ListRoleTags(ctx context.Context, by Caller, in ListRoleTags) (Tags, error) {
	return s.listTags(ctx, by, "ListRoleTags", kindRole, in.RoleName, in.Paged)
}

// TagPolicy sets tags of a managed policy.
type TagPolicy struct {
	PolicyArn string `api:"required 20-2048"`
	Tags      []Tag  `api:"required 0-50"`
}

// TagPolicy sets tags of a managed policy. Faults: NoSuchEntity, InvalidInput,
// LimitExceeded.
func (s *Service) TagPolicy(ctx context.Context, by Caller, in TagPolicy) (None, error) {
	return None{}, s.editPolicy(ctx, by, "TagPolicy", in.PolicyArn, tagKeys(nil, in.Tags), func(_ *change, p *managed) error {
		return setTags(&p.Tags, in.Tags)
	})
}

// UntagPolicy removes tags from a managed policy.
type UntagPolicy struct {
	PolicyArn string   `api:"required 20-2048"`
	TagKeys   []string `api:"required 0-50 each:1-128"`
}

// UntagPolicy removes tags from a managed policy. Fault: NoSuchEntity.
func (s *Service) UntagPolicy(ctx context.Context, by Caller, in UntagPolicy) (None, error) {
	return None{}, s.editPolicy(ctx, by, "UntagPolicy", in.PolicyArn, untagKeys(in.TagKeys), func(_ *change, p *managed) error {
		dropTags(&p.Tags, in.TagKeys)
		return nil
	})
}

// ListPolicyTags asks for the tags of a managed policy.
type ListPolicyTags struct {
	PolicyArn string `api:"required 20-2048"`
	Paged
}

// ListPolicyTags lists the tags of a managed policy by key. Fault: NoSuchEntity.
func (s *Service) ListPolicyTags(ctx context.Context, by Caller, in ListPolicyTags) (Tags, error) {
	p, err := s.allowedPolicy(ctx, s, by, "ListPolicyTags", in.PolicyArn, nil)
	if err != nil {
		return Tags{}, err
	}
	return pageOfTags(in.Paged, p.ID, p.Tags)
}
