// SPDX-License-Identifier: Apache-2.0

package bucketkey

import "container/list"

// lru is a bounded map that drops what was least recently used. It is not safe
// for concurrent use.
type lru[K comparable, V any] struct {
	capacity int
	order    *list.List // of *pair[K, V], the latest first
	items    map[K]*list.Element
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](capacity int) lru[K, V] {
	return lru[K, V]{capacity, list.New(), make(map[K]*list.Element)}
}

func (l *lru[K, V]) len() int { return len(l.items) }

// get counts as use.
func (l *lru[K, V]) get(key K) (value V, ok bool) {
	e, ok := l.items[key]
	if !ok {
		return value, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*pair[K, V]).value, true
}

// peek does not count as use.
func (l *lru[K, V]) peek(key K) (value V, ok bool) {
	e, ok := l.items[key]
	if !ok {
		return value, false
	}
	return e.Value.(*pair[K, V]).value, true
}

// put adds or replaces a value. When another had to go for it, dropped is true.
func (l *lru[K, V]) put(key K, value V) (old V, dropped bool) {
	if e, ok := l.items[key]; ok {
		e.Value.(*pair[K, V]).value = value
		l.order.MoveToFront(e)
		return old, false
	}
	l.items[key] = l.order.PushFront(&pair[K, V]{key, value})
	if len(l.items) <= l.capacity {
		return old, false
	}
	last := l.order.Back().Value.(*pair[K, V])
	l.delete(last.key)
	return last.value, true
}

func (l *lru[K, V]) delete(key K) {
	if e, ok := l.items[key]; ok {
		l.order.Remove(e)
		delete(l.items, key)
	}
}

// deleteFunc removes the values that match and returns how many there were.
func (l *lru[K, V]) deleteFunc(match func(V) bool) int {
	n := 0
	for key, e := range l.items {
		if match(e.Value.(*pair[K, V]).value) {
			l.order.Remove(e)
			delete(l.items, key)
			n++
		}
	}
	return n
}
