// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"bytes"
	"sync"
)

// maxKnown bounds each set: at 100 bytes or so an entry, a few MiB; 10 MiB where all keys
// are as long as maxKnownKey.
const maxKnown = 1 << 15

// counterSet remembers keys that are counters, so that an addition need not read
// the counter to know. Reading one costs a step for each addition that was not
// yet merged.
type counterSet struct {
	mu   sync.Mutex
	keys map[string]struct{}
}

func (c *counterSet) has(key []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.keys[string(key)]
	return ok
}

func (c *counterSet) add(key []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil || len(c.keys) >= maxKnown {
		c.keys = make(map[string]struct{})
	}
	c.keys[string(key)] = struct{}{}
}

func (c *counterSet) remove(key []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.keys, string(key))
}

// familySet remembers the families of keys in which there may be counters: a put
// elsewhere need not look whether it falls on one.
type familySet struct {
	mu   sync.RWMutex
	all  bool // too many to tell apart
	sure bool // when there are too many, none is known rather than all
	keys map[string]struct{}
}

// maxFamily bounds what a family takes of a key.
const maxFamily = 32

// familyOf returns what tells a key's family: all to its first slash.
func familyOf(key []byte) []byte {
	key = key[:min(len(key), maxFamily)]
	if i := bytes.IndexByte(key, '/'); i >= 0 {
		return key[:i+1]
	}
	return key
}

func (f *familySet) has(key []byte) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.all {
		return true
	}
	_, ok := f.keys[string(familyOf(key))]
	return ok
}

func (f *familySet) add(family []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.keys) >= maxKnown {
		f.all, f.keys = !f.sure, nil
	}
	if f.all {
		return
	}
	if f.keys == nil {
		f.keys = make(map[string]struct{})
	}
	f.keys[string(family)] = struct{}{}
}

// maxKnownKey is how long a key of a versionSet may be.
const maxKnownKey = 256

// versionSet remembers versions of rows. An entry is put under the row's shared lock and
// removed under the exclusive one, before the row changes. There is one of rows that
// commits demand and do not write, the guard of a bucket, say, in every commit into it;
// and one of rows that a Get did not find, as version 0: whoever asked mostly goes on to
// make them.
type versionSet struct {
	mu   sync.RWMutex
	vers map[string]uint64
}

func (v *versionSet) get(key []byte) (ver uint64, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	ver, ok = v.vers[string(key)]
	return ver, ok
}

func (v *versionSet) put(key []byte, ver uint64) {
	if len(key) > maxKnownKey {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.vers == nil || len(v.vers) >= maxKnown {
		v.vers = make(map[string]uint64)
	}
	v.vers[string(key)] = ver
}

func (v *versionSet) remove(key []byte) {
	if _, ok := v.get(key); !ok { // nearly always
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.vers, string(key))
}
