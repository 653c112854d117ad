// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// maxTags is how many tags a trail may have.
const maxTags = 50

// Tag is a pair of a trail's tags. One without a value has "".
type Tag struct {
	Key   string
	Value *string
}

func (t Tag) value() string {
	if t.Value == nil {
		return ""
	}
	return *t.Value
}

var tagCharacters = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// withTags returns tags with more, which win. Faults: InvalidTag, TooManyTags.
func withTags(tags map[string]string, more []Tag) (map[string]string, error) {
	if len(more) == 0 {
		return tags, nil
	}
	all := maps.Clone(tags)
	if all == nil {
		all = make(map[string]string, len(more))
	}
	seen := make(map[string]bool, len(more))
	for _, t := range more {
		if err := checkTag(t); err != nil {
			return nil, err
		}
		if seen[t.Key] {
			return nil, fault.New(InvalidTag, "Duplicate tag key: %s", t.Key)
		}
		seen[t.Key], all[t.Key] = true, t.value()
	}
	if len(all) > maxTags {
		return nil, fault.New(TooManyTags, "The number of tags per trail has exceeded the permitted amount. Currently, the limit is %d.", maxTags)
	}
	return all, nil
}

func checkTag(t Tag) error {
	switch {
	case t.Key == "":
		return fault.New(InvalidTag, "Tag key cannot be blank.")
	case utf8.RuneCountInString(t.Key) > 128:
		return fault.New(InvalidTag, "Tag key is longer than 128 characters.")
	case utf8.RuneCountInString(t.value()) > 256:
		return fault.New(InvalidTag, "Tag value is longer than 256 characters.")
	case len(t.Key) >= 4 && strings.EqualFold(t.Key[:4], "aws:"):
		return fault.New(InvalidTag, "Tag keys beginning with aws: are reserved.")
	case !tagCharacters.MatchString(t.Key), !tagCharacters.MatchString(t.value()):
		return fault.New(InvalidTag, "Tag key or value contains a character that is not valid.")
	}
	return nil
}

// AddTags is the request of Service.AddTags.
type AddTags struct {
	ResourceId string
	TagsList   []Tag
}

// RemoveTags is the request of Service.RemoveTags.
type RemoveTags struct {
	ResourceId string
	TagsList   []Tag
}

// AddTags sets tags of a trail. Faults: InvalidTag, TooManyTags, ResourceNotFound,
// UnsupportedResource, InvalidARN, InvalidHomeRegion, iam.AccessDenied.
func (s *Service) AddTags(ctx context.Context, by iam.Caller, in AddTags) (Done, error) {
	return s.retag(ctx, by, "AddTags", in.ResourceId, requestTags(in.TagsList), func(t *Trail) (err error) {
		if len(in.TagsList) == 0 {
			return fault.New(InvalidTag, "The list of tags is empty.")
		}
		t.Tags, err = withTags(t.Tags, in.TagsList)
		return err
	})
}

// RemoveTags removes tags of a trail, whatever their values; those that it has not are
// passed over. Faults: as AddTags'.
func (s *Service) RemoveTags(ctx context.Context, by iam.Caller, in RemoveTags) (Done, error) {
	var keys policy.Values
	for _, t := range in.TagsList {
		if keys == nil {
			keys = policy.Values{}
		}
		keys["aws:tagkeys"] = append(keys["aws:tagkeys"], t.Key)
	}
	return s.retag(ctx, by, "RemoveTags", in.ResourceId, keys, func(t *Trail) error {
		for _, tag := range in.TagsList {
			if err := checkTag(tag); err != nil {
				return err
			}
			delete(t.Tags, tag.Key)
		}
		return nil
	})
}

func (s *Service) retag(ctx context.Context, by iam.Caller, action, resource string, keys policy.Values, edit func(*Trail) error) (Done, error) {
	if err := checkTaggable(resource); err != nil {
		return Done{}, err
	}
	ref, err := s.ofOwn(ctx, by, action, resource, keys)
	if err == nil {
		_, err = s.change(ctx, ref.account, ref.name, edit)
	}
	return Done{}, asResource(err, resource)
}

// checkTaggable refuses what is no ARN of a trail: tags are reached by that alone.
// Faults: InvalidARN, UnsupportedResource.
func checkTaggable(resource string) error {
	a, ok := aws.ParseARN(resource)
	if !ok || a.Service != "cloudtrail" {
		return fault.New(InvalidARN, "The resource ARN is not valid: %s", quoted(resource))
	}
	kind, _, _ := strings.Cut(a.Resource, "/")
	switch kind {
	case "eventdatastore", "channel", "dashboard":
		return fault.New(UnsupportedResource, "Resource type %s: not supported by Coffer.", kind)
	}
	return nil
}

// asResource calls a trail that is missing as the operations on tags do.
func asResource(err error, resource string) error {
	if errors.Is(err, NotFound) {
		return fault.New(ResourceNotFound, "The resource is not found: %s", quoted(resource))
	}
	return err
}

// ListTags is the request of Service.ListTags.
type ListTags struct {
	ResourceIdList []string
	NextToken      *string
}

// TagLists is the result of Service.ListTags.
type TagLists struct{ ResourceTagList []ResourceTags }

// ResourceTags are the tags of a trail, by key.
type ResourceTags struct {
	ResourceId string
	TagsList   []Tag
}

// maxTagged is how many trails may be asked about at a time (CloudTrail API Reference,
// ListTags).
const maxTagged = 20

// ListTags lists the tags of trails. Faults: ResourceNotFound, UnsupportedResource,
// InvalidARN, InvalidParameter, InvalidToken, iam.AccessDenied.
func (s *Service) ListTags(ctx context.Context, by iam.Caller, in ListTags) (TagLists, error) {
	switch {
	case in.NextToken != nil:
		return TagLists{}, fault.New(InvalidToken, "Invalid token.")
	case len(in.ResourceIdList) == 0:
		return TagLists{}, fault.New(InvalidARN, "The list of resources is empty.")
	case len(in.ResourceIdList) > maxTagged:
		return TagLists{}, fault.New(InvalidParameter, "The list of resources has more than %d members.", maxTagged)
	}
	out := TagLists{ResourceTagList: []ResourceTags{}}
	for _, resource := range in.ResourceIdList {
		if err := checkTaggable(resource); err != nil {
			return TagLists{}, err
		}
		t, err := s.read(ctx, by, "ListTags", resource)
		if err != nil {
			return TagLists{}, asResource(err, resource)
		}
		list := ResourceTags{ResourceId: resource, TagsList: []Tag{}}
		for _, k := range slices.Sorted(maps.Keys(t.Tags)) {
			v := t.Tags[k]
			list.TagsList = append(list.TagsList, Tag{k, &v})
		}
		out.ResourceTagList = append(out.ResourceTagList, list)
	}
	return out, nil
}
