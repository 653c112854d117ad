// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const (
	managedAlias       = "alias/aws/s3"
	managedDescription = "Default key that protects my S3 objects when no other key is defined"
)

// namesManaged reports whether name is the managed key's alias in the caller's
// account.
func (s *Service) namesManaged(by iam.Caller, name string) bool {
	return name == managedAlias || strings.HasSuffix(name, ":"+managedAlias) && name == aws.AliasARN(s.region, by.Account, managedAlias)
}

// managedKey returns the key aws/s3 of the caller's account, and makes it on
// first use. Callers that race agree on one.
func (s *Service) managedKey(ctx context.Context, by iam.Caller) (keyRef, error) {
	if !aws.ValidAccount(by.Account) {
		return keyRef{}, denied(by, policy.Need{Action: "kms:GenerateDataKey", Resource: managedAlias}, facts{}, policy.Decision{Layer: policy.ByIdentity})
	}
	for {
		a, err := s.cachedAlias(ctx, by.Account, managedAlias)
		if err != nil {
			return keyRef{}, err
		}
		if a != nil {
			return keyRef{by.Account, a.Target}, nil
		}
		if err := s.makeManaged(ctx, by.Account); err != nil && !errors.Is(err, AlreadyExists) {
			return keyRef{}, err
		}
	}
}

// makeManaged makes the managed key. Error: AlreadyExists.
func (s *Service) makeManaged(ctx context.Context, account string) error {
	k := newKey(account, ManagerAWS)
	k.Description = managedDescription
	k.Policy = managedPolicy(s.region, account)
	k.Aliases = []string{managedAlias}
	k.Rotation = rotation{PeriodInDays: defaultRotation, Next: k.Created.AddDate(0, 0, defaultRotation)}
	return s.create(ctx, k, func(b *meta.Batch) error {
		a, err := s.freshAlias(ctx, account, managedAlias)
		if err != nil {
			return err
		}
		if a != nil {
			return AlreadyExists
		}
		row := encode(alias{Target: k.name(), Created: k.Created, Updated: k.Created})
		b.PutIf([]byte(aliasRow(account, managedAlias)), row, 0)
		return nil
	})
}
