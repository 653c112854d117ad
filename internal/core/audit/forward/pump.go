// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/link/sink"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const (
	// A batch is under a megabyte, which is what many HTTP servers take at most.
	maxRecords = 1000
	maxBytes   = 768 << 10

	maxRead = 64 << 20 // of the trail, for a batch

	sendTimeout = 30 * time.Second
	firstWait   = 250 * time.Millisecond // after a failure; doubled by each further one
	maxWait     = time.Minute
	maxAsked    = 5 * time.Minute // that the other side may ask to be left alone
	storeEvery  = time.Second     // how far it has come
)

// pump sends the trail to one sink. Its fields belong to the goroutine of run.
type pump struct {
	trail *audit.Trail
	rows  meta.Store
	sink  sink.Sink
	name  string
	only  []audit.Category
	log   *slog.Logger

	batch    batch
	at       audit.Position // up to which the sink has taken everything
	stored   audit.Position // of it, what is durable
	storedAt time.Time
	most     int // records to send at once: fewer while that fails
	failures int // since the sink last took something
	since    time.Time
}

func newPump(trail *audit.Trail, rows meta.Store, t Target, log *slog.Logger) *pump {
	name := t.Sink.Name()
	return &pump{trail: trail, rows: rows, sink: t.Sink, name: name, only: t.Only, log: log.With("sink", name), most: maxRecords}
}

// start sets where the pump goes on, and holds the trail from there.
func (p *pump) start(at audit.Position) {
	p.at, p.stored = at, at
	p.batch.next = at
	p.trail.Hold(p.name, at)
}

// run sends until ctx is done.
func (p *pump) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := p.step(ctx)
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			p.recovered()
			continue
		}
		wait := p.failed(err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	// What was taken need not be sent again by the next start.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := p.store(last); err != nil {
		p.log.Warn("how far an audit sink has come is not stored; it gets some records again", "error", err)
	}
}

// step sends one batch, or waits until there is something to send.
func (p *pump) step(ctx context.Context) error {
	if p.batch.empty() {
		if err := p.fill(ctx); err != nil {
			return err
		}
	}
	if p.batch.empty() { // everything was taken, or is not for this sink
		p.at = p.batch.next
		if err := p.store(ctx); err != nil {
			return err
		}
		return p.trail.Await(ctx, p.at)
	}
	n := min(p.most, p.batch.len())
	sending, cancel := context.WithTimeout(ctx, sendTimeout)
	err := p.sink.Send(sending, p.batch.records[:n])
	cancel()
	if err != nil {
		return err
	}
	p.trail.Took(p.name, n)
	p.at = p.batch.drop(n)
	p.most = min(2*p.most, maxRecords)
	if time.Since(p.storedAt) >= storeEvery {
		return p.store(ctx)
	}
	return nil
}

// errEnough ends the reading of a batch.
var errEnough = errors.New("forward: batch is full")

// fill reads the next batch. It ends after some of the trail in any case, so that of a
// sink for which there is little it is kept how far it has come.
func (p *pump) fill(ctx context.Context) error {
	p.batch.reset()
	read := 0
	next, err := p.trail.Consume(ctx, p.batch.next, func(l audit.Line) error {
		if read >= maxRead || p.batch.full(len(l.JSON)) {
			return errEnough
		}
		read += len(l.JSON)
		if p.wants(l) {
			p.batch.add(l)
		}
		return nil
	})
	p.batch.next = next
	if err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("read the trail: %w", err)
	}
	return nil
}

// wants reports whether a line is a record for this sink.
func (p *pump) wants(l audit.Line) bool {
	if len(p.only) == 0 {
		return true
	}
	c, err := audit.CategoryOfLine(l.JSON)
	if err != nil {
		p.log.Error("a line of the audit trail is not sent: it is no record", "file", l.At.Segment, "offset", l.At.Offset, "error", err)
	}
	return err == nil && slices.Contains(p.only, c)
}

// store makes durable how far the sink has come, and lets the trail go up to there.
func (p *pump) store(ctx context.Context) error {
	if p.stored == p.at {
		return nil
	}
	if err := store(ctx, p.rows, p.name, cursor{At: p.at}); err != nil {
		return fmt.Errorf("store how far it has come: %w", err)
	}
	p.stored, p.storedAt = p.at, time.Now()
	p.trail.Hold(p.name, p.at)
	return nil
}

// failed notes a failure and returns how long to wait before the next try. That sends
// fewer records: the other side may take no more at once, or not in time.
func (p *pump) failed(err error) time.Duration {
	p.trail.Failed(p.name)
	p.failures++
	if p.failures == 1 {
		p.since = time.Now()
	}
	p.most = max(1, min(p.most, max(p.batch.len(), 1))/2)
	wait := maxWait
	if doubled := p.failures - 1; doubled < 10 {
		wait = min(firstWait<<doubled, maxWait)
	}
	wait = wait/2 + rand.N(wait/2+1) // so that many servers do not come back at once
	level, text := slog.LevelWarn, "audit sink fails; its records wait"
	var told *sink.Error
	if errors.As(err, &told) {
		wait = max(wait, min(told.After, maxAsked))
		if told.Refused {
			level, text = slog.LevelError, "audit sink refuses records; they wait until it takes them"
		}
	}
	backlog, _ := p.trail.Behind(p.at)
	p.log.Log(context.Background(), level, text, "error", err, "failures", p.failures, "backlog_bytes", backlog, "retry_in", wait.Round(time.Millisecond))
	return wait
}

// recovered notes that the sink takes records again.
func (p *pump) recovered() {
	if p.failures > 0 {
		p.log.Info("audit sink takes records again", "failures", p.failures, "after", time.Since(p.since).Round(time.Millisecond))
		p.failures = 0
	}
}
