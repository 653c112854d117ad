// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"errors"
	"fmt"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// List asks for the caller's buckets, in name order.
type List struct {
	Prefix string
	Region string // "" for all
	After  string // go on after this name
	Limit  int    // at most this many; 0 for all
}

// Needs says what the request must be allowed.
func (in List) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:ListAllMyBuckets", Resource: "*"}}
}

// Listing is a page of buckets. Next is the After with which to go on, "" when
// there are no more.
type Listing struct {
	Owner   string
	Buckets []*Bucket
	Next    string
}

// List returns the caller's buckets.
func (s *Buckets) List(ctx context.Context, by iam.Caller, in List) (Listing, error) {
	out := Listing{Owner: by.Account}
	start, end := nameKey(in.Prefix), meta.PrefixEnd(nameKey(in.Prefix))
	if in.After != "" && in.After >= in.Prefix {
		start = append(nameKey(in.After), 0)
	}
	for {
		page, err := s.store.Scan(ctx, meta.Range{Start: start, End: end})
		if err != nil {
			return Listing{}, fmt.Errorf("list buckets: %w", err)
		}
		for _, item := range page.Items {
			var uid UID
			copy(uid[:], item.Value)
			b, _, err := s.read(ctx, uid)
			if err != nil {
				if errors.Is(err, NoSuchBucket) { // deleted while we list
					continue
				}
				return Listing{}, err
			}
			if b.Owner != by.Account || in.Region != "" && b.Region != in.Region {
				continue
			}
			if in.Limit > 0 && len(out.Buckets) == in.Limit {
				out.Next = out.Buckets[in.Limit-1].Name
				return out, nil
			}
			out.Buckets = append(out.Buckets, b)
		}
		if !page.More {
			return out, nil
		}
		start = page.Next
	}
}
