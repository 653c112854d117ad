// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
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
