// SPDX-License-Identifier: Apache-2.0

package iam

import "sync"

// recent is a map, bounded in entries and in memory, that drops what was not asked for
// lately. It is safe for concurrent use.
//
// Two generations make it an approximate LRU: what is asked for moves to the young
// one, and when that is full the old one is dropped.
type recent[K comparable, V any] struct {
	most, room int         // entries and bytes in a generation
	weigh      func(V) int // about how many bytes a value takes
	mu         sync.RWMutex
	young, old map[K]V
	filled     int // bytes of the young ones
}

func newRecent[K comparable, V any](most, room int, weigh func(V) int) *recent[K, V] {
	return &recent[K, V]{most: most, room: room, weigh: weigh, young: map[K]V{}}
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
	n := r.weigh(v)
	if was, ok := r.young[key]; ok {
		r.filled -= r.weigh(was)
	} else if len(r.young) >= r.most || r.filled+n > r.room && len(r.young) > 0 {
		r.old, r.young, r.filled = r.young, make(map[K]V), 0
	}
	r.young[key] = v
	r.filled += n
}
