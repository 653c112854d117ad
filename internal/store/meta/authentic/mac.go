// SPDX-License-Identifier: Apache-2.0

package authentic

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"

	"github.com/cofferstore/coffer/internal/secret"
)

// trailerSize is what is appended to a value.
const trailerSize = 4 + sha256.Size

func trailerVersion(trailer []byte) uint32 { return binary.BigEndian.Uint32(trailer) }

// macPool keeps HMAC states of one key: making one hashes the key twice and
// allocates, and a state that was used once resets to a copy of that.
type macPool struct{ states sync.Pool }

// macState is a state with room for what is hashed and summed beside the value.
type macState struct {
	mac    hash.Hash
	length [2]byte
	sum    [sha256.Size]byte
}

// newMACPool takes a copy of the key.
func newMACPool(key secret.Bytes) *macPool {
	key = secret.Copy(key.Reveal())
	return &macPool{sync.Pool{New: func() any { return &macState{mac: hmac.New(sha256.New, key.Reveal())} }}}
}

// code returns a state whose sum is the code of the row. It goes back to the pool
// after use.
func (p *macPool) code(key, value []byte) *macState {
	s := p.states.Get().(*macState)
	s.mac.Reset()
	binary.BigEndian.PutUint16(s.length[:], uint16(len(key))) // keys have at most meta.MaxKey bytes
	s.mac.Write(s.length[:])
	s.mac.Write(key)
	s.mac.Write(value)
	s.mac.Sum(s.sum[:0])
	return s
}

// seal appends the trailer of the row to dst.
func (p *macPool) seal(dst []byte, version uint32, key, value []byte) []byte {
	s := p.code(key, value)
	defer p.states.Put(s)
	dst = binary.BigEndian.AppendUint32(dst, version)
	return append(dst, s.sum[:]...)
}

// check says whether the trailer is the row's, in time that does not depend on
// where they differ.
func (p *macPool) check(key, value, trailer []byte) bool {
	s := p.code(key, value)
	defer p.states.Put(s)
	return hmac.Equal(s.sum[:], trailer[4:])
}
