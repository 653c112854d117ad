// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/cofferstore/coffer/internal/link/event"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const (
	maxRows     = 256       // of a queue, read at a time
	maxBytes    = 768 << 10 // of them
	sendTimeout = 30 * time.Second
	firstWait   = 250 * time.Millisecond // after a failure; doubled by each further one
	maxWait     = time.Minute
	maxAsked    = 5 * time.Minute // that the other side may ask to be left alone
	lookEvery   = 30 * time.Second
)

// pump delivers one target's queue. What is not atomic belongs to the goroutine of run.
type pump struct {
	s      *Service
	target Target
	name   string
	log    *slog.Logger
	wake   chan struct{}

	waits  atomic.Int64 // events in the queue
	oldest atomic.Int64 // of them, when it was queued, in ns since 1970; 0: there is none

	most     int // records of a message: fewer while that fails
	failures int // since the target last took something
	since    time.Time
}

func newPump(s *Service, t Target) *pump {
	return &pump{s: s, target: t, name: t.Name(), log: s.log.With("target", t.Name()), wake: make(chan struct{}, 1), most: t.Records()}
}

// queue adds an event to the batch of a commit. The function is to be called when that is
// committed.
func (p *pump) queue(batch *meta.Batch, sequence uint64, w waiting) (func(), error) {
	now := time.Now()
	w.Queued = now.UnixMilli()
	row, err := w.encode()
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	batch.Put(queueKey(p.name, sequence), row)
	return func() {
		p.s.metrics.queued.WithLabelValues(p.name).Inc()
		p.waits.Add(1)
		p.oldest.CompareAndSwap(0, now.UnixNano())
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}, nil
}

// run delivers until ctx is done.
func (p *pump) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := lookEvery // for what a commit left of which nobody knows whether it was made
		some, err := p.step(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			p.sleep(ctx, p.failed(err), nil)
			continue
		case some:
			continue
		}
		p.sleep(ctx, wait, p.wake)
	}
}

func (p *pump) sleep(ctx context.Context, wait time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// taken is a row of a queue.
type taken struct {
	key      []byte
	sequence uint64
	waiting
}

func (t *taken) since() time.Time { return t.waiting.since(t.sequence) }

// step delivers the first events of the queue. some says that there were any.
//
// It always reads from the queue's beginning: a commit that took its place earlier may be
// visible later than others, and an event must not be passed by a later one of its key.
func (p *pump) step(ctx context.Context) (some bool, err error) {
	prefix := queuePrefix(p.name)
	page, err := p.s.rows.Scan(ctx, meta.Range{Start: prefix, End: meta.PrefixEnd(prefix), Limit: maxRows, MaxBytes: maxBytes})
	if errors.Is(err, meta.Damaged) {
		return true, p.dropDamaged(ctx, err)
	}
	if err != nil {
		return false, fmt.Errorf("read the queue: %w", err)
	}
	if len(page.Items) == 0 {
		p.oldest.Store(0)
		return false, nil
	}
	events, err := p.sort(ctx, page.Items)
	if err != nil || len(events) == 0 {
		return true, err
	}
	p.oldest.Store(events[0].since().UnixNano())
	return true, p.deliver(ctx, events)
}

// sort drops the rows that are not to be delivered, and returns the others.
func (p *pump) sort(ctx context.Context, items []meta.Item) (events []taken, err error) {
	over := p.waits.Load() - p.s.cfg.Limit
	drop, reasons := [][]byte(nil), map[string]int{}
	for i, item := range items {
		_, sequence, _ := splitQueueKey(item.Key)
		w, err := decodeWaiting(item.Value)
		reason := ""
		switch {
		case err != nil:
			reason = broken
		case !p.target.serves(w.Account):
			reason = refused
		case time.Since(w.since(sequence)) > p.s.cfg.MaxAge:
			reason = tooOld
		case int64(i) < over:
			reason = tooMany
		}
		if reason == "" {
			events = append(events, taken{item.Key, sequence, w})
			continue
		}
		drop = append(drop, item.Key)
		reasons[reason]++
	}
	if len(drop) == 0 {
		return events, nil
	}
	if err := p.drop(ctx, drop, reasons); err != nil {
		return nil, err
	}
	return events, nil
}

// drop removes rows that are not delivered, of which reasons counts.
func (p *pump) drop(ctx context.Context, keys [][]byte, reasons map[string]int) error {
	if err := p.remove(ctx, keys); err != nil {
		return err
	}
	for reason, n := range reasons {
		p.s.metrics.dropped.WithLabelValues(p.name, reason).Add(float64(n))
		p.log.Error("events are dropped and not delivered", "reason", reason, "events", n)
	}
	return nil
}

// dropDamaged drops the rows at the queue's beginning that the store does not vouch for: they
// must not hold up the others. why is what reading them said.
func (p *pump) dropDamaged(ctx context.Context, why error) error {
	prefix := queuePrefix(p.name)
	page, err := p.s.rows.Scan(ctx, meta.Range{Start: prefix, End: meta.PrefixEnd(prefix), Limit: maxRows, KeysOnly: true})
	if err != nil {
		return fmt.Errorf("read the queue: %w", err)
	}
	var drop [][]byte
	for _, item := range page.Items {
		if _, err := meta.Get1(ctx, p.s.rows, item.Key); errors.Is(err, meta.Damaged) {
			drop = append(drop, item.Key)
		}
	}
	if len(drop) == 0 {
		return fmt.Errorf("read the queue: %w", why)
	}
	return p.drop(ctx, drop, map[string]int{broken: len(drop)})
}

// remove deletes rows that were delivered or dropped.
func (p *pump) remove(ctx context.Context, keys [][]byte) error {
	batch := meta.Batch{Deletes: keys}
	// The clock must not go back behind what is not in the queue any more.
	batch.Put(clockKey(p.name), binary.BigEndian.AppendUint64(nil, p.s.clock.Last()))
	if _, err := p.s.rows.Commit(ctx, &batch); err != nil {
		return fmt.Errorf("take from the queue: %w", err)
	}
	p.waits.Add(-int64(len(keys)))
	return nil
}

// deliver sends events, and removes those that were taken.
func (p *pump) deliver(ctx context.Context, events []taken) error {
	messages, counts := p.compose(events)
	if p.failures > 0 {
		// What is behind one that is not taken may be taken, and would come again with each try.
		messages, counts = messages[:1], counts[:1]
	}
	sending, cancel := context.WithTimeout(ctx, sendTimeout)
	n, failure := p.target.Send(sending, messages)
	cancel()
	done := 0
	for _, k := range counts[:n] {
		done += k
	}
	if done > 0 {
		keys := make([][]byte, done)
		for i := range keys {
			keys[i] = events[i].key
		}
		// Also at the end of ctx: what was taken need not be sent again by the next start.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := p.remove(last, keys); err != nil {
			return errors.Join(err, failure)
		}
		p.s.metrics.delivered.WithLabelValues(p.name).Add(float64(done))
		if done < len(events) {
			p.oldest.Store(events[done].since().UnixNano())
		}
		p.recovered()
	}
	if failure == nil {
		p.most = min(2*p.most, p.target.Records())
	}
	return failure
}

// compose makes messages of events, and says of how many each is.
func (p *pump) compose(events []taken) (messages []event.Message, counts []int) {
	for i := 0; i < len(events); {
		n := 1
		if !events[i].Test {
			for n < p.most && i+n < len(events) && !events[i+n].Test {
				n++
			}
		}
		messages = append(messages, message(events[i:i+n]))
		counts = append(counts, n)
		i += n
	}
	return messages, counts
}

// message makes a message of a test event, or of records.
func message(events []taken) event.Message {
	first := events[0]
	m := event.Message{ID: first.Bucket + "/" + Sequencer(first.sequence), Key: first.Bucket + "/" + first.Key}
	if first.Test {
		m.Body = first.Record
		return m
	}
	m.Body = append(m.Body, `{"Records":[`...)
	for i, e := range events {
		if i > 0 {
			m.Body = append(m.Body, ',')
		}
		m.Body = append(m.Body, e.Record...)
	}
	m.Body = append(m.Body, "]}"...)
	return m
}

// failed notes a failure and returns how long to wait before the next try. That sends smaller
// messages: the other side may take no larger ones.
func (p *pump) failed(err error) time.Duration {
	p.s.metrics.failures.WithLabelValues(p.name).Inc()
	p.failures++
	if p.failures == 1 {
		p.since = time.Now()
	}
	p.most = max(1, p.most/2)
	wait := maxWait
	if doubled := p.failures - 1; doubled < 10 {
		wait = min(firstWait<<doubled, maxWait)
	}
	wait = wait/2 + rand.N(wait/2+1) // so that many servers do not come back at once
	level, text := slog.LevelWarn, "notification target fails; its events wait"
	var told *event.Error
	if errors.As(err, &told) {
		wait = max(wait, min(told.After, maxAsked))
		if told.Refused {
			level, text = slog.LevelError, "notification target refuses events; they wait until it takes them"
		}
	}
	p.log.Log(context.Background(), level, text, "error", err, "failures", p.failures, "waiting", p.waits.Load(), "retry_in", wait.Round(time.Millisecond))
	return wait
}

// recovered notes that the target takes events again.
func (p *pump) recovered() {
	if p.failures > 0 {
		p.log.Info("notification target takes events again", "failures", p.failures, "after", time.Since(p.since).Round(time.Millisecond))
		p.failures = 0
	}
}
