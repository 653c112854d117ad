// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/test/coffertest"
)

// sumOf returns the digest of data as clients write it.
func sumOf(a checksum.Algorithm, data string) string {
	h := a.New()
	_, _ = h.Write([]byte(data))
	return a.Encode(h.Sum(nil))
}

// TestEveryChecksum takes each algorithm along every way in and out: in headers, in
// trailers, in forms, in copies, in parts of both types; and wrong ones, which leave
// nothing.
func TestEveryChecksum(t *testing.T) {
	s := start(t, coffertest.Tune(server.Tuning{Objects: object.Config{MinPart: 1}}))
	s.Bucket("sums", "", "", false)
	for _, a := range checksum.Algorithms() {
		t.Run(string(a), func(t *testing.T) {
			c := &checksummed{t, s, a}
			c.headers()
			c.trailers()
			c.forms()
			c.copies()
			for _, kind := range []checksum.Type{checksum.Composite, checksum.FullObject} {
				if a.Allows(kind) {
					c.parts(kind)
				} else {
					c.impossible(kind)
				}
			}
		})
	}
	if got := keys(s, "sums"); strings.Contains(got, "wrong") {
		t.Errorf("stored with a wrong checksum: %s", got)
	}
}

type checksummed struct {
	*testing.T
	s *coffertest.Server
	a checksum.Algorithm
}

const summedBody = "the plaintext"

func (c *checksummed) do(method, target, body string, headers ...string) answer {
	c.Helper()
	a := request{method: method, target: target, body: body, headers: headers}.do(c.s)
	a.t = c
	return a
}

// has fails unless an answer of 2xx has that checksum and type; "" for none.
func (c *checksummed) has(what string, a answer, sum string, kind checksum.Type) {
	c.Helper()
	if a.status/100 != 2 || a.header.Get(c.a.Header()) != sum || a.header.Get("X-Amz-Checksum-Type") != string(kind) {
		c.Errorf("%s: %d, %s %q of type %q, want %q of %q: %s", what, a.status, c.a.Header(),
			a.header.Get(c.a.Header()), a.header.Get("X-Amz-Checksum-Type"), sum, kind, a.body)
	}
}

func (c *checksummed) badDigest(what string, a answer) {
	c.Helper()
	c.Logf("%s", what)
	a.is(refusal{status: 400, code: "BadDigest", text: fmt.Sprintf("The %s you specified did not match the calculated checksum.", c.a)})
}

func (c *checksummed) headers() {
	at, want := "/sums/header-"+string(c.a), sumOf(c.a, summedBody)
	c.has("put", c.do("PUT", at, summedBody, c.a.Header(), want), want, checksum.FullObject)
	for _, r := range []struct{ method, query, ranged, sum string }{
		{"GET", "", "", want}, {"HEAD", "", "", want}, {"GET", "", "bytes=0-", want}, {"GET", "?partNumber=1", "", want},
		{"GET", "", "bytes=1-", ""}, {"GET", "", "bytes=-3", ""},
	} {
		headers := []string{"X-Amz-Checksum-Mode", "ENABLED"}
		if r.ranged != "" {
			headers = append(headers, "Range", r.ranged)
		}
		kind := checksum.FullObject
		if r.sum == "" {
			kind = ""
		}
		c.has(fmt.Sprint(r), c.do(r.method, at+r.query, "", headers...), r.sum, kind)
	}
	c.has("not asked for", c.do("GET", at, ""), "", "")
	a := c.do("GET", at+"?attributes", "", "X-Amz-Object-Attributes", "Checksum")
	if element := "<Checksum" + string(c.a) + ">" + want + "</Checksum" + string(c.a) + "><ChecksumType>FULL_OBJECT</ChecksumType>"; !strings.Contains(a.body, element) {
		c.Errorf("attributes: %s", a.body)
	}
	if a := c.do("GET", "/sums?list-type=2&prefix=header-"+string(c.a), ""); !strings.Contains(a.body, "<ChecksumAlgorithm>"+string(c.a)+"</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>") {
		c.Errorf("listed: %s", a.body)
	}
	c.badDigest("wrong", c.do("PUT", "/sums/wrong", summedBody, c.a.Header(), sumOf(c.a, "other")))
	for _, malformed := range []string{want[1:], want + "=", "*" + want[1:], "nonsense"} {
		c.do("PUT", "/sums/wrong", summedBody, c.a.Header(), malformed).
			is(refusal{status: 400, code: "InvalidRequest", text: "Value for " + c.a.Header() + " header is invalid."})
	}
	other := checksum.CRC32
	if c.a == other {
		other = checksum.SHA256
	}
	c.do("PUT", "/sums/wrong", summedBody, c.a.Header(), want, other.Header(), sumOf(other, summedBody)).
		is(refusal{status: 400, code: "InvalidRequest", text: "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."})
}

// trailed sends a body with its checksum behind it.
func (c *checksummed) trailed(target, sum string) answer {
	c.Helper()
	a := request{
		method: "PUT", target: target, hash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
		body:    fmt.Sprintf("%x\r\n%s\r\n0\r\n%s:%s\r\n\r\n", len(summedBody), summedBody, c.a.Header(), sum),
		headers: []string{"Content-Encoding", "aws-chunked", "X-Amz-Decoded-Content-Length", fmt.Sprint(len(summedBody)), "X-Amz-Trailer", c.a.Header()},
	}.do(c.s)
	a.t = c
	return a
}

func (c *checksummed) trailers() {
	at, want := "/sums/trailer-"+string(c.a), sumOf(c.a, summedBody)
	c.has("trailer", c.trailed(at, want), want, checksum.FullObject)
	c.has("get", c.do("GET", at, "", "X-Amz-Checksum-Mode", "ENABLED"), want, checksum.FullObject)
	c.badDigest("wrong in the trailer", c.trailed("/sums/wrong", sumOf(c.a, "other")))
	c.trailed("/sums/wrong", "nonsense").is(refusal{status: 400, code: "InvalidRequest", text: "Value for " + c.a.Header() + " trailing header is invalid."})
}

func (c *checksummed) forms() {
	at, want := "form-"+string(c.a), sumOf(c.a, summedBody)
	if a := post(c.s, "sums", at, summedBody, c.a.Header(), want); a.status != 204 {
		c.Errorf("form: %d %s", a.status, a.body)
	}
	c.has("get", c.do("GET", "/sums/"+at, "", "X-Amz-Checksum-Mode", "ENABLED"), want, checksum.FullObject)
	a := post(c.s, "sums", "wrong", summedBody, c.a.Header(), sumOf(c.a, "other"))
	a.t = c
	c.badDigest("wrong in a form", a)
}

// copies: a copy keeps the algorithm of its source, unless it names another.
func (c *checksummed) copies() {
	want := sumOf(c.a, summedBody)
	for source, headers := range map[string][]string{"header-" + string(c.a): nil, "header-CRC32": {"X-Amz-Checksum-Algorithm", string(c.a)}} {
		at := "/sums/copy-" + string(c.a)
		a := c.do("PUT", at, "", append(headers, "X-Amz-Copy-Source", "sums/"+source)...)
		if a.status != 200 || a.get("Checksum"+string(c.a)) != want || a.get("ChecksumType") != "FULL_OBJECT" {
			c.Errorf("copy of %s: %d %s", source, a.status, a.body)
		}
		c.has("get the copy", c.do("GET", at, "", "X-Amz-Checksum-Mode", "ENABLED"), want, checksum.FullObject)
	}
}

func (c *checksummed) begin(at string, kind checksum.Type) string {
	c.Helper()
	a := c.do("POST", at+"?uploads", "", "X-Amz-Checksum-Algorithm", string(c.a), "X-Amz-Checksum-Type", string(kind))
	if a.status != 200 || a.header.Get("X-Amz-Checksum-Algorithm") != string(c.a) || a.header.Get("X-Amz-Checksum-Type") != string(kind) {
		c.Fatalf("begin: %d %v %s", a.status, a.header, a.body)
	}
	return at + "?uploadId=" + url.QueryEscape(a.get("UploadId"))
}

func (c *checksummed) parts(kind checksum.Type) {
	at := "/sums/parts-" + string(c.a) + "-" + string(kind)
	upload := c.begin(at, kind)
	bodies := []string{summedBody, "and the rest"}
	element := "Checksum" + string(c.a)
	var listed, unlisted string
	var digests []checksum.Part
	for i, body := range bodies {
		part, want := fmt.Sprint(upload, "&partNumber=", i+1), sumOf(c.a, body)
		headers := []string{c.a.Header(), want}
		if i == 1 {
			headers = nil // then the server computes it
		}
		c.badDigest("wrong part", c.do("PUT", part, body, c.a.Header(), sumOf(c.a, "other")))
		a := c.do("PUT", part, body, headers...)
		c.has("part", a, want, "")
		listed += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><%s>%s</%s></Part>", i+1, a.header.Get("Etag"), element, want, element)
		unlisted += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, a.header.Get("Etag"))
		sum, err := c.a.Decode(want)
		if err != nil {
			c.Fatal(err)
		}
		digests = append(digests, checksum.Part{Sum: sum, Size: int64(len(body))})
	}
	if a := c.do("GET", upload, ""); strings.Count(a.body, "<"+element+">") != 2 || a.get("ChecksumType") != string(kind) {
		c.Errorf("parts: %s", a.body)
	}
	document := func(parts string) string { return "<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>" }
	name := strings.ToLower(string(c.a))
	whole := sumOf(c.a, strings.Join(bodies, ""))
	if kind == checksum.Composite {
		whole = c.a.FormatComposite(c.a.Composite(digests), 2)
		c.do("POST", upload, document(unlisted)).is(refusal{status: 400, code: "InvalidRequest", text: "The upload was created using a " + name +
			" checksum. The complete request must include the checksum for each part. It was missing for part 1 in the request."})
	}
	c.do("POST", upload, document(strings.ReplaceAll(listed, sumOf(c.a, bodies[1]), sumOf(c.a, "other")))).
		is(refusal{status: 400, code: "InvalidPart", elements: []string{"UploadId", "PartNumber=2", "ETag"}})
	c.do("POST", upload, document(listed), c.a.Header(), sumOf(c.a, "other"), "X-Amz-Checksum-Type", string(kind)).
		is(refusal{status: 400, code: "BadDigest", text: "The " + name + " you specified did not match the calculated checksum."})
	opposite := checksum.FullObject
	if kind == checksum.FullObject {
		opposite = checksum.Composite
	}
	c.do("POST", upload, document(listed), "X-Amz-Checksum-Type", string(opposite)).is(refusal{status: 400, code: "InvalidRequest",
		text: "The upload was created using the " + string(kind) + " checksum mode. The complete request must use the same checksum mode."})

	a := c.do("POST", upload, document(listed), c.a.Header(), whole, "X-Amz-Checksum-Type", string(kind))
	if a.status != 200 || a.get(element) != whole || a.get("ChecksumType") != string(kind) {
		c.Fatalf("complete: %d %s", a.status, a.body)
	}
	enabled := []string{"X-Amz-Checksum-Mode", "ENABLED"}
	c.has("get", c.do("GET", at, "", enabled...), whole, kind)
	ofPart, kindOfPart := sumOf(c.a, bodies[1]), checksum.Composite
	if kind == checksum.FullObject {
		ofPart, kindOfPart = "", ""
	}
	c.has("get a part", c.do("GET", at+"?partNumber=2", "", enabled...), ofPart, kindOfPart)
	c.has("head a part", c.do("HEAD", at+"?partNumber=2", "", enabled...), ofPart, kindOfPart)
	plain, _, _ := strings.Cut(whole, "-") // attributes have no count
	a = c.do("GET", at+"?attributes", "", "X-Amz-Object-Attributes", "Checksum,ObjectParts", "X-Amz-Max-Parts", "1")
	if !strings.Contains(a.body, "<"+element+">"+plain+"</"+element+">") || !strings.Contains(a.body, "<PartsCount>2</PartsCount>") ||
		strings.Contains(a.body, "<NextPartNumberMarker>1<") != (kind == checksum.Composite) {
		c.Errorf("attributes: %s", a.body)
	}
	// A copy is of one piece.
	c.do("PUT", at+"-copy", "", "X-Amz-Copy-Source", strings.TrimPrefix(at, "/"))
	c.has("copy", c.do("GET", at+"-copy", "", enabled...), sumOf(c.a, strings.Join(bodies, "")), checksum.FullObject)
}

func (c *checksummed) impossible(kind checksum.Type) {
	c.do("POST", "/sums/wrong?uploads", "", "X-Amz-Checksum-Algorithm", string(c.a), "X-Amz-Checksum-Type", string(kind)).
		is(refusal{status: 400, code: "InvalidRequest", text: fmt.Sprintf("The %s checksum type cannot be used with the %s checksum algorithm.", kind, strings.ToLower(string(c.a)))})
}

// TestWrongDigestsLeaveNothing: bodies that are kept in rows, in packs and in files, put
// and uploaded, with each kind of wrong digest; none of their bytes stay.
func TestWrongDigestsLeaveNothing(t *testing.T) {
	s := start(t)
	s.Bucket("vault", "", "", false)
	a := request{method: "POST", target: "/vault/up?uploads"}.do(s)
	part := "/vault/up?partNumber=1&uploadId=" + url.QueryEscape(a.get("UploadId"))
	before := filesOf(t, s.Dir)
	for _, size := range []int{10, 20 << 10, 300 << 10, 1 << 20} {
		body := strings.Repeat("x", size)
		for _, target := range []string{"/vault/k", part} {
			for name, r := range map[string]request{
				"MD5":       {headers: md5Header("other")},
				"CRC32C":    {headers: []string{checksum.CRC32C.Header(), sumOf(checksum.CRC32C, "other")}},
				"SHA512":    {headers: []string{checksum.SHA512.Header(), sumOf(checksum.SHA512, "other")}},
				"signature": {hash: hexSum([]byte("other"))},
				"trailer": {hash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER", headers: []string{
					"X-Amz-Decoded-Content-Length", fmt.Sprint(size), "X-Amz-Trailer", checksum.XXHash3.Header(),
				}},
			} {
				r.method, r.target, r.body = "PUT", target, body
				if name == "trailer" {
					r.body = fmt.Sprintf("%x\r\n%s\r\n0\r\n%s:%s\r\n\r\n", size, body, checksum.XXHash3.Header(), sumOf(checksum.XXHash3, "other"))
				}
				if a := r.do(s); a.status != 400 {
					t.Errorf("%d bytes with a wrong %s to %s: %d %s", size, name, target, a.status, a.body)
				}
			}
		}
	}
	if got := keys(s, "vault"); got != "[]" {
		t.Errorf("the bucket has %s", got)
	}
	if a := (request{method: "GET", target: part}).do(s); strings.Contains(a.body, "<Part>") {
		t.Errorf("the upload has parts: %s", a.body)
	}
	for name, size := range filesOf(t, s.Dir) {
		if _, is := before[name]; !is && size > 0 {
			t.Errorf("a file of %d bytes is left: %s", size, name)
		}
	}
}

// filesOf returns the files of bodies below a data directory, with their sizes.
func filesOf(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	files := map[string]int64{}
	err := filepath.WalkDir(filepath.Join(dir, "blobs"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files[path] = info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
