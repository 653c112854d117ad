// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"strings"
)

// eraseAccount removes the rows of a closed account, those that others point to last.
// It can be begun again where it was broken off.
func (s *Service) eraseAccount(ctx context.Context, id string) error {
	for _, rows := range []string{userRows, groupRows, roleRows, policyRows, useRows, providerRows} {
		if err := s.eraseRows(ctx, id, rows+id+"/"); err != nil {
			return err
		}
	}
	return s.change(ctx, id, func(c *change) error {
		a, err := c.ownAccount()
		if err != nil {
			return err
		}
		if a.Alias != "" {
			c.delete(aliasRows + a.Alias)
		}
		for _, key := range a.RootKeys {
			c.delete(accessKeyRow(key))
			c.delete(lastUsedRow(key))
		}
		c.put(canonicalRows+canonicalID(id), "") // it stays taken
		c.delete(accountRow(id))
		c.delete(epochRow(id))
		return nil
	})
}

// eraseAtOnce is how many rows of a prefix go with one commit.
const eraseAtOnce = 200

// eraseRows removes the rows under a prefix, and with them the rows that belong to
// what they hold.
func (s *Service) eraseRows(ctx context.Context, id, prefix string) error {
	for {
		more := false
		err := s.change(ctx, id, func(c *change) error {
			n := 0
			more = false
			return s.scan(ctx, prefix, "", func(row string, value []byte) (bool, error) {
				if n == eraseAtOnce {
					more = true
					return false, nil
				}
				n++
				c.delete(row)
				return true, c.eraseParts(row, value)
			})
		})
		if err != nil || !more {
			return err
		}
	}
}

// eraseParts removes what belongs to a user, group, role or policy.
func (c *change) eraseParts(row string, value []byte) error {
	switch {
	case strings.HasPrefix(row, userRows):
		var u user
		if err := decodeRow(row, value, &u); err != nil {
			return err
		}
		c.delete(idRow(u.ID))
		for _, key := range u.Keys {
			c.delete(accessKeyRow(key))
			c.delete(lastUsedRow(key))
		}
		for _, g := range u.Groups {
			c.delete(memberRow(g, u.ID))
		}
	case strings.HasPrefix(row, useRows), strings.HasPrefix(row, providerRows):
	default: // groups, roles and policies have their id in the same place
		var of struct{ ID string }
		if err := decodeRow(row, value, &of); err != nil {
			return err
		}
		c.delete(idRow(of.ID))
		c.delete(lastUsedRow(of.ID)) // of a role
	}
	return nil
}
