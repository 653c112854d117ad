// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"fmt"
	"sync"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Authority says what policies say of a caller, and who principals are ([iam.Service]).
type Authority interface {
	Decide(ctx context.Context, by iam.Caller, q *policy.Question) (policy.Decision, error)
	Bind(ctx context.Context, d *policy.Document) (map[string]string, error)
	Show(ctx context.Context, text string, ids map[string]string) (string, error)
	Exists(ctx context.Context, account string) (bool, error)
}

// authorize decides every permission in this package, by policies alone: of a key its
// own policy, its grants, and what that policy leaves to the account's policies
// (KMS Developer Guide, "Troubleshooting key access"). Error: AccessDenied.
func (s *Service) authorize(ctx context.Context, by iam.Caller, need policy.Need, f facts) error {
	if by.IsAnonymous() {
		return denied(by, need, f, policy.Decision{Layer: policy.ByIdentity})
	}
	a := askingMemory.Get().(*asking)
	defer a.release()
	a.facts = f
	return s.authorizeAsked(ctx, by, need, &a.facts, &a.question)
}

// asking is a question and what it rests on. It is used again and again: a decision takes
// no memory.
type asking struct {
	facts    facts
	question policy.Question
}

var askingMemory = sync.Pool{New: func() any { return new(asking) }}

func (a *asking) release() {
	*a = asking{}
	askingMemory.Put(a)
}

func (s *Service) authorizeAsked(ctx context.Context, by iam.Caller, need policy.Need, f *facts, q *policy.Question) (err error) {
	if f.tokens, err = s.tokenGrants(ctx, f.Tokens); err != nil {
		return err
	}
	f.service, f.account = s, by.Account
	*q = policy.Question{Action: need.Action, Resource: need.Resource, Owner: by.Account, Context: f}
	if f.Key == nil {
		return s.decided(ctx, by, need, f, q, false)
	}
	q.Owner, q.Decides = f.Key.Account, true
	if q.Owner != by.Account && !acrossAccounts(need.Action) {
		return denied(by, need, *f, policy.Decision{Layer: policy.ByResource})
	}
	if q.Policy = s.policyOf(f.Key); q.Policy == nil { // grants cannot know what it denies
		return denied(by, need, *f, policy.Decision{Layer: policy.ByResource})
	}
	grants, err := s.grantsSay(ctx, by, need.Action, f.Key, f)
	if err != nil {
		return err
	}
	q.Granted, q.ToRole = grants.allows || grants.toRole, !grants.allows
	return s.decided(ctx, by, need, f, q, grants.delegates)
}

// decided puts a question and turns its answer into an error. delegated asks once more
// when the answer is no for want of an allow: a grant to the account's root delegates
// to the account's policies, as a statement of the key's policy would.
func (s *Service) decided(ctx context.Context, by iam.Caller, need policy.Need, f *facts, q *policy.Question, delegated bool) error {
	d, err := s.ask(ctx, by, f.ViaS3, q)
	if err != nil {
		return err
	}
	if !d.Allowed && !d.Explicit && delegated {
		if q.Policy, err = s.delegation(f.Key, by.Account); err != nil {
			return err
		}
		if d, err = s.ask(ctx, by, f.ViaS3, q); err != nil {
			return err
		}
	}
	if !d.Allowed {
		return denied(by, need, *f, d)
	}
	return nil
}

// policyOf returns the key's policy, parsed once per version of its row. A text that
// does not parse, which only an older version took, is nil: nobody may do anything.
func (s *Service) policyOf(k *key) *policy.Document {
	if d := k.parsed.policy.Load(); d != nil || k.parsed.broken.Load() {
		return d
	}
	d, err := policy.Parse(policy.Key, s.arnOf(k), k.Policy)
	if err != nil {
		s.log.Error("key policy does not parse", "key_arn", s.arnOf(k), "error", err)
		k.parsed.broken.Store(true)
		return nil
	}
	d = d.Bind(k.Bound)
	k.parsed.policy.Store(d)
	return d
}

// arnOf returns the key's ARN.
func (s *Service) arnOf(k *key) string {
	if arn := k.parsed.arn.Load(); arn != nil {
		return *arn
	}
	arn := k.ref().arn(s.region)
	k.parsed.arn.Store(&arn)
	return arn
}

// ask puts a question. Of a request that S3 makes for a caller, the transport and the
// agent are S3's, and the address is the caller's.
func (s *Service) ask(ctx context.Context, by iam.Caller, viaS3 bool, q *policy.Question) (policy.Decision, error) {
	if viaS3 {
		by.UserAgent, by.Secure = "", true
	}
	d, err := s.policies.Decide(ctx, by, q)
	if err != nil {
		return policy.Decision{}, fault.New(Unavailable, "").Because(fmt.Errorf("decide %s: %w", q.Action, err))
	}
	return d, nil
}

// acrossAccounts lists the actions on keys that principals of other accounts may be
// allowed (KMS Developer Guide, "Permissions reference", cross-account use).
func acrossAccounts(action string) bool {
	switch action {
	case "kms:DescribeKey", "kms:GetPublicKey", "kms:GetKeyRotationStatus",
		"kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo",
		"kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:GenerateDataKeyPair", "kms:GenerateDataKeyPairWithoutPlaintext",
		"kms:GenerateMac", "kms:VerifyMac", "kms:Sign", "kms:Verify", "kms:DeriveSharedSecret",
		"kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant", "kms:RetireGrant":
		return true
	}
	return false
}

// denied is the fault of a request that a decision refuses. Of a key of another
// account it says no more than that: whether the key exists is not the caller's to know.
func denied(by iam.Caller, need policy.Need, f facts, d policy.Decision) error {
	who := by.ARN
	if who == "" {
		who = "anonymous"
	}
	if f.foreignTo(by, need) {
		return d.Mark(fault.New(AccessDenied, "User: %s is not authorized to perform: %s on %s because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
			who, need.Action, f.unnamed(need)))
	}
	return d.Mark(fault.New(AccessDenied, "User: %s is not authorized to perform: %s on resource: %s %s",
		who, need.Action, need.Resource, d.Reason(need.Action)))
}

// foreignTo reports whether the need is of a key of another account.
func (f *facts) foreignTo(by iam.Caller, need policy.Need) bool {
	if f.Key != nil {
		return f.Key.Account != by.Account
	}
	a, ok := aws.ParseARN(need.Resource)
	return ok && a.Account != by.Account
}

// unnamed is what a denial calls a key that it does not name.
func (f *facts) unnamed(need policy.Need) string {
	if f.ViaS3 && need.Action == "kms:Decrypt" {
		return "the resource associated with this ciphertext"
	}
	return "this resource"
}

// authorizeAccount decides an action that uses no key.
func (s *Service) authorizeAccount(ctx context.Context, by iam.Caller, action string, f facts) error {
	return s.authorize(ctx, by, policy.Need{Action: action, Resource: "*"}, f)
}

// authorizeAlias decides an action on an alias of the caller's own account.
func (s *Service) authorizeAlias(ctx context.Context, by iam.Caller, action, name string) error {
	return s.authorize(ctx, by, policy.Need{Action: action, Resource: aws.AliasARN(s.region, by.Account, name)}, facts{})
}

// authorizeKey decides an action on a key that was looked up with the result k,
// err. A key that is missing in another account is denied, not missing: whether
// it exists is not the caller's to know.
func (s *Service) authorizeKey(ctx context.Context, by iam.Caller, action string, ref keyRef, k *key, err error, f facts) error {
	need := policy.Need{Action: action}
	if k == nil && (by.IsAnonymous() || ref.account != by.Account && isNotFound(err)) {
		// Grant tokens are looked at as if there were the key.
		if _, err := s.tokenGrants(ctx, f.Tokens); err != nil {
			return err
		}
		need.Resource = ref.arn(s.region)
		return denied(by, need, f, policy.Decision{Layer: policy.ByResource})
	}
	if err != nil {
		return err
	}
	need.Resource, f.Key = s.arnOf(k), k
	return s.authorize(ctx, by, need, f)
}

// rowOf returns the key of the key's row.
func (s *Service) rowOf(k *key) string {
	if row := k.parsed.row.Load(); row != nil {
		return *row
	}
	row := k.ref().row()
	k.parsed.row.Store(&row)
	return row
}
