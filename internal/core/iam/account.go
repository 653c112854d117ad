// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Kinds of fault of what an operator does with accounts.
const (
	AccountExists  fault.Kind = "iam operation: account exists"
	AccountInUse   fault.Kind = "iam operation: account in use"
	InvalidAccount fault.Kind = "iam operation: invalid account"
)

// Account is an account as operators see it.
type Account struct {
	ID, Name, Alias string
	Created         time.Time
	First           bool     // the server's own, whose root is the operator
	RootKeys        []string // access key ids
	Controls        []string // names of its service control policies
	Closing         bool     // a deletion was begun and is to be ended by another
}

// NewAccount is an account that was made. Its secret is shown this once.
type NewAccount struct {
	Account
	Secret secret.Bytes
}

var accountName = regexp.MustCompile(`^[\x20-\x7e]{1,50}$`)

// CreateAccount makes an account with a root access key. With an empty id, one is
// chosen. Faults: InvalidAccount, AccountExists.
func (s *Service) CreateAccount(ctx context.Context, id, name string) (NewAccount, error) {
	chosen := id == ""
	switch {
	case !chosen && !aws.ValidAccount(id):
		return NewAccount{}, fault.New(InvalidAccount, "Account id %q is not twelve digits.", id)
	case !accountName.MatchString(name) || strings.TrimSpace(name) != name:
		return NewAccount{}, fault.New(InvalidAccount, "The name of an account has 1 to 50 printable characters, with no space at its ends.")
	}
	for range tries {
		if chosen {
			n, _ := rand.Int(rand.Reader, big.NewInt(900_000_000_000)) // does not fail
			id = fmt.Sprintf("%012d", n.Int64()+100_000_000_000)
		}
		keyID, key := newAccessKey()
		a := account{Version: formatOfRows, ID: id, Name: name, RootKeys: []string{keyID}, Created: time.Now().UTC().Truncate(time.Second)}
		row := s.newKeyRow(keyID, key, id, rootOfAccounts, a.Created)
		err := s.makeAccount(ctx, a, &row)
		if chosen && errors.Is(err, AccountExists) {
			continue
		}
		if err != nil {
			return NewAccount{}, err
		}
		return NewAccount{a.shown(), key}, nil
	}
	return NewAccount{}, fault.New(ConcurrentModification, "")
}

// RenewRootKey gives the root of an account a new access key in the place of those that
// it has. Faults: NoSuchAccount, InvalidAccount for the first one.
func (s *Service) RenewRootKey(ctx context.Context, id string) (out NewAccount, err error) {
	err = s.change(ctx, id, func(c *change) error {
		a, err := c.ownAccount()
		if err != nil {
			return err
		}
		if a.First {
			return fault.New(InvalidAccount, "The first account is the server's own: its root's access key is set where the server is configured.")
		}
		for _, old := range a.RootKeys {
			c.delete(accessKeyRow(old))
			c.delete(lastUsedRow(old))
		}
		keyID, key := newAccessKey()
		a.RootKeys = []string{keyID}
		c.create(accessKeyRow(keyID), s.newKeyRow(keyID, key, id, rootOfAccounts, c.now))
		c.put(accountRow(id), a)
		out = NewAccount{a.shown(), key}
		return nil
	})
	if err != nil {
		out = NewAccount{}
	}
	return out, err
}

// makeAccount writes the rows of a new account. An id that an account has had is none's
// again, for others' policies may name it. Fault: AccountExists.
func (s *Service) makeAccount(ctx context.Context, a account, rootKey *accessKey) error {
	var b meta.Batch
	b.PutIf([]byte(epochRow(a.ID)), encodeRow(epoch{Version: formatOfRows}), 0)
	b.PutIf([]byte(accountRow(a.ID)), encodeRow(a), 0)
	b.PutIf([]byte(canonicalRows+canonicalID(a.ID)), encodeRow(a.ID), 0)
	if rootKey != nil {
		b.PutIf([]byte(accessKeyRow(rootKey.ID)), encodeRow(rootKey), 0)
	}
	_, err := s.store.Commit(ctx, &b)
	var conflict *meta.ConflictError
	if errors.As(err, &conflict) {
		return fault.New(AccountExists, "There is, or was, an account %s already: ids are not given twice.", a.ID)
	}
	return err
}

func (a account) shown() Account {
	out := Account{ID: a.ID, Name: a.Name, Alias: a.Alias, Created: a.Created, First: a.First, RootKeys: a.RootKeys, Closing: a.Closing}
	for _, c := range a.Controls {
		out.Controls = append(out.Controls, c.Name)
	}
	return out
}

// Accounts returns all accounts, by id.
func (s *Service) Accounts(ctx context.Context) ([]Account, error) {
	var all []Account
	err := s.scan(ctx, accountRows, "", func(row string, value []byte) (bool, error) {
		var a account
		if err := decodeRow(row, value, &a); err != nil {
			return false, err
		}
		if a.First {
			a.RootKeys = []string{s.root.accessKeyID}
		}
		all = append(all, a.shown())
		return true, nil
	})
	return all, err
}

// maxControls bounds the service control policies of an account.
const maxControls = 5

// Control is a service control policy by its name.
type Control struct{ Name, Text string }

// SetControls sets the service control policies of an account in the place of those
// that it has. With any, its principals, its root too, may do only what one of them allows;
// without, they do not limit it. Those of the first account are not limited: nobody
// could lift that again. Faults: NoSuchAccount, InvalidAccount, policy.Malformed.
func (s *Service) SetControls(ctx context.Context, id string, controls []Control) error {
	if len(controls) > maxControls {
		return fault.New(InvalidAccount, "An account has at most %d service control policies.", maxControls)
	}
	var rows []named
	for _, c := range controls {
		if len(c.Text) > maxControl {
			return fault.New(InvalidAccount, "Service control policy %q is longer than %d bytes.", c.Name, maxControl)
		}
		if _, err := policy.Parse(policy.ServiceControl, "", c.Text); err != nil {
			return err
		}
		if slices.ContainsFunc(rows, func(n named) bool { return n.Name == c.Name }) {
			return fault.New(InvalidAccount, "Two service control policies are named %q.", c.Name)
		}
		rows = append(rows, named(c))
	}
	return s.change(ctx, id, func(c *change) error {
		a, err := c.ownAccount()
		if err != nil {
			return err
		}
		if a.First && len(rows) > 0 {
			return fault.New(InvalidAccount, "The first account is the server's own: service control policies cannot limit it.")
		}
		a.Controls = rows
		c.put(accountRow(id), a)
		return nil
	})
}

// maxControl is the size of a service control policy (Organizations quotas).
const maxControl = 5120

// ownAccount reads the row of the account that the change is of.
func (c *change) ownAccount() (*account, error) {
	a := &account{}
	found, err := c.get(accountRow(c.account), a)
	if err == nil && !found {
		err = fault.New(NoSuchAccount, "").With("Account", c.account)
	}
	return a, err
}

// DeleteAccount deletes an account with everybody in it. First it is closed: from
// then on nobody in it may do anything. If it owns something, it is opened again.
// Faults: NoSuchAccount, InvalidAccount for the first one, AccountInUse.
func (s *Service) DeleteAccount(ctx context.Context, id string) error {
	if err := s.setClosing(ctx, id, true); err != nil {
		return err
	}
	owned := ""
	if s.cfg.Owns != nil {
		var err error
		if owned, err = s.cfg.Owns(ctx, id); err != nil {
			return errors.Join(err, s.setClosing(ctx, id, false))
		}
	}
	if owned != "" {
		if err := s.setClosing(ctx, id, false); err != nil {
			return err
		}
		return fault.New(AccountInUse, "Account %s owns %s, and perhaps more: delete that first.", id, owned)
	}
	return s.eraseAccount(ctx, id)
}

func (s *Service) setClosing(ctx context.Context, id string, closing bool) error {
	return s.change(ctx, id, func(c *change) error {
		a, err := c.ownAccount()
		if err != nil {
			return err
		}
		if a.First {
			return fault.New(InvalidAccount, "The first account is the server's own: it cannot be deleted.")
		}
		a.Closing = closing
		c.put(accountRow(id), a)
		return nil
	})
}

// Exists reports whether there is such an account.
func (s *Service) Exists(ctx context.Context, account string) (bool, error) {
	item, err := meta.Get1(ctx, s.store, []byte(epochRow(account)))
	return item.Ver != 0, err
}

// AccountOf returns the account of a canonical user id, "" when there is none.
func (s *Service) AccountOf(ctx context.Context, canonicalID string) (string, error) {
	if len(canonicalID) != 64 {
		return "", nil
	}
	account := ""
	_, err := s.row(ctx, canonicalRows+canonicalID, &account)
	return account, err
}
