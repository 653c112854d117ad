// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func TestDecodeCreate(t *testing.T) {
	for _, c := range []struct {
		headers   []string
		algorithm checksum.Algorithm
		kind      checksum.Type
		fault     fault.Kind
	}{
		{nil, "", "", ""},
		{[]string{"x-amz-checksum-algorithm: crc32"}, checksum.CRC32, checksum.Composite, ""},
		{[]string{"x-amz-checksum-algorithm: CRC32", "x-amz-checksum-type: FULL_OBJECT"}, checksum.CRC32, checksum.FullObject, ""},
		{[]string{"x-amz-checksum-type: FULL_OBJECT"}, "", "", checksum.InvalidType},
		{[]string{"x-amz-checksum-algorithm: SHA1", "x-amz-checksum-type: FULL_OBJECT"}, "", "", checksum.InvalidType},
		{[]string{"x-amz-checksum-algorithm: rot13"}, "", "", checksum.Unsupported},
		{[]string{"x-amz-checksum-algorithm: MD5"}, checksum.MD5, checksum.Composite, ""},
	} {
		in, err := decodeCreate(cat(t, "POST", "uploads", c.headers...))
		if kind, _ := faultOf(err); kind != c.fault || in.Algorithm != c.algorithm || in.Type != c.kind {
			t.Errorf("%q: %s %s, %v", c.headers, in.Algorithm, in.Type, err)
		}
	}
}

func TestCreateAnswers(t *testing.T) {
	op := pipeline.Define("CreateMultipartUpload", pipeline.Data, objectRoute("POST", "uploads"), decodeCreate,
		func(context.Context, iam.Caller, object.CreateUpload) (object.Created, error) {
			return object.Created{
				UploadID: "u1", SSE: sse.Applied{Algorithm: sse.AES256},
				Checksum: object.Checksum{Algorithm: checksum.CRC32, Type: checksum.Composite},
			}, nil
		}, encodeCreate)
	resp, r := exchange(t, op, photo("POST", "uploads", ""))
	want := xmlHeader + `<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` +
		`<Bucket>photos</Bucket><Key>cat.jpg</Key><UploadId>u1</UploadId></InitiateMultipartUploadResult>`
	if text := body(t, resp); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	for name, v := range map[string]string{"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "COMPOSITE", sse.AlgorithmHeader: "AES256"} {
		if got := resp.Header[name]; !reflect.DeepEqual(got, []string{v}) {
			t.Errorf("%s: %q, want %q", name, got, v)
		}
	}
	if r.AdditionalEventData["SSEApplied"] != "SSE_S3" || r.ResponseElements[sse.AlgorithmHeader] != "AES256" {
		t.Errorf("audit record: %v, %v", r.AdditionalEventData, r.ResponseElements)
	}
}

func TestDecodePart(t *testing.T) {
	in, err := decodePart(cat(t, "PUT", "partNumber=7&uploadId=u", "Content-Length: 5", "x-amz-checksum-crc32: "+helloCRC32))
	if err != nil || in.Number != 7 || in.UploadID != "u" || in.Expect.Algorithm != checksum.CRC32 || in.Body == nil {
		t.Errorf("%+v, %v", in, err)
	}
	for _, c := range []struct {
		query, header string
		want          fault.Kind
	}{
		{"partNumber=-1&uploadId=u", "", InvalidArgument},
		{"partNumber=10001&uploadId=u", "", InvalidArgument},
		{"partNumber=1&uploadId=u", "x-amz-server-side-encryption: aws:kms", sse.NotForThisOperation},
		{"partNumber=1&uploadId=u", "x-amz-server-side-encryption-bucket-key-enabled: true", ""},
		{"partNumber=1&uploadId=u", "x-amz-server-side-encryption-customer-key: k", sse.CustomerNoAlgorithm},
	} {
		_, err := decodePart(cat(t, "PUT", c.query, "Content-Length: 5", c.header))
		if kind, _ := faultOf(err); kind != c.want {
			t.Errorf("?%s %s: %v, want %q", c.query, c.header, err, c.want)
		}
	}
}

// completed sends a CompleteMultipartUpload and returns what comes of it.
func completed(t *testing.T, document string, headers ...string) (in object.Complete, err error) {
	t.Helper()
	op := pipeline.Define("CompleteMultipartUpload", pipeline.Data, objectRoute("POST", "uploadId"),
		func(c *pipeline.Call) (object.Complete, error) {
			in, err = decodeComplete(c)
			return in, err
		},
		func(context.Context, iam.Caller, object.Complete) (emptyResult, error) { return emptyResult{}, nil }, ok)
	exchange(t, op, photo("POST", "uploadId=u", document, headers...))
	return in, err
}

func TestDecodeComplete(t *testing.T) {
	in, err := completed(t, `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
		<Part><ETag>"e1"</ETag><PartNumber>1</PartNumber><ChecksumCRC32>`+helloCRC32+`</ChecksumCRC32></Part>
		<Part><PartNumber> 2 </PartNumber><ETag>e2</ETag></Part></CompleteMultipartUpload>`,
		// Not of this document: of the object.
		"x-amz-checksum-sha256: "+helloSHA256+"-2", "x-amz-checksum-type: composite", "x-amz-mp-object-size: 12", "If-None-Match: *")
	if err != nil {
		t.Fatal(err)
	}
	sum, _ := checksum.CRC32.Decode(helloCRC32)
	parts := []object.CompletePart{{Number: 1, ETag: `"e1"`, Algorithm: checksum.CRC32, Checksum: sum}, {Number: 2, ETag: "e2"}}
	if !reflect.DeepEqual(in.Parts, parts) {
		t.Errorf("parts %+v, want %+v", in.Parts, parts)
	}
	if in.UploadID != "u" || in.Size != 12 || in.Type != checksum.Composite || in.Algorithm != checksum.SHA256 || in.Checksum != helloSHA256+"-2" || in.Condition.IfNoneMatch != "*" {
		t.Errorf("%+v", in)
	}
}

func TestCompleteDocuments(t *testing.T) {
	const root, end = "<CompleteMultipartUpload>", "</CompleteMultipartUpload>"
	one := "<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>"
	for _, c := range []struct {
		name, document string
		want           fault.Kind
	}{
		{"no part", root + end, MalformedXML},
		{"no document", "", ""}, // core says what is missing
		{"cut off", root + one, MalformedXML},
		{"no part number", root + "<Part><ETag>e</ETag></Part>" + end, MalformedXML},
		{"no ETag", root + "<Part><PartNumber>1</PartNumber></Part>" + end, MalformedXML},
		{"part x", root + "<Part><PartNumber>x</PartNumber><ETag>e</ETag></Part>" + end, MalformedXML},
		{"part 0", root + "<Part><PartNumber>0</PartNumber><ETag>e</ETag></Part>" + end, InvalidArgument},
		{"a number that wraps", root + "<Part><PartNumber>4294967297</PartNumber><ETag>e</ETag></Part>" + end, InvalidArgument},
		{"10001 parts", root + strings.Repeat(one, 10001) + end, MalformedXML},
		{"two checksums", root + "<Part><PartNumber>1</PartNumber><ETag>e</ETag><ChecksumCRC32>a</ChecksumCRC32><ChecksumSHA1>b</ChecksumSHA1></Part>" + end, InvalidArgument},
		{"a checksum that is none", root + "<Part><PartNumber>1</PartNumber><ETag>e</ETag><ChecksumCRC32>junk</ChecksumCRC32></Part>" + end, InvalidArgument},
	} {
		in, err := completed(t, c.document)
		if kind, _ := faultOf(err); kind != c.want {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if err == nil && in.Size != -1 {
			t.Errorf("%s: size %d", c.name, in.Size)
		}
	}
	for _, size := range []string{"-1", "x", ""} {
		if _, err := completed(t, root+one+end, "x-amz-mp-object-size: "+size); err == nil {
			t.Errorf("size %q is taken", size)
		}
	}
}

func TestCompleteAnswers(t *testing.T) {
	c := cat(t, "POST", "uploadId=u")
	c.Request.URL.Path, c.Request.URL.RawPath = "/photos/a b", "/photos/a%20b"
	c.Key = "a b"
	r, err := encodeComplete(c, object.Stored{
		VersionID: "v1", ETag: "e1-2", SSE: sse.Applied{Algorithm: sse.AES256},
		Checksum: object.Checksum{Algorithm: checksum.CRC32, Type: checksum.Composite, Value: []byte{1, 2, 3, 4}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := xmlHeader + `<CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Location>http://s3.example.com/photos/a%20b</Location>` +
		`<Bucket>photos</Bucket><Key>a b</Key><ETag>&quot;e1-2&quot;</ETag><ChecksumType>COMPOSITE</ChecksumType><ChecksumCRC32>AQIDBA==-2</ChecksumCRC32></CompleteMultipartUploadResult>`
	if string(r.Body) != want {
		t.Errorf("got  %s\nwant %s", r.Body, want)
	}
	if onWire(r.Header, "x-amz-version-id") != "v1" || onWire(r.Header, sse.AlgorithmHeader) != "AES256" {
		t.Errorf("headers %v", r.Header)
	}
}
