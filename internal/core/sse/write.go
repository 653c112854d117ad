// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// Writer seals a stream. It is for one goroutine. Close makes the last segment;
// without it what was written is no stream. Abort is for whoever gives up.
type Writer struct {
	dst  io.Writer
	keys *stream
	bufs *buffers

	plain *[]byte // a segment being filled
	used  int     // of plain
	most  int     // of plain that was ever used
	out   *[]byte // sealed bytes not yet passed on
	ready int     // of out
	large bool    // out is a large buffer
	index int64   // of the next segment
	with  scratch

	stored int64
	crc    uint32
	table  *crc32.Table
	err    error
	done   bool
}

func newWriter(dst io.Writer, deks dataKeys, id blob.StreamID, bufs *buffers) *Writer {
	w := &Writer{
		dst: dst, keys: newStream(deks, id, bufs.log2), bufs: bufs,
		plain: bufs.small.Get().(*[]byte), out: bufs.small.Get().(*[]byte),
		table: crc32.MakeTable(crc32.Castagnoli),
	}
	w.ready = copy(*w.out, w.keys.head(id))
	return w
}

var (
	errWriterDone = errors.New("sse: write to a stream that has ended")
	errTooLong    = errors.New("sse: stream has too many segments")
)

// Write seals p. Bytes may be held back until the next Write or Close, because only
// then is it known whether a segment is the last. After an error the stream is lost.
func (w *Writer) Write(p []byte) (int, error) {
	if w.done && w.err == nil {
		return 0, errWriterDone
	}
	size := 1 << w.keys.log2
	total := len(p)
	for len(p) > 0 && w.err == nil {
		switch {
		case w.used == size:
			w.seal((*w.plain)[:size], false)
			w.used = 0
		case w.used == 0 && len(p) > size: // as it lies there
			w.seal(p[:size], false)
			p = p[size:]
		default:
			n := copy((*w.plain)[w.used:size], p)
			w.used += n
			w.most = max(w.most, w.used)
			p = p[n:]
		}
	}
	if w.err != nil {
		return 0, w.err
	}
	return total, nil
}

// Close seals the last segment and passes on what is left. It does not close the
// destination. Closing again returns the same.
func (w *Writer) Close() error {
	if w.done {
		return w.err
	}
	if w.err == nil {
		w.seal((*w.plain)[:w.used], true)
	}
	if w.err == nil {
		w.flush()
	}
	w.release()
	return w.err
}

// Abort ends the Writer without a last segment. After Close it does nothing, so it
// can be deferred.
func (w *Writer) Abort() {
	if !w.done {
		w.err = errWriterDone
		w.release()
	}
}

// Stored returns how many bytes were passed on.
func (w *Writer) Stored() int64 { return w.stored }

// CRC32C returns the checksum (Castagnoli) of the bytes passed on.
func (w *Writer) CRC32C() uint32 { return w.crc }

// seal appends a segment to out, which it first makes room in.
func (w *Writer) seal(segment []byte, final bool) {
	if w.index >= maxSegments {
		w.err = errTooLong
		return
	}
	if w.ready+len(segment)+w.keys.overhead() > len(*w.out) {
		w.room()
	}
	if w.err != nil {
		return
	}
	w.ready = len(w.keys.seal((*w.out)[:w.ready], segment, w.index, final, &w.with))
	w.index++
}

// room makes out a large buffer, for it turns out that there is more to collect;
// or passes on what is in it.
func (w *Writer) room() {
	if w.large {
		w.flush()
		return
	}
	large := w.bufs.large.Get().(*[]byte)
	copy(*large, (*w.out)[:w.ready])
	w.bufs.small.Put(w.out)
	w.out, w.large = large, true
}

func (w *Writer) flush() {
	b := (*w.out)[:w.ready]
	w.ready = 0
	n, err := w.dst.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("write sealed stream: %w", err)
		return
	}
	w.stored += int64(len(b))
	w.crc = crc32.Update(w.crc, w.table, b)
}

func (w *Writer) release() {
	w.done = true
	clear((*w.plain)[:w.most])
	w.bufs.small.Put(w.plain)
	if w.large {
		w.bufs.large.Put(w.out)
	} else {
		w.bufs.small.Put(w.out)
	}
	w.plain, w.out = nil, nil
}
