// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// regionRow holds the region of the first start.
const regionRow = "i/region"

// checkRegion refuses another region than that of the first start: it is part of
// every KMS key's ARN, so that no object under one could be read.
func (s *Server) checkRegion(ctx context.Context) error {
	item, err := meta.Get1(ctx, s.rows, []byte(regionRow))
	if err != nil {
		return fmt.Errorf("read the region of the data: %w", err)
	}
	if item.Ver == 0 {
		var b meta.Batch
		b.PutIf([]byte(regionRow), []byte(s.cfg.Region), 0)
		_, err := s.rows.Commit(ctx, &b)
		var conflict *meta.ConflictError
		if errors.As(err, &conflict) {
			return s.checkRegion(ctx)
		}
		return err
	}
	if was := string(item.Value); was != s.cfg.Region {
		return fmt.Errorf("%s was made for region %s, which is part of its keys' ARNs: start with --region %s", s.cfg.Data, was, was)
	}
	return nil
}
