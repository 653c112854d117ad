// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/cofferstore/coffer/internal/fault"
)

// Body is a request's payload, decoded and verified as it is read.
//
// What Read returns before [io.EOF] is provisional: hash, chunk signatures and
// trailer come after the bytes that they vouch for. Nothing may be committed
// until Read has returned io.EOF, which it does only once all of it was
// verified. Any other error is final and says that the body is not what was
// signed. A Body is not safe for concurrent use and does not close its source.
type Body struct {
	reader io.Reader
	length int64
	chunks *chunkReader // nil unless chunked
}

// Read returns decoded payload.
func (b *Body) Read(p []byte) (int, error) { return b.reader.Read(p) }

// DecodedLength returns how many bytes there are until io.EOF, or -1 if the
// request does not say.
func (b *Body) DecodedLength() int64 { return b.length }

// Trailer returns the value of a trailing header, by its name in lower case.
// Before Read has returned io.EOF there is none.
func (b *Body) Trailer(name string) (value string, ok bool) {
	if b.chunks == nil || b.chunks.err != io.EOF {
		return "", false
	}
	for _, t := range b.chunks.trailers {
		if t.name == name {
			return t.value, true
		}
	}
	return "", false
}

// Announced returns the names of the trailing headers that the body will have,
// in lower case.
func (b *Body) Announced() []string {
	if b.chunks == nil {
		return nil
	}
	return b.chunks.announced
}

// Body returns the payload of the request, read from src, which must be the
// request's body. contentLength is that of the request, -1 if unknown. It may be
// called once.
func (r *Result) Body(src io.Reader, contentLength int64) (*Body, error) {
	p := &r.payload
	if !p.mode.Chunked() {
		plain := &plainReader{src: src, left: contentLength}
		if p.mode == Signed {
			plain.hash, plain.claimed = sha256.New(), p.sum
		}
		return &Body{reader: plain, length: contentLength}, nil
	}
	if p.length < 0 {
		return nil, fault.New(MissingContentLength, "You must provide the Content-Length HTTP header.")
	}
	if p.tooMany {
		return nil, malformedTrailer("more trailers announced than are taken")
	}
	chunks := newChunkReader(src, p)
	if p.mode != UnsignedChunksTrailer {
		chunks.chain = r.chain.start()
	}
	return &Body{reader: chunks, length: p.length, chunks: chunks}, nil
}

// plainReader is a body as it stands, of a known length or a known hash or
// neither.
type plainReader struct {
	src     io.Reader
	left    int64     // negative: unknown
	hash    hash.Hash // nil: unsigned
	claimed [sha256.Size]byte
	err     error // final
}

func (r *plainReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.src.Read(p)
	if r.left >= 0 {
		if r.left -= int64(n); r.left < 0 {
			r.err = fault.New(IncompleteBody, lengthMessage).Because(errors.New("body is longer"))
			return 0, r.err
		}
	}
	if r.hash != nil {
		r.hash.Write(p[:n])
	}
	switch {
	case err == nil:
		return n, nil
	case err != io.EOF:
		r.err = incomplete(err)
	case r.left > 0:
		r.err = fault.New(IncompleteBody, lengthMessage).Because(io.ErrUnexpectedEOF)
	default:
		r.err = r.verify()
	}
	if r.err != io.EOF {
		return 0, r.err
	}
	return n, io.EOF
}

// verify returns io.EOF if the body has the claimed hash.
func (r *plainReader) verify() error {
	if r.hash == nil {
		return io.EOF
	}
	sum := r.hash.Sum(nil)
	if subtle.ConstantTimeCompare(sum, r.claimed[:]) == 1 {
		return io.EOF
	}
	return fault.New(PayloadHashMismatch, "The provided 'x-amz-content-sha256' header does not match what was computed.").
		With("ClientComputedContentSHA256", hex.EncodeToString(r.claimed[:])).
		With("S3ComputedContentSHA256", hex.EncodeToString(sum))
}

// incomplete is the fault of a body that cannot be read to its end: the
// connection broke, or the framing did. A fault of the source's own stays.
func incomplete(cause error) error {
	if _, named := fault.As(cause); named {
		return cause
	}
	return fault.New(IncompleteBody, "The request body terminated unexpectedly").Because(cause)
}
