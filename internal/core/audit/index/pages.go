// SPDX-License-Identifier: Apache-2.0

package index

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// An index file consists of pages that end in a checksum each, so that what a search
// reads of it can be checked without reading the rest.
const (
	pageSize = 4 << 10
	pageData = pageSize - 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// pageSum is the checksum of a page's data and its number.
func pageSum(data []byte, number int64) uint32 {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(number))
	return crc32.Update(crc32.Checksum(n[:], castagnoli), castagnoli, data)
}

// paged cuts data into pages.
type paged struct {
	to     io.Writer
	number int64
	page   []byte
}

func (w *paged) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), pageData-len(w.page))
		w.page = append(w.page, rest[:n]...)
		rest = rest[n:]
		if len(w.page) == pageData {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

// flush writes a page; the last one may be shorter.
func (w *paged) flush() error {
	if len(w.page) == 0 {
		return nil
	}
	w.page = binary.BigEndian.AppendUint32(w.page, pageSum(w.page, w.number))
	w.number++
	_, err := w.to.Write(w.page)
	w.page = w.page[:0]
	return err
}

// pages reads the data of pages.
type pages struct {
	file io.ReaderAt
	size int64 // of the data
}

// ReadAt reads data, and fails when a page that it is in is not as it was written.
func (r pages) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > r.size {
		return 0, fmt.Errorf("%w: it ends too early", errDamaged)
	}
	if len(p) == 0 {
		return 0, nil
	}
	first, last := at/pageData, (at+int64(len(p))-1)/pageData
	b := make([]byte, min((last+1)*pageSize, fileSize(r.size))-first*pageSize)
	if n, err := r.file.ReadAt(b, first*pageSize); n < len(b) {
		if err == io.EOF {
			err = fmt.Errorf("%w: it ends too early", errDamaged)
		}
		return 0, err
	}
	done, skip := 0, int(at-first*pageData)
	for number := first; number <= last; number++ {
		page := b[:min(len(b), pageSize)]
		b = b[len(page):]
		data := page[:len(page)-4]
		if binary.BigEndian.Uint32(page[len(data):]) != pageSum(data, number) {
			return 0, fmt.Errorf("%w: page %d", errDamaged, number)
		}
		done += copy(p[done:], data[skip:])
		skip = 0
	}
	return done, nil
}

// fileSize returns the size of a file with so many bytes of data.
func fileSize(data int64) int64 {
	return data + (data+pageData-1)/pageData*4
}
