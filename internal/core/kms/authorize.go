// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// facts is what a decision rests on besides the caller and the need.
type facts struct {
	Key     *key // nil for actions that use no key
	Context Context
	ViaS3   bool // S3 asks for the caller
}

// authorize decides every permission in this package. The root of an account may
// do everything with the account's own keys, and nobody else anything, but that
// the managed key is used through S3 alone and changed by nobody.
// Error: AccessDenied.
func (s *Service) authorize(by iam.Caller, need policy.Need, f facts) error {
	owner := by.Account
	if f.Key != nil {
		owner = f.Key.Account
	}
	if by.Type != iam.Root || by.Account == "" || by.Account != owner {
		return denied(by, need, "identity-based")
	}
	if f.Key != nil && f.Key.managed() && !f.ViaS3 && !readsManaged(need.Action) {
		return denied(by, need, "resource-based")
	}
	return nil
}

// readsManaged lists the actions that the managed key's policy allows its
// account outside of S3.
func readsManaged(action string) bool {
	switch action {
	case "kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
		"kms:ListKeyPolicies", "kms:ListKeyRotations", "kms:ListResourceTags":
		return true
	}
	return false
}

func denied(by iam.Caller, need policy.Need, kindOfPolicy string) error {
	who := by.ARN
	if who == "" {
		who = "anonymous"
	}
	return fault.New(AccessDenied, "User: %s is not authorized to perform: %s on resource: %s because no %s policy allows the %s action",
		who, need.Action, need.Resource, kindOfPolicy, need.Action)
}

// authorizeAccount decides an action that uses no key.
func (s *Service) authorizeAccount(by iam.Caller, action string) error {
	return s.authorize(by, policy.Need{Action: action, Resource: "*"}, facts{})
}

// authorizeAlias decides an action on an alias of the caller's own account.
func (s *Service) authorizeAlias(by iam.Caller, action, name string) error {
	return s.authorize(by, policy.Need{Action: action, Resource: aws.AliasARN(s.region, by.Account, name)}, facts{})
}

// authorizeKey decides an action on a key that was looked up with the result k,
// err. A key that is missing in another account is denied, not missing: whether
// it exists is not the caller's to know.
func (s *Service) authorizeKey(by iam.Caller, action string, ref keyRef, k *key, err error, f facts) error {
	need := policy.Need{Action: action, Resource: ref.arn(s.region)}
	if k == nil && (by.IsAnonymous() || ref.account != by.Account && isNotFound(err)) {
		return denied(by, need, "identity-based")
	}
	if err != nil {
		return err
	}
	f.Key = k
	return s.authorize(by, need, f)
}
