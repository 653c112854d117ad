// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/blob"
)

// Reader opens a stored stream. Its ranges are independent of one another and may
// be read at the same time, each from one goroutine.
type Reader struct {
	id   blob.StreamID
	size int64
	open func(off, n int64) (io.ReadCloser, error)
	deks dataKeys
	bufs *buffers

	usual *stream                // what the header is expected to say
	known atomic.Pointer[stream] // what it says, once it is verified
}

func newReader(deks dataKeys, id blob.StreamID, size int64, open func(off, n int64) (io.ReadCloser, error), bufs *buffers) *Reader {
	return &Reader{id: id, size: size, open: open, deks: deks, bufs: bufs, usual: newStream(deks, id, bufs.log2)}
}

var (
	errRange  = errors.New("sse: range is not within the stream")
	errClosed = errors.New("sse: read of a closed range")
)

// Range returns a reader of n bytes of plaintext from off on. It opens the stream
// when it is first read. What it yields belongs to segments that were verified as a
// whole. A failure is read once more from where it happened; a second one ends the
// reader: with fault Damaged when the bytes are wrong or missing, else with the
// error of open. The caller closes it.
func (r *Reader) Range(off, n int64) io.ReadCloser {
	s := &section{r: r, off: off, left: n, keys: r.usual}
	if off < 0 || n < 0 || r.size < 0 || off > r.size || n > r.size-off {
		s.err = errRange
	}
	// An empty stream has a segment to verify all the same.
	s.due = n > 0 || r.size == 0
	return s
}

// section is a range being read.
type section struct {
	r    *Reader
	off  int64 // of the next byte to read from the stream
	left int64 // bytes to deliver, those in ready included
	due  bool  // there are segments to read

	keys  *stream
	src   io.ReadCloser // stands at the segment of off
	ready []byte        // verified, not yet delivered
	err   error

	sealed, plain *[]byte
	most          int // of plain that was ever used
	with          scratch
}

// Read yields verified plaintext.
func (s *section) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.fill(); err != nil {
		return 0, err
	}
	n := copy(p, s.ready)
	s.took(n)
	return n, nil
}

// WriteTo spares io.Copy a buffer.
func (s *section) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if err := s.fill(); err == io.EOF {
			return total, nil
		} else if err != nil {
			return total, err
		}
		n, err := w.Write(s.ready)
		total += int64(n)
		if err == nil && n < len(s.ready) {
			err = io.ErrShortWrite
		}
		s.took(n)
		if err != nil {
			return total, err
		}
	}
}

func (s *section) took(n int) {
	s.ready = s.ready[n:]
	s.left -= int64(n)
}

// Close releases the stream. Reading afterwards is an error.
func (s *section) Close() error {
	err := s.drop()
	if s.plain != nil {
		clear((*s.plain)[:s.most])
		if s.keys.log2 == s.r.bufs.log2 {
			s.r.bufs.small.Put(s.plain)
			s.r.bufs.small.Put(s.sealed)
		}
		s.plain, s.sealed, s.ready = nil, nil, nil
	}
	if s.err == nil || s.err == io.EOF {
		s.err = errClosed
	}
	return err
}

func (s *section) drop() error {
	if s.src == nil {
		return nil
	}
	err := s.src.Close()
	s.src = nil
	return err
}

// fill sees to it that ready is not empty. At the end it returns io.EOF.
func (s *section) fill() error {
	for s.err == nil && len(s.ready) == 0 {
		if s.left == 0 && !s.due {
			s.err = io.EOF
			break
		}
		if s.err = s.next(); s.err == nil {
			continue
		}
		// Once more, past whatever was buffered on the way.
		_ = s.drop()
		if giveUp(s.err) {
			break
		}
		if s.err = s.next(); s.err != nil {
			_ = s.drop()
			s.err = s.describe(s.err)
		}
	}
	return s.err
}

func giveUp(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// describe tells bytes that are wrong from a store that does not answer.
func (s *section) describe(err error) error {
	for _, wrong := range []error{errHead, secret.ErrOpen, io.EOF, io.ErrUnexpectedEOF, blob.Damaged} {
		if errors.Is(err, wrong) {
			return fault.New(Damaged, "").Because(fmt.Errorf("stream %v at plaintext byte %d: %w", s.r.id, s.off, err))
		}
	}
	return fmt.Errorf("read stream %v: %w", s.r.id, err)
}

// next reads and verifies the segment of off.
func (s *section) next() error {
	if s.src == nil {
		if err := s.start(); err != nil {
			return err
		}
	}
	if s.plain == nil {
		s.plain, s.sealed = s.buffer(), s.buffer()
	}
	log2 := s.keys.log2
	index := s.off >> log2
	begin := index << log2
	length := min(1<<log2, s.r.size-begin)
	final := begin+length == s.r.size
	sealed := (*s.sealed)[:length+int64(s.keys.overhead())]
	if _, err := io.ReadFull(s.src, sealed); err != nil {
		return err
	}
	plain, err := s.keys.open((*s.plain)[:0], sealed, index, final, &s.with)
	if err != nil {
		return err
	}
	s.most = max(s.most, len(plain))
	skip := s.off - begin
	s.ready = plain[skip:min(length, skip+s.left)]
	s.off = begin + length
	s.due = int64(len(s.ready)) < s.left
	return nil
}

func (s *section) buffer() *[]byte {
	if s.keys.log2 == s.r.bufs.log2 {
		return s.r.bufs.small.Get().(*[]byte)
	}
	b := make([]byte, segmentAt(1, s.keys.log2, len(s.keys.layers)))
	return &b
}

// start opens the stream at the segment of off, having verified its header. That
// comes with the same read when the range begins with the stream.
func (s *section) start() error {
	if known := s.r.known.Load(); known != nil {
		s.keys = known
		return s.seek(segmentAt(s.off>>known.log2, known.log2, len(known.layers)))
	}
	together := s.off>>s.r.usual.log2 == 0
	if together {
		if err := s.seek(0); err != nil {
			return err
		}
	} else {
		src, err := s.r.open(0, headSize(len(s.r.deks)))
		if err != nil {
			return err
		}
		s.src = src
	}
	keys, err := s.r.verify(s.src, &s.with)
	if err != nil {
		return err
	}
	s.r.known.Store(keys)
	if together && keys == s.r.usual {
		return nil
	}
	if err := s.drop(); err != nil {
		return err
	}
	return s.start()
}

// seek opens the stream from a stored position to the end of the last segment that
// the range needs.
func (s *section) seek(from int64) error {
	log2 := s.keys.log2
	end := s.off + s.left
	last := max(end-1, 0) >> log2
	to := min(segmentAt(last+1, log2, len(s.keys.layers)), storedSize(s.r.size, log2, len(s.keys.layers)))
	src, err := s.r.open(from, to-from)
	if err != nil {
		return err
	}
	s.src = src
	return nil
}

// verify reads a header and returns the stream that it names: this one, in the
// usual segment size or another that was usual once.
func (r *Reader) verify(src io.Reader, x *scratch) (*stream, error) {
	head := x.head[:headSize(len(r.deks))]
	if _, err := io.ReadFull(src, head); err != nil {
		return nil, err
	}
	if err := r.usual.matches(r.id, head); err == nil {
		return r.usual, nil
	}
	log2 := head[6]
	if log2 == r.usual.log2 || log2 < minLog2 || log2 > maxLog2 {
		return nil, errHead
	}
	other := newStream(r.deks, r.id, log2)
	if err := other.matches(r.id, head); err != nil {
		return nil, err
	}
	return other, nil
}
