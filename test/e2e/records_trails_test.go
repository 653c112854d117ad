// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

// TestRecordsOfTrails: management events of CloudTrail itself.
func TestRecordsOfTrails(t *testing.T) {
	t.Parallel()
	s := start(t)
	g := records(s, "cloudtrail")
	s.Bucket("logs", "", "", false)
	policy := document(forTrails(coffertest.Account, "logs", ""))
	do(t, s.S3.PutBucketPolicy, &s3.PutBucketPolicyInput{Bucket: aws.String("logs"), Policy: &policy})
	c, ctx := s.Root().Trails, t.Context()
	name := aws.String("main")
	row := func(what string, call func() error) {
		g.row(what, func() {
			if err := call(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	var arn *string
	row("CreateTrail", func() error {
		out, err := c.CreateTrail(ctx, &cloudtrail.CreateTrailInput{Name: name, S3BucketName: aws.String("logs"), EnableLogFileValidation: aws.Bool(true)})
		arn = out.TrailARN
		return err
	})
	row("UpdateTrail", func() error {
		_, err := c.UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: name, IncludeGlobalServiceEvents: aws.Bool(true)})
		return err
	})
	row("DescribeTrails", func() error {
		_, err := c.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{TrailNameList: []string{"main"}})
		return err
	})
	row("GetTrail", func() error { _, err := c.GetTrail(ctx, &cloudtrail.GetTrailInput{Name: name}); return err })
	row("ListTrails", func() error { _, err := c.ListTrails(ctx, &cloudtrail.ListTrailsInput{}); return err })
	row("PutEventSelectors", func() error {
		_, err := c.PutEventSelectors(ctx, &cloudtrail.PutEventSelectorsInput{TrailName: name, EventSelectors: []types.EventSelector{{
			ReadWriteType: types.ReadWriteTypeAll, IncludeManagementEvents: aws.Bool(true), ExcludeManagementEventSources: []string{"kms.amazonaws.com"},
			DataResources: []types.DataResource{{Type: aws.String("AWS::S3::Object"), Values: []string{"arn:aws:s3:::vault/"}}},
		}}})
		return err
	})
	row("GetEventSelectors", func() error {
		_, err := c.GetEventSelectors(ctx, &cloudtrail.GetEventSelectorsInput{TrailName: name})
		return err
	})
	row("AddTags", func() error {
		_, err := c.AddTags(ctx, &cloudtrail.AddTagsInput{ResourceId: arn, TagsList: []types.Tag{{Key: aws.String("team"), Value: aws.String("red")}}})
		return err
	})
	row("ListTags", func() error {
		_, err := c.ListTags(ctx, &cloudtrail.ListTagsInput{ResourceIdList: []string{*arn}})
		return err
	})
	row("RemoveTags", func() error {
		_, err := c.RemoveTags(ctx, &cloudtrail.RemoveTagsInput{ResourceId: arn, TagsList: []types.Tag{{Key: aws.String("team")}}})
		return err
	})
	row("GetTrailStatus", func() error {
		_, err := c.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: name})
		return err
	})
	row("LookupEvents", func() error {
		_, err := c.LookupEvents(ctx, &cloudtrail.LookupEventsInput{MaxResults: aws.Int32(1), LookupAttributes: []types.LookupAttribute{
			{AttributeKey: types.LookupAttributeKeyEventName, AttributeValue: aws.String("CreateBucket")},
		}})
		return err
	})
	row("ListPublicKeys", func() error { _, err := c.ListPublicKeys(ctx, &cloudtrail.ListPublicKeysInput{}); return err })
	g.row("TrailNotFoundException", func() { _, _ = c.GetTrail(ctx, &cloudtrail.GetTrailInput{Name: aws.String("none")}) })
	g.row("InsufficientS3BucketPolicyException", func() {
		s.Bucket("closed", "", "", false)
		_, _ = c.CreateTrail(ctx, &cloudtrail.CreateTrailInput{Name: aws.String("other"), S3BucketName: aws.String("closed")})
	})
	user := s.Root().NewUser("app")
	g.row("AccessDenied", func() { _, _ = user.Trails.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{}) })
	g.rowOf("StartLogging", "StartLogging", func() { do(t, c.StartLogging, &cloudtrail.StartLoggingInput{Name: name}) })
	g.rowOf("StopLogging", "StopLogging", func() { do(t, c.StopLogging, &cloudtrail.StopLoggingInput{Name: name}) })
	g.rowOf("DeleteTrail", "DeleteTrail", func() { do(t, c.DeleteTrail, &cloudtrail.DeleteTrailInput{Name: name}) })
	g.done()
}
