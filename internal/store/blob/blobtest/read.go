// SPDX-License-Identifier: Apache-2.0

package blobtest

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/cofferstore/coffer/internal/store/blob"
)

func committedStreamReadsBack(t *testing.T, s blob.Store) {
	data := content(100_000)
	id := newID()
	w := mustCreate(t, s, id, -1)
	for rest := data; len(rest) > 0; { // in uneven pieces
		k := min(len(rest), 7777)
		mustWrite(t, w, rest[:k])
		rest = rest[k:]
	}
	at := mustCommit(t, w)
	if at.Packed() {
		t.Errorf("a stream of unknown length was packed at %+v", at)
	}
	wantContent(t, s, stream{id, at}, data)
	info, err := s.Stat(t.Context(), id, at)
	if err != nil || info.ID != id || info.Size != int64(len(data)) {
		t.Errorf("Stat = %+v, %v, want id %s, size %d", info, err, id, len(data))
	}
}

func ranges(t *testing.T, s blob.Store) {
	data := content(300_000)
	st := mustPut(t, s, data)
	size := int64(len(data))
	for _, r := range []struct{ off, n int64 }{
		{0, 0}, {0, 1}, {0, size}, {1, size - 1}, {size - 1, 1}, {size, 0}, {64, 65_564},
		{262_143, 2}, {262_144, 100}, {0, -1}, {size - 5, -1}, {size, -1}, {12_345, -7},
	} {
		want := data[r.off:]
		if r.n >= 0 {
			want = want[:r.n]
		}
		got, err := read(t.Context(), s, st, r.off, r.n)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("range off %d n %d: %d bytes, %v, want the %d written", r.off, r.n, len(got), err, len(want))
		}
	}
	if _, err := s.ReadAt(t.Context(), st.id, st.at, -1, 1); err == nil {
		t.Error("ReadAt took a negative offset")
	}
}

func rangeBeyondTheEnd(t *testing.T, s blob.Store) {
	data := content(1000)
	st := mustPut(t, s, data)
	for _, r := range []struct{ off, n int64 }{
		{0, 1001}, {999, 2}, {1000, 1}, {1001, 1}, {1001, -1}, {5000, 10}, {10, math.MaxInt64}, {math.MaxInt64, math.MaxInt64},
	} {
		got, err := read(t.Context(), s, st, r.off, r.n)
		want := data[min(r.off, int64(len(data))):]
		if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(got, want) {
			t.Errorf("range off %d n %d of a stream of 1000: %d bytes, %v, want the last %d and ErrUnexpectedEOF",
				r.off, r.n, len(got), err, len(want))
		}
	}
}

func emptyStream(t *testing.T, s blob.Store) {
	id := newID()
	st := stream{id, mustCommit(t, mustCreate(t, s, id, 0))}
	wantContent(t, s, st, nil)
	if info, err := s.Stat(t.Context(), id, st.at); err != nil || info.Size != 0 {
		t.Errorf("Stat of an empty stream = %+v, %v, want size 0", info, err)
	}
	if _, err := read(t.Context(), s, st, 0, 1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("first byte of an empty stream: %v, want ErrUnexpectedEOF", err)
	}
}

func largeStream(t *testing.T, s blob.Store) {
	data := content(8<<20 + 12_345)
	id := newID()
	w := mustCreate(t, s, id, 100) // a hint may be wrong
	const segment = 64<<10 + 28
	for rest := data; len(rest) > 0; {
		k := min(len(rest), segment)
		mustWrite(t, w, rest[:k])
		rest = rest[k:]
	}
	st := stream{id, mustCommit(t, w)}
	wantContent(t, s, st, data)
	got, err := read(t.Context(), s, st, 8<<20, 1000)
	if err != nil || !bytes.Equal(got, data[8<<20:8<<20+1000]) {
		t.Errorf("range late in a large stream: %d bytes, %v", len(got), err)
	}
}

func missingStream(t *testing.T, s blob.Store) { wantMissing(t, s, stream{id: newID()}) }
