// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/blob"
)

// pack is one pack file. What is kept of it in memory does not grow with the
// streams in it.
type pack struct {
	set  *packs
	id   uint64
	path string

	syncs groupSync // of the data

	// change is held while frames are counted or erased, and while the file is
	// removed. It is taken before mu.
	change sync.Mutex

	mu     sync.Mutex
	file   vfs.File // nil while nobody holds the pack and it was closed
	holds  int
	frames map[int64]*motion // by offset: frames that something is being done to
	full   bool              // takes no more frames
	gone   bool              // the file was removed

	// What List has counted, or this process since it began the pack.
	counted bool
	streams int64
	bytes   int64 // room of the streams' frames
	size    int64 // length of the file
}

// motion is what is being done to a frame.
type motion struct {
	writing bool // not durable yet
	doomed  bool // deleted: goes with its last reader
	readers int
}

// hold keeps the file open until letGo. NotFound: the file is not there.
func (p *pack) hold() (vfs.File, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.holdLocked()
}

func (p *pack) holdLocked() (vfs.File, error) {
	if p.gone {
		return nil, fault.New(blob.NotFound, "")
	}
	if p.file == nil {
		f, err := p.set.fs.Open(p.path)
		if missing(err) {
			return nil, fault.New(blob.NotFound, "")
		}
		if err != nil {
			return nil, failure(err, "open pack %q", p.path)
		}
		p.file = f
		p.set.open.Add(1)
	}
	p.holds++
	return p.file, nil
}

func (p *pack) letGo() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds--
	p.closeIdle()
}

// closeIdle closes the file if nobody holds it and it is not to be kept. It needs
// mu.
func (p *pack) closeIdle() {
	if p.file == nil || p.holds > 0 {
		return
	}
	if p.gone || p.set.closed.Load() || p.set.open.Load() > maxOpen {
		_ = p.file.Close() // everything in it was synced, or given up
		p.file = nil
		p.set.open.Add(-1)
	}
}

// begin makes the caller a reader of the frame at an offset until end. NotFound:
// there is none, or none yet, or none any more.
func (p *pack) begin(off int64) (vfs.File, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.frames[off]
	if m != nil && (m.writing || m.doomed) {
		return nil, fault.New(blob.NotFound, "")
	}
	f, err := p.holdLocked()
	if err != nil {
		return nil, err
	}
	if m == nil {
		m = new(motion)
		p.frames[off] = m
	}
	m.readers++
	return f, nil
}

// leave ends what begin began, but for the hold on the file. It reports that the
// stream was deleted meanwhile and that the caller, its last reader, is to erase it.
func (p *pack) leave(off int64) (erase bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.frames[off]
	m.readers--
	if m.readers == 0 && !m.doomed {
		delete(p.frames, off)
	}
	return m.readers == 0 && m.doomed
}

// end is the end of a reader. The last one of a deleted stream erases it; should
// that fail, or the store be closed, the stream is back, as an orphan.
func (p *pack) end(off int64) {
	defer p.letGo()
	if !p.leave(off) {
		return
	}
	if !p.set.tryEnter() {
		p.still(off)
		return
	}
	defer p.set.leave()
	p.change.Lock()
	defer p.change.Unlock()
	_ = p.erase(off)
}

// doom lets nobody begin with a frame any more.
func (p *pack) doom(off int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frames[off].doomed = true
}

// still ends what is being done to a frame.
func (p *pack) still(off int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Where there is a hole already, somebody may have begun to look at it.
	if m := p.frames[off]; m != nil && m.doomed {
		delete(p.frames, off)
	}
}

// head reads and checks the header of a stream's frame. NotFound: there is none,
// or it was erased. Damaged: there is something else.
func (p *pack) head(f vfs.File, id blob.StreamID, at blob.Place) (frameHead, error) {
	h, state, err := p.headAt(f, at.Offset)
	switch {
	case err != nil:
		return h, err
	case state == erased:
		return h, errNotFound(id)
	case state == strange:
		return h, fault.New(blob.Damaged, "").Because(fmt.Errorf("stream %s: no frame at %d of pack %016x", id, at.Offset, p.id))
	case h.id != id || h.size != at.Size:
		return h, fault.New(blob.Damaged, "").Because(fmt.Errorf("stream %s of %d bytes: at %d of pack %016x there is stream %s of %d",
			id, at.Size, at.Offset, p.id, h.id, h.size))
	}
	return h, nil
}
