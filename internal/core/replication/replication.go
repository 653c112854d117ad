// SPDX-License-Identifier: Apache-2.0

// Package replication makes replicas of objects in other buckets, as buckets' configurations
// of replication say.
//
// A change and the rows of the tasks that replicate it are in one commit: so no acknowledged
// change goes without its replica, and none is replicated that was not made. A task is a
// version and one destination. It is repeated until it succeeds, or fails for a cause that no
// further try mends; what a crash leaves is gone on with by the next start. Doing a task twice
// is the same as doing it once. What replication does it does as a session of the role that
// the configuration names: policies must allow that role, and the audit trail has it.
package replication

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/sequence"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// ServiceName is who assumes the role of a configuration: the role's trust policy names it.
const ServiceName = "s3.amazonaws.com"

// SessionName is that of the sessions.
const SessionName = "s3-replication"

// Roles gives sessions of roles to services (iam.Service).
type Roles interface {
	AssumeForService(ctx context.Context, by iam.Caller, roleARN, name string) (iam.Principal, error)
}

// Authorizer decides what a role may do (access.Authorizer).
type Authorizer interface {
	Each(ctx context.Context, r access.Request, needs []policy.Need) []error
}

// Keys resolves the names of KMS keys (kms.ViaS3).
type Keys interface {
	Resolve(ctx context.Context, by iam.Caller, key string) (keyARN string, err error)
}

// Objects reads versions and makes replicas of them (object.Objects).
type Objects interface {
	Head(ctx context.Context, by iam.Caller, in object.Get) (*object.Object, error)
	Facts(ctx context.Context, b *bucket.Bucket, key, version string) (object.Facts, error)
	Replicate(ctx context.Context, by iam.Caller, in object.Replicate) (object.Replica, error)
	Replicated(ctx context.Context, ref bucket.Ref, uid bucket.UID, key, versionID, destination string, state object.ReplicaState, taken object.Taken, done func(*meta.Batch)) error
}

// Recorder keeps audit records (audit.Trail).
type Recorder interface {
	Append(ctx context.Context, r audit.Record, durable bool) error
	Join(b *meta.Batch, r audit.Record) (committed func(), err error)
}

// Parts are what the service works with.
type Parts struct {
	Rows    meta.Store
	Buckets *bucket.Buckets
	Objects Objects
	Access  Authorizer
	Roles   Roles
	Keys    Keys
	Trail   Recorder
	// Events takes what is told of replication; nil is nobody.
	Events object.Notifier
}

// Config is the service's settings. The zero value works.
type Config struct {
	Region string
	// Workers is how many tasks are carried out at the same time; default 8. Each takes about
	// as much memory as a request that copies.
	Workers int
	// Room refuses what would fill the device, as it does clients' writes. nil: nothing does.
	Room func(ctx context.Context) error
	// Name is how S3 names an error: its code, and its text.
	Name    func(err error) (code, message string)
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Service replicates. It is safe for concurrent use.
type Service struct {
	Parts
	cfg      Config
	log      *slog.Logger
	metrics  *metrics
	clock    sequence.Clock
	sessions sessions
	wake     chan struct{}
	maxReady int // tasks in memory, unless they are of very many buckets
}

// Open returns the service. What an earlier process has left is replicated once Run runs.
func Open(ctx context.Context, parts Parts, cfg Config) (*Service, error) {
	if cfg.Workers == 0 {
		cfg.Workers = 8
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Name == nil {
		cfg.Name = func(err error) (string, string) { return "InternalError", "" }
	}
	s := &Service{Parts: parts, cfg: cfg, log: cfg.Log, metrics: newMetrics(cfg.Metrics), wake: make(chan struct{}, 1), maxReady: 4096}
	if err := s.recover(ctx); err != nil {
		return nil, fmt.Errorf("read what is to be replicated: %w", err)
	}
	return s, nil
}

// Plan is object.Replicator's.
func (s *Service) Plan(ctx context.Context, batch *meta.Batch, c object.ReplicaChange) (destinations []string, committed func(), err error) {
	r, err := s.Buckets.Replication(ctx, c.Bucket)
	if err != nil || r == nil {
		return nil, nil, err
	}
	rules := choose(r, &c)
	if len(rules) == 0 {
		return nil, nil, nil
	}
	tasks := make([]task, len(rules))
	for i, rule := range rules {
		tasks[i] = newTask(&c, rule)
		row, err := tasks[i].encode()
		if err != nil {
			return nil, nil, fmt.Errorf("encode task: %w", err)
		}
		batch.Put(taskKey(time.Now(), s.clock.Next()), row)
		destinations = append(destinations, tasks[i].Destination)
	}
	return destinations, func() {
		for i := range tasks {
			s.metrics.queued(&tasks[i])
		}
		s.woken()
	}, nil
}

// woken tells Run that there is something to do.
func (s *Service) woken() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// lookEvery is how often the queue is read although nothing said that there is anything in
// it: for what a commit left of which nobody knew whether it was made.
const lookEvery = 30 * time.Second

// Run replicates until ctx is done. What is under way is then broken off, and done again by
// the next Run.
func (s *Service) Run(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	workers.Go(func() { s.watch(ctx) })
	ended := make(chan *queued, s.cfg.Workers)
	q := newQueue(s)
	for free := s.cfg.Workers; ctx.Err() == nil; {
		var t *queued
		if free > 0 {
			t = q.next()
		}
		if t != nil {
			free--
			workers.Go(func() {
				s.work(ctx, t)
				ended <- t
			})
		}
		wait := q.behind(t == nil && free > 0)
		if wait == 0 {
			if err := q.read(ctx); err != nil {
				if ctx.Err() == nil {
					s.log.Error("what is to be replicated could not be read", "error", err)
				}
				wait = time.Second
			}
		}
		if t != nil && free > 0 || wait == 0 {
			select {
			case t := <-ended:
				q.ended(t)
				free++
			default:
			}
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case t := <-ended:
			q.ended(t)
			free++
		case <-s.wake:
			q.more = true
		case <-timer.C:
			q.more = true
		}
		timer.Stop()
	}
}
