// SPDX-License-Identifier: Apache-2.0

package sigv4_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// plain returns the body of an anonymous request with the payload hash.
func plain(t *testing.T, hash string, src io.Reader, length int64) *sigv4.Body {
	t.Helper()
	r := request(t, "PUT", "http://x.test/")
	if hash != "" {
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	res, err := verifier().Verify(r, "s3")
	if err != nil {
		t.Fatal(err)
	}
	body, err := res.Body(src, length)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestPlainBody(t *testing.T) {
	cat := "a picture of a cat"
	hash := hexSum([]byte(cat))
	for _, c := range []struct {
		name, hash, sent string
		length           int
		kind             fault.Kind
	}{
		{"unsigned", "", cat, len(cat), ""},
		{"unsigned, of any length", "UNSIGNED-PAYLOAD", cat, -1, ""},
		{"unsigned, empty", "", "", 0, ""},
		{"unsigned, short", "", cat[1:], len(cat), sigv4.IncompleteBody},
		{"unsigned, long", "", cat + "!", len(cat), sigv4.IncompleteBody},
		{"signed", hash, cat, len(cat), ""},
		{"signed in capitals", strings.ToUpper(hash), cat, len(cat), ""},
		{"signed, of any length", hash, cat, -1, ""},
		{"signed, empty", emptyHash, "", 0, ""},
		{"signed, short", hash, cat[1:], len(cat), sigv4.IncompleteBody},
		{"signed, long", hash, cat + "!", len(cat), sigv4.IncompleteBody},
		{"signed, changed", hash, strings.ToUpper(cat), len(cat), sigv4.PayloadHashMismatch},
		{"signed, cut", hash, cat[1:], -1, sigv4.PayloadHashMismatch},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, src := range map[string]io.Reader{
				"whole": strings.NewReader(c.sent), "bytewise": iotest.OneByteReader(strings.NewReader(c.sent)),
				"end with data": iotest.DataErrReader(strings.NewReader(c.sent)),
			} {
				body := plain(t, c.hash, src, int64(c.length))
				got, err := io.ReadAll(body)
				if c.kind == "" {
					if err != nil || string(got) != c.sent {
						t.Errorf("%s: %q, %v", name, got, err)
					}
				} else {
					wantFault(t, err, c.kind)
				}
				if _, again := body.Read(make([]byte, 1)); again == nil || err != nil && again != err {
					t.Errorf("%s: the end does not stay: %v", name, again)
				}
				if body.DecodedLength() != int64(c.length) {
					t.Errorf("DecodedLength() = %d, want %d", body.DecodedLength(), c.length)
				}
			}
		})
	}
	_, err := io.ReadAll(plain(t, hash, strings.NewReader("dog"), 3))
	wantFault(t, err, sigv4.PayloadHashMismatch, "ClientComputedContentSHA256="+hash, "S3ComputedContentSHA256="+hexSum([]byte("dog")))
}

func TestBrokenConnection(t *testing.T) {
	reset := errors.New("connection reset")
	s := stream{chunks: []string{"cat"}}
	open := s.open(t, "", 3)
	chunked, err := open(io.MultiReader(strings.NewReader("3\r\nca"), iotest.ErrReader(reset)))
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []*sigv4.Body{plain(t, emptyHash, iotest.ErrReader(reset), 3), chunked} {
		_, err := io.ReadAll(body)
		wantFault(t, err, sigv4.IncompleteBody)
		if !errors.Is(err, reset) {
			t.Errorf("%v hides its cause", err)
		}
	}
}

// streams are one of each mode, with and without what they may have.
func streams() map[string]stream {
	big := strings.Repeat("0123456789abcdef", 512)
	checksum := []string{"x-amz-checksum-crc32:QWaN2w=="}
	return map[string]stream{
		"signed":                        {seed: "?", chunks: []string{big, big + "x", "end"}},
		"signed, empty":                 {seed: "?"},
		"signed, trailer":               {seed: "?", chunks: []string{big, "end"}, trailers: checksum, trailing: true},
		"signed, trailer, dialect":      {seed: "?", chunks: []string{big, "end"}, trailers: checksum, trailing: true, dialect: true},
		"signed, empty, trailer":        {seed: "?", trailers: checksum, trailing: true},
		"signed, two trailers":          {seed: "?", chunks: []string{"a"}, trailers: []string{"x-amz-checksum-crc32:QWaN2w==", "x-amz-meta-z:1"}, trailing: true},
		"signed, trailer mode, without": {seed: "?", chunks: []string{"a"}, trailing: true},
		"unsigned":                      {chunks: []string{big, big, "end"}},
		"unsigned, one chunk":           {chunks: []string{strings.Repeat(big, 40)}},
		"unsigned, trailer":             {chunks: []string{big, "end"}, trailers: checksum},
		"unsigned, trailer, dialect":    {chunks: []string{big, "end"}, trailers: checksum, dialect: true},
		"unsigned, empty, trailer":      {trailers: checksum},
	}
}

// announce lists the stream's trailers as x-amz-trailer does.
func (s stream) announce() string {
	var names []string
	for _, t := range s.trailers {
		name, _, _ := strings.Cut(t, ":")
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

func TestChunkedBody(t *testing.T) {
	for name, s := range streams() {
		t.Run(name, func(t *testing.T) {
			open := s.open(t, s.announce(), len(s.payload()))
			wire := s.encode()
			for name, src := range map[string]io.Reader{
				"whole": bytes.NewReader(wire), "bytewise": iotest.OneByteReader(bytes.NewReader(wire)),
				"half": iotest.HalfReader(bytes.NewReader(wire)), "end with data": iotest.DataErrReader(bytes.NewReader(wire)),
			} {
				body, err := open(src)
				if err != nil {
					t.Fatal(err)
				}
				if body.DecodedLength() != int64(len(s.payload())) {
					t.Errorf("DecodedLength() = %d", body.DecodedLength())
				}
				if len(s.trailers) > 0 {
					if value, ok := body.Trailer("x-amz-checksum-crc32"); ok {
						t.Errorf("%s: trailer %q before the end", name, value)
					}
				}
				got, err := io.ReadAll(body)
				if err != nil || string(got) != s.payload() {
					t.Fatalf("%s: %d bytes, %v", name, len(got), err)
				}
				for _, trailer := range s.trailers {
					name, want, _ := strings.Cut(trailer, ":")
					if got, ok := body.Trailer(name); !ok || got != want {
						t.Errorf("trailer %s = %q, want %q", name, got, want)
					}
				}
				if got := strings.Join(body.Announced(), ", "); got != s.announce() {
					t.Errorf("announced %q, want %q", got, s.announce())
				}
			}
		})
	}
}

// outcome reads a wire body to its end.
func outcome(t fataler, open func(io.Reader) (*sigv4.Body, error), wire []byte) (payload string, body *sigv4.Body, err error) {
	body, err = open(bytes.NewReader(wire))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(body)
	return string(got), body, err
}

// TestSignedBodyCannotBeChanged flips, cuts, repeats and moves: either the body
// fails or it means exactly what was signed, as when a hex digit changes case.
func TestSignedBodyCannotBeChanged(t *testing.T) {
	for name, s := range streams() {
		if s.seed == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			open := s.open(t, s.announce(), len(s.payload()))
			wire := s.encode()
			check := func(what string, changed []byte) {
				got, body, err := outcome(t, open, changed)
				if err != nil {
					if _, ok := fault.As(err); !ok {
						t.Errorf("%s: %v is no fault", what, err)
					}
					return
				}
				for _, trailer := range s.trailers {
					name, want, _ := strings.Cut(trailer, ":")
					if value, _ := body.Trailer(name); value != want {
						t.Errorf("%s: trailer %q", what, value)
					}
				}
				if got != s.payload() {
					t.Errorf("%s: read to the end", what)
				}
			}
			step := 1
			if len(wire) > 4000 { // all of the framing, some of the data
				step = 97
			}
			for i := range wire {
				if i%step != 0 && i > 300 && i < len(wire)-400 {
					continue
				}
				for _, bit := range []byte{1, 0x20, 0x80} {
					changed := bytes.Clone(wire)
					changed[i] ^= bit
					check(fmt.Sprintf("byte %d ^ %#x", i, bit), changed)
				}
				if _, _, err := outcome(t, open, wire[:i]); err == nil {
					t.Errorf("cut to %d of %d bytes: read to the end", i, len(wire))
				}
			}
			for _, more := range []string{"x", "\r\n", "\r\n\r\n", "0\r\n\r\n", string(wire)} {
				if _, _, err := outcome(t, open, append(bytes.Clone(wire), more...)); err == nil {
					t.Errorf("%.10q behind: read to the end", more)
				}
			}
		})
	}
}

func TestChunksCannotBeReordered(t *testing.T) {
	a, b := strings.Repeat("a", 8192), strings.Repeat("b", 8192)
	s := stream{seed: "?", chunks: []string{a, b}}
	open := s.open(t, "", 2*8192)
	wire := s.encode()
	chunk := func(letter string, i int) []byte {
		const size = 4 + len(";chunk-signature=") + 64 + 2 + 8192 + 2
		return wire[i*size : (i+1)*size]
	}
	end := wire[len(chunk("a", 0))*2:]
	for name, parts := range map[string][][]byte{
		"swapped":  {chunk("b", 1), chunk("a", 0), end},
		"repeated": {chunk("a", 0), chunk("a", 0), end},
		"dropped":  {chunk("a", 0), end},
		"only end": {end},
	} {
		if _, _, err := outcome(t, open, bytes.Join(parts, nil)); err == nil {
			t.Errorf("%s: read to the end", name)
		}
	}
	if _, _, err := outcome(t, open, bytes.Join([][]byte{chunk("a", 0), chunk("b", 1), end}, nil)); err != nil {
		t.Errorf("in order: %v", err)
	}
}

// TestBytesOfABadChunkStayInside: a reader of whole chunks sees none that is
// not signed.
func TestBytesOfABadChunkStayInside(t *testing.T) {
	good, bad := strings.Repeat("g", 8192), strings.Repeat("b", 8192)
	s := stream{seed: "?", chunks: []string{good, bad}}
	open := s.open(t, "", 2*8192)
	wire := bytes.Replace(s.encode(), []byte("bbbb"), []byte("bxbb"), 1)
	body, err := open(iotest.OneByteReader(bytes.NewReader(wire)))
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 8192)
	if n, err := body.Read(p); n != 8192 || err != nil {
		t.Errorf("good chunk: %d, %v", n, err)
	}
	n, err := body.Read(p)
	if n != 0 {
		t.Errorf("%d bytes of the bad chunk came out", n)
	}
	f := wantFault(t, err, sigv4.SignatureMismatch, "AWSAccessKeyId="+accessKey)
	if got := detail(f, "StringToSign"); !strings.HasPrefix(got, "AWS4-HMAC-SHA256-PAYLOAD\n"+timestamp+"\n") || strings.Count(got, "\n") != 5 {
		t.Errorf("StringToSign is %q", got)
	}
}

func TestFaultsOfChunks(t *testing.T) {
	k8 := strings.Repeat("a", 8192)
	for _, c := range []struct {
		name, announce string
		length         int
		wire           string
		kind           fault.Kind
		details        []string
	}{
		{"line feed alone", "", 10, "A\ndummy data\r\n0\r\n\r\n", sigv4.IncompleteBody, nil},
		{"no line end after data", "", 10, "A\r\ndummy data0\r\n\r\n", sigv4.IncompleteBody, nil},
		{"too little data", "", 11, "B\r\ndummy data\r\n0\r\n\r\n", sigv4.IncompleteBody, nil},
		{"no end", "", 10, "A\r\ndummy data\r\n0\r\n", sigv4.IncompleteBody, nil},
		{"no final chunk", "", 10, "A\r\ndummy data\r\n", sigv4.IncompleteBody, nil},
		{"nothing", "", 0, "", sigv4.IncompleteBody, nil},
		{"no size", "", 10, "\r\ndummy data\r\n0\r\n\r\n", sigv4.IncompleteBody, nil},
		{"no hex", "", 10, "ten\r\ndummy data\r\n0\r\n\r\n", sigv4.IncompleteBody, nil},
		{"negative", "", 10, "-A\r\ndummy data\r\n0\r\n\r\n", sigv4.IncompleteBody, nil},
		{"extension", "", 10, "A;x=y\r\ndummy data\r\n0\r\n\r\n", sigv4.IncompleteBody, nil},
		{"overflow", "", 10, "10000000000000000\r\ndummy data\r\n0\r\n\r\n", sigv4.IncompleteBody, nil},
		{"very long line", "", 10, strings.Repeat("0", 5000) + "A\r\ndummy data\r\n0\r\n\r\n", sigv4.IncompleteBody, nil},
		{"more than the decoded length", "", 5, "b\r\nabcdefghijk\r\n0\r\n\r\n", sigv4.IncompleteBody, nil},
		{"less than the decoded length", "", 200, "b\r\nabcdefghijk\r\n0\r\n\r\n", sigv4.IncompleteBody, nil},
		{"data behind", "", 1, "1\r\na\r\n0\r\n\r\nx", sigv4.IncompleteBody, nil},
		{"short chunk in the middle", "", 2 * 8192, "64\r\n" + k8[:100] + "\r\n2000\r\n" + k8 + "\r\n1f9c\r\n" + k8[:8092] + "\r\n0\r\n\r\n",
			sigv4.InvalidChunkSize, []string{"Chunk=2", "BadChunkSize=100"}},
		{"short chunk before the last", "", 8192 + 3, "2000\r\n" + k8 + "\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
			sigv4.InvalidChunkSize, []string{"Chunk=3", "BadChunkSize=1"}},
		{"trailer missing", "x-amz-checksum-crc64nvme", 5, "5\r\nhello\r\n0\r\n\r\n", sigv4.MalformedTrailer, nil},
		{"trailer without name", "x-amz-checksum-crc64nvme", 5, "5\r\nhello\r\n0\r\n:M3eFcAZSQlc=\r\n\r\n", sigv4.MalformedTrailer, nil},
		{"trailer without colon", "x-amz-checksum-crc64nvme", 5, "5\r\nhello\r\n0\r\nx-amz-checksum-crc64nvme\r\n\r\n", sigv4.MalformedTrailer, nil},
		{"trailer not announced", "", 5, "5\r\nhello\r\n0\r\nx-amz-checksum-crc64nvme:M3eFcAZSQlc=\r\n\r\n", sigv4.MalformedTrailer, nil},
		{"another trailer", "x-amz-checksum-crc64nvme", 5, "5\r\nhello\r\n0\r\nx-amz-acl:public-read\r\n\r\n", sigv4.MalformedTrailer, nil},
		{"trailer twice", "x-amz-checksum-sha1, x-amz-checksum-crc32", 0, "0\r\nx-amz-checksum-sha1:a\r\nx-amz-checksum-sha1:b\r\n\r\n", sigv4.MalformedTrailer, nil},
		{"a signature where none is", "x-amz-checksum-sha1", 0, "0\r\nx-amz-checksum-sha1:a\r\nx-amz-trailer-signature:b\r\n\r\n", sigv4.MalformedTrailer, nil},
		{"trailer cut", "x-amz-checksum-sha1", 0, "0\r\nx-amz-checksum-sha1:a\r\n", sigv4.IncompleteBody, nil},
		{"endless trailer", "x-amz-checksum-sha1", 0, "0\r\nx-amz-checksum-sha1:" + k8 + "\r\n\r\n", sigv4.IncompleteBody, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := stream{}
			_, body, err := outcome(t, s.open(t, c.announce, c.length), []byte(c.wire))
			wantFault(t, err, c.kind, c.details...)
			if _, again := body.Read(make([]byte, 10)); again != err {
				t.Errorf("read on: %v", again)
			}
		})
	}
}

func TestSignedTrailerNeedsItsSignature(t *testing.T) {
	s := stream{seed: "?", chunks: []string{"cat"}, trailers: []string{"x-amz-checksum-crc32:QWaN2w=="}, trailing: true}
	open := s.open(t, s.announce(), 3)
	wire := string(s.encode())
	signature := wire[strings.Index(wire, "x-amz-trailer-signature"):]
	for _, c := range []struct {
		name, wire string
		kind       fault.Kind
	}{
		// One blank line before the signature is forgiven, so this one ends early.
		{"left out", strings.Replace(wire, signature, "\r\n", 1), sigv4.IncompleteBody},
		{"left out after a blank line", strings.Replace(wire, signature, "\r\n\r\n", 1), sigv4.MalformedTrailer},
		{"before the trailer", strings.Replace(wire, "x-amz-checksum-crc32:QWaN2w==\r\n"+signature,
			strings.TrimSuffix(signature, "\r\n")+"x-amz-checksum-crc32:QWaN2w==\r\n\r\n", 1), sigv4.MalformedTrailer},
		{"left out with the trailer", wire[:strings.Index(wire, "x-amz-checksum")] + "\r\n", sigv4.MalformedTrailer},
		{"after two blank lines", strings.Replace(wire, signature, "\r\n\r\n"+signature, 1), sigv4.MalformedTrailer},
	} {
		_, _, err := outcome(t, open, []byte(c.wire))
		t.Run(c.name, func(t *testing.T) { wantFault(t, err, c.kind) })
	}
	_, _, err := outcome(t, open, []byte(strings.Replace(wire, "QWaN2w==", "QWaN3w==", 1)))
	f := wantFault(t, err, sigv4.SignatureMismatch)
	if got := detail(f, "StringToSign"); !strings.HasPrefix(got, "AWS4-HMAC-SHA256-TRAILER\n") || strings.Count(got, "\n") != 4 {
		t.Errorf("StringToSign is %q", got)
	}
}

func TestBodyNeedsItsDecodedLength(t *testing.T) {
	for _, length := range []string{"", "abc", "12x", "-1", "+1", "99999999999999999999"} {
		r := request(t, "PUT", "http://x.test/", "X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER")
		if length != "" {
			r.Header.Set("X-Amz-Decoded-Content-Length", length)
		}
		res, err := verifier().Verify(r, "s3")
		if err != nil {
			t.Fatal(err)
		}
		_, err = res.Body(strings.NewReader(""), 0)
		wantFault(t, err, sigv4.MissingContentLength)
	}
}

func TestTooManyTrailers(t *testing.T) {
	r := request(t, "PUT", "http://x.test/", "X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER",
		"X-Amz-Decoded-Content-Length: 0", "X-Amz-Trailer: "+strings.Repeat("x,", 20))
	res, err := verifier().Verify(r, "s3")
	if err != nil {
		t.Fatal(err)
	}
	_, err = res.Body(strings.NewReader(""), 0)
	wantFault(t, err, sigv4.MalformedTrailer)
}

// TestChunksOfAnySize: random sizes of chunks against random sizes of reads.
func TestChunksOfAnySize(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		s := stream{seed: "?", trailing: random.IntN(2) == 0}
		if random.IntN(3) == 0 {
			s.seed, s.trailing = "", true
		}
		for range random.IntN(4) {
			s.chunks = append(s.chunks, strings.Repeat("ab", 4096+random.IntN(9000)))
		}
		if random.IntN(2) == 0 {
			s.chunks = append(s.chunks, strings.Repeat("z", 1+random.IntN(8191)))
		}
		if s.trailing {
			s.trailers = []string{"x-amz-checksum-sha256:AAAA"}
		}
		open := s.open(t, s.announce(), len(s.payload()))
		body, err := open(bytes.NewReader(s.encode()))
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		for err == nil {
			p := make([]byte, random.IntN(20_000))
			var n int
			n, err = body.Read(p)
			got.Write(p[:n])
		}
		if err != io.EOF || got.String() != s.payload() {
			t.Fatalf("%d chunks: %d of %d bytes, %v", len(s.chunks), got.Len(), len(s.payload()), err)
		}
	}
}
