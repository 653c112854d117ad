// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// openedKey is what is kept of an access key: good as long as the account's epoch is of
// this version.
type openedKey struct {
	epoch  uint64
	row    []byte // of the epoch
	secret secret.Bytes
	who    Principal
}

// Lookup returns the secret of an access key that is active and the principal who holds it.
// The secret is shared and must not be cleared. Fault: NoSuchAccessKey.
func (s *Service) Lookup(ctx context.Context, accessKeyID string) (secret.Bytes, Principal, error) {
	if accessKeyID == s.root.accessKeyID {
		return s.root.Lookup(ctx, accessKeyID)
	}
	if k, ok := s.keys.get(accessKeyID); ok {
		ver, err := meta.Version(ctx, s.store, k.row)
		if err != nil {
			return secret.Bytes{}, Principal{}, err
		}
		if ver == k.epoch {
			return k.secret, k.who, nil
		}
	}
	k, err := s.openKey(ctx, accessKeyID)
	if err != nil {
		return secret.Bytes{}, Principal{}, err
	}
	return k.secret, k.who, nil
}

func noSuchAccessKey(id string) error {
	return fault.New(NoSuchAccessKey, "").With("AWSAccessKeyId", id)
}

func (s *Service) openKey(ctx context.Context, id string) (*openedKey, error) {
	if !validAccessKeyID(id) {
		return nil, noSuchAccessKey(id)
	}
	for range tries {
		key, err := found[accessKey](ctx, s, accessKeyRow(id))
		if err != nil {
			return nil, err
		}
		if key == nil || !key.Active {
			return nil, noSuchAccessKey(id)
		}
		ver, err := s.epochOf(ctx, key.Account)
		if err != nil {
			return nil, err
		}
		opened, err := s.openAt(ctx, id, ver)
		if err != nil {
			return nil, err
		}
		again, err := s.epochOf(ctx, key.Account)
		if err != nil {
			return nil, err
		}
		if again == ver {
			if opened == nil {
				return nil, noSuchAccessKey(id)
			}
			s.keys.put(id, opened)
			return opened, nil
		}
	}
	return nil, fault.New(meta.Unavailable, "").Because(errTooManyChanges)
}

// openAt reads an access key and whose it is, nil when nobody may use it.
func (s *Service) openAt(ctx context.Context, id string, ver uint64) (*openedKey, error) {
	key, err := found[accessKey](ctx, s, accessKeyRow(id))
	if err != nil || key == nil || !key.Active {
		return nil, err
	}
	a, err := found[account](ctx, s, accountRow(key.Account))
	if err != nil || a == nil || a.Closing {
		return nil, err
	}
	who := Principal{
		Type: Root, Account: key.Account, ARN: aws.RootARN(key.Account), PrincipalID: key.Account, AccessKeyID: id,
	}
	if key.UserID != rootOfAccounts {
		u, err := userByID(ctx, s, key.UserID)
		if err != nil || u == nil {
			return nil, err
		}
		who.Type, who.ARN, who.PrincipalID, who.UserName = IAMUser, u.arn(), u.ID, u.Name
	}
	opened, err := rootAEAD(s.sealKey, id).Open(nil, key.Sealed, []byte(id))
	if err != nil {
		return nil, fault.New(meta.Damaged, "").With("Row", accessKeyRow(id)).Because(err)
	}
	return &openedKey{ver, []byte(epochRow(who.Account)), secret.New(opened), who}, nil
}

// newKeyRow makes the row of an access key.
func (s *Service) newKeyRow(id string, key secret.Bytes, account, userID string, created time.Time) accessKey {
	return accessKey{
		Version: formatOfRows, ID: id, Account: account, UserID: userID, Active: true, Created: created,
		Sealed: rootAEAD(s.sealKey, id).Seal(nil, key.Reveal(), []byte(id)),
	}
}

// epochOf returns the version that dates what is kept of an account, 0 when there is no such
// account.
func (s *Service) epochOf(ctx context.Context, account string) (uint64, error) {
	return meta.Version(ctx, s.store, []byte(epochRow(account)))
}
