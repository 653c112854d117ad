// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// EachPolicy calls fn with the ARN and the policy, as GetKeyPolicy shows it, of every key
// that customers manage, of all accounts, for those who look through policies and decide
// nothing. Errors: fn's, Unavailable.
func (s *Service) EachPolicy(ctx context.Context, fn func(keyARN, text string) error) error {
	at := time.Now()
	return s.each(ctx, keyRows, func(item meta.Item) error {
		k, err := decodeKey(item.Value, item.Ver)
		if err != nil || k.gone(at) || k.Manager != ManagerCustomer {
			return err
		}
		text, err := s.policies.Show(ctx, k.Policy, k.Bound)
		if err != nil {
			return err
		}
		return fn(s.arnOf(k), text)
	})
}

// EachGrant calls fn with every grant, of keys of all accounts, as ListGrants shows it.
// Errors: fn's, Unavailable.
func (s *Service) EachGrant(ctx context.Context, fn func(GrantListEntry) error) error {
	return s.each(ctx, grantRows, func(item meta.Item) error {
		g, err := decodeGrant(item.Value)
		if err != nil {
			return err
		}
		account, rest, _ := strings.Cut(strings.TrimPrefix(string(item.Key), grantRows), "/")
		id, _, _ := strings.Cut(rest, "/")
		entries, err := s.entry(ctx, keyRef{account, id}, g, nil)
		if err != nil {
			return err
		}
		return fn(entries[0])
	})
}

// each calls fn with the rows under a prefix.
func (s *Service) each(ctx context.Context, prefix string, fn func(meta.Item) error) error {
	r := meta.Range{Start: []byte(prefix), End: meta.PrefixEnd([]byte(prefix))}
	for {
		page, err := s.store.Scan(ctx, r)
		if err != nil {
			return fromMeta(err)
		}
		for _, item := range page.Items {
			if err := fn(item); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		r.Start = page.Next
	}
}
