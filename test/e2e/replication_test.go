// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

func roleARN(name string) *string {
	return aws.String("arn:aws:iam::" + coffertest.Account + ":role/" + name)
}

// replicating returns a rule of the second version for all objects.
func replicating(id string, priority int32, to string, edit ...func(*types.ReplicationRule)) types.ReplicationRule {
	r := types.ReplicationRule{
		ID: &id, Priority: &priority, Status: types.ReplicationRuleStatusEnabled, Filter: &types.ReplicationRuleFilter{},
		Destination:             &types.Destination{Bucket: aws.String("arn:aws:s3:::" + to)},
		DeleteMarkerReplication: &types.DeleteMarkerReplication{Status: types.DeleteMarkerReplicationStatusDisabled},
	}
	for _, e := range edit {
		e(&r)
	}
	return r
}

// underKey is for rules that replicate SSE-KMS objects, too: replicas are under the key.
func underKey(key string) func(*types.ReplicationRule) {
	return func(r *types.ReplicationRule) {
		if r.SourceSelectionCriteria == nil {
			r.SourceSelectionCriteria = &types.SourceSelectionCriteria{}
		}
		r.SourceSelectionCriteria.SseKmsEncryptedObjects = &types.SseKmsEncryptedObjects{Status: types.SseKmsEncryptedObjectsStatusEnabled}
		r.Destination.EncryptionConfiguration = &types.EncryptionConfiguration{ReplicaKmsKeyID: &key}
	}
}

// testReplicationConfiguration: what SDKs put is what they read, and a bucket that is
// replicated keeps its versions.
func testReplicationConfiguration(t *testing.T, s *coffertest.Server) {
	s.Bucket("to-replicate", "", "", false)
	s.Bucket("for-replicas", "", "", false)
	b := aws.String("to-replicate")
	put := func(c types.ReplicationConfiguration) *s3.PutBucketReplicationInput {
		return &s3.PutBucketReplicationInput{Bucket: b, ReplicationConfiguration: &c}
	}
	first := types.ReplicationConfiguration{Role: roleARN("copier"), Rules: []types.ReplicationRule{{
		ID: aws.String("first version"), Prefix: aws.String("a/"), Status: types.ReplicationRuleStatusDisabled,
		Destination: &types.Destination{Bucket: aws.String("arn:aws:s3:::for-replicas"), StorageClass: types.StorageClassGlacierIr},
	}}}
	const unversioned = "Versioning must be 'Enabled' on the bucket to apply a replication configuration"
	fails(t, s.S3.PutBucketReplication, put(first), 400, "InvalidRequest", unversioned)
	s.Versioning("to-replicate", types.BucketVersioningStatusEnabled)
	fails(t, s.S3.PutBucketReplication, put(first), 400, "InvalidRequest", "Destination bucket must have versioning enabled.")
	s.Versioning("for-replicas", types.BucketVersioningStatusEnabled)
	fails(t, s.S3.GetBucketReplication, &s3.GetBucketReplicationInput{Bucket: b}, 404, "ReplicationConfigurationNotFoundError", "")

	tag := types.Tag{Key: aws.String("team"), Value: aws.String("red")}
	minutes := &types.ReplicationTimeValue{Minutes: aws.Int32(15)}
	second := types.ReplicationConfiguration{Role: roleARN("path/copier"), Rules: []types.ReplicationRule{
		replicating("all of it", 7, "for-replicas", underKey("arn:aws:kms:us-east-1:"+coffertest.Account+":alias/replicas"), func(r *types.ReplicationRule) {
			r.Filter = &types.ReplicationRuleFilter{And: &types.ReplicationRuleAndOperator{Prefix: aws.String("a & b/"), Tags: []types.Tag{tag, {Key: aws.String("empty"), Value: aws.String("")}}}}
			r.SourceSelectionCriteria.ReplicaModifications = &types.ReplicaModifications{Status: types.ReplicaModificationsStatusEnabled}
			r.Destination.Account, r.Destination.StorageClass = aws.String(coffertest.Account), types.StorageClassStandardIa
			r.Destination.AccessControlTranslation = &types.AccessControlTranslation{Owner: types.OwnerOverrideDestination}
			r.Destination.ReplicationTime = &types.ReplicationTime{Status: types.ReplicationTimeStatusEnabled, Time: minutes}
			r.Destination.Metrics = &types.Metrics{Status: types.MetricsStatusEnabled, EventThreshold: minutes}
		}),
		replicating("of a tag", 2147483647, "for-replicas", func(r *types.ReplicationRule) { r.Filter = &types.ReplicationRuleFilter{Tag: &tag} }),
		replicating("of a prefix", 0, "for-replicas", func(r *types.ReplicationRule) {
			r.Filter = &types.ReplicationRuleFilter{Prefix: aws.String("")}
			r.DeleteMarkerReplication.Status = types.DeleteMarkerReplicationStatusEnabled
			r.Destination.Metrics = &types.Metrics{Status: types.MetricsStatusDisabled}
		}),
		replicating("of all", 1, "for-replicas"),
	}}
	for _, c := range []types.ReplicationConfiguration{first, second} {
		do(t, s.S3.PutBucketReplication, put(c))
		readsAs(t, *do(t, s.S3.GetBucketReplication, &s3.GetBucketReplicationInput{Bucket: b}).ReplicationConfiguration, c)
	}
	third := types.ReplicationConfiguration{Role: roleARN("copier"), Rules: []types.ReplicationRule{replicating("", 1, "for-replicas")}}
	third.Rules[0].ID = nil
	do(t, s.S3.PutBucketReplication, put(third))
	if got := do(t, s.S3.GetBucketReplication, &s3.GetBucketReplicationInput{Bucket: b}).ReplicationConfiguration.Rules; len(got) != 1 || aws.ToString(got[0].ID) == "" {
		t.Errorf("without an id it reads %+v", got)
	}

	suspend := &s3.PutBucketVersioningInput{Bucket: b, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended}}
	fails(t, s.S3.PutBucketVersioning, suspend, 409, "InvalidBucketState", "A replication configuration is present on this bucket, so you cannot change the versioning state. To change the versioning state, first delete the replication configuration.")
	for range 2 {
		do(t, s.S3.DeleteBucketReplication, &s3.DeleteBucketReplicationInput{Bucket: b})
	}
	do(t, s.S3.PutBucketVersioning, suspend)
	fails(t, s.S3.PutBucketReplication, put(third), 400, "InvalidRequest", unversioned)
}

// testWhoMayReplicate: a configuration hands a role to S3, which takes the permission to pass
// that role; reading takes one of its own, deleting that of putting.
func testWhoMayReplicate(t *testing.T, s *coffertest.Server) {
	for _, name := range []string{"who-replicates", "who-has-replicas"} {
		s.Bucket(name, "", "", false)
		s.Versioning(name, types.BucketVersioningStatusEnabled)
	}
	b := aws.String("who-replicates")
	put := &s3.PutBucketReplicationInput{Bucket: b, ReplicationConfiguration: &types.ReplicationConfiguration{
		Role: roleARN("copier"), Rules: []types.ReplicationRule{replicating("r", 1, "who-has-replicas")},
	}}
	get, remove := &s3.GetBucketReplicationInput{Bucket: b}, &s3.DeleteBucketReplicationInput{Bucket: b}
	root := rootOf(s)
	const configure = `{"Effect":"Allow","Action":"s3:PutReplicationConfiguration","Resource":"arn:aws:s3:::who-replicates"}`
	pass := func(role, to string) string {
		return `{"Effect":"Allow","Action":"iam:PassRole","Resource":"` + role + `","Condition":{"StringEquals":{"iam:PassedToService":"` + to + `"}}}`
	}
	for _, c := range []struct {
		name, statements string
		may              bool
	}{
		{"replicates-no-role", configure, false},
		{"replicates-other-role", configure + "," + pass(*roleARN("other"), "s3.amazonaws.com"), false},
		{"replicates-other-service", configure + "," + pass(*roleARN("copier"), "lambda.amazonaws.com"), false},
		{"replicates-passes-alone", pass("*", "s3.amazonaws.com"), false},
		{"replicates", configure + "," + pass(*roleARN("copier"), "s3.amazonaws.com"), true},
	} {
		who := root.user(c.name, c.statements)
		if !c.may {
			fails(t, who.S3.PutBucketReplication, put, 403, "AccessDenied", "")
			continue
		}
		do(t, who.S3.PutBucketReplication, put)
		fails(t, who.S3.GetBucketReplication, get, 403, "AccessDenied", "s3:GetReplicationConfiguration")
		do(t, who.S3.DeleteBucketReplication, remove)
	}
	reader := root.user("replicates-reads", `{"Effect":"Allow","Action":"s3:GetReplicationConfiguration","Resource":"*"}`)
	fails(t, reader.S3.GetBucketReplication, get, 404, "ReplicationConfigurationNotFoundError", "")
	fails(t, reader.S3.DeleteBucketReplication, remove, 403, "AccessDenied", "s3:PutReplicationConfiguration")
}
