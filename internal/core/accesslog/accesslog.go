// SPDX-License-Identifier: Apache-2.0

// Package accesslog keeps S3's server access logs: a line for each request on a bucket that
// is logged, delivered in objects to the bucket's target.
//
// Lines are written into a queue of its own on the local disk when the answer has gone out,
// and not made of audit records: those are written before the answer and do not know its
// end, and calls that could not be authenticated have none, but have a line. A request
// waits for no disk. What a crash of the process takes are the lines of its last
// moments, and a loss of power those of the last second; all others are delivered, and
// those that have been wait for a target that cannot be written.
package accesslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
)

// Buckets tells which buckets are logged, and of targets (bucket.Buckets).
type Buckets interface {
	Logged(name string) *bucket.Logged
	Access(ctx context.Context, name string) (*bucket.Access, error)
	CanonicalID(account string) string
}

// Writer writes objects for services (delivery.Writer).
type Writer interface {
	Put(ctx context.Context, by iam.Caller, in object.Put, keys policy.Context) (object.Stored, error)
}

// Config is the service's settings. The zero value works.
type Config struct {
	FS       vfs.FS        // default: the operating system's
	Interval time.Duration // between deliveries; default 5 minutes
	Retry    time.Duration // before a failed delivery is tried again, doubled each time up to an hour; default a minute
	MaxAge   time.Duration // after which lines that cannot be delivered are dropped; default 7 days
	Limit    int64         // of the disk that undelivered lines take, in bytes, a quarter of it before they are sorted; default 1 GiB
	Metrics  prometheus.Registerer
	Log      *slog.Logger
}

func (c *Config) defaults() {
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Interval == 0 {
		c.Interval = 5 * time.Minute
	}
	if c.Retry == 0 {
		c.Retry = time.Minute
	}
	if c.MaxAge == 0 {
		c.MaxAge = 7 * 24 * time.Hour
	}
	if c.Limit == 0 {
		c.Limit = 1 << 30
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Log is the service. It is safe for concurrent use. A directory has one at a time.
type Log struct {
	fs      vfs.FS
	dir     string
	cfg     Config
	log     *slog.Logger
	buckets Buckets
	writer  Writer
	metrics metrics
	queue   *queue

	stop, done chan struct{}

	delivering sync.Mutex        // held by a pass
	retries    map[string]*retry // by route
	backlog    atomic.Int64      // bytes in batches
	oldest     atomic.Int64      // when the oldest undelivered file was begun, ns; 0: there is none
}

// retry is when a route is tried again.
type retry struct {
	at    time.Time
	delay time.Duration
}

// Open begins to keep logs in a directory, which is made. Lines of an earlier process that
// are there will be delivered.
func Open(dir string, buckets Buckets, writer Writer, cfg Config) (*Log, error) {
	cfg.defaults()
	l := &Log{
		fs: cfg.FS, dir: dir, cfg: cfg, log: cfg.Log, buckets: buckets, writer: writer,
		stop: make(chan struct{}), done: make(chan struct{}), retries: map[string]*retry{},
	}
	l.queue = &queue{
		fs: l.fs, dir: dir, limit: cfg.Limit / 4, wake: make(chan struct{}, 1), full: make(chan struct{}, 1),
		drop: l.dropped, defined: map[*bucket.Logged]string{},
	}
	l.metrics = newMetrics(l, cfg.Metrics)
	if err := l.recover(); err != nil {
		return nil, err
	}
	go l.write()
	return l, nil
}

// recover finds what an earlier process has left.
func (l *Log) recover() error {
	if err := l.fs.MkdirAll(l.dir, 0o700); err != nil {
		return fmt.Errorf("accesslog: make %s: %w", l.dir, err)
	}
	if err := syncDir(l.fs, l.fs.PathDir(l.dir)); err != nil {
		return fmt.Errorf("accesslog: make %s: %w", l.dir, err)
	}
	all, err := l.fs.List(l.dir)
	if err != nil {
		return fmt.Errorf("accesslog: list %s: %w", l.dir, err)
	}
	for _, name := range all {
		path := l.fs.PathJoin(l.dir, name)
		switch {
		case strings.HasSuffix(name, temporary):
			if err := l.fs.Remove(path); err != nil {
				return fmt.Errorf("accesslog: remove %s: %w", name, err)
			}
		case strings.HasPrefix(name, queuePrefix):
			l.queue.last = max(l.queue.last, begun(name).UnixNano())
			l.queue.waiting += fileSize(l.fs, path)
		}
	}
	return l.count()
}

// Append adds a request to the log of the bucket that it was on. It does not fail: what
// cannot be kept is counted.
func (l *Log) Append(of *bucket.Logged, e *Entry) {
	l.metrics.lines.Inc()
	l.queue.append(of, e)
}

const complainEvery = time.Minute

// write takes lines to the disk until Close.
func (l *Log) write() {
	defer close(l.done)
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	var said time.Time
	for {
		var err error
		select {
		case <-l.stop:
			return
		case <-l.queue.wake:
			err = l.queue.write()
		case <-tick.C:
			err = l.queue.sync()
		}
		if err != nil && time.Since(said) > complainEvery {
			said = time.Now() // it may be so for each line
			l.log.Error("access log lines could not be kept", "error", err)
		}
	}
}

// Close keeps what was appended for the next Open. It must not be called while Run runs.
func (l *Log) Close() error {
	close(l.stop)
	<-l.done
	return l.queue.rotate()
}

// Run delivers until ctx is done.
func (l *Log) Run(ctx context.Context) {
	tick := time.NewTicker(min(l.cfg.Interval, l.cfg.Retry))
	defer tick.Stop()
	last := time.Now()
	for {
		// Without new lines but those of its own deliveries there is nothing to tell: a
		// target that is itself logged would else get an object after each object.
		rotate := time.Since(last) >= l.cfg.Interval && l.queue.hasReal()
		if rotate {
			last = time.Now()
		}
		if err := l.pass(ctx, rotate, false); err != nil && ctx.Err() == nil {
			l.log.Warn("access logs could not be delivered, and will be tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-l.queue.full:
		}
	}
}

// Flush delivers what was appended so far, also to targets that failed a moment ago. Its
// error says what could not be.
func (l *Log) Flush(ctx context.Context) error { return l.pass(ctx, true, true) }

// pass makes batches of what there is and delivers those that are due; with now, all.
func (l *Log) pass(ctx context.Context, rotate, now bool) error {
	l.delivering.Lock()
	defer l.delivering.Unlock()
	var errs []error
	if rotate {
		errs = append(errs, l.queue.rotate())
	}
	names, err := l.queue.complete()
	errs = append(errs, err)
	for _, name := range names {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		errs = append(errs, l.split(name))
	}
	// What is too old may have had no chance yet: the server may have been down for long.
	errs = append(errs, l.deliver(ctx, now), l.bound(), l.count())
	return errors.Join(errs...)
}
