// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/blob"
)

func TestBodyVector(t *testing.T) {
	sealed := vector(t, "cfb1-hello.hex")
	r := newReader(dataKeys{vectorKey()}, vectorStream, 5, stored(sealed), newBuffers(segmentLog2))
	if got, err := readRange(r, 0, 5); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	again := seal(t, vectorKey(), vectorStream, []byte("hello"), newBuffers(segmentLog2))
	if !bytes.Equal(again[:headOne], sealed[:headOne]) || len(again) != len(sealed) {
		t.Errorf("the header is now %x", again[:headOne])
	}
	if formatOf(1).StoredSize(5) != int64(len(sealed)) {
		t.Errorf("StoredSize(5) is %d, want %d", formatOf(1).StoredSize(5), len(sealed))
	}
}

// sizes are around what segments and the collecting of segments may get wrong.
func sizes(log2 uint8) []int {
	s := 1 << log2
	out := []int{0, 1, 2}
	for _, k := range []int{1, 2, collected, collected + 1, 2*collected + 1} {
		out = append(out, k*s-1, k*s, k*s+1)
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	dek := secret.Random(32)
	for _, size := range sizes(minLog2) {
		plain := text(size)
		for _, step := range []int{size + 1, 1 << minLog2, 3<<minLog2 + 5, 999} {
			var out bytes.Buffer
			w := newWriter(&out, dataKeys{dek}, vectorStream, small)
			for p := range slices.Chunk(plain, step) {
				if n, err := w.Write(p); n != len(p) || err != nil {
					t.Fatalf("write: %d, %v", n, err)
				}
			}
			if err := errors.Join(w.Close(), w.Close()); err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%d bytes by %d", size, step)
			if w.Stored() != int64(out.Len()) || w.Stored() != storedSize(int64(size), minLog2, 1) {
				t.Errorf("%s: stored %d, said %d, expected %d", name, out.Len(), w.Stored(), storedSize(int64(size), minLog2, 1))
			}
			if want := crc32.Checksum(out.Bytes(), crc32.MakeTable(crc32.Castagnoli)); w.CRC32C() != want {
				t.Errorf("%s: crc %x, want %x", name, w.CRC32C(), want)
			}
			got, err := readRange(newReader(dataKeys{dek}, vectorStream, int64(size), stored(out.Bytes()), small), 0, int64(size))
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s: read %d bytes, %v", name, len(got), err)
			}
		}
	}
}

// counting counts the calls of Write.
type counting struct {
	io.Writer
	calls int
}

func (c *counting) Write(p []byte) (int, error) {
	c.calls++
	return c.Writer.Write(p)
}

func TestWriterCollectsSegments(t *testing.T) {
	for size, most := range map[int]int{10: 1, 4 << minLog2: 1, 40 << minLog2: 10} {
		out := &counting{Writer: io.Discard}
		w := newWriter(out, dataKeys{vectorKey()}, vectorStream, small)
		if _, err := w.Write(text(size)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if out.calls > most {
			t.Errorf("%d bytes took %d writes, want %d at most", size, out.calls, most)
		}
	}
}

func TestWriterFails(t *testing.T) {
	broken := errors.New("disk")
	r, pipe := io.Pipe()
	r.CloseWithError(broken)
	w := newWriter(pipe, dataKeys{vectorKey()}, vectorStream, small)
	_, err := w.Write(text(100 << minLog2))
	if !errors.Is(err, broken) {
		t.Errorf("Write: %v", err)
	}
	if err := w.Close(); !errors.Is(err, broken) {
		t.Errorf("Close: %v", err)
	}

	short := newWriter(writerFunc(func(p []byte) (int, error) { return len(p) - 1, nil }), dataKeys{vectorKey()}, vectorStream, small)
	if err := short.Close(); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("short write: %v", err)
	}

	var out bytes.Buffer
	gone := newWriter(&out, dataKeys{vectorKey()}, vectorStream, small)
	gone.Abort()
	if _, err := gone.Write([]byte("x")); err == nil {
		t.Error("Write after Abort passed")
	}
	if err := gone.Close(); err == nil || out.Len() != 0 {
		t.Errorf("Close after Abort: %v, with %d bytes out", err, out.Len())
	}

	ended := newWriter(&out, dataKeys{vectorKey()}, vectorStream, small)
	if err := ended.Close(); err != nil {
		t.Fatal(err)
	}
	ended.Abort()
	if err := ended.Close(); err != nil {
		t.Errorf("Abort after Close changed the result: %v", err)
	}
	if _, err := ended.Write([]byte("x")); err == nil {
		t.Error("Write after Close passed")
	}

	long := newWriter(io.Discard, dataKeys{vectorKey()}, vectorStream, small)
	long.index = maxSegments
	if err := long.Close(); !errors.Is(err, errTooLong) {
		t.Errorf("too many segments: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestRanges(t *testing.T) {
	dek := secret.Random(32)
	streams := make(map[int][]byte)
	for _, size := range sizes(minLog2) {
		streams[size] = seal(t, dek, vectorStream, text(size), small)
	}
	edge := func(t *rapid.T, name string, size int) int {
		at := rapid.IntRange(0, size>>minLog2+1).Draw(t, name+" segment") << minLog2
		at += rapid.SampledFrom([]int{-1, 0, 1, 7}).Draw(t, name+" delta")
		return min(max(at, 0), size)
	}
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom(sizes(minLog2)).Draw(t, "size")
		off, end := edge(t, "from", size), edge(t, "to", size)
		if off > end {
			off, end = end, off
		}
		r := newReader(dataKeys{dek}, vectorStream, int64(size), stored(streams[size]), small)
		for range 2 { // with the header not yet verified, and after
			s := r.Range(int64(off), int64(end-off))
			var got bytes.Buffer
			var err error
			if rapid.Bool().Draw(t, "by WriteTo") {
				_, err = io.Copy(&got, s)
			} else {
				_, err = io.Copy(&got, iotest.OneByteReader(s))
			}
			if err := errors.Join(err, s.Close()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), text(size)[off:end]) {
				t.Fatalf("range %d to %d of %d: wrong bytes", off, end, size)
			}
		}
	})
}

func TestRangeReadsNoMoreThanItNeeds(t *testing.T) {
	const segment = 1<<minLog2 + secret.Overhead
	dek, size := secret.Random(32), int64(10<<minLog2)
	sealed := seal(t, dek, vectorStream, text(int(size)), small)
	var asked []string
	open := func(off, n int64) (io.ReadCloser, error) {
		asked = append(asked, fmt.Sprintf("%d+%d", off, n))
		return stored(sealed)(off, n)
	}
	r := newReader(dataKeys{dek}, vectorStream, size, open, small)
	for _, step := range []struct {
		off, n int64
		want   []string
	}{
		{5000, 10, []string{"0+64", fmt.Sprintf("%d+%d", 64+segment, segment)}},
		{0, 1, []string{fmt.Sprintf("64+%d", segment)}},
		{4095, 2, []string{fmt.Sprintf("64+%d", 2*segment)}},
		{size - 1, 1, []string{fmt.Sprintf("%d+%d", 64+9*segment, segment)}},
		{0, size, []string{fmt.Sprintf("64+%d", 10*segment)}},
		{77, 0, nil},
	} {
		asked = nil
		if _, err := readRange(r, step.off, step.n); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(asked, step.want) {
			t.Errorf("range %d+%d asked for %v, want %v", step.off, step.n, asked, step.want)
		}
	}
	asked = nil
	if _, err := readRange(newReader(dataKeys{dek}, vectorStream, size, open, small), 0, size); err != nil || len(asked) != 1 {
		t.Errorf("a whole stream took %v, %v", asked, err)
	}
}

func TestRangeOutside(t *testing.T) {
	r := newReader(dataKeys{vectorKey()}, vectorStream, 5, stored(vector(t, "cfb1-hello.hex")), newBuffers(segmentLog2))
	for _, x := range [][2]int64{{-1, 2}, {0, 6}, {6, 0}, {0, -1}, {3, 1<<63 - 1}} {
		if got, err := readRange(r, x[0], x[1]); !errors.Is(err, errRange) || len(got) != 0 {
			t.Errorf("range %v: %q, %v", x, got, err)
		}
	}
	s := r.Range(0, 5)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 5)); err == nil || err == io.EOF {
		t.Errorf("read after Close: %v", err)
	}
}

func TestOtherSegmentSize(t *testing.T) {
	dek, plain := secret.Random(32), text(5<<14+3)
	sealed := seal(t, dek, vectorStream, plain, newBuffers(14))
	usual := newBuffers(segmentLog2)
	for _, off := range []int{0, 70_000} {
		r := newReader(dataKeys{dek}, vectorStream, int64(len(plain)), stored(sealed), usual)
		got, err := readRange(r, int64(off), int64(len(plain)-off))
		if err != nil || !bytes.Equal(got, plain[off:]) {
			t.Errorf("from %d: %d bytes, %v", off, len(got), err)
		}
	}
	// Buffers of the other size must not end in the pool.
	for range 4 {
		if b := usual.small.Get().(*[]byte); int64(len(*b)) != segmentAt(1, segmentLog2, maxLayers) {
			t.Errorf("the pool gave a buffer of %d bytes", len(*b))
		}
	}
}

// wantDamaged reads a whole tampered stream: nothing but whole true segments may
// come before the fault.
func wantDamaged(t *testing.T, name string, dek secret.Bytes, id blob.StreamID, sealed, plain []byte) {
	t.Helper()
	got, err := readRange(newReader(dataKeys{dek}, id, int64(len(plain)), stored(sealed), small), 0, int64(len(plain)))
	if !errors.Is(err, Damaged) {
		t.Errorf("%s: error %v, want Damaged", name, err)
	}
	if !bytes.HasPrefix(plain, got) || len(got)%(1<<minLog2) != 0 || len(got) == len(plain) {
		t.Errorf("%s: %d bytes left the reader", name, len(got))
	}
}

func TestFlippedBits(t *testing.T) {
	dek, plain := secret.Random(32), text(2<<minLog2+100)
	sealed := seal(t, dek, vectorStream, plain, small)
	for i := range sealed {
		for bit := range 8 {
			if i > 200 && i < len(sealed)-200 && (i+bit)%16 != 0 { // every byte of the ends, a half of the middle
				continue
			}
			bad := bytes.Clone(sealed)
			bad[i] ^= 1 << bit
			wantDamaged(t, fmt.Sprintf("bit %d of byte %d", bit, i), dek, vectorStream, bad, plain)
		}
	}
	empty := seal(t, dek, vectorStream, nil, small)
	for i := range empty {
		bad := bytes.Clone(empty)
		bad[i] ^= 1
		r := newReader(dataKeys{dek}, vectorStream, 0, stored(bad), small)
		if _, err := readRange(r, 0, 0); !errors.Is(err, Damaged) {
			t.Errorf("empty stream with byte %d changed: %v", i, err)
		}
	}
}

func TestMovedSegments(t *testing.T) {
	const segment = 1<<minLog2 + secret.Overhead
	dek, other := secret.Random(32), secret.Random(32)
	plain := text(3<<minLog2 + 50)
	sealed := seal(t, dek, vectorStream, plain, small)
	head, segs := sealed[:headOne], slices.Collect(slices.Chunk(sealed[headOne:], segment))
	join := func(parts ...[]byte) []byte { return slices.Concat(append([][]byte{head}, parts...)...) }

	otherID := blob.StreamID(count(0x70, 16))
	spliced := seal(t, dek, otherID, plain, small)
	longer := seal(t, dek, vectorStream, append(bytes.Clone(plain), text(9000)...), small)
	for name, bad := range map[string][]byte{
		"first two swapped":           join(segs[1], segs[0], segs[2], segs[3]),
		"second repeated":             join(segs[0], segs[1], segs[1], segs[3]),
		"second dropped":              join(segs[0], segs[2], segs[3]),
		"last one missing":            join(segs[0], segs[1], segs[2]),
		"cut within a segment":        sealed[:len(sealed)-1],
		"cut after the header":        head,
		"cut within the header":       head[:63],
		"nothing":                     nil,
		"another stream":              spliced,
		"another stream's segments":   slices.Concat(head, spliced[headOne:]),
		"another key's stream":        seal(t, other, vectorStream, plain, small),
		"another key's segments":      slices.Concat(head, seal(t, other, vectorStream, plain, small)[headOne:]),
		"longer, so not last":         longer,
		"shorter, so last too early":  seal(t, dek, vectorStream, plain[:2<<minLog2], small),
		"header says another size":    slices.Concat(head[:6], []byte{13}, sealed[7:]),
		"header says an absurd size":  slices.Concat(head[:6], []byte{40}, sealed[7:]),
		"header says two layers":      slices.Concat(head[:5], []byte{2}, sealed[6:]),
		"header with reserved byte 1": slices.Concat(head[:63], []byte{1}, sealed[64:]),
	} {
		wantDamaged(t, name, dek, vectorStream, bad, plain)
	}
	wantDamaged(t, "read as another stream", dek, otherID, sealed, plain)
	wantDamaged(t, "read with another key", other, vectorStream, sealed, plain)

	// Of whole segments in front a reader may see what is true, and no more: a
	// stream that ended early must not look like one that ends there.
	whole := seal(t, dek, vectorStream, text(2<<minLog2), small)
	wantDamaged(t, "size says less", dek, vectorStream, whole, text(1<<minLog2))
}

func TestSecondTry(t *testing.T) {
	dek, plain := secret.Random(32), text(5<<minLog2)
	sealed := seal(t, dek, vectorStream, plain, small)
	flipped := func(at int) []byte {
		b := bytes.Clone(sealed)
		b[at] ^= 4
		return b
	}
	disk := errors.New("disk")
	const third = headOne + 2*(1<<minLog2+secret.Overhead)
	for name, first := range map[string]func(off, n int64) (io.ReadCloser, error){
		"bad header":       stored(flipped(3)),
		"bad segment":      stored(flipped(third + 40)),
		"cut":              stored(sealed[:third+100]),
		"read error":       func(off, n int64) (io.ReadCloser, error) { return io.NopCloser(failing{disk}), nil },
		"error of opening": func(off, n int64) (io.ReadCloser, error) { return nil, disk },
	} {
		calls := 0
		open := func(off, n int64) (io.ReadCloser, error) {
			if calls++; calls == 1 {
				return first(off, n)
			}
			return stored(sealed)(off, n)
		}
		got, err := readRange(newReader(dataKeys{dek}, vectorStream, int64(len(plain)), open, small), 10, int64(len(plain)-20))
		if err != nil || !bytes.Equal(got, plain[10:len(plain)-10]) || calls != 2 {
			t.Errorf("%s, then good: %d bytes after %d calls, %v", name, len(got), calls, err)
		}
	}
}

func TestErrorsOfTheStore(t *testing.T) {
	plain := text(100)
	gone := fault.New(blob.NotFound, "")
	for name, c := range map[string]struct {
		err    error
		is     error
		not    error
		opened int
	}{
		"not found":        {gone, blob.NotFound, Damaged, 2},
		"damaged on disk":  {fault.New(blob.Damaged, ""), Damaged, nil, 2},
		"request gave up":  {context.Canceled, context.Canceled, Damaged, 1},
		"store is away":    {fault.New(blob.Unavailable, ""), blob.Unavailable, Damaged, 2},
		"ends before head": {io.ErrUnexpectedEOF, Damaged, nil, 2},
	} {
		opened := 0
		open := func(off, n int64) (io.ReadCloser, error) { opened++; return nil, c.err }
		_, err := readRange(newReader(dataKeys{vectorKey()}, vectorStream, int64(len(plain)), open, small), 0, 100)
		if !errors.Is(err, c.is) || c.not != nil && errors.Is(err, c.not) || opened != c.opened {
			t.Errorf("%s: %v after %d tries", name, err, opened)
		}
	}
}

func TestStreamsAreClosed(t *testing.T) {
	dek, plain := secret.Random(32), text(4<<minLog2)
	bad := seal(t, dek, vectorStream, plain, small)
	bad[len(bad)-1] ^= 1
	open, held := 0, 0
	r := newReader(dataKeys{dek}, vectorStream, int64(len(plain)), func(off, n int64) (io.ReadCloser, error) {
		open, held = open+1, held+1
		src, err := stored(bad)(off, n)
		return closer{src, func() { held-- }}, err
	}, small)
	if _, err := readRange(r, 5000, int64(len(plain))-5000); !errors.Is(err, Damaged) {
		t.Fatal(err)
	}
	if open < 3 || held != 0 {
		t.Errorf("%d of %d streams were not closed", held, open)
	}
}

type closer struct {
	io.Reader
	close func()
}

func (c closer) Close() error { c.close(); return nil }

func TestRangesAtOnce(t *testing.T) {
	dek, plain := secret.Random(32), text(20<<minLog2)
	r := newReader(dataKeys{dek}, vectorStream, int64(len(plain)), stored(seal(t, dek, vectorStream, plain, small)), small)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			off := i * 1000
			if got, err := readRange(r, int64(off), 30_000); err != nil || !bytes.Equal(got, plain[off:off+30_000]) {
				t.Errorf("range from %d: %v", off, err)
			}
		})
	}
	wg.Wait()
}

func FuzzBodyReader(f *testing.F) {
	dek, plain := vectorKey(), text(2<<minLog2+77)
	sealed := seal(f, dek, vectorStream, plain, small)
	f.Add(sealed, int64(len(plain)), int64(0), int64(len(plain)))
	f.Add(sealed, int64(len(plain)), int64(4095), int64(2))
	f.Add(sealed[:headOne], int64(0), int64(0), int64(0))
	f.Add(vector(f, "cfb1-hello.hex"), int64(5), int64(1), int64(3))
	f.Fuzz(func(t *testing.T, b []byte, size, off, n int64) {
		if size > 1<<20 {
			return
		}
		got, err := readRange(newReader(dataKeys{dek}, vectorStream, size, stored(b), small), off, n)
		if len(got) == 0 {
			return
		}
		// Whoever has not the key can only give back what was sealed.
		for _, sealed := range [][]byte{plain, []byte("hello")} {
			if off <= int64(len(sealed)) && bytes.HasPrefix(sealed[off:], got) {
				return
			}
		}
		t.Errorf("%d bytes from %d that nobody sealed, error %v", len(got), off, err)
	})
}

func BenchmarkSeal(b *testing.B) { benchmark(b, benchmarkSeal) }
func BenchmarkOpen(b *testing.B) { benchmark(b, benchmarkOpen) }

func benchmark(b *testing.B, run func(*testing.B, int)) {
	for _, size := range []int{4 << 10, 64 << 10, 256 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			run(b, size)
		})
	}
}

func benchmarkSeal(b *testing.B, size int) {
	dek, plain, bufs := secret.Random(32), text(size), newBuffers(segmentLog2)
	var id blob.StreamID
	rand.Read(id[:])
	for b.Loop() {
		w := newWriter(io.Discard, dataKeys{dek}, id, bufs)
		for p := range slices.Chunk(plain, 256<<10) {
			if _, err := w.Write(p); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkOpen(b *testing.B, size int) {
	dek, bufs := secret.Random(32), newBuffers(segmentLog2)
	open := stored(seal(b, dek, vectorStream, text(size), bufs))
	for b.Loop() {
		s := newReader(dataKeys{dek}, vectorStream, int64(size), open, bufs).Range(0, int64(size))
		if _, err := io.Copy(io.Discard, s); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
