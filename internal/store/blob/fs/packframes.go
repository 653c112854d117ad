// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// frameMemory bounds what all frames that are being put together take. A stream
// for which there is no room becomes a file, which takes less.
const frameMemory = 64 << 20

// frames gives out the buffers in which small streams wait for their end.
type frames struct {
	limit int64 // longest stream to pack; 0 is none
	off   atomic.Bool
	used  atomic.Int64
	pools [24]sync.Pool // of *frame, by the binary logarithm of their size
}

// frame is a stream that is being put together, behind room for its header.
type frame struct {
	buf   []byte // of whole pages
	n     int    // of it that are filled
	class int
}

// get returns a frame for a stream that is expected to have size bytes; nil if that
// is not to be packed.
func (f *frames) get(size int64) *frame {
	if size < 0 || size > f.limit || f.off.Load() {
		return nil
	}
	class := bits.Len64(uint64(room(size) - 1))
	if f.used.Add(1<<class) > frameMemory {
		f.used.Add(-1 << class)
		return nil
	}
	fr, _ := f.pools[class].Get().(*frame)
	if fr == nil {
		fr = &frame{buf: make([]byte, 1<<class), class: class}
	}
	fr.n = headSize
	return fr
}

func (f *frames) put(fr *frame) {
	f.used.Add(-1 << fr.class)
	f.pools[fr.class].Put(fr)
}

// add appends bytes of the stream; false if they do not fit.
func (fr *frame) add(p []byte) bool {
	if len(p) > len(fr.buf)-fr.n || fr.size()+int64(len(p)) > maxPacked {
		return false
	}
	fr.n += copy(fr.buf[fr.n:], p)
	return true
}

func (fr *frame) content() []byte { return fr.buf[headSize:fr.n] }

func (fr *frame) size() int64 { return int64(fr.n - headSize) }

// seal writes the header and returns the frame's pages.
func (fr *frame) seal(h frameHead) []byte {
	h.encode(fr.buf)
	whole := fr.buf[:room(fr.size())]
	clear(whole[fr.n:])
	return whole
}
