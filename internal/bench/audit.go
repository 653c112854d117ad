// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	trails "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// openAudit starts the server of a contender that is measured by what it records. The two
// have directories of their own, so that neither pays for the other's trail.
func (r *run) openAudit(ctx context.Context, who contender) (err error) {
	if r.audits == nil {
		r.audits = map[contender]*server{}
	}
	if who == unaudited {
		r.audits[who], err = r.ownServer(ctx, "unaudited", "--audit=false")
		return err
	}
	s, err := r.ownServer(ctx, "audited")
	if err != nil {
		return err
	}
	r.audits[who] = s
	if err := s.makeTrail(ctx); err != nil {
		return fmt.Errorf("make trail: %w", err)
	}
	return nil
}

// makeTrail makes a trail of all events, those of data too.
func (s *server) makeTrail(ctx context.Context) error {
	bucket := s.prefix + "-trail"
	if _, err := s.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		return err
	}
	allow := strings.ReplaceAll(`{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:GetBucketAcl","Resource":"arn:aws:s3:::BUCKET"},
{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::BUCKET/AWSLogs/*"}]}`, "BUCKET", bucket)
	if _, err := s.s3.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &allow}); err != nil {
		return err
	}
	name := aws.String("bench")
	if _, err := s.trails.CreateTrail(ctx, &cloudtrail.CreateTrailInput{Name: name, S3BucketName: &bucket, EnableLogFileValidation: aws.Bool(true)}); err != nil {
		return err
	}
	_, err := s.trails.PutEventSelectors(ctx, &cloudtrail.PutEventSelectorsInput{TrailName: name, EventSelectors: []trails.EventSelector{{
		ReadWriteType: trails.ReadWriteTypeAll, IncludeManagementEvents: aws.Bool(true),
		DataResources: []trails.DataResource{{Type: aws.String("AWS::S3::Object"), Values: []string{"arn:aws:s3"}}},
	}}})
	if err != nil {
		return err
	}
	_, err = s.trails.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: name})
	return err
}
