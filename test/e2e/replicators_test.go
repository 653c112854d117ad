// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// What the role may not do fails the object; nothing is copied.
func testReplicationByRolesThatMayNot(t *testing.T, s *coffertest.Server) {
	root := s.Root()
	all := document(replicatorObjects + "," + replicatorKeys)
	without := func(action string) string { return strings.Replace(all, `"s3:`+action+`"`, `"s3:ListBucket"`, 1) }
	root.NewRole("trusts-others", document(`{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}`), all)
	root.NewRole("reads-not", replicatorTrust, without("GetObjectVersionForReplication"))
	root.NewRole("writes-not", replicatorTrust, without("ReplicateObject"))
	root.NewRole("writes-no-tags", replicatorTrust, all, document(`{"Effect":"Deny","Action":"s3:ReplicateTags","Resource":"*"}`))
	versioned(s, "role-source", "", "", false)
	versioned(s, "role-replicas", "", "", false)
	tagged := func(in *s3.PutObjectInput) { in.Tagging = aws.String("a=b") }
	for _, role := range []string{"trusts-others", "reads-not", "writes-not", "nobody-there"} {
		replicateAs(s, role, "role-source", replicating("all", 1, "role-replicas"))
		s.Put("role-source", role, "x", tagged)
		becomes(s, "role-source", role, types.ReplicationStatusFailed)
		absent(s, "role-replicas", role)
	}
	// What has failed stays so.
	replicate(s, "role-source", replicating("all", 1, "role-replicas"))
	s.Put("role-source", "k", "x", tagged)
	isReplica(s, "role-source", "role-replicas", "k", "x", applied{"AES256", "", false})
	becomes(s, "role-source", "writes-not", types.ReplicationStatusFailed)
}

// The trail has what is read and written for replicas, each once, as the role's, and names the
// KMS event that covered it.
func testReplicationIsRecorded(t *testing.T, s *coffertest.Server) {
	from, key := s.Key(), s.Key()
	versioned(s, "trail-source", "aws:kms", from, true)
	versioned(s, "trail-replicas", "", "", false)
	replicate(s, "trail-source", replicating("all", 1, "trail-replicas", underKey(key)))
	keys := []string{"a", "b", "c"}
	for _, k := range keys {
		s.Put("trail-source", k, "body")
	}
	for _, k := range keys {
		becomes(s, "trail-source", k, types.ReplicationStatusCompleted)
	}
	events, accesses := map[string]string{}, map[string]int{}
	found := trail(s)
	for _, r := range found {
		if r["eventSource"] == "kms.amazonaws.com" {
			events[r["eventID"]] = r["eventName"] + " by " + r["userIdentity.arn"]
		}
	}
	for _, r := range found {
		bucket := r["requestParameters.bucketName"]
		if r["userIdentity.arn"] != replicatorSession || !strings.HasPrefix(bucket, "trail-") {
			continue
		}
		accesses[r["eventName"]+" "+bucket+"/"+r["requestParameters.key"]]++
		under, asked := from, "Decrypt"
		if bucket == "trail-replicas" {
			under, asked = key, "GenerateDataKey"
		}
		if got := events[r["additionalEventData.cofferKmsEventId"]]; got != asked+" by "+replicatorSession || r["additionalEventData.cofferKeyArn"] != under || r["userIdentity.invokedBy"] != "s3.amazonaws.com" {
			t.Errorf("%s in %s is covered by %q: %v", r["eventName"], bucket, got, r)
		}
	}
	for _, k := range keys {
		for _, want := range []string{"GetObject trail-source/" + k, "PutObject trail-replicas/" + k} {
			if accesses[want] != 1 {
				t.Errorf("%s is recorded %d times", want, accesses[want])
			}
		}
	}
	if len(accesses) != 2*len(keys) {
		t.Errorf("recorded are %v", accesses)
	}
}

// A bucket of another account has replicas if its policy says so, and they are its own.
func testReplicationToAnotherAccount(t *testing.T, s *coffertest.Server) {
	const account = "111122223344"
	other := s.NewAccount(account, "replicas")
	s.Root().NewRole("crosser", replicatorTrust, document(replicatorObjects+`,{"Effect":"Allow","Action":"s3:ObjectOwnerOverrideToBucketOwner","Resource":"*"}`))
	versioned(s, "here", "", "", false)
	b := aws.String("over-there")
	do(t, other.S3.CreateBucket, &s3.CreateBucketInput{Bucket: b})
	do(t, other.S3.PutBucketVersioning, &s3.PutBucketVersioningInput{Bucket: b, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	replicateAs(s, "crosser", "here", replicating("all", 1, "over-there", func(r *types.ReplicationRule) {
		r.Destination.Account = aws.String(account)
		r.Destination.AccessControlTranslation = &types.AccessControlTranslation{Owner: types.OwnerOverrideDestination}
	}))
	s.Put("here", "before", "x")
	becomes(s, "here", "before", types.ReplicationStatusFailed)
	principal := `"Principal":{"AWS":"` + *roleARN("crosser") + `"}`
	do(t, other.S3.PutBucketPolicy, &s3.PutBucketPolicyInput{Bucket: b, Policy: aws.String(document(
		`{"Effect":"Allow",` + principal + `,"Action":["s3:ReplicateObject","s3:ReplicateDelete","s3:ReplicateTags","s3:ObjectOwnerOverrideToBucketOwner"],"Resource":"arn:aws:s3:::over-there/*"}`))})
	s.Put("here", "k", "body")
	becomes(s, "here", "k", types.ReplicationStatusCompleted)
	got := do(t, other.S3.HeadObject, &s3.HeadObjectInput{Bucket: b, Key: aws.String("k")})
	if got.ReplicationStatus != types.ReplicationStatusReplica {
		t.Errorf("it is %q", got.ReplicationStatus)
	}
	fails(t, other.S3.HeadObject, &s3.HeadObjectInput{Bucket: b, Key: aws.String("before")}, 404, "NotFound", "")
}

// Changes of replicas go back where both sides say so.
func testChangesOfReplicas(t *testing.T, s *coffertest.Server) {
	both := func(r *types.ReplicationRule) {
		r.SourceSelectionCriteria = &types.SourceSelectionCriteria{ReplicaModifications: &types.ReplicaModifications{Status: types.ReplicaModificationsStatusEnabled}}
	}
	for _, name := range []string{"this-side", "that-side"} {
		versioned(s, name, "", "", false)
	}
	replicate(s, "this-side", replicating("there", 1, "that-side", both))
	replicate(s, "that-side", replicating("back", 1, "this-side", both))
	s.Put("this-side", "k", "x")
	isReplica(s, "this-side", "that-side", "k", "x", applied{"AES256", "", false})
	tag := []types.Tag{{Key: aws.String("seen"), Value: aws.String("there")}}
	do(t, s.S3.PutObjectTagging, &s3.PutObjectTaggingInput{Bucket: aws.String("that-side"), Key: aws.String("k"), Tagging: &types.Tagging{TagSet: tag}})
	becomes(s, "that-side", "k", types.ReplicationStatusReplica)
	readsAs(t, do(t, s.S3.GetObjectTagging, &s3.GetObjectTaggingInput{Bucket: aws.String("this-side"), Key: aws.String("k")}).TagSet, tag)
	becomes(s, "this-side", "k", types.ReplicationStatusCompleted)
}

// A rule that is switched off meanwhile waits; what was put while it was off does not come.
func testReplicationIsPaused(t *testing.T, s *coffertest.Server) {
	key := s.Key()
	versioned(s, "pause-source", "aws:kms", s.Key(), true)
	versioned(s, "pause-replicas", "", "", false)
	rule := replicating("all", 1, "pause-replicas", underKey(key))
	off := rule
	off.Status = types.ReplicationRuleStatusDisabled
	replicate(s, "pause-source", off)
	s.Put("pause-source", "off", "x")
	untold(s, "pause-source", "off")
	replicate(s, "pause-source", rule)
	s.Put("pause-source", "on", "x")
	isReplica(s, "pause-source", "pause-replicas", "on", "x", applied{"aws:kms", key, true})
	absent(s, "pause-replicas", "off")
}

// Object Lock goes with a version, to buckets that have it.
func testReplicasUnderObjectLock(t *testing.T, s *coffertest.Server) {
	s.Root().NewRole("locker", replicatorTrust, document(replicatorObjects+`,{"Effect":"Allow","Action":["s3:GetObjectRetention","s3:GetObjectLegalHold","s3:PutObjectRetention","s3:PutObjectLegalHold"],"Resource":"*"}`))
	for _, name := range []string{"lock-source", "lock-replicas"} {
		do(t, s.S3.CreateBucket, &s3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: aws.Bool(true)})
	}
	versioned(s, "lock-less", "", "", false)
	replicateAs(s, "locker", "lock-source", replicating("all", 1, "lock-replicas"))
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	held := func(in *s3.PutObjectInput) {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
		in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ObjectLockLegalHoldStatus = types.ObjectLockModeGovernance, &until, types.ObjectLockLegalHoldStatusOn
	}
	s.Put("lock-source", "k", "x", held)
	_, replica := isReplica(s, "lock-source", "lock-replicas", "k", "x", applied{"AES256", "", false})
	if replica.ObjectLockMode != types.ObjectLockModeGovernance || !replica.ObjectLockRetainUntilDate.Equal(until) || replica.ObjectLockLegalHoldStatus != types.ObjectLockLegalHoldStatusOn {
		t.Errorf("the replica is held %s until %s, %s", replica.ObjectLockMode, replica.ObjectLockRetainUntilDate, replica.ObjectLockLegalHoldStatus)
	}
	fails(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: aws.String("lock-replicas"), Key: aws.String("k"), VersionId: replica.VersionId}, 403, "AccessDenied", "")
	replicateAs(s, "locker", "lock-source", replicating("all", 1, "lock-less"))
	s.Put("lock-source", "k2", "x", held)
	becomes(s, "lock-source", "k2", types.ReplicationStatusFailed)
	absent(s, "lock-less", "k2")
}

// TestReplicationEvents: whoever wants to know is told why a version was not replicated, if the
// rule has metrics, and of replicas as of any other object.
func TestReplicationEvents(t *testing.T) {
	t.Parallel()
	var hook eventLog
	s := start(t, coffertest.Flags("--notification-target", "hook="+hooked(t, &hook, always).URL))
	from, key := s.Key(), s.Key()
	s.Root().NewRole("replicator", replicatorTrust, document(replicatorObjects+`,{"Effect":"Allow","Action":"kms:Decrypt","Resource":"`+from+`"}`))
	versioned(s, "source", "aws:kms", from, true)
	versioned(s, "replicas", "", "", false)
	versioned(s, "quiet", "", "", false)
	tell := func(bucket string, events ...types.Event) {
		t.Helper()
		do(t, s.S3.PutBucketNotificationConfiguration, &s3.PutBucketNotificationConfigurationInput{Bucket: &bucket, NotificationConfiguration: &types.NotificationConfiguration{
			QueueConfigurations: []types.QueueConfiguration{{QueueArn: aws.String("arn:aws:sqs:us-east-1:" + coffertest.Account + ":hook"), Events: events}},
		}})
	}
	tell("source", "s3:Replication:*")
	tell("replicas", "s3:ObjectCreated:*")
	replicate(s, "source", replicating("told", 1, "replicas", underKey(key), func(r *types.ReplicationRule) {
		r.Destination.Metrics = &types.Metrics{Status: types.MetricsStatusEnabled}
	}), replicating("untold", 2, "quiet", underKey(key)))
	put := s.Put("source", "denied", "body")
	becomes(s, "source", "denied", types.ReplicationStatusFailed)
	hook.await(t, "Replication:OperationFailedReplication denied")
	plain := s.Put("source", "plain", "body", func(in *s3.PutObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAes256 })
	becomes(s, "source", "plain", types.ReplicationStatusCompleted)
	hook.await(t, "Replication:OperationFailedReplication denied", "ObjectCreated:Put plain")

	hook.mu.Lock()
	defer hook.mu.Unlock()
	failed, made := hook.events[0], hook.events[1]
	if o := failed.S3.Object; failed.EventVersion != "2.2" || failed.UserIdentity.PrincipalID != "s3.amazonaws.com" || failed.S3.Bucket.Name != "source" || o.VersionID != *put.VersionId || `"`+o.ETag+`"` != *put.ETag || *o.Size != 4 {
		t.Errorf("the failure is %+v", failed)
	}
	requested, err := time.Parse("2006-01-02T15:04:05.000Z", failed.Replication["requestTime"])
	if err != nil || failed.EventTime.Before(requested) {
		t.Errorf("it was asked for at %v, %v, and failed at %v", requested, err, failed.EventTime)
	}
	delete(failed.Replication, "requestTime")
	readsAs(t, failed.Replication, map[string]string{
		"replicationRuleId": "told", "destinationBucket": "arn:aws:s3:::replicas", "s3Operation": "OBJECT_PUT", "failureReason": "DstPutObjectNotPermitted",
	})
	if made.S3.Bucket.Name != "replicas" || made.S3.Object.VersionID != *plain.VersionId || made.Replication != nil {
		t.Errorf("the replica is told of as %+v", made)
	}
}
