// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// hello is "hello" under some digests.
const (
	hello       = "hello"
	helloMD5    = "XUFAKrxLKna5cZ2REBfFkg=="
	helloCRC32  = "NhCmhg=="
	helloSHA256 = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
)

func TestExpectationOfABody(t *testing.T) {
	for _, c := range []struct {
		headers []string
		want    checksum.Algorithm
		md5     bool
		kind    fault.Kind
		message string
	}{
		{},
		{headers: []string{"Content-MD5: " + helloMD5}, md5: true},
		{headers: []string{"x-amz-checksum-crc32: " + helloCRC32}, want: checksum.CRC32},
		{headers: []string{"X-Amz-Checksum-SHA256: " + helloSHA256, "x-amz-sdk-checksum-algorithm: CRC32"}, want: checksum.SHA256},
		{headers: []string{"x-amz-sdk-checksum-algorithm: SHA256"}},
		{headers: []string{"x-amz-sdk-checksum-algorithm: rot13", "x-amz-checksum-algorithm: rot13"}},
		{headers: []string{"Content-MD5: " + strings.TrimSuffix(helloMD5, "g==") + "h=="}, md5: true},
		{headers: []string{"Content-MD5: hello"}, kind: InvalidDigest},
		{headers: []string{"Content-MD5: " + helloCRC32}, kind: InvalidDigest},
		{headers: []string{"Content-MD5: "}, kind: InvalidDigest},
		{headers: []string{"x-amz-checksum-crc32: hello"}, kind: checksum.InvalidValue, message: "Value for x-amz-checksum-crc32 header is invalid."},
		{headers: []string{"x-amz-checksum-crc32: "}, kind: checksum.InvalidValue, message: "Value for x-amz-checksum-crc32 header is invalid."},
		{
			headers: []string{"x-amz-checksum-crc32: " + helloCRC32, "x-amz-checksum-sha256: " + helloSHA256}, kind: InvalidRequest,
			message: "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
		},
		{headers: []string{"x-amz-checksum-xxhash3: AAAA"}, kind: checksum.InvalidValue, message: "Value for x-amz-checksum-xxhash3 header is invalid."},
		{headers: []string{"x-amz-checksum-blake3: AAAA"}, kind: InvalidRequest, message: "The algorithm type you specified in x-amz-checksum- header is invalid."},
		{headers: []string{"x-amz-checksum-rot13: AAAA"}, kind: InvalidRequest, message: "The algorithm type you specified in x-amz-checksum- header is invalid."},
	} {
		call := cat(t, "PUT", "", append(c.headers, "Content-Length: 5")...)
		p, err := payload(call)
		if err != nil {
			t.Fatal(err)
		}
		e, err := expectation(call, p)
		kind, message := faultOf(err)
		if kind != c.kind || message != c.message {
			t.Errorf("%q: %v, want %s %q", c.headers, err, c.kind, c.message)
			continue
		}
		if err == nil && (e.Algorithm != c.want || (e.MD5 != nil) != c.md5 || (e.Value != nil) != (c.want != "")) {
			t.Errorf("%q: %+v", c.headers, e)
		}
	}
}

func TestChecksumInAPresignedURLIsIgnored(t *testing.T) {
	c := cat(t, "PUT", "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32", "Content-Length: 5")
	c.Auth.Method = sigv4.Query
	p, err := payload(c)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := expectation(c, p); err != nil || e.Algorithm != "" || e.Value != nil {
		t.Errorf("expects %+v, %v", e, err)
	}
}

// takesExpectation is a PutObject that reads the body and then asks for the
// checksum that it should have.
func takesExpectation(algorithm *checksum.Algorithm, sum *[]byte) pipeline.Op {
	return pipeline.Define("PutObject", pipeline.Data, objectRoute("PUT"), decodePut,
		func(_ context.Context, _ iam.Caller, in object.Put) (emptyResult, error) {
			got, err := io.ReadAll(in.Body)
			if err != nil {
				return emptyResult{}, err
			}
			if string(got) != hello || in.Size != int64(len(hello)) {
				return emptyResult{}, fault.New(object.IncompleteBody, "")
			}
			*algorithm = in.Expect.Algorithm
			if in.Expect.Value != nil {
				*sum, err = in.Expect.Value()
			}
			return emptyResult{}, err
		}, ok)
}

func TestChecksumInTheTrailer(t *testing.T) {
	const framing = "5\r\nhello\r\n0\r\n"
	for _, c := range []struct {
		announced, trailer string
		headers            []string
		status             int
		code               string
	}{
		{announced: "x-amz-checksum-crc32", trailer: "x-amz-checksum-crc32:" + helloCRC32 + "\r\n\r\n", status: 200},
		{announced: "x-amz-checksum-crc32", trailer: "x-amz-checksum-crc32:hello\r\n\r\n", status: 400, code: "InvalidRequest"},
		{announced: "x-amz-checksum-crc32", trailer: "\r\n", status: 400, code: "MalformedTrailerError"},
		{announced: "x-amz-meta-late", trailer: "x-amz-meta-late:1\r\n\r\n", status: 400, code: "InvalidRequest"},
		{announced: "x-amz-checksum-xxhash64", trailer: "x-amz-checksum-xxhash64:AAAA\r\n\r\n", status: 400, code: "InvalidRequest"},
		{
			announced: "x-amz-checksum-crc32", trailer: "x-amz-checksum-crc32:" + helloCRC32 + "\r\n\r\n",
			headers: []string{"x-amz-checksum-sha256: " + helloSHA256}, status: 400, code: "InvalidRequest",
		},
	} {
		headers := append(c.headers, "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER",
			"x-amz-decoded-content-length: 5", "x-amz-trailer: "+c.announced)
		var algorithm checksum.Algorithm
		var sum []byte
		resp, _ := exchange(t, takesExpectation(&algorithm, &sum), photo("PUT", "", framing+c.trailer, headers...))
		text := body(t, resp)
		if resp.StatusCode != c.status || c.code != "" && !strings.Contains(text, "<Code>"+c.code+"</Code>") {
			t.Errorf("%s %q: %d %s, want %d %s", c.announced, c.trailer, resp.StatusCode, text, c.status, c.code)
		}
		if c.status == 200 && (algorithm != checksum.CRC32 || checksum.CRC32.Encode(sum) != helloCRC32) {
			t.Errorf("trailer says %s %x", algorithm, sum)
		}
	}
}

func TestChecksumsInAnswers(t *testing.T) {
	sum := []byte{1, 2, 3, 4}
	for _, c := range []struct {
		name string
		sum  object.Checksum
		etag string
		want http.Header
	}{
		{"none", object.Checksum{}, "e", http.Header{}},
		{
			"whole object", object.Checksum{Algorithm: checksum.CRC32, Type: checksum.FullObject, Value: sum}, "e-3",
			http.Header{"x-amz-checksum-crc32": {"AQIDBA=="}, "x-amz-checksum-type": {"FULL_OBJECT"}},
		},
		{
			"of parts", object.Checksum{Algorithm: checksum.CRC32C, Type: checksum.Composite, Value: sum}, "e-3",
			http.Header{"x-amz-checksum-crc32c": {"AQIDBA==-3"}, "x-amz-checksum-type": {"COMPOSITE"}},
		},
		{
			"one part", object.Checksum{Algorithm: checksum.CRC32C, Type: checksum.Composite, Value: sum}, "",
			http.Header{"x-amz-checksum-crc32c": {"AQIDBA=="}, "x-amz-checksum-type": {"COMPOSITE"}},
		},
		{"uploaded part", object.Checksum{Algorithm: checksum.CRC32, Value: sum}, "", http.Header{"x-amz-checksum-crc32": {"AQIDBA=="}}},
	} {
		h := make(http.Header)
		setChecksum(h, c.sum, c.etag)
		if !reflect.DeepEqual(h, c.want) {
			t.Errorf("%s: %v, want %v", c.name, h, c.want)
		}
	}
}

func TestEveryAlgorithmHasItsElement(t *testing.T) {
	for _, a := range checksum.Algorithms() {
		e := elementsOf(object.Checksum{Algorithm: a, Type: checksum.FullObject, Value: make([]byte, a.Size())}, "")
		got, sum, err := e.sent()
		if got != a || len(sum) != a.Size() || err != nil {
			t.Errorf("%s comes back as %s %x, %v", a, got, sum, err)
		}
	}
}
