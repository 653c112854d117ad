// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// clients makes clients of the server that AWS_ENDPOINT_URL names, with the keys and
// the region of the environment.
func clients(ctx context.Context) (*s3.Client, *kms.Client, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, nil, err
	}
	return s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }), kms.NewFromConfig(cfg), nil
}

// makeKMSBucket makes a bucket whose objects are under a key of their own, with a
// bucket key, and returns that key's ARN.
func makeKMSBucket(ctx context.Context, s *s3.Client, k *kms.Client, bucket string) (string, error) {
	key, err := k.CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		return "", err
	}
	if _, err := s.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		return "", err
	}
	_, err = s.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: &bucket, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
		Rules: []types.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAwsKms, KMSMasterKeyID: key.KeyMetadata.Arn},
			BucketKeyEnabled:                   aws.Bool(true),
		}},
	}})
	return *key.KeyMetadata.Arn, err
}
