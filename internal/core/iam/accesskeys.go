// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// Status of access keys.
const (
	statusActive   = "Active"
	statusInactive = "Inactive"
)

// AccessKey is a new access key, with its secret, which is shown this once.
type AccessKey struct {
	UserName, AccessKeyId, Status string
	SecretAccessKey               secret.Bytes
	CreateDate                    time.Time
}

// AccessKeyResult is the result of CreateAccessKey.
type AccessKeyResult struct{ AccessKey AccessKey }

// AccessKeyMetadata is an access key as lists show it.
type AccessKeyMetadata struct {
	UserName, AccessKeyId, Status string
	CreateDate                    time.Time
}

// AccessKeys is a page of access keys.
type AccessKeys struct {
	AccessKeyMetadata []AccessKeyMetadata
	Page
}

// keeper is who has access keys: a user, or the root of an account.
type keeper struct {
	userName, userID string
	keys             *[]string
	save             func(c *change)
}

// keeperFor finds whose access keys a request is about: the caller's own when it names
// nobody. Faults: AccessDenied, NoSuchEntity, ValidationError, UnmodifiableEntity for the
// root whose access key the server's configuration or first start has made.
func (s *Service) keeperFor(ctx context.Context, r reader, by Caller, action, name string) (keeper, error) {
	if name == "" && by.Type == Root {
		if err := s.may(ctx, by, action, by.ARN, nil); err != nil {
			return keeper{}, err
		}
		a, err := found[account](ctx, r, accountRow(by.Account))
		if err != nil {
			return keeper{}, err
		}
		if a == nil || a.First {
			return keeper{}, fault.New(UnmodifiableEntity, "The root access key of this account is set where the server is configured.")
		}
		return keeper{userID: rootOfAccounts, keys: &a.RootKeys, save: func(c *change) { c.put(accountRow(a.ID), a) }}, nil
	}
	name, err := userOr(by, name)
	if err != nil {
		return keeper{}, err
	}
	h, err := s.allowed(ctx, r, by, action, kindUser, name, nil)
	if err != nil {
		return keeper{}, err
	}
	u := h.row.(*user)
	return keeper{u.Name, u.ID, &u.Keys, func(c *change) { c.put(userRow(c.account, u.Name), u) }}, nil
}

// CreateAccessKey makes an access key.
type CreateAccessKey struct {
	UserName string `api:"1-128 name"`
}

// CreateAccessKey makes an access key for a user, or for the caller. Faults:
// NoSuchEntity, LimitExceeded.
func (s *Service) CreateAccessKey(ctx context.Context, by Caller, in CreateAccessKey) (out AccessKeyResult, err error) {
	err = s.change(ctx, by.Account, func(c *change) error {
		k, err := s.keeperFor(ctx, c, by, "CreateAccessKey", in.UserName)
		if err != nil {
			return err
		}
		if len(*k.keys) >= maxAccessKeys {
			return quota("AccessKeysPerUser", maxAccessKeys)
		}
		id, key := newAccessKey()
		*k.keys = append(*k.keys, id)
		k.save(c)
		c.create(accessKeyRow(id), s.newKeyRow(id, key, c.account, k.userID, c.now))
		out.AccessKey = AccessKey{k.userName, id, statusActive, key, c.now}
		return nil
	})
	if err != nil {
		out = AccessKeyResult{}
	}
	return out, err
}

// ListAccessKeys asks for a user's access keys, or for the caller's.
type ListAccessKeys struct {
	UserName string `api:"1-128 name"`
	Paged
}

// ListAccessKeys lists a user's access keys. Fault: NoSuchEntity.
func (s *Service) ListAccessKeys(ctx context.Context, by Caller, in ListAccessKeys) (out AccessKeys, err error) {
	k, err := s.keeperFor(ctx, s, by, "ListAccessKeys", in.UserName)
	if err != nil {
		return out, err
	}
	var all []AccessKeyMetadata
	for _, id := range slices.Sorted(slices.Values(*k.keys)) {
		row, err := found[accessKey](ctx, s, accessKeyRow(id))
		if err != nil {
			return out, err
		}
		if row != nil { // else it has just been deleted
			all = append(all, AccessKeyMetadata{k.userName, id, row.status(), row.Created})
		}
	}
	out.AccessKeyMetadata, out.Page, err = pageOf(in.Paged, "access keys of "+by.Account+k.userID, all, func(m AccessKeyMetadata) string { return m.AccessKeyId })
	return out, err
}

func (k *accessKey) status() string {
	if k.Active {
		return statusActive
	}
	return statusInactive
}

// UpdateAccessKey switches an access key on or off.
type UpdateAccessKey struct {
	UserName    string `api:"1-128 name"`
	AccessKeyId string `api:"required 16-128 id"`
	Status      string `api:"required Active|Inactive"`
}

// UpdateAccessKey switches an access key on or off; off, it is as unknown as one that there
// is not. Fault: NoSuchEntity.
func (s *Service) UpdateAccessKey(ctx context.Context, by Caller, in UpdateAccessKey) (None, error) {
	return None{}, s.changeKey(ctx, by, "UpdateAccessKey", in.UserName, in.AccessKeyId, func(c *change, _ keeper, row *accessKey) {
		row.Active = in.Status == statusActive
		c.put(accessKeyRow(row.ID), row)
	})
}

// DeleteAccessKey deletes an access key.
type DeleteAccessKey struct {
	UserName    string `api:"1-128 name"`
	AccessKeyId string `api:"required 16-128 id"`
}

// DeleteAccessKey deletes an access key. Fault: NoSuchEntity.
func (s *Service) DeleteAccessKey(ctx context.Context, by Caller, in DeleteAccessKey) (None, error) {
	err := s.changeKey(ctx, by, "DeleteAccessKey", in.UserName, in.AccessKeyId, func(c *change, k keeper, row *accessKey) {
		*k.keys = slices.DeleteFunc(*k.keys, func(id string) bool { return id == row.ID })
		k.save(c)
		c.delete(accessKeyRow(row.ID))
		c.delete(lastUsedRow(row.ID))
	})
	if err == nil {
		s.used.forget(in.AccessKeyId)
	}
	return None{}, err
}

func (s *Service) changeKey(ctx context.Context, by Caller, action, userName, id string, f func(c *change, k keeper, row *accessKey)) error {
	return s.change(ctx, by.Account, func(c *change) error {
		k, err := s.keeperFor(ctx, c, by, action, userName)
		if err != nil {
			return err
		}
		row, err := found[accessKey](ctx, c, accessKeyRow(id))
		if err != nil {
			return err
		}
		if row == nil || !slices.Contains(*k.keys, id) {
			return fault.New(NoSuchEntity, "The Access Key with id %s cannot be found.", id)
		}
		f(c, k, row)
		return nil
	})
}

// GetAccessKeyLastUsed asks when an access key was last used.
type GetAccessKeyLastUsed struct {
	AccessKeyId string `api:"required 16-128 id"`
}

// AccessKeyLastUsed says when an access key was last used. The time is right to the
// minute.
type AccessKeyLastUsed struct {
	UserName          string
	AccessKeyLastUsed struct {
		LastUsedDate        time.Time
		ServiceName, Region string
	}
}

// GetAccessKeyLastUsed says when an access key of the account was last used. Fault:
// NoSuchEntity; and AccessDenied for keys of others, as for those that there are none of.
func (s *Service) GetAccessKeyLastUsed(ctx context.Context, by Caller, in GetAccessKeyLastUsed) (out AccessKeyLastUsed, err error) {
	row, err := found[accessKey](ctx, s, accessKeyRow(in.AccessKeyId))
	if err != nil {
		return out, err
	}
	resource := "*"
	if row != nil && row.Account == by.Account && row.UserID != rootOfAccounts {
		u, err := userByID(ctx, s, row.UserID)
		if err != nil {
			return out, err
		}
		if u != nil {
			resource, out.UserName = u.arn(), u.Name
		}
	}
	if err := s.may(ctx, by, "GetAccessKeyLastUsed", resource, nil); err != nil {
		return AccessKeyLastUsed{}, err
	}
	if row == nil || row.Account != by.Account {
		return AccessKeyLastUsed{}, fault.New(NoSuchEntity, "The Access Key with id %s cannot be found.", in.AccessKeyId)
	}
	last, err := s.lastUse(ctx, in.AccessKeyId)
	if err != nil {
		return AccessKeyLastUsed{}, err
	}
	out.AccessKeyLastUsed.ServiceName, out.AccessKeyLastUsed.Region = "N/A", "N/A"
	if last != nil {
		out.AccessKeyLastUsed.LastUsedDate, out.AccessKeyLastUsed.ServiceName, out.AccessKeyLastUsed.Region = last.At, last.Service, last.Region
	}
	return out, nil
}
