// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"bytes"
	"encoding/hex"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/blob"
)

// count returns n bytes from, from+1, …
func count(from byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

// The key and stream of the vectors in docs/formats.md.
func vectorKey() secret.Bytes { return secret.New(count(0, 32)) }

var vectorStream = blob.StreamID(count(0x50, 16))

func vector(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// text returns n bytes in which no two segments are alike.
func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16*7)
	}
	return b
}

// small are segments of 4 KiB, the least there are.
var small = newBuffers(minLog2)

// seal returns plain as a stored stream.
func seal(t testing.TB, dek secret.Bytes, id blob.StreamID, plain []byte, bufs *buffers) []byte {
	t.Helper()
	var out bytes.Buffer
	w := newWriter(&out, dataKeys{dek}, id, bufs)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// stored serves a stream as a blob store does.
func stored(b []byte) func(off, n int64) (io.ReadCloser, error) {
	return func(off, n int64) (io.ReadCloser, error) {
		if off > int64(len(b)) {
			return nil, io.ErrUnexpectedEOF
		}
		rest := b[off:]
		if n >= 0 && n <= int64(len(rest)) {
			return io.NopCloser(bytes.NewReader(rest[:n])), nil
		}
		return io.NopCloser(io.MultiReader(bytes.NewReader(rest), failing{io.ErrUnexpectedEOF})), nil
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// readRange reads a range of a stored stream to its end.
func readRange(r *Reader, off, n int64) ([]byte, error) {
	s := r.Range(off, n)
	defer s.Close()
	return io.ReadAll(s)
}

// headOne is the length of a header of one layer.
const headOne = 64
