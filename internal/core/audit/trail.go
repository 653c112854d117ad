// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Unavailable: the record could not be made durable, so the call that it tells
// of must not be answered as done.
const Unavailable fault.Kind = "audit: trail unavailable"

const (
	defaultMaxSize = 64 << 20
	// syncDelay is how long a record that need not be durable at once waits
	// for others. It leaves half of the promised second to the sync itself.
	syncDelay = 500 * time.Millisecond
)

// Config is what a Trail needs besides its directory. The zero value works.
type Config struct {
	FS      vfs.FS                // default: the operating system's; files must bear Sync beside Write
	MaxSize int64                 // of a file in bytes; default 64 MiB
	Metrics prometheus.Registerer // default: none
	Log     *slog.Logger          // default: none
	// Off makes a trail that takes records and keeps none, for measurements.
	Off bool
	// Journal is where records become durable before the files are. Without it a
	// record that must be durable waits for a sync of its file.
	Journal meta.Store
	// Region and Account are those of the records that the trail makes of itself.
	Region, Account string
	// Limits are those of Retain.
	Limits Limits
	// Relaxed trails take note of the calls that they cannot record, and do not fail them.
	Relaxed bool
}

// Trail appends records to the files of one directory. All methods are safe for
// concurrent use. A directory must have one Trail at a time.
//
// A file holds one JSON record a line. A new one is begun at every Open, every
// hour, at MaxSize, and after an error, so that what follows a torn line is
// never read as its continuation.
type Trail struct {
	fs              vfs.FS
	dir             string
	dirFile         vfs.File
	max             int64
	log             *slog.Logger
	metrics         metrics
	journal         meta.Store
	off             bool
	region, account string

	limits  Limits
	relaxed bool
	reading sync.RWMutex // by those who read all files: none is removed

	heldTold   time.Time // of Retain
	missedTold time.Time // with mu
	lateTold   time.Time // with mu

	dirty   chan struct{} // something waits for a sync that nobody asked for
	leaving chan struct{} // something was left to be written
	stop    chan struct{}
	done    chan struct{}

	mu       sync.Mutex
	ended    sync.Cond  // on mu: a write or a sync has ended
	last     time.Time  // in the newest file's name
	active   *segment   // nil after an error
	firstOwn string     // name of the first file that this Trail has begun, "" before
	retired  []*segment // not written any more, not yet synced and closed
	open     []*segment // those of which something may not be durable yet, oldest first
	// advanced is closed, and made again, when more of the trail has become durable.
	advanced  chan struct{}
	holds     map[string]Position // how far consumers have come
	waiting   *lines              // to be written next; nil when there are none
	writing   *segment            // the file that is being written
	written   *lines              // to it
	spare     lines               // memory for lines
	chain     Chain               // value of the last line written
	records   int64               // with a value
	chainer   chainer             // of the one who writes
	settledAt Anchor              // the durable head of the files that are not in open
	cut       *Cut                // where the trail begins since files were dropped
	doubted   string              // the first file that could not be synced
	missing   gap                 // calls that were served without a record
	saying    int64               // how many more, of which the record is being made
	noted     Anchor              // what the metadata store knows of the head; of the background alone
	notedAt   time.Time
	toSay     []Record    // of the start, that are still to be recorded
	late      []joined    // in the journal, and not yet in a file
	catching  *catchingUp // by somebody who writes those
	settled   [][]byte    // rows of the journal that can go
	syncing   bool
	closed    bool
}

// Open makes the directory if need be and begins a file. A line that a crash tore
// is reported to the log and left as it is; readers pass over it. What the journal
// has and no file is written to one. Close the trail to release it.
func Open(ctx context.Context, dir string, cfg Config) (*Trail, error) {
	t := &Trail{
		fs: cfg.FS, dir: dir, max: cfg.MaxSize, log: cfg.Log, metrics: newMetrics(cfg.Metrics), journal: cfg.Journal,
		dirty: make(chan struct{}, 1), leaving: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		advanced: make(chan struct{}), holds: map[string]Position{}, chainer: newChainer(),
		region: cfg.Region, account: cfg.Account, off: cfg.Off, limits: cfg.Limits, relaxed: cfg.Relaxed,
	}
	t.ended.L = &t.mu
	if t.fs == nil {
		t.fs = vfs.Default
	}
	if t.max <= 0 {
		t.max = defaultMaxSize
	}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	if err := t.prepare(ctx); err != nil {
		return nil, fmt.Errorf("audit: open trail %s: %w", dir, err)
	}
	if t.journal != nil {
		if err := t.recover(ctx); err != nil {
			t.end()
			return nil, errors.Join(fmt.Errorf("audit: open trail %s: %w", dir, err), t.dirFile.Close())
		}
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(lags{t})
	}
	t.sayStarted(ctx)
	go t.writer()
	go t.background()
	return t, nil
}

func (t *Trail) prepare(ctx context.Context) error {
	if err := t.fs.MkdirAll(t.dir, 0o700); err != nil {
		return err
	}
	parent, err := t.fs.OpenDir(t.fs.PathDir(t.dir))
	if err != nil {
		return err
	}
	if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
		return err
	}
	names, err := listSegments(t.fs, t.dir)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		newest := names[len(names)-1]
		t.last, _ = parseName(newest)
		torn, err := tornBytes(t.fs, t.fs.PathJoin(t.dir, newest))
		if err != nil {
			return err
		}
		if torn > 0 {
			t.log.Warn("audit file ends in a torn line", "file", newest, "bytes", torn)
		}
	}
	if err := t.continueChain(ctx, names); err != nil {
		return err
	}
	if t.dirFile, err = t.fs.OpenDir(t.dir); err != nil {
		return err
	}
	if err := t.begin(); err != nil {
		_ = t.dirFile.Close()
		return err
	}
	if t.settledAt.Segment == "" {
		t.settledAt = Anchor{Position{Segment: t.active.name}, t.chain, t.records}
	}
	return nil
}

// lineMemory is memory of typicalLine for lines.
var lineMemory = sync.Pool{New: func() any { b := make([]byte, 0, typicalLine); return &b }}

// Append writes the record, with its version, its id and, where it has none, its
// time filled in. The record is in the file when Append returns, and outlives a crash of
// the machine within a second; with durable it does so at once. Concurrent durable appends
// share one sync; with a journal, that of the store's commits, and then the record comes
// into the file in a while: see Flush.
//
// The end of ctx does not stop an append: what was done is recorded, also for a
// client that has gone. Error: Unavailable; the record may then be in the file
// all the same. A relaxed trail returns none until it is closed.
func (t *Trail) Append(ctx context.Context, r Record, durable bool) error {
	if t.off {
		return nil
	}
	var memory []byte
	if !durable { // it is copied to be written, and not kept
		spare := lineMemory.Get().(*[]byte)
		defer lineMemory.Put(spare)
		memory = *spare
	}
	line, err := encodeIn(memory, &r)
	if err != nil {
		t.metrics.failures.Inc()
		return err
	}
	if durable && t.journal != nil {
		err = t.appendJournaled(ctx, r.EventID, line)
	} else {
		err = t.append(line, durable)
	}
	if err != nil {
		err = t.relax(ctx, r.EventID, line, durable, err)
	}
	if err != nil {
		t.metrics.failures.Inc()
		return fault.New(Unavailable, "").Because(err)
	}
	t.metrics.byKind[kindOf(&r)].Inc()
	return nil
}

func (t *Trail) append(line []byte, durable bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, number, err := t.write(line)
	if err != nil {
		return err
	}
	if !durable {
		t.wake()
		return nil
	}
	if err := t.syncTo(s, number); err != nil {
		return inFile{err}
	}
	return nil
}

// inFile is the error of a line that was written and may not be durable.
type inFile struct{ error }

func (e inFile) Unwrap() error { return e.error }

// Close makes everything durable and releases the files. Later appends fail. It
// returns an error when records may be lost.
func (t *Trail) Close() error {
	t.sayMissed()
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	err := t.catchUp()
	t.closed = true
	t.mu.Unlock()
	close(t.stop)
	<-t.done

	last := t.end()
	t.forget()
	t.noteClosed()
	if last != nil {
		err = errors.Join(err, last.err)
		if last.size == 0 {
			_ = t.fs.Remove(t.fs.PathJoin(t.dir, last.name))
		}
	}
	return errors.Join(err, t.dirFile.Close())
}

// end syncs what there is and returns the file that was active.
func (t *Trail) end() (last *segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.waiting != nil { // lines of appends that began before the end
		if t.writing != nil {
			t.ended.Wait()
		} else {
			t.writeOut()
		}
	}
	if last = t.active; last != nil {
		t.retire()
	}
	t.settle()
	return last
}
