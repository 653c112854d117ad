// SPDX-License-Identifier: Apache-2.0

package cached

import (
	"bytes"
	"container/list"
	"sync"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// overhead is about what an entry takes beside its bytes.
const overhead = 200

// shard keeps some of the rows, and drops those that were not used for longest.
type shard struct {
	mu    sync.Mutex
	room  int64
	items map[string]*list.Element // of kept rows
	order list.List                // of *entry, the latest first
	// underWay counts the commits that are writing a row, by the hash of its key. Two keys of
	// one hash keep each other from being kept, and that is all.
	underWay map[uint64]int
	// changes counts how often a row began or ceased to be written. A row that was
	// read while it stood still is current.
	changes uint64
	closed  bool
}

type entry struct {
	key  string
	item meta.Item // without its key; absent rows are kept, too
}

func (e *entry) size() int64 { return int64(len(e.key)+len(e.item.Value)) + overhead }

func (s *shard) init(room int64) {
	s.room = room
	s.items, s.underWay = map[string]*list.Element{}, map[uint64]int{}
}

// get returns a row that is kept. mu is held.
func (s *shard) get(key []byte) (meta.Item, bool) {
	at, ok := s.items[string(key)]
	if !ok {
		return meta.Item{}, false
	}
	s.order.MoveToFront(at)
	return at.Value.(*entry).item, true
}

// keep keeps a row that was read when the shard had seen so many changes, unless it
// has seen more since.
func (s *shard) keep(it meta.Item, hash, changes uint64) {
	e := &entry{string(it.Key), meta.Item{Value: bytes.Clone(it.Value), Ver: it.Ver}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.changes != changes || s.underWay[hash] > 0 || s.items[e.key] != nil {
		return
	}
	s.items[e.key] = s.order.PushFront(e)
	s.room -= e.size()
	for s.room < 0 {
		s.drop(s.order.Back())
	}
}

// drop forgets a row. mu is held.
func (s *shard) drop(at *list.Element) {
	e := s.order.Remove(at).(*entry)
	delete(s.items, e.key)
	s.room += e.size()
}

// begin says that a commit is going to write the row. mu is held.
func (s *shard) begin(key []byte, hash uint64) {
	s.changes++
	s.underWay[hash]++
	if at := s.items[string(key)]; at != nil {
		s.drop(at)
	}
}

// end says that it is over. mu is held.
func (s *shard) end(_ []byte, hash uint64) {
	s.changes++
	if s.underWay[hash]--; s.underWay[hash] == 0 {
		delete(s.underWay, hash)
	}
}

func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	clear(s.items)
	s.order.Init()
}
