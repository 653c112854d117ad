// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/test/coffertest"
)

var everyAttribute = []types.ObjectAttributes{
	types.ObjectAttributesEtag, types.ObjectAttributesChecksum, types.ObjectAttributesObjectParts,
	types.ObjectAttributesStorageClass, types.ObjectAttributesObjectSize,
}

func (s *stage) attributes(bucket, key string, edit ...func(*s3.GetObjectAttributesInput)) *s3.GetObjectAttributesOutput {
	s.T.Helper()
	in := &s3.GetObjectAttributesInput{Bucket: &bucket, Key: &key, ObjectAttributes: everyAttribute}
	for _, e := range edit {
		e(in)
	}
	out, err := s.S3.GetObjectAttributes(s.T.Context(), in)
	if err != nil {
		s.T.Fatalf("attributes of %s/%s: %v", bucket, key, err)
	}
	return out
}

func TestAttributes(t *testing.T) {
	newStage(t).each(t, shared{"KMS requests", attributesAskTheKMS}, shared{"every encryption", attributesOfObjects}, shared{"wrong requests", attributesThatCannotBeAskedFor})
}

// attributesOfObjects asserts what is told of objects under every encryption: as stored,
// and nothing of the encryption.
func attributesOfObjects(t *testing.T, s *stage) {
	unblock(s.Server, "vault")
	s.Versioning("vault", types.BucketVersioningStatusEnabled)
	c := customerOf(keyA)
	for name, edit := range map[string]func(*s3.PutObjectInput){
		"default":  func(*s3.PutObjectInput) {},
		"SSE-S3":   func(in *s3.PutObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAes256 },
		"two":      func(in *s3.PutObjectInput) { in.ServerSideEncryption = dsse },
		"customer": c.put,
	} {
		put := s.Put("vault", name, "the body", edit, func(in *s3.PutObjectInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256 })
		headers := []string{"x-amz-object-attributes", "ETag,Checksum,ObjectParts,StorageClass,ObjectSize"}
		if name == "customer" {
			headers = with(headers, trioOf(keyA)...)
		}
		a := s.accepts(name, "GET", "/vault/"+name+"?attributes", "", headers...)
		if got := encryptionOf(a.header); len(got) > 0 {
			t.Errorf("%s: shows %v", name, got)
		}
		got := s.attributes("vault", name, func(in *s3.GetObjectAttributesInput) {
			if name == "customer" {
				in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
			}
		})
		if aws.ToString(got.ETag) != strings.Trim(*put.ETag, `"`) || aws.ToInt64(got.ObjectSize) != 8 ||
			got.StorageClass != types.StorageClassStandard || got.ObjectParts != nil ||
			aws.ToString(got.VersionId) != *put.VersionId || got.LastModified == nil || time.Since(*got.LastModified) > time.Minute {
			t.Errorf("%s: %+v", name, got)
		}
		if got.Checksum == nil || aws.ToString(got.Checksum.ChecksumSHA256) != aws.ToString(put.ChecksumSHA256) || got.Checksum.ChecksumType != types.ChecksumTypeFullObject {
			t.Errorf("%s: checksum %+v", name, got.Checksum)
		}
		one := s.attributes("vault", name, func(in *s3.GetObjectAttributesInput) {
			in.ObjectAttributes = []types.ObjectAttributes{types.ObjectAttributesObjectSize}
			if name == "customer" {
				in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
			}
		})
		if one.ETag != nil || one.Checksum != nil || one.StorageClass != "" || aws.ToInt64(one.ObjectSize) != 8 {
			t.Errorf("%s: asked for the size: %+v", name, one)
		}
	}
}

// attributesAskTheKMS: under SSE-KMS the checksum is protected as the data is.
func attributesAskTheKMS(t *testing.T, s *stage) {
	s.Put("vault", "shared", "x")
	s.Put("vault", "own", "x", func(in *s3.PutObjectInput) { in.BucketKeyEnabled = aws.Bool(false) })
	n := len(s.KMSRequests())
	for range 2 {
		s.attributes("vault", "shared")
		s.attributes("vault", "own")
	}
	if got := fmt.Sprint(s.since(n)); got != "[Decrypt arn:aws:s3:::vault Decrypt arn:aws:s3:::vault/own Decrypt arn:aws:s3:::vault/own]" {
		t.Errorf("KMS requests %v", got)
	}
}

// TestAttributesOfParts pages through the parts that have checksums of their own.
func TestAttributesOfParts(t *testing.T) {
	s := &stage{Server: coffertest.Start(t, coffertest.Tune(server.Tuning{Objects: object.Config{MinPart: 1}}))}
	s.Bucket("vault", "aws:kms", s.Key(), true)
	ctx := t.Context()
	upload := func(key string, algorithm types.ChecksumAlgorithm, kind types.ChecksumType) []types.CompletedPart {
		up, err := s.S3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String("vault"), Key: &key, ChecksumAlgorithm: algorithm, ChecksumType: kind})
		if err != nil {
			t.Fatal(err)
		}
		var parts []types.CompletedPart
		for i := range 5 {
			number := aws.Int32(int32(2*i + 1))
			p, err := s.S3.UploadPart(ctx, &s3.UploadPartInput{
				Bucket: up.Bucket, Key: up.Key, UploadId: up.UploadId, PartNumber: number,
				Body: strings.NewReader(strings.Repeat("x", i+1)), ChecksumAlgorithm: algorithm,
			})
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, types.CompletedPart{ETag: p.ETag, PartNumber: number, ChecksumSHA256: p.ChecksumSHA256, ChecksumCRC32: p.ChecksumCRC32})
		}
		_, err = s.S3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: up.Bucket, Key: up.Key, UploadId: up.UploadId, ChecksumType: kind, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		})
		if err != nil {
			t.Fatal(err)
		}
		return parts
	}
	parts := upload("composite", types.ChecksumAlgorithmSha256, types.ChecksumTypeComposite)
	upload("whole", types.ChecksumAlgorithmCrc32, types.ChecksumTypeFullObject)

	var seen []string
	marker := "0"
	for page := 0; ; page++ {
		out := s.attributes("vault", "composite", func(in *s3.GetObjectAttributesInput) { in.MaxParts, in.PartNumberMarker = aws.Int32(2), &marker })
		p := out.ObjectParts
		if aws.ToInt64(out.ObjectSize) != 15 || aws.ToInt32(p.TotalPartsCount) != 5 || aws.ToInt32(p.MaxParts) != 2 || aws.ToString(p.PartNumberMarker) != marker {
			t.Fatalf("page %d: %+v", page, p)
		}
		if out.Checksum.ChecksumType != types.ChecksumTypeComposite {
			t.Errorf("checksum %+v", out.Checksum)
		}
		for _, part := range p.Parts {
			seen = append(seen, fmt.Sprint(*part.PartNumber, *part.Size, aws.ToString(part.ChecksumSHA256)))
		}
		if !aws.ToBool(p.IsTruncated) {
			break
		}
		marker = *p.NextPartNumberMarker
	}
	var want []string
	for i, p := range parts {
		want = append(want, fmt.Sprint(i+1, i+1, *p.ChecksumSHA256))
	}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("parts\n%v, want\n%v", seen, want)
	}
	whole := s.attributes("vault", "whole")
	if p := whole.ObjectParts; p == nil || aws.ToInt32(p.TotalPartsCount) != 5 || len(p.Parts) > 0 || whole.Checksum.ChecksumType != types.ChecksumTypeFullObject {
		t.Errorf("parts without checksums: %+v, %+v", whole.ObjectParts, whole.Checksum)
	}
}

func attributesThatCannotBeAskedFor(t *testing.T, s *stage) {
	s.Put("vault", "k", "x")
	const name = "x-amz-object-attributes"
	s.refuses("none", invalidRequest("either missing or empty"), "GET", "/vault/k?attributes", "")
	s.refuses("unknown", invalid("", name).of("ETag,Colour"), "GET", "/vault/k?attributes", "", name, "ETag,Colour")
	s.refuses("negative count", invalid("", "x-amz-max-parts").of("-1"), "GET", "/vault/k?attributes", "", name, "ETag", "x-amz-max-parts", "-1")
	s.refuses("no marker", invalid("", "x-amz-part-number-marker").of("one"), "GET", "/vault/k?attributes", "", name, "ETag", "x-amz-part-number-marker", "one")
	s.refuses("missing", noSuchKey, "GET", "/vault/missing?attributes", "", name, "ETag")
}
