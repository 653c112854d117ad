// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"maps"
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// testCopyDirectives: metadata and tags are the source's unless they are to be
// replaced; encryption never is the source's.
func testCopyDirectives(t *testing.T, s *coffertest.Server) {
	s.Bucket("from", "aws:kms", "", true)
	s.Bucket("target", "", "", false)
	s.Put("from", "k +ä/1", "hello", func(in *s3.PutObjectInput) {
		in.Metadata, in.ContentType, in.Tagging = map[string]string{"colour": "green"}, aws.String("text/a"), aws.String("a=1&b=2")
		in.ChecksumAlgorithm, in.StorageClass = types.ChecksumAlgorithmSha256, types.StorageClassStandardIa
	})
	source := aws.String("/from/" + url.QueryEscape("k +ä/1"))
	get := func(key string) *s3.GetObjectOutput {
		body, out := s.Get("target", key, func(in *s3.GetObjectInput) { in.ChecksumMode = types.ChecksumModeEnabled })
		if body != "hello" || *out.ETag != etagOf("hello") || out.ServerSideEncryption != "AES256" || aws.ToString(out.ChecksumSHA256) == "" {
			t.Errorf("%s: %q, %+v", key, body, out)
		}
		return out
	}
	out := do(t, s.S3.CopyObject, &s3.CopyObjectInput{
		Bucket: aws.String("target"), Key: aws.String("kept"), CopySource: source,
		Metadata: map[string]string{"ignored": "yes"}, ContentType: aws.String("text/ignored"),
	})
	got := get("kept")
	if !maps.Equal(got.Metadata, map[string]string{"colour": "green"}) || *got.ContentType != "text/a" || aws.ToInt32(got.TagCount) != 2 || got.StorageClass != "" {
		t.Errorf("kept %+v", got)
	}
	if *out.CopyObjectResult.ETag != *got.ETag || !out.CopyObjectResult.LastModified.Equal(*got.LastModified) || *out.CopyObjectResult.ChecksumSHA256 != *got.ChecksumSHA256 {
		t.Errorf("the answer is %+v, the object %+v", out.CopyObjectResult, got)
	}
	do(t, s.S3.CopyObject, &s3.CopyObjectInput{
		Bucket: aws.String("target"), Key: aws.String("replaced"), CopySource: source,
		MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"shape": "round"}, ContentType: aws.String("text/b"),
		TaggingDirective: types.TaggingDirectiveReplace, Tagging: aws.String("c=3"), StorageClass: types.StorageClassOnezoneIa,
	})
	got = get("replaced")
	if !maps.Equal(got.Metadata, map[string]string{"shape": "round"}) || *got.ContentType != "text/b" || aws.ToInt32(got.TagCount) != 1 || got.StorageClass != types.StorageClassOnezoneIa {
		t.Errorf("replaced by %+v", got)
	}
	do(t, s.S3.CopyObject, &s3.CopyObjectInput{
		Bucket: aws.String("target"), Key: aws.String("replaced"), CopySource: source, MetadataDirective: types.MetadataDirectiveReplace,
		TaggingDirective: types.TaggingDirectiveReplace,
	})
	if got = get("replaced"); len(got.Metadata) != 0 || got.TagCount != nil || got.ContentType == nil || *got.ContentType == "text/a" {
		t.Errorf("replaced by nothing: %+v", got)
	}
}

// testCopyInPlace: an object is copied onto itself only if that changes something.
func testCopyInPlace(t *testing.T, s *coffertest.Server) {
	s.Bucket("in-place-plain", "", "", false)
	s.Bucket("explicit", "AES256", "", false)
	key := s.Key()
	sseKMS := func(in *s3.PutObjectInput) {
		in.ServerSideEncryption, in.SSEKMSKeyId, in.BucketKeyEnabled = types.ServerSideEncryptionAwsKms, &key, aws.Bool(true)
	}
	const illegal = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
	for _, c := range []struct {
		name, bucket string
		put          func(*s3.PutObjectInput)
		copy         func(*s3.CopyObjectInput)
		refused      bool
		want         applied
	}{
		{"nothing changes", "in-place-plain", nil, nil, true, applied{}},
		{"only an ACL", "in-place-plain", nil, func(in *s3.CopyObjectInput) { in.ACL = types.ObjectCannedACLPrivate }, true, applied{}},
		{"the storage class it has", "in-place-plain", nil, func(in *s3.CopyObjectInput) { in.StorageClass = types.StorageClassStandard }, false, applied{sse: "AES256"}},
		{"metadata replaced", "in-place-plain", nil, func(in *s3.CopyObjectInput) { in.MetadataDirective = types.MetadataDirectiveReplace }, false, applied{sse: "AES256"}},
		{"a redirect", "in-place-plain", nil, func(in *s3.CopyObjectInput) { in.WebsiteRedirectLocation = aws.String("/x") }, false, applied{sse: "AES256"}},
		{"the encryption it has, in words", "in-place-plain", nil, func(in *s3.CopyObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAes256 }, false, applied{sse: "AES256"}},
		{"a bucket whose encryption was put", "explicit", nil, nil, false, applied{sse: "AES256"}},
		{"SSE-KMS becomes the default", "in-place-plain", sseKMS, nil, false, applied{sse: "AES256"}},
		{"neither key nor bucket key are inherited", "in-place-plain", sseKMS, func(in *s3.CopyObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAwsKms }, false, applied{"aws:kms", "managed", false}},
		{"a bucket key for an old object", "in-place-plain", nil, func(in *s3.CopyObjectInput) {
			in.ServerSideEncryption, in.SSEKMSKeyId, in.BucketKeyEnabled = types.ServerSideEncryptionAwsKms, &key, aws.Bool(true)
		}, false, applied{"aws:kms", key, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var edit []func(*s3.PutObjectInput)
			if c.put != nil {
				edit = append(edit, c.put)
			}
			s.Put(c.bucket, "k", "hello", edit...)
			in := &s3.CopyObjectInput{Bucket: &c.bucket, Key: aws.String("k"), CopySource: aws.String(c.bucket + "/k")}
			if c.copy != nil {
				c.copy(in)
			}
			if c.refused {
				fails(t, s.S3.CopyObject, in, 400, "InvalidRequest", illegal)
				return
			}
			out := do(t, s.S3.CopyObject, in)
			if c.want.key == "managed" {
				c.want.key = managed(s)
			}
			if got := of(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled); got != c.want {
				t.Errorf("answer %v, want %v", got, c.want)
			}
			body, got := s.Get(c.bucket, "k")
			if a := of(got.ServerSideEncryption, got.SSEKMSKeyId, got.BucketKeyEnabled); a != c.want || body != "hello" || *got.ETag != *out.CopyObjectResult.ETag {
				t.Errorf("object %v reads %q", a, body)
			}
		})
	}
}

// testCopyOfVersions: which version is copied, and which cannot be.
func testCopyOfVersions(t *testing.T, s *coffertest.Server) {
	s.Bucket("copied-versions", "aws:kms", s.Key(), true)
	s.Put("copied-versions", "k", "null")
	s.Versioning("copied-versions", types.BucketVersioningStatusEnabled)
	first := s.Put("copied-versions", "k", "first")
	s.Put("copied-versions", "k", "second")
	copyOf := func(source string) (string, *s3.CopyObjectOutput) {
		t.Helper()
		out := do(t, s.S3.CopyObject, &s3.CopyObjectInput{Bucket: aws.String("copied-versions"), Key: aws.String("copy"), CopySource: &source})
		body, _ := s.Get("copied-versions", "copy", func(in *s3.GetObjectInput) { in.VersionId = out.VersionId })
		return body, out
	}
	if body, out := copyOf("copied-versions/k"); body != "second" || out.CopySourceVersionId == nil {
		t.Errorf("current: %q, %+v", body, out)
	}
	if body, out := copyOf("copied-versions/k?versionId=" + *first.VersionId); body != "first" || aws.ToString(out.CopySourceVersionId) != *first.VersionId {
		t.Errorf("first: %q, %+v", body, out)
	}
	if body, out := copyOf("copied-versions/k?versionId=null"); body != "null" || out.CopySourceVersionId != nil {
		t.Errorf("null: %q, %+v", body, out)
	}
	// A version put back becomes the newest.
	in := &s3.CopyObjectInput{Bucket: aws.String("copied-versions"), Key: aws.String("k"), CopySource: aws.String("copied-versions/k?versionId=" + *first.VersionId)}
	do(t, s.S3.CopyObject, in)
	if body, _ := s.Get("copied-versions", "k"); body != "first" {
		t.Errorf("put back: %q", body)
	}
	marker := do(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: aws.String("copied-versions"), Key: aws.String("k")})
	up := do(t, s.S3.CreateMultipartUpload, &s3.CreateMultipartUploadInput{Bucket: aws.String("copied-versions"), Key: aws.String("m")})
	part := "PUT /copied-versions/m?partNumber=1&uploadId=" + *up.UploadId
	unknown := (*first.VersionId)[:31] + "_"
	if unknown == *first.VersionId {
		unknown = unknown[:31] + "."
	}
	cases := []struct {
		source     string
		status     int
		code, text string
		elements   []string
	}{
		{"copied-versions/k", 404, "NoSuchKey", "", []string{"Key=k"}},
		{"copied-versions/k?versionId=" + *marker.VersionId, 400, "InvalidRequest", "The source of a copy request may not specifically refer to a delete marker by version id.", nil},
		{"copied-versions/k?versionId=" + unknown, 404, "NoSuchVersion", "", []string{"Key=k", "VersionId"}},
		{"copied-versions/k?versionId=x", 400, "InvalidArgument", "Invalid version id specified", []string{"ArgumentName=versionId", "ArgumentValue=x"}},
		{"copied-versions/k?versionId=", 400, "InvalidArgument", "Version id cannot be the empty string", []string{"ArgumentName=x-amz-copy-source", "ArgumentValue"}},
		{"copied-versions/k?x=1", 400, "InvalidArgument", "Unsupported copy source parameter.", []string{"ArgumentName=x-amz-copy-source", "ArgumentValue"}},
		{"copied-versions/missing", 404, "NoSuchKey", "", []string{"Key=missing"}},
		{"nobody/k", 404, "NoSuchBucket", "", []string{"BucketName=nobody"}},
		{"copied-versions", 400, "InvalidArgument", "Invalid copy source object key", []string{"ArgumentName=x-amz-copy-source", "ArgumentValue=x-amz-copy-source"}},
		{"copied-versions/", 400, "InvalidArgument", "Invalid copy source object key", []string{"ArgumentName=x-amz-copy-source", "ArgumentValue=x-amz-copy-source"}},
		{"copied-versions/%zz", 400, "InvalidArgument", "Invalid copy source encoding.", []string{"ArgumentName=x-amz-copy-source", "ArgumentValue"}},
		{"V/k", 400, "InvalidArgument", "Invalid copy source bucket name", []string{"ArgumentName=x-amz-copy-source", "ArgumentValue"}},
	}
	for _, c := range cases {
		for _, to := range []string{"PUT /copied-versions/refused", part} {
			(request{method: "PUT", target: to[len("PUT "):], headers: []string{"X-Amz-Copy-Source", c.source}}).do(s).
				is(refusal{name: c.source, status: c.status, code: c.code, text: c.text, elements: c.elements})
		}
	}
	fails(t, s.S3.HeadObject, &s3.HeadObjectInput{Bucket: aws.String("copied-versions"), Key: aws.String("refused")}, 404, "NotFound", "")
}

func testCopyConditions(t *testing.T, s *coffertest.Server) {
	s.Bucket("copy-conditions", "", "", false)
	etag := *s.Put("copy-conditions", "k", "hello").ETag
	before, after := "Mon, 03 Jan 2022 00:00:00 GMT", "Thu, 03 Jan 2041 00:00:00 GMT"
	for _, c := range []struct {
		headers []string
		failed  string
	}{
		{[]string{"If-Match", etag}, ""},
		{[]string{"If-Match", `"x"`}, "If-Match"},
		{[]string{"If-None-Match", `"x"`}, ""},
		{[]string{"If-None-Match", etag}, "If-None-Match"},
		{[]string{"If-Modified-Since", before}, ""},
		{[]string{"If-Modified-Since", after}, ""}, // a time to come says nothing
		{[]string{"If-Unmodified-Since", after}, ""},
		{[]string{"If-Unmodified-Since", before}, "If-Unmodified-Since"},
		{[]string{"If-Match", etag, "If-Unmodified-Since", before}, ""},
		{[]string{"If-None-Match", etag, "If-Modified-Since", before}, "If-None-Match"},
	} {
		headers := []string{"X-Amz-Copy-Source", "copy-conditions/k"}
		for i := 0; i < len(c.headers); i += 2 {
			headers = append(headers, "X-Amz-Copy-Source-"+c.headers[i], c.headers[i+1])
		}
		a := request{method: "PUT", target: "/copy-conditions/copy", headers: headers}.do(s)
		if c.failed != "" {
			a.is(refusal{status: 412, code: "PreconditionFailed", elements: []string{"Condition=x-amz-copy-source-" + c.failed}})
		} else if a.status != 200 {
			t.Errorf("%v: %d %s", c.headers, a.status, a.body)
		}
	}
	// Conditions on the target are another matter.
	fails(t, s.S3.CopyObject, &s3.CopyObjectInput{
		Bucket: aws.String("copy-conditions"), Key: aws.String("copy"), CopySource: aws.String("copy-conditions/k"), IfNoneMatch: aws.String("*"),
	}, 412, "PreconditionFailed", "")
}
