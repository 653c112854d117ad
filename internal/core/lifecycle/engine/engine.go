// SPDX-License-Identifier: Apache-2.0

// Package engine carries out the lifecycle rules of buckets: jobs that walk through a
// bucket's versions and uploads and do what package lifecycle says is due.
//
// A sweep judges everything by the time at which it began. One that is interrupted goes on
// from the last key that it has seen to: what it did before is not due any more. What falls due
// by what it does, as a delete marker that hides nothing, is for the next one. However often they
// are interrupted, sweeps come to the same end. They act for no caller: no policy stops them, and
// they leave no audit records, as on S3. Access logs and events tell of them.
package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/core/lifecycle"
	"github.com/cofferstore/coffer/internal/core/object"
)

// Argument is what a job sweeps. Its id is the bucket's UID in hex, so that a bucket has
// one job.
type Argument struct {
	Bucket string `json:"bucket"`
}

// Kind names the work.
func (Argument) Kind() string { return "lifecycle.sweep" }

// Config is the service's settings. The zero value works.
type Config struct {
	Log *slog.Logger // nil discards
	// Calendar is that by which objects age.
	Calendar lifecycle.Calendar
	// Tell is told of everything that was done, after it was; nil is nobody.
	Tell    func(b *bucket.Bucket, done object.Aged)
	Metrics prometheus.Registerer
}

// Engine is the service, and the work of its jobs. It is safe for concurrent use.
type Engine struct {
	buckets *bucket.Buckets
	objects *object.Objects
	runner  *jobs.Runner
	cfg     Config
	metrics metrics
}

// limits bound what sweeps do to a server that has other work: how many versions a second
// they change.
var limits = jobs.Limits{Rate: 5000, Burst: 512}

// New returns the service and registers its work with the runner.
func New(buckets *bucket.Buckets, objects *object.Objects, runner *jobs.Runner, cfg Config) *Engine {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{buckets: buckets, objects: objects, runner: runner, cfg: cfg, metrics: newMetrics(cfg.Metrics)}
	jobs.Register(runner, e, limits)
	return e
}

// Every returns how often buckets are to be swept: 24 times a day.
func (e *Engine) Every() time.Duration {
	day := e.cfg.Calendar.Day
	if day <= 0 {
		day = 24 * time.Hour
	}
	return max(day/24, time.Second)
}

func jobID(uid bucket.UID) string { return hex.EncodeToString(uid[:]) }

// Sweep begins a sweep of every bucket that has rules, or joins the one under way, and
// returns how many.
func (e *Engine) Sweep(ctx context.Context) (int, error) {
	n := 0
	err := e.each(ctx, func(b *bucket.Bucket) error {
		n++
		_, err := e.runner.Submit(ctx, jobID(b.UID), Argument{b.Name})
		return err
	})
	return n, err
}

// each calls f for every bucket with rules.
func (e *Engine) each(ctx context.Context, f func(b *bucket.Bucket) error) error {
	return e.buckets.Each(ctx, func(b *bucket.Bucket) error {
		if !b.Has(bucket.LifecycleKind) {
			return nil
		}
		return f(b)
	})
}

// Status is a bucket with rules and its last sweep.
type Status struct {
	Bucket string       `json:"bucket"`
	Rules  int          `json:"rules"`
	Job    *jobs.Status `json:"job,omitempty"` // nil: not swept yet, or long ago
}

// Over reports whether no sweep is under way.
func (s Status) Over() bool { return s.Job == nil || s.Job.State.Over() }

// Status describes the buckets with rules, by name, or with a name that one. Faults:
// NoSuchBucket, and NoLifecycle for a bucket that is named and has no rules.
func (e *Engine) Status(ctx context.Context, name string) ([]Status, error) {
	out := []Status{}
	add := func(b *bucket.Bucket) error {
		s, err := e.status(ctx, b)
		if err == nil {
			out = append(out, s)
		}
		return err
	}
	if name == "" {
		return out, e.each(ctx, add)
	}
	b, err := e.named(ctx, name)
	if err != nil {
		return nil, err
	}
	return out, add(b)
}

func (e *Engine) status(ctx context.Context, b *bucket.Bucket) (Status, error) {
	s := Status{Bucket: b.Name}
	l, err := e.buckets.Lifecycle(ctx, b)
	if err != nil {
		return s, err
	}
	if l != nil {
		s.Rules = len(l.Rules)
	}
	job, err := e.runner.Get(ctx, Argument{}.Kind(), jobID(b.UID))
	switch {
	case err == nil:
		s.Job = &job
	case !errors.Is(err, jobs.NoSuchJob):
		return s, err
	}
	return s, nil
}

func (e *Engine) named(ctx context.Context, name string) (*bucket.Bucket, error) {
	ref := bucket.Ref{Bucket: name}
	b, err := e.buckets.Find(ctx, ref)
	if err == nil {
		_, err = e.buckets.GetLifecycle(ctx, noCaller, bucket.GetLifecycle{Ref: ref})
	}
	return b, err
}

// Run begins a sweep of a bucket, or of all that have rules when the name is "", and
// returns what Status does. One under way is joined. Faults: those of Status.
func (e *Engine) Run(ctx context.Context, name string) ([]Status, error) {
	if name == "" {
		if _, err := e.Sweep(ctx); err != nil {
			return nil, err
		}
		return e.Status(ctx, "")
	}
	b, err := e.named(ctx, name)
	if err != nil {
		return nil, err
	}
	if _, err := e.runner.Submit(ctx, jobID(b.UID), Argument{name}); err != nil {
		return nil, fmt.Errorf("sweep bucket %q: %w", name, err)
	}
	return e.Status(ctx, name)
}

type metrics struct {
	done *prometheus.CounterVec
	seen prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		done: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coffer_lifecycle_actions_total",
			Help: "What lifecycle rules did, by action (expire, remove, remove-marker, transition, abort): objects, versions, delete markers and uploads.",
		}, []string{"action"}),
		seen: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coffer_lifecycle_versions_seen_total", Help: "Versions of objects that sweeps for lifecycle rules have looked at.",
		}),
	}
	for _, k := range lifecycle.Kinds {
		m.done.WithLabelValues(string(k))
	}
	if reg != nil {
		reg.MustRegister(m.done, m.seen)
	}
	return m
}
