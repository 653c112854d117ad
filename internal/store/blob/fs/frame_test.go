// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/cofferstore/coffer/internal/store/blob"
)

func TestHeadersSurviveTheirEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := frameHead{
			gone: rapid.Bool().Draw(t, "gone"), pack: rapid.Uint64Min(1).Draw(t, "pack"),
			id: blob.StreamID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
			at: rapid.Int64Range(1, 1<<40).Draw(t, "page") * pageSize, size: rapid.Int64Range(0, maxPacked).Draw(t, "size"),
			written: rapid.Int64Min(0).Draw(t, "written"),
		}
		b := bytes.Repeat([]byte{0xee}, headSize) // what was in the buffer before
		h.encode(b)
		if got, ok := parseFrameHead(b); !ok || got != h {
			t.Fatalf("%+v became %+v, %t", h, got, ok)
		}
		b[rapid.IntRange(0, headSize-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if got, ok := parseFrameHead(b); ok {
			t.Fatalf("a damaged header was read as %+v", got)
		}
		p := packHead{pack: h.pack, created: h.written}
		if got, ok := parsePackHead(p.encode()); !ok || got != p {
			t.Fatalf("%+v became %+v, %t", p, got, ok)
		}
	})
}

// FuzzHeads holds the parsers of a pack's and a frame's header to their writers: what
// they take is what would be written.
func FuzzHeads(f *testing.F) {
	frame := make([]byte, headSize)
	frameHead{pack: 1, id: blob.StreamID{2}, at: pageSize, size: 3, written: 4}.encode(frame)
	f.Add(frame, true)
	f.Add(packHead{pack: 1, created: 2}.encode(), true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend && len(b) >= headSize { // no fuzzer finds a CRC
			sum(b)
		}
		if h, ok := parseFrameHead(b); ok {
			again := make([]byte, headSize)
			h.encode(again)
			if !bytes.Equal(again, b[:headSize]) {
				t.Errorf("%x was taken for %+v", b, h)
			}
			if room(h.size) < h.size+headSize || room(h.size)%pageSize != 0 || h.at+room(h.size) < h.at {
				t.Errorf("%+v takes %d bytes", h, room(h.size))
			}
		}
		if h, ok := parsePackHead(b); ok && !bytes.Equal(h.encode(), b[:headSize]) {
			t.Errorf("%x was taken for %+v", b, h)
		}
	})
}
