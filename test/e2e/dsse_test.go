// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const dsse = types.ServerSideEncryptionAwsKmsDsse

func TestDSSE(t *testing.T) {
	s := newStage(t) // default: aws:kms under K1 with a Bucket Key
	s.Bucket("double", string(dsse), s.k1, true)
	s.each(t, shared{"effective", effectiveDSSE}, shared{"KMS requests", requestsOfDSSE}, shared{"bodies", bodiesOfDSSE})
	s.Restart()
	if got, _ := s.Get("double", "k65537"); len(got) != 65537 {
		t.Errorf("after a restart: %d bytes", len(got))
	}
}

// effectiveDSSE are the rows of the decision table about two layers: there is
// never a bucket key, whatever bucket and request say of one.
func effectiveDSSE(t *testing.T, s *stage) {
	s.Put("vault", "warm-up", "", func(in *s3.PutObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAwsKms })
	m := managed(s.Server)
	yes, no := aws.Bool(true), aws.Bool(false)
	for _, c := range []struct {
		what, bucket string
		sse          types.ServerSideEncryption
		key          string
		bk           *bool
		want         applied
	}{
		{"default", "double", "", "", nil, applied{string(dsse), s.k1, false}},
		{"default, flag", "double", "", "", yes, applied{string(dsse), s.k1, false}},
		{"default, no flag", "double", "", "", no, applied{string(dsse), s.k1, false}},
		{"asked for", "vault", dsse, "", nil, applied{string(dsse), m, false}},
		{"asked for with the flag", "vault", dsse, "", yes, applied{string(dsse), m, false}},
		{"asked for with a key", "vault", dsse, s.k2, nil, applied{string(dsse), s.k2, false}},
		{"KMS, in a bucket of DSSE", "double", "aws:kms", s.k2, nil, applied{"aws:kms", s.k2, true}},
		{"SSE-S3, in a bucket of DSSE", "double", "AES256", "", nil, applied{"AES256", "", false}},
	} {
		key := fmt.Sprint("k ", c.what)
		put := s.Put(c.bucket, key, "body", func(in *s3.PutObjectInput) {
			in.ServerSideEncryption, in.BucketKeyEnabled = c.sse, c.bk
			if c.key != "" {
				in.SSEKMSKeyId = &c.key
			}
		})
		was := of(put.ServerSideEncryption, put.SSEKMSKeyId, put.BucketKeyEnabled)
		is, _ := head(s.Server, c.bucket, key)
		if was != c.want || is != c.want {
			t.Errorf("%s: %v, then %v, want %v", c.what, was, is, c.want)
		}
		if md5 := *put.ETag == etagOf("body"); md5 != (c.want.sse == "AES256") {
			t.Errorf("%s: ETag %s", c.what, *put.ETag)
		}
		if got, _ := s.Get(c.bucket, key); got != "body" {
			t.Errorf("%s reads %q", c.what, got)
		}
	}
	if rule := s.rule("double"); !aws.ToBool(rule.BucketKeyEnabled) || rule.ApplyServerSideEncryptionByDefault.SSEAlgorithm != dsse {
		t.Errorf("the configuration reads back as %+v", rule)
	}
}

// requestsOfDSSE: each object costs one KMS request to write and one to
// read, in its own context; the second layer costs none.
func requestsOfDSSE(t *testing.T, s *stage) {
	n := len(s.KMSRequests())
	for range 2 {
		s.Put("double", "k", "x")
		s.Get("double", "k")
		head(s.Server, "double", "k")
	}
	want := "[GenerateDataKey arn:aws:s3:::double/k Decrypt arn:aws:s3:::double/k GenerateDataKey arn:aws:s3:::double/k Decrypt arn:aws:s3:::double/k]"
	if got := fmt.Sprint(s.since(n)); got != want {
		t.Errorf("KMS requests %v", got)
	}
	n = len(s.KMSRequests())
	if _, err := s.copy("double/k", "double", "copy"); err != nil {
		t.Fatal(err)
	}
	// The copy's key is made before the source's is opened: nothing is read for a
	// copy that may not be written.
	if got := fmt.Sprint(s.since(n)); got != "[GenerateDataKey arn:aws:s3:::double/copy Decrypt arn:aws:s3:::double/k]" {
		t.Errorf("KMS requests of a copy: %v", got)
	}
	s.DisableKey(s.k1)
	s.refuses("disabled", kmsFault("DisabledException", s.k1), "GET", "/double/k", "")
	s.accepts("HEAD, disabled", "HEAD", "/double/k", "")
	s.enable(s.k1)
}

// bodiesOfDSSE reads bodies of every shape.
func bodiesOfDSSE(t *testing.T, s *stage) {
	ctx := t.Context()
	bodies := map[string][]byte{}
	for _, size := range []int{0, 1, 1000, 1<<16 - 1, 1 << 16, 1<<16 + 1, 300_000} {
		key := fmt.Sprint("k", size)
		bodies[key] = bytes.Repeat([]byte("0123456789abcdef~"), size/17+1)[:size]
		s.Put("double", key, string(bodies[key]))
	}
	up, err := s.S3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String("double"), Key: aws.String("parts")})
	if err != nil {
		t.Fatal(err)
	}
	part, err := s.S3.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: up.Bucket, Key: up.Key, UploadId: up.UploadId, PartNumber: aws.Int32(7), Body: bytes.NewReader(bodies["k300000"]),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := of(part.ServerSideEncryption, part.SSEKMSKeyId, part.BucketKeyEnabled); got != (applied{string(dsse), s.k1, false}) {
		t.Errorf("part: %v", got)
	}
	_, err = s.S3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: up.Bucket, Key: up.Key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: part.ETag, PartNumber: aws.Int32(7), ChecksumCRC32: part.ChecksumCRC32}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	bodies["parts"] = bodies["k300000"]
	for key, want := range bodies {
		got, out := s.Get("double", key)
		if got != string(want) {
			t.Errorf("%s: %d bytes, want %d", key, len(got), len(want))
		}
		if a := of(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled); a != (applied{string(dsse), s.k1, false}) {
			t.Errorf("%s: %v", key, a)
		}
	}
	for _, r := range [][2]int{{65530, 65540}, {131072, 131072}, {0, 299_999}, {299_999, 299_999}} {
		got, out := s.Get("double", "parts", func(in *s3.GetObjectInput) { in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", r[0], r[1])) })
		if got != string(bodies["parts"][r[0]:r[1]+1]) || out.ServerSideEncryption != dsse {
			t.Errorf("range %v: %d bytes under %s", r, len(got), out.ServerSideEncryption)
		}
	}
}
