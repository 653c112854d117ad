// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cofferstore/coffer/internal/background"
)

// Upkeep runs until ctx is done: key rotation and deletion, removal of streams
// that nothing names any more, the rest of deleted buckets, the sweep for orphans,
// background jobs, the audit index and the limits of the audit trail, the delivery of server
// access logs and of event notifications, replication, the consolidation of bucket keys, and lifecycle rules.
func (s *Server) upkeep(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	if s.forwarder != nil {
		all.Go(func() { s.forwarder.Run(ctx) })
	}
	all.Go(func() { s.kms.Run(ctx) })
	all.Go(func() { s.jobs.Run(ctx) })
	all.Go(func() { s.courier.Run(ctx) })
	all.Go(func() { background.Do(func() { s.index.Run(ctx) }) })
	all.Go(func() { s.accessLog.Run(ctx) })
	all.Go(func() { s.notifications.Run(ctx) })
	all.Go(func() { s.replication.Run(ctx) })
	all.Go(func() {
		later(ctx, consolidateAfter) // who starts has more urgent things to do
		s.every(ctx, consolidateEvery, "begin consolidation", func() (int, error) { return s.consolidator.Sweep(ctx) })
	})
	all.Go(func() {
		s.every(ctx, s.lifecycle.Every(), "begin sweeps for lifecycle rules", func() (int, error) { return s.lifecycle.Sweep(ctx) })
	})
	all.Go(func() {
		s.every(ctx, removeEvery, "remove old streams", func() (int, error) { return s.objects.RemoveDue(ctx) })
	})
	all.Go(func() {
		s.every(ctx, removeEvery, "clear deleted buckets", func() (int, error) { return s.buckets.ClearDeleted(ctx) })
	})
	all.Go(func() {
		later(ctx, lastUsedEvery) // a start has nothing to write
		s.every(ctx, lastUsedEvery, "write when access keys were used", func() (int, error) { return 0, s.iam.Flush(ctx) })
	})
	all.Go(func() {
		later(ctx, retainEvery) // by then all consumers of the trail have said what they need
		s.every(ctx, retainEvery, "drop old audit files", func() (int, error) { return s.trail.Retain(ctx) })
	})
	all.Go(func() {
		s.every(ctx, sweepEvery, "sweep orphans", func() (int, error) { return s.objects.Sweep(ctx) })
	})
}

const (
	removeEvery = 30 * time.Second
	sweepEvery  = 24 * time.Hour
	retainEvery = time.Minute

	lastUsedEvery = 5 * time.Minute

	consolidateAfter = time.Minute
	consolidateEvery = 24 * time.Hour
)

// later returns after a while, or when ctx is done.
func later(ctx context.Context, after time.Duration) {
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// every does work now and then again after each interval, until ctx is done. A failure is
// logged and tried again at the next turn.
func (s *Server) every(ctx context.Context, interval time.Duration, what string, work func() (int, error)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		n, err := work()
		switch {
		case err != nil && !errors.Is(err, context.Canceled):
			s.log.Error("upkeep failed", "work", what, "error", err)
		case n > 0:
			s.log.Info("upkeep", "work", what, "count", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
