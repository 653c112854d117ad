// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/fault"
)

// PayloadMode is how a request's body is protected.
type PayloadMode uint8

// The modes, with the values of x-amz-content-sha256 that ask for them.
const (
	Unsigned              PayloadMode = iota // UNSIGNED-PAYLOAD, or anonymous
	Signed                                   // the SHA-256 of the body
	SignedChunks                             // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
	SignedChunksTrailer                      // STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
	UnsignedChunksTrailer                    // STREAMING-UNSIGNED-PAYLOAD-TRAILER
)

// Chunked reports whether the body is in aws-chunked framing.
func (m PayloadMode) Chunked() bool { return m >= SignedChunks }

// unsignedPayload is the value of mode Unsigned.
const unsignedPayload = "UNSIGNED-PAYLOAD"

// emptySHA256 is the hash of nothing.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// payload is what a request's head declares about its body.
type payload struct {
	mode      PayloadMode
	text      string            // last line of the canonical request
	sum       [sha256.Size]byte // Signed
	length    int64             // Chunked: decoded; -1 when absent or no number
	announced []string          // Chunked: trailers, lower case
	tooMany   bool              // more are announced than are taken
}

// payloadOf finds the payload of a request with that claim, which is nil for
// anonymous ones. whole is the body's hash where the service signs that
// whatever the headers declare.
func payloadOf(h *head, c *claim, whole *[sha256.Size]byte) (payload, error) {
	if whole != nil {
		return payload{mode: Signed, text: hex.EncodeToString(whole[:]), sum: *whole}, nil
	}
	const name = "X-Amz-Content-Sha256"
	text := strings.Join(h.r.Header[name], ",")
	switch {
	case c == nil:
		if text == "" {
			text = unsignedPayload
		}
	case c.method == Query:
		if !lists(c.signedHeaders, name) {
			text = c.payloadHash
		}
		if text == "" {
			text = unsignedPayload
		}
	case text == "":
		return payload{}, fault.New(MissingPayloadHash, "Missing required header for this request: x-amz-content-sha256")
	}
	p := payload{text: text}
	switch text {
	case unsignedPayload:
		return p, nil
	case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD":
		p.mode = SignedChunks
	case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER":
		p.mode = SignedChunksTrailer
	case "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
		p.mode = UnsignedChunksTrailer
	case "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER":
		return payload{}, unsupportedSignature()
	default:
		p.mode = Signed
		if len(text) != 2*sha256.Size {
			return payload{}, invalidPayloadHash(text)
		}
		if _, err := hex.Decode(p.sum[:], []byte(text)); err != nil {
			return payload{}, invalidPayloadHash(text)
		}
		return p, nil
	}
	if c == nil && p.mode != UnsignedChunksTrailer {
		return payload{}, fault.New(UnsignedStream, "Anonymous requests don't support this x-amz-content-sha256 value. "+
			"Please use UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER.")
	}
	p.readFraming(h.r.Header)
	return p, nil
}

func invalidPayloadHash(text string) error {
	return fault.New(InvalidPayloadHash, "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "+
		"STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "+
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, "+
		"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value.").
		With("ArgumentName", "x-amz-content-sha256").
		With("ArgumentValue", text[:min(len(text), 256)])
}

// maxTrailers bounds the announced trailers; S3 has use for one.
const maxTrailers = 16

// readFraming reads the headers of a chunked body. Their faults wait for the
// body to be asked for, since a request may fail for better reasons.
func (p *payload) readFraming(headers http.Header) {
	p.length = -1
	text := strings.Join(headers["X-Amz-Decoded-Content-Length"], ",")
	if n, err := strconv.ParseUint(text, 10, 63); err == nil {
		p.length = int64(n)
	}
	if p.mode == SignedChunks {
		return
	}
	for _, list := range headers["X-Amz-Trailer"] {
		for list != "" {
			var name string
			name, list, _ = strings.Cut(list, ",")
			name = strings.ToLower(strings.Trim(name, " \t"))
			if name == "" {
				continue
			}
			if len(p.announced) == maxTrailers {
				p.tooMany = true
				return
			}
			p.announced = append(p.announced, name)
		}
	}
}

// ContentEncoding returns the values of a Content-Encoding header without
// aws-chunked, which frames the transfer and does not describe the object.
func ContentEncoding(values []string) string {
	var kept []string
	for _, value := range values {
		for coding := range strings.SplitSeq(value, ",") {
			coding = strings.Trim(coding, " \t")
			if coding != "" && !strings.EqualFold(coding, "aws-chunked") {
				kept = append(kept, coding)
			}
		}
	}
	return strings.Join(kept, ",")
}
