// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// replicatorTrust is the trust policy of roles for replication.
var replicatorTrust = document(`{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"sts:AssumeRole"}`)

// What S3's guide gives such a role: objects, and keys of both sides (S3 User Guide, "Setting
// up permissions for live replication", "Replicating encrypted objects").
const (
	replicatorObjects = `{"Effect":"Allow","Action":["s3:GetReplicationConfiguration","s3:ListBucket","s3:GetObjectVersionForReplication","s3:GetObjectVersionAcl","s3:GetObjectVersionTagging"],"Resource":"*"},` +
		`{"Effect":"Allow","Action":["s3:ReplicateObject","s3:ReplicateDelete","s3:ReplicateTags"],"Resource":"*"}`
	replicatorKeys = `{"Effect":"Allow","Action":["kms:Decrypt","kms:Encrypt"],"Resource":"*"}`
)

// replicatorSession is who asks for keys when objects are replicated.
const replicatorSession = "arn:aws:sts::" + coffertest.Account + ":assumed-role/replicator/s3-replication"

// TestReplication: what is put into one bucket comes to be in others, encrypted as it was.
func TestReplication(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Root().NewRole("replicator", replicatorTrust, document(replicatorObjects+","+replicatorKeys))
	together(t, s,
		testReplicasKeepBucketKeys,
		testReplicasOfUnencryptedObjects,
		testReplicasOfSSES3Objects,
		testReplicasWithoutBucketKey,
		testKMSObjectsAreReplicatedOnDemand,
		testReplicationUnderAKeyPolicy,
		testReplicasAreNotReplicated,
		testEncryptionChangesAreNotReplicated,
		testReplicationToSeveralBuckets,
		testReplicationOfCustomersKeys,
		testReplicasOfUploads,
		testReplicatedDeleteMarkers,
		testReplicationRules,
		testReplicationByRolesThatMayNot,
		testReplicationToAnotherAccount,
		testChangesOfReplicas,
		testReplicationIsPaused,
		testReplicationIsRecorded,
		testReplicasUnderObjectLock,
	)
}

// versioned makes a bucket with versioning.
func versioned(s *coffertest.Server, name, algorithm, key string, bucketKey bool) {
	s.T.Helper()
	s.Bucket(name, algorithm, key, bucketKey)
	s.Versioning(name, types.BucketVersioningStatusEnabled)
}

// replicate puts a configuration, of the role that may.
func replicate(s *coffertest.Server, from string, rules ...types.ReplicationRule) {
	s.T.Helper()
	replicateAs(s, "replicator", from, rules...)
}

func replicateAs(s *coffertest.Server, role, from string, rules ...types.ReplicationRule) {
	s.T.Helper()
	do(s.T, s.S3.PutBucketReplication, &s3.PutBucketReplicationInput{Bucket: &from, ReplicationConfiguration: &types.ReplicationConfiguration{Role: roleARN(role), Rules: rules}})
}

// becomes waits until the object tells that status of its replication.
func becomes(s *coffertest.Server, bucket, key string, want types.ReplicationStatus, edit ...func(*s3.HeadObjectInput)) *s3.HeadObjectOutput {
	s.T.Helper()
	in := &s3.HeadObjectInput{Bucket: &bucket, Key: &key}
	for _, e := range edit {
		e(in)
	}
	out := do(s.T, s.S3.HeadObject, in)
	coffertest.Eventually(s.T, "replication of "+bucket+"/"+key, func() bool {
		out = do(s.T, s.S3.HeadObject, in)
		return out.ReplicationStatus != types.ReplicationStatusPending
	})
	if out.ReplicationStatus != want {
		s.T.Errorf("%s/%s is %q, want %q", bucket, key, out.ReplicationStatus, want)
	}
	return out
}

// isReplica checks that a bucket has the replica of an object, encrypted so; what comes back is
// the source's and the replica's answer to HEAD.
func isReplica(s *coffertest.Server, from, to, key, body string, want applied) (source, replica *s3.HeadObjectOutput) {
	s.T.Helper()
	source = becomes(s, from, key, types.ReplicationStatusCompleted)
	replica = becomes(s, to, key, types.ReplicationStatusReplica)
	if got := of(replica.ServerSideEncryption, replica.SSEKMSKeyId, replica.BucketKeyEnabled); got != want {
		s.T.Errorf("the replica %s/%s has %s, want %s", to, key, got, want)
	}
	if *replica.VersionId != *source.VersionId || !replica.LastModified.Equal(*source.LastModified) {
		s.T.Errorf("the replica %s/%s is version %s of %s, its source %s of %s", to, key, *replica.VersionId, replica.LastModified, *source.VersionId, source.LastModified)
	}
	if got, out := s.Get(to, key); got != body || out.ReplicationStatus != types.ReplicationStatusReplica {
		s.T.Errorf("the replica %s/%s reads %q, %q, want %q", to, key, got, out.ReplicationStatus, body)
	}
	return source, replica
}

// absent checks that a bucket has no such object.
func absent(s *coffertest.Server, bucket, key string) {
	s.T.Helper()
	fails(s.T, s.S3.HeadObject, &s3.HeadObjectInput{Bucket: &bucket, Key: &key}, 404, "NotFound", "")
}

// untold checks that an object tells nothing of replication.
func untold(s *coffertest.Server, bucket, key string) {
	s.T.Helper()
	if _, out := head(s, bucket, key); out.ReplicationStatus != "" {
		s.T.Errorf("%s/%s is %s", bucket, key, out.ReplicationStatus)
	}
}

// requestsFor returns what S3 asked the KMS for about a key, each sort once, and by whom, in
// order: "GenerateDataKey arn:aws:s3:::b by ARN".
func requestsFor(s *coffertest.Server, key string) (out []string) {
	s.T.Helper()
	for _, r := range s.KMSRequests() {
		if len(r.Resources) == 1 && r.Resources[0].ARN == key {
			context, _ := r.RequestParameters["encryptionContext"].(map[string]any)
			out = append(out, fmt.Sprintf("%s %v by %s", r.EventName, context["aws:s3:arn"], r.UserIdentity.ARN))
		}
	}
	return out
}

// A source with a bucket key, a destination whose default has none: replicas are under the
// rule's key, with a bucket key, and the default stays what it is.
func testReplicasKeepBucketKeys(t *testing.T, s *coffertest.Server) {
	from, key, other := s.Key(), s.Key(), s.Key()
	versioned(s, "k1-source", "aws:kms", from, true)
	versioned(s, "k1-replicas", "aws:kms", other, false)
	before := do(t, s.S3.GetBucketEncryption, &s3.GetBucketEncryptionInput{Bucket: aws.String("k1-replicas")}).ServerSideEncryptionConfiguration
	s.Put("k1-source", "before", "x")
	replicate(s, "k1-source", replicating("all", 1, "k1-replicas", underKey(key)))

	const n = 20
	for i := range n {
		s.Put("k1-source", fmt.Sprint("k", i), fmt.Sprint("body ", i), func(in *s3.PutObjectInput) {
			in.ContentType, in.Metadata, in.Tagging = aws.String("text/x-of-its-own"), map[string]string{"team": "red"}, aws.String("a=b")
			in.StorageClass = types.StorageClassStandardIa
		})
	}
	for i := range n {
		at := fmt.Sprint("k", i)
		source, replica := isReplica(s, "k1-source", "k1-replicas", at, fmt.Sprint("body ", i), applied{"aws:kms", key, true})
		if *replica.ETag != *source.ETag || *replica.ContentType != "text/x-of-its-own" || replica.Metadata["team"] != "red" || replica.StorageClass != types.StorageClassStandardIa || aws.ToInt32(replica.TagCount) != 1 {
			t.Errorf("the replica is %+v\nof %+v", replica, source)
		}
	}
	readsAs(t, do(t, s.S3.GetBucketEncryption, &s3.GetBucketEncryptionInput{Bucket: aws.String("k1-replicas")}).ServerSideEncryptionConfiguration, before)
	// What was there before is not replicated, and says nothing of it.
	untold(s, "k1-source", "before")
	absent(s, "k1-replicas", "before")

	// Both sides are asked for the buckets, by the role, and seldom.
	count := func(key, want string) (n int) {
		for _, r := range requestsFor(s, key) {
			if r == want {
				n++
			}
		}
		return n
	}
	if got := count(key, "GenerateDataKey arn:aws:s3:::k1-replicas by "+replicatorSession); got == 0 || got > n/4 {
		t.Errorf("%d bucket keys were made for %d replicas: %q", got, n, requestsFor(s, key))
	}
	if got := count(from, "Decrypt arn:aws:s3:::k1-source by "+replicatorSession); got == 0 || got > n/4 {
		t.Errorf("%d bucket keys were opened for %d sources: %q", got, n, requestsFor(s, from))
	}
	if got := requestsFor(s, other); len(got) != 0 {
		t.Errorf("the default's key was asked for: %q", got)
	}
}

// An object that is not encrypted takes the default of the destination, and another ETag.
func testReplicasOfUnencryptedObjects(t *testing.T, s *coffertest.Server) {
	key := s.Key()
	versioned(s, "n-source", "", "", false)
	versioned(s, "n-replicas", "aws:kms", key, true)
	legacy(s, "n-source", true)
	replicate(s, "n-source", replicating("all", 1, "n-replicas"))
	s.Put("n-source", "k", "in the clear")
	source, replica := isReplica(s, "n-source", "n-replicas", "k", "in the clear", applied{"aws:kms", key, true})
	if source.ServerSideEncryption != "" || *source.ETag != etagOf("in the clear") || *replica.ETag == *source.ETag {
		t.Errorf("the source has %q and ETag %s, the replica %s", source.ServerSideEncryption, *source.ETag, *replica.ETag)
	}
	if got, want := requestsFor(s, key), "GenerateDataKey arn:aws:s3:::n-replicas by "+replicatorSession; len(got) == 0 || got[0] != want {
		t.Errorf("the KMS was asked %q, want %q", got, want)
	}
}

// An SSE-S3 object stays one, and no KMS key is asked for.
func testReplicasOfSSES3Objects(t *testing.T, s *coffertest.Server) {
	key := s.Key()
	versioned(s, "s3-source", "AES256", "", false)
	versioned(s, "s3-replicas", "aws:kms", key, true)
	replicate(s, "s3-source", replicating("all", 1, "s3-replicas"))
	s.Put("s3-source", "k", "body")
	if source, replica := isReplica(s, "s3-source", "s3-replicas", "k", "body", applied{"AES256", "", false}); *replica.ETag != *source.ETag {
		t.Errorf("the ETag is %s, the source's %s", *replica.ETag, *source.ETag)
	}
	if got := requestsFor(s, key); len(got) != 0 {
		t.Errorf("the KMS was asked %q", got)
	}
}

// A source without a bucket key stays without, whatever the default of the destination.
func testReplicasWithoutBucketKey(t *testing.T, s *coffertest.Server) {
	from, key, other := s.Key(), s.Key(), s.Key()
	versioned(s, "k0-source", "aws:kms", from, false)
	versioned(s, "k0-replicas", "aws:kms", other, true)
	replicate(s, "k0-source", replicating("all", 1, "k0-replicas", underKey(key)))
	s.Put("k0-source", "k", "body")
	_, replica := isReplica(s, "k0-source", "k0-replicas", "k", "body", applied{"aws:kms", key, false})
	if replica.BucketKeyEnabled != nil {
		t.Errorf("the replica tells of a bucket key: %t", *replica.BucketKeyEnabled)
	}
	if got, want := requestsFor(s, key), "GenerateDataKey arn:aws:s3:::k0-replicas/k by "+replicatorSession; len(got) == 0 || got[0] != want {
		t.Errorf("the KMS was asked %q, want %q", got, want)
	}
}

// SSE-KMS objects are replicated by rules that say so, and else tell nothing of it.
func testKMSObjectsAreReplicatedOnDemand(t *testing.T, s *coffertest.Server) {
	versioned(s, "kms-source", "aws:kms", s.Key(), true)
	versioned(s, "kms-replicas", "", "", false)
	off := func(r *types.ReplicationRule) {
		underKey(s.Key())(r)
		r.SourceSelectionCriteria.SseKmsEncryptedObjects.Status = types.SseKmsEncryptedObjectsStatusDisabled
	}
	for i, rule := range []types.ReplicationRule{replicating("r", 1, "kms-replicas"), replicating("r", 1, "kms-replicas", off)} {
		replicate(s, "kms-source", rule)
		secret, plain := fmt.Sprint("secret", i), fmt.Sprint("plain", i)
		s.Put("kms-source", secret, "x")
		untold(s, "kms-source", secret)
		s.Put("kms-source", plain, "y", func(in *s3.PutObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAes256 })
		isReplica(s, "kms-source", "kms-replicas", plain, "y", applied{"AES256", "", false})
		untold(s, "kms-source", secret)
		absent(s, "kms-replicas", secret)
	}
}

// A key policy for the contexts of objects does not let a bucket key be made, one for the
// bucket's does. What failed is not tried again.
func testReplicationUnderAKeyPolicy(t *testing.T, s *coffertest.Server) {
	from, key := s.Key(), s.Key()
	s.Root().NewRole("keyless", replicatorTrust, document(replicatorObjects+`,{"Effect":"Allow","Action":"kms:Decrypt","Resource":"`+from+`"}`))
	versioned(s, "policy-source", "aws:kms", from, true)
	versioned(s, "policy-replicas", "", "", false)
	replicateAs(s, "keyless", "policy-source", replicating("all", 1, "policy-replicas", underKey(key)))
	set := func(condition string) {
		t.Helper()
		root := `{"Effect":"Allow","Principal":{"AWS":"` + coffertest.Account + `"},"Action":["kms:PutKeyPolicy","kms:Describe*","kms:Decrypt"],"Resource":"*"}`
		role := `{"Effect":"Allow","Principal":{"AWS":"` + *roleARN("keyless") + `"},"Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"*","Condition":` + condition + `}`
		do(t, s.KMS.PutKeyPolicy, &kms.PutKeyPolicyInput{KeyId: &key, Policy: aws.String(document(root + "," + role))})
	}
	set(`{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::policy-replicas/*"}}`)
	s.Put("policy-source", "k1", "one")
	becomes(s, "policy-source", "k1", types.ReplicationStatusFailed)
	absent(s, "policy-replicas", "k1")
	set(`{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::policy-replicas"}}`)
	s.Put("policy-source", "k2", "two")
	isReplica(s, "policy-source", "policy-replicas", "k2", "two", applied{"aws:kms", key, true})
	becomes(s, "policy-source", "k1", types.ReplicationStatusFailed)
	absent(s, "policy-replicas", "k1")
}
