// SPDX-License-Identifier: Apache-2.0

package iam

import "sync"

// recent is a bounded map that drops what was not asked for lately. It is safe for
// concurrent use.
//
// Two generations make it an approximate LRU: what is asked for moves to the young
// one, and when that is full the old one is dropped.
type recent[K comparable, V any] struct {
	most       int // in a generation
	mu         sync.RWMutex
	young, old map[K]V
}

func newRecent[K comparable, V any](most int) *recent[K, V] {
	return &recent[K, V]{most: most, young: map[K]V{}}
}

func (r *recent[K, V]) get(key K) (V, bool) {
	r.mu.RLock()
	v, ok := r.young[key]
	if ok {
		r.mu.RUnlock()
		return v, true
	}
	v, ok = r.old[key]
	r.mu.RUnlock()
	if ok {
		r.put(key, v)
	}
	return v, ok
}

func (r *recent[K, V]) put(key K, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.young[key]; !ok && len(r.young) >= r.most {
		r.old, r.young = r.young, make(map[K]V)
	}
	r.young[key] = v
}
