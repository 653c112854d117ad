// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// testConfigurations: what SDKs put under an id is what they read and list, until it is
// deleted.
func testConfigurations(t *testing.T, s *coffertest.Server) {
	s.Bucket("configured", "", "", false)
	b, id, to := aws.String("configured"), aws.String("one"), aws.String("arn:aws:s3:::reports")
	tag := types.Tag{Key: aws.String("team"), Value: aws.String("red")}

	analytics := &types.AnalyticsConfiguration{Id: id, Filter: &types.AnalyticsFilterMemberTag{Value: tag}, StorageClassAnalysis: &types.StorageClassAnalysis{
		DataExport: &types.StorageClassAnalysisDataExport{OutputSchemaVersion: types.StorageClassAnalysisSchemaVersionV1, Destination: &types.AnalyticsExportDestination{
			S3BucketDestination: &types.AnalyticsS3BucketDestination{Bucket: to, Format: types.AnalyticsS3ExportFileFormatCsv},
		}},
	}}
	do(t, s.S3.PutBucketAnalyticsConfiguration, &s3.PutBucketAnalyticsConfigurationInput{Bucket: b, Id: id, AnalyticsConfiguration: analytics})
	readsAs(t, do(t, s.S3.GetBucketAnalyticsConfiguration, &s3.GetBucketAnalyticsConfigurationInput{Bucket: b, Id: id}).AnalyticsConfiguration, analytics)
	readsAs(t, do(t, s.S3.ListBucketAnalyticsConfigurations, &s3.ListBucketAnalyticsConfigurationsInput{Bucket: b}).AnalyticsConfigurationList, []types.AnalyticsConfiguration{*analytics})
	do(t, s.S3.DeleteBucketAnalyticsConfiguration, &s3.DeleteBucketAnalyticsConfigurationInput{Bucket: b, Id: id})
	fails(t, s.S3.GetBucketAnalyticsConfiguration, &s3.GetBucketAnalyticsConfigurationInput{Bucket: b, Id: id}, 404, "NoSuchConfiguration", "")

	tiering := &types.IntelligentTieringConfiguration{Id: id, Status: types.IntelligentTieringStatusEnabled,
		Filter:   &types.IntelligentTieringFilter{And: &types.IntelligentTieringAndOperator{Prefix: aws.String("a/"), Tags: []types.Tag{tag}}},
		Tierings: []types.Tiering{{AccessTier: types.IntelligentTieringAccessTierArchiveAccess, Days: aws.Int32(90)}}}
	do(t, s.S3.PutBucketIntelligentTieringConfiguration, &s3.PutBucketIntelligentTieringConfigurationInput{Bucket: b, Id: id, IntelligentTieringConfiguration: tiering})
	readsAs(t, do(t, s.S3.GetBucketIntelligentTieringConfiguration, &s3.GetBucketIntelligentTieringConfigurationInput{Bucket: b, Id: id}).IntelligentTieringConfiguration, tiering)
	readsAs(t, do(t, s.S3.ListBucketIntelligentTieringConfigurations, &s3.ListBucketIntelligentTieringConfigurationsInput{Bucket: b}).IntelligentTieringConfigurationList, []types.IntelligentTieringConfiguration{*tiering})
	do(t, s.S3.DeleteBucketIntelligentTieringConfiguration, &s3.DeleteBucketIntelligentTieringConfigurationInput{Bucket: b, Id: id})

	metrics := &types.MetricsConfiguration{Id: id, Filter: &types.MetricsFilterMemberPrefix{Value: "logs/"}}
	do(t, s.S3.PutBucketMetricsConfiguration, &s3.PutBucketMetricsConfigurationInput{Bucket: b, Id: id, MetricsConfiguration: metrics})
	readsAs(t, do(t, s.S3.GetBucketMetricsConfiguration, &s3.GetBucketMetricsConfigurationInput{Bucket: b, Id: id}).MetricsConfiguration, metrics)
	readsAs(t, do(t, s.S3.ListBucketMetricsConfigurations, &s3.ListBucketMetricsConfigurationsInput{Bucket: b}).MetricsConfigurationList, []types.MetricsConfiguration{*metrics})
	do(t, s.S3.DeleteBucketMetricsConfiguration, &s3.DeleteBucketMetricsConfigurationInput{Bucket: b, Id: id})

	inventory := &types.InventoryConfiguration{Id: id, IsEnabled: aws.Bool(true), IncludedObjectVersions: types.InventoryIncludedObjectVersionsAll,
		Destination: &types.InventoryDestination{S3BucketDestination: &types.InventoryS3BucketDestination{
			Bucket: to, Format: types.InventoryFormatParquet, AccountId: aws.String(otherAccount), Encryption: &types.InventoryEncryption{SSES3: &types.SSES3{}},
		}},
		OptionalFields: []types.InventoryOptionalField{types.InventoryOptionalFieldBucketKeyStatus, types.InventoryOptionalFieldEncryptionStatus},
		Schedule:       &types.InventorySchedule{Frequency: types.InventoryFrequencyWeekly}}
	do(t, s.S3.PutBucketInventoryConfiguration, &s3.PutBucketInventoryConfigurationInput{Bucket: b, Id: id, InventoryConfiguration: inventory})
	readsAs(t, do(t, s.S3.GetBucketInventoryConfiguration, &s3.GetBucketInventoryConfigurationInput{Bucket: b, Id: id}).InventoryConfiguration, inventory)
	readsAs(t, do(t, s.S3.ListBucketInventoryConfigurations, &s3.ListBucketInventoryConfigurationsInput{Bucket: b}).InventoryConfigurationList, []types.InventoryConfiguration{*inventory})
	fails(t, s.S3.PutBucketInventoryConfiguration, &s3.PutBucketInventoryConfigurationInput{Bucket: b, Id: aws.String("two"), InventoryConfiguration: inventory}, 400, "IdMismatch", "")
	do(t, s.S3.DeleteBucketInventoryConfiguration, &s3.DeleteBucketInventoryConfigurationInput{Bucket: b, Id: id})
	fails(t, s.S3.DeleteBucketInventoryConfiguration, &s3.DeleteBucketInventoryConfigurationInput{Bucket: b, Id: id}, 404, "NoSuchConfiguration", "")
}

// readsAs fails unless a client reads what it sent.
func readsAs[T any](t testing.TB, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		g, _ := json.Marshal(got)
		w, _ := json.Marshal(want)
		t.Errorf("reads %s\nwant %s", g, w)
	}
}

// testABAC: a bucket whose tags decide about access has them changed by its ARN.
func testABAC(t *testing.T, s *coffertest.Server) {
	s.Bucket("tags-decide", "", "", false)
	b := aws.String("tags-decide")
	if got := do(t, s.S3.GetBucketAbac, &s3.GetBucketAbacInput{Bucket: b}).AbacStatus.Status; got != types.BucketAbacStatusDisabled {
		t.Errorf("a new bucket is %s", got)
	}
	do(t, s.S3.PutBucketAbac, &s3.PutBucketAbacInput{Bucket: b, AbacStatus: &types.AbacStatus{Status: types.BucketAbacStatusEnabled}})
	if got := do(t, s.S3.GetBucketAbac, &s3.GetBucketAbacInput{Bucket: b}).AbacStatus.Status; got != types.BucketAbacStatusEnabled {
		t.Errorf("it is %s", got)
	}
	const target = "/v20180820/tags/arn:aws:s3:::tags-decide"
	account := []string{"x-amz-account-id", coffertest.Account}
	call := func(method, query, body, want string, status int) {
		t.Helper()
		if a := (request{method: method, target: target + query, body: body, headers: account}).do(s); a.status != status || !strings.Contains(a.body, want) {
			t.Errorf("%s %s: %d %s", method, query, a.status, a.body)
		}
	}
	call("POST", "", `<TagResourceRequest xmlns="http://awss3control.amazonaws.com/doc/2018-08-20/"><Tags><Tag><Key>team</Key><Value>red</Value></Tag></Tags></TagResourceRequest>`, "", 204)
	call("GET", "", "", "<Tag><Key>team</Key><Value>red</Value></Tag>", 200)

	ann := rootOf(s).user("ann-of-tags", `{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"red"}}}`)
	_, err := ann.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: b})
	allowed.check(t, "the tag", err)
	call("DELETE", "?tagKeys=team", "", "", 204)
	_, err = ann.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: b})
	wantCode(t, err, 403, "AccessDenied")
	fails(t, s.S3.PutBucketTagging, &s3.PutBucketTaggingInput{Bucket: b, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}}, 400, "InvalidRequest", "TagResource")
	do(t, s.S3.DeleteBucketReplication, &s3.DeleteBucketReplicationInput{Bucket: b})
	fails(t, s.S3.GetBucketReplication, &s3.GetBucketReplicationInput{Bucket: b}, 404, "ReplicationConfigurationNotFoundError", "")
	fails(t, s.S3.GetBucketMetadataConfiguration, &s3.GetBucketMetadataConfigurationInput{Bucket: b}, 404, "MetadataConfigurationNotFound", "")
}

// testArchivedObjects: what is in an archive is read once it is restored.
func testArchivedObjects(t *testing.T, s *coffertest.Server) {
	s.Bucket("archive", "", "", false)
	b, key := aws.String("archive"), aws.String("k")
	s.Put("archive", "k", "cold", func(in *s3.PutObjectInput) { in.StorageClass = types.StorageClassDeepArchive })
	fails(t, s.S3.GetObject, &s3.GetObjectInput{Bucket: b, Key: key}, 403, "InvalidObjectState", "")
	fails(t, s.S3.RestoreObject, &s3.RestoreObjectInput{Bucket: b, Key: key, RestoreRequest: &types.RestoreRequest{Days: aws.Int32(1), GlacierJobParameters: &types.GlacierJobParameters{Tier: types.TierExpedited}}}, 400, "InvalidArgument", "")
	do(t, s.S3.RestoreObject, &s3.RestoreObjectInput{Bucket: b, Key: key, RestoreRequest: &types.RestoreRequest{Days: aws.Int32(1), GlacierJobParameters: &types.GlacierJobParameters{Tier: types.TierBulk}}})
	text, head := s.Get("archive", "k")
	if text != "cold" || !strings.HasPrefix(aws.ToString(head.Restore), `ongoing-request="false", expiry-date="`) || head.StorageClass != types.StorageClassDeepArchive {
		t.Errorf("restored: %q, %q of %s", text, aws.ToString(head.Restore), head.StorageClass)
	}
	list := do(t, s.S3.ListObjectsV2, &s3.ListObjectsV2Input{Bucket: b, OptionalObjectAttributes: []types.OptionalObjectAttributes{types.OptionalObjectAttributesRestoreStatus}})
	if r := list.Contents[0].RestoreStatus; r == nil || *r.IsRestoreInProgress || r.RestoreExpiryDate == nil {
		t.Errorf("the listing says %+v", r)
	}
}
