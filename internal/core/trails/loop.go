// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// loop delivers one trail.
type loop struct {
	*Courier
	id, name string // of the trail, and of the consumer that it is

	mu      sync.Mutex
	trail   Trail // as it was read last
	gone    bool
	rouse   context.CancelFunc // ends the wait, if the loop waits
	stirred bool               // or will wait

	failing atomic.Bool // something could not be delivered

	// What follows is the loop's own.
	d       Delivery
	kept    Delivery // what its row says
	keptAt  time.Time
	scan    scan
	logs    retry
	digests retry
}

func newLoop(c *Courier, t Trail, d Delivery) *loop {
	return &loop{Courier: c, id: t.ID, name: "trail/" + t.Account + "/" + t.Name, trail: t, d: d, kept: d, scan: scan{until: d.Position}, keptAt: time.Now()}
}

// changed tells the loop of its trail's settings, and lets it try at once what failed
// under the old ones.
func (l *loop) changed(t *Trail) {
	l.mu.Lock()
	same := sameSettings(&l.trail, t)
	l.trail = *t
	l.mu.Unlock()
	if !same {
		l.wake()
	}
}

// sameSettings reports whether nothing changed that delivery depends on.
func sameSettings(a, b *Trail) bool {
	return a.Bucket == b.Bucket && a.Prefix == b.Prefix && a.KeyARN == b.KeyARN && a.Validate == b.Validate &&
		a.Logging == b.Logging && a.From == b.From && a.Until == b.Until
}

// end ends the loop: its trail is gone.
func (l *loop) end() {
	l.mu.Lock()
	l.gone = true
	l.mu.Unlock()
	l.wake()
}

// wake ends the loop's wait.
func (l *loop) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stirred = true
	if l.rouse != nil {
		l.rouse()
	}
}

// run delivers until ctx is done, the trail is gone, or it has stopped logging and there
// is nothing left.
func (l *loop) run(ctx context.Context) {
	for {
		head := l.journal.Head() // before the settings are read
		t, ok := l.current(ctx)
		if !ok || ctx.Err() != nil {
			break
		}
		next := l.turn(ctx, &t, head)
		if l.finished() {
			break
		}
		l.rest(ctx, next)
	}
}

// current returns the trail as it is now; ok is false when it is gone.
func (l *loop) current(ctx context.Context) (t Trail, ok bool) {
	l.mu.Lock()
	t = l.trail
	l.mu.Unlock()
	now, err := l.service.Find(ctx, t.Account, t.Name)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case errors.Is(err, NotFound), err == nil && now.ID != l.id:
		l.gone = true
	case err == nil:
		l.trail = now
	case ctx.Err() == nil:
		l.cfg.Log.Error("read the settings of a trail", "trail", l.name, "error", err)
	}
	return l.trail, !l.gone
}

// released reports whether the loop needs nothing of the audit trail any more. One that
// ends with its server goes on after the next start.
func (l *loop) released() bool {
	l.mu.Lock()
	gone := l.gone
	l.mu.Unlock()
	return gone || l.finished()
}

// finished reports whether the trail does not log, and everything is delivered.
func (l *loop) finished() bool {
	l.mu.Lock()
	t := l.trail
	l.mu.Unlock()
	return !t.Logging && !l.d.Position.Before(t.Until) && l.d.Pending == nil && l.d.Digest.Since.IsZero() && l.d.Digest.First == l.d.Digest.Next
}

// rest waits until there is something to do: at the latest at a time, which is zero when
// only new records are waited for.
func (l *loop) rest(ctx context.Context, until time.Time) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.mu.Lock()
	stirred := l.stirred
	l.stirred, l.rouse = false, cancel
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.rouse = nil
		if l.stirred {
			l.stirred = false
			l.logs.now()
			l.digests.now()
		}
	}()
	if stirred {
		l.logs.now()
		l.digests.now()
		return
	}
	if !until.IsZero() {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, until)
		defer stop()
	}
	if l.scan.records > 0 || l.logs.failed() || l.ended() {
		<-ctx.Done() // what comes meanwhile waits for the same time
		return
	}
	if err := l.journal.Await(ctx, l.scan.until); err != nil && ctx.Err() == nil {
		l.cfg.Log.Error("wait for audit records", "trail", l.name, "error", err)
		<-ctx.Done()
	}
}

// ended reports whether no more records are wanted.
func (l *loop) ended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.trail.Logging && !l.scan.until.Before(l.trail.Until)
}

// turn delivers what is due, and returns when there is more to do even if no record
// comes.
func (l *loop) turn(ctx context.Context, t *Trail, head audit.Position) (next time.Time) {
	if l.logs.ready() {
		for l.plan(ctx, t, head) {
			err := l.deliver(ctx, t)
			if ctx.Err() != nil {
				return time.Time{}
			}
			if l.logs.end(err); err != nil {
				break
			}
		}
	}
	if l.digests.ready() {
		err := l.digest(ctx, t)
		if ctx.Err() != nil {
			return time.Time{}
		}
		l.digests.end(err)
	}
	l.failing.Store(l.logs.failed() || l.digests.failed())
	l.journal.Hold(l.name, l.d.Position)
	l.keepAtTimes(ctx, t)
	return earliest(l.logs.at, l.digests.at, l.due(), l.digestDue(t))
}

// earliest returns the earliest of times, of which those that are zero are none.
func earliest(times ...time.Time) (first time.Time) {
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// keepAtTimes keeps how far the loop has come through records that the trail does not
// want, so that a start need not read them all again.
func (l *loop) keepAtTimes(ctx context.Context, t *Trail) {
	if l.d.Position == l.kept.Position || l.d.Position.Segment == l.kept.Position.Segment && time.Since(l.keptAt) < poll {
		return
	}
	if err := l.keep(ctx, t); err != nil && ctx.Err() == nil && !errors.Is(err, NotFound) {
		l.cfg.Log.Error("keep how far a trail is delivered", "trail", l.name, "error", err)
	}
}

// keep writes the delivery's row, and what else goes with it, in one commit. Fault:
// NotFound when the trail is gone, or is another by now.
func (l *loop) keep(ctx context.Context, t *Trail, more ...func(*meta.Batch)) error {
	err := l.service.SaveDelivery(ctx, t, l.d, more...)
	if err == nil {
		l.kept, l.keptAt = l.d, time.Now()
	}
	return err
}

// retry is when something that failed is tried again.
type retry struct {
	wait time.Duration
	at   time.Time // zero: nothing failed, or it is tried now
}

func (r *retry) failed() bool { return r.wait > 0 }

// ready reports whether there may be a try.
func (r *retry) ready() bool { return r.at.IsZero() || !time.Now().Before(r.at) }

// now allows a try at once.
func (r *retry) now() { r.at = time.Time{} }

// end notes how a try ended: after a failure the next one is later than the last time,
// and not at the same time as those of others.
func (r *retry) end(err error) {
	if err == nil {
		*r = retry{}
		return
	}
	r.wait = min(max(2*r.wait, firstRetry), lastRetry)
	r.at = time.Now().Add(r.wait/2 + rand.N(r.wait/2))
}

var _ Journal = (*audit.Trail)(nil)
