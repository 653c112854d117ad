// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/test/coffertest"
)

// stage is the setting of the acceptance vectors: bucket "vault" encrypts with
// aws:kms under K1, with a Bucket Key.
type stage struct {
	*coffertest.Server
	k1, k2 string
}

func newStage(t *testing.T) *stage {
	s := &stage{Server: start(t)}
	s.k1, s.k2 = s.Key(), s.Key()
	s.Bucket("vault", "aws:kms", s.k1, true)
	return s
}

// contexts returns the aws:s3:arn of the KMS requests made since the n-th.
func contexts(records []audit.Record) []string {
	var out []string
	for _, r := range records {
		ec, _ := r.RequestParameters["encryptionContext"].(map[string]any)
		out = append(out, fmt.Sprintf("%s %v", r.EventName, ec["aws:s3:arn"]))
	}
	return out
}

func (s *stage) since(n int) []string { return contexts(s.KMSRequests()[n:]) }

func etagOf(body string) string { return fmt.Sprintf(`"%x"`, fips.MD5([]byte(body))) }

func TestVectorsOfPut(t *testing.T) {
	s := newStage(t)
	kms := types.ServerSideEncryptionAwsKms

	// 1: the bucket's default.
	o1 := s.Put("vault", "o1", "one")
	if got := of(o1.ServerSideEncryption, o1.SSEKMSKeyId, o1.BucketKeyEnabled); got != (applied{"aws:kms", s.k1, true}) {
		t.Errorf("1: %v", got)
	}
	if *o1.ETag == etagOf("one") {
		t.Error("1: the ETag is the MD5")
	}
	// 2: SSE without a key is the managed key, with the bucket's Bucket Key.
	o2 := s.Put("vault", "o2", "two", func(in *s3.PutObjectInput) { in.ServerSideEncryption = kms })
	if got := of(o2.ServerSideEncryption, o2.SSEKMSKeyId, o2.BucketKeyEnabled); got != (applied{"aws:kms", managed(s.Server), true}) {
		t.Errorf("2: %v", got)
	}
	// 3: another key, named by its id, has a Bucket Key of its own.
	n := len(s.KMSRequests())
	id := s.k2[strings.LastIndex(s.k2, "/")+1:]
	o3 := s.Put("vault", "o3", "three", func(in *s3.PutObjectInput) { in.ServerSideEncryption, in.SSEKMSKeyId = kms, &id })
	if got := of(o3.ServerSideEncryption, o3.SSEKMSKeyId, o3.BucketKeyEnabled); got != (applied{"aws:kms", s.k2, true}) {
		t.Errorf("3: %v", got)
	}
	if got := s.since(n); fmt.Sprint(got) != "[GenerateDataKey arn:aws:s3:::vault]" {
		t.Errorf("3: KMS requests %v", got)
	}
	// 4: no Bucket Key for this object: its own ARN is the context.
	n = len(s.KMSRequests())
	o4 := s.Put("vault", "o4", "four", func(in *s3.PutObjectInput) { in.BucketKeyEnabled = aws.Bool(false) })
	if got := of(o4.ServerSideEncryption, o4.SSEKMSKeyId, o4.BucketKeyEnabled); got != (applied{"aws:kms", s.k1, false}) {
		t.Errorf("4: %v", got)
	}
	if got := s.since(n); fmt.Sprint(got) != "[GenerateDataKey arn:aws:s3:::vault/o4]" {
		t.Errorf("4: KMS requests %v", got)
	}
	// 5: SSE-S3 on request.
	o5 := s.Put("vault", "o5", "five", func(in *s3.PutObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAes256 })
	if got := of(o5.ServerSideEncryption, o5.SSEKMSKeyId, o5.BucketKeyEnabled); got != (applied{"AES256", "", false}) || *o5.ETag != etagOf("five") {
		t.Errorf("5: %v, ETag %s", got, *o5.ETag)
	}
	// 6: a key without SSE.
	s.refuses("6", needsKMS, "PUT", "/vault/o6", "six", keyHeader, s.k1)
	for key, body := range map[string]string{"o1": "one", "o2": "two", "o3": "three", "o4": "four", "o5": "five"} {
		if got, _ := s.Get("vault", key); got != body {
			t.Errorf("%s reads %q", key, got)
		}
	}
}

func (s *stage) copy(from, bucket, key string) (*s3.CopyObjectOutput, error) {
	return s.S3.CopyObject(s.T.Context(), &s3.CopyObjectInput{Bucket: &bucket, Key: &key, CopySource: &from})
}

func TestVectorsOfCopy(t *testing.T) {
	s := newStage(t)
	s.Bucket("plain", "", "", false)
	s.Put("vault", "o1", "one")
	s.Put("vault", "o4", "four", func(in *s3.PutObjectInput) { in.BucketKeyEnabled = aws.Bool(false) })
	s.Put("vault", "o5", "five", func(in *s3.PutObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAes256 })
	s.Put("plain", "o", "o")

	// 7: into a bucket of SSE-S3.
	c, err := s.copy("vault/o1", "plain", "o1")
	if err != nil {
		t.Fatal(err)
	}
	if got := of(c.ServerSideEncryption, c.SSEKMSKeyId, c.BucketKeyEnabled); got != (applied{"AES256", "", false}) || *c.CopyObjectResult.ETag != etagOf("one") {
		t.Errorf("7: %v, ETag %s", got, *c.CopyObjectResult.ETag)
	}
	// 8: from SSE-S3 under the destination's default.
	c, err = s.copy("vault/o5", "vault", "o7")
	if err != nil {
		t.Fatal(err)
	}
	if got := of(c.ServerSideEncryption, c.SSEKMSKeyId, c.BucketKeyEnabled); got != (applied{"aws:kms", s.k1, true}) {
		t.Errorf("8: %v", got)
	}
	// 9: in place, in a bucket whose default was put.
	if _, err = s.copy("vault/o4", "vault", "o4"); err != nil {
		t.Fatal(err)
	}
	if got, _ := head(s.Server, "vault", "o4"); got != (applied{"aws:kms", s.k1, true}) {
		t.Errorf("9: %v", got)
	}
	// 10: in place, where nothing would change.
	s.refuses("10", selfCopy, "PUT", "/plain/o", "", "x-amz-copy-source", "plain/o")
	if got, _ := s.Get("vault", "o4"); got != "four" {
		t.Errorf("9: reads %q", got)
	}
}

func TestVectorsOfMultipartAndReads(t *testing.T) {
	s := newStage(t)
	ctx, bucket, key := t.Context(), aws.String("vault"), aws.String("big")
	// 11: what was decided when the upload began, holds.
	up, err := s.S3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	s.Encrypt("vault", "AES256", "", false)
	part, err := s.S3.UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("part")})
	if err != nil {
		t.Fatal(err)
	}
	done, err := s.S3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: bucket, Key: key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: part.ETag, PartNumber: aws.Int32(1), ChecksumCRC32: part.ChecksumCRC32}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Encrypt("vault", "aws:kms", s.k1, true)
	want := applied{"aws:kms", s.k1, true}
	_, got := s.Get("vault", "big")
	for what, a := range map[string]applied{
		"create":   of(up.ServerSideEncryption, up.SSEKMSKeyId, up.BucketKeyEnabled),
		"part":     of(part.ServerSideEncryption, part.SSEKMSKeyId, part.BucketKeyEnabled),
		"complete": of(done.ServerSideEncryption, done.SSEKMSKeyId, done.BucketKeyEnabled),
		"get":      of(got.ServerSideEncryption, got.SSEKMSKeyId, got.BucketKeyEnabled),
	} {
		if a != want {
			t.Errorf("11 %s: %v", what, a)
		}
	}
	// 12 and 13: encryption cannot be chosen for a part, nor for a read.
	up, err = s.S3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	s.refuses("12", notHere.of("aws:kms"), "PUT", "/vault/big?partNumber=1&uploadId="+*up.UploadId, "part", sseHeader, "aws:kms")
	s.refuses("13", notHere.of("aws:kms"), "GET", "/vault/big", "", sseHeader, "aws:kms")
}

func TestVectorsOfBucketEncryption(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	s.Bucket("other", "", "", false)
	put := func(sse types.ServerSideEncryption, key string) error {
		_, err := s.S3.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{
			Bucket: aws.String("other"),
			ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{{
				ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: sse, KMSMasterKeyID: &key},
			}}},
		})
		return err
	}
	// 18: a key where none applies.
	withKey := defaultXML(sseS3 + "<KMSMasterKeyID>" + s.k1 + "</KMSMasterKeyID>")
	s.refuses("18", keyNotForThis, "PUT", "/other?encryption", withKey, digested(withKey)...)
	// 19: a key that does not exist is accepted, told back as given, and found
	// missing by the first write.
	const missing = "11111111-2222-3333-4444-555555555555"
	if err := put("aws:kms", missing); err != nil {
		t.Fatal(err)
	}
	if got := s.rule("other"); aws.ToString(got.ApplyServerSideEncryptionByDefault.KMSMasterKeyID) != missing {
		t.Errorf("19: %v", got)
	}
	s.refuses("19", kmsFault("NotFoundException", "Key 'arn:aws:kms:us-east-1:"+coffertest.Account+":key/"+missing+"' does not exist"), "PUT", "/other/k", "x")
	// 20: reset, twice.
	for range 2 {
		if _, err := s.S3.DeleteBucketEncryption(ctx, &s3.DeleteBucketEncryptionInput{Bucket: aws.String("other")}); err != nil {
			t.Fatal(err)
		}
	}
	got := s.rule("other")
	if got.ApplyServerSideEncryptionByDefault.SSEAlgorithm != "AES256" || aws.ToBool(got.BucketKeyEnabled) {
		t.Errorf("20: %+v", got)
	}
	if b := got.BlockedEncryptionTypes; b == nil || len(b.EncryptionType) != 1 || b.EncryptionType[0] != types.EncryptionTypeSseC {
		t.Errorf("20: blocked %+v", b)
	}
}

func (s *stage) rule(bucket string) types.ServerSideEncryptionRule {
	s.T.Helper()
	out, err := s.S3.GetBucketEncryption(s.T.Context(), &s3.GetBucketEncryptionInput{Bucket: &bucket})
	if err != nil {
		s.T.Fatal(err)
	}
	return out.ServerSideEncryptionConfiguration.Rules[0]
}

// TestVectorOfADisabledKey is vector 21, stricter than S3: a disabled key is
// refused at once, also with a warm Bucket Key.
func TestVectorOfADisabledKey(t *testing.T) {
	s := newStage(t)
	s.Put("vault", "o1", "one")
	s.Put("vault", "o4", "four", func(in *s3.PutObjectInput) { in.BucketKeyEnabled = aws.Bool(false) })
	s.Get("vault", "o1")
	s.DisableKey(s.k1)
	if got, _ := head(s.Server, "vault", "o1"); got != (applied{"aws:kms", s.k1, true}) {
		t.Errorf("HEAD needs no key: %v", got)
	}
	for _, key := range []string{"o4", "o1"} {
		_, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("vault"), Key: &key})
		if e := wantCode(t, err, 400, "KMS.DisabledException"); e != nil && e.ErrorMessage() != s.k1+" is disabled." {
			t.Errorf("%s: %s", key, e.ErrorMessage())
		}
	}
	_, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("vault"), Key: aws.String("new")})
	wantCode(t, err, 400, "KMS.DisabledException")
	s.enable(s.k1)
	if got, _ := s.Get("vault", "o1"); got != "one" {
		t.Errorf("after enabling: %q", got)
	}
}

// TestBucketKeysSaveRequests: many writes and reads of one requester are one
// GenerateDataKey and one Decrypt, and after a restart one more of each.
func TestBucketKeysSaveRequests(t *testing.T) {
	s := newStage(t)
	n := len(s.KMSRequests())
	for i := range 100 {
		s.Put("vault", fmt.Sprint("k", i), "x")
	}
	for i := range 100 {
		s.Get("vault", fmt.Sprint("k", i))
	}
	if got := s.since(n); fmt.Sprint(got) != "[GenerateDataKey arn:aws:s3:::vault Decrypt arn:aws:s3:::vault]" {
		t.Errorf("KMS requests: %v", got)
	}
	s.Restart()
	n = len(s.KMSRequests())
	for i := range 100 {
		if got, _ := s.Get("vault", fmt.Sprint("k", i)); got != "x" {
			t.Fatalf("after a restart: %q", got)
		}
	}
	if got := s.since(n); fmt.Sprint(got) != "[Decrypt arn:aws:s3:::vault]" {
		t.Errorf("KMS requests after a restart: %v", got)
	}
}

// TestAuditJoinsObjectsAndKMSRequests: each data event names the generation that
// sealed its object, and so does the KMS request that opened it.
func TestAuditJoinsObjectsAndKMSRequests(t *testing.T) {
	s := newStage(t)
	for i := range 3 {
		s.Put("vault", fmt.Sprint("k", i), "x")
	}
	covered := map[any][]string{}
	var generation any
	for _, r := range s.Audit() {
		switch {
		case r.EventName == "PutObject":
			g := r.AdditionalEventData["cofferGeneration"]
			covered[g] = append(covered[g], fmt.Sprint(r.RequestParameters["key"]))
		case r.UserIdentity.InvokedBy == audit.InvokedByS3:
			generation = r.AdditionalEventData["cofferGeneration"]
		}
	}
	if generation == nil || fmt.Sprint(covered[generation]) != "[k0 k1 k2]" {
		t.Errorf("generation %v covers %v", generation, covered)
	}
	if age := time.Since(s.Audit()[0].EventTime); age < 0 || age > time.Minute {
		t.Errorf("eventTime is %v off", age)
	}
}
