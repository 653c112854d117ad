// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"maps"
	"strings"

	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of the operations of IAM.
const (
	NoSuchEntity        fault.Kind = "iam operation: no such entity"
	EntityAlreadyExists fault.Kind = "iam operation: entity already exists"
	LimitExceeded       fault.Kind = "iam operation: limit exceeded"
	DeleteConflict      fault.Kind = "iam operation: delete conflict"
	InvalidInput        fault.Kind = "iam operation: invalid input"
	UnmodifiableEntity  fault.Kind = "iam operation: unmodifiable entity"
)

// Quotas (IAM User Guide, "IAM and AWS STS quotas").
const (
	maxUsers        = 5000
	maxGroups       = 300
	maxRoles        = 1000
	maxPolicies     = 1500
	maxUserGroups   = 10
	maxAccessKeys   = 2
	maxAttached     = 10
	maxVersions     = 5
	maxManaged      = 6144      // a document's size, as policy.Size counts
	maxTrust        = 2048      // likewise
	maxUserInline   = 2048      // of all inline policies together, likewise
	maxGroupInline  = 5120      // likewise
	maxRoleInline   = 10240     // likewise
	maxInlineBytes  = 256 << 10 // of all inline policies together, with white space: they are one row
	maxTags         = 50
	defaultSession  = 3600 // seconds
	defaultMaxItems = 100
)

// None is the result of operations that have none.
type None = struct{}

// may decides whether a caller may do something of IAM in its own account. Fault:
// AccessDenied.
func (s *Service) may(ctx context.Context, by Caller, action, resource string, keys policy.Values) error {
	all := policy.Values{"aws:requestedregion": {"us-east-1"}}
	for key, values := range keys {
		all[key] = values
	}
	return s.Authorize(ctx, by, []policy.Need{{Action: "iam:" + action, Resource: resource, Keys: all}})
}

// tagKeys adds the tags of a request to condition keys.
func tagKeys(keys policy.Values, tags []Tag) policy.Values {
	if keys == nil {
		keys = policy.Values{}
	}
	names := make([]string, 0, len(tags))
	for _, t := range tags {
		keys["aws:requesttag/"+strings.ToLower(t.Key)] = []string{t.Value}
		names = append(names, t.Key)
	}
	if len(names) > 0 {
		keys["aws:tagkeys"] = names
	}
	return keys
}

// with adds a condition key that has a value.
func with(keys policy.Values, name, value string) policy.Values {
	if value == "" {
		return keys
	}
	if keys == nil {
		keys = policy.Values{}
	}
	keys[name] = []string{value}
	return keys
}

// resourceTags returns condition keys with the tags of what the request is about.
func resourceTags(keys policy.Values, tags []Tag) policy.Values {
	all := make(policy.Values, len(keys)+2*len(tags))
	maps.Copy(all, keys)
	for _, t := range tags { // a tag without a value is there, too
		name := strings.ToLower(t.Key)
		all["aws:resourcetag/"+name] = []string{t.Value}
		all["iam:resourcetag/"+name] = []string{t.Value}
	}
	return all
}

// checkTags refuses tags that cannot be an entity's.
func checkTags(tags []Tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		key := strings.ToLower(t.Key)
		if seen[key] {
			return fault.New(InvalidInput, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		if strings.HasPrefix(key, "aws:") {
			return fault.New(InvalidInput, "Tag keys beginning with aws: are reserved.")
		}
		seen[key] = true
	}
	return nil
}

// parse reads the document of a request.
func parse(kind policy.Kind, text string) (*policy.Document, error) {
	return policy.Parse(kind, "", text)
}

// userOr returns the name of the user that a request is about: the caller's own when it
// names none.
func userOr(by Caller, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	if by.Type != IAMUser {
		return "", fault.New(ValidationError, "Must specify userName when calling with non-User credentials")
	}
	return by.UserName, nil
}

func noSuch(kind, name string) error {
	return fault.New(NoSuchEntity, "The %s with name %s cannot be found.", kind, name)
}

func quota(what string, n int) error {
	return fault.New(LimitExceeded, "Cannot exceed quota for %s: %d", what, n)
}

func orRoot(path string) string {
	if path == "" {
		return "/"
	}
	return path
}
