// SPDX-License-Identifier: Apache-2.0

package faulty

import (
	"io"
	"maps"
	"math"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// damage is what ReadAt does to one stream's bytes; the store inside keeps them
// whole.
type damage struct {
	flips map[int64]byte // offset in the stream → bits to flip
	size  int64          // the stream seems to end here
	reads int            // how many more ReadAt to damage; < 1 means all
}

// Flip makes ReadAt return the stream with one bit flipped: the one with the
// given number, bit 0 being the lowest of the first byte. It does so for the next
// reads calls on this stream, or until Heal when reads < 1; orders on one stream
// add up and share the last one's count.
func (s *Store) Flip(id blob.StreamID, bit int64, reads int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.damageOf(id, reads)
	d.flips[bit/8] ^= 1 << (bit % 8)
}

// Truncate makes ReadAt treat the stream as only size bytes long, for as many
// calls as Flip says. Stat and List still tell the true length.
func (s *Store) Truncate(id blob.StreamID, size int64, reads int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.damageOf(id, reads).size = size
}

// Heal ends the damage of a stream.
func (s *Store) Heal(id blob.StreamID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.damages, id)
}

// damageOf returns the stream's damage to add to. It needs s.mu.
func (s *Store) damageOf(id blob.StreamID, reads int) *damage {
	d := s.damages[id]
	if d == nil {
		d = &damage{flips: make(map[int64]byte), size: math.MaxInt64}
		s.damages[id] = d
	}
	d.reads = reads
	return d
}

// damaged wraps r, a reader of the n bytes of a stream from off on.
func (s *Store) damaged(r io.ReadCloser, id blob.StreamID, off, n int64) io.ReadCloser {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.damages[id]
	if d == nil {
		return r
	}
	if d.reads > 0 {
		if d.reads--; d.reads == 0 {
			delete(s.damages, id)
		}
	}
	end := io.EOF
	if off > d.size || n >= 0 && n > d.size-off {
		end = io.ErrUnexpectedEOF
	}
	return &reader{inner: r, flips: maps.Clone(d.flips), off: off, size: d.size, end: end}
}

// reader damages what it reads.
type reader struct {
	inner io.ReadCloser
	flips map[int64]byte
	off   int64
	size  int64
	end   error // what the stream's seeming end is called
}

func (r *reader) Read(p []byte) (int, error) {
	if r.off >= r.size {
		return 0, r.end
	}
	if int64(len(p)) > r.size-r.off {
		p = p[:r.size-r.off]
	}
	n, err := r.inner.Read(p)
	for at, bits := range r.flips {
		if at >= r.off && at < r.off+int64(n) {
			p[at-r.off] ^= bits
		}
	}
	r.off += int64(n)
	return n, err
}

func (r *reader) Close() error { return r.inner.Close() }
