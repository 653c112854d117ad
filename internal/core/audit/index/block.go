// SPDX-License-Identifier: Apache-2.0

package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A block indexes some thousand records that follow each other in a segment. It has
// terms in the order of their hashes, then records, then lists of records.
const (
	termSize   = 16 // hash, how many records, where their list is: in lists, or the record itself
	recordSize = 8  // offset in the segment, seconds since the earliest record
)

// errDamaged says that an index file is not as it was written. It is made again.
var errDamaged = errors.New("audit/index: damaged index file")

// block is what is kept in memory of a block.
type block struct {
	from, to         int64 // of the segment, in bytes
	at               int64 // where it begins in the file
	terms, records   uint32
	lists            uint32 // bytes of lists
	minTime, maxTime int64  // of its records
}

func (m *block) size() int64 {
	return int64(m.terms)*termSize + int64(m.records)*recordSize + int64(m.lists)
}

// check refuses a description that no block has.
func (m *block) check() error {
	if m.from < 0 || m.to < m.from || m.at < 0 || m.records > blockRecords || uint64(m.terms) > uint64(m.to-m.from) ||
		m.minTime > m.maxTime && m.records > 0 {
		return fmt.Errorf("%w: block of %d records at %d", errDamaged, m.records, m.from)
	}
	return nil
}

// reader reads a block.
type blockReader struct {
	block
	src io.ReaderAt
}

func (r *blockReader) read(at int64, n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := r.src.ReadAt(b, r.at+at); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w: it ends too early", errDamaged)
		}
		return nil, err
	}
	return b, nil
}

// posting says which records have a term.
type posting struct{ count, at uint32 }

// lookWindow is how many terms are read at once.
const lookWindow = 192

// find looks a term up. Hashes are spread evenly, so its place can be guessed.
func (r *blockReader) find(h uint64) (p posting, ok bool, err error) {
	low, high := int64(0), int64(r.terms) // it is in [low, high)
	lowHash, highHash := uint64(0), uint64(1<<64-1)
	for try := 0; low < high; try++ {
		at := low + (high-low)/2
		if try < 8 && highHash > lowHash {
			at = low + int64(float64(h-lowHash)/float64(highHash-lowHash)*float64(high-low))
		}
		begin := max(low, min(at, high-1)-lookWindow/2)
		end := min(high, begin+lookWindow)
		b, err := r.read(begin*termSize, int(end-begin)*termSize)
		if err != nil {
			return p, false, err
		}
		n := len(b) / termSize
		hashAt := func(i int) uint64 { return binary.BigEndian.Uint64(b[i*termSize:]) }
		switch {
		case h < hashAt(0):
			high, highHash = begin, hashAt(0)
		case h > hashAt(n-1):
			low, lowHash = end, hashAt(n-1)
		default:
			for i := range n {
				if hashAt(i) == h {
					p.count, p.at = binary.BigEndian.Uint32(b[i*termSize+8:]), binary.BigEndian.Uint32(b[i*termSize+12:])
					if p.count == 0 || p.count > r.records || p.count == 1 && p.at >= r.records || p.count > 1 && p.at > r.lists {
						return p, false, fmt.Errorf("%w: term %x", errDamaged, h)
					}
					return p, true, nil
				}
			}
			return p, false, nil
		}
	}
	return p, false, nil
}

// all is the posting of every record.
func (r *blockReader) all() posting { return posting{count: r.records} }

// records returns the records of a posting, in their order.
func (r *blockReader) decode(p posting) ([]uint32, error) {
	if p.count == 1 && r.records > 1 {
		return []uint32{p.at}, nil
	}
	records := make([]uint32, 0, p.count)
	if p.count == r.records {
		for i := range p.count {
			records = append(records, i)
		}
		return records, nil
	}
	// A number under blockRecords takes three bytes at most.
	n := min(int(p.count)*3, int(r.lists-p.at))
	b, err := r.read(r.size()-int64(r.lists)+int64(p.at), n)
	if err != nil {
		return nil, err
	}
	last := uint64(0)
	for i := range p.count {
		d, n := binary.Uvarint(b)
		if n <= 0 || d >= uint64(r.records) || i > 0 && d == 0 {
			return nil, fmt.Errorf("%w: a list of records", errDamaged)
		}
		if last += d; last >= uint64(r.records) {
			return nil, fmt.Errorf("%w: a list of records", errDamaged)
		}
		records, b = append(records, uint32(last)), b[n:]
	}
	return records, nil
}

// fewEnough is how many records are rather looked at than compared with another list.
const fewEnough = 8

// candidates returns the records that may have all terms, in their order.
func (r *blockReader) candidates(hashes []uint64) ([]uint32, error) {
	postings := []posting{r.all()}
	for _, h := range hashes {
		p, ok, err := r.find(h)
		if err != nil || !ok {
			return nil, err
		}
		postings = append(postings, p)
	}
	slices.SortFunc(postings, func(a, b posting) int { return int(a.count) - int(b.count) })
	records, err := r.decode(postings[0])
	for _, p := range postings[1:] {
		if err != nil || len(records) <= fewEnough || p.count == r.records {
			break
		}
		var other []uint32
		if other, err = r.decode(p); err == nil {
			records = common(records, other)
		}
	}
	return records, err
}

// common returns what is in both lists, which are in order.
func common(a, b []uint32) []uint32 {
	both := a[:0]
	for _, n := range a {
		i, ok := slices.BinarySearch(b, n)
		if b = b[i:]; ok {
			both = append(both, n)
		}
	}
	return both
}

// place is where a record is in its segment, and when it was. It ends at the latest where
// the next one begins.
type place struct {
	from, to int64
	time     int64 // anyTime: not known
	known    bool
}

// places returns where records are.
func (r *blockReader) places(records []uint32) ([]place, error) {
	if len(records) == 0 {
		return nil, nil
	}
	first, last := records[0], min(records[len(records)-1]+2, r.records)
	var table []byte
	var err error
	if dense := int(last-first) <= 64*len(records); dense {
		if table, err = r.read(int64(r.terms)*termSize+int64(first)*recordSize, int(last-first)*recordSize); err != nil {
			return nil, err
		}
	}
	places := make([]place, 0, len(records))
	for _, n := range records {
		var b []byte
		if table != nil {
			b = table[(n-first)*recordSize:]
		} else if b, err = r.read(int64(r.terms)*termSize+int64(n)*recordSize, int(min(2, r.records-n))*recordSize); err != nil {
			return nil, err
		}
		p := place{from: int64(binary.BigEndian.Uint32(b)), to: r.to}
		if n+1 < r.records {
			p.to = int64(binary.BigEndian.Uint32(b[recordSize:]))
		}
		if since := binary.BigEndian.Uint32(b[4:]); since != anyTime {
			p.time, p.known = r.minTime+int64(since), true
		}
		if p.from < r.from || p.to <= p.from || p.to > r.to {
			return nil, fmt.Errorf("%w: record %d of the block at %d", errDamaged, n, r.from)
		}
		places = append(places, p)
	}
	return places, nil
}
