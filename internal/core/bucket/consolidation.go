// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// SetConsolidation says whether upkeep may merge the bucket's bucket keys. A merge
// under way stops before its next step. Fault: NoSuchBucket.
func (s *Buckets) SetConsolidation(ctx context.Context, name string, on bool) error {
	b, err := s.Find(ctx, Ref{Bucket: name})
	if err != nil {
		return err
	}
	return s.update(ctx, b.UID, func(r *record) error { r.NoConsolidation = !on; return nil })
}

// Each calls f with every bucket, in no order that means anything, until f fails.
// Buckets that come and go meanwhile may be missed. One whose row is damaged does not keep f
// from the others; the first such error is returned in the end.
func (s *Buckets) Each(ctx context.Context, f func(*Bucket) error) (damaged error) {
	prefix := []byte("bu/")
	at := meta.Range{Start: prefix, End: meta.PrefixEnd(prefix), KeysOnly: true}
	for {
		page, err := s.store.Scan(ctx, at)
		if err != nil {
			return fmt.Errorf("read buckets: %w", err)
		}
		for _, item := range page.Items {
			var uid UID
			if copy(uid[:], item.Key[len(prefix):]) != len(uid) {
				return fault.New(meta.Damaged, "").Because(fmt.Errorf("row %q", item.Key))
			}
			b, _, err := s.read(ctx, uid)
			switch {
			case errors.Is(err, NoSuchBucket):
				continue
			case errors.Is(err, meta.Damaged):
				damaged = cmp.Or(damaged, err)
				continue
			case err == nil:
				err = f(b)
			}
			if err != nil {
				return err
			}
		}
		if !page.More {
			return damaged
		}
		at.Start = page.Next
	}
}
