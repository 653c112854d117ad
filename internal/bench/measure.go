// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// cell is one measurement: a verb, a size and who does it.
type cell struct {
	group *group
	who   contender

	do     func(w *worker, n int64) error           // request number n
	usage  func(ctx context.Context) (usage, error) // of the process that serves
	after  func() error                             // after each slice; nil does nothing
	client func() usage                             // of this process; nil if it is the one that serves

	next   atomic.Int64 // request's number
	slices []slice
	took   []time.Duration // of all requests in slices
	kms    usage           // of all requests ever
}

// slice is what a cell did in one turn.
type slice struct {
	requests  int
	throttled int // answered 503
	wall      time.Duration
	served    usage // by the process that serves
	sent      usage // by this one
}

func (s slice) perSecond() float64 { return float64(s.requests) / s.wall.Seconds() }

// patience is how much longer than its slice a worker tries for one request that is not
// throttled.
const patience = 10 * time.Second

// turn runs the cell's workers for about d; each does at least one request. The
// slice ends with the last answer.
func (c *cell) turn(ctx context.Context, d time.Duration) (slice, error) {
	before, err := c.usage(ctx)
	if err != nil {
		return slice{}, err
	}
	sentBefore := c.sent()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers := make([]*worker, c.group.workers)
	for i := range workers {
		workers[i] = newWorker(ctx)
	}
	var all sync.WaitGroup
	start := time.Now()
	end := start.Add(d)
	for _, w := range workers {
		all.Go(func() {
			for from := time.Now(); len(w.took) == 0 || from.Before(end) && ctx.Err() == nil; from = time.Now() {
				err := c.do(w, c.next.Add(1)-1)
				switch {
				case err == nil:
					w.took = append(w.took, time.Since(from))
				case errors.Is(err, errThrottled) && from.Before(end.Add(patience)):
					w.throttled++
					err = pause(ctx, backOff)
				}
				if err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	all.Wait()
	s := slice{wall: time.Since(start), sent: c.sent().since(sentBefore)}
	if err := context.Cause(ctx); err != nil {
		return slice{}, err
	}
	after, err := c.usage(ctx)
	if err != nil {
		return slice{}, err
	}
	s.served = after.since(before)
	c.kms.kms += s.served.kms
	c.kms.ok = s.served.ok
	for _, w := range workers {
		s.requests += len(w.took)
		s.throttled += w.throttled
		c.took = append(c.took, w.took...)
	}
	if c.after != nil {
		err = c.after()
	}
	return s, err
}

func (c *cell) sent() usage {
	if c.client == nil {
		return usage{}
	}
	return c.client()
}

// settle is the pause before a slice, for what the one before has left behind:
// connections that return to the pool, a collection of garbage that has begun. It
// is no longer than a slice.
const settle = 15 * time.Millisecond

// measure runs all groups.
func (r *run) measure(ctx context.Context) error {
	for _, g := range r.groups {
		if err := r.measureGroup(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) measureGroup(ctx context.Context, g *group) error {
	for _, c := range g.cells {
		r.step(c.name())
		if _, err := c.turn(ctx, r.cfg.Scale.WarmUp); err != nil {
			return err
		}
		c.took = c.took[:0]
	}
	for round := range g.rounds {
		for _, i := range order(len(g.cells), round) {
			c := g.cells[i]
			r.step(c.name())
			if err := pause(ctx, min(settle, r.cfg.Scale.Slice)); err != nil {
				return err
			}
			s, err := c.turn(ctx, r.cfg.Scale.Slice)
			if err != nil {
				return err
			}
			c.slices = append(c.slices, s)
		}
	}
	return nil
}

// step says what comes now.
func (r *run) step(doing string) {
	if r.cfg.Progress == nil {
		return
	}
	total := 0
	for _, g := range r.groups {
		total += len(g.cells) * (g.rounds + 1)
	}
	r.cfg.Progress(r.done, total, doing)
	r.done++
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// rates returns the cell's requests per second, a value for each slice.
func (c *cell) rates() []float64 {
	out := make([]float64, len(c.slices))
	for i, s := range c.slices {
		out[i] = s.perSecond()
	}
	return out
}

// throttled returns how many requests in slices were answered with 503.
func (c *cell) throttled() (n int64) {
	for _, s := range c.slices {
		n += int64(s.throttled)
	}
	return n
}

// cpu returns the processor time of a request in microseconds, of the process
// that serves and of this one; NaN when it cannot be known.
func (c *cell) cpu() (served, sent float64) {
	n := 0.0
	for _, s := range c.slices {
		n += float64(s.requests)
		if !s.served.ok {
			served = math.NaN()
		}
		if !s.sent.ok {
			sent = math.NaN()
		}
		served += s.served.cpu
		sent += s.sent.cpu
	}
	return served / n * 1e6, sent / n * 1e6
}
