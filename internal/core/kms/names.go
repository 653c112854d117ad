// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
)

// keyRef names a key: whose it is, and its id.
type keyRef struct{ account, id string }

func (r keyRef) arn(region string) string { return aws.KeyARN(region, r.account, r.id) }

// partition is the only one there is.
const partition = "aws"

// keyNamed understands a key id or key ARN, as the operations do that take no
// alias. Errors: NotFound, InvalidArn.
func (s *Service) keyNamed(by iam.Caller, name string) (keyRef, error) {
	if !strings.HasPrefix(name, "arn:") {
		if !validKeyID(name) {
			return keyRef{}, invalidKeyID(name)
		}
		return keyRef{by.Account, name}, nil
	}
	if ref, ok := s.refs.Get(name); ok {
		return *ref, nil
	}
	ref, err := s.keyOfARN(strings.Clone(name))
	if err != nil {
		return keyRef{}, err
	}
	return *s.refs.Put(name, ref), nil
}

// keyOfARN reads a key ARN. Errors: NotFound, InvalidArn.
func (s *Service) keyOfARN(name string) (keyRef, error) {
	account, resource, err := s.parseARN(name)
	if err != nil {
		return keyRef{}, err
	}
	id, ok := strings.CutPrefix(resource, "key/")
	if !ok {
		return keyRef{}, fault.New(InvalidArn, "%s is not the ARN of a key.", name)
	}
	if !validKeyID(id) {
		return keyRef{}, invalidKeyID(id)
	}
	return keyRef{account, id}, nil
}

// keyOrAliasNamed understands also alias names, which are the caller's own, and
// alias ARNs. alias is the name of the alias, "" when a key was named. Errors:
// NotFound, InvalidArn, Unavailable.
func (s *Service) keyOrAliasNamed(ctx context.Context, by iam.Caller, name string) (ref keyRef, alias string, err error) {
	account, alias, ok, err := s.aliasNamed(by, name)
	if err != nil {
		return keyRef{}, "", err
	}
	if !ok {
		ref, err := s.keyNamed(by, name)
		return ref, "", err
	}
	row, err := s.cachedAlias(ctx, account, alias)
	if err != nil {
		return keyRef{}, alias, err
	}
	if row == nil {
		return keyRef{}, alias, s.noAlias(account, alias)
	}
	return keyRef{account, row.Target}, alias, nil
}

// aliasNamed splits an alias name or alias ARN. ok is false when name is
// neither.
func (s *Service) aliasNamed(by iam.Caller, name string) (account, alias string, ok bool, err error) {
	if strings.HasPrefix(name, aliasPrefix) {
		return by.Account, name, true, nil
	}
	if !strings.HasPrefix(name, "arn:") {
		return "", "", false, nil
	}
	account, resource, err := s.parseARN(name)
	if err != nil || !strings.HasPrefix(resource, aliasPrefix) {
		return "", "", false, err
	}
	return account, resource, true, nil
}

func (s *Service) parseARN(arn string) (account, resource string, err error) {
	a, ok := aws.ParseARN(arn)
	if !ok || a.Partition != partition || a.Service != "kms" || !aws.ValidAccount(a.Account) {
		return "", "", fault.New(InvalidArn, "%s is not a valid ARN.", arn)
	}
	if a.Region != s.region {
		return "", "", fault.New(NotFound, "Invalid arn %s", a.Region)
	}
	return a.Account, a.Resource, nil
}

func validKeyID(id string) bool {
	_, _, ok := aws.ParseKeyID(id)
	return ok
}

func invalidKeyID(id string) error { return fault.New(NotFound, "Invalid keyId '%s'", id) }

func (s *Service) noKey(ref keyRef) error {
	return fault.New(NotFound, "Key '%s' does not exist", ref.arn(s.region))
}

func (s *Service) noAlias(account, alias string) error {
	return fault.New(NotFound, "Alias %s is not found.", aws.AliasARN(s.region, account, alias))
}
