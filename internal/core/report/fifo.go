// SPDX-License-Identifier: Apache-2.0

package report

// fifo is a map of bounded size: what came first goes first.
type fifo[V any] struct {
	most  int
	items map[string]fifoItem[V]
	order []fifoPlace // may have places that were taken since
	next  uint64
}

type fifoItem[V any] struct {
	value V
	at    uint64
}

type fifoPlace struct {
	name string
	at   uint64
}

func newFIFO[V any](most int) fifo[V] {
	return fifo[V]{most: most, items: map[string]fifoItem[V]{}}
}

// take removes what is under a name.
func (f *fifo[V]) take(name string) (V, bool) {
	item, ok := f.items[name]
	delete(f.items, name)
	return item.value, ok
}

// put puts a value under a name that has none, and returns what had to go.
func (f *fifo[V]) put(name string, v V) (dropped V) {
	f.next++
	f.items[name] = fifoItem[V]{v, f.next}
	f.order = append(f.order, fifoPlace{name, f.next})
	for len(f.items) > f.most {
		first := f.order[0]
		f.order = f.order[1:]
		if item, ok := f.items[first.name]; ok && item.at == first.at {
			delete(f.items, first.name)
			dropped = item.value
		}
	}
	if len(f.order) > 2*f.most {
		kept := make([]fifoPlace, 0, len(f.items))
		for _, p := range f.order {
			if item, ok := f.items[p.name]; ok && item.at == p.at {
				kept = append(kept, p)
			}
		}
		f.order = kept
	}
	return dropped
}

// drain returns all values, the oldest first.
func (f *fifo[V]) drain() (all []V) {
	for _, p := range f.order {
		if item, ok := f.items[p.name]; ok && item.at == p.at {
			all = append(all, item.value)
		}
	}
	*f = newFIFO[V](f.most)
	return all
}
