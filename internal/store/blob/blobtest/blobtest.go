// SPDX-License-Identifier: Apache-2.0

// Package blobtest is the suite that every driver of blob.Store passes: what
// the interface's comments say, as tests. A driver's own tests add only what is
// the driver's own, such as what a crash leaves.
package blobtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"testing"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// Run runs the suite. open returns an empty store and arranges for what is left
// behind to be cleaned up; the suite closes the store.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s blob.Store)
	}{
		{"CommittedStreamReadsBack", committedStreamReadsBack},
		{"Ranges", ranges},
		{"RangeBeyondTheEnd", rangeBeyondTheEnd},
		{"EmptyStream", emptyStream},
		{"LargeStream", largeStream},
		{"MissingStream", missingStream},
		{"Place/IsFound", placeIsFound},
		{"Place/OfAnother", placeOfAnother},
		{"Place/OfAnotherLength", placeOfAnotherLength},
		{"Create/OfAnExistingStream", createOfAnExistingStream},
		{"Create/SameIDConcurrently", createSameIDConcurrently},
		{"Writer/UnfinishedIsNotThere", unfinishedIsNotThere},
		{"Writer/AbortLeavesNothing", abortLeavesNothing},
		{"Writer/AfterCommit", writerAfterCommit},
		{"Writer/AfterAbort", writerAfterAbort},
		{"Writer/CallersSliceIsItsOwn", callersSliceIsItsOwn},
		{"Writer/LongerThanAnnounced", longerThanAnnounced},
		{"Writer/Concurrent", concurrentWriters},
		{"Delete/Idempotent", deleteIdempotent},
		{"Delete/ReaderGoesOn", deleteReaderGoesOn},
		{"List/Pages", listPages},
		{"List/Info", listInfo},
		{"List/WhileStreamsGo", listWhileStreamsGo},
		{"Trash/OutOfReach", trashOutOfReach},
		{"Trash/EmptiedByAge", trashEmptiedByAge},
		{"Free", free},
		{"Context/Done", contextDone},
		{"Context/GovernsReader", contextGovernsReader},
		{"Close/LaterCalls", closeLaterCalls},
		{"Close/UnfinishedWriter", closeUnfinishedWriter},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			test.run(t, s)
		})
	}
}

func newID() (id blob.StreamID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// stream is what one must know of a stream to find it.
type stream struct {
	id blob.StreamID
	at blob.Place
}

// content returns n bytes in which no two places look alike.
func content(n int) []byte {
	b := make([]byte, n)
	_, _ = mathrand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(b)
	return b
}

func mustCreate(t *testing.T, s blob.Store, id blob.StreamID, sizeHint int64) blob.Writer {
	t.Helper()
	w, err := s.Create(t.Context(), id, sizeHint)
	if err != nil {
		t.Fatalf("create %s: %v", id, err)
	}
	return w
}

func mustCommit(t *testing.T, w blob.Writer) blob.Place {
	t.Helper()
	at, err := w.Commit(t.Context())
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return at
}

func mustWrite(t *testing.T, w blob.Writer, data []byte) {
	t.Helper()
	if n, err := w.Write(data); n != len(data) || err != nil {
		t.Fatalf("write of %d bytes = %d, %v", len(data), n, err)
	}
}

// mustPut commits a stream under a new id.
func mustPut(t *testing.T, s blob.Store, data []byte) stream {
	t.Helper()
	id := newID()
	at, err := put(t.Context(), s, id, int64(len(data)), data)
	if err != nil {
		t.Fatalf("put %s: %v", id, err)
	}
	return stream{id, at}
}

func put(ctx context.Context, s blob.Store, id blob.StreamID, hint int64, data []byte) (blob.Place, error) {
	w, err := s.Create(ctx, id, hint)
	if err != nil {
		return blob.Place{}, err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return blob.Place{}, err
	}
	return w.Commit(ctx)
}

// read reads a range and closes the reader.
func read(ctx context.Context, s blob.Store, st stream, off, n int64) ([]byte, error) {
	r, err := s.ReadAt(ctx, st.id, st.at, off, n)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func wantContent(t *testing.T, s blob.Store, st stream, want []byte) {
	t.Helper()
	got, err := read(t.Context(), s, st, 0, -1)
	if err != nil {
		t.Errorf("read %s: %v", st.id, err)
		return
	}
	if !bytes.Equal(got, want) {
		t.Errorf("stream %s reads back as other %d bytes than the %d written", st.id, len(got), len(want))
	}
}

// wantMissing checks that no method shows the stream.
func wantMissing(t *testing.T, s blob.Store, st stream) {
	t.Helper()
	if _, err := s.ReadAt(t.Context(), st.id, st.at, 0, -1); !errors.Is(err, blob.NotFound) {
		t.Errorf("ReadAt of a stream that is not there: %v, want NotFound", err)
	}
	if _, err := s.Stat(t.Context(), st.id, st.at); !errors.Is(err, blob.NotFound) {
		t.Errorf("Stat of a stream that is not there: %v, want NotFound", err)
	}
	infos, err := s.List(t.Context(), blob.Info{}, 0)
	if err != nil {
		t.Errorf("List: %v", err)
	}
	for _, info := range infos {
		if info.ID == st.id {
			t.Errorf("List shows stream %s, which is not there", st.id)
		}
	}
}
