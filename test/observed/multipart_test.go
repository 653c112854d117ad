// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/test/coffertest"
)

func TestUploads(t *testing.T) {
	s := start(t)
	part := func(r *row, target string, number any, body string) answer {
		return r.do("PUT", fmt.Sprintf("%s&partNumber=%v", target, number), body, "Content-MD5", absent)
	}
	s.row("6.1", "encryption is what it was when the upload began", func(r *row) {
		b, key := r.bucket(), r.s.Key()
		u := r.begin("/"+b+"/k", sseHeader, "aws:kms", keyHeader, key, bkHeader, "true")
		told := []string{sseHeader, "aws:kms", keyHeader, key, bkHeader, "true"}
		r.told(u.part(1, "x"), told...)
		r.told(u.complete(200), told...)
	})
	s.row("6.2", "lists tell nothing of encryption, and of checksums what was asked", func(r *row) {
		b := r.kmsBucket(r.s.Key(), true)
		for algorithm, kind := range map[string]string{absent: "", "SHA256": "COMPOSITE"} {
			u := r.begin("/"+b+"/k", "x-amz-checksum-algorithm", algorithm)
			a := r.ok(200, r.do("GET", u.target, ""))
			r.told(a, sseHeader, absent)
			r.is("algorithm of parts", a.xml("ChecksumAlgorithm"), strings.Trim(algorithm, absent))
			r.is("type of parts", a.xml("ChecksumType"), kind)
			a = r.ok(200, r.do("GET", "/"+b+"?uploads", ""))
			r.told(a, sseHeader, absent)
			r.is("algorithm of the upload", a.xml("Upload/ChecksumAlgorithm"), strings.Trim(algorithm, absent))
			r.ok(204, r.do("DELETE", u.target, ""))
		}
	})
	s.row("6.3", "an unknown upload, or another key's", func(r *row) {
		b := r.bucket()
		u := r.begin("/" + b + "/k")
		u.part(1, "x")
		for _, target := range []string{"/" + b + "/k?uploadId=nothing", "/" + b + "/other?uploadId=" + u.id} {
			field := "UploadId=" + target[strings.Index(target, "uploadId=")+9:]
			r.err(part(r, target, 1, "x"), 404, "NoSuchUpload", "", field)
			r.err(r.do("POST", target, u.document()), 404, "NoSuchUpload", "", field)
			r.err(r.do("DELETE", target, ""), 404, "NoSuchUpload", "", field)
			r.err(r.do("GET", target, ""), 404, "NoSuchUpload", "", field)
		}
	})
	s.row("6.4", "parts of an upload that is complete", func(r *row) {
		u := r.begin("/" + r.bucket() + "/k")
		u.part(1, "x")
		u.complete(200)
		r.err(r.do("GET", u.target, ""), 404, "NoSuchUpload", "", "UploadId="+u.id)
	})
	s.row("6.5", "part numbers", func(r *row) {
		u := r.begin("/" + r.bucket() + "/k")
		for _, n := range []int{-1, 10001} {
			r.err(part(r, u.target, n, "x"), 400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive", "ArgumentName=partNumber")
		}
	})
	parts := func(u *upload, numbers ...int) string {
		var b strings.Builder
		for _, n := range numbers {
			fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", n, u.parts[n-1])
		}
		return completion(b.String())
	}
	s.row("6.6", "parts out of order", func(r *row) {
		u := r.begin("/" + r.bucket() + "/k")
		u.part(1, "x")
		u.part(2, "y")
		r.err(r.do("POST", u.target, parts(u, 2, 1)), 400, "InvalidPartOrder", "", "UploadId="+u.id)
	})
	s.row("6.7", "a part that there is not, or with another ETag", func(r *row) {
		u := r.begin("/" + r.bucket() + "/k")
		etag := u.part(1, "x").etag()
		for _, c := range []struct{ number, etag string }{{"2", etag}, {"1", strings.Repeat("0", 32)}} {
			r.err(r.do("POST", u.target, completion("<Part><PartNumber>"+c.number+"</PartNumber><ETag>\""+c.etag+"\"</ETag></Part>")),
				400, "InvalidPart", "", "ETag="+c.etag, "PartNumber="+c.number, "UploadId="+u.id)
		}
	})
	s.row("6.8", "no part", func(r *row) {
		u := r.begin("/" + r.bucket() + "/k")
		r.err(r.do("POST", u.target, ""), 400, "InvalidRequest", "You must specify at least one part")
		r.err(r.do("POST", u.target, completion("")), 400, "MalformedXML", "")
	})
	s.row("6.10", "another size than said", func(r *row) {
		u := r.begin("/" + r.bucket() + "/k")
		u.part(1, "four")
		r.err(u.complete(400, "x-amz-mp-object-size", "5"), 400, "InvalidRequest", "The provided 'x-amz-mp-object-size' header value 5 does not match what was computed: 4")
	})
	s.row("6.11", "a range of a copied part that is none", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/source", "0123456789")
		u := r.begin("/" + b + "/k")
		for _, ranged := range []string{"0-1", "bytes=1", "bytes=-5", "bytes=5-", "bytes=5-1", "bytes=0-1,3-4"} {
			r.err(r.do("PUT", u.target+"&partNumber=1", "", "x-amz-copy-source", b+"/source", "x-amz-copy-source-range", ranged),
				400, "InvalidArgument", "", "ArgumentName=x-amz-copy-source-range")
		}
	})
	s.row("6.12", "a range of a copied part beyond its source", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/source", "0123456789")
		u := r.begin("/" + b + "/k")
		ranged := func(v string) answer {
			return r.do("PUT", u.target+"&partNumber=1", "", "x-amz-copy-source", b+"/source", "x-amz-copy-source-range", v)
		}
		r.err(ranged("bytes=0-10"), 400, "InvalidArgument", "Range specified is not valid for source object of size: 10")
		r.err(ranged("bytes=10-11"), 400, "InvalidRequest", "")
	})
	s.row("6.13", "reading a part", func(r *row) {
		b := r.bucket()
		u := r.begin("/" + b + "/k")
		u.part(1, "first")
		u.part(2, "second")
		u.complete(200)
		a := r.ok(206, r.do("GET", "/"+b+"/k?partNumber=2", ""))
		r.is("body", a.body, "second")
		r.told(a, "Content-Range", "bytes 5-10/11", "x-amz-mp-parts-count", "2")
		r.put("/"+b+"/one", "whole")
		r.is("body", r.ok(206, r.do("GET", "/"+b+"/one?partNumber=1", "")).body, "whole")
	})
	s.row("6.14", "a part beyond the last, or with a range", func(r *row) {
		b := r.bucket()
		u := r.begin("/" + b + "/k")
		u.part(1, "first")
		u.complete(200)
		r.err(r.do("GET", "/"+b+"/k?partNumber=2", ""), 416, "InvalidPartNumber", "", "ActualPartCount=1", "PartNumberRequested=2")
		r.err(r.do("GET", "/"+b+"/k?partNumber=1", "", "Range", "bytes=0-1"), 400, "InvalidRequest", "")
	})
	s.row("6.15", "the checksum when none was asked", func(r *row) {
		b := r.bucket()
		u := r.begin("/" + b + "/k")
		u.part(1, "123456789")
		u.complete(200)
		r.told(r.do("HEAD", "/"+b+"/k", "", "x-amz-checksum-mode", "ENABLED"), "x-amz-checksum-crc64nvme", "rosUhgp5mIg=", "x-amz-checksum-type", "FULL_OBJECT")
	})
}

// TestSmallParts has S3's own least size of parts.
func TestSmallParts(t *testing.T) {
	t.Parallel()
	s := &subject{t, coffertest.Start(t)}
	s.row("6.9", "a small part that is not the last", func(r *row) {
		u := r.begin("/" + r.bucket() + "/k")
		etag := u.part(1, "small").etag()
		u.part(2, "last")
		r.err(u.complete(400), 400, "EntityTooSmall", "", "ETag="+etag, "MinSizeAllowed=5242880", "PartNumber=1", "ProposedSize=5")
	})
}
