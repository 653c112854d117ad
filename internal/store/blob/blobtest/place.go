// SPDX-License-Identifier: Apache-2.0

package blobtest

import (
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// placeIsFound: streams of every length, announced, are found where Commit said.
func placeIsFound(t *testing.T, s blob.Store) {
	all := make(map[stream][]byte)
	for _, n := range []int{0, 1, 4031, 4032, 4033, 16_384, 65_628, 131_072, 300_000, 524_288, 600_000} {
		data := content(n)
		all[mustPut(t, s, data)] = data
	}
	for st, data := range all {
		if st.at.Packed() && st.at.Size != int64(len(data)) {
			t.Errorf("a stream of %d bytes is at %+v", len(data), st.at)
		}
		wantContent(t, s, st, data)
		info, err := s.Stat(t.Context(), st.id, st.at)
		if err != nil || info.ID != st.id || info.At != st.at || info.Size != int64(len(data)) {
			t.Errorf("Stat of %d bytes = %+v, %v", len(data), info, err)
		}
	}
}

// placeOfAnother: nobody gets another stream's bytes, or removes them, by a place
// that is not his.
func placeOfAnother(t *testing.T, s blob.Store) {
	a, b := mustPut(t, s, content(1000)), mustPut(t, s, content(1000))
	if a.at == b.at {
		return // found by their ids alone
	}
	wrong(t, s, stream{a.id, b.at}, blob.Damaged)
	wrong(t, s, stream{newID(), b.at}, blob.Damaged)
	nowhere := b.at
	nowhere.Offset += 1 << 40
	wrong(t, s, stream{b.id, nowhere}, blob.NotFound)
	nowhere = b.at
	nowhere.Pack ^= 1 << 40
	wrong(t, s, stream{b.id, nowhere}, blob.NotFound)
	wrong(t, s, stream{b.id, blob.Place{}}, blob.NotFound)
	wantContent(t, s, a, content(1000))
	wantContent(t, s, b, content(1000))
}

// placeOfAnotherLength: what knows another length of a stream does not mean this one.
func placeOfAnotherLength(t *testing.T, s blob.Store) {
	st := mustPut(t, s, content(1000))
	if !st.at.Packed() {
		return
	}
	for _, size := range []int64{0, 999, 1001, -1} {
		other := st
		other.at.Size = size
		wrong(t, s, other, blob.Damaged)
	}
	wantContent(t, s, st, content(1000))
}

// wrong checks that a stream cannot be reached.
func wrong(t *testing.T, s blob.Store, st stream, want error) {
	t.Helper()
	if r, err := s.ReadAt(t.Context(), st.id, st.at, 0, -1); !errors.Is(err, want) {
		t.Errorf("ReadAt of %s at %+v = %v, %v, want %v", st.id, st.at, r, err, want)
	}
	if info, err := s.Stat(t.Context(), st.id, st.at); !errors.Is(err, want) {
		t.Errorf("Stat of %s at %+v = %+v, %v, want %v", st.id, st.at, info, err, want)
	}
	if err := s.Delete(t.Context(), st.id, st.at); err != nil {
		t.Errorf("Delete of %s at %+v: %v", st.id, st.at, err)
	}
	if err := s.MoveToTrash(t.Context(), st.id, st.at); err != nil {
		t.Errorf("MoveToTrash of %s at %+v: %v", st.id, st.at, err)
	}
}
