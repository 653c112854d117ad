// SPDX-License-Identifier: Apache-2.0

package sigv4_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// FuzzCanonical: whatever the SDK signs and net/http sends is verified.
func FuzzCanonical(f *testing.F) {
	f.Add("GET", "/a b/ü+%2F//..", "prefix=a&acl&x=%2F", "two  spaces ")
	f.Add("PUT", "//", "a=1&a=0&a-=1&a%3D=", "")
	f.Add("HEAD", "**", "=&0=&1=&&", "a, b")
	v := timeless()
	at, err := time.Parse("20060102T150405Z", timestamp)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path, query, value string) {
		if strings.ContainsAny(value, "\r\n") {
			t.Skip() // net/http sends another value than was signed
		}
		u := &url.URL{Scheme: "http", Host: "x.test", Path: "/" + path, RawPath: escape("/" + path), RawQuery: query}
		r := &http.Request{Method: method, URL: u, Header: http.Header{
			"X-Amz-Meta-Value": {value}, "X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"},
		}}
		sign(t, r, "UNSIGNED-PAYLOAD", "s3", at, "")
		var wire bytes.Buffer
		if err := r.Write(&wire); err != nil {
			t.Skip()
		}
		got, err := http.ReadRequest(bufio.NewReader(&wire))
		if err != nil || got.Method != method {
			t.Skip()
		}
		if _, err := v.Verify(got, "s3"); err != nil {
			t.Fatalf("%s %s: %v", got.Method, got.RequestURI, err)
		}
		got.RequestURI = "/other" + got.RequestURI
		if _, err := v.Verify(got, "s3"); err == nil {
			t.Fatal("another path is taken too")
		}
	})
}

// FuzzAuthorizationHeader: what a stranger writes into header and query never
// panics and never authenticates, but for the one signature of the request.
func FuzzAuthorizationHeader(f *testing.F) {
	at, err := time.Parse("20060102T150405Z", timestamp)
	if err != nil {
		f.Fatal(err)
	}
	signed := request(f, "GET", "http://x.test/cat.jpg")
	signed.Header.Set("X-Amz-Content-Sha256", emptyHash)
	sign(f, signed, emptyHash, "s3", at, "")
	header := signed.Header.Get("Authorization")
	_, signature, _ := strings.Cut(header, "Signature=")
	f.Add(header, "")
	f.Add("", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"+
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="+signature)
	f.Add("AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=", "AWSAccessKeyId=x")
	v := timeless()
	f.Fuzz(func(t *testing.T, header, query string) {
		r := request(t, "GET", "http://x.test/cat.jpg", "X-Amz-Date: "+timestamp, "X-Amz-Content-Sha256: "+emptyHash)
		r.RequestURI = "/cat.jpg?" + query
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		sigv4.ClaimedScope(r)
		res, err := v.Verify(r, "s3")
		switch {
		case err != nil:
			if _, ok := fault.As(err); !ok {
				t.Fatalf("%v is no fault", err)
			}
		case res.Method != sigv4.None && !strings.Contains(header, signature):
			t.Fatalf("%q, %q authenticate as %+v", header, query, res.Principal)
		}
	})
}

// FuzzChunkReader: no panic; the end is only reached with the announced length,
// and in signed modes only with what was signed.
func FuzzChunkReader(f *testing.F) {
	// One short chunk each: the fuzzer is slow on inputs of several KiB.
	trailers := []string{"x-amz-checksum-crc32:QWaN2w=="}
	all := []stream{
		{seed: "?", chunks: []string{"a picture of a cat"}},
		{seed: "?", chunks: []string{"a picture of a cat"}, trailers: trailers, trailing: true},
		{chunks: []string{"a picture of a cat"}, trailers: trailers},
	}
	opens := make([]func(io.Reader) (*sigv4.Body, error), len(all))
	for i := range all {
		opens[i] = all[i].open(f, all[i].announce(), len(all[i].payload()))
		f.Add(uint8(i), all[i].encode())
		all[i].dialect = true
		f.Add(uint8(i), all[i].encode())
	}
	f.Fuzz(func(t *testing.T, which uint8, wire []byte) {
		s, open := all[int(which)%len(all)], opens[int(which)%len(all)]
		got, body, err := outcome(t, open, wire)
		switch {
		case err != nil:
			if _, ok := fault.As(err); !ok {
				t.Fatalf("%v is no fault", err)
			}
		case len(got) != len(s.payload()):
			t.Fatalf("%d bytes to the end, want %d", len(got), len(s.payload()))
		case s.seed != "" && got != s.payload():
			t.Fatal("a changed payload is read to its end")
		case len(s.trailers) > 0:
			value, ok := body.Trailer("x-amz-checksum-crc32")
			if !ok || s.seed != "" && value != "QWaN2w==" {
				t.Fatalf("trailer %q", value)
			}
		}
	})
}
