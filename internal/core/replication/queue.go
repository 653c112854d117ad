// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
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
)

// backoff returns for how long a task is put off that was tried so many times.
func backoff(tries int) time.Duration {
	wait := maxWait
	if tries < 9 {
		wait = min(maxWait, firstWait<<max(tries-1, 0))
	}
	return wait/2 + rand.N(wait/2+1)
}

// queued is a task and its row.
type queued struct {
	task
	row      []byte
	ver      uint64 // of the row
	sequence uint64
	off      bool // it was put off
}

// queue is what Run knows of the rows. It belongs to Run's goroutine.
//
// The rows are read in passes, each from the beginning: a row may become visible after others
// that are behind it.
type queue struct {
	s      *Service
	lanes  map[string]*lane // what is ready or under way, by source bucket
	known  map[string]bool  // rows that are ready or under way
	busy   map[place]bool   // that are worked on
	crowds map[place]*placeCrowd
	share  int          // how many tasks of one object are ready at most
	more   bool         // the rows may hold what is not known
	pass   []meta.Range // what is still to be read
	began  time.Time    // the pass
	until  time.Time    // when the first row is due that was not, as it was last looked; zero: none
}

func newQueue(s *Service) *queue {
	return &queue{
		s: s, lanes: map[string]*lane{}, known: map[string]bool{}, busy: map[place]bool{}, crowds: map[place]*placeCrowd{}, more: true,
		// Each worker keeps two objects from others: what is ready of those must not be all there is.
		share: max(s.maxReady/(2*s.cfg.Workers), 1),
	}
}

// passEvery is how often the rows are read while there is enough to do.
const passEvery = time.Second

// behind returns after how long there is something to read; idle says that workers wait for it.
func (q *queue) behind(idle bool) time.Duration {
	switch {
	case len(q.pass) > 0 || q.more && idle:
		return 0
	case q.more:
		return max(time.Until(q.began.Add(passEvery)), 0)
	case q.until.IsZero():
		return lookEvery
	}
	return min(lookEvery, max(time.Until(q.until), time.Millisecond))
}

// read reads some of the rows that are due, and takes in what is not known yet.
func (q *queue) read(ctx context.Context) error {
	if len(q.pass) == 0 {
		q.began, q.more = time.Now(), false
		q.pass = []meta.Range{
			{Start: []byte(taskRows), End: taskKey(q.began.Add(time.Millisecond), 0), Limit: pageRows, MaxBytes: pageBytes},
			{Start: taskKey(q.began.Add(horizon), 0), End: meta.PrefixEnd([]byte(taskRows)), Limit: pageRows, MaxBytes: pageBytes},
		}
	}
	err := q.readPage(ctx, &q.pass[0])
	if err != nil {
		q.pass, q.more = nil, true
	}
	return err
}

// readPage reads a page of a range, and what follows if that was the last one.
func (q *queue) readPage(ctx context.Context, r *meta.Range) error {
	page, err := q.s.Rows.Scan(ctx, *r)
	if errors.Is(err, meta.Damaged) {
		return q.dropDamaged(ctx, *r, err)
	}
	if err != nil {
		return fmt.Errorf("read tasks: %w", err)
	}
	if err := q.take(ctx, page.Items); err != nil {
		return err
	}
	if page.More {
		r.Start = page.Next
		return nil
	}
	if q.pass = q.pass[1:]; len(q.pass) > 0 {
		return nil
	}
	next := meta.Range{Start: taskKey(q.began.Add(time.Millisecond), 0), End: taskKey(q.began.Add(horizon), 0), Limit: 1, KeysOnly: true}
	if page, err = q.s.Rows.Scan(ctx, next); err != nil {
		return fmt.Errorf("look for the next task: %w", err)
	}
	q.until = time.Time{}
	if len(page.Items) == 1 {
		q.until, _, _ = splitTaskKey(page.Items[0].Key)
	}
	return nil
}

// take adds rows that are not known to what is ready. Those whose rule is paused are put off,
// and those of which there are too many, many with one commit.
func (q *queue) take(ctx context.Context, items []meta.Item) error {
	var off meta.Batch
	for _, item := range items {
		if q.known[string(item.Key)] {
			continue
		}
		_, sequence, ok := splitTaskKey(item.Key)
		t, err := decodeTask(item.Value)
		if err != nil || !ok {
			if err := q.drop(ctx, item.Key, err); err != nil {
				return err
			}
			continue
		}
		one := &queued{task: t, row: item.Key, ver: item.Ver, sequence: sequence}
		if q.s.paused(ctx, one) {
			err = one.putOff(&off, 0)
		} else if later := q.join(one); !later.IsZero() {
			err = one.move(&off, later)
		}
		if err != nil {
			return err
		}
	}
	if len(off.Puts) > 0 {
		if _, err := q.s.Rows.Commit(ctx, &off); err != nil {
			return fmt.Errorf("put off tasks: %w", err)
		}
	}
	return nil
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
				s.clock.AtLeast(binary.BigEndian.Uint64(item.Key[taskKeySize-8:]))
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
