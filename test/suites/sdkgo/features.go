// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

func (u *user) sseKMS() error {
	mine := *u
	mine.bucket = aws.String(*u.bucket + "-kms")
	key, err := makeKMSBucket(u.ctx, u.s3, u.kms, *mine.bucket)
	if err != nil {
		return err
	}
	before, err := kmsRequests()
	if err != nil {
		return err
	}
	for n := range 20 {
		name := fmt.Sprint(n)
		out, err := u.s3.PutObject(u.ctx, &s3.PutObjectInput{Bucket: mine.bucket, Key: &name, Body: strings.NewReader(name)})
		if err != nil {
			return err
		}
		if out.ServerSideEncryption != types.ServerSideEncryptionAwsKms || *out.SSEKMSKeyId != key || !*out.BucketKeyEnabled {
			return fmt.Errorf("put under %v, %v", out.ServerSideEncryption, *out.SSEKMSKeyId)
		}
		if err := mine.holds(name, []byte(name)); err != nil {
			return err
		}
	}
	after, err := kmsRequests()
	if err != nil {
		return err
	}
	if err := same(after-before, 2); err != nil {
		return fmt.Errorf("KMS requests: %w", err)
	}
	if _, err := u.kms.DisableKey(u.ctx, &kms.DisableKeyInput{KeyId: &key}); err != nil {
		return err
	}
	_, err = mine.get("1")
	if err := refused(err, "KMS.DisabledException"); err != nil {
		return err
	}
	if _, err := u.kms.EnableKey(u.ctx, &kms.EnableKeyInput{KeyId: &key}); err != nil {
		return err
	}
	return mine.empty()
}

func (u *user) sseC() error {
	mine := *u
	mine.bucket = aws.String(*u.bucket + "-ssec")
	if _, err := u.s3.CreateBucket(u.ctx, &s3.CreateBucketInput{Bucket: mine.bucket}); err != nil {
		return err
	}
	// A key of 32 digits and its MD5, as S3 wants them.
	key, sum := aws.String("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="), aws.String("KYvwGXoFFJ42a2u2GDWhwQ==")
	put := &s3.PutObjectInput{Bucket: mine.bucket, Key: aws.String("x"), Body: strings.NewReader("secret"),
		SSECustomerAlgorithm: aws.String("AES256"), SSECustomerKey: key, SSECustomerKeyMD5: sum}
	_, err := u.s3.PutObject(u.ctx, put)
	if err := refused(err, "AccessDenied"); err != nil {
		return err
	}
	_, err = u.s3.PutBucketEncryption(u.ctx, &s3.PutBucketEncryptionInput{Bucket: mine.bucket, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
		Rules: []types.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAes256},
			BlockedEncryptionTypes:             &types.BlockedEncryptionTypes{EncryptionType: []types.EncryptionType{types.EncryptionTypeNone}},
		}},
	}})
	if err != nil {
		return err
	}
	put.Body = strings.NewReader("secret")
	if _, err := u.s3.PutObject(u.ctx, put); err != nil {
		return err
	}
	got, err := u.read(&s3.GetObjectInput{Bucket: mine.bucket, Key: aws.String("x"), SSECustomerAlgorithm: aws.String("AES256"), SSECustomerKey: key, SSECustomerKeyMD5: sum})
	if err != nil {
		return err
	}
	if err := same(string(got), "secret"); err != nil {
		return err
	}
	_, err = mine.get("x")
	if err := refused(err, "InvalidRequest"); err != nil {
		return err
	}
	return mine.empty()
}

func (u *user) versioning() error {
	mine := *u
	mine.bucket = aws.String(*u.bucket + "-versions")
	if _, err := u.s3.CreateBucket(u.ctx, &s3.CreateBucketInput{Bucket: mine.bucket}); err != nil {
		return err
	}
	if _, err := u.s3.PutBucketVersioning(u.ctx, &s3.PutBucketVersioningInput{Bucket: mine.bucket,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
		return err
	}
	var ids []*string
	for n := range 3 {
		out, err := u.s3.PutObject(u.ctx, &s3.PutObjectInput{Bucket: mine.bucket, Key: aws.String("x"), Body: strings.NewReader(fmt.Sprint(n))})
		if err != nil {
			return err
		}
		ids = append(ids, out.VersionId)
	}
	got, err := u.read(&s3.GetObjectInput{Bucket: mine.bucket, Key: aws.String("x"), VersionId: ids[1]})
	if err != nil {
		return err
	}
	if err := same(string(got), "1"); err != nil {
		return err
	}
	gone, err := u.s3.DeleteObject(u.ctx, &s3.DeleteObjectInput{Bucket: mine.bucket, Key: aws.String("x")})
	if err != nil {
		return err
	}
	_, err = mine.get("x")
	if err := refused(err, "NoSuchKey"); err != nil {
		return err
	}
	if _, err := u.s3.DeleteObject(u.ctx, &s3.DeleteObjectInput{Bucket: mine.bucket, Key: aws.String("x"), VersionId: gone.VersionId}); err != nil {
		return err
	}
	if err := mine.holds("x", []byte("2")); err != nil {
		return err
	}
	return mine.empty()
}

func (u *user) conditions() error {
	key := aws.String("cond")
	put := func(match, none *string) (*s3.PutObjectOutput, error) {
		return u.s3.PutObject(u.ctx, &s3.PutObjectInput{Bucket: u.bucket, Key: key, Body: strings.NewReader("x"), IfMatch: match, IfNoneMatch: none})
	}
	out, err := put(nil, aws.String("*"))
	if err != nil {
		return err
	}
	_, err = put(nil, aws.String("*"))
	if err := refused(err, "PreconditionFailed"); err != nil {
		return err
	}
	_, err = put(aws.String(`"x"`), nil)
	if err := refused(err, "PreconditionFailed"); err != nil {
		return err
	}
	if _, err := put(out.ETag, nil); err != nil {
		return err
	}
	_, err = u.read(&s3.GetObjectInput{Bucket: u.bucket, Key: key, IfNoneMatch: out.ETag})
	var status *smithyhttp.ResponseError
	if !errors.As(err, &status) || status.HTTPStatusCode() != 304 {
		return fmt.Errorf("want 304: %w", err)
	}
	return nil
}

func (u *user) checksums() error {
	key := aws.String("sum")
	for _, algorithm := range types.ChecksumAlgorithm("").Values() {
		switch algorithm {
		case types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256, types.ChecksumAlgorithmCrc64nvme:
		default:
			continue // the SDK cannot make the others itself
		}
		if _, err := u.s3.PutObject(u.ctx, &s3.PutObjectInput{Bucket: u.bucket, Key: key, Body: strings.NewReader("sums"), ChecksumAlgorithm: algorithm}); err != nil {
			return fmt.Errorf("%s: %w", algorithm, err)
		}
		got, err := u.read(&s3.GetObjectInput{Bucket: u.bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			return fmt.Errorf("%s: %w", algorithm, err)
		}
		if err := same(string(got), "sums"); err != nil {
			return err
		}
	}
	_, err := u.s3.PutObject(u.ctx, &s3.PutObjectInput{Bucket: u.bucket, Key: aws.String("bad"), Body: strings.NewReader("x"),
		ChecksumSHA256: aws.String(strings.Repeat("A", 43) + "=")})
	if err := refused(err, "BadDigest"); err != nil {
		return err
	}
	off := *u
	off.s3 = s3.New(u.s3.Options(), func(o *s3.Options) {
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	if err := off.put("off", []byte("x")); err != nil {
		return err
	}
	if err := off.holds("off", []byte("x")); err != nil {
		return err
	}
	_, err = off.s3.DeleteObjects(u.ctx, &s3.DeleteObjectsInput{Bucket: u.bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("off")}}}})
	return err
}

func (u *user) virtualHost() error {
	mine := *u
	mine.s3 = u.virtual()
	if err := mine.put("virtual host/ü", []byte("v")); err != nil {
		return err
	}
	if err := mine.holds("virtual host/ü", []byte("v")); err != nil {
		return err
	}
	out, err := mine.s3.ListObjectsV2(u.ctx, &s3.ListObjectsV2Input{Bucket: u.bucket, Prefix: aws.String("virtual")})
	if err != nil {
		return err
	}
	return same(*out.KeyCount, 1)
}

func (u *user) waiters() error {
	in := &s3.HeadObjectInput{Bucket: u.bucket, Key: aws.String("waited")}
	seen := make(chan error, 1)
	go func() {
		seen <- s3.NewObjectExistsWaiter(u.s3, func(o *s3.ObjectExistsWaiterOptions) { o.MinDelay = 100 * time.Millisecond }).Wait(u.ctx, in, time.Minute)
	}()
	if err := u.put("waited", nil); err != nil {
		return err
	}
	if err := <-seen; err != nil {
		return err
	}
	if _, err := u.s3.DeleteObject(u.ctx, &s3.DeleteObjectInput{Bucket: u.bucket, Key: in.Key}); err != nil {
		return err
	}
	return s3.NewObjectNotExistsWaiter(u.s3).Wait(u.ctx, in, time.Minute)
}

func (u *user) errors() error {
	_, err := u.s3.ListObjectsV2(u.ctx, &s3.ListObjectsV2Input{Bucket: aws.String("none-" + *u.bucket)})
	var none *types.NoSuchBucket
	if !errors.As(err, &none) {
		return fmt.Errorf("want NoSuchBucket: %w", err)
	}
	_, err = u.get("none")
	var gone *types.NoSuchKey
	if !errors.As(err, &gone) {
		return fmt.Errorf("want NoSuchKey: %w", err)
	}
	_, err = u.s3.HeadObject(u.ctx, &s3.HeadObjectInput{Bucket: u.bucket, Key: aws.String("none")})
	if err := refused(err, "NotFound"); err != nil {
		return err
	}
	_, err = u.s3.DeleteBucket(u.ctx, &s3.DeleteBucketInput{Bucket: u.bucket})
	if err := refused(err, "BucketNotEmpty"); err != nil {
		return err
	}
	_, err = u.with(os.Getenv("AWS_ACCESS_KEY_ID"), "wrong").ListBuckets(u.ctx, nil)
	if err := refused(err, "SignatureDoesNotMatch"); err != nil {
		return err
	}
	_, err = u.with("AKIANOBODY0000000000", "wrong").ListBuckets(u.ctx, nil)
	return refused(err, "InvalidAccessKeyId")
}

// empty removes the bucket and all that is in it.
func (u *user) empty() error {
	p := s3.NewListObjectVersionsPaginator(u.s3, &s3.ListObjectVersionsInput{Bucket: u.bucket})
	for p.HasMorePages() {
		page, err := p.NextPage(u.ctx)
		if err != nil {
			return err
		}
		var all []types.ObjectIdentifier
		for _, v := range page.Versions {
			all = append(all, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, m := range page.DeleteMarkers {
			all = append(all, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		out, err := u.s3.DeleteObjects(u.ctx, &s3.DeleteObjectsInput{Bucket: u.bucket, Delete: &types.Delete{Objects: all}})
		if err != nil {
			return err
		}
		if err := same(len(out.Errors), 0); err != nil {
			return err
		}
	}
	_, err := u.s3.DeleteBucket(u.ctx, &s3.DeleteBucketInput{Bucket: u.bucket})
	return err
}

func (u *user) remove() error {
	if err := u.empty(); err != nil {
		return err
	}
	_, err := u.s3.ListObjectsV2(u.ctx, &s3.ListObjectsV2Input{Bucket: u.bucket})
	return refused(err, "NoSuchBucket")
}
