// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// maxLooked bounds the rows of which the oldest is looked for: all are near the queue's
// beginning, but for those that were put off for minutes.
const maxLooked = 100_000

// watch looks now and then which operation is the oldest.
func (s *Service) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := s.findOldest(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("the oldest of what is to be replicated could not be found", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Service) findOldest(ctx context.Context) error {
	r := meta.Range{Start: []byte(taskRows), End: meta.PrefixEnd([]byte(taskRows)), KeysOnly: true}
	oldest := uint64(0)
	for seen := 0; seen < maxLooked; {
		page, err := s.Rows.Scan(ctx, r)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if _, sequence, ok := splitTaskKey(item.Key); ok && (oldest == 0 || sequence < oldest) {
				oldest = sequence
			}
		}
		if seen += len(page.Items); !page.More {
			break
		}
		r.Start = page.Next
	}
	s.metrics.oldest.Store(int64(oldest))
	return nil
}
