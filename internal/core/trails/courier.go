// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/cofferstore/coffer/internal/background"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Journal is the audit trail that is delivered from (audit.Trail).
type Journal interface {
	Consume(ctx context.Context, at audit.Position, fn func(audit.Line) error) (audit.Position, error)
	Await(ctx context.Context, at audit.Position) error
	Head() audit.Position
	Anchor() audit.Anchor
	Hold(name string, at audit.Position)
	Release(name string)
	Took(name string, records int)
	Failed(name string)
}

// Writer writes into customers' buckets (delivery.Writer).
type Writer interface {
	Put(ctx context.Context, by iam.Caller, in object.Put, keys policy.Context) (object.Stored, error)
}

// CourierConfig is what a Courier needs besides what it stands between. Only Name must
// be set.
type CourierConfig struct {
	// Name is S3's name of an error: trails tell it as LatestDeliveryError.
	Name func(err error) (code, message string)
	// Every is how long the first event of a file waits for others. Default: 5 minutes.
	Every time.Duration
	// DigestEvery is the time that a digest covers. Default: an hour.
	DigestEvery time.Duration
	// MaxFile is the size of a file before it is compressed. Default: 50 MB.
	MaxFile int64
	Log     *slog.Logger // default: none
}

const (
	defaultEvery   = 5 * time.Minute
	defaultMaxFile = 50_000_000

	// atOnce bounds the files that are written at a time, of all trails: each is
	// compressed while it is put, so this bounds the memory, too.
	atOnce = 4
	// perSecond bounds how many bytes of the audit trail all trails together read: who
	// catches up leaves the device and the processor to the requests.
	perSecond = 64 << 20

	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
	poll       = time.Minute // for trails that were changed without a hint
)

// Courier delivers the log files and digests of all trails. Each trail has a loop of its
// own, which reads the audit trail's files behind the requests, at the pace of its bucket:
// what cannot be delivered waits, in its order, and nothing is dropped.
type Courier struct {
	service *Service
	store   meta.Store
	journal Journal
	writer  Writer
	signer  *Signer
	cfg     CourierConfig

	writing chan struct{} // a place for each file that is being written
	reading *rate.Limiter

	mu    sync.Mutex
	loops map[string]*loop // by the trails' ids
}

// NewCourier returns a courier. Run makes it work.
func NewCourier(service *Service, journal Journal, writer Writer, signer *Signer, cfg CourierConfig) *Courier {
	cfg.Every = cmp.Or(cfg.Every, defaultEvery)
	cfg.DigestEvery = cmp.Or(cfg.DigestEvery, time.Hour)
	cfg.MaxFile = cmp.Or(cfg.MaxFile, defaultMaxFile)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Courier{
		service: service, store: service.store, journal: journal, writer: writer, signer: signer, cfg: cfg,
		writing: make(chan struct{}, atOnce), reading: rate.NewLimiter(perSecond, 4<<20), loops: map[string]*loop{},
	}
}

// Run delivers until ctx is done.
func (c *Courier) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { c.hear(ctx) })
	changed := c.service.Changed(ctx)
	// Until it is known what each trail has yet to deliver, all stays.
	c.journal.Hold(unknown, audit.Position{})
	for {
		if err := c.reconcile(ctx, &all); err == nil {
			c.journal.Release(unknown)
		} else if ctx.Err() == nil {
			c.cfg.Log.Error("look for trails to deliver", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(poll):
		case _, ok := <-changed:
			if !ok {
				changed = nil // the store is closed: ctx ends soon
			}
		}
	}
}

// unknown is the consumer that holds the audit trail for trails that could not be read
// since the start.
const unknown = "trails"

// hear wakes the loops that failed when something has changed that their success may
// depend on: buckets, their policies, KMS keys.
func (c *Courier) hear(ctx context.Context) {
	buckets, policies, keys := c.store.Watch(ctx, []byte("bu/")), c.store.Watch(ctx, []byte("bp/")), c.store.Watch(ctx, []byte("k/epoch"))
	for {
		ok := true
		select {
		case <-ctx.Done():
			return
		case _, ok = <-buckets:
		case _, ok = <-policies:
		case _, ok = <-keys:
		}
		if !ok {
			return
		}
		c.wake(func(l *loop) bool { return l.failing.Load() })
		select { // buckets may change a lot
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// wake lets loops try at once what they wait for.
func (c *Courier) wake(which func(*loop) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.loops {
		if which(l) {
			l.wake()
		}
	}
}

// reconcile begins a loop for every trail that has something to deliver, tells those that
// there are of changes, and ends those of trails that are gone. One that cannot be read
// keeps no other from being delivered.
func (c *Courier) reconcile(ctx context.Context, all *sync.WaitGroup) error {
	trails, failed := c.service.Trails(ctx)
	if failed == nil {
		there := make(map[string]bool, len(trails))
		for i := range trails {
			there[trails[i].ID] = true
		}
		failed = c.forget(ctx, there)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range trails {
		if l := c.loops[t.ID]; l != nil {
			l.changed(&t)
			continue
		}
		l, err := c.begin(ctx, t)
		failed = errors.Join(failed, err)
		if l == nil {
			continue
		}
		c.loops[t.ID] = l
		all.Go(func() {
			background.Do(func() { l.run(ctx) })
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.loops, l.id)
			if l.released() && !c.running(l.name) {
				c.journal.Release(l.name)
			}
		})
	}
	return failed
}

// running reports, with mu held, whether there is a loop of that name: a trail may have
// been made again before the loop of the one that was deleted ended.
func (c *Courier) running(name string) bool {
	for _, l := range c.loops {
		if l.name == name {
			return true
		}
	}
	return false
}

// begin returns the loop of a trail, or nil for one that has nothing to deliver.
func (c *Courier) begin(ctx context.Context, t Trail) (*loop, error) {
	d, err := c.service.Delivery(ctx, &t)
	if err != nil {
		return nil, err
	}
	if t.Started.IsZero() {
		return nil, nil // it never logged
	}
	if begins := t.begins(); d.Pending == nil && d.Position.Before(begins) {
		d.Position = begins // what is before it was not wanted
	}
	l := newLoop(c, t, d)
	if l.finished() {
		return nil, nil
	}
	c.journal.Hold(l.name, d.Position)
	return l, nil
}

// forget ends the loops of trails that are gone, and removes what is kept of their files.
func (c *Courier) forget(ctx context.Context, there map[string]bool) error {
	c.mu.Lock()
	for id, l := range c.loops {
		if !there[id] {
			l.end()
		}
	}
	c.mu.Unlock()
	after := []byte(fileRows)
	for {
		page, err := c.store.Scan(ctx, meta.Range{Start: after, End: meta.PrefixEnd([]byte(fileRows)), Limit: 1, KeysOnly: true})
		if err != nil || len(page.Items) == 0 {
			return err
		}
		id, ok := trailOfFile(page.Items[0].Key)
		rows := []byte(fileRows + id + "/")
		if !ok {
			return errors.New("trails: row of a file without its trail")
		}
		if !there[id] {
			if err := c.dropFiles(ctx, rows, meta.PrefixEnd(rows)); err != nil {
				return err
			}
		}
		after = meta.PrefixEnd(rows)
	}
}

// dropFiles removes rows of files, some at a time.
func (c *Courier) dropFiles(ctx context.Context, from, to []byte) error {
	for {
		page, err := c.store.Scan(ctx, meta.Range{Start: from, End: to, KeysOnly: true})
		if err != nil || len(page.Items) == 0 {
			return err
		}
		var b meta.Batch
		for _, item := range page.Items {
			b.Delete(item.Key)
		}
		if _, err := c.store.Commit(ctx, &b); err != nil {
			return err
		}
	}
}
