// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/test/coffertest"
)

const trustAccount = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + coffertest.Account + `"},"Action":"sts:AssumeRole"}]}`

// counted says how many KMS requests of which kind a principal made since the n-th.
func (s *stage) counted(n int, by func(audit.Identity) bool) string {
	made := map[string]int{}
	for _, r := range s.KMSRequests()[n:] {
		if by(r.UserIdentity) {
			made[r.EventName]++
		}
	}
	return fmt.Sprintf("%d GenerateDataKey, %d Decrypt", made["GenerateDataKey"], made["Decrypt"])
}

// TestVectorOfTwoRequesters is vector 22: each requester makes its own KMS requests once,
// and shares the generation. So do, and do not, sessions of a role.
func TestVectorOfTwoRequesters(t *testing.T) {
	s := newStage(t)
	root := s.Root()
	both := document(keyUse("Allow", "", ""))
	r1 := root.NewUser("r1", allOfS3, both)
	role := root.NewRole("r2", trustAccount, allOfS3, both)
	assumer := root.NewUser("assumer", document(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`))
	r2 := assumer.Assume(role, "one")
	write := func(who *coffertest.Identity, prefix string) {
		for i := range 100 {
			must(t, putBy(t, who, "vault", fmt.Sprint(prefix, i)))
		}
	}
	read := func(who *coffertest.Identity, prefix string) {
		for i := range 100 {
			must(t, getBy(t, who, "vault", fmt.Sprint(prefix, i)))
		}
	}
	n := len(s.KMSRequests())
	write(r1, "a")
	read(r1, "a")
	write(r2, "b")
	read(r2, "b")
	read(r2, "a")
	byUser := func(id audit.Identity) bool { return id.Type == "IAMUser" }
	bySession := func(id audit.Identity) bool { return id.Type == "AssumedRole" }
	for who, by := range map[string]func(audit.Identity) bool{"r1": byUser, "r2": bySession} {
		if got := s.counted(n, by); got != "1 GenerateDataKey, 1 Decrypt" {
			t.Errorf("%s made %s", who, got)
		}
	}

	// Another session of the role is the same requester; one that is narrowed is not.
	n = len(s.KMSRequests())
	read(assumer.Assume(role, "two"), "a")
	if got := s.counted(n, bySession); got != "0 GenerateDataKey, 0 Decrypt" {
		t.Errorf("another session made %s", got)
	}
	narrow := do(t, assumer.STS.AssumeRole, &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("three"), Policy: aws.String(document(
		`{"Effect":"Allow","Action":["s3:GetObject","kms:Decrypt"],"Resource":"*"}`))}).Credentials
	narrowed := s.As(coffertest.Account, aws.Credentials{AccessKeyID: *narrow.AccessKeyId, SecretAccessKey: *narrow.SecretAccessKey, SessionToken: *narrow.SessionToken})
	read(narrowed, "a")
	if got := s.counted(n, bySession); got != "0 GenerateDataKey, 1 Decrypt" {
		t.Errorf("a narrowed session made %s", got)
	}
	wantCode(t, putBy(t, narrowed, "vault", "x"), 403, "AccessDenied")

	// Another key in the bucket, and the key in another bucket, are other bucket keys.
	s.Bucket("second", "aws:kms", s.k1, true)
	n = len(s.KMSRequests())
	must(t, putBy(t, r1, "second", "x"))
	_, err := r1.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("vault"), Key: aws.String("k2"), Body: strings.NewReader("x"), ServerSideEncryption: "aws:kms", SSEKMSKeyId: &s.k2})
	must(t, err)
	if got := fmt.Sprint(s.since(n)); got != "[GenerateDataKey arn:aws:s3:::second GenerateDataKey arn:aws:s3:::vault]" {
		t.Errorf("KMS requests: %s", got)
	}
}

// TestNobodyRidesOnAnothersBucketKey: who may only write can never read, warm or cold,
// and who may do neither does not use what others have opened. S3's own policies act at
// once, too.
func TestNobodyRidesOnAnothersBucketKey(t *testing.T) {
	s := newStage(t)
	root := s.Root()
	writer := root.NewUser("writer", allOfS3, document(`{"Effect":"Allow","Action":"kms:GenerateDataKey","Resource":"*"}`))
	reader := root.NewUser("reader", allOfS3, document(`{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}`))
	none := root.NewUser("none", allOfS3)
	must(t, putBy(t, writer, "vault", "o"))
	for range 2 { // cold and warm
		wantCode(t, getBy(t, writer, "vault", "o"), 403, "AccessDenied")
		must(t, getBy(t, reader, "vault", "o"))
		must(t, putBy(t, writer, "vault", "o"))
		wantCode(t, putBy(t, reader, "vault", "o"), 403, "AccessDenied")
		wantCode(t, getBy(t, none, "vault", "o"), 403, "AccessDenied")
		wantCode(t, putBy(t, none, "vault", "o"), 403, "AccessDenied")
		do(t, none.S3.HeadObject, &s3.HeadObjectInput{Bucket: aws.String("vault"), Key: aws.String("o")})
	}
	text := document(`{"Effect":"Deny","Principal":{"AWS":"` + userARN(coffertest.Account, "reader") + `"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::vault/*"}`)
	do(t, root.S3.PutBucketPolicy, &s3.PutBucketPolicyInput{Bucket: aws.String("vault"), Policy: &text})
	wantCode(t, getBy(t, reader, "vault", "o"), 403, "AccessDenied")

	// A refusal is on record as the KMS request that it would have been.
	denied := 0
	for _, r := range s.KMSRequests() {
		if r.ErrorCode == "AccessDenied" && r.UserIdentity.UserName == "none" {
			denied++
		}
	}
	if denied != 4 {
		t.Errorf("%d refusals of who may do nothing are on record, want 4", denied)
	}
}
