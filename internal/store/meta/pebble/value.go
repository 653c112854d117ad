// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"encoding/binary"
	"fmt"
	"io"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// The first byte of a key in Pebble.
const (
	rowPrefix = 'r'
	ownPrefix = 's'
)

// lastVersionKey is the row of the last version given out.
var lastVersionKey = []byte{ownPrefix, 'v', 'e', 'r', 's', 'i', 'o', 'n'}

// countedPrefix, with the family of a counter's key behind it, is the row that every
// addition puts. While it is not there, no row of the family can be a counter.
var countedPrefix = []byte{ownPrefix, 'c', 'o', 'u', 'n', 't', 'e', 'd', '/'}

// The kinds of value.
const (
	kindRow     = 1
	kindCounter = 2
	kindLast    = 3
)

const (
	headerSize  = 1 + 8
	counterSize = headerSize + 8
)

// value is a decoded value; body aliases the encoding.
type value struct {
	kind byte
	ver  uint64
	body []byte
}

func decode(b []byte) (value, bool) {
	if len(b) < headerSize {
		return value{}, false
	}
	v := value{b[0], binary.BigEndian.Uint64(b[1:]), b[headerSize:]}
	switch v.kind {
	case kindRow:
		return v, true
	case kindCounter:
		return v, len(b) == counterSize
	case kindLast:
		return v, len(b) == headerSize
	}
	return value{}, false
}

// rowKey appends the key in Pebble of a row to dst.
func rowKey(dst, key []byte) []byte { return append(append(dst, rowPrefix), key...) }

// rowEnd returns the upper bound in Pebble of rows before end; nil is no bound.
func rowEnd(end []byte) []byte {
	if end == nil {
		return []byte{rowPrefix + 1}
	}
	return rowKey(make([]byte, 0, 1+len(end)), end)
}

// counterMerger adds counters.
type counterMerger struct {
	key []byte
	sum [counterSize]byte
}

func mergeCounter(key, value []byte) (engine.ValueMerger, error) {
	m := &counterMerger{key: append([]byte(nil), key...)}
	m.sum[0] = kindCounter
	return m, m.add(value)
}

func (m *counterMerger) add(operand []byte) error {
	v, ok := decode(operand)
	if !ok || v.kind != kindCounter {
		return fmt.Errorf("counter %q merged with what is no counter: %w", m.key[1:], meta.Damaged)
	}
	ver := max(v.ver, binary.BigEndian.Uint64(m.sum[1:]))
	sum := binary.BigEndian.Uint64(v.body) + binary.BigEndian.Uint64(m.sum[headerSize:])
	binary.BigEndian.PutUint64(m.sum[1:], ver)
	binary.BigEndian.PutUint64(m.sum[headerSize:], sum)
	return nil
}

// MergeNewer, MergeOlder and Finish are Pebble's ValueMerger. Addition does not
// care for the order.
func (m *counterMerger) MergeNewer(operand []byte) error { return m.add(operand) }

// MergeOlder adds, as MergeNewer.
func (m *counterMerger) MergeOlder(operand []byte) error { return m.add(operand) }

// Finish returns the sum so far.
func (m *counterMerger) Finish(bool) ([]byte, io.Closer, error) { return m.sum[:], nil, nil }
