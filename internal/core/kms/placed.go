// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// EachPolicy calls fn with the ARN and the policy of every key that customers manage, of
// all accounts, for those who look through policies and decide nothing. Errors: fn's,
// Unavailable.
func (s *Service) EachPolicy(ctx context.Context, fn func(keyARN, text string) error) error {
	at := time.Now()
	r := meta.Range{Start: []byte(keyRows), End: meta.PrefixEnd([]byte(keyRows))}
	for {
		page, err := s.store.Scan(ctx, r)
		if err != nil {
			return fromMeta(err)
		}
		for _, item := range page.Items {
			k, err := decodeKey(item.Value, item.Ver)
			if err != nil {
				return err
			}
			if k.gone(at) || k.Manager != ManagerCustomer {
				continue
			}
			if err := fn(k.ref().arn(s.region), k.Policy); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		r.Start = page.Next
	}
}
