// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"strings"
	"testing"
)

// encryption makes a document of default encryption.
func encryption(rules string) string {
	return "<ServerSideEncryptionConfiguration>" + rules + "</ServerSideEncryptionConfiguration>"
}

// rule makes a rule: what comes of the key, and beside it.
func rule(algorithm, inside, beside string) string {
	return "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>" + algorithm + "</SSEAlgorithm>" + inside + "</ApplyServerSideEncryptionByDefault>" + beside + "</Rule>"
}

func TestDefaultEncryption(t *testing.T) {
	s := start(t)
	const (
		apply = "Rule/ApplyServerSideEncryptionByDefault/"
		on    = "<BucketKeyEnabled>true</BucketKeyEnabled>"
	)
	get := func(r *row, b string) answer { return r.ok(200, r.do("GET", "/"+b+"?encryption", "")) }
	put := func(r *row, b, rules string) answer { return r.do("PUT", "/"+b+"?encryption", encryption(rules)) }

	s.row("1.1", "a new bucket has SSE-S3, and says that it has no bucket key", func(r *row) {
		a := get(r, r.bucket())
		r.is("algorithm", a.xml(apply+"SSEAlgorithm"), "AES256")
		r.is("bucket key", a.xml("Rule/BucketKeyEnabled"), "false")
		r.is("rules", strings.Repeat("x", a.count("Rule")), "x")
	})
	s.row("1.2", "a new bucket blocks SSE-C", func(r *row) {
		r.is("blocked", get(r, r.bucket()).xml("Rule/BlockedEncryptionTypes/EncryptionType"), "SSE-C")
	})
	s.row("1.3", "a configuration is taken without a word", func(r *row) {
		a := put(r, r.bucket(), rule("AES256", "", ""))
		r.ok(200, a)
		r.is("body", a.body, "")
	})
	s.row("1.4", "deleting resets to SSE-S3, again and again", func(r *row) {
		b := r.bucket()
		r.ok(200, put(r, b, rule("aws:kms", "", on)))
		for range 2 {
			r.ok(204, r.do("DELETE", "/"+b+"?encryption", ""))
		}
		r.is("algorithm", get(r, b).xml(apply+"SSEAlgorithm"), "AES256")
	})
	s.row("1.5", "the key comes back verbatim", func(r *row) {
		arn := r.s.Key()
		for _, id := range []string{arn, idOf(arn)} {
			b := r.bucket()
			r.ok(200, put(r, b, rule("aws:kms", "<KMSMasterKeyID>"+id+"</KMSMasterKeyID>", on)))
			a := get(r, b)
			r.is("key", a.xml(apply+"KMSMasterKeyID"), id)
			r.is("bucket key", a.xml("Rule/BucketKeyEnabled"), "true")
		}
	})
	s.row("1.6", "aws:kms without a key means the managed key", func(r *row) {
		b := r.bucket()
		r.ok(200, put(r, b, rule("aws:kms", "", "")))
		if _, there := get(r, b).find(apply + "KMSMasterKeyID"); there {
			r.Error("the configuration has a key")
		}
		a := r.put("/"+b+"/k", "x")
		r.told(a, sseHeader, "aws:kms", keyHeader, managed(r))
	})
	s.row("1.7", "a key is not looked for until an object is written", func(r *row) {
		b := r.bucket()
		r.ok(200, put(r, b, rule("aws:kms", "<KMSMasterKeyID>"+missingKey+"</KMSMasterKeyID>", "")))
		r.err(r.do("PUT", "/"+b+"/k", "x"), 400, "KMS.NotFoundException", "does not exist")
	})
	s.row("1.8", "a key does not go with AES256", func(r *row) {
		r.err(put(r, r.bucket(), rule("AES256", "<KMSMasterKeyID>"+missingKey+"</KMSMasterKeyID>", "")), 400, "InvalidArgument",
			"a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse", "ArgumentName=ApplyServerSideEncryptionByDefault")
	})
	s.row("1.9", "there is one rule", func(r *row) {
		b := r.bucket()
		r.err(put(r, b, ""), 400, "MalformedXML", "")
		r.err(put(r, b, rule("AES256", "", "")+rule("AES256", "", "")), 400, "MalformedXML", "")
	})
	s.row("1.10", "no bucket", func(r *row) {
		r.err(r.do("GET", "/no-such-bucket-here?encryption", ""), 404, "NoSuchBucket", "", "BucketName=no-such-bucket-here")
		r.err(put(r, "no-such-bucket-here", rule("AES256", "", "")), 404, "NoSuchBucket", "", "BucketName=no-such-bucket-here")
		r.err(r.do("DELETE", "/no-such-bucket-here?encryption", ""), 404, "NoSuchBucket", "", "BucketName=no-such-bucket-here")
	})
	s.row("1.11", "a bucket key with AES256 has no effect", func(r *row) {
		for _, v := range []string{"true", "false"} {
			b := r.bucket()
			r.ok(200, put(r, b, rule("AES256", "", "<BucketKeyEnabled>"+v+"</BucketKeyEnabled>")))
			r.told(r.put("/"+b+"/k", "x"), sseHeader, "AES256", bkHeader, absent)
		}
	})
	s.row("1.12", "turning bucket keys off changes later writes alone", func(r *row) {
		key := r.s.Key()
		b := r.kmsBucket(key, true)
		r.put("/"+b+"/before", "x")
		r.s.Encrypt(b, "aws:kms", key, false)
		r.put("/"+b+"/after", "x")
		r.told(r.do("HEAD", "/"+b+"/before", ""), bkHeader, "true")
		r.told(r.do("HEAD", "/"+b+"/after", ""), bkHeader, absent)
	})
	s.row("1.13", "what is blocked is SSE-C or nothing", func(r *row) {
		for value, status := range map[string]int{"SSE-C": 200, "NONE": 200, "SSE-S3": 400} {
			b := r.bucket()
			a := put(r, b, rule("AES256", "", "<BlockedEncryptionTypes><EncryptionType>"+value+"</EncryptionType></BlockedEncryptionTypes>"))
			r.ok(status, a)
			if status == 200 && value != "NONE" {
				r.is("blocked", get(r, b).xml("Rule/BlockedEncryptionTypes/EncryptionType"), value)
			}
		}
	})
	s.row("1.14", "a rule may be about what is blocked alone", func(r *row) {
		b := r.bucket()
		r.ok(200, put(r, b, "<Rule><BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes></Rule>"))
		r.is("algorithm", get(r, b).xml(apply+"SSEAlgorithm"), "AES256")
	})
	s.row("1.15", "what it takes to be allowed", func(r *row) {
		b := r.bucket()
		reader := r.user("reader", allow("s3:GetEncryptionConfiguration", "*"))
		writer := r.user("writer", allow("s3:PutEncryptionConfiguration", "*"))
		r.ok(200, reader("GET", "/"+b+"?encryption", ""))
		r.err(reader("PUT", "/"+b+"?encryption", encryption(rule("AES256", "", ""))), 403, "AccessDenied", "s3:PutEncryptionConfiguration")
		r.err(reader("DELETE", "/"+b+"?encryption", ""), 403, "AccessDenied", "s3:PutEncryptionConfiguration")
		r.ok(200, writer("PUT", "/"+b+"?encryption", encryption(rule("AES256", "", ""))))
		r.ok(204, writer("DELETE", "/"+b+"?encryption", ""))
		r.err(writer("GET", "/"+b+"?encryption", ""), 403, "AccessDenied", "s3:GetEncryptionConfiguration")
	})
}

// managed returns the ARN of the managed key for S3.
func managed(r *row) string {
	r.Helper()
	out, err := r.s.KMS.DescribeKey(r.Context(), describe("alias/aws/s3"))
	if err != nil {
		r.Fatal(err)
	}
	return *out.KeyMetadata.Arn
}

func TestHeadersOfEncryption(t *testing.T) {
	s := start(t)
	kinds := []struct{ name, sse, bk string }{{"sse-s3", "AES256", absent}, {"kms", "aws:kms", absent}, {"kms-bucket-key", "aws:kms", "true"}}
	// each calls f with a bucket of each kind, and what headers tell there.
	each := func(r *row, f func(b string, told []string)) {
		key := r.s.Key()
		for _, k := range kinds {
			b := r.bucket()
			arn := absent
			if k.sse != "AES256" {
				r.s.Encrypt(b, k.sse, idOf(key), k.bk == "true")
				arn = key // always the ARN, also when the bucket has an id
			}
			f(b, []string{sseHeader, k.sse, keyHeader, arn, bkHeader, k.bk})
		}
	}
	none := []string{sseHeader, absent, keyHeader, absent, bkHeader, absent}

	s.row("2.1", "PutObject", func(r *row) {
		each(r, func(b string, told []string) { r.told(r.put("/"+b+"/k", "x"), told...) })
	})
	s.row("2.2", "GetObject, HeadObject", func(r *row) {
		each(r, func(b string, told []string) {
			r.put("/"+b+"/k", "x")
			r.told(r.ok(200, r.do("GET", "/"+b+"/k", "")), told...)
			r.told(r.ok(200, r.do("HEAD", "/"+b+"/k", "")), told...)
		})
	})
	s.row("2.3", "CreateMultipartUpload", func(r *row) {
		each(r, func(b string, told []string) { r.told(r.ok(200, r.do("POST", "/"+b+"/k?uploads", "")), told...) })
	})
	s.row("2.4", "UploadPart, UploadPartCopy", func(r *row) {
		each(r, func(b string, told []string) {
			r.put("/"+b+"/source", "x")
			u := r.begin("/" + b + "/k")
			r.told(u.part(1, "x"), told...)
			r.told(r.ok(200, r.do("PUT", u.target+"&partNumber=2", "", "x-amz-copy-source", b+"/source")), told...)
		})
	})
	s.row("2.5", "CompleteMultipartUpload", func(r *row) {
		each(r, func(b string, told []string) {
			u := r.begin("/" + b + "/k")
			u.part(1, "x")
			r.told(u.complete(200), told...)
		})
	})
	s.row("2.6", "CopyObject tells of the target", func(r *row) {
		from := r.bucket()
		r.put("/"+from+"/source", "x")
		each(r, func(b string, told []string) {
			r.told(r.put("/"+b+"/k", "", "x-amz-copy-source", from+"/source"), told...)
		})
	})
	s.row("2.7", "ranges and parts", func(r *row) {
		each(r, func(b string, told []string) {
			r.put("/"+b+"/k", "0123456789")
			r.told(r.ok(206, r.do("GET", "/"+b+"/k", "", "Range", "bytes=2-3")), told...)
			r.told(r.ok(206, r.do("GET", "/"+b+"/k?partNumber=1", "")), told...)
		})
	})
	s.row("2.8", "deletes, listings and tags tell nothing", func(r *row) {
		each(r, func(b string, _ []string) {
			r.put("/"+b+"/k", "x")
			u := r.begin("/" + b + "/upload")
			for _, target := range []string{"/" + b, "/" + b + "?list-type=2", "/" + b + "?versions", "/" + b + "/k?tagging", u.target} {
				r.told(r.ok(200, r.do("GET", target, "")), none...)
			}
			r.told(r.ok(204, r.do("DELETE", "/"+b+"/k", "")), none...)
		})
	})
	s.row("2.9", "GetObjectAttributes tells nothing of SSE-S3", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		r.told(r.ok(200, r.do("GET", "/"+b+"/k?attributes", "", "x-amz-object-attributes", "ETag,ObjectSize")), none...)
	})
	s.row("2.10", "sizes and checksums are those of the plaintext", func(r *row) {
		each(r, func(b string, _ []string) {
			a := r.put("/"+b+"/k", "123456789", "x-amz-checksum-crc32", "y/Q5Jg==")
			r.told(a, "x-amz-checksum-crc32", "y/Q5Jg==", "x-amz-checksum-type", "FULL_OBJECT")
			r.told(r.do("HEAD", "/"+b+"/k", "", "x-amz-checksum-mode", "ENABLED"), "Content-Length", "9", "x-amz-checksum-crc32", "y/Q5Jg==")
			r.told(r.do("GET", "/"+b+"/k", "", "Range", "bytes=1-2"), "Content-Range", "bytes 1-2/9", "Content-Length", "2")
			r.is("size", r.do("GET", "/"+b+"/k?attributes", "", "x-amz-object-attributes", "ObjectSize").xml("ObjectSize"), "9")
		})
	})
}

func TestETags(t *testing.T) {
	s := start(t)
	const body, other = "one object's bytes", "another's bytes"
	opaque := func(r *row, what, etag, body string) {
		r.Helper()
		if len(etag) != 32 || etag == md5Hex(body) {
			r.Errorf("%s: ETag %q of %q", what, etag, body)
		}
	}
	s.row("3.1", "under SSE-S3 it is the MD5", func(r *row) {
		b := r.bucket()
		r.is("ETag of a PUT", r.put("/"+b+"/k", body).etag(), md5Hex(body))
		a := r.put("/"+b+"/copy", "", "x-amz-copy-source", b+"/k")
		r.is("ETag of a copy", strings.Trim(a.xml("ETag"), `"`), md5Hex(body))
	})
	s.row("3.2", "under SSE-KMS it is not, and never the same", func(r *row) {
		for _, bk := range []bool{false, true} {
			b := r.kmsBucket(r.s.Key(), bk)
			one, two := r.put("/"+b+"/1", body).etag(), r.put("/"+b+"/2", body).etag()
			opaque(r, "SSE-KMS", one, body)
			if one == two {
				r.Error("two objects have one ETag")
			}
		}
	})
	s.row("3.3", "nor under SSE-C", func(r *row) {
		b := r.takesSSEC()
		opaque(r, "SSE-C", r.put("/"+b+"/k", body, customer("a").headers()...).etag(), body)
	})
	s.row("3.4", "nor are those of parts", func(r *row) {
		b := r.kmsBucket(r.s.Key(), true)
		u := r.begin("/" + b + "/k")
		one, two := u.part(1, body).etag(), u.part(2, body).etag()
		opaque(r, "part", one, body)
		if one == two {
			r.Error("two parts have one ETag")
		}
		b = r.takesSSEC()
		u = r.begin("/"+b+"/k", customer("a").headers()...)
		opaque(r, "part under SSE-C", u.part(1, body, customer("a").headers()...).etag(), body)
	})
	s.row("3.5", "of uploads it is the MD5 of the parts' as they were told", func(r *row) {
		b := r.kmsBucket(r.s.Key(), true)
		for n := 1; n <= 3; n++ {
			u := r.begin("/" + b + "/k")
			for i := range n {
				u.part(i+1, body)
			}
			r.is("ETag", strings.Trim(u.complete(200).xml("ETag"), `"`), u.wantETag())
		}
		r.is("the example", etagOfParts([]string{"1a9f0234d9c670a8c2f8b1ceda267641"}), "93a0cb8ec20934211e19adabef9a6407-1")
	})
	s.row("3.6", "a copy of an upload is one object", func(r *row) {
		b := r.bucket()
		u := r.begin("/" + b + "/k")
		u.part(1, body)
		u.part(2, other)
		u.complete(200)
		a := r.put("/"+b+"/copy", "", "x-amz-copy-source", b+"/k")
		r.is("ETag", strings.Trim(a.xml("ETag"), `"`), md5Hex(body+other))
	})
	s.row("3.7", "from SSE-KMS to SSE-S3 it becomes the MD5", func(r *row) {
		b := r.kmsBucket(r.s.Key(), true)
		r.put("/"+b+"/k", body)
		a := r.put("/"+b+"/k", "", "x-amz-copy-source", b+"/k", sseHeader, "AES256")
		r.is("ETag", strings.Trim(a.xml("ETag"), `"`), md5Hex(body))
	})
	s.row("3.8", "from SSE-S3 to SSE-KMS, and to another key, it becomes another", func(r *row) {
		b := r.bucket()
		first := r.put("/"+b+"/k", body).etag()
		second := strings.Trim(r.put("/"+b+"/k", "", "x-amz-copy-source", b+"/k", sseHeader, "aws:kms", keyHeader, r.s.Key()).xml("ETag"), `"`)
		third := strings.Trim(r.put("/"+b+"/k", "", "x-amz-copy-source", b+"/k", sseHeader, "aws:kms", keyHeader, r.s.Key()).xml("ETag"), `"`)
		opaque(r, "SSE-KMS", second, body)
		opaque(r, "another key", third, body)
		if first == second || second == third {
			r.Error("an ETag stayed")
		}
	})
	s.row("3.9", "of nothing", func(r *row) {
		r.is("ETag", r.put("/"+r.bucket()+"/k", "").etag(), "d41d8cd98f00b204e9800998ecf8427e")
	})
	s.row("3.10", "UpdateObjectEncryption leaves it, and all else", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", body, "x-amz-meta-a", "b", "x-amz-storage-class", "STANDARD_IA", "x-amz-checksum-sha256", absent)
		before := r.do("HEAD", "/"+b+"/k", "", "x-amz-checksum-mode", "ENABLED")
		r.ok(200, r.do("PUT", "/"+b+"/k?encryption", updateTo(r.s.Key(), "true")))
		after := r.do("HEAD", "/"+b+"/k", "", "x-amz-checksum-mode", "ENABLED")
		for _, h := range []string{"ETag", "Last-Modified", "x-amz-checksum-crc64nvme", "x-amz-storage-class", "x-amz-meta-a"} {
			if before.header.Get(h) == "" {
				r.Errorf("there was no %s", h)
			}
			r.is(h, after.header.Get(h), before.header.Get(h))
		}
		r.told(after, sseHeader, "aws:kms", bkHeader, "true")
	})
}

// updateTo is the document of UpdateObjectEncryption.
func updateTo(key, bucketKey string) string {
	return "<ObjectEncryption><SSE-KMS><KMSKeyArn>" + key + "</KMSKeyArn><BucketKeyEnabled>" + bucketKey + "</BucketKeyEnabled></SSE-KMS></ObjectEncryption>"
}
