// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Expect is what a client says of the plaintext of a body.
type Expect struct {
	MD5       []byte             // Content-MD5; nil when not sent
	Algorithm checksum.Algorithm // of the checksum to verify and store; "" lets the server choose
	// Value returns the expected digest. It is called once the body has been
	// read to its end, since a trailer may carry it. nil when none was sent.
	Value func() ([]byte, error)
}

// answered returns the checksum that answers an upload of a part: the client's, if it
// sent one. To an upload that was begun without an algorithm it may send any.
func (e Expect) answered(stored Checksum) (Checksum, error) {
	if e.Value == nil || e.Algorithm == stored.Algorithm {
		return stored, nil
	}
	sum, err := e.Value()
	return Checksum{Algorithm: e.Algorithm, Value: sum}, err
}

// stream is a stored body, or part of one: durable if it is in the blob store,
// still to be committed if inline.
type stream struct {
	part
	stored   int64
	at       blob.Place // when they are a blob
	inline   []byte     // the sealed bytes, or nil when they are a blob
	md5      []byte     // nil when not asked for
	checksum []byte
}

// ingestion is how a body is to be read.
type ingestion struct {
	size      int64 // expected plaintext bytes; -1 unknown
	limit     int64 // most plaintext bytes
	expect    Expect
	algorithm checksum.Algorithm // what to compute and store
	etagMD5   bool               // the ETag is the MD5
	part      bool               // it is a part of an upload
}

// ingest reads a body to its end, seals it and stores it. On success the stream is
// durable, or inline. On an error nothing is left behind. Faults: TooLarge,
// IncompleteBody, BadDigest, and those of the body's reader.
func (o *Objects) ingest(ctx context.Context, s *sse.Sealing, body io.Reader, in ingestion) (stream, error) {
	if in.size > in.limit {
		return stream{}, tooLarge(in.size, in.limit)
	}
	out := stream{}
	rand.Read(out.Stream[:])
	dst := &sink{ctx: ctx, o: o, id: out.Stream, hint: -1}
	if in.size >= 0 {
		dst.hint = s.Format().StoredSize(in.size)
	}
	defer dst.abort()

	digests := newDigests(in)
	w := s.NewWriter(dst, out.Stream)
	defer w.Abort()
	n, err := pump(ctx, w, digests, body, in)
	if err != nil {
		return stream{}, err
	}
	if err := w.Close(); err != nil {
		return stream{}, fmt.Errorf("seal the last segment: %w", err)
	}
	if err := digests.verify(in.expect); err != nil {
		return stream{}, err
	}
	if err := dst.commit(ctx); err != nil {
		return stream{}, err
	}
	out.Size, out.CRC32C, out.stored = n, w.CRC32C(), w.Stored()
	out.at, out.inline, out.md5, out.checksum = dst.at, dst.inline(), digests.sumMD5(), digests.sumChecksum()
	return out, nil
}

// pumpSize is the plaintext read at a time: four segments.
const pumpSize = 256 << 10

var pumpBuffers = sync.Pool{New: func() any { b := make([]byte, pumpSize); return &b }}

// smallBuffers are for bodies that fit in one: most of a small object's cost
// would otherwise be a cold 256 KiB.
var smallBuffers = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}

// pump copies plaintext through the digests into the sealer and returns how much
// there was.
func pump(ctx context.Context, w io.Writer, d *digests, body io.Reader, in ingestion) (int64, error) {
	pool := &pumpBuffers
	if in.size >= 0 && in.size < 16<<10 {
		pool = &smallBuffers
	}
	buf := pool.Get().(*[]byte)
	defer pool.Put(buf)
	var n int64
	for {
		m, err := readUpTo(body, *buf)
		n += int64(m)
		if n > in.limit {
			return 0, tooLarge(n, in.limit)
		}
		if m > 0 {
			if err := d.beside((*buf)[:m], w); err != nil {
				return 0, err
			}
		}
		switch {
		case err == io.EOF && in.size >= 0 && n != in.size:
			return 0, fault.New(IncompleteBody, "").Because(fmt.Errorf("%d of %d bytes", n, in.size))
		case err == io.EOF:
			return n, nil
		case err != nil:
			return 0, bodyError(err)
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
}

// bodyError names the fault of a body that broke off. A fault of the reader's own
// (a bad signature, say) stays.
func bodyError(err error) error {
	if _, ok := fault.As(err); ok {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.New(IncompleteBody, "").Because(err)
	}
	return fmt.Errorf("read body: %w", err)
}

// readUpTo fills buf as far as the body goes. Unlike io.ReadFull it says io.EOF
// together with the last bytes.
func readUpTo(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

func tooLarge(size, limit int64) error {
	return fault.New(TooLarge, "").With("ProposedSize", fmt.Sprint(size)).With("MaxSizeAllowed", fmt.Sprint(limit))
}

// digests computes what is asked of a plaintext, and no more: MD5 and SHA-256
// cost more than the encryption.
type digests struct {
	md5 hash.Hash
	sum hash.Hash // stored
	own hash.Hash // the client's, when it is another one

	slow bool // there is one that takes longer than a CRC
	part bool // of an upload
}

func newDigests(in ingestion) *digests {
	d := &digests{part: in.part}
	if in.etagMD5 || in.expect.MD5 != nil {
		d.md5 = fips.NewMD5()
	}
	d.sum = in.algorithm.New()
	if a := in.expect.Algorithm; a != "" && a != in.algorithm {
		d.own = a.New()
	}
	d.slow = d.md5 != nil || noCRC(in.algorithm) || d.own != nil && noCRC(in.expect.Algorithm)
	return d
}

func (d *digests) write(p []byte) {
	if d.md5 != nil {
		d.md5.Write(p)
	}
	d.sum.Write(p)
	if d.own != nil {
		d.own.Write(p)
	}
}

// noCRC tells the digests that are more than one.
func noCRC(a checksum.Algorithm) bool { return a.Size() > 8 }

// besideFrom is the least that is worth a goroutine.
const besideFrom = 64 << 10

// beside writes p to the digests and to w: at the same time where that is worth it,
// since MD5 and SHA take longer than the sealing does.
func (d *digests) beside(p []byte, w io.Writer) error {
	if len(p) < besideFrom || !d.slow {
		d.write(p)
		_, err := w.Write(p)
		return err
	}
	hashed := make(chan struct{})
	go func() {
		defer close(hashed)
		d.write(p)
	}()
	defer func() { <-hashed }()
	_, err := w.Write(p)
	return err
}

func (d *digests) sumMD5() []byte {
	if d.md5 == nil {
		return nil
	}
	return d.md5.Sum(nil)
}

func (d *digests) sumChecksum() []byte { return d.sum.Sum(nil) }

// sumOwn returns the digest of the client's algorithm.
func (d *digests) sumOwn() []byte {
	if d.own == nil {
		return d.sumChecksum()
	}
	return d.own.Sum(nil)
}

func (d *digests) verify(e Expect) error {
	if e.MD5 != nil {
		if got := d.sumMD5(); !bytes.Equal(got, e.MD5) {
			expected := hex.EncodeToString(e.MD5)
			if d.part {
				expected = base64.StdEncoding.EncodeToString(e.MD5) // S3 writes it in both ways
			}
			return fault.New(BadDigest, "The Content-MD5 you specified did not match what we received.").
				With("ExpectedDigest", expected).
				With("CalculatedDigest", base64.StdEncoding.EncodeToString(got))
		}
	}
	if e.Value == nil {
		return nil
	}
	want, err := e.Value()
	if err != nil {
		return err
	}
	if want != nil && subtle.ConstantTimeCompare(want, d.sumOwn()) != 1 {
		return fault.New(BadDigest, "The %s you specified did not match the calculated checksum.", e.Algorithm)
	}
	return nil
}

// sink takes sealed bytes. It keeps them as long as they are few enough to live
// inline; beyond that it makes a blob.
type sink struct {
	ctx  context.Context
	o    *Objects
	id   blob.StreamID
	hint int64 // expected stored size; -1 unknown
	held []byte
	w    blob.Writer
	at   blob.Place // once it is committed
}

func (s *sink) Write(p []byte) (int, error) {
	if s.w == nil && s.hint <= s.o.cfg.InlineLimit && int64(len(s.held)+len(p)) <= s.o.cfg.InlineLimit {
		s.held = append(s.held, p...)
		return len(p), nil
	}
	if s.w == nil {
		w, err := s.o.blobs.Create(s.ctx, s.id, s.hint)
		if err != nil {
			return 0, fmt.Errorf("create stream: %w", err)
		}
		s.w = w
		if _, err := w.Write(s.held); err != nil {
			return 0, fmt.Errorf("write stream: %w", err)
		}
		s.held = nil
	}
	n, err := s.w.Write(p)
	if err != nil {
		return n, fmt.Errorf("write stream: %w", err)
	}
	return n, nil
}

// inline returns the bytes if they are to live inline.
func (s *sink) inline() []byte {
	if s.w != nil {
		return nil
	}
	return s.held
}

func (s *sink) commit(ctx context.Context) error {
	if s.w == nil {
		return nil
	}
	at, err := s.w.Commit(ctx)
	if err != nil {
		return fmt.Errorf("make stream durable: %w", err)
	}
	s.at = at
	return nil
}

func (s *sink) abort() {
	if s.w != nil {
		s.w.Abort() // does nothing after Commit
	}
}

// discard removes streams that will not be named after all. It is best effort:
// the sweep finds what stays.
func (o *Objects) discard(ctx context.Context, streams ...stream) {
	for i := range streams {
		if s := &streams[i]; s.inline == nil && s.stored > 0 {
			_ = o.blobs.Delete(context.WithoutCancel(ctx), s.Stream, s.at)
		}
	}
}

// record adds the rows of a new stream to a batch. That the location row of a blob must
// be absent stops a sweep that took the blob for an orphan.
func (s stream) record(b *meta.Batch) {
	if s.inline != nil {
		b.Put(locationKey(s.Stream), location{kind: inRow, size: s.stored}.encode())
		b.Put(inlineKey(s.Stream), s.inline)
		return
	}
	b.PutIf(locationKey(s.Stream), locate(s.at, s.stored).encode(), 0)
}
