// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const (
	firstWait = time.Second // after a failure; doubled by each further one
	maxWait   = 5 * time.Minute
	// horizon is beyond when any task is ever put off: one that is due later was so put by a
	// clock that has been set back since, and is due now.
	horizon = 2 * maxWait

	pageRows  = 256 // read at a time
	pageBytes = 1 << 20
	maxReady  = 4096 // tasks that are known and wait for others of their key
)

// backoff returns for how long a task is put off that was tried so many times.
func backoff(tries int) time.Duration {
	wait := maxWait
	if tries < 9 {
		wait = min(maxWait, firstWait<<max(tries-1, 0))
	}
	return wait/2 + rand.N(wait/2+1)
}

// clock gives places in the queue: nanoseconds since 1970, or one more than the last where
// that is not later.
type clock struct{ last atomic.Uint64 }

func (c *clock) next() uint64 {
	for {
		last := c.last.Load()
		now := max(uint64(time.Now().UnixNano()), last+1)
		if c.last.CompareAndSwap(last, now) {
			return now
		}
	}
}

// atLeast moves the clock on.
func (c *clock) atLeast(n uint64) {
	for last := c.last.Load(); last < n && !c.last.CompareAndSwap(last, n); last = c.last.Load() {
	}
}

// queued is a task and its row.
type queued struct {
	task
	row      []byte
	sequence uint64
	off      bool // it was put off
}

// queue is what Run knows of the rows. It belongs to Run's goroutine.
//
// It is always read from its beginning: a row may become visible after others that are behind
// it.
type queue struct {
	s     *Service
	ready []*queued
	known map[string]bool  // rows that are ready or under way
	busy  map[place]bool   // that are worked on
	crowd map[place]*crowd // of what is ready
	share int              // how many tasks of one object are ready at most
	more  bool             // the rows may hold what is not known
	until time.Time        // when the first row is due that was not, as it was last looked; zero: none
}

func newQueue(s *Service) *queue {
	return &queue{
		s: s, known: map[string]bool{}, busy: map[place]bool{}, crowd: map[place]*crowd{}, more: true,
		// Each worker keeps two objects from others: what is ready of those must not be all there is.
		share: max(maxReady/(2*s.cfg.Workers), 1),
	}
}

// next returns a task that may begin; nil when there is none for that long. Tasks of one
// object, read or written, are not carried out at the same time: of two buckets that replicate
// to each other they would exchange what they have.
func (q *queue) next(ctx context.Context) (t *queued, until time.Duration, err error) {
	for {
		for i, t := range q.ready {
			if of := t.places(); !q.busy[of[0]] && !q.busy[of[1]] {
				q.ready = append(q.ready[:i], q.ready[i+1:]...)
				for _, p := range of {
					q.busy[p] = true
					if q.crowd[p].ready--; q.crowd[p].ready == 0 {
						delete(q.crowd, p)
					}
				}
				return t, 0, nil
			}
		}
		if !q.more || len(q.ready) >= maxReady {
			if q.until.IsZero() {
				return nil, lookEvery, nil
			}
			return nil, time.Until(q.until), nil
		}
		if err := q.fill(ctx); err != nil {
			return nil, 0, err
		}
	}
}

// ended forgets a task that is over, or put off.
func (q *queue) ended(t *queued) {
	delete(q.known, string(t.row))
	for _, p := range t.places() {
		delete(q.busy, p)
	}
	q.more = q.more || t.off
}

// fill reads some tasks that are due and not known yet.
func (q *queue) fill(ctx context.Context) error {
	now := time.Now()
	q.until, q.more = time.Time{}, false
	ranges := []meta.Range{
		{Start: []byte(taskRows), End: taskKey(now.Add(time.Millisecond), 0)},
		{Start: taskKey(now.Add(horizon), 0), End: meta.PrefixEnd([]byte(taskRows))},
	}
	for _, r := range ranges {
		full, err := q.read(ctx, r)
		if err != nil || full {
			q.more = true
			return err
		}
	}
	page, err := q.s.Rows.Scan(ctx, meta.Range{Start: taskKey(now.Add(time.Millisecond), 0), End: taskKey(now.Add(horizon), 0), Limit: 1, KeysOnly: true})
	if err != nil {
		q.more = true
		return fmt.Errorf("look for the next task: %w", err)
	}
	if len(page.Items) == 1 {
		q.until, _, _ = splitTaskKey(page.Items[0].Key)
	}
	return nil
}

// read takes in what is due in a range. full says that there may be more.
func (q *queue) read(ctx context.Context, r meta.Range) (full bool, err error) {
	r.Limit, r.MaxBytes = pageRows, pageBytes
	for found := 0; ; {
		page, err := q.s.Rows.Scan(ctx, r)
		if errors.Is(err, meta.Damaged) {
			return true, q.dropDamaged(ctx, r, err)
		}
		if err != nil {
			return false, fmt.Errorf("read tasks: %w", err)
		}
		n, err := q.take(ctx, page.Items)
		if err != nil {
			return false, err
		}
		found += n
		if !page.More {
			return false, nil
		}
		if found > 0 || len(q.ready) >= maxReady {
			return true, nil
		}
		r.Start = page.Next
	}
}

// take adds rows that are not known to what is ready. Those whose rule is paused are put off,
// and those of which there are too many, many with one commit.
func (q *queue) take(ctx context.Context, items []meta.Item) (n int, err error) {
	var off meta.Batch
	for _, item := range items {
		if q.known[string(item.Key)] {
			continue
		}
		_, sequence, ok := splitTaskKey(item.Key)
		t, err := decodeTask(item.Value)
		if err != nil || !ok {
			if err := q.drop(ctx, item.Key, err); err != nil {
				return 0, err
			}
			continue
		}
		one := &queued{task: t, row: item.Key, sequence: sequence}
		if q.s.paused(ctx, one) {
			err = one.putOff(&off, 0)
		} else if later := q.join(one); !later.IsZero() {
			err = one.move(&off, later)
		} else {
			n++
		}
		if err != nil {
			return 0, err
		}
	}
	if len(off.Puts) > 0 {
		if _, err := q.s.Rows.Commit(ctx, &off); err != nil {
			return 0, fmt.Errorf("put off tasks: %w", err)
		}
	}
	return n, nil
}

// paused reports whether the rule by which a task was planned is there and disabled. Who
// carries the task out looks again, and sees to it if the rules cannot be read: one bucket's do
// not hold up the others.
func (s *Service) paused(ctx context.Context, t *queued) bool {
	b, r, err := s.source(ctx, &t.task)
	if err != nil || b == nil || r == nil {
		return false
	}
	for i := range r.Rules {
		if rule := &r.Rules[i]; id(rule) == t.Rule && rule.Destination.Name() == t.Destination {
			return rule.Status != enabled
		}
	}
	return false
}

// source returns the bucket of a task's version and its configuration; nil when there is none
// any more.
func (s *Service) source(ctx context.Context, t *task) (*bucket.Bucket, *bucket.Replication, error) {
	b, err := s.Buckets.Find(ctx, bucket.Ref{Bucket: t.Bucket})
	switch {
	case errors.Is(err, bucket.NoSuchBucket):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	case b.UID != bucket.UID(t.UID): // another of its name
		return nil, nil, nil
	}
	r, err := s.Buckets.Replication(ctx, b)
	return b, r, err
}

// putOff moves a task to a later time; not later than at, if that is set, in ms since 1970.
func (t *queued) putOff(batch *meta.Batch, at int64) error {
	t.Tries++
	due := time.Now().Add(backoff(t.Tries))
	if at != 0 && due.UnixMilli() > at {
		due = time.UnixMilli(max(at, time.Now().UnixMilli()+1))
	}
	return t.move(batch, due)
}

// move has a task looked at when it is due.
func (t *queued) move(batch *meta.Batch, due time.Time) error {
	row, err := t.encode()
	if err != nil {
		return fmt.Errorf("encode task: %w", err)
	}
	t.off = true
	batch.Delete(t.row)
	batch.Put(taskKey(due, t.sequence), row)
	return nil
}

// drop removes a row that is no task.
func (q *queue) drop(ctx context.Context, key []byte, why error) error {
	q.s.log.Error("a version is not replicated: the row that says so cannot be read", "row", fmt.Sprintf("%x", key), "error", why)
	q.s.metrics.broken.Inc()
	var batch meta.Batch
	batch.Delete(key)
	if _, err := q.s.Rows.Commit(ctx, &batch); err != nil {
		return fmt.Errorf("drop a task: %w", err)
	}
	return nil
}

// dropDamaged drops the first rows of a range that the store does not vouch for: they must not
// hold up the others.
func (q *queue) dropDamaged(ctx context.Context, r meta.Range, why error) error {
	r.KeysOnly = true
	page, err := q.s.Rows.Scan(ctx, r)
	if err != nil {
		return fmt.Errorf("read tasks: %w", err)
	}
	dropped := 0
	for _, item := range page.Items {
		if _, err := meta.Get1(ctx, q.s.Rows, item.Key); errors.Is(err, meta.Damaged) {
			if err := q.drop(ctx, item.Key, err); err != nil {
				return err
			}
			dropped++
		}
	}
	if dropped == 0 {
		return fmt.Errorf("read tasks: %w", why)
	}
	return nil
}

// recover counts what is to be replicated, and sets the clock behind it.
func (s *Service) recover(ctx context.Context) error {
	r := meta.Range{Start: []byte(taskRows), End: meta.PrefixEnd([]byte(taskRows)), MaxBytes: pageBytes}
	for {
		page, err := s.Rows.Scan(ctx, r)
		if errors.Is(err, meta.Damaged) {
			page, err = s.undamaged(ctx, r)
		}
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if len(item.Key) == taskKeySize {
				s.clock.atLeast(binary.BigEndian.Uint64(item.Key[taskKeySize-8:]))
			}
			if t, err := decodeTask(item.Value); err == nil {
				s.metrics.waiting(&t, 1)
			}
		}
		if !page.More {
			return nil
		}
		r.Start = page.Next
	}
}

// undamaged reads a page row by row. Those that the store does not vouch for have no value: Run
// drops them.
func (s *Service) undamaged(ctx context.Context, r meta.Range) (meta.Page, error) {
	r.KeysOnly = true
	page, err := s.Rows.Scan(ctx, r)
	for i := range page.Items {
		item, err := meta.Get1(ctx, s.Rows, page.Items[i].Key)
		switch {
		case err == nil:
			page.Items[i].Value = item.Value
		case !errors.Is(err, meta.Damaged):
			return page, err
		}
	}
	return page, err
}
