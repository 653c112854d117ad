// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// Kinds of fault that only the operations of IAM and STS have, and no other service
// meets, begin with "iam operation:".
const (
	// ValidationError: a member of a request is missing, or has no possible value.
	ValidationError fault.Kind = "iam operation: validation error"
	// PackedPolicyTooLarge: a session's policies and tags need more room than a token has.
	PackedPolicyTooLarge fault.Kind = "iam operation: packed policy too large"
)

// Credentials are temporary ones. The secret is the receiver's, who clears it.
type Credentials struct {
	AccessKeyId     string
	SecretAccessKey secret.Bytes
	SessionToken    string `api:"secret"`
	Expiration      time.Time
}

// GetCallerIdentity asks who signs.
type GetCallerIdentity struct{}

// CallerIdentity says who signed.
type CallerIdentity struct{ UserId, Account, Arn string }

// GetCallerIdentity says who the caller is. Nobody can be denied that.
func (s *Service) GetCallerIdentity(_ context.Context, by Caller, _ GetCallerIdentity) (CallerIdentity, error) {
	return CallerIdentity{by.PrincipalID, by.Account, by.ARN}, nil
}

// GetAccessKeyInfo asks whose an access key is.
type GetAccessKeyInfo struct {
	AccessKeyId string `api:"required 16-128 id"`
}

// AccessKeyInfo is the account of an access key.
type AccessKeyInfo struct{ Account string }

// GetAccessKeyInfo returns the account of an access key that there is, be it active or
// not. Of temporary ones it is not known: nothing is kept of them. Fault:
// ValidationError.
func (s *Service) GetAccessKeyInfo(ctx context.Context, _ Caller, in GetAccessKeyInfo) (AccessKeyInfo, error) {
	if in.AccessKeyId == s.root.accessKeyID {
		return AccessKeyInfo{s.root.account}, nil
	}
	if validAccessKeyID(in.AccessKeyId) {
		key, err := found[accessKey](ctx, s, accessKeyRow(in.AccessKeyId))
		if err != nil {
			return AccessKeyInfo{}, err
		}
		if key != nil {
			return AccessKeyInfo{key.Account}, nil
		}
	}
	return AccessKeyInfo{}, fault.New(ValidationError, "Invalid access key id")
}

// MayCall refuses what a session of a user or of a root may not call whatever policies
// say (IAM User Guide, "Compare AWS STS credentials"): without a second factor it has
// no IAM, and of STS only AssumeRole and GetCallerIdentity; a federated user has of both
// only GetCallerIdentity. Faults: InvalidToken for IAM, AccessDenied.
func (s *Service) MayCall(by Caller, service, operation string) error {
	if by.Session == nil || by.Type == AssumedRole || operation == "GetCallerIdentity" {
		return nil
	}
	federated := by.Type == FederatedUser
	switch {
	case service == "iam" && (federated || !by.Session.MFA):
		return InvalidToken
	case service == "sts" && (federated || operation != "AssumeRole"):
		return fault.New(AccessDenied, "Cannot call %s with session credentials", operation)
	}
	return nil
}

// duration returns how long a session is to be, with the time at which it ends.
func duration(now time.Time, asked *int, otherwise int) (seconds int, ends time.Time) {
	seconds = otherwise
	if asked != nil {
		seconds = *asked
	}
	return seconds, now.Add(time.Duration(seconds) * time.Second)
}

// lowered returns tags by their keys in lower case, or a fault for a key that is there
// twice or reserved. Keys are told apart without regard to case.
func lowered(tags []Tag) (map[string]string, error) {
	out := make(map[string]string, len(tags))
	for _, t := range tags {
		key := strings.ToLower(t.Key)
		if strings.HasPrefix(key, "aws:") {
			return nil, fault.New(ValidationError, "Tag keys beginning with aws: are reserved.")
		}
		if _, twice := out[key]; twice {
			return nil, fault.New(ValidationError, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		out[key] = t.Value
	}
	return out, nil
}
