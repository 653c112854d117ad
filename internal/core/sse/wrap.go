// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// Bind says which descriptor a wrapped data key is bound to.
type Bind byte

// What a wrap may be bound to.
const (
	BindDescriptor Bind = 0 // the object's
	BindUpload     Bind = 1 // the upload's; the object row carries a code that binds its own
)

// BindOf returns what a wrapped data key is bound to. Fault: Damaged.
func BindOf(wrapped []byte) (Bind, error) {
	layers, err := parseWraps(wrapped)
	if err != nil {
		return 0, err
	}
	return layers.at[0].bind, nil
}

// source is where the key comes from that wraps a data key.
type source byte

const (
	fromService   source = 1 // a bucket key of the service's own KMS key: SSE-S3
	fromBucketKey source = 2 // a bucket key of the customer's KMS key
	fromKMS       source = 3 // a KMS data key for this object alone
	fromCustomer  source = 4 // a key that comes with each request
	fromLegacy    source = 5 // as fromService, and reported as not encrypted
)

// ofService reports whether the service's own KMS key is behind it.
func (s source) ofService() bool { return s == fromService || s == fromLegacy }

// inGeneration reports whether a bucket key wraps the data key.
func (s source) inGeneration() bool { return s.ofService() || s == fromBucketKey }

// reported is the algorithm that an object with such a wrap is said to have.
func (s source) reported() string {
	switch s {
	case fromService:
		return AES256
	case fromLegacy:
		return NotSSE
	case fromCustomer:
		return Customer
	}
	return KMS
}

// The wrapped data key CDW1: a header that says where the wrapping key comes from,
// then the data key sealed with the header and the descriptor's digest as
// additional data.
const (
	wrapMagic = "CDW1"
	wrapFixed = 26 // before var
	wrapSeal  = secret.Size + secret.Overhead
)

type wrap struct {
	source source
	layer  byte // 0; of two layers 1 is the inner, 2 the outer
	bind   Bind
	ref    [16]byte // the generation's id, or random
	vary   []byte   // what the source needs to find its key again
	sealed []byte
}

// head returns the bytes in front of the sealed data key.
func (w wrap) head() []byte {
	b := make([]byte, 0, wrapFixed+len(w.vary)+wrapSeal)
	b = append(b, wrapMagic...)
	b = append(b, 1, byte(w.source), w.layer, byte(w.bind))
	b = append(b, w.ref[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(w.vary)))
	return append(b, w.vary...)
}

// aad returns what is authenticated with the sealed data key.
func (w wrap) aad(d [32]byte) []byte { return append(w.head(), d[:]...) }

// sealDEK returns the wrapped data key. seal is of the key that the header names.
func (w wrap) sealDEK(seal func(dst, plaintext, aad []byte) []byte, dek secret.Bytes, d [32]byte) []byte {
	return seal(w.head(), dek.Reveal(), w.aad(d))
}

// openDEK is the reverse. Fault: Damaged.
func (w wrap) openDEK(open func(dst, sealed, aad []byte) ([]byte, error), d [32]byte) (secret.Bytes, error) {
	dek, err := open(make([]byte, 0, secret.Size), w.sealed, w.aad(d))
	if err != nil {
		return secret.Bytes{}, fault.New(Damaged, "").Because(fmt.Errorf("data key under %x: %w", w.ref, err))
	}
	return secret.New(dek), nil
}

// wraps are the layers of a wrapped data key: one, or two.
type wraps struct {
	n  int
	at [maxLayers]wrap
}

func (w *wraps) all() []wrap { return w.at[:w.n] }

// parseWraps accepts what Sealing.Wrap returns and nothing else: one wrap of layer 0,
// or one of layer 1 and one of layer 2 behind it. The result shares b's memory.
// Fault: Damaged.
func parseWraps(b []byte) (wraps, error) {
	first, rest, err := parseWrap(b)
	if err != nil {
		return wraps{}, err
	}
	if first.layer == 0 && len(rest) == 0 {
		return wraps{1, [maxLayers]wrap{first}}, nil
	}
	second, rest, err := parseWrap(rest)
	if err != nil {
		return wraps{}, err
	}
	twice := first.layer == 1 && first.source == fromKMS && second.layer == 2 && second.source == fromService
	if !twice || first.bind != second.bind || len(rest) != 0 {
		return wraps{}, badWrap("layers that do not go together")
	}
	return wraps{2, [maxLayers]wrap{first, second}}, nil
}

func badWrap(what string) error {
	return fault.New(Damaged, "").Because(errors.New("wrapped data key: " + what))
}

// parseWrap cuts the first wrap off b.
func parseWrap(b []byte) (w wrap, rest []byte, err error) {
	if len(b) < wrapFixed+wrapSeal || string(b[:5]) != wrapMagic+"\x01" {
		return w, nil, badWrap("not CDW1")
	}
	n := int(binary.BigEndian.Uint16(b[24:26]))
	end := wrapFixed + n + wrapSeal
	if len(b) < end {
		return w, nil, badWrap("wrong length")
	}
	w = wrap{
		source: source(b[5]), layer: b[6], bind: Bind(b[7]), ref: [16]byte(b[8:24]),
		vary: b[wrapFixed : wrapFixed+n : wrapFixed+n], sealed: b[wrapFixed+n : end : end],
	}
	return w, b[end:], w.check()
}

func (w wrap) check() error {
	n := len(w.vary)
	switch {
	case w.layer > maxLayers || w.bind > BindUpload:
		return badWrap("unknown layer or binding")
	case w.source.inGeneration():
		if n != 0 {
			return badWrap("generation with parameters")
		}
	case w.source == fromKMS:
		if _, err := parseDirect(w.vary); err != nil {
			return badWrap(err.Error())
		}
	case w.source == fromCustomer:
		if n != customerVary { // salt and verifier
			return badWrap("customer key without its verifier")
		}
	default:
		return badWrap("unknown source")
	}
	return nil
}

// direct is what is kept of a KMS data key: u16 len ‖ ARN ‖ u16 len ‖ context ‖
// KMS ciphertext.
type direct struct {
	keyARN  string
	context kms.Context
	blob    []byte
}

func (d direct) encode() ([]byte, error) {
	ec, err := d.context.Canonical()
	if err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(len(d.keyARN)))
	b = append(b, d.keyARN...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(ec)))
	b = append(b, ec...)
	b = append(b, d.blob...)
	if len(d.keyARN)+len(ec)+len(d.blob)+4 > 1<<16-1 {
		return nil, errors.New("sse: key ARN, context and ciphertext too long for a wrap")
	}
	return b, nil
}

var errDirect = errors.New("malformed KMS data key")

func parseDirect(b []byte) (direct, error) {
	arn, rest, ok1 := cut(b)
	ec, blob, ok2 := cut(rest)
	if !ok1 || !ok2 || len(arn) == 0 || len(blob) == 0 {
		return direct{}, errDirect
	}
	pairs, err := bucketkey.ParseContext(ec)
	if err != nil {
		return direct{}, err
	}
	return direct{string(arn), pairs, bytes.Clone(blob)}, nil
}

func cut(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if len(b) < n {
		return nil, nil, false
	}
	return b[2:n], b[n:], true
}
