// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/sse"
)

// photos returns a station with the bucket photos.
func photos(t testing.TB) *station {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/photos", "").want(200)
	return s
}

func TestAnObjectsLife(t *testing.T) {
	s := photos(t)
	s.do("PUT", "/photos/cat.jpg", "0123456789", "Content-Type: image/jpeg", "X-Amz-Meta-Owner: alice", "x-amz-tagging: a=1").
		want(200).wantHeader("ETag", `"781e5e245d69b566979b86e28d23f2c7"`).wantHeader(sse.AlgorithmHeader, "AES256").
		wantHeader("x-amz-checksum-type", "FULL_OBJECT").wantHeader("x-amz-version-id", "")
	get := s.do("GET", "/photos/cat.jpg", "").want(200, "0123456789").
		wantHeader("Content-Type", "image/jpeg").wantHeader("x-amz-meta-owner", "alice").wantHeader("x-amz-tagging-count", "1").
		wantHeader("Content-Length", "10").wantHeader("x-amz-checksum-crc64nvme", "")
	s.do("GET", "/photos/cat.jpg", "", "Range: bytes=2-4").want(206, "234").wantHeader("Content-Range", "bytes 2-4/10")
	s.do("GET", "/photos/cat.jpg", "", "Range: bytes=2-4,6-7").want(200, "0123456789")
	s.do("GET", "/photos/cat.jpg", "", "Range: bytes=10-").wantCode(416, "InvalidRange", "<ActualObjectSize>10</ActualObjectSize>")
	s.do("GET", "/photos/cat.jpg?partNumber=1", "", "Range: bytes=0-1").wantCode(400, "InvalidRequest")
	s.do("GET", "/photos/cat.jpg", "", "If-None-Match: "+onWire(get.header, "ETag")).want(304)
	s.do("GET", "/photos/cat.jpg", "", "If-Match: other").wantCode(412, "PreconditionFailed", "<Condition>If-Match</Condition>")
	s.do("GET", "/photos/cat.jpg?response-content-type=text%2Fplain", "").want(200).wantHeader("Content-Type", "text/plain")
	s.do("GET", "/photos/cat.jpg?response-cache-control=%C3%A9", "").want(200).wantHeader("Cache-Control", "\xe9") // ISO-8859-1
	for _, location := range []string{"dog.jpg", "ftp://example.com", "http:/example.com"} {
		s.do("PUT", "/photos/moved", "x", "x-amz-website-redirect-location: "+location).
			wantCode(400, "InvalidRedirectLocation", "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.")
	}
	head := s.do("HEAD", "/photos/cat.jpg", "", "x-amz-checksum-mode: ENABLED").want(200).
		wantHeader("Content-Length", "10").wantHeader("x-amz-checksum-type", "FULL_OBJECT")
	if head.body != "" {
		t.Errorf("HEAD has the body %q", head.body)
	}
	s.do("PUT", "/photos/cat.jpg", "again", "If-None-Match: *").wantCode(412, "PreconditionFailed")
	s.do("DELETE", "/photos/cat.jpg", "").want(204)
	s.do("GET", "/photos/cat.jpg", "").wantCode(404, "NoSuchKey")
}

func TestPutsThatAreRefused(t *testing.T) {
	s := photos(t)
	s.do("PUT", "/photos/cat.jpg", hello, "Content-MD5: "+md5Text("other")).wantCode(400, "BadDigest", "<ExpectedDigest>")
	s.do("PUT", "/photos/cat.jpg", hello, "Content-MD5: other").wantCode(400, "InvalidDigest", "<Content-MD5>other</Content-MD5>")
	s.do("PUT", "/photos/cat.jpg", hello, "x-amz-checksum-crc32: AAAAAA==").wantCode(400, "BadDigest", "The CRC32 you specified did not match")
	s.do("PUT", "/photos/cat.jpg", hello, "x-amz-server-side-encryption: rot13").wantCode(400, "InvalidArgument", "<ArgumentValue>rot13</ArgumentValue>")
	s.do("PUT", "/photos/cat.jpg", hello, "x-amz-server-side-encryption-customer-algorithm: AES256").wantCode(400, "InvalidArgument", "must provide an appropriate secret key")
	s.do("PUT", "/photos/cat.jpg", hello, "x-amz-storage-class: FLOPPY").wantCode(400, "InvalidStorageClass")
	s.do("PUT", "/photos/cat.jpg?partNumber=1", hello).wantCode(400, "InvalidArgument")
	s.do("GET", "/photos/cat.jpg", "").wantCode(404, "NoSuchKey")
}

func TestCopiesOfAnObject(t *testing.T) {
	s := photos(t)
	s.do("PUT", "/photos/cat.jpg", hello, "X-Amz-Meta-Owner: alice", "x-amz-checksum-crc32: "+helloCRC32).want(200)
	const from = "x-amz-copy-source: photos/cat.jpg"
	s.do("PUT", "/photos/copy", "", from, "x-amz-server-side-encryption: aws:kms", "x-amz-server-side-encryption-bucket-key-enabled: true").
		want(200, "<CopyObjectResult", "<ChecksumCRC32>"+helloCRC32+"</ChecksumCRC32>", "<ChecksumType>FULL_OBJECT</ChecksumType>").
		wantHeader(sse.AlgorithmHeader, "aws:kms").wantHeader(sse.BucketKeyHeader, "true")
	r := s.trail.last(t, "CopyObject")
	if r.AdditionalEventData["SSEApplied"] != "SSE_KMS" || r.AdditionalEventData["cofferGeneration"] == nil || r.RequestParameters["x-amz-copy-source"] != "photos/cat.jpg" {
		t.Errorf("audit record of the copy: %v, %v", r.AdditionalEventData, r.RequestParameters)
	}
	s.do("GET", "/photos/copy", "").want(200, hello).wantHeader("x-amz-meta-owner", "alice").wantHeader(sse.BucketKeyHeader, "true")
	s.do("PUT", "/photos/copy", "", from, "x-amz-metadata-directive: REPLACE", "X-Amz-Meta-Owner: bob").want(200)
	s.do("HEAD", "/photos/copy", "").want(200).wantHeader("x-amz-meta-owner", "bob")
	s.do("PUT", "/photos/cat.jpg", "", from).wantCode(400, "InvalidRequest", "This copy request is illegal")
	s.do("PUT", "/photos/copy", "", "x-amz-copy-source: photos/none").wantCode(404, "NoSuchKey")
	s.do("PUT", "/photos/copy", "", from, "x-amz-copy-source-if-match: other").wantCode(412, "PreconditionFailed", "<Condition>x-amz-copy-source-If-Match</Condition>")
}

func TestVersionsComeAndGo(t *testing.T) {
	s := photos(t)
	s.do("PUT", "/photos?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>").want(200)
	first := onWire(s.do("PUT", "/photos/cat.jpg", "one").want(200).header, "x-amz-version-id")
	s.do("PUT", "/photos/cat.jpg", "two").want(200)
	s.do("GET", "/photos/cat.jpg?versionId="+first, "").want(200, "one").wantHeader("x-amz-version-id", first)
	marker := onWire(s.do("DELETE", "/photos/cat.jpg", "").want(204).wantHeader("x-amz-delete-marker", "true").header, "x-amz-version-id")
	s.do("GET", "/photos/cat.jpg", "").wantCode(404, "NoSuchKey").wantHeader("x-amz-delete-marker", "true")
	s.do("HEAD", "/photos/cat.jpg?versionId="+marker, "").want(405).wantHeader("x-amz-delete-marker", "true")
	s.do("POST", "/photos?delete", "<Delete><Object><Key>cat.jpg</Key><VersionId>"+marker+"</VersionId></Object><Object><Key>none</Key></Object></Delete>").
		want(200, "<DeleteMarkerVersionId>"+marker+"</DeleteMarkerVersionId>")
	s.do("GET", "/photos/cat.jpg", "").want(200, "two")
	s.do("GET", "/photos/cat.jpg?versionId=", "").wantCode(400, "InvalidArgument")
}

func TestAnUploadInParts(t *testing.T) {
	s := photos(t)
	var begun struct {
		UploadID string `xml:"UploadId"`
	}
	a := s.do("POST", "/photos/film?uploads", "", "x-amz-checksum-algorithm: CRC32", "Content-Type: video/mp4").want(200).wantHeader("x-amz-checksum-type", "COMPOSITE")
	if err := xml.Unmarshal([]byte(a.body), &begun); err != nil || begun.UploadID == "" {
		t.Fatalf("%s: %v", a.body, err)
	}
	upload := "/photos/film?uploadId=" + begun.UploadID
	large := strings.Repeat("x", 5<<20)
	one := s.do("PUT", upload+"&partNumber=1", large).want(200).wantHeader(sse.AlgorithmHeader, "AES256")
	s.do("PUT", "/photos/cat.jpg", "0123456789").want(200)
	copied := s.do("PUT", upload+"&partNumber=2", "", "x-amz-copy-source: photos/cat.jpg", "x-amz-copy-source-range: bytes=1-3").want(200, "<CopyPartResult")
	var two struct{ ETag, ChecksumCRC32 string }
	if err := xml.Unmarshal([]byte(copied.body), &two); err != nil {
		t.Fatal(err)
	}
	s.do("GET", upload+"&max-parts=1", "").want(200, "<PartNumber>1</PartNumber>", "<IsTruncated>true</IsTruncated>", "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>")
	s.do("GET", "/photos?uploads&prefix=f", "").want(200, "<UploadId>"+begun.UploadID+"</UploadId>")
	s.do("POST", upload, "<CompleteMultipartUpload></CompleteMultipartUpload>").wantCode(400, "MalformedXML")
	s.do("POST", upload, "", "no digest").wantCode(400, "InvalidRequest", "You must specify at least one part")
	done := s.do("POST", upload, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+onWire(one.header, "ETag")+"</ETag><ChecksumCRC32>"+
		onWire(one.header, "x-amz-checksum-crc32")+"</ChecksumCRC32></Part><Part><PartNumber>2</PartNumber><ETag>"+two.ETag+"</ETag><ChecksumCRC32>"+
		two.ChecksumCRC32+"</ChecksumCRC32></Part></CompleteMultipartUpload>", "x-amz-mp-object-size: 5242883").
		want(200, "<Location>http://s3.example.com/photos/film</Location>", "<ChecksumType>COMPOSITE</ChecksumType>", "-2</ChecksumCRC32>")
	if done.status != 200 {
		t.FailNow()
	}
	s.do("GET", "/photos/film?partNumber=2", "", "x-amz-checksum-mode: ENABLED").want(206, "123").wantHeader("x-amz-mp-parts-count", "2").
		wantHeader("Content-Range", "bytes 5242880-5242882/5242883").wantHeader("x-amz-checksum-crc32", two.ChecksumCRC32).wantHeader("Content-Type", "video/mp4")
	s.do("GET", upload, "").wantCode(404, "NoSuchUpload", "<UploadId>"+begun.UploadID+"</UploadId>")
	s.do("DELETE", upload, "").wantCode(404, "NoSuchUpload")
}

func TestAPartUnderAnotherAlgorithmAnswersWithIt(t *testing.T) {
	s := photos(t)
	var begun struct {
		UploadID string `xml:"UploadId"`
	}
	if err := xml.Unmarshal([]byte(s.do("POST", "/photos/film?uploads", "").want(200).body), &begun); err != nil {
		t.Fatal(err)
	}
	s.do("PUT", "/photos/film?partNumber=1&uploadId="+begun.UploadID, hello, "x-amz-checksum-sha256: "+helloSHA256).
		want(200).wantHeader("x-amz-checksum-sha256", helloSHA256).wantHeader("x-amz-checksum-crc64nvme", "")
	s.do("DELETE", "/photos/film?uploadId="+begun.UploadID, "").want(204)
}
