// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
)

const (
	indexEvery = time.Second      // so that records come together
	retryEvery = 10 * time.Second // after a failure
	readAgain  = 10 * time.Minute // a file that could not be read

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
		if err != nil && ctx.Err() == nil && segment < head.Segment {
			x.passOver(segment, err)
			continue
		}
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

// has reports whether nothing is to be done about a segment.
func (x *Index) has(segment string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	failed, ok := x.unread[segment]
	return x.files[segment] != nil || ok && time.Since(failed) < readAgain
}

// passOver leaves a segment that cannot be read to searches, so that it holds up neither
// the index of the others nor their removal.
func (x *Index) passOver(segment string, err error) {
	x.log.Error("an audit file cannot be indexed: searches read it themselves", "file", segment, "error", err)
	x.trail.Failed(Consumer)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.unread[segment], x.cur = time.Now(), nil
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
	next, err := x.trail.Skim(ctx, at, func(l audit.Line) error {
		if l.At.Segment != segment {
			return errNextSegment
		}
		if !f.of(l.JSON) {
			return audit.ErrNoRecord
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		x.add(cur, l.At.Offset, l.Next.Offset, &f)
		taken++
		return nil
	})
	x.trail.Took(Consumer, taken)
	if errors.Is(err, errNextSegment) || next.Segment > segment && ctx.Err() == nil {
		err = nil // what cannot be read is the next one
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
