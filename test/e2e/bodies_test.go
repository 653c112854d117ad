// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/test/coffertest"
)

// framed is an upload in aws-chunked framing, whose body is made once its head is
// signed.
type framed struct {
	hash    string
	decoded int
	headers []string
	body    func(seed string, at time.Time) []byte
}

const (
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	signedChunks    = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
)

func (f framed) do(s *coffertest.Server, target string) answer {
	s.T.Helper()
	at := time.Now().UTC()
	headers := append([]string{"X-Amz-Decoded-Content-Length", fmt.Sprint(f.decoded), "Content-Encoding", "aws-chunked"}, f.headers...)
	req := request{method: "PUT", target: target, headers: headers, hash: f.hash, at: at}.signed(s.T, s.URL)
	_, seed, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	body := f.body(seed, at)
	again, err := http.NewRequestWithContext(s.T.Context(), "PUT", req.URL.String(), strings.NewReader(string(body)))
	if err != nil {
		s.T.Fatal(err)
	}
	again.Header = req.Header
	return send(s.T, again)
}

// testFramingThatIsRefused: bodies in aws-chunked framing that are not what their
// head or their signatures say. None of them is stored.
func testFramingThatIsRefused(t *testing.T, s *coffertest.Server) {
	s.Bucket("framing", "aws:kms", "", true)
	s.Put("framing", "k", "old")
	data := []byte(strings.Repeat("0123456789", 2000))
	text := func(body string) func(string, time.Time) []byte {
		return func(string, time.Time) []byte { return []byte(body) }
	}
	crc := []string{"X-Amz-Trailer", "x-amz-checksum-crc32"}
	const sum = "x-amz-checksum-crc32:y/Q5Jg==\r\n"
	signed := func(edit func(body string) string) framed {
		return framed{signedChunks, len(data), nil, func(seed string, at time.Time) []byte {
			var b bytes.Buffer
			chunksSigned(&b, data, seed, at)
			return []byte(edit(b.String()))
		}}
	}
	var noSignatures bytes.Buffer
	chunksUnsigned(&noSignatures, data)
	unsigned := func(body string) framed { return framed{unsignedTrailer, 9, crc, text(body)} }
	const terminated, length = "The request body terminated unexpectedly", "You did not provide the number of bytes specified"
	mismatch := []string{"AWSAccessKeyId", "StringToSign", "SignatureProvided", "StringToSignBytes", "CanonicalRequest", "CanonicalRequestBytes"}
	for _, c := range []struct {
		name string
		framed
		status     int
		code, text string
		elements   []string
	}{
		{"no final chunk", unsigned("9\r\n123456789\r\n"), 400, "IncompleteBody", terminated, nil},
		{"no framing", unsigned("123456789"), 400, "IncompleteBody", terminated, nil},
		{"no line break", unsigned("9\r\n1234567890\r\n" + sum + "\r\n"), 400, "IncompleteBody", terminated, nil},
		{"no size", unsigned("x\r\n123456789\r\n0\r\n" + sum + "\r\n"), 400, "IncompleteBody", terminated, nil},
		{"more than the head says", unsigned("a\r\n123456789a\r\n0\r\n" + sum + "\r\n"), 400, "IncompleteBody", length, nil},
		{"less than the head says", unsigned("8\r\n12345678\r\n0\r\n" + sum + "\r\n"), 400, "IncompleteBody", length, nil},
		{"data behind the end", unsigned("9\r\n123456789\r\n0\r\n" + sum + "\r\nmore"), 400, "IncompleteBody", terminated, nil},
		{"small chunks", unsigned("4\r\n1234\r\n5\r\n56789\r\n0\r\n" + sum + "\r\n"), 403, "InvalidChunkSizeError", "Only the last chunk is allowed to have a size less than 8192 bytes", []string{"Chunk=2", "BadChunkSize=4"}},
		{"no trailer", unsigned("9\r\n123456789\r\n0\r\n\r\n"), 400, "MalformedTrailerError", "trailing data that was not well-formed", nil},
		{"another trailer", unsigned("9\r\n123456789\r\n0\r\nx-amz-checksum-sha1:98O8HYCOBHMq32eZZczDTKeuNEE=\r\n\r\n"), 400, "MalformedTrailerError", "", nil},
		{"a trailer that is no header", unsigned("9\r\n123456789\r\n0\r\nnonsense\r\n\r\n"), 400, "MalformedTrailerError", "", nil},
		{"a wrong checksum behind", unsigned("9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"), 400, "BadDigest", "The CRC32 you specified did not match the calculated checksum.", nil},
		{"no checksum behind", unsigned("9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:nonsense\r\n\r\n"), 400, "InvalidRequest", "Value for x-amz-checksum-crc32 trailing header is invalid.", nil},
		{"two checksums", framed{unsignedTrailer, 9, append([]string{"x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="}, crc...), text("9\r\n123456789\r\n0\r\n" + sum + "\r\n")}, 400, "InvalidRequest", "Multiple checksum Types are not allowed.", nil},
		{"a trailer of another kind", framed{unsignedTrailer, 9, []string{"X-Amz-Trailer", "x-other"}, text("9\r\n123456789\r\n0\r\nx-other:x\r\n\r\n")}, 400, "InvalidRequest", "The value specified in the x-amz-trailer header is not supported", nil},
		{"no decoded length", framed{unsignedTrailer, 9, append([]string{"X-Amz-Decoded-Content-Length", ""}, crc...), text("9\r\n123456789\r\n0\r\n" + sum + "\r\n")}, 411, "MissingContentLength", "Content-Length", nil},

		{"a changed byte", signed(func(b string) string { return strings.Replace(b, "0123456789", "0123456780", 1) }), 403, "SignatureDoesNotMatch", "", mismatch},
		{"a changed signature", signed(func(b string) string { return strings.Replace(b, "chunk-signature=", "chunk-signature=0", 1) }), 400, "IncompleteBody", terminated, nil},
		{"no signatures", signed(func(string) string { return noSignatures.String() }), 400, "IncompleteBody", terminated, nil},
		{"chunks in another order", signed(func(b string) string {
			n := strings.Index(b[1:], "2000;") + 1
			return b[n:2*n] + b[:n] + b[2*n:]
		}), 403, "SignatureDoesNotMatch", "", mismatch},
		{"the last chunk left out", signed(func(b string) string { return b[:strings.LastIndex(b, "0;chunk")] }), 400, "IncompleteBody", terminated, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, target := range []string{"/framing/new", "/framing/k"} {
				a := c.do(s, target)
				a.t = t
				if c.elements != nil && c.code == "SignatureDoesNotMatch" { // of a chunk: no canonical request
					c.elements = elementsOf(a)
				}
				a.is(refusal{status: c.status, code: c.code, text: c.text, elements: c.elements})
			}
		})
	}
	if got, _ := s.Get("framing", "k"); got != "old" || keys(s, "framing") != "[k]" {
		t.Errorf("stored %s, %q", keys(s, "framing"), got)
	}
	// The same, as it ought to be.
	for name, f := range map[string]framed{
		"unsigned": unsigned("9\r\n123456789\r\n0\r\n" + sum + "\r\n"), "signed": signed(func(b string) string { return b }),
	} {
		if a := f.do(s, "/framing/"+name); a.status != 200 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if got, out := s.Get("framing", "unsigned"); got != "123456789" || out.ContentEncoding != nil {
		t.Errorf("unsigned reads %q, %v", got, out.ContentEncoding)
	}
	if got, _ := s.Get("framing", "signed"); got != string(data) {
		t.Errorf("signed reads %d bytes", len(got))
	}
}

func elementsOf(a answer) (names []string) {
	for _, e := range a.document().Children {
		switch name := e.XMLName.Local; name {
		case "Code", "Message", "RequestId", "HostId":
		default:
			names = append(names, name)
		}
	}
	return names
}

// testBodiesWithoutLength: S3 must know the length before the body comes.
func testBodiesWithoutLength(t *testing.T, s *coffertest.Server) {
	s.Bucket("endless", "", "", false)
	req := request{method: "PUT", target: "/endless/k", hash: "UNSIGNED-PAYLOAD"}.signed(t, s.URL)
	again, err := http.NewRequestWithContext(t.Context(), "PUT", req.URL.String(), struct{ *strings.Reader }{strings.NewReader("x")})
	if err != nil {
		t.Fatal(err)
	}
	again.Header, again.ContentLength = req.Header, -1
	send(t, again).is(refusal{status: 411, code: "MissingContentLength", text: "You must provide the Content-Length HTTP header."})
	if got := keys(s, "endless"); got != "[]" {
		t.Errorf("stored %s", got)
	}
}
