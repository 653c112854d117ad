// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/test/coffertest"
)

// upload is a multipart upload of a test.
type upload struct {
	*coffertest.Server
	bucket, key, id string
	parts           []types.CompletedPart
}

func begin(s *coffertest.Server, bucket, key string, edit ...func(*s3.CreateMultipartUploadInput)) *upload {
	s.T.Helper()
	in := &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key}
	for _, e := range edit {
		e(in)
	}
	return &upload{Server: s, bucket: bucket, key: key, id: *do(s.T, s.S3.CreateMultipartUpload, in).UploadId}
}

func (u *upload) part(number int32, body string, edit ...func(*s3.UploadPartInput)) *s3.UploadPartOutput {
	u.T.Helper()
	in := &s3.UploadPartInput{Bucket: &u.bucket, Key: &u.key, UploadId: &u.id, PartNumber: &number, Body: strings.NewReader(body)}
	for _, e := range edit {
		e(in)
	}
	out := do(u.T, u.S3.UploadPart, in)
	u.parts = append(u.parts, completed(number, out))
	return out
}

// completed is a part as a completion lists it.
func completed(number int32, out *s3.UploadPartOutput) types.CompletedPart {
	return types.CompletedPart{
		PartNumber: &number, ETag: out.ETag, ChecksumSHA256: out.ChecksumSHA256, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC64NVME: out.ChecksumCRC64NVME,
	}
}

// completion returns the request that completes the upload with its parts.
func (u *upload) completion() *s3.CompleteMultipartUploadInput {
	return &s3.CompleteMultipartUploadInput{
		Bucket: &u.bucket, Key: &u.key, UploadId: &u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	}
}

// etagOfParts is the ETag of an object whose parts have those.
func etagOfParts(parts []types.CompletedPart) string {
	h := fips.NewMD5()
	for _, p := range parts {
		b, _ := hex.DecodeString(strings.Trim(*p.ETag, `"`))
		h.Write(b)
	}
	return fmt.Sprintf(`"%x-%d"`, h.Sum(nil), len(parts))
}

func testUploads(t *testing.T, s *coffertest.Server) {
	s.Bucket("uploads", "aws:kms", s.Key(), true)
	s.Versioning("uploads", types.BucketVersioningStatusEnabled)
	s.Put("uploads", "source", "0123456789")
	u := begin(s, "uploads", "big", func(in *s3.CreateMultipartUploadInput) {
		in.Metadata, in.ContentType, in.Tagging = map[string]string{"a": "b"}, aws.String("text/a"), aws.String("t=1")
	})
	fails(t, s.S3.HeadObject, &s3.HeadObjectInput{Bucket: aws.String("uploads"), Key: aws.String("big")}, 404, "NotFound", "")
	// Parts come in any order, with gaps, and again; the last one of a number is it.
	first := u.part(7, "seventh")
	again := u.part(7, "seventh")
	if *first.ETag == *again.ETag || *first.ETag == etagOf("seventh") {
		t.Errorf("ETags %s, %s of equal parts", *first.ETag, *again.ETag)
	}
	u.part(9, "not listed")
	u.parts = nil
	copied := do(t, s.S3.UploadPartCopy, &s3.UploadPartCopyInput{
		Bucket: &u.bucket, Key: &u.key, UploadId: &u.id, PartNumber: aws.Int32(2), CopySource: aws.String("uploads/source"), CopySourceRange: aws.String("bytes=2-6"),
	})
	if copied.CopySourceVersionId == nil || copied.CopyPartResult.LastModified == nil {
		t.Errorf("copied %+v", copied)
	}
	u.parts = []types.CompletedPart{{PartNumber: aws.Int32(2), ETag: copied.CopyPartResult.ETag}}
	u.part(7, "sevens")
	u.part(8, "x") // the last may be small
	out := do(t, s.S3.CompleteMultipartUpload, u.completion())
	if *out.ETag != etagOfParts(u.parts) || *out.Bucket != "uploads" || *out.Key != "big" || len(aws.ToString(out.VersionId)) != 32 ||
		*out.Location != s.URL+"/uploads/big" || out.ChecksumType != types.ChecksumTypeFullObject || aws.ToString(out.ChecksumCRC64NVME) == "" {
		t.Errorf("completed %+v, want ETag %s", out, etagOfParts(u.parts))
	}
	body, got := s.Get("uploads", "big")
	if body != "23456sevensx" || *got.ETag != *out.ETag || got.Metadata["a"] != "b" || *got.ContentType != "text/a" || aws.ToInt32(got.TagCount) != 1 {
		t.Errorf("%q, %+v", body, got)
	}
	for n, want := range []string{"23456", "sevens", "x"} {
		body, got := s.Get("uploads", "big", func(in *s3.GetObjectInput) { in.PartNumber = aws.Int32(int32(n + 1)) })
		if body != want || aws.ToInt32(got.PartsCount) != 3 || !strings.HasSuffix(*got.ContentRange, "/12") {
			t.Errorf("part %d: %q, %+v", n+1, body, got)
		}
	}
	request{method: "GET", target: "/uploads/big?partNumber=4"}.do(s).
		is(refusal{status: 416, code: "InvalidPartNumber", elements: []string{"ActualPartCount=3", "PartNumberRequested=4"}})
	request{method: "GET", target: "/uploads/big?partNumber=1", headers: []string{"Range", "bytes=0-1"}}.do(s).
		is(refusal{status: 400, code: "InvalidRequest", text: "Range header and partNumber"})
	// Who did not get the answer may ask again. The upload is over.
	if again := do(t, s.S3.CompleteMultipartUpload, u.completion()); *again.ETag != *out.ETag || aws.ToString(again.VersionId) != aws.ToString(out.VersionId) {
		t.Errorf("completed again %+v, want %+v", again, out)
	}
	fails(t, s.S3.ListParts, &s3.ListPartsInput{Bucket: &u.bucket, Key: &u.key, UploadId: &u.id}, 404, "NoSuchUpload", "")

	other := begin(s, "uploads", "other")
	other.part(1, "part")
	do(t, s.S3.AbortMultipartUpload, &s3.AbortMultipartUploadInput{Bucket: &other.bucket, Key: &other.key, UploadId: &other.id})
	fails(t, s.S3.AbortMultipartUpload, &s3.AbortMultipartUploadInput{Bucket: &other.bucket, Key: &other.key, UploadId: &other.id}, 404, "NoSuchUpload", "")
	fails(t, s.S3.CompleteMultipartUpload, other.completion(), 404, "NoSuchUpload", "The specified upload does not exist")
}

func testListPartsAndUploads(t *testing.T, s *coffertest.Server) {
	s.Bucket("parts", "", "", false)
	u := begin(s, "parts", "a b/ü", func(in *s3.CreateMultipartUploadInput) {
		in.ChecksumAlgorithm, in.StorageClass = types.ChecksumAlgorithmSha256, types.StorageClassStandardIa
	})
	for n := range int32(5) {
		u.part(10*n+1, strings.Repeat("x", int(n+1)), func(in *s3.UploadPartInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256 })
	}
	var got []string
	p := s3.NewListPartsPaginator(s.S3, &s3.ListPartsInput{Bucket: &u.bucket, Key: &u.key, UploadId: &u.id, MaxParts: aws.Int32(2)})
	for p.HasMorePages() {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range out.Parts {
			got = append(got, fmt.Sprintf("%d:%d", *part.PartNumber, *part.Size))
			if len(aws.ToString(part.ChecksumSHA256)) != 44 || *part.ETag != etagOf(strings.Repeat("x", int(*part.Size))) {
				t.Errorf("part %+v", part)
			}
		}
		got = append(got, "|")
		if *out.Key != u.key || out.StorageClass != types.StorageClassStandardIa || out.ChecksumAlgorithm != types.ChecksumAlgorithmSha256 ||
			out.ChecksumType != types.ChecksumTypeComposite || *out.Owner.ID != *out.Initiator.ID {
			t.Errorf("page %+v", out)
		}
	}
	if text := strings.Join(got, " "); text != "1:1 11:2 | 21:3 31:4 | 41:5 |" {
		t.Errorf("parts %s", text)
	}

	for _, key := range []string{"a b/1", "c", "a b/1", "d/1", "d/2", "e+f"} {
		begin(s, "parts", key)
	}
	pages := func(in *s3.ListMultipartUploadsInput) string {
		t.Helper()
		in.Bucket = aws.String("parts")
		var text []string
		for range 20 {
			out := do(t, s.S3.ListMultipartUploads, in)
			for _, u := range out.Uploads {
				text = append(text, *u.Key)
			}
			for _, p := range out.CommonPrefixes {
				text = append(text, "("+*p.Prefix+")")
			}
			if !*out.IsTruncated {
				return strings.Join(text, " ")
			}
			text = append(text, "|")
			in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
			if out.EncodingType != "" {
				in.KeyMarker = aws.String(strings.ReplaceAll(strings.ReplaceAll(*out.NextKeyMarker, "%2F", "/"), "+", " "))
			}
		}
		return "no end"
	}
	for _, c := range []struct {
		in   s3.ListMultipartUploadsInput
		want string
	}{
		{s3.ListMultipartUploadsInput{}, "a b/1 a b/1 a b/ü c d/1 d/2 e+f"},
		{s3.ListMultipartUploadsInput{MaxUploads: aws.Int32(1)}, "a b/1 | a b/1 | a b/ü | c | d/1 | d/2 | e+f"},
		{s3.ListMultipartUploadsInput{MaxUploads: aws.Int32(3)}, "a b/1 a b/1 a b/ü | c d/1 d/2 | e+f"},
		{s3.ListMultipartUploadsInput{Prefix: aws.String("d/")}, "d/1 d/2"},
		{s3.ListMultipartUploadsInput{Delimiter: aws.String("/")}, "c e+f (a b/) (d/)"},
		{s3.ListMultipartUploadsInput{Delimiter: aws.String("/"), MaxUploads: aws.Int32(1)}, "(a b/) | c | (d/) | e+f"},
		{s3.ListMultipartUploadsInput{KeyMarker: aws.String("c")}, "d/1 d/2 e+f"},
		{s3.ListMultipartUploadsInput{EncodingType: types.EncodingTypeUrl, MaxUploads: aws.Int32(2)}, "a+b/1 a+b/1 | a+b/%C3%BC c | d/1 d/2 | e%2Bf"},
	} {
		if got := pages(&c.in); got != c.want {
			t.Errorf("uploads %q, want %q", got, c.want)
		}
	}
	out := do(t, s.S3.ListMultipartUploads, &s3.ListMultipartUploadsInput{Bucket: aws.String("parts"), Prefix: &u.key})
	if len(out.Uploads) != 1 || *out.Uploads[0].UploadId != u.id || out.Uploads[0].StorageClass != types.StorageClassStandardIa || out.Uploads[0].ChecksumType != types.ChecksumTypeComposite {
		t.Errorf("upload %+v", out.Uploads)
	}
}

// testChecksumsOfUploads: those of the parts make that of the object, in the way
// that the upload began with.
func testChecksumsOfUploads(t *testing.T, s *coffertest.Server) {
	s.Bucket("upload-checksums", "aws:kms", "", true)
	sha := func(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256 }
	crc := func(in *s3.CreateMultipartUploadInput) {
		in.ChecksumAlgorithm, in.ChecksumType = types.ChecksumAlgorithmCrc32, types.ChecksumTypeFullObject
	}
	u := begin(s, "upload-checksums", "composite", sha)
	u.part(1, "1234")
	u.part(2, "56789")
	if u.parts[0].ChecksumSHA256 == nil {
		t.Error("the server does not compute the checksum of a part")
	}
	bare := u.completion()
	bare.MultipartUpload = &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: u.parts[0].ETag}}}
	fails(t, s.S3.CompleteMultipartUpload, bare, 400, "InvalidRequest", "The upload was created using a sha256 checksum. The complete request must include the checksum for each part. It was missing for part 1 in the request.")
	fails(t, s.S3.UploadPart, &s3.UploadPartInput{
		Bucket: &u.bucket, Key: &u.key, UploadId: &u.id, PartNumber: aws.Int32(1), Body: strings.NewReader("x"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	}, 400, "InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: crc32")
	other := u.completion()
	other.ChecksumType = types.ChecksumTypeFullObject
	fails(t, s.S3.CompleteMultipartUpload, other, 400, "InvalidRequest", "The upload was created using the COMPOSITE checksum mode.")
	out := do(t, s.S3.CompleteMultipartUpload, u.completion())
	if out.ChecksumType != types.ChecksumTypeComposite || !strings.HasSuffix(*out.ChecksumSHA256, "-2") {
		t.Errorf("composite: %+v", out)
	}
	enabled := func(in *s3.GetObjectInput) { in.ChecksumMode = types.ChecksumModeEnabled }
	if _, got := s.Get("upload-checksums", "composite", enabled); aws.ToString(got.ChecksumSHA256) != *out.ChecksumSHA256 || got.ChecksumType != types.ChecksumTypeComposite {
		t.Errorf("composite is told as %+v", got)
	}
	if _, got := s.Get("upload-checksums", "composite", enabled, func(in *s3.GetObjectInput) { in.PartNumber = aws.Int32(2) }); aws.ToString(got.ChecksumSHA256) != *u.parts[1].ChecksumSHA256 {
		t.Errorf("part 2 is told as %+v", got)
	}
	// A copy is one whole.
	c := do(t, s.S3.CopyObject, &s3.CopyObjectInput{Bucket: aws.String("upload-checksums"), Key: aws.String("copy"), CopySource: aws.String("upload-checksums/composite")})
	if r := c.CopyObjectResult; r.ChecksumType != types.ChecksumTypeFullObject || *r.ChecksumSHA256 != "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=" || strings.Contains(*r.ETag, "-") {
		t.Errorf("copy: %+v", r)
	}

	u = begin(s, "upload-checksums", "whole", crc)
	u.part(1, "1234")
	u.part(2, "56789")
	wrong := u.completion()
	wrong.ChecksumCRC32 = aws.String("AAAAAA==")
	fails(t, s.S3.CompleteMultipartUpload, wrong, 400, "BadDigest", "The crc32 you specified did not match the calculated checksum.")
	in := u.completion()
	in.ChecksumCRC32, in.ChecksumType, in.MpuObjectSize = aws.String("y/Q5Jg=="), types.ChecksumTypeFullObject, aws.Int64(9)
	if out := do(t, s.S3.CompleteMultipartUpload, in); aws.ToString(out.ChecksumCRC32) != "y/Q5Jg==" || out.ChecksumType != types.ChecksumTypeFullObject {
		t.Errorf("whole: %+v", out)
	}
	create := func(status int, code, text string, headers ...string) {
		t.Helper()
		request{method: "POST", target: "/upload-checksums/x?uploads", headers: headers}.do(s).is(refusal{status: status, code: code, text: text})
	}
	create(400, "InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5, XXHASH64, XXHASH3, XXHASH128]", "X-Amz-Checksum-Algorithm", "CRC16")
	create(400, "InvalidRequest", "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.", "X-Amz-Checksum-Type", "COMPOSITE")
	create(400, "InvalidRequest", "The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm.", "X-Amz-Checksum-Type", "COMPOSITE", "X-Amz-Checksum-Algorithm", "CRC64NVME")
	create(400, "InvalidRequest", "The FULL_OBJECT checksum type cannot be used with the sha1 checksum algorithm.", "X-Amz-Checksum-Type", "FULL_OBJECT", "X-Amz-Checksum-Algorithm", "SHA1")
}

// testUploadsThatAreRefused: errors of parts and of completions, with S3's own
// least size of a part.
func testUploadsThatAreRefused(t *testing.T, s *coffertest.Server) {
	s.Bucket("bad-uploads", "", "", false)
	s.Put("bad-uploads", "source", "0123456789")
	u := begin(s, "bad-uploads", "k")
	u.part(1, "1234")
	u.part(2, "5678")
	complete := func(parts string) request {
		return request{method: "POST", target: "/bad-uploads/k?uploadId=" + u.id, body: "<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>"}
	}
	listed := func(number int, etag string) string {
		return fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", number, etag)
	}
	one, two := *u.parts[0].ETag, *u.parts[1].ETag
	bare := strings.Trim(one, `"`)
	partCopy := func(source string) request {
		return request{method: "PUT", target: "/bad-uploads/k?partNumber=3&uploadId=" + u.id, headers: []string{"X-Amz-Copy-Source", "bad-uploads/source", "X-Amz-Copy-Source-Range", source}}
	}
	number := func(n string) refusal {
		return refusal{"part number " + n, request{method: "PUT", target: "/bad-uploads/k?partNumber=" + n + "&uploadId=" + u.id, body: "x"}, 400, "InvalidArgument",
			"Part number must be an integer between 1 and 10000, inclusive", []string{"ArgumentName=partNumber", "ArgumentValue=" + n}}
	}
	missing := func(method, target string) refusal {
		return refusal{method + " " + target, request{method: method, target: target, body: map[string]string{"POST": complete(listed(1, one)).body}[method]}, 404, "NoSuchUpload", "The specified upload does not exist", []string{"UploadId"}}
	}
	bad := []string{"ArgumentName=x-amz-copy-source-range", "ArgumentValue"}
	sized := complete(listed(1, one))
	sized.headers = []string{"X-Amz-Mp-Object-Size", "5"}
	refuse(t, s, []refusal{
		number("0"), number("-1"), number("10001"), number("x"), number(""),
		missing("PUT", "/bad-uploads/k?partNumber=1&uploadId=nonsense"),
		missing("PUT", "/bad-uploads/other?partNumber=1&uploadId="+u.id),
		missing("POST", "/bad-uploads/other?uploadId="+u.id),
		missing("DELETE", "/bad-uploads/other?uploadId="+u.id),
		missing("GET", "/bad-uploads/other?uploadId="+u.id),
		{"no part number", request{method: "PUT", target: "/bad-uploads/k?uploadId=" + u.id, body: "x"}, 400, "InvalidArgument", "", []string{"ArgumentName=partNumber", "ArgumentValue"}},
		{"no upload id", request{method: "PUT", target: "/bad-uploads/k?partNumber=1", body: "x"}, 400, "InvalidArgument", "partNumber without uploadId", []string{"ArgumentName=partNumber", "ArgumentValue=1"}},
		{"encryption of a part", request{method: "PUT", target: "/bad-uploads/k?partNumber=1&uploadId=" + u.id, body: "x", headers: []string{"X-Amz-Server-Side-Encryption", "AES256"}}, 400, "InvalidArgument",
			"x-amz-server-side-encryption header is not supported for this operation.", []string{"ArgumentName=x-amz-server-side-encryption", "ArgumentValue=AES256"}},

		{"no document", request{method: "POST", target: "/bad-uploads/k?uploadId=" + u.id}, 400, "InvalidRequest", "You must specify at least one part", nil},
		{"no parts", complete(""), 400, "MalformedXML", "well-formed", nil},
		{"no document to read", request{method: "POST", target: "/bad-uploads/k?uploadId=" + u.id, body: "<CompleteMultipartUpload><Part>"}, 400, "MalformedXML", "well-formed", nil},
		{"a part without ETag", complete("<Part><PartNumber>1</PartNumber></Part>"), 400, "MalformedXML", "well-formed", nil},
		{"parts out of order", complete(listed(2, two) + listed(1, one)), 400, "InvalidPartOrder", "ascending order", []string{"UploadId=" + u.id}},
		{"a part twice", complete(listed(1, one) + listed(1, one)), 400, "InvalidPartOrder", "ascending order", []string{"UploadId=" + u.id}},
		{"another ETag", complete(listed(1, two)), 400, "InvalidPart", "could not be found", []string{"UploadId=" + u.id, "PartNumber=1", "ETag=" + strings.Trim(two, `"`)}},
		{"a part that is not there", complete(listed(3, one)), 400, "InvalidPart", "could not be found", []string{"UploadId=" + u.id, "PartNumber=3", "ETag=" + bare}},
		{"a part number beyond", complete(listed(10001, one)), 400, "InvalidArgument", "Part number must be", []string{"ArgumentName=PartNumber", "ArgumentValue=10001"}},
		{"a small part", complete(listed(1, one) + listed(2, two)), 400, "EntityTooSmall", "smaller than the minimum", []string{"ETag=" + bare, "MinSizeAllowed=5242880", "PartNumber=1", "ProposedSize=4"}},
		{"another size", sized, 400, "InvalidRequest", "The provided 'x-amz-mp-object-size' header value 5 does not match what was computed: 4", nil},

		{"a range without unit", partCopy("0-1"), 400, "InvalidArgument", "must be of the form bytes=first-last", bad},
		{"an open range", partCopy("bytes=1-"), 400, "InvalidArgument", "must be of the form bytes=first-last", bad},
		{"a suffix", partCopy("bytes=-1"), 400, "InvalidArgument", "must be of the form bytes=first-last", bad},
		{"a range backwards", partCopy("bytes=2-1"), 400, "InvalidArgument", "must be of the form bytes=first-last", bad},
		{"a range that ends beyond", partCopy("bytes=5-10"), 400, "InvalidArgument", "Range specified is not valid for source object of size: 10", bad},
		{"a range that begins beyond", partCopy("bytes=10-11"), 400, "InvalidRequest", "", nil},

		{"parts from behind any", request{method: "GET", target: "/bad-uploads/k?part-number-marker=x&uploadId=" + u.id}, 400, "InvalidArgument", "not an integer", []string{"ArgumentName=part-number-marker", "ArgumentValue=x"}},
		{"fewer parts than none", request{method: "GET", target: "/bad-uploads/k?max-parts=-1&uploadId=" + u.id}, 400, "InvalidArgument", "must be an integer between 0 and", []string{"ArgumentName=max-parts", "ArgumentValue=-1"}},
		{"an encoding of uploads", request{method: "GET", target: "/bad-uploads?uploads&encoding-type=base64"}, 400, "InvalidArgument", "Invalid Encoding Method specified in Request", []string{"ArgumentName=encoding-type", "ArgumentValue=base64"}},
		{"a marker that is no upload", request{method: "GET", target: "/bad-uploads?uploads&key-marker=k&upload-id-marker=x"}, 400, "InvalidArgument", "Invalid uploadId marker", []string{"ArgumentName=upload-id-marker", "ArgumentValue=x"}},
		{"too many uploads", request{method: "GET", target: "/bad-uploads?uploads&max-uploads=x"}, 400, "InvalidArgument", "not an integer", []string{"ArgumentName=max-uploads", "ArgumentValue=x"}},
	})
	// A condition that was decided by another write since the upload began.
	s.Put("bad-uploads", "k", "between")
	in := u.completion()
	in.MultipartUpload.Parts, in.IfMatch = u.parts[:1], aws.String(etagOf("between"))
	fails(t, s.S3.CompleteMultipartUpload, in, 409, "ConditionalRequestConflict", "conflicting operation")
	in.IfMatch, in.IfNoneMatch = nil, aws.String("*")
	fails(t, s.S3.CompleteMultipartUpload, in, 412, "PreconditionFailed", "")
	if body, _ := s.Get("bad-uploads", "k"); body != "between" {
		t.Errorf("refused completions left %q", body)
	}
	in.IfNoneMatch = nil
	do(t, s.S3.CompleteMultipartUpload, in)
	if body, _ := s.Get("bad-uploads", "k"); body != "1234" {
		t.Errorf("completed as %q", body)
	}
}
