// SPDX-License-Identifier: Apache-2.0

// Package consolidate merges the bucket keys of a bucket. Every day of writing leaves
// a generation behind, and a reader needs a KMS request for each that it meets. This
// upkeep moves data keys of closed generations under fewer ones, in tiers, so that
// their number grows with the logarithm of the bucket's age; and it puts what is
// under old material of a KMS key under the current one.
//
// It touches metadata alone. A data key stays under the same KMS key and in the same
// encryption context, so nobody's access changes. It works as the service and for no
// caller, uses enabled KMS keys only, and opens each generation once; each use is an
// event that names the old generation and the new one.
//
// Every step is a commit after which every object is readable, and a crash between
// any two loses nothing but time (docs/consolidation.md).
package consolidate

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
)

// Off is the fault of asking for a consolidation in a bucket whose setting stops it.
const Off fault.Kind = "consolidate: stopped by the bucket's setting"

// Argument is what a job consolidates. Its id is the bucket's UID in hex, so that a
// bucket has one job.
type Argument struct {
	Bucket string `json:"bucket"`
	// Count makes the job look through all objects even when the generations alone
	// give no reason to.
	Count bool `json:"count,omitempty"`
}

// Kind names the work.
func (Argument) Kind() string { return "bucketkey.consolidate" }

// Config is the service's settings. The zero value works.
type Config struct {
	Log *slog.Logger // nil discards
	// Requests says how many KMS requests were made and avoided for a bucket since the
	// server's start, by KMS key (bucketkey.Cache); nil says nothing.
	Requests func(bucketUID [16]byte) []bucketkey.Requests
	Metrics  prometheus.Registerer
}

// Consolidator is the service, and the work of its jobs. It is safe for concurrent
// use.
type Consolidator struct {
	buckets *bucket.Buckets
	objects *object.Objects
	ledger  *bucketkey.Ledger
	runner  *jobs.Runner
	log     *slog.Logger
	metrics metrics

	requests func(bucketUID [16]byte) []bucketkey.Requests
	started  time.Time
}

// limits bound what jobs do to a server that has other work.
var limits = jobs.Limits{Rate: 4000, Burst: 512}

// New returns the service and registers its work with the runner.
func New(buckets *bucket.Buckets, objects *object.Objects, ledger *bucketkey.Ledger, runner *jobs.Runner, cfg Config) *Consolidator {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Consolidator{
		buckets: buckets, objects: objects, ledger: ledger, runner: runner, log: cfg.Log, metrics: newMetrics(cfg.Metrics),
		requests: cfg.Requests, started: time.Now(),
	}
	jobs.Register(runner, c, limits)
	return c
}

func jobID(uid bucket.UID) string { return hex.EncodeToString(uid[:]) }

func owned(b *bucket.Bucket) bucketkey.Owned {
	return bucketkey.Owned{Bucket: bucketkey.Bucket{UID: b.UID, Name: b.Name}, Account: b.Owner}
}

// Start begins a consolidation of a bucket, or joins the one under way. Faults:
// NoSuchBucket, Off.
func (c *Consolidator) Start(ctx context.Context, name string) (jobs.Status, error) {
	b, err := c.buckets.Find(ctx, bucket.Ref{Bucket: name})
	if err != nil {
		return jobs.Status{}, err
	}
	if b.NoConsolidation {
		return jobs.Status{}, fault.New(Off, "")
	}
	return c.runner.Submit(ctx, jobID(b.UID), Argument{Bucket: name, Count: true})
}

// Job returns a bucket's last consolidation. Faults: NoSuchBucket, jobs.NoSuchJob.
func (c *Consolidator) Job(ctx context.Context, name string) (jobs.Status, error) {
	b, err := c.buckets.Find(ctx, bucket.Ref{Bucket: name})
	if err != nil {
		return jobs.Status{}, err
	}
	return c.runner.Get(ctx, Argument{}.Kind(), jobID(b.UID))
}

// Sweep begins a consolidation of every bucket that is due, and returns how many.
func (c *Consolidator) Sweep(ctx context.Context) (int, error) {
	n := 0
	var failed error
	err := c.buckets.Each(ctx, func(b *bucket.Bucket) error {
		if b.NoConsolidation {
			return nil
		}
		entries, err := c.ledger.List(ctx, b.UID)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil: // one bucket's damage keeps no other from its upkeep
			failed = errors.Join(failed, fmt.Errorf("bucket %q: %w", b.Name, err))
			return nil
		case !c.due(ctx, entries):
			return nil
		}
		n++
		_, err = c.runner.Submit(ctx, jobID(b.UID), Argument{Bucket: b.Name})
		return err
	})
	return n, errors.Join(err, failed)
}

func (c *Consolidator) due(ctx context.Context, entries []bucketkey.Entry) bool {
	return bucketkey.Due(entries, time.Now(), c.usable(ctx)) || c.outdated(ctx, entries) > 0
}

// outdated counts the generations under old material of keys that can be used.
func (c *Consolidator) outdated(ctx context.Context, entries []bucketkey.Entry) (n int) {
	for i := range entries {
		if c.isOutdated(ctx, &entries[i]) {
			n++
		}
	}
	return n
}

func (c *Consolidator) isOutdated(ctx context.Context, e *bucketkey.Entry) bool {
	_, current, err := c.ledger.Material(ctx, e)
	return err == nil && !current && c.ledger.Usable(ctx, e.KeyARN)
}

func (c *Consolidator) usable(ctx context.Context) func(string) bool {
	return func(keyARN string) bool { return c.ledger.Usable(ctx, keyARN) }
}
