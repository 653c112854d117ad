// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// Replicas go nowhere: neither on to a third bucket nor back.
func testReplicasAreNotReplicated(t *testing.T, s *coffertest.Server) {
	for _, name := range []string{"chain-a", "chain-b", "chain-c"} {
		versioned(s, name, "", "", false)
	}
	replicate(s, "chain-a", replicating("on", 1, "chain-b"))
	replicate(s, "chain-b", replicating("on", 1, "chain-c"), replicating("back", 2, "chain-a"))
	sseS3 := applied{"AES256", "", false}
	s.Put("chain-a", "from-a", "a")
	isReplica(s, "chain-a", "chain-b", "from-a", "a", sseS3)
	s.Put("chain-b", "from-b", "b")
	isReplica(s, "chain-b", "chain-a", "from-b", "b", sseS3)
	isReplica(s, "chain-b", "chain-c", "from-b", "b", sseS3)
	absent(s, "chain-c", "from-a")
	for _, name := range []string{"chain-a", "chain-b"} {
		if got := do(t, s.S3.ListObjectVersions, &s3.ListObjectVersionsInput{Bucket: &name}).Versions; len(got) != 2 {
			t.Errorf("%s has %d versions", name, len(got))
		}
	}
}

// UpdateObjectEncryption of a source is no event of replication, and that of a replica stays
// when other changes come.
func testEncryptionChangesAreNotReplicated(t *testing.T, s *coffertest.Server) {
	key, other := s.Key(), s.Key()
	versioned(s, "update-source", "aws:kms", s.Key(), false)
	versioned(s, "update-replicas", "", "", false)
	replicate(s, "update-source", replicating("all", 1, "update-replicas", underKey(key)))
	s.Put("update-source", "k", "body")
	isReplica(s, "update-source", "update-replicas", "k", "body", applied{"aws:kms", key, false})
	if err := tryUpdate(s, "update-source/k", "", other, true); err != nil {
		t.Fatal(err)
	}
	if got, out := head(s, "update-source", "k"); got != (applied{"aws:kms", other, true}) || out.ReplicationStatus != types.ReplicationStatusCompleted {
		t.Errorf("the source has %s and is %q", got, out.ReplicationStatus)
	}
	s.Put("update-source", "later", "more")
	isReplica(s, "update-source", "update-replicas", "later", "more", applied{"aws:kms", key, false})
	isReplica(s, "update-source", "update-replicas", "k", "body", applied{"aws:kms", key, false})

	if err := tryUpdate(s, "update-replicas/k", "", other, true); err != nil {
		t.Fatal(err)
	}
	tag := []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}
	do(t, s.S3.PutObjectTagging, &s3.PutObjectTaggingInput{Bucket: aws.String("update-source"), Key: aws.String("k"), Tagging: &types.Tagging{TagSet: tag}})
	isReplica(s, "update-source", "update-replicas", "k", "body", applied{"aws:kms", other, true})
	readsAs(t, do(t, s.S3.GetObjectTagging, &s3.GetObjectTaggingInput{Bucket: aws.String("update-replicas"), Key: aws.String("k")}).TagSet, tag)
}

// Of two destinations one takes no replicas any more: that fails the object, and the other one
// has it all the same.
func testReplicationToSeveralBuckets(t *testing.T, s *coffertest.Server) {
	for _, name := range []string{"many-source", "many-good", "many-bad"} {
		versioned(s, name, "", "", false)
	}
	replicate(s, "many-source", replicating("good", 1, "many-good"), replicating("bad", 2, "many-bad"))
	s.Put("many-source", "both", "x")
	sseS3 := applied{"AES256", "", false}
	isReplica(s, "many-source", "many-good", "both", "x", sseS3)
	isReplica(s, "many-source", "many-bad", "both", "x", sseS3)

	s.Versioning("many-bad", types.BucketVersioningStatusSuspended)
	s.Put("many-source", "one", "y")
	coffertest.Eventually(t, "the failure", func() bool {
		_, out := head(s, "many-source", "one")
		return out.ReplicationStatus == types.ReplicationStatusFailed
	})
	coffertest.Eventually(t, "the good replica", func() bool {
		_, err := s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("many-good"), Key: aws.String("one")})
		return err == nil
	})
	becomes(s, "many-source", "one", types.ReplicationStatusFailed)
	becomes(s, "many-good", "one", types.ReplicationStatusReplica)
	absent(s, "many-bad", "one")
}

// The server keeps no key of a customer: what is under one cannot be replicated.
func testReplicationOfCustomersKeys(t *testing.T, s *coffertest.Server) {
	versioned(s, "ssec-source", "", "", false)
	versioned(s, "ssec-replicas", "", "", false)
	unblock(s, "ssec-source")
	replicate(s, "ssec-source", replicating("all", 1, "ssec-replicas"))
	c := customerOf(keyA)
	s.Put("ssec-source", "k", "body", c.put)
	becomes(s, "ssec-source", "k", types.ReplicationStatusFailed, func(in *s3.HeadObjectInput) {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
	})
	absent(s, "ssec-replicas", "k")
}

// A completed upload keeps its parts, its ETag and its checksums.
func testReplicasOfUploads(t *testing.T, s *coffertest.Server) {
	key := s.Key()
	versioned(s, "upload-source", "aws:kms", s.Key(), true)
	versioned(s, "upload-replicas", "", "", false)
	replicate(s, "upload-source", replicating("all", 1, "upload-replicas", underKey(key)))
	b, k := aws.String("upload-source"), aws.String("k")
	parts := []string{strings.Repeat("a", 5<<20), "the end"}
	upload := do(t, s.S3.CreateMultipartUpload, &s3.CreateMultipartUploadInput{Bucket: b, Key: k}).UploadId
	var done []types.CompletedPart
	for i, text := range parts {
		n := aws.Int32(int32(i) + 1)
		part := do(t, s.S3.UploadPart, &s3.UploadPartInput{Bucket: b, Key: k, UploadId: upload, PartNumber: n, Body: strings.NewReader(text)})
		done = append(done, types.CompletedPart{PartNumber: n, ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32})
	}
	do(t, s.S3.CompleteMultipartUpload, &s3.CompleteMultipartUploadInput{Bucket: b, Key: k, UploadId: upload, MultipartUpload: &types.CompletedMultipartUpload{Parts: done}})
	source, replica := isReplica(s, "upload-source", "upload-replicas", "k", parts[0]+parts[1], applied{"aws:kms", key, true})
	if *replica.ETag != *source.ETag || !strings.HasSuffix(*replica.ETag, `-2"`) {
		t.Errorf("the ETag is %s, the source's %s", *replica.ETag, *source.ETag)
	}
	var about [2]*s3.GetObjectAttributesOutput
	for i, bucket := range []string{"upload-source", "upload-replicas"} {
		if got, out := s.Get(bucket, "k", func(in *s3.GetObjectInput) { in.PartNumber = aws.Int32(2) }); got != parts[1] || aws.ToInt32(out.PartsCount) != 2 {
			t.Errorf("the last part in %s reads %q, of %d", bucket, got, aws.ToInt32(out.PartsCount))
		}
		about[i] = do(t, s.S3.GetObjectAttributes, &s3.GetObjectAttributesInput{Bucket: &bucket, Key: k, ObjectAttributes: []types.ObjectAttributes{
			types.ObjectAttributesChecksum, types.ObjectAttributesObjectParts, types.ObjectAttributesEtag, types.ObjectAttributesObjectSize,
		}})
	}
	readsAs(t, about[1].Checksum, about[0].Checksum)
	readsAs(t, about[1].ObjectParts, about[0].ObjectParts)
}

// Delete markers are replicated by rules that say so, deleted versions by none.
func testReplicatedDeleteMarkers(t *testing.T, s *coffertest.Server) {
	for _, name := range []string{"marker-source", "marker-on", "marker-off"} {
		versioned(s, name, "", "", false)
	}
	replicate(s, "marker-source", replicating("off", 1, "marker-off"), replicating("on", 2, "marker-on", func(r *types.ReplicationRule) {
		r.DeleteMarkerReplication.Status = types.DeleteMarkerReplicationStatusEnabled
	}))
	sseS3 := applied{"AES256", "", false}
	for _, key := range []string{"k", "kept"} {
		s.Put("marker-source", key, "x")
		isReplica(s, "marker-source", "marker-on", key, "x", sseS3)
		isReplica(s, "marker-source", "marker-off", key, "x", sseS3)
	}
	b := aws.String("marker-source")
	_, kept := head(s, "marker-source", "kept")
	do(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: b, Key: aws.String("kept"), VersionId: kept.VersionId})
	marker := do(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: b, Key: aws.String("k")}).VersionId
	markers := func(bucket string) []types.DeleteMarkerEntry {
		return do(t, s.S3.ListObjectVersions, &s3.ListObjectVersionsInput{Bucket: &bucket}).DeleteMarkers
	}
	coffertest.Eventually(t, "the marker", func() bool { return len(markers("marker-on")) > 0 })
	if got := markers("marker-on"); len(got) != 1 || *got[0].VersionId != *marker || *got[0].Key != "k" || !*got[0].IsLatest {
		t.Errorf("there are markers %+v, want %s", got, *marker)
	}
	// Behind them, in both destinations.
	s.Put("marker-source", "last", "x")
	isReplica(s, "marker-source", "marker-off", "last", "x", sseS3)
	if got := markers("marker-off"); len(got) != 0 {
		t.Errorf("there are markers %+v", got)
	}
	for _, bucket := range []string{"marker-on", "marker-off"} {
		if _, out := head(s, bucket, "kept"); *out.VersionId != *kept.VersionId {
			t.Errorf("%s has version %s", bucket, *out.VersionId)
		}
	}
}

// Rules choose by prefix, tags and priority, and changes of tags follow.
func testReplicationRules(t *testing.T, s *coffertest.Server) {
	for _, name := range []string{"rules-source", "rules-replicas"} {
		versioned(s, name, "", "", false)
	}
	tag := types.Tag{Key: aws.String("copy"), Value: aws.String("yes")}
	replicate(s, "rules-source",
		replicating("low", 1, "rules-replicas", func(r *types.ReplicationRule) {
			r.Filter, r.Destination.StorageClass = &types.ReplicationRuleFilter{Prefix: aws.String("a/")}, types.StorageClassGlacierIr
		}),
		replicating("high", 2, "rules-replicas", func(r *types.ReplicationRule) {
			r.Filter, r.Destination.StorageClass = &types.ReplicationRuleFilter{Tag: &tag}, types.StorageClassStandardIa
		}),
		replicating("off", 3, "rules-replicas", func(r *types.ReplicationRule) { r.Status = types.ReplicationRuleStatusDisabled }),
	)
	s.Put("rules-source", "b/plain", "x")
	untold(s, "rules-source", "b/plain")
	tagged := func(in *s3.PutObjectInput) { in.Tagging = aws.String("copy=yes") }
	s.Put("rules-source", "b/tagged", "x", tagged)
	s.Put("rules-source", "a/tagged", "x", tagged)
	s.Put("rules-source", "a/plain", "x")
	sseS3 := applied{"AES256", "", false}
	for key, class := range map[string]types.StorageClass{"b/tagged": types.StorageClassStandardIa, "a/tagged": types.StorageClassStandardIa, "a/plain": types.StorageClassGlacierIr} {
		if _, replica := isReplica(s, "rules-source", "rules-replicas", key, "x", sseS3); replica.StorageClass != class {
			t.Errorf("%s is %s, want %s", key, replica.StorageClass, class)
		}
	}
	absent(s, "rules-replicas", "b/plain")

	set := []types.Tag{{Key: aws.String("team"), Value: aws.String("red")}}
	do(t, s.S3.PutObjectTagging, &s3.PutObjectTaggingInput{Bucket: aws.String("rules-source"), Key: aws.String("a/plain"), Tagging: &types.Tagging{TagSet: set}})
	coffertest.Eventually(t, "the change of tags", func() bool {
		got := do(t, s.S3.GetObjectTagging, &s3.GetObjectTaggingInput{Bucket: aws.String("rules-replicas"), Key: aws.String("a/plain")}).TagSet
		return slices.EqualFunc(got, set, func(a, b types.Tag) bool { return *a.Key == *b.Key && *a.Value == *b.Value })
	})
	becomes(s, "rules-source", "a/plain", types.ReplicationStatusCompleted)
	if got := do(t, s.S3.ListObjectVersions, &s3.ListObjectVersionsInput{Bucket: aws.String("rules-replicas"), Prefix: aws.String("a/plain")}).Versions; len(got) != 1 {
		t.Errorf("the replica has %d versions", len(got))
	}

	// A configuration that is gone replicates nothing.
	do(t, s.S3.DeleteBucketReplication, &s3.DeleteBucketReplicationInput{Bucket: aws.String("rules-source")})
	s.Put("rules-source", "a/late", "x")
	untold(s, "rules-source", "a/late")
	if _, out := head(s, "rules-source", "a/tagged"); out.ReplicationStatus != types.ReplicationStatusCompleted {
		t.Errorf("a/tagged is %q", out.ReplicationStatus)
	}
}
