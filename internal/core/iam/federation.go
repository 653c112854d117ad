// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Durations of a user's own sessions and of federated ones, in seconds (STS API
// Reference).
const (
	userSession = 43200
	rootSession = 3600
)

// GetSessionToken asks for temporary credentials of the caller's own.
type GetSessionToken struct {
	DurationSeconds *int    `api:"900-129600"`
	SerialNumber    *string `api:"9-256 mfa"`
	TokenCode       *string `api:"6-6 code secret"`
}

// OwnSession is the answer to GetSessionToken.
type OwnSession struct{ Credentials Credentials }

// GetSessionToken gives a user, or a root, temporary credentials of its own. They end
// with the access key that signed. Fault: AccessDenied.
func (s *Service) GetSessionToken(_ context.Context, by Caller, in GetSessionToken) (OwnSession, error) {
	if by.Session != nil || by.Type != IAMUser && by.Type != Root {
		return OwnSession{}, fault.New(AccessDenied, "Cannot call GetSessionToken with session credentials")
	}
	if err := noMFA(in.SerialNumber, in.TokenCode); err != nil {
		return OwnSession{}, err
	}
	d := &tokenDocument{
		Type: by.Type, Account: by.Account, ID: by.entity(), Issued: time.Now().UTC().Truncate(time.Second), Parent: by.AccessKeyID,
	}
	_, d.Expires = ownDuration(d.Issued, by, in.DurationSeconds)
	c, _, err := s.begin(d)
	return OwnSession{c}, err
}

// ownDuration cuts a root's sessions to an hour, as STS does.
func ownDuration(now time.Time, by Caller, asked *int) (int, time.Time) {
	seconds, ends := duration(now, asked, userSession)
	if by.Type == Root && seconds > rootSession {
		return duration(now, nil, rootSession)
	}
	return seconds, ends
}

// GetFederationToken asks for credentials for somebody of whom only the caller knows.
type GetFederationToken struct {
	Name string `api:"required 2-32 name"`
	Narrowing
	DurationSeconds *int  `api:"900-129600"`
	Tags            []Tag `api:"0-50"`
}

// FederatedUserName names a federated user.
type FederatedUserName struct{ FederatedUserId, Arn string }

// FederatedSession is the answer to GetFederationToken.
type FederatedSession struct {
	Credentials      Credentials
	FederatedUser    FederatedUserName
	PackedPolicySize *int
}

// GetFederationToken begins a session that may do what both the caller and the policies
// passed allow; without policies, only what policies of resources allow it by its name.
// It ends with the access key that signed. Faults: AccessDenied, ValidationError,
// policy.Malformed, PackedPolicyTooLarge.
func (s *Service) GetFederationToken(ctx context.Context, by Caller, in GetFederationToken) (FederatedSession, error) {
	if by.Session != nil || by.Type != IAMUser && by.Type != Root {
		return FederatedSession{}, fault.New(AccessDenied, "Cannot call GetFederationToken with session credentials")
	}
	d := &tokenDocument{
		Type: FederatedUser, Account: by.Account, ID: by.entity(), Issued: time.Now().UTC().Truncate(time.Second), Name: in.Name,
		Narrowed: true, Parent: by.AccessKeyID,
	}
	var seconds int
	seconds, d.Expires = ownDuration(d.Issued, by, in.DurationSeconds)
	keys := policy.Values{}
	durationKey(keys, seconds)
	if err := d.inherit(by, in.Tags, nil); err != nil {
		return FederatedSession{}, err
	}
	arn := federatedARN(by.Account, in.Name)
	for _, action := range append([]string{"sts:GetFederationToken"}, d.tagActions(keys)...) {
		if err := s.Authorize(ctx, by, []policy.Need{{Action: action, Resource: arn, Keys: keys}}); err != nil {
			return FederatedSession{}, err
		}
	}
	if err := s.narrow(ctx, d, in.Narrowing); err != nil {
		return FederatedSession{}, err
	}
	c, packed, err := s.begin(d)
	return FederatedSession{c, FederatedUserName{by.Account + ":" + in.Name, arn}, packed}, err
}
