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
// sealed on its own, once or, for DSSE-KMS, twice under independent keys. The
// stream's id in the key derivation makes segments of another stream useless even
// under the same data key; a segment's number and the mark of the last one are
// authenticated with it.
const (
	segmentLog2 = 16 // of new streams

	minLog2, maxLog2 = 12, 20 // of any stream

	headDerived = 24 // of a header, what goes into the key derivation
	maxSegments = 1 << 31
	maxLayers   = 2
)

// Format is how the streams of an object are sealed.
type Format struct {
	Algorithm   byte // 1: AES-256-GCM in one layer; 2: in two
	SegmentLog2 byte
	Layers      byte
}

// formatOf returns the format of new streams.
func formatOf(layers int) Format { return Format{byte(layers), segmentLog2, byte(layers)} }

// StoredSize returns the length of a stream with that much plaintext. Before it
// sends the first byte, a reader compares it with the length that is stored.
func (f Format) StoredSize(plain int64) int64 {
	return storedSize(plain, f.SegmentLog2, int(f.Layers))
}

// MaxStored returns how long a new stream of at most that much plaintext can be, in
// whatever format.
func MaxStored(plain int64) int64 { return formatOf(2).StoredSize(plain) }

func headSize(layers int) int64 { return 64 + 32*int64(layers-1) }

func storedSize(plain int64, log2 uint8, layers int) int64 {
	return headSize(layers) + plain + int64(layers)*secret.Overhead*segments(plain, log2)
}

// segments counts the segments of a stream. An empty one has an empty segment.
func segments(plain int64, log2 uint8) int64 {
	if plain == 0 {
		return 1
	}
	return (plain-1)>>log2 + 1
}

// segmentAt returns where a segment begins in the stored stream.
func segmentAt(index int64, log2 uint8, layers int) int64 {
	return headSize(layers) + index*(1<<log2+int64(layers)*secret.Overhead)
}

// dataKeys are the keys of an object: one for each layer, the inner one first.
type dataKeys []secret.Bytes

func (k dataKeys) clear() {
	for _, key := range k {
		key.Clear()
	}
}

// stream is the keys of one stored stream.
type stream struct {
	log2   uint8
	layers []layer // the inner one first
	memory [maxLayers]layer
}

// layer is one sealing of a stream.
type layer struct {
	aead       *secret.AEAD
	commitment [32]byte // no other data key gives this one
}

func newStream(keys dataKeys, id blob.StreamID, log2 uint8) *stream {
	s := &stream{log2: log2}
	s.layers = s.memory[:len(keys)]
	head := s.derivedHead(id)
	for i, dek := range keys {
		both := secret.Derive(dek, "stream", head[:], 64)
		s.layers[i] = layer{
			aead:       secret.NewAEAD(secret.New(both.Reveal()[:32])),
			commitment: [32]byte(both.Reveal()[32:]),
		}
		both.Clear()
	}
	return s
}

// derivedHead is the part of a header that everything else follows from.
func (s *stream) derivedHead(id blob.StreamID) [headDerived]byte {
	h := [headDerived]byte{'C', 'F', 'B', '1', 1, byte(len(s.layers)), s.log2, 0}
	copy(h[8:], id[:])
	return h
}

// head returns the stream's header: what is derived from, the layers' commitments,
// and eight zeros.
func (s *stream) head(id blob.StreamID) []byte { return s.appendHead(nil, id) }

func (s *stream) appendHead(b []byte, id blob.StreamID) []byte {
	derived := s.derivedHead(id)
	b = append(b, derived[:]...)
	for i := range s.layers {
		b = append(b, s.layers[i].commitment[:]...)
	}
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
}

// maxHead is the length of the longest header.
const maxHead = headDerived + maxLayers*32 + 8

var errHead = errors.New("header is not this stream's")

// matches returns nil when h is the stream's header.
func (s *stream) matches(id blob.StreamID, h []byte) error {
	var memory [maxHead]byte
	if subtle.ConstantTimeCompare(h, s.appendHead(memory[:0], id)) != 1 {
		return errHead
	}
	return nil
}

// overhead is how much longer a sealed segment is.
func (s *stream) overhead() int { return len(s.layers) * secret.Overhead }

// scratch holds what sealing and opening need of memory beside their buffers.
type scratch struct {
	aad   [16]byte
	head  [maxHead]byte
	inner []byte // a segment between two layers
}

// seal appends a sealed segment to dst.
func (s *stream) seal(dst, segment []byte, index int64, final bool, x *scratch) []byte {
	if len(s.layers) == 1 {
		return s.layers[0].aead.Seal(dst, segment, x.additional(index, final, 0))
	}
	x.inner = s.layers[0].aead.Seal(x.inner[:0], segment, x.additional(index, final, 1))
	return s.layers[1].aead.Seal(dst, x.inner, x.additional(index, final, 2))
}

// open appends the plaintext of a sealed segment to dst.
func (s *stream) open(dst, sealed []byte, index int64, final bool, x *scratch) ([]byte, error) {
	if len(s.layers) == 1 {
		return s.layers[0].aead.Open(dst, sealed, x.additional(index, final, 0))
	}
	inner, err := s.layers[1].aead.Open(x.inner[:0], sealed, x.additional(index, final, 2))
	if err != nil {
		return dst, err
	}
	x.inner = inner
	return s.layers[0].aead.Open(dst, inner, x.additional(index, final, 1))
}

// additional fills in what is authenticated with a segment. layer is 0 when there is
// but one.
func (x *scratch) additional(index int64, final bool, layer byte) []byte {
	x.aad = [16]byte{}
	binary.BigEndian.PutUint64(x.aad[:], uint64(index))
	if final {
		x.aad[8] = 1
	}
	x.aad[9] = layer
	return x.aad[:]
}

// buffers are reused between streams. A small one holds a header and a sealed
// segment, a large one as many segments as a Writer collects; both in two layers.
type buffers struct {
	log2         uint8
	small, large sync.Pool // of *[]byte
}

// collected is how many segments a Writer passes on at a time.
const collected = 4

func newBuffers(log2 uint8) *buffers {
	pool := func(segments int64) sync.Pool {
		return sync.Pool{New: func() any {
			b := make([]byte, segmentAt(segments, log2, maxLayers))
			return &b
		}}
	}
	return &buffers{log2: log2, small: pool(1), large: pool(collected)}
}
