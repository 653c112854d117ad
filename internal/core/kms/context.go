// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"encoding/binary"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/fault"
)

// Context is an encryption context: pairs that are authenticated with a
// ciphertext and recorded in clear, but not stored in it. Nil equals empty.
type Context map[string]string

// maxContext bounds the canonical form. AWS publishes no limit.
const maxContext = 8192

// Canonical returns the bytes that a ciphertext is bound to: the number of
// pairs, then the pairs sorted by the bytes of their keys, each string after its
// length. The form is in docs/formats.md. Error: Validation, for invalid UTF-8
// and for contexts over 8192 bytes.
func (c Context) Canonical() ([]byte, error) {
	size := 2
	for k, v := range c {
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return nil, fault.New(Validation, "The encryption context must be valid UTF-8.")
		}
		size += 4 + len(k) + len(v)
		if size > maxContext {
			return nil, fault.New(Validation, "The encryption context must not exceed %d bytes.", maxContext)
		}
	}
	out := binary.BigEndian.AppendUint16(make([]byte, 0, size), uint16(len(c)))
	for _, k := range slices.Sorted(maps.Keys(c)) {
		out = appendString(out, k)
		out = appendString(out, c[k])
	}
	return out, nil
}

// appendString needs no check of the length: maxContext bounds it.
func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}
