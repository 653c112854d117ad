// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// The SDK reads back what it has put.
func TestLifecycleConfiguration(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Bucket("vault", "", "", false)
	bucket := aws.String("vault")
	get := &s3.GetBucketLifecycleConfigurationInput{Bucket: bucket}
	fails(t, s.S3.GetBucketLifecycleConfiguration, get, 404, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
	put := do(t, s.S3.PutBucketLifecycleConfiguration, &s3.PutBucketLifecycleConfigurationInput{
		Bucket: bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
			ID: aws.String("r"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{},
			Expiration: &types.LifecycleExpiration{Days: aws.Int32(3)},
		}}},
	})
	if put.TransitionDefaultMinimumObjectSize != types.TransitionDefaultMinimumObjectSizeAllStorageClasses128k {
		t.Errorf("minimum %q", put.TransitionDefaultMinimumObjectSize)
	}
	if got := do(t, s.S3.GetBucketLifecycleConfiguration, get); len(got.Rules) != 1 || *got.Rules[0].ID != "r" || *got.Rules[0].Expiration.Days != 3 || got.Rules[0].Filter == nil {
		t.Errorf("got %+v", got.Rules)
	}
	do(t, s.S3.DeleteBucketLifecycle, &s3.DeleteBucketLifecycleInput{Bucket: bucket})
	fails(t, s.S3.GetBucketLifecycleConfiguration, get, 404, "NoSuchLifecycleConfiguration", "")
}

// Rules are carried out when an operator says so; a day has one second. What is to come is
// told with the object and with the upload before.
func TestLifecycleIsCarriedOut(t *testing.T) {
	t.Parallel()
	s := start(t, coffertest.Flags("--lifecycle-day", "1s"))
	op := s.Operator()
	s.Bucket("vault", "", "", false)
	bucket := aws.String("vault")
	if _, err := op.RunLifecycle(t.Context(), "vault"); err == nil || !strings.Contains(err.Error(), "NoSuchLifecycleConfiguration") {
		t.Error("a bucket without rules:", err)
	}
	do(t, s.S3.PutBucketLifecycleConfiguration, &s3.PutBucketLifecycleConfigurationInput{
		Bucket: bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
			ID: aws.String("old logs"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("logs/")},
			Expiration: &types.LifecycleExpiration{Days: aws.Int32(1)}, AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(1)},
		}}},
	})
	put := do(t, s.S3.PutObject, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("logs/1")})
	s.Put("vault", "data", "x")
	if e := aws.ToString(put.Expiration); !strings.HasPrefix(e, `expiry-date="`) || !strings.HasSuffix(e, ` GMT", rule-id="old logs"`) {
		t.Errorf("x-amz-expiration: %s", e)
	}
	upload := do(t, s.S3.CreateMultipartUpload, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: aws.String("logs/2")})
	if upload.AbortDate == nil || aws.ToString(upload.AbortRuleId) != "old logs" {
		t.Errorf("upload: %v %v", upload.AbortDate, upload.AbortRuleId)
	}
	coffertest.Eventually(t, "the end of what is old", func() bool {
		if _, err := op.RunLifecycle(t.Context(), ""); err != nil {
			t.Error(err)
		}
		left := do(t, s.S3.ListObjectsV2, &s3.ListObjectsV2Input{Bucket: bucket}).Contents
		uploads := do(t, s.S3.ListMultipartUploads, &s3.ListMultipartUploadsInput{Bucket: bucket}).Uploads
		return len(uploads) == 0 && len(left) == 1 && *left[0].Key == "data"
	})
	if body, err := op.LifecycleStatus(t.Context(), "vault"); err != nil || !strings.Contains(string(body), `"rules":1`) {
		t.Errorf("%s, %v", body, err)
	}
}
