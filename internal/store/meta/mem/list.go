// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"bytes"
	"slices"
	"sort"
)

// row is a stored row. It is never changed once it is in a list: a new version
// is a new row.
type row struct {
	key, value []byte
	ver        uint64
	counter    bool
}

// chunkRows is how many rows a chunk may hold before it is split. An insertion
// moves at most that many pointers, whatever the size of the list.
const chunkRows = 512

// list holds rows in key order, in chunks that are never empty.
type list struct{ chunks [][]*row }

// pos is a place in a list: a row's, or the end's (a chunk past the last).
type pos struct{ chunk, index int }

// seek returns the place of the first row whose key is not less than key, and
// whether it is key's own.
func (l *list) seek(key []byte) (pos, bool) {
	c := sort.Search(len(l.chunks), func(i int) bool {
		chunk := l.chunks[i]
		return bytes.Compare(chunk[len(chunk)-1].key, key) >= 0
	})
	if c == len(l.chunks) {
		return pos{c, 0}, false
	}
	i, ok := slices.BinarySearchFunc(l.chunks[c], key, func(r *row, key []byte) int { return bytes.Compare(r.key, key) })
	return pos{c, i}, ok
}

// end returns the place after the last row.
func (l *list) end() pos { return pos{len(l.chunks), 0} }

// at returns the row at p, or nil at the end.
func (l *list) at(p pos) *row {
	if p.chunk == len(l.chunks) {
		return nil
	}
	return l.chunks[p.chunk][p.index]
}

// next returns the place after p, which must not be the end.
func (l *list) next(p pos) pos {
	if p.index+1 < len(l.chunks[p.chunk]) {
		return pos{p.chunk, p.index + 1}
	}
	return pos{p.chunk + 1, 0}
}

// prev returns the place before p; ok is false at the first row.
func (l *list) prev(p pos) (_ pos, ok bool) {
	if p.index > 0 {
		return pos{p.chunk, p.index - 1}, true
	}
	if p.chunk == 0 {
		return p, false
	}
	return pos{p.chunk - 1, len(l.chunks[p.chunk-1]) - 1}, true
}

// get returns the row of key, or nil.
func (l *list) get(key []byte) *row {
	if p, ok := l.seek(key); ok {
		return l.at(p)
	}
	return nil
}

// set inserts r, or replaces the row of its key.
func (l *list) set(r *row) {
	p, ok := l.seek(r.key)
	if ok {
		l.chunks[p.chunk][p.index] = r
		return
	}
	if p.chunk == len(l.chunks) {
		if p.chunk == 0 {
			l.chunks = append(l.chunks, []*row{r})
			return
		}
		p = pos{p.chunk - 1, len(l.chunks[p.chunk-1])}
	}
	chunk := slices.Insert(l.chunks[p.chunk], p.index, r)
	l.chunks[p.chunk] = chunk
	if len(chunk) <= chunkRows {
		return
	}
	// The halves get arrays of their own, or an insertion into one would run
	// into the other.
	half := len(chunk) / 2
	l.chunks[p.chunk] = slices.Clone(chunk[:half])
	l.chunks = slices.Insert(l.chunks, p.chunk+1, slices.Clone(chunk[half:]))
}

// remove deletes the row of key, if there is one.
func (l *list) remove(key []byte) {
	p, ok := l.seek(key)
	if !ok {
		return
	}
	if len(l.chunks[p.chunk]) == 1 {
		l.chunks = slices.Delete(l.chunks, p.chunk, p.chunk+1)
		return
	}
	l.chunks[p.chunk] = slices.Delete(l.chunks[p.chunk], p.index, p.index+1)
}
