// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// testBucketLogging: where requests are logged to is read as it was put.
func testBucketLogging(t *testing.T, s *coffertest.Server) {
	s.Bucket("logged-source", "", "", false)
	s.Bucket("logged-target", "", "", false)
	source := aws.String("logged-source")
	if got := do(t, s.S3.GetBucketLogging, &s3.GetBucketLoggingInput{Bucket: source}); got.LoggingEnabled != nil {
		t.Errorf("a new bucket is logged to %+v", got.LoggingEnabled)
	}
	on := &types.LoggingEnabled{
		TargetBucket: aws.String("logged-target"), TargetPrefix: aws.String("logs/"),
		TargetObjectKeyFormat: &types.TargetObjectKeyFormat{PartitionedPrefix: &types.PartitionedPrefix{PartitionDateSource: types.PartitionDateSourceEventTime}},
	}
	do(t, s.S3.PutBucketLogging, &s3.PutBucketLoggingInput{Bucket: source, BucketLoggingStatus: &types.BucketLoggingStatus{LoggingEnabled: on}})
	got := do(t, s.S3.GetBucketLogging, &s3.GetBucketLoggingInput{Bucket: source}).LoggingEnabled
	if got == nil || *got.TargetBucket != "logged-target" || *got.TargetPrefix != "logs/" ||
		got.TargetObjectKeyFormat.PartitionedPrefix.PartitionDateSource != types.PartitionDateSourceEventTime {
		t.Errorf("logged to %+v", got)
	}
	on.TargetBucket = aws.String("logged-missing")
	fails(t, s.S3.PutBucketLogging, &s3.PutBucketLoggingInput{Bucket: source, BucketLoggingStatus: &types.BucketLoggingStatus{LoggingEnabled: on}},
		400, "InvalidTargetBucketForLogging", "The target bucket for logging does not exist")
	do(t, s.S3.PutBucketLogging, &s3.PutBucketLoggingInput{Bucket: source, BucketLoggingStatus: &types.BucketLoggingStatus{}})
	if got := do(t, s.S3.GetBucketLogging, &s3.GetBucketLoggingInput{Bucket: source}); got.LoggingEnabled != nil {
		t.Errorf("still logged to %+v", got.LoggingEnabled)
	}
}
