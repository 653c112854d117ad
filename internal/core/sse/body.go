// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/blob"
)

// The body format CFB1: a header, then segments of 2^log2 bytes of plaintext, each
// sealed on its own. The stream's id in the key derivation makes segments of
// another stream useless even under the same data key; a segment's number and the
// mark of the last one are authenticated with it.
const (
	BodyAlgorithm = 1 // AES-256-GCM in one layer
	BodyLayers    = 1
	SegmentLog2   = 16 // of new streams

	minLog2, maxLog2 = 12, 20 // of any stream

	headSize    = 64
	headDerived = 24 // of it, what goes into the key derivation
	maxSegments = 1 << 31
)

// StoredSize returns the length of a stream with that much plaintext, for segments
// of the usual size. Before it sends the first byte, a reader compares it with the
// length that is stored.
func StoredSize(plain int64) int64 { return storedSize(plain, SegmentLog2) }

func storedSize(plain int64, log2 uint8) int64 {
	return headSize + plain + secret.Overhead*segments(plain, log2)
}

// segments counts the segments of a stream. An empty one has an empty segment.
func segments(plain int64, log2 uint8) int64 {
	if plain == 0 {
		return 1
	}
	return (plain-1)>>log2 + 1
}

// segmentAt returns where a segment begins in the stored stream.
func segmentAt(index int64, log2 uint8) int64 {
	return headSize + index*(1<<log2+secret.Overhead)
}

// derivedHead is the part of a header that everything else follows from.
func derivedHead(id blob.StreamID, log2 uint8) [headDerived]byte {
	h := [headDerived]byte{'C', 'F', 'B', '1', 1, BodyAlgorithm, log2, 0}
	copy(h[8:], id[:])
	return h
}

// stream is the keys of one stored stream.
type stream struct {
	log2       uint8
	aead       *secret.AEAD
	commitment [32]byte // no other data key gives this one
}

func newStream(dek secret.Bytes, id blob.StreamID, log2 uint8) *stream {
	head := derivedHead(id, log2)
	both := secret.Derive(dek, "stream", head[:], 64)
	defer both.Clear()
	return &stream{
		log2:       log2,
		aead:       secret.NewAEAD(secret.New(both.Reveal()[:32])),
		commitment: [32]byte(both.Reveal()[32:]),
	}
}

// head returns the stream's header.
func (s *stream) head(id blob.StreamID) [headSize]byte {
	var h [headSize]byte
	derived := derivedHead(id, s.log2)
	copy(h[:], derived[:])
	copy(h[headDerived:], s.commitment[:])
	return h
}

var errHead = errors.New("header is not this stream's")

// matches returns nil when h is the stream's header.
func (s *stream) matches(id blob.StreamID, h []byte) error {
	want := s.head(id)
	if subtle.ConstantTimeCompare(h, want[:]) != 1 {
		return errHead
	}
	return nil
}

// segmentAAD fills in what is authenticated with a segment.
func segmentAAD(aad *[16]byte, index int64, final bool) []byte {
	*aad = [16]byte{}
	binary.BigEndian.PutUint64(aad[:], uint64(index))
	if final {
		aad[8] = 1
	}
	return aad[:] // aad[9] is the layer: 0
}

// buffers are reused between streams. A small one holds a header and a sealed
// segment, a large one as many segments as a Writer collects.
type buffers struct {
	log2         uint8
	small, large sync.Pool // of *[]byte
}

// collected is how many segments a Writer passes on at a time.
const collected = 4

func newBuffers(log2 uint8) *buffers {
	pool := func(segments int64) sync.Pool {
		return sync.Pool{New: func() any {
			b := make([]byte, segmentAt(segments, log2))
			return &b
		}}
	}
	return &buffers{log2: log2, small: pool(1), large: pool(collected)}
}
