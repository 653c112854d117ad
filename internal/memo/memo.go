// SPDX-License-Identifier: Apache-2.0

// Package memo remembers what was made of strings that come again and again.
package memo

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// Memo remembers what a function without side effects made of strings, of those that it was
// asked for lately: 256 at most, none longer than 256 bytes. The zero value is ready for
// use. It is safe for concurrent use; what it returns is shared, and must not be changed.
type Memo[V any] struct {
	places [256]atomic.Pointer[entry[V]]
}

type entry[V any] struct {
	of    string
	value V
}

const longest = 256

var seed = maphash.MakeSeed()

// Get returns what is remembered of a string.
func (m *Memo[V]) Get(of string) (*V, bool) {
	if e := m.place(of).Load(); e != nil && e.of == of {
		return &e.value, true
	}
	return nil, false
}

// Put remembers what was made of a string, and returns it. The string itself is not held.
func (m *Memo[V]) Put(of string, value V) *V {
	e := &entry[V]{strings.Clone(of), value}
	if len(of) <= longest {
		m.place(of).Store(e)
	}
	return &e.value
}

func (m *Memo[V]) place(of string) *atomic.Pointer[entry[V]] {
	return &m.places[maphash.String(seed, of)%uint64(len(m.places))]
}
