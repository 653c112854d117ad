// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

// minimum is the blog's first policy, repaired: what a user needs for a bucket whose
// default is a key. Conditions are for the statement about the key.
type minimum struct{ s3, kms string }

func minimumFor(key string) minimum {
	return minimum{
		s3: `{"Effect":"Allow","Action":["s3:PutObject","s3:GetObject"],"Resource":"arn:aws:s3:::willcavinbucket/*"},
			{"Effect":"Allow","Action":"s3:CreateBucket","Resource":"arn:aws:s3:::willcavinbucket"}`,
		kms: `{"Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"` + key + `"`,
	}
}

func (m minimum) all() string { return m.s3 + "," + m.kms + "}" }

func (m minimum) when(condition string) string {
	return m.s3 + "," + m.kms + `,"Condition":` + condition + "}"
}

// The blog's first policy, request by request.
func TestMinimumPermissions(t *testing.T) {
	s := start(t)
	ctx, root := t.Context(), rootOf(s)
	k1, k2 := s.Key(), s.Key()
	u1 := minimumFor(k1)
	will := root.user("willcavin", u1.all())
	bucket := aws.String("willcavinbucket")
	noIdentity := deniedFor("because no identity-based policy allows the s3:")

	_, err := will.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket})
	allowed.check(t, "A7", err)
	_, err = will.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("otherbucket")})
	noIdentity.check(t, "A7, another", err)
	s.Bucket("otherbucket", "", "", false)
	s.Encrypt("willcavinbucket", "aws:kms", k1, true)

	allowed.check(t, "A1", will.put("willcavinbucket", "a"))
	last := func(name string) string {
		for _, r := range s.KMSRequests() {
			if r.EventName == name && r.UserIdentity.ARN == will.arn {
				ec, _ := r.RequestParameters["encryptionContext"].(map[string]any)
				text, _ := ec["aws:s3:arn"].(string)
				return text
			}
		}
		return "no request"
	}
	if got := last("GenerateDataKey"); got != "arn:aws:s3:::willcavinbucket" {
		t.Errorf("A1: GenerateDataKey with context %q", got)
	}
	allowed.check(t, "A2", will.get("willcavinbucket", "a"))
	before := len(s.KMSRequests())
	_, err = will.S3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("a")})
	allowed.check(t, "A3", err)
	if n := len(s.KMSRequests()); n != before {
		t.Errorf("A3: %d KMS requests for a HEAD", n-before)
	}
	deniedFor("s3:ListBucket").check(t, "A4", will.get("willcavinbucket", "missing"))
	_, err = will.S3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket})
	noIdentity.check(t, "A5", err)
	_, err = will.S3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("a")})
	noIdentity.check(t, "A6", err)
	noIdentity.check(t, "A8", will.put("otherbucket", "a"))
	allowed.check(t, "A9", uploaded(will, "willcavinbucket"))
	generates := root.user("generates", u1.s3+`,{"Effect":"Allow","Action":"kms:GenerateDataKey","Resource":"`+k1+`"}`)
	deniedFor("kms:Decrypt").check(t, "A9, with kms:GenerateDataKey alone", uploadedIn(generates, "willcavinbucket", 1))
	if _, err := generates.S3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: aws.String("parts")}); err != nil {
		t.Errorf("A9, begun with kms:GenerateDataKey alone: %v", err)
	}
	deniedFor("is not authorized to perform: kms:GenerateDataKey on resource: "+k2).check(t, "A10", will.put("willcavinbucket", "a", algorithm("aws:kms", k2)))

	// Keys whose policies say something else than that IAM decides.
	keyPolicy := func(statements string) string {
		text := document(statements)
		out := do(t, s.KMS.CreateKey, &kms.CreateKeyInput{Policy: &text, BypassPolicyLockoutSafetyCheck: true})
		return *out.KeyMetadata.Arn
	}
	const administer = `{"Effect":"Allow","Principal":{"AWS":"` + coffertest.Account + `"},"Action":["kms:PutKeyPolicy","kms:DescribeKey"],"Resource":"*"}`
	alone := keyPolicy(administer)
	root.may("willcavin", u1.all()+`,{"Effect":"Allow","Action":"kms:*","Resource":"`+alone+`"}`)
	deniedFor("is not authorized to perform: kms:GenerateDataKey").check(t, "A11", will.put("willcavinbucket", "a11", algorithm("aws:kms", alone)))
	named := keyPolicy(administer + `,{"Effect":"Allow","Principal":{"AWS":"` + will.arn + `"},"Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"*"}`)
	root.may("willcavin", u1.s3)
	allowed.check(t, "A12", will.put("willcavinbucket", "a12", algorithm("aws:kms", named)))
	allowed.check(t, "A12, read", will.get("willcavinbucket", "a12"))

	const printed = `{"Effect":"Allow","Action":["s3:PutObject","s3:GetObject","s3:CreateBucket","kms:Decrypt","kms:GenerateDataKey"],"Resource":"arn:aws:s3:::willcavinbucket/*"}`
	root.may("willcavin", printed)
	deniedFor("kms:GenerateDataKey").check(t, "A13", will.put("willcavinbucket", "a"))
	s.Encrypt("willcavinbucket", "AES256", "", false)
	allowed.check(t, "A14", will.put("willcavinbucket", "a14"))
	s.Encrypt("willcavinbucket", "aws:kms", k1, true)
	noIdentity.check(t, "A15", root.user("somebody", "").get("willcavinbucket", "a"))

	root.may("willcavin", u1.all())
	direct := func() error {
		_, err := will.KMS.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &k1, KeySpec: "AES_256"})
		return err
	}
	allowed.check(t, "A16", direct())
	root.may("willcavin", u1.when(`{"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}}`))
	outcome{400, "AccessDeniedException", "kms:GenerateDataKey"}.check(t, "A16, only through S3", direct())
	allowed.check(t, "A16, through S3", will.put("willcavinbucket", "a16"))

	off := false
	withoutBucketKey := func(in *s3.PutObjectInput) { in.BucketKeyEnabled = &off }
	root.may("willcavin", u1.when(`{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::willcavinbucket/*"}}`))
	deniedFor("kms:GenerateDataKey").check(t, "A17, bucket key", will.put("willcavinbucket", "a17"))
	allowed.check(t, "A17, none", will.put("willcavinbucket", "a17", withoutBucketKey))
	root.may("willcavin", u1.when(`{"StringEquals":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::willcavinbucket"}}`))
	allowed.check(t, "A18, bucket key", will.put("willcavinbucket", "a18"))
	deniedFor("kms:GenerateDataKey").check(t, "A18, none", will.put("willcavinbucket", "a18", withoutBucketKey))

	root.may("willcavin", u1.all())
	boundary := do(t, root.IAM.CreatePolicy, &iam.CreatePolicyInput{
		PolicyName: aws.String("no-kms"), PolicyDocument: aws.String(document(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)),
	}).Policy.Arn
	do(t, root.IAM.PutUserPermissionsBoundary, &iam.PutUserPermissionsBoundaryInput{UserName: aws.String("willcavin"), PermissionsBoundary: boundary})
	deniedFor("kms:GenerateDataKey").check(t, "A19", will.put("willcavinbucket", "a19"))
	do(t, root.IAM.DeleteUserPermissionsBoundary, &iam.DeleteUserPermissionsBoundaryInput{UserName: aws.String("willcavin")})

	allowed.check(t, "A20, the cache is warm", will.get("willcavinbucket", "a"))
	reader := root.user("reader", u1.s3)
	deniedFor("is not authorized to perform: kms:Decrypt on resource: "+k1).check(t, "A20", reader.get("willcavinbucket", "a"))
	root.may("willcavin", u1.s3)
	deniedFor("kms:Decrypt").check(t, "A20, one's own is warm and the permission is gone", will.get("willcavinbucket", "a"))
}
