// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"

	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Authorize decides whether a caller may do what a request needs. An account's
// root may do everything; nobody else may do anything, since only a policy could
// allow it and there are none yet. What belongs to another account is refused
// where it is found. Without needs it decides whether the caller may do anything at
// all: that is asked before a request is read from which the needs follow.
func Authorize(_ context.Context, by Caller, needs []policy.Need) error {
	if by.Type == Root {
		return nil
	}
	if by.IsAnonymous() || len(needs) == 0 {
		return fault.New(AccessDenied, "")
	}
	return fault.New(AccessDenied, "User: %s is not authorized to perform: %s on resource: %q because no identity-based policy allows the %s action",
		by.ARN, needs[0].Action, needs[0].Resource, needs[0].Action)
}
