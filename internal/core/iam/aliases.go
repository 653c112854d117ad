// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"regexp"
	"strings"

	"github.com/cofferstore/coffer/internal/fault"
)

var accountAlias = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)

// AccountAliases is the aliases of an account; there is at most one.
type AccountAliases struct {
	AccountAliases []string
	Page
}

// CreateAccountAlias gives the account an alias.
type CreateAccountAlias struct {
	AccountAlias string `api:"required 3-63"`
}

// CreateAccountAlias gives the account an alias, which no other has, in the place of the
// one that it had. Faults: EntityAlreadyExists, ValidationError.
func (s *Service) CreateAccountAlias(ctx context.Context, by Caller, in CreateAccountAlias) (None, error) {
	return None{}, s.change(ctx, by.Account, func(c *change) error {
		if err := s.may(ctx, by, "CreateAccountAlias", "*", nil); err != nil {
			return err
		}
		if !accountAlias.MatchString(in.AccountAlias) || strings.Contains(in.AccountAlias, "--") || isAccount(in.AccountAlias) {
			return fault.New(ValidationError, "1 validation error detected: Value '%s' at 'accountAlias' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$", in.AccountAlias)
		}
		a, err := c.ownAccount()
		if err != nil {
			return err
		}
		if a.Alias == in.AccountAlias {
			return nil
		}
		var other string
		taken, err := c.get(aliasRows+in.AccountAlias, &other)
		if err != nil {
			return err
		}
		if taken {
			return fault.New(EntityAlreadyExists, "The account alias %s already exists.", in.AccountAlias)
		}
		if a.Alias != "" {
			c.delete(aliasRows + a.Alias)
		}
		a.Alias = in.AccountAlias
		c.create(aliasRows+a.Alias, c.account)
		c.put(accountRow(c.account), a)
		return nil
	})
}

// isAccount reports whether a text reads as an account id.
func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// DeleteAccountAlias takes the account's alias away.
type DeleteAccountAlias struct {
	AccountAlias string `api:"required 3-63"`
}

// DeleteAccountAlias takes the account's alias away. Fault: NoSuchEntity.
func (s *Service) DeleteAccountAlias(ctx context.Context, by Caller, in DeleteAccountAlias) (None, error) {
	return None{}, s.change(ctx, by.Account, func(c *change) error {
		if err := s.may(ctx, by, "DeleteAccountAlias", "*", nil); err != nil {
			return err
		}
		a, err := c.ownAccount()
		if err != nil {
			return err
		}
		if a.Alias != in.AccountAlias {
			return fault.New(NoSuchEntity, "The account alias %s does not exist.", in.AccountAlias)
		}
		c.delete(aliasRows + a.Alias)
		a.Alias = ""
		c.put(accountRow(c.account), a)
		return nil
	})
}

// ListAccountAliases asks for the account's aliases.
type ListAccountAliases struct{ Paged }

// ListAccountAliases lists the account's alias.
func (s *Service) ListAccountAliases(ctx context.Context, by Caller, in ListAccountAliases) (out AccountAliases, err error) {
	if err := s.may(ctx, by, "ListAccountAliases", "*", nil); err != nil {
		return out, err
	}
	a, err := found[account](ctx, s, accountRow(by.Account))
	if err != nil || a == nil {
		return out, err
	}
	var all []string
	if a.Alias != "" {
		all = append(all, a.Alias)
	}
	out.AccountAliases, out.Page, err = pageOf(in.Paged, "aliases of "+a.ID, all, func(alias string) string { return alias })
	return out, err
}
