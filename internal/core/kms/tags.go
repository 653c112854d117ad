// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// maxTags is how many tags a key may have.
const maxTags = 50

// Tag is a pair of a key's tags.
type Tag struct {
	TagKey   string `json:"key"`
	TagValue string `json:"value"`
}

// tags checks the lengths; checkTags the rest.
func (p *problems) tags(tags []Tag) {
	for i, tag := range tags {
		p.length(tag.TagKey, fmt.Sprintf("tags.%d.member.tagKey", i+1), 1, 128)
		p.length(tag.TagValue, fmt.Sprintf("tags.%d.member.tagValue", i+1), 0, 256)
	}
}

// checkTags checks the tags of a request. Error: Tagging.
func checkTags(tags []Tag) error {
	seen := map[string]bool{}
	for _, tag := range tags {
		if err := checkTagKey(tag.TagKey); err != nil {
			return err
		}
		if seen[tag.TagKey] {
			return fault.New(Tagging, "Duplicate tag keys")
		}
		seen[tag.TagKey] = true
	}
	if len(tags) > maxTags {
		return fault.New(Tagging, "Too many tags")
	}
	return nil
}

func checkTagKey(key string) error {
	if len(key) >= 4 && strings.EqualFold(key[:4], "aws:") {
		return fault.New(Tagging, "Tags beginning with aws: are reserved")
	}
	return nil
}

// TagResource is the request of Service.TagResource.
type TagResource struct {
	KeyId string
	Tags  []Tag
}

func (in TagResource) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// TagResource sets tags of a key. Known tags keep their place.
func (s *Service) TagResource(ctx context.Context, by iam.Caller, in TagResource) (Done, error) {
	return counted(s, "TagResource", func() (Done, error) {
		var p problems
		p.keyID(in.KeyId, "keyId")
		if in.Tags == nil {
			p.present("", "tags")
		}
		if p.tags(in.Tags); p != nil {
			return Done{}, p.err()
		}
		if err := checkTags(in.Tags); err != nil {
			return Done{}, err
		}
		return s.done(s.editWith(ctx, by, "TagResource", in.KeyId, facts{Keys: requestTags(nil, in.Tags)}, func(k *key, _ *meta.Batch) error {
			for _, tag := range in.Tags {
				i := slices.IndexFunc(k.Tags, func(t Tag) bool { return t.TagKey == tag.TagKey })
				if i >= 0 {
					k.Tags[i] = tag
				} else {
					k.Tags = append(k.Tags, tag)
				}
			}
			if len(k.Tags) > maxTags {
				return fault.New(Tagging, "Too many tags")
			}
			return nil
		}))
	})
}

// UntagResource is the request of Service.UntagResource.
type UntagResource struct {
	KeyId   string
	TagKeys []string
}

func (in UntagResource) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// UntagResource removes tags from a key. Tags that it has not are ignored.
func (s *Service) UntagResource(ctx context.Context, by iam.Caller, in UntagResource) (Done, error) {
	return counted(s, "UntagResource", func() (Done, error) {
		var p problems
		p.keyID(in.KeyId, "keyId")
		if in.TagKeys == nil {
			p.present("", "tagKeys")
		}
		for i, key := range in.TagKeys {
			p.length(key, fmt.Sprintf("tagKeys.%d.member", i+1), 1, 128)
		}
		if p != nil {
			return Done{}, p.err()
		}
		for _, key := range in.TagKeys {
			if err := checkTagKey(key); err != nil {
				return Done{}, err
			}
		}
		f := facts{Keys: withKey(nil, "aws:tagkeys", in.TagKeys...)}
		return s.done(s.editWith(ctx, by, "UntagResource", in.KeyId, f, func(k *key, _ *meta.Batch) error {
			k.Tags = slices.DeleteFunc(k.Tags, func(t Tag) bool { return slices.Contains(in.TagKeys, t.TagKey) })
			return nil
		}))
	})
}

// ListResourceTags is the request of Service.ListResourceTags.
type ListResourceTags struct {
	KeyId  string
	Limit  *int
	Marker string
}

func (in ListResourceTags) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// TagList is a page of a key's tags.
type TagList struct {
	NextMarker string
	Tags       []Tag
	Truncated  bool
	touched
}

// ListResourceTags lists a key's tags in the order in which they were set.
func (s *Service) ListResourceTags(ctx context.Context, by iam.Caller, in ListResourceTags) (TagList, error) {
	return counted(s, "ListResourceTags", func() (TagList, error) {
		var p problems
		p.keyID(in.KeyId, "keyId")
		if p.page(in.Limit, in.Marker); p != nil {
			return TagList{}, p.err()
		}
		ref, err := s.keyNamed(by, in.KeyId)
		if err != nil {
			return TagList{}, err
		}
		k, err := s.readKey(ctx, by, "ListResourceTags", ref, facts{})
		if err != nil {
			return TagList{}, err
		}
		page, next, err := pageOf("tags of "+ref.id, k.Tags, pageSize(in.Limit, 50, 50), in.Marker)
		if err != nil {
			return TagList{}, err
		}
		return TagList{next, append([]Tag{}, page...), next != "", touched{ref.arn(s.region)}}, nil
	})
}
