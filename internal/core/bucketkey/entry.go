// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// entryID is what one proof is good for.
type entryID struct {
	generation uuid.UUID
	who        iam.Requester
	class      kms.Class
}

// entry is a requester's proof, and the key that it gives access to: a *Sealer for
// kms.Generate, an *Opener for kms.Decrypt. The two types are what keeps a proof
// of the one from serving the other.
type entry struct {
	gen   *Generation
	key   any // *Sealer or *Opener
	until time.Time
	timer *time.Timer
}

func (c *Cache) warmSealer(id pointerID, who iam.Requester) *Sealer {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	w, ok := c.windows.get(id)
	if !ok || !c.usable(w, now) {
		return nil
	}
	return warm[*Sealer](c, entryID{w.gen.ID, who, kms.Generate}, now)
}

func (c *Cache) warmOpener(id entryID) *Opener {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return warm[*Opener](c, id, now)
}

// warm returns what an unexpired entry holds, or nil. c.mu is held.
func warm[K *Sealer | *Opener](c *Cache, id entryID, now time.Time) K {
	e, ok := c.entries.get(id)
	if !ok || !now.Before(e.until) {
		return nil
	}
	key, _ := e.key.(K)
	return key
}

// keep makes an entry. c.mu is held.
func (c *Cache) keep(id entryID, gen *Generation, key any) {
	if c.closed || c.cfg.TTL == 0 {
		return
	}
	// The spread keeps nodes and requesters from asking in step.
	life := time.Duration(float64(c.cfg.TTL) * (0.9 + 0.1*rand.Float64()))
	e := &entry{gen: gen, key: key, until: time.Now().Add(life)}
	e.timer = time.AfterFunc(life, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if now, ok := c.entries.peek(id); ok && now == e {
			c.entries.delete(id)
			c.metrics.evicted.WithLabelValues(byExpiry).Inc()
		}
	})
	if old, ok := c.entries.peek(id); ok {
		old.timer.Stop()
	}
	if old, dropped := c.entries.put(id, e); dropped {
		old.timer.Stop()
		c.metrics.evicted.WithLabelValues(byCapacity).Inc()
	}
}

// evict drops the entries that match. c.mu is held.
func (c *Cache) evict(cause string, match func(*entry) bool) int {
	n := c.entries.deleteFunc(func(e *entry) bool {
		if !match(e) {
			return false
		}
		e.timer.Stop()
		return true
	})
	c.metrics.evicted.WithLabelValues(cause).Add(float64(n))
	return n
}

func (c *Cache) held() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return float64(c.entries.len())
}

// flight is one request under way, for whoever waits on done. The leader began
// it; the fields below done are set before done is closed.
type flight struct {
	leader iam.Requester
	bucket [16]byte
	keyARN string
	spoilt bool // a flush or key event came meanwhile: do not keep the result; guarded by Cache.mu

	done   chan struct{}
	window *window // of a flight for the current generation
	key    any     // *Sealer or *Opener; nil when no key had to be opened
	err    error
}

var (
	errPatience = errors.New("bucketkey: waited too long")
	errClosed   = errors.New("bucketkey: cache is closed")
)

// launch runs do in a goroutine that outlives the caller's cancellation but not
// its own time limit, nor the cache. c.mu is held and the cache open.
func (c *Cache) launch(ctx context.Context, do func(context.Context)) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), patience, errPatience)
	stop := context.AfterFunc(c.life, cancel)
	c.flying.Go(func() {
		defer cancel()
		defer stop()
		do(ctx)
	})
}

// wait returns nil when the flight has ended.
func (c *Cache) wait(ctx context.Context, f *flight) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return c.late(ctx, ctx.Err())
	}
}

// late turns the end of ctx into a fault, unless it was the caller who gave up. A
// fault that happened before stays what it is.
func (c *Cache) late(ctx context.Context, err error) error {
	if _, ok := fault.As(err); ok {
		return err
	}
	switch {
	case c.life.Err() != nil:
		return fault.New(Unavailable, "").Because(errClosed)
	case context.Cause(ctx) == errPatience:
		return fault.New(Unavailable, "").Because(err)
	}
	return err
}

// coldSealer is Sealer for who holds no proof, or is denied.
func (c *Cache) coldSealer(ctx context.Context, by iam.Caller, id pointerID, k ForWrite, denial error, held bool) (*Sealer, error) {
	if denial != nil {
		return nil, c.refuse(ctx, by, denial, held, func(ctx context.Context) (secret.Bytes, error) {
			c.asks(kms.Generate, k.Bucket.UID, k.KeyARN)
			key, _, err := c.keys.GenerateDataKey(ctx, by, k.KeyARN, k.Context, "")
			return key, err
		})
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	w, s, err := c.current(ctx, by, id, k)
	if s != nil || err != nil {
		return s, err
	}
	return unwrap(ctx, c, by, kms.Generate, w.gen, func(aead *secret.AEAD, event string) *Sealer {
		return &Sealer{window: w, aead: aead, event: event, account: c.spends(by)}
	})
}

// coldOpener is Opener for who holds no proof, or is denied.
func (c *Cache) coldOpener(ctx context.Context, by iam.Caller, gen *Generation, denial error, held bool) (*Opener, error) {
	if denial != nil {
		return nil, c.refuse(ctx, by, denial, held, func(ctx context.Context) (secret.Bytes, error) {
			gen.tally.ask(kms.Decrypt)
			return c.keys.OpenBucketKey(ctx, by, kms.Decrypt, gen.KeyARN, gen.blob, gen.Context, gen.ID.String())
		})
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	return unwrap(ctx, c, by, kms.Decrypt, gen, func(aead *secret.AEAD, event string) *Opener {
		return &Opener{gen: gen, aead: aead, event: event, account: c.spends(by)}
	})
}

// unwrap returns the key under gen for a requester who proves class: from an entry
// that came meanwhile, from a flight under way for the same requester and class,
// or by a request of its own.
func unwrap[K *Sealer | *Opener](ctx context.Context, c *Cache, by iam.Caller, class kms.Class, gen *Generation, typed func(aead *secret.AEAD, event string) K) (K, error) {
	id := entryID{gen.ID, by.Requester(), class}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, fault.New(Unavailable, "").Because(errClosed)
	}
	if key := warm[K](c, id, time.Now()); key != nil {
		c.mu.Unlock()
		c.avoid(class, gen, c.spends(by))
		return key, nil
	}
	f, shared := c.unwrapping[id]
	if !shared {
		if err := c.mayAsk(by.Account); err != nil {
			c.mu.Unlock()
			return nil, err
		}
		f = &flight{leader: id.who, bucket: gen.Bucket, keyARN: gen.KeyARN, done: make(chan struct{})}
		if c.cfg.TTL > 0 { // else every request asks for itself
			c.unwrapping[id] = f
		}
		c.launch(ctx, func(ctx context.Context) {
			ctx, event := audit.Naming(ctx)
			aead, err := c.open(ctx, by, class, gen)
			if err == nil {
				f.key = typed(aead, event)
			}
			f.err = err
			c.mu.Lock()
			if err == nil && !f.spoilt {
				c.keep(id, gen, f.key)
			}
			if c.unwrapping[id] == f {
				delete(c.unwrapping, id)
			}
			c.mu.Unlock()
			close(f.done)
		})
	}
	c.mu.Unlock()
	if err := c.wait(ctx, f); err != nil {
		return nil, err
	}
	if f.err != nil {
		return nil, f.err
	}
	if shared {
		c.avoid(class, gen, c.spends(by))
	}
	return f.key.(K), nil
}

// open makes the KMS request that opens a generation's key for a requester. The
// key itself does not leave this function.
func (c *Cache) open(ctx context.Context, by iam.Caller, class kms.Class, gen *Generation) (*secret.AEAD, error) {
	gen.tally.ask(class)
	key, err := c.keys.OpenBucketKey(ctx, by, class, gen.KeyARN, gen.blob, gen.Context, gen.ID.String())
	if err != nil {
		return nil, c.refused(ctx, by.Account, err)
	}
	aead, err := gen.wrapper(key)
	if err != nil {
		return nil, err
	}
	c.metrics.unwrapped(class)
	return aead, nil
}

// refuse returns the denial of a check. Where the requester held no proof S3 would
// have asked the KMS, whose record of the refusal is what an auditor looks for; so
// the request is made, by itself and for nobody else, and a key that it brings
// against all expectation is wiped.
func (c *Cache) refuse(ctx context.Context, by iam.Caller, denial error, held bool, ask func(context.Context) (secret.Bytes, error)) error {
	if held || errors.Is(denial, kms.Unavailable) || errors.Is(denial, kms.KeyUnavailable) {
		return denial
	}
	c.mu.Lock()
	silent := c.closed || c.mayAsk(by.Account) != nil
	c.mu.Unlock()
	if silent {
		return denial
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	key, err := ask(ctx)
	if err != nil {
		_ = c.refused(ctx, by.Account, err) // for the breaker; the denial says why
		if event := audit.EventOf(err); event != "" {
			denial = audit.Recorded(denial, event)
		}
	}
	key.Clear()
	return denial
}

// mayAsk refuses while the breaker of the account is open. c.mu is held.
func (c *Cache) mayAsk(account string) error {
	until, ok := c.slowUntil[account]
	if !ok {
		return nil
	}
	if !time.Now().Before(until) {
		delete(c.slowUntil, account)
		return nil
	}
	return fault.New(Throttled, "").Because(fmt.Errorf("account %s waits until %v", account, until))
}

// refused notes what an error of the key service means for the next requests. The
// quota of a KMS is the calling account's, so the breaker is too.
func (c *Cache) refused(ctx context.Context, account string, err error) error {
	if c.cfg.Throttled != nil && c.cfg.Throttled(err) {
		now := time.Now()
		c.mu.Lock()
		defer c.mu.Unlock()
		for other, until := range c.slowUntil {
			if !now.Before(until) {
				delete(c.slowUntil, other)
			}
		}
		c.slowUntil[account] = now.Add(time.Duration(float64(breakFor) * (0.8 + 0.4*rand.Float64())))
		return err
	}
	if ctx.Err() != nil {
		return c.late(ctx, err)
	}
	return err
}
