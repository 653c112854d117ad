// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Authorize decides whether a caller may do what a request needs, for services whose
// resources have no policies of their own. Without needs it decides whether the caller may
// do anything at all: that is asked before a request is read from which the needs
// follow. Fault: AccessDenied.
func (s *Service) Authorize(ctx context.Context, by Caller, needs []policy.Need) error {
	if by.IsAnonymous() {
		return fault.New(AccessDenied, "")
	}
	if len(needs) == 0 {
		return s.present(ctx, by)
	}
	for _, need := range needs {
		// The server is operated by the first account alone: in their own accounts all
		// others may do everything, too.
		if strings.HasPrefix(need.Action, operation) && by.Account != s.root.account {
			return Denied(by, policy.Decision{Layer: policy.ByIdentity}, need.Action, need.Resource, false)
		}
		q := policy.Question{Action: need.Action, Resource: need.Resource}
		if a, ok := aws.ParseARN(need.Resource); ok && aws.ValidAccount(a.Account) {
			q.Owner = a.Account
		}
		if need.Keys != nil {
			q.Context = need.Keys
		}
		d, err := s.Decide(ctx, by, &q)
		if err != nil {
			return err
		}
		if !d.Allowed {
			return Denied(by, d, need.Action, need.Resource, strings.HasPrefix(need.Action, "s3:"))
		}
	}
	return nil
}

// operation begins the actions of the operator's API.
const operation = "coffer:"

// present refuses principals that there are none of any more.
func (s *Service) present(ctx context.Context, by Caller) error {
	switch by.Type {
	case AWSService, WebIdentityUser:
		return nil
	}
	r, err := s.rightsOf(ctx, &by.Principal)
	if err == nil && r.gone {
		err = fault.New(AccessDenied, "")
	}
	return err
}

// Denied is the fault of a request that a decision refuses: AccessDenied with the
// sentence that AWS gives. quoted says that the service puts the resource in quotation
// marks, as S3 does. Who signed nothing learns no more than that.
func Denied(by Caller, d policy.Decision, action, resource string, quoted bool) error {
	if by.IsAnonymous() {
		return fault.New(AccessDenied, "")
	}
	if quoted {
		resource = `"` + resource + `"`
	}
	reason := d.Reason(action)
	if reason == "" {
		reason = "because no identity-based policy allows the " + action + " action"
	}
	return d.Mark(fault.New(AccessDenied, "User: %s is not authorized to perform: %s on resource: %s %s", by.ARN, action, resource, reason))
}
