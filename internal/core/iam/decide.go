// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"

	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// InvalidPrincipal: a policy names a user, role or account that there is none of. The
// fault's detail "Principal" is the ARN.
const InvalidPrincipal fault.Kind = "iam: no such principal"

// Service is accounts and who is in them: users, groups, roles, their policies and
// access keys. It is safe for concurrent use, and what it answers follows the last
// change at once.
type Service struct{}

// Decide asks what policies say. It fills in what is known of the caller: the
// question's Principal and Rights, and, behind the question's own Context, the
// condition keys that every request has (aws:SourceIp, aws:PrincipalArn,
// aws:CurrentTime and so on). q.Action, q.Resource, q.Owner and the resource's side are
// the asking service's. An error says that the decision could not be made.
func (s *Service) Decide(ctx context.Context, by Caller, q *policy.Question) (policy.Decision, error) {
	return policy.Decision{}, nil
}

// Bind finds the unique ids of the users and roles that a resource's policy names, for
// [policy.Document.Bind]: ARN → id. It is asked when the policy is put, and the ids are
// kept with it. Fault: InvalidPrincipal.
func (s *Service) Bind(ctx context.Context, d *policy.Document) (map[string]string, error) {
	return nil, nil
}

// Show returns the text of a resource's policy as it is now read: a principal that was
// deleted since stands there by its unique id, and one that was renamed by its new ARN.
func (s *Service) Show(ctx context.Context, text string, ids map[string]string) (string, error) {
	return text, nil
}

// Exists reports whether there is such an account.
func (s *Service) Exists(ctx context.Context, account string) (bool, error) { return false, nil }

// CanonicalID returns an account's canonical user id, 64 hexadecimal digits.
func (s *Service) CanonicalID(account string) string { return "" }

// AccountOf returns the account of a canonical user id, "" when there is none.
func (s *Service) AccountOf(ctx context.Context, canonicalID string) (string, error) { return "", nil }

// Denied is the fault of a request that a decision refuses: AccessDenied with the
// sentence that AWS gives. quoted says that the service puts the resource in quotation
// marks, as S3 does.
func Denied(by Caller, d policy.Decision, action, resource string, quoted bool) error {
	return fault.New(AccessDenied, "")
}
