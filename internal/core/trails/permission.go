// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"errors"
	"strings"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// may decides whether a caller may do something. Fault: iam.AccessDenied.
func (s *Service) may(ctx context.Context, by iam.Caller, action, resource string, keys policy.Values) error {
	return s.Policy.Authorize(ctx, by, []policy.Need{{Action: "cloudtrail:" + action, Resource: resource, Keys: keys}})
}

// own resolves the name of a trail that the caller is to change, and decides whether it
// may. Faults: InvalidName, InvalidARN, InvalidHomeRegion, NotFound, iam.AccessDenied.
func (s *Service) own(ctx context.Context, by iam.Caller, action, name string) (trailRef, error) {
	return s.ofOwn(ctx, by, action, name, nil)
}

// ofOwn is own, with condition keys of the request.
func (s *Service) ofOwn(ctx context.Context, by iam.Caller, action, name string, keys policy.Values) (trailRef, error) {
	ref, err := s.readable(ctx, by, action, name, keys)
	if errors.Is(err, NotFound) && ref.region != s.Region {
		return ref, fault.New(InvalidHomeRegion, "Trail %s must be updated in its home region: %s", ref.arn(), ref.region)
	}
	return ref, err
}

// readable resolves the name of a trail, and decides about an action on it, with the
// trail's tags as condition keys. The trail may be missing all the same. Faults:
// InvalidName, InvalidARN, NotFound, iam.AccessDenied.
func (s *Service) readable(ctx context.Context, by iam.Caller, action, name string, keys policy.Values) (trailRef, error) {
	ref, err := s.named(by, name)
	if err != nil {
		return ref, err
	}
	if ref.account == by.Account && ref.region == s.Region {
		t, _, err := s.find(ctx, ref.account, ref.name)
		if err != nil && !errors.Is(err, NotFound) {
			return ref, err
		}
		keys = resourceTags(keys, t.Tags)
	}
	if err := s.may(ctx, by, action, ref.arn(), keys); err != nil {
		return ref, err
	}
	// Trails have no policies by which another account could allow anything.
	if ref.account != by.Account || ref.region != s.Region {
		return ref, fault.New(NotFound, "Unknown trail: %s for the user: %s", ref.arn(), by.Account)
	}
	return ref, nil
}

// resourceTags adds a trail's tags to condition keys.
func resourceTags(keys policy.Values, tags map[string]string) policy.Values {
	if len(tags) == 0 {
		return keys
	}
	if keys == nil {
		keys = policy.Values{}
	}
	for k, v := range tags {
		name := "aws:resourcetag/" + strings.ToLower(k)
		keys[name] = append(keys[name], v)
	}
	return keys
}

// requestTags returns the condition keys of tags that a request brings.
func requestTags(tags []Tag) policy.Values {
	if len(tags) == 0 {
		return nil
	}
	keys := policy.Values{}
	for _, t := range tags {
		name := "aws:requesttag/" + strings.ToLower(t.Key)
		keys[name] = append(keys[name], t.value())
		keys["aws:tagkeys"] = append(keys["aws:tagkeys"], t.Key)
	}
	return keys
}
