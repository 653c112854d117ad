// SPDX-License-Identifier: Apache-2.0

// Package mem is the blob store in memory: for tests, and for trying Coffer out.
// Nothing in it survives the process.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/blob"
)

// Store keeps streams in memory. All methods are safe for concurrent use.
type Store struct {
	mu        sync.Mutex
	streams   map[blob.StreamID]stream
	trash     map[blob.StreamID]trashed
	beingMade map[blob.StreamID]*writer
	packLimit int64
	packed    int64 // how many streams have been
	closed    bool
}

// stream is a committed stream. Its bytes are never changed, so that readers
// share them.
type stream struct {
	data     []byte
	at       blob.Place
	modified time.Time
}

type trashed struct {
	stream
	moved time.Time
}

// New returns an empty store.
func New() *Store {
	return &Store{
		streams:   make(map[blob.StreamID]stream),
		trash:     make(map[blob.StreamID]trashed),
		beingMade: make(map[blob.StreamID]*writer),
	}
}

// NewPacking returns an empty store in which streams that are announced with at most
// limit bytes have places in a pack.
func NewPacking(limit int64) *Store {
	s := New()
	s.packLimit = limit
	return s
}

// find returns a stream by its id and place. It needs s.mu.
func (s *Store) find(id blob.StreamID, at blob.Place) (stream, error) {
	found, ok := s.streams[id]
	if ok && found.at == at {
		return found, nil
	}
	if at.Packed() {
		for other, there := range s.streams {
			if there.at.Pack == at.Pack && there.at.Offset == at.Offset {
				return stream{}, fault.New(blob.Damaged, "").Because(fmt.Errorf("stream %s: its place is stream %s's", id, other))
			}
		}
	}
	return stream{}, errNotFound(id)
}

// enter locks the store for one call. Unless it fails the caller unlocks s.mu.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed()
	}
	return nil
}

func errClosed() error { return fault.New(blob.Unavailable, "the store is closed") }

func errNotFound(id blob.StreamID) error {
	return fault.New(blob.NotFound, "").Because(fmt.Errorf("stream %s", id))
}

// Create begins a stream. sizeHint sizes its first buffer.
func (s *Store) Create(ctx context.Context, id blob.StreamID, sizeHint int64) (blob.Writer, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	_, there := s.streams[id]
	if there || s.beingMade[id] != nil {
		return nil, fault.New(blob.Exists, "").Because(fmt.Errorf("stream %s", id))
	}
	const largestHint = 1 << 20 // a hint is not a promise: no more on credit
	w := &writer{store: s, id: id, pack: sizeHint >= 0 && sizeHint <= s.packLimit}
	w.data = make([]byte, 0, min(max(sizeHint, 0), largestHint))
	s.beingMade[id] = w
	return w, nil
}

// ReadAt returns a reader of a range.
func (s *Store) ReadAt(ctx context.Context, id blob.StreamID, at blob.Place, off, n int64) (io.ReadCloser, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	if off < 0 {
		return nil, fmt.Errorf("blob: negative offset %d", off)
	}
	found, err := s.find(id, at)
	if err != nil {
		return nil, err
	}
	size := int64(len(found.data))
	r := &reader{ctx: ctx, short: off > size}
	rest := found.data[min(off, size):]
	switch {
	case n == 0:
		rest, r.short = nil, false
	case n > int64(len(rest)):
		r.short = true
	case n > 0:
		rest = rest[:n]
	}
	r.rest.Reset(rest)
	return r, nil
}

// Stat returns what List says of a stream.
func (s *Store) Stat(ctx context.Context, id blob.StreamID, at blob.Place) (blob.Info, error) {
	if err := s.enter(ctx); err != nil {
		return blob.Info{}, err
	}
	defer s.mu.Unlock()
	found, err := s.find(id, at)
	if err != nil {
		return blob.Info{}, err
	}
	return found.info(id), nil
}

func (s stream) info(id blob.StreamID) blob.Info {
	return blob.Info{ID: id, At: s.at, Size: int64(len(s.data)), Modified: s.modified}
}

// Delete removes the stream.
func (s *Store) Delete(ctx context.Context, id blob.StreamID, at blob.Place) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if _, err := s.find(id, at); err == nil {
		delete(s.streams, id)
	}
	return nil
}

// MoveToTrash takes the stream out of reach.
func (s *Store) MoveToTrash(ctx context.Context, id blob.StreamID, at blob.Place) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if found, err := s.find(id, at); err == nil {
		s.trash[id] = trashed{found, time.Now()}
		delete(s.streams, id)
	}
	return nil
}

// EmptyTrash deletes what was moved to the trash before the given time.
func (s *Store) EmptyTrash(ctx context.Context, before time.Time) (n int, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	for id, t := range s.trash {
		if t.moved.Before(before) {
			delete(s.trash, id)
			n++
		}
	}
	return n, nil
}

// List returns the streams after one, by id. It sorts all of them each time.
func (s *Store) List(ctx context.Context, after blob.Info, limit int) ([]blob.Info, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	if limit < 1 {
		limit = 1000
	}
	var found []blob.Info
	for id, st := range s.streams {
		if bytes.Compare(id[:], after.ID[:]) > 0 {
			found = append(found, st.info(id))
		}
	}
	slices.SortFunc(found, func(a, b blob.Info) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return found[:min(limit, len(found))], nil
}

// Free does not know: 0, 0.
func (s *Store) Free(ctx context.Context) (avail, total int64, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, 0, err
	}
	s.mu.Unlock()
	return 0, 0, nil
}

// Close forgets everything. Closing again does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.streams, s.trash, s.beingMade = nil, nil, nil
	return nil
}

type writer struct {
	store *Store
	id    blob.StreamID
	data  []byte
	pack  bool
	over  bool
}

func (w *writer) Write(p []byte) (int, error) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if err := w.usable(); err != nil {
		return 0, err
	}
	w.data = append(w.data, p...)
	return len(p), nil
}

func (w *writer) Commit(ctx context.Context) (at blob.Place, err error) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if err := w.usable(); err != nil {
		return at, err
	}
	w.over = true
	delete(w.store.beingMade, w.id)
	if err := ctx.Err(); err != nil {
		w.data = nil
		return at, err
	}
	if w.pack && int64(len(w.data)) <= w.store.packLimit {
		w.store.packed++
		at = blob.Place{Pack: 1, Offset: w.store.packed, Size: int64(len(w.data))}
	}
	w.store.streams[w.id] = stream{w.data, at, time.Now()}
	return at, nil
}

func (w *writer) Abort() {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if w.usable() == nil {
		w.over, w.data = true, nil
		delete(w.store.beingMade, w.id)
	}
}

// usable returns why the writer can take no more.
func (w *writer) usable() error {
	switch {
	case w.store.closed:
		return errClosed()
	case w.over:
		return fault.New(blob.Unavailable, "").Because(fmt.Errorf("stream %s was committed or abandoned before", w.id))
	}
	return nil
}

type reader struct {
	ctx   context.Context
	rest  bytes.Reader
	short bool // the range goes on where the stream ends
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.rest.Read(p)
	if err == io.EOF && r.short {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (r *reader) Close() error { return nil }
