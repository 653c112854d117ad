// SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Config is a runner's settings. The zero value works.
type Config struct {
	Concurrency int           // jobs at a time; 0 is 2
	Lease       time.Duration // how long a holder may be silent; 0 is 1 minute
	Poll        time.Duration // how often the store is asked for work; 0 is 5 seconds
	Keep        time.Duration // how long a job that is over stays; 0 is 30 days
	// Sole says that nobody else works on these rows: a lease from before the runner was made
	// is that of a process that has ended, and is not waited for.
	Sole    bool
	Log     *slog.Logger // nil discards
	Metrics prometheus.Registerer
}

// Limits bound the work of one kind. The zero value works.
type Limits struct {
	Rate     float64       // what Wait lets through per second, over all jobs of the kind on this node; 0 is no bound
	Burst    int           // at once; 0 is 1
	Attempts int           // in a row without progress; 0 is 8
	Backoff  time.Duration // before the second attempt, doubled for each further one, at most an hour; 0 is 5 seconds
}

const longestBackoff = time.Hour

// Runner does jobs, and is how they are submitted and watched. Register all kinds
// before Run. It is safe for concurrent use.
type Runner struct {
	store meta.Store
	began time.Time
	cfg   Config
	ended *prometheus.CounterVec
	kinds map[string]*kind
	slots chan struct{}
	wake  chan struct{}

	mu   sync.Mutex
	busy map[string]*run // by row key: this node's
}

// kind is registered work.
type kind struct {
	limits  Limits
	limiter *rate.Limiter
	work    func(ctx context.Context, r *run) error
}

// New returns a runner of the jobs in a store.
func New(store meta.Store, cfg Config) *Runner {
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = 2
	}
	if cfg.Lease <= 0 {
		cfg.Lease = time.Minute
	}
	if cfg.Poll <= 0 {
		cfg.Poll = 5 * time.Second
	}
	if cfg.Keep <= 0 {
		cfg.Keep = 30 * 24 * time.Hour
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Runner{
		store: store, began: time.Now(), cfg: cfg, kinds: make(map[string]*kind), busy: make(map[string]*run),
		slots: make(chan struct{}, cfg.Concurrency), wake: make(chan struct{}, 1),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coffer_jobs_total",
			Help: "Runs of background jobs that ended on this node, by kind and by how (done, failed, cancelled, retried, stopped, lost).",
		}, []string{"kind", "outcome"}),
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(r.ended, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "coffer_jobs_running", Help: "Background jobs under way on this node.",
		}, func() float64 { return float64(len(r.slots)) }))
	}
	return r
}

// Register makes w what does the jobs with arguments of type A.
func Register[A Argument](r *Runner, w Work[A], l Limits) {
	if l.Burst <= 0 {
		l.Burst = 1
	}
	if l.Attempts <= 0 {
		l.Attempts = 8
	}
	if l.Backoff <= 0 {
		l.Backoff = 5 * time.Second
	}
	k := &kind{limits: l, limiter: rate.NewLimiter(rate.Inf, l.Burst)}
	if l.Rate > 0 {
		k.limiter.SetLimit(rate.Limit(l.Rate))
	}
	k.work = func(ctx context.Context, run *run) error {
		job := &Job[A]{run: run}
		if err := json.Unmarshal(run.argument(), &job.Argument); err != nil {
			return fmt.Errorf("jobs: argument of %q: %w", run.key, err)
		}
		return w.Work(ctx, job)
	}
	var a A
	r.kinds[a.Kind()] = k
}

// Submit queues a job under an id of the caller's choice. A job with that id that
// is not over is joined: it stays as it is. One that is over begins anew. Fault:
// Unregistered.
func (r *Runner) Submit(ctx context.Context, id string, arg Argument) (Status, error) {
	if r.kinds[arg.Kind()] == nil {
		return Status{}, fault.New(Unregistered, "").Because(errors.New(arg.Kind()))
	}
	encoded, err := json.Marshal(arg)
	if err != nil {
		return Status{}, fmt.Errorf("jobs: encode argument: %w", err)
	}
	key := rowKey(arg.Kind(), id)
	written, err := change(ctx, r.store, key, func(old *row) (*row, error) {
		if old != nil && !old.State.Over() {
			return nil, nil
		}
		now := time.Now().UTC()
		return &row{Argument: encoded, State: Queued, Created: now, Updated: now}, nil
	})
	if err != nil {
		return Status{}, err
	}
	r.hint()
	return written.status(key), nil
}

// Cancel asks that a job end. One that nobody works on is cancelled at once, another
// when its holder notices: at once on this node, else at the next renewal. A job
// that is over stays as it is. Fault: NoSuchJob.
func (r *Runner) Cancel(ctx context.Context, kind, id string) (Status, error) {
	key := rowKey(kind, id)
	written, err := change(ctx, r.store, key, func(j *row) (*row, error) {
		switch {
		case j == nil:
			return nil, fault.New(NoSuchJob, "")
		case j.State.Over() || j.Cancel:
			return nil, nil
		case j.claimable(time.Now()) || j.State == Queued:
			j.end(Cancelled, "")
		default:
			j.Cancel = true
		}
		return j, nil
	})
	if err != nil {
		return Status{}, err
	}
	r.mu.Lock()
	if run := r.busy[string(key)]; run != nil {
		run.stop(errCancelled)
	}
	r.mu.Unlock()
	return written.status(key), nil
}

// Get returns a job as it stands. Fault: NoSuchJob.
func (r *Runner) Get(ctx context.Context, kind, id string) (Status, error) {
	key := rowKey(kind, id)
	item, err := meta.Get1(ctx, r.store, key)
	if err != nil {
		return Status{}, fmt.Errorf("read job: %w", err)
	}
	if item.Ver == 0 {
		return Status{}, fault.New(NoSuchJob, "")
	}
	j, err := decode(item)
	return j.status(key), err
}

// List returns the jobs of a kind in the order of their ids.
func (r *Runner) List(ctx context.Context, kind string) ([]Status, error) {
	var out []Status
	err := r.each(ctx, kind, func(item meta.Item, j row) { out = append(out, j.status(item.Key)) })
	return out, err
}

func (r *Runner) each(ctx context.Context, kind string, f func(meta.Item, row)) error {
	prefix := rowKey(kind, "")
	at := meta.Range{Start: prefix, End: meta.PrefixEnd(prefix)}
	for {
		page, err := r.store.Scan(ctx, at)
		if err != nil {
			return fmt.Errorf("read jobs: %w", err)
		}
		for _, item := range page.Items {
			j, err := decode(item)
			if err != nil {
				return err
			}
			f(item, j)
		}
		if !page.More {
			return nil
		}
		at.Start = page.Next
	}
}

func (r *Runner) hint() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run does jobs until ctx is done, then stops those under way, gives their leases
// back and waits for them.
func (r *Runner) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	changes := r.store.Watch(ctx, []byte(rows))
	poll := time.NewTicker(r.cfg.Poll)
	defer poll.Stop()
	for {
		for name, k := range r.kinds {
			if err := r.look(ctx, name, k, &all); err != nil && ctx.Err() == nil {
				r.cfg.Log.Error("look for jobs", "kind", name, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		case <-r.wake:
		case _, open := <-changes:
			if !open {
				changes = nil
			}
		}
	}
}

// waiting is a job that can be started, and since when nobody has worked on it.
type waiting struct {
	meta.Item
	since time.Time
}

// look starts the jobs of a kind that can be started, and drops old ones. Who has waited longest
// is first: work that is asked for again as soon as it is done keeps nobody from their turn.
func (r *Runner) look(ctx context.Context, name string, k *kind, all *sync.WaitGroup) error {
	now := time.Now()
	var ready []waiting
	var old []meta.Item
	err := r.each(ctx, name, func(item meta.Item, j row) {
		switch {
		case j.claimable(now), r.orphaned(j, now):
			since := j.Updated
			if since.After(now) { // the clock was set back
				since = time.Time{}
			}
			ready = append(ready, waiting{item, since})
		case j.State.Over() && now.Sub(j.Ended) > r.cfg.Keep:
			old = append(old, item)
		}
	})
	if err != nil {
		return err
	}
	for _, item := range old {
		var b meta.Batch
		b.Cond(item.Key, item.Ver)
		b.Delete(item.Key)
		if _, err := r.store.Commit(ctx, &b); err != nil && !isConflict(err) {
			return fmt.Errorf("drop job: %w", err)
		}
	}
	slices.SortStableFunc(ready, func(a, b waiting) int { return a.since.Compare(b.since) })
	for _, w := range ready {
		select {
		case r.slots <- struct{}{}:
		default:
			return nil // the end of a run looks again
		}
		started, err := r.start(ctx, k, name, w.Item, all)
		if !started {
			<-r.slots
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// orphaned reports whether a job is that of a process that has ended: its lease is from before
// the runner was made or, where the clock has been set back since, longer than any.
func (r *Runner) orphaned(j row, now time.Time) bool {
	if !r.cfg.Sole || j.State != Running || j.Lease == nil {
		return false
	}
	return j.Lease.Until.Before(r.began.Add(r.cfg.Lease)) || j.Lease.Until.After(now.Add(2*r.cfg.Lease))
}

func isConflict(err error) bool {
	var conflict *meta.ConflictError
	return errors.As(err, &conflict)
}

// start claims a job and, if nobody else did, runs it.
func (r *Runner) start(ctx context.Context, k *kind, name string, item meta.Item, all *sync.WaitGroup) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[string(item.Key)] != nil { // its lease ran out here: it is about to notice
		return false, nil
	}
	j, err := decode(item)
	if err != nil {
		return false, err
	}
	now := time.Now().UTC()
	j.State, j.Started, j.Updated, j.Before = Running, now, now, j.Done
	j.Lease = &lease{uuid.NewString(), now.Add(r.cfg.Lease)}
	j.Attempts++
	value, err := j.encode()
	if err != nil {
		return false, err
	}
	var b meta.Batch
	b.PutIf(item.Key, value, item.Ver)
	ver, err := r.store.Commit(ctx, &b)
	if isConflict(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("claim job: %w", err)
	}
	run := &run{runner: r, kind: k, key: item.Key, row: j, ver: ver, holder: j.Lease.Holder}
	work, stop := context.WithCancelCause(ctx)
	run.stop = stop
	r.busy[string(item.Key)] = run
	all.Go(func() {
		outcome := run.do(ctx, work)
		stop(nil)
		r.ended.WithLabelValues(name, outcome).Inc()
		r.mu.Lock()
		delete(r.busy, string(item.Key))
		r.mu.Unlock()
		<-r.slots
		r.hint()
	})
	return true, nil
}
