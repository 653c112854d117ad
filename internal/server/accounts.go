// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
)

// ownedBy says what an account owns that must be deleted before it, "" for nothing.
func (s *Server) ownedBy(ctx context.Context, account string) (string, error) {
	by := iam.Caller{Principal: iam.Principal{Type: iam.AWSService, Account: account, ARN: "coffer:accounts"}}
	list, err := s.buckets.List(ctx, by, bucket.List{Limit: 1})
	if err != nil {
		return "", err
	}
	if len(list.Buckets) > 0 {
		return "bucket " + list.Buckets[0].Name, nil
	}
	trails, err := s.trails.Of(ctx, account)
	if err != nil {
		return "", err
	}
	if len(trails) > 0 {
		return "trail " + trails[0].Name, nil
	}
	n, err := s.kms.CustomerKeys(ctx, account)
	if err != nil || n == 0 {
		return "", err
	}
	return fmt.Sprintf("%d KMS keys", n), nil
}
