// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestCopy(t *testing.T) {
	s := start(t)
	const itself = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
	// again copies an object onto itself.
	again := func(r *row, b string, headers ...string) answer {
		return r.do("PUT", "/"+b+"/k", "", append([]string{"x-amz-copy-source", b + "/k"}, headers...)...)
	}
	s.row("5.1", "the source's encryption is not inherited", func(r *row) {
		from, key := r.kmsBucket(r.s.Key(), true), r.s.Key()
		r.put("/"+from+"/k", "x")
		plain, sealed := r.bucket(), r.kmsBucket(key, true)
		r.told(r.put("/"+plain+"/k", "", "x-amz-copy-source", from+"/k"), sseHeader, "AES256")
		r.told(r.put("/"+sealed+"/k", "", "x-amz-copy-source", from+"/k"), sseHeader, "aws:kms", keyHeader, key, bkHeader, "true")
		r.told(r.put("/"+sealed+"/k", "", "x-amz-copy-source", from+"/k", sseHeader, "AES256"), sseHeader, "AES256")
	})
	s.row("5.2", "onto itself, with no change", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		r.err(again(r, b), 400, "InvalidRequest", itself)
	})
	s.row("5.3", "onto itself, with another ACL alone", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		r.err(again(r, b, "x-amz-acl", "bucket-owner-full-control"), 400, "InvalidRequest", itself)
	})
	s.row("5.4", "onto itself, with a storage class that it has", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		r.ok(200, again(r, b, "x-amz-storage-class", "STANDARD"))
		r.ok(200, again(r, b, "x-amz-storage-class", "STANDARD", "x-amz-checksum-algorithm", "SHA256"))
	})
	s.row("5.5", "onto itself, with other metadata", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		r.ok(200, again(r, b, "x-amz-metadata-directive", "REPLACE"))
	})
	s.row("5.6", "onto itself, with an encryption that it has", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		r.ok(200, again(r, b, sseHeader, "AES256"))
	})
	s.row("5.7", "onto itself, in a bucket whose encryption was put", func(r *row) {
		b := r.bucket()
		r.s.Encrypt(b, "AES256", "", false)
		r.put("/"+b+"/k", "x")
		r.ok(200, again(r, b))
	})
	s.row("5.8", "onto itself, from SSE-KMS to the bucket's SSE-S3", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x", sseHeader, "aws:kms")
		r.told(r.ok(200, again(r, b)), sseHeader, "AES256")
	})
	s.row("5.9", "SSE-KMS alone means the managed key and no bucket key", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x", sseHeader, "aws:kms", keyHeader, r.s.Key(), bkHeader, "true")
		r.told(r.ok(200, again(r, b, sseHeader, "aws:kms")), keyHeader, managed(r), bkHeader, absent)
	})
	s.row("5.10", "how an object gets a bucket key", func(r *row) {
		b, key := r.bucket(), r.s.Key()
		before := r.put("/"+b+"/k", "x").etag()
		a := r.ok(200, again(r, b, sseHeader, "aws:kms", keyHeader, key, bkHeader, "true"))
		r.told(a, keyHeader, key, bkHeader, "true")
		if strings.Trim(a.xml("ETag"), `"`) == before || a.xml("LastModified") == "" {
			r.Errorf("answer %s, ETag before %s", a.body, before)
		}
	})
	s.row("5.11", "onto itself, with versions", func(r *row) {
		b := r.versioned()
		first := r.put("/"+b+"/k", "x").header.Get("x-amz-version-id")
		r.err(again(r, b), 400, "InvalidRequest", itself)
		a := r.ok(200, again(r, b, "x-amz-metadata-directive", "REPLACE"))
		r.told(a, "x-amz-copy-source-version-id", first)
		if v := a.header.Get("x-amz-version-id"); v == "" || v == first {
			r.Errorf("version %q", v)
		}
	})
	s.row("5.12", "versions that copies answer", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		replace := []string{"x-amz-metadata-directive", "REPLACE"}
		r.told(r.ok(200, again(r, b, replace...)), "x-amz-version-id", absent, "x-amz-copy-source-version-id", absent)
		r.ok(200, r.do("PUT", "/"+b+"?versioning", versioning("Enabled")))
		r.ok(200, r.do("PUT", "/"+b+"?versioning", versioning("Suspended")))
		r.told(r.ok(200, again(r, b, replace...)), "x-amz-version-id", "null", "x-amz-copy-source-version-id", absent)
		r.ok(200, r.do("PUT", "/"+b+"?versioning", versioning("Enabled")))
		a := r.ok(200, again(r, b, replace...))
		r.told(a, "x-amz-copy-source-version-id", absent)
		if v := a.header.Get("x-amz-version-id"); len(v) != 32 {
			r.Errorf("version %q", v)
		}
	})
	s.row("5.13", "no source", func(r *row) {
		b := r.bucket()
		r.err(r.do("PUT", "/"+b+"/k", "", "x-amz-copy-source", b+"/nothing"), 404, "NoSuchKey", "", "Key=nothing")
		r.err(r.do("PUT", "/"+b+"/k", "", "x-amz-copy-source", "no-such-bucket-here/k"), 404, "NoSuchBucket", "", "BucketName=no-such-bucket-here")
	})
	s.row("5.14", "a deleted source", func(r *row) {
		b := r.versioned()
		r.put("/"+b+"/k", "x")
		r.ok(204, r.do("DELETE", "/"+b+"/k", ""))
		r.err(r.do("PUT", "/"+b+"/copy", "", "x-amz-copy-source", b+"/k"), 404, "NoSuchKey", "")
	})
	s.row("5.15", "a delete marker by its version", func(r *row) {
		b := r.versioned()
		r.put("/"+b+"/k", "x")
		marker := r.ok(204, r.do("DELETE", "/"+b+"/k", "")).header.Get("x-amz-version-id")
		r.err(r.do("PUT", "/"+b+"/copy", "", "x-amz-copy-source", b+"/k?versionId="+marker), 400, "InvalidRequest",
			"The source of a copy request may not specifically refer to a delete marker by version id.")
	})
	s.row("5.16", "a source that is none", func(r *row) {
		b := r.bucket()
		for _, source := range []string{"nothing", "/", b, b + "/"} {
			r.err(r.do("PUT", "/"+b+"/k", "", "x-amz-copy-source", source), 400, "InvalidArgument", "Invalid copy source object key", "ArgumentName=x-amz-copy-source")
		}
	})
	earlier := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
	s.row("5.17", "conditions of the source that do not hold", func(r *row) {
		b := r.bucket()
		etag := r.put("/"+b+"/k", "x").etag()
		for _, c := range []struct{ header, value, condition string }{
			{"x-amz-copy-source-if-match", `"other"`, "x-amz-copy-source-If-Match"},
			{"x-amz-copy-source-if-none-match", etag, "x-amz-copy-source-If-None-Match"},
			{"x-amz-copy-source-if-unmodified-since", earlier, "x-amz-copy-source-If-Unmodified-Since"},
		} {
			a := r.do("PUT", "/"+b+"/copy", "", "x-amz-copy-source", b+"/k", c.header, c.value)
			r.err(a, 412, "PreconditionFailed", "", "Condition="+c.condition)
		}
		modified := r.do("HEAD", "/"+b+"/k", "").header.Get("Last-Modified")
		r.err(r.do("PUT", "/"+b+"/copy", "", "x-amz-copy-source", b+"/k", "x-amz-copy-source-if-modified-since", modified),
			412, "PreconditionFailed", "", "Condition=x-amz-copy-source-If-Modified-Since")
	})
	s.row("5.18", "if-match that holds counts, and not if-unmodified-since", func(r *row) {
		b := r.bucket()
		etag := r.put("/"+b+"/k", "x").etag()
		r.put("/"+b+"/copy", "", "x-amz-copy-source", b+"/k", "x-amz-copy-source-if-match", etag, "x-amz-copy-source-if-unmodified-since", earlier)
	})
	s.row("5.19", "checksums of copies", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "123456789", "x-amz-checksum-crc32", "y/Q5Jg==")
		a := r.put("/"+b+"/copy", "", "x-amz-copy-source", b+"/k")
		r.is("CRC32", a.xml("ChecksumCRC32"), "y/Q5Jg==")
		r.is("type", a.xml("ChecksumType"), "FULL_OBJECT")
		u := r.begin("/"+b+"/parts", "x-amz-checksum-algorithm", "CRC32")
		crc := u.part(1, "123456789").header.Get("x-amz-checksum-crc32")
		r.is("part's CRC32", crc, "y/Q5Jg==")
		r.ok(200, r.do("POST", u.target, completion("<Part><PartNumber>1</PartNumber><ETag>"+u.parts[0]+"</ETag><ChecksumCRC32>"+crc+"</ChecksumCRC32></Part>")))
		a = r.put("/"+b+"/copy", "", "x-amz-copy-source", b+"/parts")
		r.is("CRC32 of parts", a.xml("ChecksumCRC32"), "y/Q5Jg==")
		r.is("type of parts", a.xml("ChecksumType"), "FULL_OBJECT")
		r.put("/"+b+"/plain", "123456789")
		a = r.put("/"+b+"/copy", "", "x-amz-copy-source", b+"/plain")
		r.is("CRC64NVME", a.xml("ChecksumCRC64NVME"), "rosUhgp5mIg=")
	})
	s.row("5.20", "tags", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x", "x-amz-tagging", "a=1")
		tags := func() string { return r.ok(200, r.do("GET", "/"+b+"/copy?tagging", "")).xml("TagSet/Tag/Value") }
		for _, c := range []struct {
			want    string
			headers []string
		}{
			{"1", nil}, {"1", []string{"x-amz-tagging-directive", "COPY"}},
			{"2", []string{"x-amz-tagging-directive", "REPLACE", "x-amz-tagging", "a=2"}}, {"", []string{"x-amz-tagging-directive", "REPLACE"}},
		} {
			r.put("/"+b+"/copy", "", append([]string{"x-amz-copy-source", b + "/k"}, c.headers...)...)
			r.is("tag", tags(), c.want)
		}
	})
	s.row("5.21", "metadata is ignored unless it replaces", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x", "x-amz-meta-a", "1")
		for _, directive := range []string{"COPY", absent} {
			r.put("/"+b+"/copy", "", "x-amz-copy-source", b+"/k", "x-amz-metadata-directive", directive, "x-amz-meta-a", "2")
			r.told(r.do("HEAD", "/"+b+"/copy", ""), "x-amz-meta-a", "1")
		}
	})
}
