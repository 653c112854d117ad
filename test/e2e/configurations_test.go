// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"reflect"
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
