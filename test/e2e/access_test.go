// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

const otherAccount = "444455556666"

// A bucket that is open to the world.
func TestPublicBucket(t *testing.T) {
	s := start(t)
	ctx, root, all := t.Context(), rootOf(s), nobody(s)
	s.Bucket("site", "", "", false)
	s.Put("site", "index.html", "hello")
	bucket := aws.String("site")
	plain := outcome{403, "AccessDenied", "Access Denied"}
	const public = `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::site/*"}`
	text := document(public)

	plain.check(t, "a new bucket", all.get("site", "index.html"))
	block := do(t, s.S3.GetPublicAccessBlock, &s3.GetPublicAccessBlockInput{Bucket: bucket}).PublicAccessBlockConfiguration
	if !*block.BlockPublicAcls || !*block.BlockPublicPolicy || !*block.IgnorePublicAcls || !*block.RestrictPublicBuckets {
		t.Errorf("a new bucket blocks %+v", block)
	}
	fails(t, s.S3.PutBucketPolicy, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: &text}, 403, "AccessDenied", "")
	do(t, s.S3.DeletePublicAccessBlock, &s3.DeletePublicAccessBlockInput{Bucket: bucket})
	fails(t, s.S3.GetPublicAccessBlock, &s3.GetPublicAccessBlockInput{Bucket: bucket}, 404, "NoSuchPublicAccessBlockConfiguration", "")
	root.bucketPolicy("site", public)
	if got := do(t, s.S3.GetBucketPolicyStatus, &s3.GetBucketPolicyStatusInput{Bucket: bucket}); !*got.PolicyStatus.IsPublic {
		t.Error("a policy for all is not public")
	}
	allowed.check(t, "open", all.get("site", "index.html"))
	_, err := all.S3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("index.html")})
	allowed.check(t, "HEAD", err)
	plain.check(t, "what is not there", all.get("site", "missing"))
	plain.check(t, "to write", all.put("site", "a"))
	if a := (request{method: "HEAD", target: "/site/missing", anonymous: true}).do(s); a.status != 403 || a.body != "" {
		t.Errorf("HEAD of what is not there: %d %q", a.status, a.body)
	}
	outcome{404, "NoSuchBucket", ""}.check(t, "no such bucket", all.get("no-such-bucket", "a"))

	// What S3 keeps under a KMS key is for those who sign.
	s.Put("site", "secret", "x", algorithm("aws:kms", s.Key()))
	outcome{400, "InvalidArgument", "require AWS Signature Version 4"}.check(t, "under KMS", all.get("site", "secret"))

	account := []string{"x-amz-account-id", coffertest.Account}
	const target = "/v20180820/configuration/publicAccessBlock"
	if a := (request{method: "GET", target: target, headers: account}).do(s); a.status != 404 {
		t.Errorf("the account's: %d %s", a.status, a.body)
	}
	restrict := `<PublicAccessBlockConfiguration><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>`
	if a := (request{method: "PUT", target: target, body: restrict, headers: append(md5Header(restrict), account...)}).do(s); a.status != 200 {
		t.Errorf("to set the account's: %d %s", a.status, a.body)
	}
	if a := (request{method: "GET", target: target, headers: account}).do(s); a.get("RestrictPublicBuckets") != "true" {
		t.Errorf("the account's: %d %s", a.status, a.body)
	}
	plain.check(t, "restricted", all.get("site", "index.html"))
	if a := (request{method: "DELETE", target: target, headers: account}).do(s); a.status != 204 {
		t.Errorf("to remove the account's: %d %s", a.status, a.body)
	}
	allowed.check(t, "open again", all.get("site", "index.html"))
	do(t, s.S3.PutPublicAccessBlock, &s3.PutPublicAccessBlockInput{Bucket: bucket, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{RestrictPublicBuckets: aws.Bool(true)}})
	plain.check(t, "restricted by the bucket", all.get("site", "index.html"))
	do(t, s.S3.DeleteBucketPolicy, &s3.DeleteBucketPolicyInput{Bucket: bucket})
	fails(t, s.S3.GetBucketPolicy, &s3.GetBucketPolicyInput{Bucket: bucket}, 404, "NoSuchBucketPolicy", "")
}

// Two accounts, one bucket.
func TestAnotherAccountsBucket(t *testing.T) {
	s := start(t)
	ctx, root := t.Context(), rootOf(s)
	other := accountOf(s, otherAccount)
	bob := other.user("bob", `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)
	eve := other.user("eve", "")
	s.Bucket("shared", "", "", false)
	s.Put("shared", "a", "x")
	bucket := aws.String("shared")
	plain := outcome{403, "AccessDenied", "Access Denied"}

	plain.check(t, "before", bob.get("shared", "a"))
	root.bucketPolicy("shared", `{"Effect":"Allow","Principal":{"AWS":"`+otherAccount+`"},"Action":"s3:*","Resource":["arn:aws:s3:::shared","arn:aws:s3:::shared/*"]}`)
	allowed.check(t, "both sides allow", bob.get("shared", "a"))
	plain.check(t, "only the bucket allows", eve.get("shared", "a"))
	allowed.check(t, "to write", bob.put("shared", "bobs"))
	allowed.check(t, "what bob wrote is the bucket owner's", root.get("shared", "bobs"))
	owner := do(t, s.S3.GetBucketAcl, &s3.GetBucketAclInput{Bucket: bucket}).Owner.ID
	if got := do(t, bob.S3.GetObjectAcl, &s3.GetObjectAclInput{Bucket: bucket, Key: aws.String("bobs")}); *got.Owner.ID != *owner || len(got.Grants) != 1 {
		t.Errorf("its owner is %s, with %d grants", *got.Owner.ID, len(got.Grants))
	}
	_, err := bob.S3.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket})
	outcome{405, "MethodNotAllowed", ""}.check(t, "the policy is the owner's", err)
	for _, p := range []*person{bob, other} {
		if got := do(t, p.S3.ListBuckets, &s3.ListBucketsInput{}); len(got.Buckets) != 0 {
			t.Errorf("another account sees %d buckets", len(got.Buckets))
		}
	}
	do(t, bob.S3.CreateBucket, &s3.CreateBucketInput{Bucket: aws.String("bobs-bucket")})
	if got := do(t, other.S3.ListBuckets, &s3.ListBucketsInput{}); len(got.Buckets) != 1 {
		t.Errorf("bob's account sees %d buckets", len(got.Buckets))
	}
	plain.check(t, "the first account's root, in bob's bucket", root.put("bobs-bucket", "a"))
	_, err = bob.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("a"), ExpectedBucketOwner: aws.String(otherAccount)})
	plain.check(t, "another owner is expected", err)

	root.bucketPolicy("shared", `{"Effect":"Allow","Principal":{"AWS":"`+bob.arn+`"},"Action":["s3:DeleteObject","s3:ListBucket"],"Resource":["arn:aws:s3:::shared","arn:aws:s3:::shared/bobs"]}`)
	out := do(t, bob.S3.DeleteObjects, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("a")}, {Key: aws.String("bobs")}}}})
	if len(out.Deleted) != 1 || *out.Deleted[0].Key != "bobs" || len(out.Errors) != 1 || *out.Errors[0].Code != "AccessDenied" {
		t.Errorf("of two keys: deleted %v, errors %v", out.Deleted, out.Errors)
	}
}

// Lists of grants, in a bucket that has them.
func TestObjectsOfManyOwners(t *testing.T) {
	s := start(t, coffertest.Flags("--new-bucket-defaults", "legacy"))
	root, all := rootOf(s), nobody(s)
	other := accountOf(s, otherAccount)
	s.Bucket("drop", "", "", false)
	bucket := aws.String("drop")
	fails(t, s.S3.GetBucketOwnershipControls, &s3.GetBucketOwnershipControlsInput{Bucket: bucket}, 404, "OwnershipControlsNotFoundError", "")
	mine := do(t, s.S3.GetBucketAcl, &s3.GetBucketAclInput{Bucket: bucket}).Owner
	theirs := do(t, other.S3.ListBuckets, &s3.ListBucketsInput{}).Owner
	plain := outcome{403, "AccessDenied", "Access Denied"}
	withACL := func(acl types.ObjectCannedACL) func(*s3.PutObjectInput) {
		return func(in *s3.PutObjectInput) { in.ACL = acl }
	}

	plain.check(t, "before the grant", other.put("drop", "a"))
	do(t, s.S3.PutBucketAcl, &s3.PutBucketAclInput{Bucket: bucket, GrantWrite: aws.String(`id="` + *theirs.ID + `"`)})
	allowed.check(t, "granted", other.put("drop", "a"))
	plain.check(t, "whose it is decides: the bucket's owner reads", root.get("drop", "a"))
	allowed.check(t, "its owner reads", other.get("drop", "a"))
	do(t, other.S3.PutObjectAcl, &s3.PutObjectAclInput{Bucket: bucket, Key: aws.String("a"), AccessControlPolicy: &types.AccessControlPolicy{
		Owner: theirs, Grants: []types.Grant{
			{Grantee: &types.Grantee{Type: types.TypeCanonicalUser, ID: theirs.ID}, Permission: types.PermissionFullControl},
			{Grantee: &types.Grantee{Type: types.TypeCanonicalUser, ID: mine.ID}, Permission: types.PermissionRead},
		},
	}})
	allowed.check(t, "granted to the bucket's owner", root.get("drop", "a"))
	if got := do(t, other.S3.GetObjectAcl, &s3.GetObjectAclInput{Bucket: bucket, Key: aws.String("a")}); len(got.Grants) != 2 || *got.Grants[1].Grantee.ID != *mine.ID {
		t.Errorf("grants %+v", got.Grants)
	}
	allowed.check(t, "a public object", root.put("drop", "public", withACL("public-read")))
	allowed.check(t, "read by nobody", all.get("drop", "public"))
	plain.check(t, "a private one, by nobody", all.get("drop", "a"))
	allowed.check(t, "with full control for the bucket's owner", other.put("drop", "given", withACL("bucket-owner-full-control")))
	allowed.check(t, "read by the bucket's owner", root.get("drop", "given"))
	if got := do(t, root.S3.GetObjectAcl, &s3.GetObjectAclInput{Bucket: bucket, Key: aws.String("given")}); *got.Owner.ID != *theirs.ID {
		t.Error("ObjectWriter gave the object away")
	}
	own := func(o types.ObjectOwnership) *s3.PutBucketOwnershipControlsInput {
		return &s3.PutBucketOwnershipControlsInput{Bucket: bucket, OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: o}}}}
	}
	do(t, s.S3.PutBucketOwnershipControls, own(types.ObjectOwnershipBucketOwnerPreferred))
	allowed.check(t, "preferred", other.put("drop", "preferred", withACL("bucket-owner-full-control")))
	if got := do(t, root.S3.GetObjectAcl, &s3.GetObjectAclInput{Bucket: bucket, Key: aws.String("preferred")}); *got.Owner.ID != *mine.ID {
		t.Error("BucketOwnerPreferred did not take the object")
	}
	fails(t, s.S3.PutBucketOwnershipControls, own(types.ObjectOwnershipBucketOwnerEnforced), 400, "InvalidBucketAclWithObjectOwnership", "")
	do(t, s.S3.PutBucketAcl, &s3.PutBucketAclInput{Bucket: bucket, ACL: types.BucketCannedACLPrivate})
	do(t, s.S3.PutBucketOwnershipControls, own(types.ObjectOwnershipBucketOwnerEnforced))
	if got := do(t, s.S3.GetBucketOwnershipControls, &s3.GetBucketOwnershipControlsInput{Bucket: bucket}); got.OwnershipControls.Rules[0].ObjectOwnership != types.ObjectOwnershipBucketOwnerEnforced {
		t.Errorf("ownership %+v", got.OwnershipControls)
	}
	allowed.check(t, "enforced: all is the bucket owner's", root.get("drop", "a"))
	plain.check(t, "enforced: lists do not count", all.get("drop", "public"))
	outcome{400, "AccessControlListNotSupported", "The bucket does not allow ACLs"}.check(t, "enforced: no lists", root.put("drop", "b", withACL("public-read")))
	do(t, s.S3.DeleteBucketOwnershipControls, &s3.DeleteBucketOwnershipControlsInput{Bucket: bucket})
	allowed.check(t, "lists count again", all.get("drop", "public"))
}

// A form without a signature reaches what the bucket's policy allows.
func TestPublicForm(t *testing.T) {
	s := start(t)
	root := rootOf(s)
	s.Bucket("inbox", "", "", false)
	do(t, s.S3.DeletePublicAccessBlock, &s3.DeletePublicAccessBlockInput{Bucket: aws.String("inbox")})
	form := func() answer {
		const body = "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nletter\r\n--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nhello\r\n--b--\r\n"
		return request{method: "POST", target: "/inbox", body: body, anonymous: true, headers: []string{"Content-Type", "multipart/form-data; boundary=b"}}.do(s)
	}
	if a := form(); a.status != 403 {
		t.Errorf("before: %d %s", a.status, a.body)
	}
	root.bucketPolicy("inbox", `{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::inbox/*"}`)
	if a := form(); a.status != http.StatusNoContent {
		t.Errorf("after: %d %s", a.status, a.body)
	}
	if body, _ := s.Get("inbox", "letter"); body != "hello" {
		t.Errorf("the letter says %q", body)
	}
	s.Encrypt("inbox", "aws:kms", s.Key(), true)
	if a := form(); a.status != 400 || !strings.Contains(a.body, "require AWS Signature Version 4") {
		t.Errorf("under KMS: %d %s", a.status, a.body)
	}
}

// Conditions of S3, in a user's policy.
func TestConditionsOfS3(t *testing.T) {
	s := start(t)
	ctx, root := t.Context(), rootOf(s)
	s.Bucket("vault", "", "", false)
	bucket := aws.String("vault")
	s.Put("vault", "red", "x", func(in *s3.PutObjectInput) { in.Tagging = aws.String("team=red") })
	s.Put("vault", "blue", "x", func(in *s3.PutObjectInput) { in.Tagging = aws.String("team=blue") })
	object := func(action, condition string) string {
		return `{"Effect":"Allow","Action":"` + action + `","Resource":"arn:aws:s3:::vault/*","Condition":` + condition + `}`
	}
	u := root.user("u", object("s3:GetObject", `{"StringEquals":{"s3:ExistingObjectTag/team":"red"}}`))
	denied := deniedFor("no identity-based policy")
	allowed.check(t, "a tag", u.get("vault", "red"))
	denied.check(t, "another tag", u.get("vault", "blue"))

	root.may("u", `{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::vault","Condition":{"StringLike":{"s3:prefix":"home/${aws:username}/*"},"NumericLessThanEquals":{"s3:max-keys":"10"}}}`)
	list := func(prefix string, most int32) error {
		_, err := u.S3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: &prefix, MaxKeys: &most})
		return err
	}
	allowed.check(t, "one's own prefix", list("home/u/x", 10))
	denied.check(t, "another's", list("home/v/x", 10))
	denied.check(t, "too many", list("home/u/x", 11))

	root.may("u", object("s3:PutObject", `{"StringEquals":{"s3:x-amz-storage-class":"STANDARD_IA"}}`)+","+object("s3:PutObjectTagging", `{"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["team"]}}`))
	class := func(in *s3.PutObjectInput) { in.StorageClass = types.StorageClassStandardIa }
	tags := func(text string) func(*s3.PutObjectInput) {
		return func(in *s3.PutObjectInput) { in.Tagging = &text }
	}
	denied.check(t, "another storage class", u.put("vault", "a"))
	allowed.check(t, "the storage class", u.put("vault", "a", class))
	allowed.check(t, "the tag's key", u.put("vault", "a", class, tags("team=x")))
	denied.check(t, "another tag's key", u.put("vault", "a", class, tags("team=x&b=c")))
	denied.check(t, "a condition on the old object needs to read it", u.put("vault", "red", class, func(in *s3.PutObjectInput) { in.IfMatch = aws.String("e") }))

	root.may("u", object("s3:*", `{"StringEquals":{"s3:authType":"REST-QUERY-STRING"}}`))
	denied.check(t, "signed in the header", u.get("vault", "red"))
	signed, err := s3.NewPresignClient(u.S3).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("red")})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(ctx, "GET", signed.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := send(t, r); a.status != 200 {
		t.Errorf("presigned: %d %s", a.status, a.body)
	}
}
