// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const (
	policyName  = "default" // of the one policy that a key has
	maxPolicy   = 32 << 10
	modelPolicy = 131_072 // characters that the API's model allows at all
)

var policyText = regexp.MustCompile(`^[\x{0009}\x{000A}\x{000D}\x{0020}-\x{00FF}]+$`)

// PutKeyPolicy is the request of Service.PutKeyPolicy.
type PutKeyPolicy struct {
	BypassPolicyLockoutSafetyCheck bool
	KeyId                          string
	Policy                         string
	PolicyName                     string // "" is "default"
}

func (in PutKeyPolicy) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// PutKeyPolicy replaces a key's policy.
func (s *Service) PutKeyPolicy(ctx context.Context, by iam.Caller, in PutKeyPolicy) (Done, error) {
	return counted(s, "PutKeyPolicy", func() (Done, error) {
		var p problems
		p.keyID(in.KeyId, "keyId")
		p.present(in.Policy, "policy")
		p.policyName(in.PolicyName)
		if p.policy(in.Policy); p != nil {
			return Done{}, p.err()
		}
		if err := onlyDefault(in.PolicyName); err != nil {
			return Done{}, err
		}
		f := facts{Keys: withKey(nil, "kms:bypasspolicylockoutsafetycheck", strconv.FormatBool(in.BypassPolicyLockoutSafetyCheck))}
		k, err := s.editWith(ctx, by, "PutKeyPolicy", in.KeyId, f, func(k *key, _ *meta.Batch) error {
			return s.setPolicy(ctx, by, k, in.Policy, in.BypassPolicyLockoutSafetyCheck)
		})
		if err == nil {
			s.notify(k.ref().arn(s.region), PolicyChanged)
		}
		return s.done(k, err)
	})
}

// setPolicy gives a key a policy, if it is one, names principals that there are, and,
// unless that is waived, leaves the caller the right to put another. Errors:
// LimitExceeded for its size, MalformedPolicy.
func (s *Service) setPolicy(ctx context.Context, by iam.Caller, k *key, text string, bypass bool) error {
	d, err := parsePolicy(s.arnOf(k), text)
	if err != nil {
		return err
	}
	k.Policy = text
	k.Bound, err = s.bind(ctx, d)
	switch {
	case errors.Is(err, iam.InvalidPrincipal):
		return fault.New(MalformedPolicy, "Policy contains a statement with one or more invalid principals.").Because(err)
	case err != nil:
		return fault.New(Unavailable, "").Because(err)
	case bypass:
		return nil
	}
	f := facts{Key: k, service: s, account: by.Account, Keys: withKey(nil, "kms:bypasspolicylockoutsafetycheck", "false")}
	decision, err := s.ask(ctx, by, false, &policy.Question{
		Action: "kms:PutKeyPolicy", Resource: s.arnOf(k), Owner: k.Account, Context: &f, Policy: d.Bind(k.Bound), Decides: true,
	})
	if err != nil {
		return err
	}
	// A policy that leaves it to the account's policies is right, whatever those say.
	if !decision.Allowed && (decision.Explicit || decision.Layer == policy.ByResource) {
		return fault.New(MalformedPolicy, "The new key policy will not allow you to update the key policy in the future.")
	}
	return nil
}

// bind finds the unique ids of the users and roles that a policy names, and looks that
// there are the accounts that it names. Error: iam.InvalidPrincipal.
func (s *Service) bind(ctx context.Context, d *policy.Document) (map[string]string, error) {
	for _, st := range d.Statements() {
		for _, p := range st.Principals {
			account := p.Value
			if a, ok := aws.ParseARN(account); ok {
				account = a.Account
			}
			if p.Type != "AWS" || !aws.ValidAccount(account) {
				continue
			}
			known, err := s.policies.Exists(ctx, account)
			if err == nil && !known {
				err = fault.New(iam.InvalidPrincipal, "").With("Principal", p.Value)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return s.policies.Bind(ctx, d)
}

// parsePolicy reads a key policy. Errors: LimitExceeded for its size, MalformedPolicy.
func parsePolicy(keyARN, text string) (*policy.Document, error) {
	if len(text) > maxPolicy {
		return nil, fault.New(LimitExceeded, "The key policy exceeds %d bytes.", maxPolicy)
	}
	d, err := policy.Parse(policy.Key, keyARN, text)
	if e, ok := fault.As(err); ok {
		return nil, fault.New(MalformedPolicy, "%s", e.Message)
	}
	return d, err
}

// policy checks the text of a policy as the API's model does; "" is absent and
// right.
func (p *problems) policy(text string) {
	if text == "" {
		return
	}
	p.length(text, "policy", 1, modelPolicy)
	if !policyText.MatchString(text) {
		p.add("", "policy", `Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+`)
	}
}

func (p *problems) policyName(name string) {
	p.length(name, "policyName", 0, 128)
}

func onlyDefault(name string) error {
	if name != "" && name != policyName {
		return fault.New(NotFound, "No such policy exists")
	}
	return nil
}

// GetKeyPolicy is the request of Service.GetKeyPolicy.
type GetKeyPolicy struct {
	KeyId      string
	PolicyName string // "" is "default"
}

func (in GetKeyPolicy) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// KeyPolicy is a key's policy as it was put, but that a principal that was deleted since
// is named by its unique id.
type KeyPolicy struct {
	Policy     string
	PolicyName string
	touched
}

// GetKeyPolicy returns a key's policy.
func (s *Service) GetKeyPolicy(ctx context.Context, by iam.Caller, in GetKeyPolicy) (KeyPolicy, error) {
	return counted(s, "GetKeyPolicy", func() (KeyPolicy, error) {
		var p problems
		if p.policyName(in.PolicyName); p != nil {
			return KeyPolicy{}, p.err()
		}
		k, err := s.readByName(ctx, by, "GetKeyPolicy", in.KeyId)
		if err != nil {
			return KeyPolicy{}, err
		}
		if err := onlyDefault(in.PolicyName); err != nil {
			return KeyPolicy{}, err
		}
		text, err := s.policies.Show(ctx, k.Policy, k.Bound)
		if err != nil {
			return KeyPolicy{}, fault.New(Unavailable, "").Because(err)
		}
		return KeyPolicy{text, policyName, touched{k.ref().arn(s.region)}}, nil
	})
}

// ListKeyPolicies is the request of Service.ListKeyPolicies.
type ListKeyPolicies struct {
	KeyId  string
	Limit  *int
	Marker string
}

func (in ListKeyPolicies) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// PolicyList is the names of a key's policies: there is one.
type PolicyList struct {
	NextMarker  string
	PolicyNames []string
	Truncated   bool
	touched
}

// ListKeyPolicies lists the names of a key's policies.
func (s *Service) ListKeyPolicies(ctx context.Context, by iam.Caller, in ListKeyPolicies) (PolicyList, error) {
	return counted(s, "ListKeyPolicies", func() (PolicyList, error) {
		var p problems
		if p.page(in.Limit, in.Marker); p != nil {
			return PolicyList{}, p.err()
		}
		k, err := s.readByName(ctx, by, "ListKeyPolicies", in.KeyId)
		if err != nil {
			return PolicyList{}, err
		}
		names, next, err := pageOf("policies of "+k.name(), []string{policyName}, pageSize(in.Limit, 100, 1000), in.Marker)
		if err != nil {
			return PolicyList{}, err
		}
		return PolicyList{next, names, next != "", touched{k.ref().arn(s.region)}}, nil
	})
}

// defaultPolicy lets the account decide by IAM policies.
func defaultPolicy(account string) string {
	return fmt.Sprintf(`{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "%s"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`, aws.RootARN(account))
}

// managedPolicy is the policy of aws/s3: the account's principals use the key
// through S3, and may look at it.
func managedPolicy(region, account string) string {
	text := `{
  "Version" : "2012-10-17",
  "Id" : "auto-s3-2",
  "Statement" : [ {
    "Sid" : "Allow access through S3 for all principals in the account that are authorized to use S3",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "*"
    },
    "Action" : [ "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey" ],
    "Resource" : "*",
    "Condition" : {
      "StringEquals" : {
        "kms:CallerAccount" : "ACCOUNT",
        "kms:ViaService" : "s3.REGION.amazonaws.com"
      }
    }
  }, {
    "Sid" : "Allow direct access to key metadata to the account",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "ROOT"
    },
    "Action" : [ "kms:Describe*", "kms:Get*", "kms:List*" ],
    "Resource" : "*"
  } ]
}`
	return strings.NewReplacer("ACCOUNT", account, "REGION", region, "ROOT", aws.RootARN(account)).Replace(text)
}
