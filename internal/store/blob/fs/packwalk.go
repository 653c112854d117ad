// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A pack has no index: its frames are found one behind the other, by their
// headers. Where there is no header, a hole, something torn by a crash or damage,
// the next one is looked for at the next page.

// state is what is found where a frame may begin.
type state int

const (
	whole   state = iota // a frame
	erased               // a frame that is gone, or zeros
	strange              // anything else
)

// headAt reads what is at an offset of the pack; beyond its end are zeros.
func (p *pack) headAt(f vfs.File, off int64) (frameHead, state, error) {
	var b [headSize]byte
	n, err := f.ReadAt(b[:], off)
	if err != nil && !errors.Is(err, io.EOF) {
		return frameHead{}, strange, failure(err, "read pack %q at %d", p.path, off)
	}
	clear(b[n:])
	h, s := p.look(b[:], off)
	return h, s, nil
}

// look says what begins with the bytes b at an offset.
func (p *pack) look(b []byte, off int64) (frameHead, state) {
	h, ok := parseFrameHead(b)
	switch {
	case ok && h.pack == p.id && h.at == off && h.gone:
		return h, erased
	case ok && h.pack == p.id && h.at == off:
		return h, whole
	case zero(b):
		return frameHead{}, erased
	}
	return frameHead{}, strange
}

// walkRead is how much is read at a time where there are no frames: holes cost
// next to nothing.
const walkRead = 64 << 10

// walk shows the frames of a pack from an offset on, until show returns false, and
// counts the pages that are nothing known. It reads no bodies.
func (p *pack) walk(f vfs.File, off int64, show func(frameHead) bool) (odd int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, failure(err, "stat pack %q", p.path)
	}
	buf := make([]byte, walkRead)
	for next := int64(pageSize); off < info.Size(); {
		n, err := f.ReadAt(buf[:next], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return odd, failure(err, "read pack %q at %d", p.path, off)
		}
		if n == 0 {
			return odd, nil // shorter than it was
		}
		next = walkRead
		for page := buf[:n]; len(page) > 0; page = page[min(pageSize, len(page)):] {
			page := page[:min(pageSize, len(page))]
			h, s := p.look(page[:min(headSize, len(page))], off)
			if h.pack != 0 { // a frame, there or gone: its length is known
				if s == whole && !show(h) {
					return odd, nil
				}
				off += room(h.size)
				next = pageSize
				break
			}
			if s == strange || !zero(page) {
				odd++
			}
			off += pageSize
		}
	}
	return odd, nil
}

// recount counts the streams of a full pack, to which nothing is written, and its odd
// pages. change is held.
func (p *pack) recount() (odd int64, err error) {
	f, err := p.hold()
	if err != nil {
		return 0, err
	}
	defer p.letGo()
	var streams, bytes int64
	odd, err = p.walk(f, pageSize, func(h frameHead) bool {
		streams++
		bytes += room(h.size)
		return true
	})
	if err != nil {
		return odd, err
	}
	head := make([]byte, headSize)
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return odd, failure(err, "read pack %q", p.path)
	}
	if h, ok := parsePackHead(head); (!ok || h.pack != p.id) && !zero(head) { // zeros: a crash was faster
		odd++
	}
	info, err := f.Stat()
	if err != nil {
		return odd, failure(err, "stat pack %q", p.path)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counted, p.streams, p.bytes, p.size = true, streams, bytes, info.Size()
	return odd, nil
}
