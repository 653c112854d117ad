// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"fmt"
	"strings"
	"testing"
)

// Checksums of "123456789", the sample.
const (
	sample      = "123456789"
	sampleCRC32 = "y/Q5Jg=="
	sampleCRC64 = "rosUhgp5mIg="
	sampleSHA   = "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="
	enabled     = "x-amz-checksum-mode"
)

func TestChecksums(t *testing.T) {
	s := start(t)
	head := func(r *row, target string) answer {
		return r.ok(200, r.do("HEAD", target, "", enabled, "ENABLED"))
	}
	s.row("11.1", "CRC64NVME when none was sent", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", sample)
		r.told(head(r, "/"+b+"/k"), "x-amz-checksum-crc64nvme", sampleCRC64, "x-amz-checksum-type", "FULL_OBJECT")
	})
	s.row("11.2", "what was sent is verified, kept and answered", func(r *row) {
		b := r.bucket()
		for header, value := range map[string]string{
			"x-amz-checksum-crc32": sampleCRC32, "x-amz-checksum-crc32c": "4waSgw==", "x-amz-checksum-crc64nvme": sampleCRC64,
			"x-amz-checksum-sha1": "98O8HYCOBHMq32eZZczDTKeuNEE=", "x-amz-checksum-sha256": sampleSHA,
		} {
			r.told(r.put("/"+b+"/k", sample, header, value), header, value, "x-amz-checksum-type", "FULL_OBJECT")
			r.told(head(r, "/"+b+"/k"), header, value, "x-amz-checksum-type", "FULL_OBJECT")
		}
	})
	s.row("11.3", "a value that is none", func(r *row) {
		b := r.bucket()
		for _, v := range []string{"nonsense", "AAAA", ""} {
			r.err(r.do("PUT", "/"+b+"/k", sample, "x-amz-checksum-crc32", v), 400, "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid.")
		}
	})
	s.row("11.4", "a value that is wrong", func(r *row) {
		b := r.bucket()
		const text = "The CRC32 you specified did not match the calculated checksum."
		r.err(r.do("PUT", "/"+b+"/k", sample, "x-amz-checksum-crc32", "AAAAAA=="), 400, "BadDigest", text)
		u := r.begin("/" + b + "/k")
		r.err(r.do("PUT", u.target+"&partNumber=1", sample, "Content-MD5", absent, "x-amz-checksum-crc32", "AAAAAA=="), 400, "BadDigest", text)
		r.ok(404, r.do("GET", "/"+b+"/k", ""))
		r.is("parts", strings.Repeat("x", r.do("GET", u.target, "").count("Part")), "")
	})
	s.row("11.5", "two checksums", func(r *row) {
		r.err(r.do("PUT", "/"+r.bucket()+"/k", sample, "x-amz-checksum-crc32", sampleCRC32, "x-amz-checksum-sha256", sampleSHA), 400, "InvalidRequest",
			"Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	})
	s.row("11.6", "the name of an algorithm alone is ignored", func(r *row) {
		b := r.bucket()
		for _, name := range []string{"SHA256", "CRC32", "nonsense"} {
			r.put("/"+b+"/k", sample, "x-amz-checksum-algorithm", name)
			r.told(head(r, "/"+b+"/k"), "x-amz-checksum-crc64nvme", sampleCRC64)
		}
		r.put("/"+b+"/k", sample, "x-amz-checksum-algorithm", "SHA256", "x-amz-checksum-crc32", sampleCRC32)
		r.told(head(r, "/"+b+"/k"), "x-amz-checksum-crc32", sampleCRC32)
	})
	s.row("11.7", "when checksums are told", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", sample, "x-amz-checksum-crc32", sampleCRC32)
		get := func(headers ...string) answer { return r.do("GET", "/"+b+"/k", "", headers...) }
		r.told(r.ok(200, get()), "x-amz-checksum-crc32", absent, "x-amz-checksum-type", absent)
		r.told(r.ok(200, get(enabled, "ENABLED")), "x-amz-checksum-crc32", sampleCRC32)
		r.told(r.ok(206, get(enabled, "ENABLED", "Range", "bytes=0-3")), "x-amz-checksum-crc32", absent)
		r.told(r.ok(206, get(enabled, "ENABLED", "Range", "bytes=0-8")), "x-amz-checksum-crc32", sampleCRC32)
		for kind, want := range map[string]string{"COMPOSITE": sampleCRC32, "FULL_OBJECT": absent} {
			u := r.begin("/"+b+"/parts", "x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-type", kind)
			u.part(1, sample)
			u.part(2, "more")
			r.ok(200, r.do("POST", u.target, withCRC32(r, u)))
			r.told(r.ok(206, r.do("GET", "/"+b+"/parts?partNumber=1", "", enabled, "ENABLED")), "x-amz-checksum-crc32", want)
		}
	})
	s.row("11.8", "a Content-MD5 that is none", func(r *row) {
		b := r.bucket()
		for _, v := range []string{"nonsense", "AAAA"} {
			r.err(r.do("PUT", "/"+b+"/k", sample, "Content-MD5", v), 400, "InvalidDigest", "", "Content-MD5="+v)
		}
	})
	s.row("11.9", "a Content-MD5 that is wrong", func(r *row) {
		b := r.bucket()
		r.err(r.do("PUT", "/"+b+"/k", sample, "Content-MD5", md5Of("other")), 400, "BadDigest", "", "CalculatedDigest="+md5Of(sample), "ExpectedDigest")
		r.ok(404, r.do("GET", "/"+b+"/k", ""))
	})
	s.row("11.10", "an upload with an algorithm that is none", func(r *row) {
		r.err(r.do("POST", "/"+r.bucket()+"/k?uploads", "", "x-amz-checksum-algorithm", "CRC7"), 400, "InvalidRequest",
			"Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256")
	})
	s.row("11.11", "a type without algorithm", func(r *row) {
		r.err(r.do("POST", "/"+r.bucket()+"/k?uploads", "", "x-amz-checksum-type", "COMPOSITE"), 400, "InvalidRequest",
			"The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	})
	s.row("11.12", "types that are meant when none is named", func(r *row) {
		b := r.bucket()
		for algorithm, kind := range map[string]string{"CRC32": "COMPOSITE", "CRC32C": "COMPOSITE", "SHA1": "COMPOSITE", "SHA256": "COMPOSITE", "CRC64NVME": "FULL_OBJECT"} {
			a := r.ok(200, r.do("POST", "/"+b+"/k?uploads", "", "x-amz-checksum-algorithm", algorithm))
			r.told(a, "x-amz-checksum-algorithm", algorithm, "x-amz-checksum-type", kind)
		}
	})
	s.row("11.13", "pairs that cannot be", func(r *row) {
		b := r.bucket()
		for algorithm, kind := range map[string]string{"SHA1": "FULL_OBJECT", "SHA256": "FULL_OBJECT", "CRC64NVME": "COMPOSITE"} {
			r.err(r.do("POST", "/"+b+"/k?uploads", "", "x-amz-checksum-algorithm", algorithm, "x-amz-checksum-type", kind), 400, "InvalidRequest",
				fmt.Sprintf("The %s checksum type cannot be used with the %s checksum algorithm.", kind, strings.ToLower(algorithm)))
		}
	})
	s.row("11.14", "a part with another algorithm", func(r *row) {
		b := r.bucket()
		u := r.begin("/"+b+"/k", "x-amz-checksum-algorithm", "SHA256")
		r.err(r.do("PUT", u.target+"&partNumber=1", sample, "Content-MD5", absent, "x-amz-checksum-crc32", sampleCRC32), 400, "InvalidRequest",
			"Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: crc32")
		r.begin("/"+b+"/k").part(1, sample, "x-amz-checksum-crc32", sampleCRC32)
	})
	s.row("11.15", "a part without value", func(r *row) {
		u := r.begin("/"+r.bucket()+"/k", "x-amz-checksum-algorithm", "CRC32")
		r.told(u.part(1, sample), "x-amz-checksum-crc32", sampleCRC32)
	})
	s.row("11.16", "completing without the parts' checksums", func(r *row) {
		b := r.bucket()
		u := r.begin("/"+b+"/k", "x-amz-checksum-algorithm", "CRC32")
		u.part(1, sample)
		r.err(u.complete(400), 400, "InvalidRequest", "The upload was created using a crc32 checksum. The complete request must include the checksum for each part. It was missing for part 1 in the request.")
		u = r.begin("/"+b+"/k", "x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-type", "FULL_OBJECT")
		u.part(1, sample)
		u.complete(200)
	})
	s.row("11.17", "completing with a wrong checksum of a part, or another algorithm's", func(r *row) {
		u := r.begin("/"+r.bucket()+"/k", "x-amz-checksum-algorithm", "CRC32")
		u.part(1, sample)
		one := func(sum string) string {
			return completion("<Part><PartNumber>1</PartNumber><ETag>" + u.parts[0] + "</ETag>" + sum + "</Part>")
		}
		r.err(r.do("POST", u.target, one("<ChecksumCRC32>AAAAAA==</ChecksumCRC32>")), 400, "InvalidPart", "", "PartNumber=1")
		r.err(r.do("POST", u.target, one("<ChecksumSHA256>"+sampleSHA+"</ChecksumSHA256>")), 400, "BadDigest", "The sha256 you specified for part 1 did not match what we received.")
	})
	s.row("11.18", "completing with another type", func(r *row) {
		b := r.bucket()
		for kind, other := range map[string]string{"FULL_OBJECT": "COMPOSITE", "": "COMPOSITE"} {
			var headers []string
			named := "null"
			if kind != "" {
				headers, named = []string{"x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-type", kind}, kind
			}
			u := r.begin("/"+b+"/k", headers...)
			u.part(1, sample)
			r.err(u.complete(400, "x-amz-checksum-type", other), 400, "InvalidRequest",
				"The upload was created using the "+named+" checksum mode. The complete request must use the same checksum mode.")
		}
	})
	s.row("11.19", "completing with a wrong checksum of the object", func(r *row) {
		u := r.begin("/"+r.bucket()+"/k", "x-amz-checksum-algorithm", "CRC32C", "x-amz-checksum-type", "FULL_OBJECT")
		u.part(1, sample)
		r.err(u.complete(400, "x-amz-checksum-crc32c", "AAAAAA==", "x-amz-checksum-type", "FULL_OBJECT"), 400, "BadDigest", "The crc32c you specified did not match the calculated checksum.")
	})
	s.row("11.20", "how a composite checksum is told", func(r *row) {
		b := r.bucket()
		for kind, listed := range map[string]int{"COMPOSITE": 2, "FULL_OBJECT": 0} {
			u := r.begin("/"+b+"/k", "x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-type", kind)
			u.part(1, sample)
			u.part(2, "more")
			r.ok(200, r.do("POST", u.target, withCRC32(r, u)))
			told := head(r, "/"+b+"/k").header.Get("x-amz-checksum-crc32")
			a := r.ok(200, r.do("GET", "/"+b+"/k?attributes", "", "x-amz-object-attributes", "Checksum,ObjectParts"))
			r.is("checksum", a.xml("Checksum/ChecksumCRC32"), strings.TrimSuffix(told, "-2"))
			if composite := strings.HasSuffix(told, "-2"); composite != (kind == "COMPOSITE") {
				r.Errorf("%s is told as %q", kind, told)
			}
			r.is("parts", a.xml("ObjectParts/TotalPartsCount")+a.xml("ObjectParts/PartsCount"), "2")
			if n := strings.Count(a.body, "<Part>"); n != listed {
				r.Errorf("%s lists %d parts: %s", kind, n, a.body)
			}
		}
	})
}

// withCRC32 lists the parts of an upload with their CRC32.
func withCRC32(r *row, u *upload) string {
	r.Helper()
	var b strings.Builder
	sums := strings.Split(r.ok(200, r.do("GET", u.target, "")).body, "<ChecksumCRC32>")[1:]
	for i, etag := range u.parts {
		sum, _, _ := strings.Cut(sums[i], "<")
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><ChecksumCRC32>%s</ChecksumCRC32></Part>", i+1, etag, sum)
	}
	return completion(b.String())
}
