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
	if by.Type != iam.Root || by.Account == "" || by.Account != q.Owner {
		return policy.Decision{Layer: policy.ByIdentity}, nil
	}
	return policy.Decision{Allowed: true}, nil
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

// reason ends a denial.
func reason(d policy.Decision, action string) string {
	if d.Explicit {
		return "with an explicit deny in a " + string(d.Layer)
	}
	return "because no " + string(d.Layer) + " allows the " + action + " action"
}
