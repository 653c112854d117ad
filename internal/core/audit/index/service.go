// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/secret"
)

// Dir is the directory of the index in that of the trail.
const Dir = "index"

// Consumer is the name under which the index holds the trail.
const Consumer = "index"

// Config is what an Index needs besides the trail. The zero value works.
type Config struct {
	FS      vfs.FS                // the trail's; default: the operating system's
	Metrics prometheus.Registerer // default: none
	Log     *slog.Logger          // default: none
	// TokenKey authenticates paging tokens. Default: one of this Index's own, whose
	// tokens end with it.
	TokenKey secret.Bytes
}

// Index searches a trail. All methods are safe for concurrent use.
type Index struct {
	fs       vfs.FS
	trail    *audit.Trail // nil: nobody writes it
	dir, own string       // of the trail, of the index
	log      *slog.Logger
	metrics  metrics
	tokenKey secret.Bytes
	slots    chan struct{} // of searches at the same time
	again    chan struct{} // an index file is gone
	busy     int64         // busyBytes
	tooFar   int64         // maxBehind
	perBlock int           // blockRecords

	mu    sync.RWMutex
	files map[string]*file // by segment
	cur   *building        // nil: nothing is indexed in memory
}

// building is a segment that is indexed in memory. Index.mu guards it.
type building struct {
	segment string
	to      int64 // up to where
	done    []*built
	live    *builder
}

// built is a block in memory. It does not change.
type built struct {
	block
	data []byte
}

// maxSearches is how many pages are searched for at the same time; others wait.
const maxSearches = 4

// Open opens the index of a trail whose files are in dir. What is missing or damaged of
// it is made by Run; until then searches read the trail itself.
func Open(trail *audit.Trail, dir string, cfg Config) (*Index, error) {
	x, err := open(trail, dir, cfg)
	if err != nil {
		return nil, err
	}
	if err := x.fs.MkdirAll(x.own, 0o700); err != nil {
		return nil, fmt.Errorf("audit/index: %w", err)
	}
	if err := syncDir(x.fs, x.dir); err != nil {
		return nil, fmt.Errorf("audit/index: %w", err)
	}
	if err := x.load(true); err != nil {
		return nil, err
	}
	return x, x.hold()
}

// hold keeps what is not indexed from being removed.
func (x *Index) hold() error {
	segments, err := x.segments()
	if err != nil {
		return err
	}
	at := x.trail.Head()
	for _, segment := range segments {
		if segment <= at.Segment && x.files[segment] == nil {
			at = audit.Position{Segment: segment}
		}
	}
	x.trail.Hold(Consumer, at)
	return nil
}

// Files opens what a stopped server's trail in dir has of an index, to search. It changes
// nothing there.
func Files(dir string) (*Index, error) {
	x, err := open(nil, dir, Config{})
	if err != nil {
		return nil, err
	}
	return x, x.load(false)
}

func open(trail *audit.Trail, dir string, cfg Config) (*Index, error) {
	x := &Index{
		fs: cfg.FS, trail: trail, dir: dir, log: cfg.Log, tokenKey: cfg.TokenKey,
		slots: make(chan struct{}, maxSearches), again: make(chan struct{}, 1), busy: busyBytes, tooFar: maxBehind, perBlock: blockRecords, files: map[string]*file{},
	}
	if x.fs == nil {
		x.fs = vfs.Default
	}
	if x.log == nil {
		x.log = slog.New(slog.DiscardHandler)
	}
	if x.tokenKey.Len() == 0 {
		key := make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return nil, err
		}
		x.tokenKey = secret.New(key)
	}
	x.own = x.fs.PathJoin(dir, Dir)
	x.metrics = newMetrics(cfg.Metrics, x)
	return x, nil
}

// load reads the heads of the index files. With tidy it removes what is none, or of a
// segment that is gone or is not what it was.
func (x *Index) load(tidy bool) error {
	names, err := x.fs.List(x.own)
	if errors.Is(err, iofs.ErrNotExist) && !tidy {
		return nil
	}
	if err != nil {
		return fmt.Errorf("audit/index: list %s: %w", x.own, err)
	}
	for _, name := range names {
		segment, ok := segmentOf(name)
		switch {
		case ok:
			f, err := x.loadFile(segment)
			if err == nil {
				x.files[segment] = f
				continue
			}
			if !errors.Is(err, errDamaged) && !errors.Is(err, iofs.ErrNotExist) {
				return err
			}
			if errors.Is(err, errDamaged) {
				x.log.Warn("audit index file is made again", "file", name, "error", err)
			}
		case !strings.HasSuffix(name, tempSuffix):
			continue // somebody else's
		}
		if tidy {
			if err := x.fs.Remove(x.fs.PathJoin(x.own, name)); err != nil && !errors.Is(err, iofs.ErrNotExist) {
				return fmt.Errorf("audit/index: %w", err)
			}
		}
	}
	return nil
}

func (x *Index) loadFile(segment string) (*file, error) {
	info, err := x.fs.Stat(x.fs.PathJoin(x.dir, segment))
	if err != nil {
		return nil, err
	}
	f, err := openFile(x.fs, x.fs.PathJoin(x.own, segment+fileSuffix), segment)
	if err == nil && f.covers != info.Size() {
		err = fmt.Errorf("%w: %s has changed", errDamaged, segment)
	}
	return f, err
}

const (
	indexEvery = time.Second      // so that records come together
	retryEvery = 10 * time.Second // after a failure

	busyBytes = 8 << 20   // of records in indexEvery: then requests go first
	maxBehind = 128 << 20 // until so much is behind
)

// Run indexes the trail as it is written, until ctx is done. While there are many
// requests it lets them go first: what is not indexed is read by searches.
func (x *Index) Run(ctx context.Context) {
	for ctx.Err() == nil {
		at, err := x.Step(ctx)
		if err == nil {
			err = x.await(ctx, at)
		}
		if err != nil && ctx.Err() == nil {
			x.log.Error("the audit index is behind: searches read the trail itself", "error", err)
			x.trail.Failed(Consumer)
			pause(ctx, retryEvery)
			continue
		}
		x.giveWay(ctx, at)
	}
}

// giveWay returns when it is time to go on from a position.
func (x *Index) giveWay(ctx context.Context, at audit.Position) {
	for behind := int64(0); ; {
		pause(ctx, indexEvery)
		now, err := x.trail.Behind(at)
		if ctx.Err() != nil || err != nil || now-behind < x.busy || now >= x.tooFar {
			return
		}
		behind = now
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// await waits for something to index behind a position.
func (x *Index) await(ctx context.Context, at audit.Position) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		select {
		case <-x.again:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := x.trail.Await(ctx, at)
	cancel()
	<-woken
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// Step indexes what there is, and returns the position to which it has come. Run calls
// it; it is for one caller at a time.
func (x *Index) Step(ctx context.Context) (audit.Position, error) {
	head := x.trail.Head()
	segments, err := x.segments()
	if err != nil {
		return audit.Position{}, err
	}
	x.tidy(segments)
	for _, segment := range segments {
		if segment > head.Segment {
			break
		}
		if x.has(segment) {
			continue
		}
		at, err := x.index(ctx, segment)
		x.trail.Hold(Consumer, at)
		if err == nil && segment < head.Segment {
			err = x.finish()
		}
		if err != nil {
			return at, err
		}
	}
	x.trail.Hold(Consumer, head)
	return head, nil
}

func (x *Index) has(segment string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.files[segment] != nil
}

// errNextSegment ends the reading of a segment.
var errNextSegment = errors.New("audit/index: the segment has ended")

// index indexes in memory what is durable of a segment.
func (x *Index) index(ctx context.Context, segment string) (audit.Position, error) {
	x.mu.Lock()
	if x.cur == nil || x.cur.segment != segment {
		x.cur = &building{segment: segment, live: newBuilder(0)}
	}
	cur := x.cur
	at := audit.Position{Segment: segment, Offset: cur.to}
	x.mu.Unlock()
	var f facts
	taken := 0
	next, err := x.trail.Consume(ctx, at, func(l audit.Line) error {
		if l.At.Segment != segment {
			return errNextSegment
		}
		f.of(l.JSON)
		x.mu.Lock()
		defer x.mu.Unlock()
		x.add(cur, l.At.Offset, l.Next.Offset, &f)
		taken++
		return nil
	})
	x.trail.Took(Consumer, taken)
	if errors.Is(err, errNextSegment) {
		err = nil
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	if next.Segment != segment {
		next = audit.Position{Segment: segment, Offset: cur.to}
	}
	return next, err
}

// add adds a record to what is indexed in memory. mu is held.
func (x *Index) add(cur *building, offset, next int64, f *facts) {
	if len(cur.live.offsets) >= x.perBlock {
		cur.seal()
	}
	if f.ok {
		cur.live.add(offset, next, f)
	}
	cur.to = next
}

// seal makes a block of the live builder, and begins another one.
func (c *building) seal() {
	m, data := c.live.block()
	b := &built{m, data}
	c.done = append(c.done, b)
	c.live.sealed = b
	c.live = c.live.next(c.to)
}

// finish writes the index file of the segment in memory, which is not written any more.
func (x *Index) finish() error {
	info, err := x.fs.Stat(x.fs.PathJoin(x.dir, x.cur.segment))
	if errors.Is(err, iofs.ErrNotExist) { // removed since
		x.mu.Lock()
		x.cur = nil
		x.mu.Unlock()
		return nil
	}
	if err != nil {
		return fmt.Errorf("audit/index: %w", err)
	}
	x.mu.Lock()
	cur := x.cur
	if len(cur.live.offsets) > 0 {
		cur.seal()
	}
	f := &file{segment: cur.segment, covers: info.Size()}
	var data [][]byte
	for _, b := range cur.done {
		f.blocks = append(f.blocks, b.block)
		data = append(data, b.data)
	}
	x.mu.Unlock()
	if err := writeFile(x.fs, x.own, f, data); err != nil {
		return fmt.Errorf("audit/index: write the index of %s: %w", f.segment, err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.files[f.segment], x.cur = f, nil
	return nil
}

// tidy removes the index files of segments that are gone.
func (x *Index) tidy(segments []string) {
	var gone []string
	x.mu.Lock()
	for segment := range x.files {
		if _, ok := slices.BinarySearch(segments, segment); !ok {
			gone = append(gone, segment)
			delete(x.files, segment)
		}
	}
	x.mu.Unlock()
	for _, segment := range gone {
		_ = x.fs.Remove(x.fs.PathJoin(x.own, segment+fileSuffix)) // a start tries again
	}
}

// damaged drops an index file that is not as it was written; Run makes it again.
func (x *Index) damaged(f *file, err error) {
	x.mu.Lock()
	ours := x.files[f.segment] == f
	if ours {
		delete(x.files, f.segment)
	}
	x.mu.Unlock()
	if ours && x.trail != nil {
		x.log.Warn("audit index file is made again", "file", f.segment+fileSuffix, "error", err)
		select {
		case x.again <- struct{}{}:
		default:
		}
	}
}

// segments returns the names of the trail's files, oldest first.
func (x *Index) segments() ([]string, error) { return audit.Segments(x.fs, x.dir) }

// head returns up to where the trail can be searched.
func (x *Index) head(segments []string) audit.Position {
	if x.trail != nil {
		return x.trail.Head()
	}
	if len(segments) == 0 {
		return audit.Position{}
	}
	return audit.Position{Segment: segments[len(segments)-1], Offset: maxTime}
}
