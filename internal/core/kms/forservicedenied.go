// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"slices"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// upkeepService is the service principal for which bucket keys are kept up.
const upkeepService = "s3.amazonaws.com"

// allowsUpkeep refuses when the key's policy denies the upkeep of bucket keys: by a
// statement that names the service principal s3.amazonaws.com and denies it
// kms:Decrypt or kms:GenerateDataKey. Upkeep widens nobody's access, so it needs no
// allow; and what denies everyone is about requests, of which it is none. Fault:
// AccessDenied.
func (f *ForService) allowsUpkeep(ctx context.Context, k *key) error {
	d := f.s.policyOf(k)
	if d == nil {
		return fault.New(AccessDenied, "The policy of %s cannot be read.", f.s.arnOf(k))
	}
	by := iam.Caller{Principal: iam.Principal{Type: iam.AWSService, ARN: upkeepService, Account: k.Account}, Secure: true}
	for _, action := range []string{"kms:Decrypt", "kms:GenerateDataKey"} {
		about := facts{Key: k, ViaS3: true, Algorithm: SymmetricDefault, service: f.s, account: k.Account}
		q := policy.Question{Action: action, Resource: f.s.arnOf(k), Owner: k.Account, Decides: true, Policy: d, Context: &about}
		decision, err := f.s.ask(ctx, by, true, &q)
		if err != nil {
			return err
		}
		if decision.Explicit && namesUpkeep(d, decision.Matched) {
			return fault.New(AccessDenied, "The policy of %s denies %s to the service principal %s.", f.s.arnOf(k), action, upkeepService)
		}
	}
	return nil
}

// namesUpkeep reports whether one of the statements names the service principal.
func namesUpkeep(d *policy.Document, matched []policy.Match) bool {
	all := d.Statements()
	return slices.ContainsFunc(matched, func(m policy.Match) bool {
		st := all[m.Index]
		return !st.NotPrincipal && slices.Contains(st.Principals, policy.PrincipalName{Type: "Service", Value: upkeepService})
	})
}
