// SPDX-License-Identifier: Apache-2.0

// Package notification tells targets of changes of objects, as buckets' configurations of
// event notifications say.
//
// A change and the row that makes it known are in one commit. So no acknowledged change goes
// untold and none is told that was not made. Each target has a queue of rows, which it gets in
// their order, again and again until it has taken them; rows that it has taken are deleted, and
// what a crash leaves is delivered by the next start. Targets do not wait for one another, and
// no request waits for a target.
package notification

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/event"
	"github.com/cofferstore/coffer/internal/sequence"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Target is where events can go: the name under which ARNs know it, and for the buckets of
// which accounts.
type Target struct {
	event.Target
	Accounts []string // "*" is every account
}

func (t *Target) serves(account string) bool {
	return slices.Contains(t.Accounts, account) || slices.Contains(t.Accounts, Everybody)
}

// Everybody among the accounts of a target is every account.
const Everybody = "*"

// Config is the service's settings. The zero value works.
type Config struct {
	MaxAge  time.Duration // events that wait for longer are dropped; default 3 days
	Limit   int64         // events that wait for one target at most, the oldest are dropped; default 1 000 000
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Service is event notifications. It is safe for concurrent use.
type Service struct {
	buckets *bucket.Buckets
	rows    meta.Store
	cfg     Config
	log     *slog.Logger
	metrics metrics
	clock   sequence.Clock
	pumps   map[string]*pump
}

// Open returns the service. What an earlier process has left is delivered once Run runs. The
// targets are the caller's to close, when Run has ended.
func Open(ctx context.Context, buckets *bucket.Buckets, rows meta.Store, targets []Target, cfg Config) (*Service, error) {
	if cfg.MaxAge == 0 {
		cfg.MaxAge = 3 * 24 * time.Hour
	}
	if cfg.Limit == 0 {
		cfg.Limit = 1_000_000
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{buckets: buckets, rows: rows, cfg: cfg, log: cfg.Log, pumps: map[string]*pump{}}
	s.metrics = newMetrics(s, cfg.Metrics)
	for _, t := range targets {
		if s.pumps[t.Name()] != nil {
			return nil, fmt.Errorf("two notification targets have the name %s: give them others", t.Name())
		}
		s.pumps[t.Name()] = newPump(s, t)
	}
	if err := s.recover(ctx); err != nil {
		return nil, fmt.Errorf("read what waits for notification targets: %w", err)
	}
	return s, nil
}

// Run delivers until ctx is done.
func (s *Service) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, p := range s.pumps {
		all.Go(func() { p.run(ctx) })
	}
	all.Go(func() { s.keepBounds(ctx) })
	all.Wait()
}

// name returns that of the target in an ARN: a queue's, a topic's, or a function's, of which a
// version or alias may follow.
func name(kind bucket.Destination, arn aws.ARN) string {
	if kind != bucket.Function {
		return arn.Resource
	}
	rest, _ := strings.CutPrefix(arn.Resource, "function:")
	of, _, _ := strings.Cut(rest, ":")
	return of
}

// route returns the queue for a rule of a bucket; nil when there is none. why is then what S3
// says of such a destination.
func (s *Service) route(b *bucket.Bucket, r *bucket.NotificationRule) (p *pump, why string) {
	arn, _ := aws.ParseARN(r.ARN)
	if p = s.pumps[name(r.Kind, arn)]; p == nil || !p.target.serves(b.Owner) {
		return nil, missing[r.Kind]
	}
	if arn.Account != b.Owner {
		return nil, forbidden[r.Kind]
	}
	return p, ""
}

// What S3 says of destinations that are not there, and that it may not send to.
var (
	missing = map[bucket.Destination]string{
		bucket.Queue: "The destination queue does not exist",
		bucket.Topic: "The destination topic does not exist",
	}
	forbidden = map[bucket.Destination]string{
		bucket.Queue: "Permissions on the destination queue do not allow S3 to publish notifications from this bucket",
		bucket.Topic: "Permissions on the destination topic do not allow S3 to publish notifications from this bucket",
	}
)

// validate refuses a configuration of destinations to which nothing can be sent from the
// bucket, all of them at once. Fault: bucket.InvalidNotification.
func (s *Service) validate(b *bucket.Bucket, n *bucket.Notifications) error {
	f := fault.New(bucket.InvalidNotification, "Unable to validate the following destination configurations")
	wrong := 0
	for i := range n.Rules {
		r := &n.Rules[i]
		p, why := s.route(b, r)
		if p != nil {
			continue
		}
		wrong++
		name := r.ARN
		if r.Kind == bucket.Function { // whether it is there or not
			name, why = r.ARN+", null", "Not authorized to invoke function ["+r.ARN+"]"
		}
		f = f.With(fmt.Sprint("ArgumentName", wrong), name).With(fmt.Sprint("ArgumentValue", wrong), why)
	}
	if wrong == 0 {
		return nil
	}
	return f
}

// PutNotification sets who is told of changes of a bucket's objects. Queues and topics get a
// test event, which waits for delivery from the change on. Faults: NoSuchBucket,
// bucket.InvalidNotification.
func (s *Service) PutNotification(ctx context.Context, by iam.Caller, in bucket.PutNotification) (struct{}, error) {
	var queued []func()
	err := s.buckets.PutNotification(ctx, in, func(b *bucket.Bucket) error {
		if in.SkipValidation {
			return nil
		}
		return s.validate(b, &in.Notifications)
	}, func(b *bucket.Bucket, batch *meta.Batch) (err error) {
		queued = nil
		if !in.SkipValidation {
			queued, err = s.test(batch, b, by, &in.Notifications)
		}
		return err
	})
	if err != nil {
		return struct{}{}, err
	}
	for _, f := range queued {
		f()
	}
	return struct{}{}, nil
}

// test adds a test event for each queue and topic.
func (s *Service) test(batch *meta.Batch, b *bucket.Bucket, by iam.Caller, n *bucket.Notifications) (queued []func(), err error) {
	var seen []string
	for i := range n.Rules {
		r := &n.Rules[i]
		p, _ := s.route(b, r)
		if p == nil || r.Kind == bucket.Function || slices.Contains(seen, r.ARN) {
			continue
		}
		seen = append(seen, r.ARN)
		text, err := encodeTest(b, by, time.Now())
		if err != nil {
			return nil, err
		}
		f, err := p.queue(batch, s.clock.Next(), waiting{Bucket: b.Name, Account: b.Owner, Test: true, Record: text})
		if err != nil {
			return nil, err
		}
		queued = append(queued, f)
	}
	return queued, nil
}

// Queue is object.Notifier's. What no rule of the bucket's wants costs nothing more; what one
// wants for a target that is not there any more, or not for the bucket's account, is counted.
func (s *Service) Queue(ctx context.Context, batch *meta.Batch, c object.Change) (func(), error) {
	n, err := s.buckets.Notifications(ctx, c.Bucket)
	if err != nil || n == nil {
		return nil, err
	}
	encoded := EncodeKey(c.Key)
	var queued []func()
	for i := range n.Rules {
		r := &n.Rules[i]
		if !r.Wants(string(c.Event), c.Key, encoded) {
			continue
		}
		f, err := s.queue(batch, c, r)
		if err != nil {
			return nil, err
		}
		// Of the rules of a bucket one at most wants an event of a key, unless one means the
		// key as it is and another one as events have it.
		queued = append(queued, f)
	}
	switch len(queued) {
	case 0:
		return nil, nil
	case 1:
		return queued[0], nil
	}
	return func() {
		for _, f := range queued {
			f()
		}
	}, nil
}

// queue adds an event that a rule wants.
func (s *Service) queue(batch *meta.Batch, c object.Change, r *bucket.NotificationRule) (func(), error) {
	p, _ := s.route(c.Bucket, r)
	if p == nil {
		return func() { s.metrics.unrouted.Inc() }, nil
	}
	sequence := s.clock.Next()
	text, err := encodeRecord(c, r.ID, sequence)
	if err != nil {
		return nil, err
	}
	return p.queue(batch, sequence, waiting{Bucket: c.Bucket.Name, Account: c.Bucket.Owner, Key: c.Key, Record: text})
}
