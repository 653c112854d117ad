// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

func testBuckets(t *testing.T, s *coffertest.Server) {
	name := aws.String("photos-1")

	a := request{method: "PUT", target: "/photos-1"}.do(s)
	if a.status != 200 || a.header.Get("Location") != "/photos-1" || a.header.Get("X-Amz-Bucket-Arn") != "arn:aws:s3:::photos-1" || a.body != "" {
		t.Errorf("created: %d %v %s", a.status, a.header, a.body)
	}
	// In us-east-1 one's own bucket can be made again, but not with tags.
	do(t, s.S3.CreateBucket, &s3.CreateBucketInput{Bucket: name})
	fails(t, s.S3.CreateBucket, &s3.CreateBucketInput{Bucket: name, CreateBucketConfiguration: &types.CreateBucketConfiguration{
		Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
	}}, 409, "BucketAlreadyOwnedByYou", "you already own it")

	head := do(t, s.S3.HeadBucket, &s3.HeadBucketInput{Bucket: name, ExpectedBucketOwner: aws.String(coffertest.Account)})
	if aws.ToString(head.BucketRegion) != coffertest.Region || aws.ToString(head.BucketArn) != "arn:aws:s3:::photos-1" || aws.ToBool(head.AccessPointAlias) {
		t.Errorf("HEAD: %+v", head)
	}
	if out := do(t, s.S3.GetBucketLocation, &s3.GetBucketLocationInput{Bucket: name}); out.LocationConstraint != "" {
		t.Errorf("location %q", out.LocationConstraint)
	}
	fails(t, s.S3.HeadBucket, &s3.HeadBucketInput{Bucket: aws.String("nobody")}, 404, "NotFound", "")
	fails(t, s.S3.HeadBucket, &s3.HeadBucketInput{Bucket: name, ExpectedBucketOwner: aws.String("999999999999")}, 403, "Forbidden", "")

	s.Put("photos-1", "k", "x")
	fails(t, s.S3.DeleteBucket, &s3.DeleteBucketInput{Bucket: name}, 409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
	s.Versioning("photos-1", types.BucketVersioningStatusEnabled)
	do(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: name, Key: aws.String("k")})
	fails(t, s.S3.DeleteBucket, &s3.DeleteBucketInput{Bucket: name}, 409, "BucketNotEmpty", "You must delete all versions in the bucket.")
}

// testABucketsNameBeginsAnew: what a bucket of the same name had is gone with it.
func testABucketsNameBeginsAnew(t *testing.T, s *coffertest.Server) {
	s.Bucket("photos-2", "aws:kms", s.Key(), true)
	s.Versioning("photos-2", types.BucketVersioningStatusEnabled)
	name := aws.String("photos-2")
	do(t, s.S3.PutBucketTagging, &s3.PutBucketTaggingInput{Bucket: name, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}})
	up := do(t, s.S3.CreateMultipartUpload, &s3.CreateMultipartUploadInput{Bucket: name, Key: aws.String("big")})
	// An upload under way does not keep a bucket.
	do(t, s.S3.DeleteBucket, &s3.DeleteBucketInput{Bucket: name})
	fails(t, s.S3.DeleteBucket, &s3.DeleteBucketInput{Bucket: name}, 404, "NoSuchBucket", "")
	fails(t, s.S3.PutObject, &s3.PutObjectInput{Bucket: name, Key: aws.String("k")}, 404, "NoSuchBucket", "The specified bucket does not exist")
	do(t, s.S3.CreateBucket, &s3.CreateBucketInput{Bucket: name})
	if rule := (&stage{Server: s}).rule("photos-2"); rule.ApplyServerSideEncryptionByDefault.SSEAlgorithm != "AES256" {
		t.Errorf("the old default: %+v", rule)
	}
	if v := do(t, s.S3.GetBucketVersioning, &s3.GetBucketVersioningInput{Bucket: name}); v.Status != "" {
		t.Errorf("the old versioning: %s", v.Status)
	}
	fails(t, s.S3.GetBucketTagging, &s3.GetBucketTaggingInput{Bucket: name}, 404, "NoSuchTagSet", "The TagSet does not exist")
	fails(t, s.S3.UploadPart, &s3.UploadPartInput{Bucket: name, Key: aws.String("big"), UploadId: up.UploadId, PartNumber: aws.Int32(1)}, 404, "NoSuchUpload", "")
	if out := do(t, s.S3.ListMultipartUploads, &s3.ListMultipartUploadsInput{Bucket: name}); len(out.Uploads) != 0 {
		t.Errorf("the old uploads: %+v", out.Uploads)
	}
}

func TestListBuckets(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, name := range []string{"b-2", "b-1", "archive", "b-3"} {
		s.Bucket(name, "", "", false)
	}
	all := do(t, s.S3.ListBuckets, &s3.ListBucketsInput{})
	if got := names(all.Buckets); got != "[archive b-1 b-2 b-3]" || len(aws.ToString(all.Owner.ID)) != 64 || all.Buckets[0].BucketRegion != nil {
		t.Errorf("buckets %s of %s", got, aws.ToString(all.Owner.ID))
	}
	var pages []string
	p := s3.NewListBucketsPaginator(s.S3, &s3.ListBucketsInput{MaxBuckets: aws.Int32(2), Prefix: aws.String("b-")})
	for p.HasMorePages() {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, names(out.Buckets))
		if r := aws.ToString(out.Buckets[0].BucketRegion); r != coffertest.Region {
			t.Errorf("region %q", r)
		}
	}
	if got := fmt.Sprint(pages); got != "[[b-1 b-2] [b-3]]" {
		t.Errorf("pages %s", got)
	}
}

func names(buckets []types.Bucket) string {
	var out []string
	for _, b := range buckets {
		out = append(out, *b.Name)
	}
	return fmt.Sprint(out)
}

// testBucketEncryptionDocument: what a put leaves out stays as it was, but for the
// bucket key.
func testBucketEncryptionDocument(t *testing.T, s *coffertest.Server) {
	s.Bucket("defaults", "", "", false)
	const (
		begin = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>`
		end   = `</Rule></ServerSideEncryptionConfiguration>`
		sse   = `<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>`
		kms   = `<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>alias/not/yet</KMSMasterKeyID></ApplyServerSideEncryptionByDefault>`
		yes   = `<BucketKeyEnabled>true</BucketKeyEnabled>`
		no    = `<BucketKeyEnabled>false</BucketKeyEnabled>`
		block = `<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>`
		none  = `<BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes>`
	)
	get := func(what, want string) {
		t.Helper()
		a := request{method: "GET", target: "/defaults?encryption"}.do(s)
		if a.status != 200 || a.body != begin+want+end {
			t.Errorf("%s: %d %s, want %s", what, a.status, a.body, want)
		}
	}
	put := func(rule, want string) {
		t.Helper()
		body := `<ServerSideEncryptionConfiguration><Rule>` + rule + end
		a := request{method: "PUT", target: "/defaults?encryption", body: body, headers: md5Header(body)}.do(s)
		if a.status != 200 || a.body != "" {
			t.Errorf("put %s: %d %s", rule, a.status, a.body)
		}
		get(rule, want)
	}
	get("new", no+sse+block)
	put(kms+yes, yes+kms+block)
	put(none, yes+kms+none) // the default stays: no quiet downgrade
	put(no, no+kms+none)
	put(yes+sse, yes+sse+none)
	put(block+"\n "+sse, no+sse+block)
	put(kms, no+kms+block)
	if a := (request{method: "DELETE", target: "/defaults?encryption"}).do(s); a.status != 204 || a.body != "" {
		t.Errorf("deleted: %d %s", a.status, a.body)
	}
	get("deleted", no+sse+block)
}

// TestNewBucketsOfLegacy: such a server blocks no SSE-C in new buckets.
func TestNewBucketsOfLegacy(t *testing.T) {
	t.Parallel()
	s := start(t, coffertest.Flags("--new-bucket-defaults", "legacy"))
	s.Bucket("vault", "", "", false)
	a := request{method: "GET", target: "/vault?encryption"}.do(s)
	if a.status != 200 || strings.Contains(a.body, "BlockedEncryptionTypes") {
		t.Errorf("%d %s", a.status, a.body)
	}
}
