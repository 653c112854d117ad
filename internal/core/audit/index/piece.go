// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bytes"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// piece is a part of the trail: the records of a block, or what has no index.
type piece struct {
	segment          string
	from, to         int64 // of the segment, in bytes
	end              int64 // of what can be read of the segment
	minTime, maxTime int64

	file  *file // that has the block, or
	block block
	built *built   // the block in memory, or
	live  *builder // one that is being made, or none of them
}

func (p *piece) indexed() bool { return p.file != nil || p.built != nil || p.live != nil }

// scanSize is how much is read of the trail at once where it has no index.
const scanSize = 4 << 20

// pieces returns the trail's parts up to its head, oldest first.
func (x *Index) pieces() (all []piece, err error) {
	segments, err := x.segments()
	if err != nil {
		return nil, err
	}
	head := x.head(segments)
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, segment := range segments {
		if segment > head.Segment {
			break
		}
		f := x.files[segment]
		if f != nil {
			for _, m := range f.blocks {
				all = append(all, piece{
					segment: segment, from: m.from, to: m.to, end: f.covers, minTime: m.minTime, maxTime: m.maxTime, file: f, block: m,
				})
			}
			continue
		}
		info, err := x.fs.Stat(x.fs.PathJoin(x.dir, segment))
		if err != nil {
			continue // removed since
		}
		end, from := info.Size(), int64(0)
		if segment == head.Segment {
			end = min(end, head.Offset)
		}
		if x.cur != nil && x.cur.segment == segment {
			all = append(all, x.cur.pieces(end)...)
			from = x.cur.to
		}
		for ; from < end; from += scanSize {
			all = append(all, piece{segment: segment, from: from, to: min(from+scanSize, end), end: end, minTime: minTime, maxTime: maxTime})
		}
	}
	return all, nil
}

// pieces returns what of a segment is indexed in memory. Index.mu is held.
func (c *building) pieces(end int64) (all []piece) {
	for _, b := range c.done {
		all = append(all, piece{segment: c.segment, from: b.from, to: b.to, end: end, minTime: b.minTime, maxTime: b.maxTime, built: b})
	}
	if b := c.live; len(b.offsets) > 0 {
		all = append(all, piece{segment: c.segment, from: b.from, to: b.to, end: end, minTime: minTime, maxTime: maxTime, live: b})
	}
	return all
}

// places returns where in the segment there may be records that are searched for.
func (s *search) places(p *piece) ([]place, error) {
	r := blockReader{}
	switch {
	case p.file != nil:
		src, err := s.index.open(s.x.fs, s.x.own, p.file)
		if err != nil {
			return nil, err
		}
		r = blockReader{p.block, src}
	case p.live != nil:
		s.x.mu.RLock()
		if p.live.sealed == nil {
			defer s.x.mu.RUnlock()
			return p.live.places(s.plan.hashes, p.to), nil
		}
		p.built = p.live.sealed
		s.x.mu.RUnlock()
		fallthrough
	default:
		r = blockReader{p.built.block, bytes.NewReader(p.built.data)}
	}
	records, err := r.candidates(s.plan.hashes)
	if err != nil {
		return nil, err
	}
	places, err := r.places(records)
	return slices.DeleteFunc(places, func(at place) bool { return at.from >= p.to }), err
}

// places returns where the records are that may have all terms, of those up to an offset.
func (b *builder) places(hashes []uint64, to int64) (all []place) {
	records := make([]uint32, 0)
	for i, h := range hashes {
		list := b.postings(h)
		if i > 0 {
			list = common(records, list)
		}
		if records = list; len(records) == 0 {
			return nil
		}
	}
	if len(hashes) == 0 {
		for i := range b.offsets {
			records = append(records, uint32(i))
		}
	}
	for _, n := range records {
		p := place{from: int64(b.offsets[n]), to: b.to, time: b.times[n], known: true}
		if int(n)+1 < len(b.offsets) {
			p.to = int64(b.offsets[n+1])
		}
		if p.from < to {
			all = append(all, p)
		}
	}
	return all
}

// indexReader keeps the index file open that was read last.
type indexReader struct {
	of   *file
	file vfs.File
}

func (r *indexReader) open(fs vfs.FS, dir string, f *file) (pages, error) {
	if r.of != f {
		r.close()
		opened, err := fs.Open(fs.PathJoin(dir, f.segment+fileSuffix))
		if err != nil {
			return pages{}, err
		}
		r.of, r.file = f, opened
	}
	return pages{r.file, f.size}, nil
}

func (r *indexReader) close() {
	if r.file != nil {
		_ = r.file.Close()
	}
	*r = indexReader{}
}
