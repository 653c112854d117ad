// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"strconv"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// CustomerKeys returns how many keys an account has, with those that wait to be deleted
// and without the managed one. Error: Unavailable.
func (s *Service) CustomerKeys(ctx context.Context, account string) (int, error) {
	item, err := meta.Get1(ctx, s.store, []byte(countRows+account))
	if err != nil {
		return 0, fromMeta(err)
	}
	if item.Ver == 0 {
		return 0, nil
	}
	n, err := strconv.Atoi(string(item.Value))
	if err != nil {
		return 0, fault.New(Internal, "").Because(err)
	}
	return n, nil
}
