// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// roots is the Authority of a service that was given none: the accounts' roots are
// all who there is.
type roots struct{}

func (roots) Decide(_ context.Context, by iam.Caller, q *policy.Question) (policy.Decision, error) {
	q.Principal = policy.Principal{Type: policy.User, Account: by.Account, ARN: by.ARN, ID: by.PrincipalID}
	switch by.Type {
	case iam.Root:
		q.Principal.Type = policy.Account
	case iam.AWSService:
		q.Principal.Type = policy.Service
	}
	return policy.Decide(q), nil
}

func (roots) Bind(_ context.Context, d *policy.Document) (map[string]string, error) {
	for _, arn := range d.Named() {
		return nil, fault.New(iam.InvalidPrincipal, "").With("Principal", arn)
	}
	return nil, nil
}

func (roots) Show(_ context.Context, text string, _ map[string]string) (string, error) {
	return text, nil
}

func (roots) Exists(context.Context, string) (bool, error) { return true, nil }
