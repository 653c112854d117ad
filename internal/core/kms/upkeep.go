// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
)

const (
	upkeepEvery = time.Minute
	tidyEvery   = time.Hour
	// recordLate is after how long an event that is still in a key's row is
	// taken for forgotten by who put it there.
	recordLate = time.Minute
)

// Run rotates and deletes keys when they are due, until ctx is done, and writes
// audit records that could not be written before. It looks every minute. Any
// number of nodes may run it.
func (s *Service) Run(ctx context.Context) {
	u := upkeep{s: s}
	defer func() {
		if err := s.flushUses(context.WithoutCancel(ctx)); err != nil {
			s.log.ErrorContext(ctx, "note the last uses of keys", "error", err)
		}
	}()
	ticker := time.NewTicker(upkeepEvery)
	defer ticker.Stop()
	for {
		u.round(ctx)
		if err := s.flushUses(ctx); err != nil {
			u.failed(ctx, "", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// upkeep remembers what the last look at all keys found: until a key changes or
// the time of the next duty comes, another look would find nothing.
type upkeep struct {
	s     *Service
	known bool
	epoch uint64
	next  time.Time // of the next duty; zero when there is none

	tidied time.Time
}

func (u *upkeep) round(ctx context.Context) {
	u.tidy(ctx)
	epoch, err := meta.Get1(ctx, u.s.store, []byte(epochRow))
	if err != nil {
		u.failed(ctx, "", err)
		return
	}
	if u.known && u.epoch == epoch.Ver && (u.next.IsZero() || time.Now().Before(u.next)) {
		return
	}
	u.known, u.epoch, u.next = true, epoch.Ver, time.Time{}
	r := meta.Range{Start: []byte(keyRows), End: meta.PrefixEnd([]byte(keyRows))}
	for {
		page, err := u.s.store.Scan(ctx, r)
		if err != nil {
			u.failed(ctx, "", err)
			return
		}
		for _, item := range page.Items {
			if k, err := decodeKey(item.Value, item.Ver); err != nil {
				u.failed(ctx, string(item.Key), err)
			} else if err := u.tend(ctx, k); err != nil {
				u.failed(ctx, k.ref().arn(u.s.region), err)
			}
		}
		if !page.More {
			return
		}
		r.Start = page.Next
	}
}

// tidy has the key store remove what imports left behind.
func (u *upkeep) tidy(ctx context.Context) {
	if at := time.Now(); at.Sub(u.tidied) >= tidyEvery {
		if err := u.s.materials.Tidy(ctx); err != nil {
			u.failed(ctx, "", err)
			return
		}
		u.tidied = at
	}
}

// failed has the next round look again.
func (u *upkeep) failed(ctx context.Context, key string, err error) {
	u.known = false
	if ctx.Err() == nil {
		u.s.log.ErrorContext(ctx, "key upkeep", "key_arn", key, "error", err)
	}
}

// tend does what is due for a key, and notes when something next will be.
func (u *upkeep) tend(ctx context.Context, k *key) error {
	at := time.Now()
	if d := k.Deletion; d != nil {
		due := d.Date
		if d.Began != nil {
			due = d.Began.Add(takeover)
		}
		if !at.Before(due) {
			return u.s.deleteKey(ctx, k)
		}
		u.at(due)
	}
	if k.rotationDue(at) {
		if _, err := u.s.rotateIfDue(ctx, k); err != nil {
			return err
		}
	} else if k.Rotation.PeriodInDays > 0 && k.State == Enabled {
		u.at(k.Rotation.Next)
	}
	if err := u.tendMaterials(ctx, k, at); err != nil {
		return err
	}
	if len(k.Rotation.Unrecorded) == 0 {
		return nil
	}
	if late := k.Rotation.Unrecorded[0].At.Add(recordLate); at.Before(late) {
		u.at(late)
		return nil
	}
	return u.s.recordRotations(ctx, k, k.Rotation.Unrecorded)
}

func (u *upkeep) at(t time.Time) {
	if u.next.IsZero() || t.Before(u.next) {
		u.next = t
	}
}
