// SPDX-License-Identifier: Apache-2.0

package index

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
)

// blockRecords is how many records a block has at most. A builder of so many takes some
// 10 MB, and their block 1 MB.
const blockRecords = 16 << 10

// builder makes a block of records in the order of the trail.
type builder struct {
	from, to int64 // of the segment, in bytes
	offsets  []uint32
	times    []int64

	table  []uint32 // number of a term and 1, by its hash: twice as many places as terms, at least
	hashes []uint64 // by number
	counts []uint32
	last   []uint32 // ordinal of the last record with the term
	pairs  []pair

	sealed *built // what it became
}

// pair says that a record has a term.
type pair struct{ term, record uint32 }

func newBuilder(from int64) *builder {
	return &builder{from: from, to: from, table: make([]uint32, 1<<10)}
}

// next returns a builder for what follows, with the memory of this one, which is done.
func (b *builder) next(from int64) *builder {
	clear(b.table)
	return &builder{
		from: from, to: from, table: b.table, offsets: b.offsets[:0], times: b.times[:0],
		hashes: b.hashes[:0], counts: b.counts[:0], last: b.last[:0], pairs: b.pairs[:0],
	}
}

// place returns where in the table a hash is, or where it belongs.
func (b *builder) place(h uint64) uint64 {
	mask := uint64(len(b.table) - 1)
	at := h & mask
	for b.table[at] != 0 && b.hashes[b.table[at]-1] != h {
		at = (at + 1) & mask
	}
	return at
}

// term returns the number of the term with a hash.
func (b *builder) term(h uint64) uint32 {
	at := b.place(h)
	if n := b.table[at]; n != 0 {
		return n - 1
	}
	if 2*len(b.hashes) >= len(b.table) {
		b.table = make([]uint32, 2*len(b.table))
		for n, h := range b.hashes {
			b.table[b.place(h)] = uint32(n) + 1
		}
		at = b.place(h)
	}
	b.hashes, b.counts, b.last = append(b.hashes, h), append(b.counts, 0), append(b.last, 0)
	b.table[at] = uint32(len(b.hashes))
	return uint32(len(b.hashes)) - 1
}

// add adds the record that begins at one offset and ends at the next.
func (b *builder) add(offset, next int64, f *facts) {
	record := uint32(len(b.offsets))
	b.offsets = append(b.offsets, uint32(offset))
	b.times = append(b.times, f.time)
	b.to = next
	for i := range f.list {
		n := b.term(f.list[i].field.space().hash(f.list[i].value))
		if b.counts[n] > 0 && b.last[n] == record {
			continue // ARN and name are of one space
		}
		b.counts[n]++
		b.last[n] = record
		b.pairs = append(b.pairs, pair{n, record})
	}
}

// postings returns the records with a term.
func (b *builder) postings(h uint64) []uint32 {
	n := b.table[b.place(h)]
	if n == 0 {
		return nil
	}
	n--
	records := make([]uint32, 0, b.counts[n])
	for _, p := range b.pairs {
		if p.term == n {
			records = append(records, p.record)
		}
	}
	return records
}

// block returns what was added, as it is in a file.
func (b *builder) block() (block, []byte) {
	m := block{from: b.from, to: b.to, terms: uint32(len(b.hashes)), records: uint32(len(b.offsets)), minTime: maxTime, maxTime: minTime}
	for _, at := range b.times {
		m.minTime, m.maxTime = min(m.minTime, at), max(m.maxTime, at)
	}
	// The records of each term together, by counting.
	begins := make([]uint32, len(b.hashes)+1)
	for n, count := range b.counts {
		begins[n+1] = begins[n] + count
	}
	all := make([]uint32, len(b.pairs))
	next := slices.Clone(begins)
	for _, p := range b.pairs {
		all[next[p.term]] = p.record
		next[p.term]++
	}
	order := make([]uint32, len(b.hashes))
	for n := range order {
		order[n] = uint32(n)
	}
	slices.SortFunc(order, func(x, y uint32) int { return cmp.Compare(b.hashes[x], b.hashes[y]) })

	out := make([]byte, 0, int(m.terms)*termSize+int(m.records)*recordSize+len(b.pairs))
	var lists []byte
	for _, n := range order {
		records := all[begins[n]:begins[n+1]]
		at := uint32(len(lists))
		switch len(records) {
		case 1:
			at = records[0]
		case len(b.offsets): // all of them
			at = 0
		default:
			before := uint32(0)
			for _, r := range records {
				lists = binary.AppendUvarint(lists, uint64(r-before))
				before = r
			}
		}
		out = binary.BigEndian.AppendUint64(out, b.hashes[n])
		out = binary.BigEndian.AppendUint32(out, uint32(len(records)))
		out = binary.BigEndian.AppendUint32(out, at)
	}
	for i, offset := range b.offsets {
		out = binary.BigEndian.AppendUint32(out, offset)
		out = binary.BigEndian.AppendUint32(out, m.since(b.times[i]))
	}
	m.lists = uint32(len(lists))
	return m, append(out, lists...)
}

// since returns how many seconds a time is after the block's earliest; anyTime when it is
// too far to say.
func (m *block) since(at int64) uint32 {
	if d := uint64(at) - uint64(m.minTime); d < anyTime {
		return uint32(d)
	}
	return anyTime
}

const anyTime = math.MaxUint32
