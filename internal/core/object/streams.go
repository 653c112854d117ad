// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// location is the row b/<stream>: where a stream is stored.
type location struct {
	kind    byte
	size    int64 // stored bytes
	pack    uint64
	offset  int64 // of the frame in the pack
	damaged bool  // a scrub or a read found it damaged: a report, not a ban
}

const (
	inRow  = 0    // in the row d/<stream>
	inFile = 1    // in the blob store, found by its id
	inPack = 2    // in the blob store, at the place that the row names
	swept  = 0xff // claimed by the orphan sweep: nothing may name it any more
)

// locationSize is u8 kind ‖ u8 flags ‖ u64 size; that of a packed stream goes on with
// u64 pack ‖ u64 offset.
const (
	locationSize = 10
	packedSize   = locationSize + 16
)

// locate returns the location of a stream that the blob store has.
func locate(at blob.Place, size int64) location {
	if !at.Packed() {
		return location{kind: inFile, size: size}
	}
	return location{kind: inPack, size: size, pack: at.Pack, offset: at.Offset}
}

// place is where the blob store has the stream.
func (l location) place() blob.Place {
	if l.kind != inPack {
		return blob.Place{}
	}
	return blob.Place{Pack: l.pack, Offset: l.offset, Size: l.size}
}

func (l location) encode() []byte {
	b := make([]byte, 2, packedSize)
	b[0] = l.kind
	if l.damaged {
		b[1] = 1
	}
	b = binary.BigEndian.AppendUint64(b, uint64(l.size))
	if l.kind == inPack {
		b = binary.BigEndian.AppendUint64(b, l.pack)
		b = binary.BigEndian.AppendUint64(b, uint64(l.offset))
	}
	return b
}

func decodeLocation(b []byte) (location, error) {
	if len(b) != locationSize && (len(b) != packedSize || b[0] != inPack) {
		return location{}, fault.New(meta.Damaged, "").Because(errors.New("location row"))
	}
	l := location{kind: b[0], damaged: b[1]&1 != 0, size: int64(binary.BigEndian.Uint64(b[2:]))}
	if l.kind != inPack {
		return l, nil
	}
	if len(b) == packedSize {
		l.pack, l.offset = binary.BigEndian.Uint64(b[10:]), int64(binary.BigEndian.Uint64(b[18:]))
	}
	if l.pack == 0 {
		return location{}, fault.New(meta.Damaged, "").Because(errors.New("location row of a packed stream without its pack"))
	}
	return l, nil
}

// open returns a function that opens ranges of a stored stream. small says that the
// stream is probably inline, which saves a second look.
func (o *Objects) open(ctx context.Context, id blob.StreamID, stored int64) (func(off, n int64) (io.ReadCloser, error), error) {
	keys := [][]byte{locationKey(id)}
	if stored <= o.cfg.InlineLimit {
		keys = append(keys, inlineKey(id))
	}
	items, err := meta.View(ctx, o.store, keys...)
	if err != nil {
		return nil, fmt.Errorf("find stream: %w", err)
	}
	if items[0].Ver == 0 {
		return nil, fault.New(Damaged, "").Because(fmt.Errorf("stream %s has no location", id))
	}
	loc, err := decodeLocation(items[0].Value)
	if err != nil {
		return nil, err
	}
	if loc.size != stored {
		return nil, fault.New(Damaged, "").Because(fmt.Errorf("stream %s has %d bytes, not %d", id, loc.size, stored))
	}
	switch loc.kind {
	case inFile, inPack:
		return func(off, n int64) (io.ReadCloser, error) { return o.blobs.ReadAt(ctx, id, loc.place(), off, n) }, nil
	case inRow:
		item := items[len(items)-1]
		if len(items) == 1 { // the limit was larger when this was written
			if item, err = meta.Get1(ctx, o.store, inlineKey(id)); err != nil {
				return nil, err
			}
		}
		return openInline(id, item.Value), nil
	}
	return nil, fault.New(Damaged, "").Because(fmt.Errorf("stream %s is stored as kind %d", id, loc.kind))
}

func openInline(id blob.StreamID, sealed []byte) func(off, n int64) (io.ReadCloser, error) {
	return func(off, n int64) (io.ReadCloser, error) {
		if off > int64(len(sealed)) {
			return nil, fault.New(Damaged, "").Because(fmt.Errorf("inline stream %s ends early", id))
		}
		rest := sealed[off:]
		if n >= 0 && n < int64(len(rest)) {
			rest = rest[:n]
		}
		r := &inlineReader{}
		r.Reset(rest)
		return r, nil
	}
}

// inlineReader reads a stream that is in a row.
type inlineReader struct{ bytes.Reader }

// Close does nothing.
func (*inlineReader) Close() error { return nil }

// reportDamage marks a stream as damaged, or clean again. The mark is a report
// for operators; reads still try.
func (o *Objects) reportDamage(ctx context.Context, id blob.StreamID, damaged bool) error {
	item, err := meta.Get1(ctx, o.store, locationKey(id))
	if err != nil || item.Ver == 0 {
		return err
	}
	loc, err := decodeLocation(item.Value)
	if err != nil || loc.damaged == damaged || loc.kind == swept {
		return err
	}
	loc.damaged = damaged
	var b meta.Batch
	b.PutIf(locationKey(id), loc.encode(), item.Ver)
	_, err = o.store.Commit(ctx, &b)
	var conflict *meta.ConflictError
	if errors.As(err, &conflict) { // removed or marked meanwhile
		return nil
	}
	return err
}
