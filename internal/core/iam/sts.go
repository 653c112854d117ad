// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"

	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault that only the operations of IAM and STS have, and no other service
// meets, begin with "iam operation:".
const (
	// ValidationError: a member of a request is missing, or has no possible value.
	ValidationError fault.Kind = "iam operation: validation error"
)

// GetCallerIdentity asks who signs.
type GetCallerIdentity struct{}

// CallerIdentity says who signed.
type CallerIdentity struct{ UserId, Account, Arn string }

// GetCallerIdentity says who the caller is. Nobody can be denied that.
func (s *Service) GetCallerIdentity(_ context.Context, by Caller, _ GetCallerIdentity) (CallerIdentity, error) {
	return CallerIdentity{by.PrincipalID, by.Account, by.ARN}, nil
}
