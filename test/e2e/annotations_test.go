// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// testAnnotations: what SDKs put to a version they read and list, its copy has it, and it goes
// with them.
func testAnnotations(t *testing.T, s *coffertest.Server) {
	key := s.Key()
	s.Bucket("annotated", "aws:kms", key, true)
	b, k := aws.String("annotated"), aws.String("k")
	s.Versioning("annotated", types.BucketVersioningStatusEnabled)
	first := s.Put("annotated", "k", "x")
	put := func(name, text string, edit ...func(*s3.PutObjectAnnotationInput)) *s3.PutObjectAnnotationOutput {
		in := &s3.PutObjectAnnotationInput{Bucket: b, Key: k, AnnotationName: &name, AnnotationPayload: strings.NewReader(text)}
		for _, f := range edit {
			f(in)
		}
		return do(t, s.S3.PutObjectAnnotation, in)
	}
	read := func(bucket, version *string, name, text string) *s3.GetObjectAnnotationOutput {
		out := do(t, s.S3.GetObjectAnnotation, &s3.GetObjectAnnotationInput{Bucket: bucket, Key: k, VersionId: version, AnnotationName: &name, ChecksumMode: types.ChecksumModeEnabled})
		defer out.AnnotationPayload.Close()
		got, err := io.ReadAll(out.AnnotationPayload)
		if string(got) != text || err != nil {
			t.Errorf("%s: %.30q, %v", name, got, err)
		}
		return out
	}
	long := strings.Repeat("[0.25]", 1<<20/6)
	out := put("labels", "cat")
	if aws.ToString(out.AnnotationName) != "labels" || aws.ToString(out.Key) != "k" || aws.ToString(out.ObjectVersionId) != *first.VersionId || out.ServerSideEncryption != types.ServerSideEncryptionAwsKms || out.ETag == nil {
		t.Errorf("put: %+v", out)
	}
	put("embedding", long, func(in *s3.PutObjectAnnotationInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256 })
	put("note", "of this ETag", func(in *s3.PutObjectAnnotationInput) { in.ObjectIfMatch = first.ETag })
	if got := read(b, nil, "embedding", long); got.ChecksumSHA256 == nil || got.ChecksumType != types.ChecksumTypeFullObject || got.ETag == nil || got.LastModified == nil {
		t.Errorf("get: %+v", got)
	}
	head := do(t, s.S3.HeadObject, &s3.HeadObjectInput{Bucket: b, Key: k})
	if *head.ETag != *first.ETag || *head.VersionId != *first.VersionId {
		t.Error("the object is another one")
	}
	var names []string
	pages := s3.NewListObjectAnnotationsPaginator(s.S3, &s3.ListObjectAnnotationsInput{Bucket: b, Key: k, MaxAnnotationResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Annotations {
			names = append(names, *e.AnnotationName)
			if e.LastModified == nil || len(e.ChecksumAlgorithm) != 1 || e.ETag == nil || *e.Size == 0 {
				t.Errorf("listed: %+v", e)
			}
		}
	}
	if got := strings.Join(names, " "); got != "embedding labels note" {
		t.Errorf("listed: %s", got)
	}

	s.Put("annotated", "k", "another")
	fails(t, s.S3.GetObjectAnnotation, &s3.GetObjectAnnotationInput{Bucket: b, Key: k, AnnotationName: aws.String("labels")}, 404, "NoSuchAnnotation", "")
	read(b, first.VersionId, "labels", "cat")
	fails(t, s.S3.PutObjectAnnotation, &s3.PutObjectAnnotationInput{Bucket: b, Key: k, ObjectIfMatch: first.ETag, AnnotationName: aws.String("a"), AnnotationPayload: strings.NewReader("text")}, 412, "PreconditionFailed", "")
	fails(t, s.S3.PutObjectAnnotation, &s3.PutObjectAnnotationInput{Bucket: b, Key: k, AnnotationName: aws.String("a"), AnnotationPayload: strings.NewReader("\xff")}, 415, "UnsupportedMediaType", "")

	s.Bucket("annotated-too", "", "", false)
	too := aws.String("annotated-too")
	do(t, s.S3.CopyObject, &s3.CopyObjectInput{Bucket: too, Key: k, CopySource: aws.String("annotated/k?versionId=" + *first.VersionId)})
	if got := read(too, nil, "embedding", long); got.ServerSideEncryption != types.ServerSideEncryptionAes256 || got.ChecksumSHA256 == nil {
		t.Errorf("of the copy: %+v", got)
	}
	do(t, s.S3.CopyObject, &s3.CopyObjectInput{Bucket: too, Key: aws.String("bare"), AnnotationDirective: types.AnnotationDirectiveExclude, CopySource: aws.String("annotated-too/k")})
	if l := do(t, s.S3.ListObjectAnnotations, &s3.ListObjectAnnotationsInput{Bucket: too, Key: aws.String("bare")}); aws.ToInt32(l.AnnotationCount) != 0 {
		t.Errorf("a copy that excludes them: %+v", l.Annotations)
	}
	gone := do(t, s.S3.DeleteObjectAnnotation, &s3.DeleteObjectAnnotationInput{Bucket: b, Key: k, VersionId: first.VersionId, AnnotationName: aws.String("labels")})
	if aws.ToString(gone.ObjectVersionId) != *first.VersionId {
		t.Errorf("deleted: %+v", gone)
	}
	fails(t, s.S3.GetObjectAnnotation, &s3.GetObjectAnnotationInput{Bucket: b, Key: k, VersionId: first.VersionId, AnnotationName: aws.String("labels")}, 404, "NoSuchAnnotation", "")
	s.DisableKey(key)
	fails(t, s.S3.GetObjectAnnotation, &s3.GetObjectAnnotationInput{Bucket: b, Key: k, VersionId: first.VersionId, AnnotationName: aws.String("note")}, 400, "KMS.DisabledException", "")
	read(too, nil, "labels", "cat")
}
