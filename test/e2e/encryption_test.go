// SPDX-License-Identifier: Apache-2.0

// Package e2e drives the whole server as customers do, with the AWS SDK for Go.
package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/test/coffertest"
)

// applied is what a client sees of an object's encryption.
type applied struct {
	sse, key string
	bk       bool
}

func (a applied) String() string { return fmt.Sprintf("%s %s bucket key %t", a.sse, a.key, a.bk) }

func of(sse types.ServerSideEncryption, key *string, bk *bool) applied {
	return applied{string(sse), aws.ToString(key), aws.ToBool(bk)}
}

func head(s *coffertest.Server, bucket, key string) (applied, *s3.HeadObjectOutput) {
	s.T.Helper()
	out, err := s.S3.HeadObject(s.T.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		s.T.Fatalf("head %s/%s: %v", bucket, key, err)
	}
	return of(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled), out
}

// managed returns the ARN of the account's aws/s3 key.
func managed(s *coffertest.Server) string {
	s.T.Helper()
	out, err := s.KMS.DescribeKey(s.T.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/aws/s3")})
	if err != nil {
		s.T.Fatalf("the managed key: %v", err)
	}
	return *out.KeyMetadata.Arn
}

// TestEffectiveEncryption asserts the decision table of default encryption: what
// an upload asks for, what the bucket's default is, and what comes out.
func TestEffectiveEncryption(t *testing.T) {
	s := coffertest.Start(t)
	b, r := s.Key(), s.Key()
	s.Bucket("warm-up", "aws:kms", "", false)
	s.Put("warm-up", "k", "") // makes the managed key
	m := managed(s)
	yes, no := aws.Bool(true), aws.Bool(false)
	const refused = "InvalidArgument"
	type def struct {
		alg, key string
		bk       bool
	}
	for i, c := range []struct {
		sse, key string
		bk       *bool
		def      def
		want     applied
		err      string
	}{
		1:  {"", "", nil, def{"AES256", "", false}, applied{"AES256", "", false}, ""},
		2:  {"", "", nil, def{"AES256", "", true}, applied{"AES256", "", false}, ""},
		3:  {"", "", yes, def{"AES256", "", false}, applied{"AES256", "", false}, ""},
		4:  {"", r, nil, def{"aws:kms", b, true}, applied{}, refused},
		5:  {"", "", nil, def{"aws:kms", "", false}, applied{"aws:kms", m, false}, ""},
		6:  {"", "", nil, def{"aws:kms", "", true}, applied{"aws:kms", m, true}, ""},
		7:  {"", "", nil, def{"aws:kms", b, false}, applied{"aws:kms", b, false}, ""},
		8:  {"", "", nil, def{"aws:kms", b, true}, applied{"aws:kms", b, true}, ""},
		9:  {"", "", no, def{"aws:kms", b, true}, applied{"aws:kms", b, false}, ""},
		10: {"", "", yes, def{"aws:kms", b, false}, applied{"aws:kms", b, true}, ""},
		12: {"AES256", "", yes, def{"aws:kms", b, true}, applied{"AES256", "", false}, ""},
		13: {"AES256", r, nil, def{"aws:kms", b, true}, applied{}, refused},
		14: {"aws:kms", "", nil, def{"AES256", "", false}, applied{"aws:kms", m, false}, ""},
		15: {"aws:kms", "", nil, def{"AES256", "", true}, applied{"aws:kms", m, true}, ""},
		16: {"aws:kms", "", nil, def{"aws:kms", b, false}, applied{"aws:kms", m, false}, ""},
		17: {"aws:kms", "", nil, def{"aws:kms", b, true}, applied{"aws:kms", m, true}, ""},
		18: {"aws:kms", r, nil, def{"AES256", "", false}, applied{"aws:kms", r, false}, ""},
		19: {"aws:kms", r, nil, def{"aws:kms", b, true}, applied{"aws:kms", r, true}, ""},
		20: {"aws:kms", r, nil, def{"aws:kms", b, false}, applied{"aws:kms", r, false}, ""},
		21: {"aws:kms", r, yes, def{"AES256", "", false}, applied{"aws:kms", r, true}, ""},
		22: {"aws:kms", r, no, def{"aws:kms", b, true}, applied{"aws:kms", r, false}, ""},
		23: {"aws:kms", b, nil, def{"aws:kms", b, true}, applied{"aws:kms", b, true}, ""},
	} {
		if c.def.alg == "" {
			continue // 11 is about DSSE, 0 is no row
		}
		t.Run(fmt.Sprint("row ", i), func(t *testing.T) {
			name := fmt.Sprint("row-", i)
			s.Bucket(name, c.def.alg, c.def.key, c.def.bk)
			put := &s3.PutObjectInput{
				Bucket: &name, Key: aws.String("k"), Body: strings.NewReader("x"),
				ServerSideEncryption: types.ServerSideEncryption(c.sse), BucketKeyEnabled: c.bk,
			}
			mp := &s3.CreateMultipartUploadInput{
				Bucket: &name, Key: aws.String("m"), ServerSideEncryption: put.ServerSideEncryption, BucketKeyEnabled: c.bk,
			}
			cp := &s3.CopyObjectInput{
				Bucket: &name, Key: aws.String("c"), CopySource: aws.String("warm-up/k"),
				ServerSideEncryption: put.ServerSideEncryption, BucketKeyEnabled: c.bk,
			}
			if c.key != "" {
				put.SSEKMSKeyId, mp.SSEKMSKeyId, cp.SSEKMSKeyId = &c.key, &c.key, &c.key
			}
			p, perr := s.S3.PutObject(t.Context(), put)
			u, uerr := s.S3.CreateMultipartUpload(t.Context(), mp)
			o, oerr := s.S3.CopyObject(t.Context(), cp)
			if c.err != "" {
				for _, err := range []error{perr, uerr, oerr} {
					wantCode(t, err, 400, c.err)
				}
				return
			}
			if perr != nil || uerr != nil || oerr != nil {
				t.Fatal(perr, uerr, oerr)
			}
			h, _ := head(s, name, "k")
			for what, got := range map[string]applied{
				"PutObject":             of(p.ServerSideEncryption, p.SSEKMSKeyId, p.BucketKeyEnabled),
				"CreateMultipartUpload": of(u.ServerSideEncryption, u.SSEKMSKeyId, u.BucketKeyEnabled),
				"CopyObject":            of(o.ServerSideEncryption, o.SSEKMSKeyId, o.BucketKeyEnabled),
				"HeadObject":            h,
			} {
				if got != c.want {
					t.Errorf("%s: %v, want %v", what, got, c.want)
				}
			}
			md5 := fmt.Sprintf(`"%x"`, fips.MD5([]byte("x")))
			if is := aws.ToString(p.ETag) == md5; is != (c.want.sse == "AES256") {
				t.Errorf("ETag %s under %s", *p.ETag, c.want.sse)
			}
		})
	}
}
