// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

const lockText = "Access Denied because object protected by object lock."

// lockBucket makes a bucket with Object Lock.
func lockBucket(s *coffertest.Server, name string) *string {
	s.T.Helper()
	do(s.T, s.S3.CreateBucket, &s3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: aws.Bool(true)})
	return &name
}

// lockDefault sets a bucket's default retention.
func lockDefault(s *coffertest.Server, name string, mode types.ObjectLockRetentionMode, days int32) {
	s.T.Helper()
	do(s.T, s.S3.PutObjectLockConfiguration, &s3.PutObjectLockConfigurationInput{Bucket: &name, ObjectLockConfiguration: &types.ObjectLockConfiguration{
		ObjectLockEnabled: types.ObjectLockEnabledEnabled,
		Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: mode, Days: &days}},
	}})
}

// summed sends a checksum with what is put, as bytes that will be locked need.
func summed(in *s3.PutObjectInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32 }

func TestObjectLock(t *testing.T) {
	t.Parallel()
	s := start(t)
	bucket := lockBucket(s, "locks")
	if out := do(t, s.S3.GetBucketVersioning, &s3.GetBucketVersioningInput{Bucket: bucket}); out.Status != types.BucketVersioningStatusEnabled {
		t.Errorf("versioning is %q", out.Status)
	}
	fails(t, s.S3.PutBucketVersioning, &s3.PutBucketVersioningInput{Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended}},
		409, "InvalidBucketState", "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
	lockDefault(s, "locks", types.ObjectLockRetentionModeGovernance, 2)
	if c := do(t, s.S3.GetObjectLockConfiguration, &s3.GetObjectLockConfigurationInput{Bucket: bucket}).ObjectLockConfiguration; aws.ToInt32(c.Rule.DefaultRetention.Days) != 2 {
		t.Errorf("default retention %+v", c.Rule.DefaultRetention)
	}

	before := time.Now()
	first := s.Put("locks", "k", "one", summed)
	head := do(t, s.S3.HeadObject, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("k")})
	until := aws.ToTime(head.ObjectLockRetainUntilDate)
	if head.ObjectLockMode != types.ObjectLockModeGovernance || until.Before(before.Add(48*time.Hour).Truncate(time.Millisecond)) || until.After(time.Now().Add(48*time.Hour)) || head.ObjectLockLegalHoldStatus != "" {
		t.Errorf("default: %q until %v, hold %q", head.ObjectLockMode, until, head.ObjectLockLegalHoldStatus)
	}
	// A copy has its own lock, in an answer that says nothing of it.
	later := time.Now().Add(72 * time.Hour).Truncate(time.Second).UTC()
	do(t, s.S3.CopyObject, &s3.CopyObjectInput{
		Bucket: bucket, Key: aws.String("copy"), CopySource: aws.String("locks/k"),
		ObjectLockMode: types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: &later, ObjectLockLegalHoldStatus: types.ObjectLockLegalHoldStatusOn,
	})
	copied := do(t, s.S3.GetObject, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("copy")})
	copied.Body.Close()
	if copied.ObjectLockMode != types.ObjectLockModeCompliance || !aws.ToTime(copied.ObjectLockRetainUntilDate).Equal(later) || copied.ObjectLockLegalHoldStatus != types.ObjectLockLegalHoldStatusOn {
		t.Errorf("copy: %+v", copied)
	}
	if got := do(t, s.S3.GetObjectRetention, &s3.GetObjectRetentionInput{Bucket: bucket, Key: aws.String("copy")}).Retention; got.Mode != types.ObjectLockRetentionModeCompliance || !got.RetainUntilDate.Equal(later) {
		t.Errorf("retention of the copy: %+v", got)
	}
	up := do(t, s.S3.CreateMultipartUpload, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: aws.String("parts"), ObjectLockLegalHoldStatus: types.ObjectLockLegalHoldStatusOff, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
	part := do(t, s.S3.UploadPart, &s3.UploadPartInput{Bucket: bucket, Key: aws.String("parts"), UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("part"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
	do(t, s.S3.CompleteMultipartUpload, &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: aws.String("parts"), UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{
		Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32}},
	}})
	if out := do(t, s.S3.HeadObject, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("parts")}); out.ObjectLockMode != types.ObjectLockModeGovernance || out.ObjectLockLegalHoldStatus != types.ObjectLockLegalHoldStatusOff {
		t.Errorf("upload: %q, %q", out.ObjectLockMode, out.ObjectLockLegalHoldStatus)
	}
	posted := form{bucket: "locks", key: "posted", body: "x", fields: append(md5Header("x"), "x-amz-object-lock-legal-hold", "ON")}.send(s)
	if posted.status/100 != 2 {
		t.Errorf("form: %d %s", posted.status, posted.body)
	}
	if out := do(t, s.S3.GetObjectLegalHold, &s3.GetObjectLegalHoldInput{Bucket: bucket, Key: aws.String("posted")}); out.LegalHold.Status != types.ObjectLockLegalHoldStatusOn {
		t.Errorf("legal hold of the form's: %q", out.LegalHold.Status)
	}

	// Overwriting and deleting hide what is locked, and remove nothing.
	second := s.Put("locks", "k", "two", summed)
	marker := do(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("k")})
	if !aws.ToBool(marker.DeleteMarker) {
		t.Error("no delete marker")
	}
	for _, id := range []*string{first.VersionId, second.VersionId} {
		fails(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("k"), VersionId: id}, 403, "AccessDenied", lockText)
	}
	out := do(t, s.S3.DeleteObjects, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{
		{Key: aws.String("k"), VersionId: first.VersionId}, {Key: aws.String("k"), VersionId: marker.VersionId},
	}}})
	if len(out.Errors) != 1 || *out.Errors[0].Code != "AccessDenied" || *out.Errors[0].Message != lockText || *out.Errors[0].VersionId != *first.VersionId || len(out.Deleted) != 1 {
		t.Errorf("of a version and a marker: %+v, %+v", out.Errors, out.Deleted)
	}
	fails(t, s.S3.DeleteBucket, &s3.DeleteBucketInput{Bucket: bucket}, 409, "BucketNotEmpty", "")

	// The retention may become longer, not shorter, nor may the encryption change.
	longer := until.Add(time.Hour)
	retain := func(key string, mode types.ObjectLockRetentionMode, at time.Time, bypass bool) *s3.PutObjectRetentionInput {
		return &s3.PutObjectRetentionInput{
			Bucket: bucket, Key: &key, BypassGovernanceRetention: &bypass,
			Retention: &types.ObjectLockRetention{Mode: mode, RetainUntilDate: &at},
		}
	}
	do(t, s.S3.PutObjectRetention, retain("k", types.ObjectLockRetentionModeGovernance, longer, false))
	fails(t, s.S3.PutObjectRetention, retain("k", types.ObjectLockRetentionModeGovernance, until, false), 403, "AccessDenied", lockText)
	do(t, s.S3.PutObjectRetention, retain("k", types.ObjectLockRetentionModeGovernance, until, true))
	fails(t, s.S3.PutObjectRetention, retain("copy", types.ObjectLockRetentionModeCompliance, until, true), 403, "AccessDenied", lockText)
	wantCode(t, tryUpdate(s, "locks/k", "", s.Key(), true), 403, "AccessDenied")
	do(t, s.S3.PutObjectLegalHold, &s3.PutObjectLegalHoldInput{Bucket: bucket, Key: aws.String("k"), LegalHold: &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOn}})
	do(t, s.S3.PutObjectRetention, &s3.PutObjectRetentionInput{Bucket: bucket, Key: aws.String("k"), Retention: &types.ObjectLockRetention{}, BypassGovernanceRetention: aws.Bool(true)})
	fails(t, s.S3.GetObjectRetention, &s3.GetObjectRetentionInput{Bucket: bucket, Key: aws.String("k")}, 404, "NoSuchObjectLockConfiguration", "")
	wantCode(t, tryUpdate(s, "locks/k", "", s.Key(), true), 403, "AccessDenied") // vector 24
	bypassed := &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("k"), VersionId: second.VersionId, BypassGovernanceRetention: aws.Bool(true)}
	fails(t, s.S3.DeleteObject, bypassed, 403, "AccessDenied", lockText)
	do(t, s.S3.PutObjectLegalHold, &s3.PutObjectLegalHoldInput{Bucket: bucket, Key: aws.String("k"), LegalHold: &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOff}})
	if err := tryUpdate(s, "locks/k", "", s.Key(), true); err != nil {
		t.Errorf("update of what is not locked: %v", err)
	}
	do(t, s.S3.DeleteObject, bypassed)
	bypassed.VersionId = first.VersionId
	do(t, s.S3.DeleteObject, bypassed)
	if got := versions(s, "locks"); got != "copy=one*, parts=part*, posted=x*" {
		t.Errorf("what is left: %s", got)
	}
	s.Restart()
	fails(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("copy"), VersionId: copied.VersionId, BypassGovernanceRetention: aws.Bool(true)}, 403, "AccessDenied", lockText)
}

// Who may set a lock, see it, bypass it.
func TestPermissionsOfLocks(t *testing.T) {
	t.Parallel()
	s := start(t)
	ctx := context.Background()
	root := rootOf(s)
	bucket := lockBucket(s, "locks")
	const in = `,"Resource":["arn:aws:s3:::locks","arn:aws:s3:::locks/*"]}`
	plain := root.user("plain", `{"Effect":"Allow","Action":["s3:PutObject","s3:GetObject*","s3:DeleteObject*","s3:ListBucket"]`+in+
		`,{"Effect":"Deny","Action":["s3:GetObjectRetention","s3:GetObjectLegalHold"]`+in)
	keeper := root.user("keeper", `{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:BypassGovernanceRetention","Resource":"*"}`)
	maker := root.user("maker", `{"Effect":"Allow","Action":["s3:CreateBucket","s3:PutBucketVersioning"],"Resource":"*"}`)
	at := time.Now().Add(100 * time.Hour).UTC().Truncate(time.Second)
	lock := func(in *s3.PutObjectInput) {
		summed(in)
		in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ObjectLockLegalHoldStatus = types.ObjectLockModeGovernance, &at, types.ObjectLockLegalHoldStatusOff
	}
	because := func(action string) outcome {
		return outcome{403, "AccessDenied", "is not authorized to perform: " + action}
	}

	allowed.check(t, "put", plain.put("locks", "bare"))
	because("s3:PutObjectRetention").check(t, "put with a lock", plain.put("locks", "k", lock))
	because("s3:PutObjectLegalHold").check(t, "put with a hold", plain.put("locks", "k", func(in *s3.PutObjectInput) { in.ObjectLockLegalHoldStatus = types.ObjectLockLegalHoldStatusOn }))
	allowed.check(t, "put with a lock, who may", keeper.put("locks", "k", lock))

	for who, shown := range map[*person]bool{plain: false, keeper: true} {
		out := do(t, who.S3.HeadObject, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("k")})
		if (out.ObjectLockMode != "") != shown || (out.ObjectLockRetainUntilDate != nil) != shown || (out.ObjectLockLegalHoldStatus != "") != shown {
			t.Errorf("shown %t: %q, %v, %q", shown, out.ObjectLockMode, out.ObjectLockRetainUntilDate, out.ObjectLockLegalHoldStatus)
		}
	}
	_, err := plain.S3.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: bucket, Key: aws.String("k")})
	because("s3:GetObjectRetention").check(t, "get the retention", err)

	id := do(t, s.S3.HeadObject, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("k")}).VersionId
	remove := func(who *person, key string, id *string) error {
		_, err := who.S3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: &key, VersionId: id, BypassGovernanceRetention: aws.Bool(true)})
		return err
	}
	because("s3:BypassGovernanceRetention").check(t, "bypass", remove(keeper, "k", id))
	shorter := at.Add(-time.Hour)
	_, err = keeper.S3.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{
		Bucket: bucket, Key: aws.String("k"), Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeGovernance, RetainUntilDate: &shorter}, BypassGovernanceRetention: aws.Bool(true),
	})
	because("s3:BypassGovernanceRetention").check(t, "bypass to shorten", err)
	many, err := keeper.S3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, BypassGovernanceRetention: aws.Bool(true), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("k"), VersionId: id}}}})
	if err != nil || len(many.Errors) != 1 || !strings.Contains(*many.Errors[0].Message, "s3:BypassGovernanceRetention") {
		t.Errorf("bypass in a list: %+v, %v", many, err)
	}
	bare := do(t, s.S3.HeadObject, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("bare")}).VersionId
	allowed.check(t, "to say so where there is nothing to bypass", remove(keeper, "bare", bare))
	root.bucketPolicy("locks", `{"Effect":"Deny","Principal":"*","Action":["s3:PutObject","s3:PutObjectRetention"],"Resource":"arn:aws:s3:::locks/*","Condition":{"NumericGreaterThan":{"s3:object-lock-remaining-retention-days":"5"}}}`)
	allowed.check(t, "within the days that a policy allows", keeper.put("locks", "k2", lock))
	at = at.Add(24 * time.Hour)
	deniedFor("with an explicit deny in a resource-based policy").check(t, "beyond", keeper.put("locks", "k2", lock))
	root.bucketPolicy("locks", `{"Effect":"Deny","Principal":"*","Action":"s3:PutObject*","Resource":"arn:aws:s3:::locks/*","Condition":{"StringNotEquals":{"s3:object-lock-mode":"COMPLIANCE"}}}`)
	deniedFor("with an explicit deny in a resource-based policy").check(t, "another mode", keeper.put("locks", "k2", lock))
	allowed.check(t, "the root's bypass", remove(root, "k", id))

	_, err = maker.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("more-locks"), ObjectLockEnabledForBucket: aws.Bool(true)})
	because("s3:PutBucketObjectLockConfiguration").check(t, "make a bucket with Object Lock", err)
	_, err = maker.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("no-locks")})
	allowed.check(t, "and one without", err)
}
