// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// The layout of a pack; docs/formats.md, 16.1. Everything begins at a multiple
// of pageSize, so that no two streams share a page and a frame's room can be given
// back.
const (
	pageSize  = 4 << 10
	headSize  = 64      // of a pack's header, and of a frame's
	maxPacked = 4 << 20 // longest stream in a frame
)

const (
	packMagic   = "CPK1"
	frameMagic  = "CPF1"
	packVersion = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// packHead begins a pack.
type packHead struct {
	pack    uint64
	created int64 // ms
}

func (h packHead) encode() []byte {
	b := make([]byte, headSize)
	copy(b, packMagic)
	b[4] = packVersion
	binary.BigEndian.PutUint64(b[8:], h.pack)
	binary.BigEndian.PutUint64(b[16:], uint64(h.created))
	sum(b)
	return b
}

// parsePackHead reads a pack's header; ok is false for anything else.
func parsePackHead(b []byte) (h packHead, ok bool) {
	if !isHead(b, packMagic) || b[5] != 0 || b[6] != 0 || b[7] != 0 || !zero(b[24:60]) {
		return packHead{}, false
	}
	h.pack, h.created = binary.BigEndian.Uint64(b[8:]), int64(binary.BigEndian.Uint64(b[16:]))
	return h, h.pack != 0 && h.created >= 0
}

// frameHead begins a frame: one stream in a pack.
type frameHead struct {
	gone    bool // the stream was deleted where no hole could be punched
	pack    uint64
	id      blob.StreamID
	at      int64 // where in the pack the frame begins
	size    int64 // length of the stream, which follows the header
	written int64 // ms
}

func (h frameHead) encode(b []byte) {
	b = b[:headSize]
	clear(b)
	copy(b, frameMagic)
	b[4] = packVersion
	if h.gone {
		b[5] = 1
	}
	binary.BigEndian.PutUint64(b[8:], h.pack)
	copy(b[16:], h.id[:])
	binary.BigEndian.PutUint64(b[32:], uint64(h.at))
	binary.BigEndian.PutUint64(b[40:], uint64(h.size))
	binary.BigEndian.PutUint64(b[48:], uint64(h.written))
	sum(b)
}

// parseFrameHead reads a frame's header; ok is false for anything else. Whether it
// is the frame that was looked for, the caller compares.
func parseFrameHead(b []byte) (h frameHead, ok bool) {
	if !isHead(b, frameMagic) || b[5] > 1 || b[6] != 0 || b[7] != 0 || !zero(b[56:60]) {
		return frameHead{}, false
	}
	h = frameHead{
		gone: b[5] == 1, pack: binary.BigEndian.Uint64(b[8:]), id: blob.StreamID(b[16:32]),
		at: int64(binary.BigEndian.Uint64(b[32:])), size: int64(binary.BigEndian.Uint64(b[40:])),
		written: int64(binary.BigEndian.Uint64(b[48:])),
	}
	inPack := h.at >= pageSize && h.at%pageSize == 0 && h.at <= math.MaxInt64-2*maxPacked
	if h.pack == 0 || !inPack || h.size < 0 || h.size > maxPacked || h.written < 0 {
		return frameHead{}, false
	}
	return h, true
}

// sum ends a header with the CRC-32C of what is before.
func sum(head []byte) {
	binary.BigEndian.PutUint32(head[60:], crc32.Checksum(head[:60], castagnoli))
}

func isHead(b []byte, magic string) bool {
	return len(b) >= headSize && string(b[:4]) == magic && b[4] == packVersion &&
		binary.BigEndian.Uint32(b[60:]) == crc32.Checksum(b[:60], castagnoli)
}

// room returns how much of a pack the frame of a stream takes.
func room(size int64) int64 { return (headSize + size + pageSize - 1) / pageSize * pageSize }

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
