// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
)

func TestCopySource(t *testing.T) {
	for _, c := range []struct{ header, bucket, key, version, message string }{
		{"photos/cat.jpg", "photos", "cat.jpg", "", ""},
		{"/photos/cat.jpg", "photos", "cat.jpg", "", ""},
		{"%2Fphotos%2Fcats%2Fcat.jpg", "photos", "cats/cat.jpg", "", ""},
		{"photos//cat", "photos", "/cat", "", ""},
		{"photos/a+b%20c%2Bd", "photos", "a b c+d", "", ""},
		{"photos/what%3F?versionId=v1", "photos", "what?", "v1", ""},
		{"photos/cat?versionId=null", "photos", "cat", "null", ""},
		{"photos/%C3%A9t%C3%A9", "photos", "été", "", ""},
		{"", "", "", "", "Invalid copy source object key"},
		{"photos", "", "", "", "Invalid copy source object key"},
		{"photos/", "", "", "", "Invalid copy source object key"},
		{"/", "", "", "", "Invalid copy source object key"},
		{"photos/100%", "", "", "", "Invalid copy source encoding."},
		{"Photos!/cat", "", "", "", "Invalid copy source bucket name"},
		{"arn:aws:s3:us-east-1:111122223333:accesspoint/mine/object/cat", "", "", "", "Invalid copy source bucket name"},
		{"photos/cat?versionId=", "", "", "", "Version id cannot be the empty string"},
		{"photos/cat?", "", "", "", "Unsupported copy source parameter."},
		{"photos/cat?acl", "", "", "", "Unsupported copy source parameter."},
		{"photos/cat?versionId=a&versionId=b", "", "", "", "Unsupported copy source parameter."},
	} {
		got, err := parseCopySource(c.header)
		kind, message := faultOf(err)
		if message != c.message || got.Bucket != c.bucket || got.Key != c.key || got.VersionID != c.version {
			t.Errorf("%q: %+v, %v; want %+v", c.header, got, err, c)
		}
		if err != nil && (kind != InvalidArgument || detail(err, "ArgumentName") != "x-amz-copy-source") {
			t.Errorf("%q: %v", c.header, err)
		}
	}
}

func FuzzCopySource(f *testing.F) {
	for _, s := range []string{"/photos/cat.jpg?versionId=v1", "photos/%41", "%", "a/b?c", "photos/\x00", "photos/a+b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		ref, err := parseCopySource(header)
		if err != nil {
			return
		}
		if !aws.ValidBucketName(ref.Bucket) || ref.Key == "" {
			t.Fatalf("%q names %+v", header, ref)
		}
		again := ref.Bucket + "/" + url.PathEscape(ref.Key)
		if ref.VersionID != "" {
			again += "?versionId=" + url.QueryEscape(ref.VersionID)
		}
		if back, err := parseCopySource(again); err != nil || back != ref {
			t.Fatalf("%q is %+v, written %q it is %+v, %v", header, ref, again, back, err)
		}
	})
}

func TestDecodeCopy(t *testing.T) {
	in, err := decodeCopy(cat(t, "PUT", "", "x-amz-copy-source: /album/dog.jpg?versionId=v1", "x-amz-source-expected-bucket-owner: 444455556666",
		"x-amz-copy-source-if-match: e", "x-amz-metadata-directive: REPLACE", "x-amz-tagging-directive: REPLACE", "x-amz-tagging: a=1",
		"x-amz-website-redirect-location: /x", "x-amz-checksum-algorithm: sha256", "x-amz-server-side-encryption: aws:kms",
		"x-amz-meta-owner: bob", "If-None-Match: *"))
	if err != nil {
		t.Fatal(err)
	}
	if s := in.Source; s.Bucket != "album" || s.Key != "dog.jpg" || s.VersionID != "v1" || s.ExpectedOwner != "444455556666" || s.Condition.IfMatch != "e" {
		t.Errorf("source %+v", s)
	}
	if !in.ReplaceHeaders || !in.ReplaceTags || !in.Redirect || in.Algorithm != checksum.SHA256 || in.SSE.Algorithm != sse.KMS ||
		len(in.Tags) != 1 || len(in.Headers) != 2 || in.Condition.IfNoneMatch != "*" || in.Bucket != "photos" {
		t.Errorf("copy %+v", in)
	}
	for _, c := range []struct {
		header  string
		kind    fault.Kind
		message string
	}{
		{"x-amz-metadata-directive: COPY", "", ""},
		{"x-amz-metadata-directive: replace", InvalidArgument, "Unknown metadata directive."},
		{"x-amz-tagging-directive: MERGE", InvalidArgument, "Unknown tagging directive."},
		{"x-amz-checksum-algorithm: XXHASH128", "", ""},
		{"x-amz-server-side-encryption: rot13", sse.UnsupportedMethod, ""},
		{"x-amz-copy-source-server-side-encryption-customer-algorithm: AES256", sse.CustomerNoKey, ""},
	} {
		_, err := decodeCopy(cat(t, "PUT", "", "x-amz-copy-source: album/dog.jpg", c.header))
		if kind, message := faultOf(err); kind != c.kind || message != c.message {
			t.Errorf("%s: %v, want %q %q", c.header, err, c.kind, c.message)
		}
	}
	// What the copy is to be comes before the key of its source, and an open
	// connection before both.
	both := cat(t, "PUT", "", "x-amz-copy-source: album/dog.jpg", "x-amz-server-side-encryption: rot13",
		"x-amz-copy-source-server-side-encryption-customer-algorithm: AES256")
	for secure, want := range map[bool]fault.Kind{true: sse.UnsupportedMethod, false: sse.CustomerInsecure} {
		both.Caller.Secure = secure
		_, err := decodeCopy(both)
		if kind, _ := faultOf(err); kind != want {
			t.Errorf("two mistakes, secure %t: %v, want %q", secure, err, want)
		}
	}
}

func TestCopyAnswers(t *testing.T) {
	out := object.Copied{SourceVersionID: "v0", Stored: object.Stored{
		VersionID: "v1", ETag: "e1", Modified: taken, SSE: sse.Applied{Algorithm: sse.KMS, KeyARN: photosKey},
		Checksum: object.Checksum{Algorithm: checksum.CRC32, Type: checksum.FullObject, Value: []byte{1, 2, 3, 4}},
	}}
	r, err := encodeCopy(cat(t, "PUT", ""), out)
	if err != nil {
		t.Fatal(err)
	}
	want := xmlHeader + `<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LastModified>2026-03-04T05:06:07.000Z</LastModified>` +
		`<ETag>&quot;e1&quot;</ETag><ChecksumType>FULL_OBJECT</ChecksumType><ChecksumCRC32>AQIDBA==</ChecksumCRC32></CopyObjectResult>`
	if string(r.Body) != want {
		t.Errorf("got  %s\nwant %s", r.Body, want)
	}
	for name, v := range map[string]string{"x-amz-version-id": "v1", "x-amz-copy-source-version-id": "v0", sse.KeyIDHeader: photosKey} {
		if got := r.Header[name]; !reflect.DeepEqual(got, []string{v}) {
			t.Errorf("%s: %q, want %q", name, got, v)
		}
	}
}

func TestCopyPart(t *testing.T) {
	in, err := decodeCopyPart(cat(t, "PUT", "partNumber=3&uploadId=u", "x-amz-copy-source: album/dog.jpg", "x-amz-copy-source-range: bytes=0-9"))
	if err != nil || in.Number != 3 || in.UploadID != "u" || in.Range != "bytes=0-9" || in.Source.Key != "dog.jpg" {
		t.Errorf("%+v, %v", in, err)
	}
	_, err = decodeCopyPart(cat(t, "PUT", "partNumber=3&uploadId=u", "x-amz-copy-source: album/dog.jpg", "x-amz-server-side-encryption: AES256"))
	if kind, _ := faultOf(err); kind != sse.NotForThisOperation {
		t.Errorf("an encryption for a part: %v", err)
	}
	out := object.CopiedPart{SourceVersionID: "v0", StoredPart: object.StoredPart{
		ETag: "e1", Modified: taken, SSE: sse.Applied{Algorithm: sse.AES256}, Checksum: object.Checksum{Algorithm: checksum.CRC32, Value: []byte{1, 2, 3, 4}},
	}}
	r, err := encodeCopyPart(cat(t, "PUT", ""), out)
	if err != nil || !strings.Contains(string(r.Body), "<ChecksumCRC32>AQIDBA==</ChecksumCRC32></CopyPartResult>") || onWire(r.Header, "x-amz-copy-source-version-id") != "v0" {
		t.Errorf("%s %v, %v", r.Body, r.Header, err)
	}
}
