// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// denyNotKMS is the statement of the blog's second policy.
const denyNotKMS = `{"Sid":"DenyObjectsThatAreNotSSEKMS","Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::example-bucket/*","Condition":{"Null":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"true"}}}`

func algorithm(a types.ServerSideEncryption, key string) func(*s3.PutObjectInput) {
	return func(in *s3.PutObjectInput) {
		in.ServerSideEncryption = a
		if key != "" {
			in.SSEKMSKeyId = &key
		}
	}
}

// The blog's second policy, request by request. Everybody but the deny's subject may
// do everything.
func TestDenyObjectsThatAreNotSSEKMS(t *testing.T) {
	s := start(t)
	root := rootOf(s)
	k1, k2 := s.Key(), s.Key()
	s.Bucket("example-bucket", "", "", false)
	s.Bucket("other-bucket", "", "", false)
	all := root.user("writer", `{"Effect":"Allow","Action":["s3:*","kms:*"],"Resource":"*"}`)
	noKMS := root.user("no-kms", `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)
	s.Put("other-bucket", "source", "source")
	s.Put("example-bucket", "there-before", "x")
	root.bucketPolicy("example-bucket", denyNotKMS)
	const by = "with an explicit deny in a resource-based policy"
	denied := deniedFor(by)
	sses3, kmsDefault := func() { s.Encrypt("example-bucket", "AES256", "", false) }, func() { s.Encrypt("example-bucket", "aws:kms", k1, true) }
	put := func(edit ...func(*s3.PutObjectInput)) error { return all.put("example-bucket", "a", edit...) }

	sses3()
	denied.check(t, "B1", put())
	denied.check(t, "B2", put(algorithm("AES256", "")))
	allowed.check(t, "B5", put(algorithm("aws:kms", k1)))
	allowed.check(t, "B6", put(algorithm("aws:kms", "")))
	denied.check(t, "B9, SSE-S3", copyTo(all, "example-bucket"))
	_, err := all.S3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("example-bucket"), Key: aws.String("parts")})
	denied.check(t, "B10", err)
	allowed.check(t, "B11", uploaded(all, "example-bucket", func(in *s3.CreateMultipartUploadInput) {
		in.ServerSideEncryption, in.SSEKMSKeyId = "aws:kms", &k1
	}))
	allowed.check(t, "B12, get", all.get("example-bucket", "there-before"))
	_, err = all.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("example-bucket")})
	allowed.check(t, "B12, list", err)
	_, err = all.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("example-bucket"), Key: aws.String("there-before")})
	allowed.check(t, "B12, delete", err)
	denied.check(t, "B13", root.put("example-bucket", "a"))
	allowed.check(t, "B14", put(algorithm("aws:kms:dsse", k1)))
	allowed.check(t, "B15", all.put("other-bucket", "a"))
	denied.check(t, "B16", all.put("example-bucket", "x/", func(in *s3.PutObjectInput) { in.Body = strings.NewReader("") }))
	presignedWithout(all, "example-bucket").isRejected("B17", false, rejection{403, "AccessDenied", "headers present in the request which were not signed", "", nil})
	deniedFor("is not authorized to perform: kms:GenerateDataKey on resource: "+k1).check(t, "B18", noKMS.put("example-bucket", "a", algorithm("aws:kms", k1)))

	kmsDefault()
	denied.check(t, "B3", put(algorithm("AES256", "")))
	allowed.check(t, "B4", put())
	on := true
	allowed.check(t, "B7", put(algorithm("aws:kms", k2), func(in *s3.PutObjectInput) { in.BucketKeyEnabled = &on }))
	if _, out := s.Get("example-bucket", "a"); *out.SSEKMSKeyId != k2 {
		t.Errorf("B7: under %s", *out.SSEKMSKeyId)
	}
	allowed.check(t, "B9, SSE-KMS", copyTo(all, "example-bucket"))
	allowed.check(t, "B14, default SSE-KMS", put(algorithm("aws:kms:dsse", k1)))
	do(t, s.S3.PutBucketEncryption, &s3.PutBucketEncryptionInput{
		Bucket: aws.String("example-bucket"),
		ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{
			{BlockedEncryptionTypes: &types.BlockedEncryptionTypes{EncryptionType: []types.EncryptionType{"NONE"}}},
		}},
	})
	denied.check(t, "B8", put(customerKeyed()))
}

// The older reading: only a key that a header names counts.
func TestDenyObjectsWhoseHeadersNameNoKey(t *testing.T) {
	s := start(t, coffertest.Flags("--kms-key-id-condition", "header-only"))
	root := rootOf(s)
	k1 := s.Key()
	s.Bucket("example-bucket", "aws:kms", k1, true)
	s.Bucket("other-bucket", "", "", false)
	s.Put("other-bucket", "source", "source")
	root.bucketPolicy("example-bucket", denyNotKMS)
	denied := deniedFor("with an explicit deny in a resource-based policy")
	denied.check(t, "B4", root.put("example-bucket", "a"))
	denied.check(t, "B6", root.put("example-bucket", "a", algorithm("aws:kms", "")))
	denied.check(t, "B9", copyTo(root, "example-bucket"))
	allowed.check(t, "B5", root.put("example-bucket", "a", algorithm("aws:kms", k1)))
	allowed.check(t, "B11", uploaded(root, "example-bucket", func(in *s3.CreateMultipartUploadInput) {
		in.ServerSideEncryption, in.SSEKMSKeyId = "aws:kms", &k1
	}))
}

func customerKeyed() func(*s3.PutObjectInput) {
	key := make([]byte, 32)
	rand.Read(key)
	return func(in *s3.PutObjectInput) {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = aws.String("AES256"), aws.String(b64(key)), aws.String(md5Header(string(key))[1])
	}
}

func copyTo(p *person, bucket string) error {
	_, err := p.S3.CopyObject(p.s.T.Context(), &s3.CopyObjectInput{
		Bucket: &bucket, Key: aws.String("copy"), CopySource: aws.String("other-bucket/source"),
	})
	return err
}

// uploaded makes an object in three parts.
func uploaded(p *person, bucket string, edit ...func(*s3.CreateMultipartUploadInput)) error {
	return uploadedIn(p, bucket, 3, edit...)
}

func uploadedIn(p *person, bucket string, parts int32, edit ...func(*s3.CreateMultipartUploadInput)) error {
	ctx, key := p.s.T.Context(), aws.String("parts")
	in := &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: key}
	for _, e := range edit {
		e(in)
	}
	created, err := p.S3.CreateMultipartUpload(ctx, in)
	if err != nil {
		return err
	}
	var done []types.CompletedPart
	for n := int32(1); n <= parts; n++ {
		body := "the end"
		if n < parts {
			body = strings.Repeat("x", 5<<20)
		}
		part, err := p.S3.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &bucket, Key: key, UploadId: created.UploadId, PartNumber: &n, Body: strings.NewReader(body),
		})
		if err != nil {
			return err
		}
		done = append(done, types.CompletedPart{ETag: part.ETag, PartNumber: aws.Int32(n)})
	}
	_, err = p.S3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &bucket, Key: key, UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	})
	return err
}

// presignedWithout sends an encryption header that the presigned URL does not cover.
func presignedWithout(p *person, bucket string) answer {
	signed, err := s3.NewPresignClient(p.S3).PresignPutObject(p.s.T.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("presigned")})
	if err != nil {
		p.s.T.Fatal(err)
	}
	r, err := http.NewRequestWithContext(p.s.T.Context(), "PUT", signed.URL, strings.NewReader("x"))
	if err != nil {
		p.s.T.Fatal(err)
	}
	r.Header.Set("X-Amz-Server-Side-Encryption", "aws:kms")
	return send(p.s.T, r)
}

// More statements that people write.
func TestStatementsAboutKeys(t *testing.T) {
	s := start(t)
	root := rootOf(s)
	k1, k2 := s.Key(), s.Key()
	s.Bucket("vault", "", "", false)
	do(t, s.KMS.CreateAlias, &kms.CreateAliasInput{AliasName: aws.String("alias/one"), TargetKeyId: &k1})
	deny := func(condition string) {
		root.bucketPolicy("vault", `{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::vault/*","Condition":`+condition+`}`)
	}
	const key = `"s3:x-amz-server-side-encryption-aws-kms-key-id"`
	denied := deniedFor("explicit deny in a resource-based policy")
	put := func(edit ...func(*s3.PutObjectInput)) error { return root.put("vault", "a", edit...) }

	for _, operator := range []string{"StringNotEquals", "ArnNotEquals"} {
		deny(`{"` + operator + `":{` + key + `:"` + k1 + `"}}`)
		allowed.check(t, operator+", that key", put(algorithm("aws:kms", k1)))
		allowed.check(t, operator+", its alias", put(algorithm("aws:kms", "alias/one")))
		allowed.check(t, operator+", its id", put(algorithm("aws:kms", k1[strings.LastIndex(k1, "/")+1:])))
		denied.check(t, operator+", another key", put(algorithm("aws:kms", k2)))
		denied.check(t, operator+", no key", put(algorithm("AES256", "")))
	}
	for _, operator := range []string{"StringNotEqualsIfExists", "ArnNotEqualsIfExists"} {
		deny(`{"` + operator + `":{` + key + `:"` + k1 + `"}}`)
		denied.check(t, operator+", another key", put(algorithm("aws:kms", k2)))
		// IfExists makes the condition hold for what is not there, and so the deny.
		denied.check(t, operator+", no key", put(algorithm("AES256", "")))
	}
	deny(`{"Null":{"s3:x-amz-server-side-encryption":"true"}}`)
	s.Encrypt("vault", "aws:kms", k1, true)
	denied.check(t, "26: the header is not there, whatever the default is", put())
	allowed.check(t, "26: the header", put(algorithm("aws:kms", k1)))

	deny(`{"Null":{` + key + `:"true"}}`)
	allowed.check(t, "25: the default's key", put())
	s.Encrypt("vault", "AES256", "", false)
	denied.check(t, "25: a default without a key", put())

	deny(`{"Bool":{"aws:SecureTransport":"false"}}`)
	allowed.check(t, "over the loopback", put())
	s.RestartFrom("203.0.113.9")
	root = rootOf(s)
	denied.check(t, "from elsewhere, in clear", root.put("vault", "a"))
}

// The blog's first policy as printed: no service takes it.
func TestThePrintedPolicy(t *testing.T) {
	s := start(t)
	root := rootOf(s)
	root.user("willcavin", "")
	s.Bucket("willcavinbucket", "", "", false)
	printed := `{"Version":"2012-10-17","Statement":[{"Sid":"Permissions to use Bucket Keys","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + coffertest.Account + `:user/willcavin"},"Action":["s3:PutObject","s3:GetObject","s3:CreateBucket","kms:Decrypt","kms:GenerateDataKey"],"Resource":"arn:aws:s3:::willcavinbucket/*"}]}`
	bucket := aws.String("willcavinbucket")
	fails(t, s.S3.PutBucketPolicy, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: &printed}, 400, "MalformedPolicy", "Policy has invalid action")
	noKMS := strings.Replace(printed, `,"kms:Decrypt","kms:GenerateDataKey"`, "", 1)
	fails(t, s.S3.PutBucketPolicy, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: &noKMS}, 400, "MalformedPolicy", "Action does not apply to any resource(s) in statement")
	repaired := strings.Replace(noKMS, `,"s3:CreateBucket"`, "", 1)
	do(t, s.S3.PutBucketPolicy, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: &repaired})
	if got := do(t, s.S3.GetBucketPolicy, &s3.GetBucketPolicyInput{Bucket: bucket}); *got.Policy != repaired {
		t.Errorf("the policy reads %s", *got.Policy)
	}
	if got := do(t, s.S3.GetBucketPolicyStatus, &s3.GetBucketPolicyStatusInput{Bucket: bucket}); *got.PolicyStatus.IsPublic {
		t.Error("a policy for one user is public")
	}
}

// A principal is who it was when the policy was written.
func TestAUserOfTheSameNameIsAnother(t *testing.T) {
	s := start(t)
	root := rootOf(s)
	s.Bucket("vault", "", "", false)
	s.Put("vault", "a", "x")
	alice := root.user("alice", "")
	root.bucketPolicy("vault", `{"Effect":"Allow","Principal":{"AWS":"`+alice.arn+`"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::vault/*"}`)
	allowed.check(t, "alice", alice.get("vault", "a"))
	do(t, root.IAM.DeleteAccessKey, &iam.DeleteAccessKeyInput{UserName: aws.String("alice"), AccessKeyId: &alice.Keys.AccessKeyID})
	do(t, root.IAM.DeleteUser, &iam.DeleteUserInput{UserName: aws.String("alice")})
	if got := do(t, s.S3.GetBucketPolicy, &s3.GetBucketPolicyInput{Bucket: aws.String("vault")}); strings.Contains(*got.Policy, "user/alice") || !strings.Contains(*got.Policy, "AIDA") {
		t.Errorf("after alice was deleted the policy reads %s", *got.Policy)
	}
	deniedFor("no identity-based policy allows").check(t, "another alice", root.user("alice", "").get("vault", "a"))
}
