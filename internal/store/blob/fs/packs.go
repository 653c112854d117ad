// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/blob"
)

const (
	packsName       = "packs"
	defaultPackSize = 64 << 20
	maxOpen         = 256 // packs kept open while nobody reads them
)

// packs is the directory of pack files. Streams are appended to a few active packs; one
// is begun when a stream needs it after a start, and given up when it is full or
// after an error.
type packs struct {
	store    *Store
	fs       vfs.FS
	dir      *directory
	trash    *directory
	punch    func(f vfs.File, off, n int64) error
	packSize int64
	frames   frames
	m        metrics

	open   atomic.Int64 // files
	closed atomic.Bool

	mu  sync.Mutex
	all map[uint64]*pack

	lanes [packLanes]lane
}

// packLanes is how many packs are appended to at a time. One alone syncs what many
// have written in one call, and meanwhile the disk waits for the next writers; with
// four of them BenchmarkPacks did twice as much, with more no better.
const packLanes = 4

// lane is where one pack after the other is appended to.
type lane struct {
	busy   atomic.Int64 // writers
	mu     sync.Mutex   // held to take room, and to begin a pack. Before any other lock
	active *pack        // nil until somebody needs one
	end    int64        // of the active one
}

func newPacks(store *Store, cfg Config) *packs {
	s := &packs{store: store, fs: store.fs, punch: cfg.Punch, packSize: cmp.Or(cfg.PackSize, defaultPackSize)}
	if s.punch == nil {
		s.punch = punchHole
	}
	s.frames.limit = min(cfg.PackLimit, maxPacked)
	if s.frames.limit <= 0 {
		s.frames.off.Store(true)
	}
	s.m = newMetrics(s, cfg.Metrics)
	return s
}

// tryEnter is the store's enter for what comes from without, maybe from inside a
// call: it does not wait.
func (s *packs) tryEnter() bool {
	if !s.store.mu.TryRLock() {
		return false
	}
	if s.store.closed {
		s.store.mu.RUnlock()
		return false
	}
	return true
}

func (s *packs) leave() { s.store.leave() }

// load finds the packs of former processes, by their names alone.
func (s *packs) load() error {
	names, err := s.fs.List(s.dir.path)
	if err != nil {
		return err
	}
	s.all = make(map[uint64]*pack, len(names))
	for _, name := range names {
		if id, ok := parsePackName(name); ok {
			p := s.newPack(id)
			p.full = true
			s.all[id] = p
		}
	}
	return nil
}

func (s *packs) newPack(id uint64) *pack {
	return &pack{set: s, id: id, path: s.fs.PathJoin(s.dir.path, packName(id)), frames: make(map[int64]*motion)}
}

func packName(id uint64) string { return fmt.Sprintf("%016x", id) }

func parsePackName(name string) (id uint64, ok bool) {
	id, err := strconv.ParseUint(name, 16, 64)
	return id, err == nil && id != 0 && packName(id) == name
}

func (s *packs) find(id uint64) *pack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[id]
}

func (s *packs) forget(p *pack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, p.id)
}

// from returns the packs with ids from first on, in order.
func (s *packs) from(first uint64) []*pack {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*pack
	for _, id := range slices.Sorted(maps.Keys(s.all)) {
		if id >= first {
			found = append(found, s.all[id])
		}
	}
	return found
}

// errNoPacks says that a stream must be a file of its own.
var errNoPacks = errors.New("no packs here")

// append writes a stream's frame and makes it durable. The error is errNoPacks, and
// nothing has been done, where no pack can be.
func (s *packs) append(id blob.StreamID, f *frame) (blob.Place, error) {
	n := room(f.size())
	l := s.idlest()
	defer l.busy.Add(-1)
	p, off, err := l.take(s, n)
	if err != nil {
		return blob.Place{}, err
	}
	defer p.letGo()
	b := f.seal(frameHead{pack: p.id, id: id, at: off, size: f.size(), written: time.Now().UnixMilli()})
	if _, err := p.file.WriteAt(b, off); err != nil {
		l.giveUp(p)
		p.abandon(off, n)
		return blob.Place{}, fmt.Errorf("write to pack %q: %w", p.path, err)
	}
	err = p.sync()
	p.mu.Lock()
	delete(p.frames, off)
	p.streams++ // if only as an orphan
	p.bytes += n
	p.mu.Unlock()
	if err != nil {
		l.giveUp(p)
		return blob.Place{}, fmt.Errorf("sync pack %q: %w", p.path, err)
	}
	s.m.packed.Inc()
	return blob.Place{Pack: p.id, Offset: off, Size: f.size()}, nil
}

// idlest returns the lane with the fewest writers, the first of them, and adds one:
// who writes alone appends to one pack.
func (s *packs) idlest() *lane {
	best := &s.lanes[0]
	for i := range s.lanes {
		if l := &s.lanes[i]; l.busy.Load() < best.busy.Load() {
			best = l
		}
	}
	best.busy.Add(1)
	return best
}

// take reserves n bytes of the lane's pack for the caller, who holds the pack from
// then on.
func (l *lane) take(s *packs, n int64) (*pack, int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.active; p != nil && l.end > pageSize && l.end+n > s.packSize {
		l.active = nil
		p.fill()
	}
	if l.active == nil {
		p, err := s.begin()
		if err != nil {
			return nil, 0, err
		}
		l.active, l.end = p, pageSize
	}
	p, off := l.active, l.end
	l.end += n
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds++
	p.size = l.end
	p.frames[off] = &motion{writing: true}
	return p, off, nil
}

// giveUp takes no more frames into a pack.
func (l *lane) giveUp(p *pack) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active == p {
		l.active = nil
		p.fill()
	}
}

// begin makes a pack and its name durable, and holds it until it is filled.
func (s *packs) begin() (*pack, error) {
	if s.frames.off.Load() || s.dir.failed() != nil {
		return nil, errNoPacks
	}
	var id [8]byte
	for binary.BigEndian.Uint64(id[:]) == 0 {
		rand.Read(id[:])
	}
	p := s.newPack(binary.BigEndian.Uint64(id[:]))
	made, err := s.store.createFile(p.path)
	if err != nil {
		return nil, fmt.Errorf("create pack %q: %w", p.path, err)
	}
	err = made.Close()
	if err == nil {
		p.file, err = s.fs.OpenReadWrite(p.path, vfs.WriteCategoryUnspecified)
	}
	if err == nil {
		err = s.start(p)
	}
	if err != nil {
		if p.file != nil {
			_ = p.file.Close()
		}
		_ = s.fs.Remove(p.path)
		if errors.Is(err, errNoPacks) {
			return nil, err
		}
		return nil, fmt.Errorf("begin pack %q: %w", p.path, err)
	}
	p.counted, p.size, p.holds = true, pageSize, 1
	s.open.Add(1)
	s.mu.Lock()
	s.all[p.id] = p
	s.mu.Unlock()
	return p, nil
}

// start writes a pack's first page, and makes that and the file's name durable. A
// file system in which no hole can be punched gets no packs: their room would come
// back too late.
func (s *packs) start(p *pack) error {
	err := s.punch(p.file, 0, pageSize)
	if errors.Is(err, errors.ErrUnsupported) {
		s.frames.off.Store(true)
		return errNoPacks
	}
	if err != nil {
		return err
	}
	page := make([]byte, pageSize)
	copy(page, packHead{pack: p.id, created: time.Now().UnixMilli()}.encode())
	if _, err := p.file.WriteAt(page, 0); err != nil {
		return err
	}
	if err := p.file.Sync(); err != nil {
		return err
	}
	return s.dir.sync()
}

// fill lets a pack take no more frames. What is being written still is.
func (p *pack) fill() {
	p.mu.Lock()
	p.full = true
	p.holds--
	p.closeIdle()
	p.mu.Unlock()
}

// sync makes durable what was written to the pack before. Callers share syncs.
func (p *pack) sync() error {
	return p.syncs.do(func() (tried bool, err error) {
		began := time.Now()
		err = p.file.SyncData()
		p.set.m.syncs.Observe(time.Since(began).Seconds())
		return true, err
	})
}

// abandon erases what was written of a frame, as far as that can be done; the
// sweep finds what is left.
func (p *pack) abandon(off, n int64) {
	p.change.Lock()
	defer p.change.Unlock()
	_ = p.set.punch(p.file, off, n)
	_ = p.tidy(off)
}

// close closes the packs that nobody holds. No call may be under way.
func (s *packs) close() {
	s.closed.Store(true)
	for i := range s.lanes {
		if l := &s.lanes[i]; l.active != nil {
			l.active.fill()
			l.active = nil
		}
	}
	for _, p := range s.from(0) {
		p.mu.Lock()
		p.closeIdle()
		p.mu.Unlock()
	}
}
