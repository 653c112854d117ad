// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"strconv"

	"github.com/cofferstore/coffer/internal/secret"
)

// signatureLength is that of a signature in hex.
const signatureLength = 2 * sha256.Size

// chain is where the signatures of chunks start: each covers the one before it,
// and the first covers the head's.
type chain struct {
	key              secret.Bytes
	accessKey        string
	timestamp, scope string
	seed             string
}

// chainState verifies chunk after chunk. It allocates when it is made and when
// a signature is wrong.
type chainState struct {
	sum hash.Hash // of the current chunk's data

	accessKey string
	mac       hash.Hash
	chunkHead []byte // of each string to sign
	tailHead  []byte // of the trailer's
	emptyLine []byte // between the previous signature and the chunk's hash
	previous  [signatureLength]byte
	computed  [signatureLength]byte // of the hash, then of the signature
	digest    [sha256.Size]byte
}

func (c *chain) start() *chainState {
	s := &chainState{
		sum:       sha256.New(),
		accessKey: c.accessKey,
		mac:       hmac.New(sha256.New, c.key.Reveal()),
		chunkHead: []byte("AWS4-HMAC-SHA256-PAYLOAD\n" + c.timestamp + "\n" + c.scope + "\n"),
		tailHead:  []byte("AWS4-HMAC-SHA256-TRAILER\n" + c.timestamp + "\n" + c.scope + "\n"),
		emptyLine: []byte("\n" + emptySHA256 + "\n"),
	}
	copy(s.previous[:], c.seed)
	return s
}

// verifyChunk compares the signature of the data written to s.sum with the
// claimed one, and starts the next chunk.
func (s *chainState) verifyChunk(claimed []byte) error {
	return s.verify(s.chunkHead, s.emptyLine, claimed)
}

// verifyTrailer does so with the trailer, whose canonical form is in s.sum.
func (s *chainState) verifyTrailer(claimed []byte) error {
	return s.verify(s.tailHead, s.emptyLine[:1], claimed)
}

func (s *chainState) verify(head, middle, claimed []byte) error {
	hex.Encode(s.computed[:], s.sum.Sum(s.digest[:0]))
	s.sum.Reset()
	hashed := s.computed
	s.mac.Reset()
	s.mac.Write(head)
	s.mac.Write(s.previous[:])
	s.mac.Write(middle)
	s.mac.Write(s.computed[:])
	hex.Encode(s.computed[:], s.mac.Sum(s.digest[:0]))
	if subtle.ConstantTimeCompare(s.computed[:], claimed) == 1 {
		copy(s.previous[:], claimed)
		return nil
	}
	var toSign []byte
	for _, part := range [][]byte{head, s.previous[:], middle, hashed[:]} {
		toSign = append(toSign, part...)
	}
	return signatureMismatch(s.accessKey, toSign, string(claimed))
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
