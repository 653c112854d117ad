// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// An index file is of one segment of the trail that is not written any more, and has the
// segment's name before its suffix. It has a head and blocks, in pages.
const (
	fileSuffix = ".idx"
	tempSuffix = ".idx.tmp"
	magic      = "cofferAI"
	version    = 1
	headSize   = len(magic) + 1 + 8 + 8 + 4 + 4 // and the name, and the blocks
	blockSize  = 8 + 8 + 8 + 4 + 4 + 4 + 8 + 8
	maxBlocks  = 1 << 16
	maxName    = 255
)

// file is what is kept in memory of an index file.
type file struct {
	segment string
	covers  int64 // bytes of the segment
	size    int64 // of the data
	blocks  []block
}

// encode returns the head; the blocks' places in the file are set.
func (f *file) encode() []byte {
	f.size = int64(headSize + len(f.segment) + len(f.blocks)*blockSize)
	for i := range f.blocks {
		f.blocks[i].at = f.size
		f.size += f.blocks[i].size()
	}
	b := append([]byte(magic), version)
	b = binary.BigEndian.AppendUint64(b, uint64(f.size))
	b = binary.BigEndian.AppendUint64(b, uint64(f.covers))
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.blocks)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.segment)))
	b = append(b, f.segment...)
	for _, m := range f.blocks {
		for _, n := range []int64{m.from, m.to, m.at} {
			b = binary.BigEndian.AppendUint64(b, uint64(n))
		}
		for _, n := range []uint32{m.terms, m.records, m.lists} {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		for _, n := range []int64{m.minTime, m.maxTime} {
			b = binary.BigEndian.AppendUint64(b, uint64(n))
		}
	}
	return b
}

// decodeFile reads the head of an index file of so many bytes. All errors but those of
// reading are errDamaged.
func decodeFile(r io.ReaderAt, fileBytes int64) (*file, error) {
	data := fileBytes - (fileBytes+pageSize-1)/pageSize*4
	src := pages{r, data}
	fixed := make([]byte, headSize)
	if _, err := src.ReadAt(fixed, 0); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(fixed, []byte(magic)) || fixed[len(magic)] != version {
		return nil, fmt.Errorf("%w: it is none of this version", errDamaged)
	}
	n := fixed[len(magic)+1:]
	f := &file{size: int64(binary.BigEndian.Uint64(n)), covers: int64(binary.BigEndian.Uint64(n[8:]))}
	blocks, name := binary.BigEndian.Uint32(n[16:]), binary.BigEndian.Uint32(n[20:])
	if f.size != data || f.covers < 0 || blocks > maxBlocks || name > maxName {
		return nil, fmt.Errorf("%w: its head", errDamaged)
	}
	rest := make([]byte, int(name)+int(blocks)*blockSize)
	if _, err := src.ReadAt(rest, int64(headSize)); err != nil {
		return nil, err
	}
	f.segment, rest = string(rest[:name]), rest[name:]
	at, to := int64(headSize+int(name)+int(blocks)*blockSize), int64(0)
	for range blocks {
		i64 := func(i int) int64 { return int64(binary.BigEndian.Uint64(rest[i:])) }
		u32 := func(i int) uint32 { return binary.BigEndian.Uint32(rest[i:]) }
		m := block{from: i64(0), to: i64(8), at: i64(16), terms: u32(24), records: u32(28), lists: u32(32), minTime: i64(36), maxTime: i64(44)}
		if err := m.check(); err != nil {
			return nil, err
		}
		if m.at != at || m.from < to || m.to > f.covers {
			return nil, fmt.Errorf("%w: its blocks", errDamaged)
		}
		at, to = at+m.size(), m.to
		f.blocks = append(f.blocks, m)
		rest = rest[blockSize:]
	}
	if at != f.size {
		return nil, fmt.Errorf("%w: its size", errDamaged)
	}
	return f, nil
}

// openFile reads the head of a segment's index file.
func openFile(fs vfs.FS, path, segment string) (*file, error) {
	r, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return nil, err
	}
	f, err := decodeFile(r, info.Size())
	if err == nil && f.segment != segment {
		err = fmt.Errorf("%w: it is of %q", errDamaged, f.segment)
	}
	return f, err
}

// writeFile writes an index file, so that after a crash it is there as a whole or not.
func writeFile(fs vfs.FS, dir string, f *file, blocks [][]byte) (err error) {
	if f.covers > math.MaxUint32 {
		return errors.New("audit/index: the file of the trail is too large")
	}
	temp, name := fs.PathJoin(dir, f.segment+tempSuffix), fs.PathJoin(dir, f.segment+fileSuffix)
	out, err := fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = fs.Remove(temp)
		}
	}()
	if fd := out.Fd(); fd != vfs.InvalidFd {
		err = syscall.Fchmod(int(fd), 0o600) // vfs.FS makes files that the umask decides about
	}
	w := &paged{to: bufio.NewWriterSize(out, 256<<10)}
	for _, part := range append([][]byte{f.encode()}, blocks...) {
		if err == nil {
			_, err = w.Write(part)
		}
	}
	if err == nil {
		err = w.flush()
	}
	if err == nil {
		err = w.to.(*bufio.Writer).Flush()
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	if err = fs.Rename(temp, name); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// segmentOf returns the segment of an index file's name.
func segmentOf(name string) (segment string, ok bool) {
	return strings.CutSuffix(name, fileSuffix)
}
