// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/cofferstore/coffer/internal/wire/opsapi"
	"github.com/cofferstore/coffer/test/coffertest"
)

// Accounts have users, buckets and keys of their own; the operator limits and deletes
// them.
func TestAccounts(t *testing.T) {
	t.Parallel()
	s := coffertest.Start(t)
	ctx, operator := t.Context(), s.Operator()
	const blue = "444455556666"
	them, us := newAccount(t, s, blue), s.Root()
	if who := do(t, them.STS.GetCallerIdentity, &sts.GetCallerIdentityInput{}); *who.Account != blue || *who.Arn != "arn:aws:iam::"+blue+":root" || *who.UserId != blue {
		t.Errorf("their root is %s %s", *who.Arn, *who.UserId)
	}
	if _, err := operator.CreateAccount(ctx, blue, "again"); err == nil || !strings.Contains(err.Error(), "AccountExists") {
		t.Errorf("an account twice: %v", err)
	}

	// Names of users are an account's, those of buckets everybody's.
	ann := them.NewUser("ann", allOfS3)
	us.NewUser("ann")
	do(t, ann.S3.CreateBucket, &s3.CreateBucketInput{Bucket: aws.String("theirs")})
	do(t, us.S3.CreateBucket, &s3.CreateBucketInput{Bucket: aws.String("ours")})
	must(t, putBy(t, ann, "theirs", "a"))
	wantCode(t, getBy(t, us, "theirs", "a"), 403, "AccessDenied")
	wantCode(t, getBy(t, them, "ours", "a"), 403, "AccessDenied")
	if list := do(t, them.S3.ListBuckets, &s3.ListBucketsInput{}); len(list.Buckets) != 1 || *list.Buckets[0].Name != "theirs" {
		t.Errorf("their buckets: %+v", list.Buckets)
	}
	key := do(t, them.KMS.CreateKey, &kms.CreateKeyInput{}).KeyMetadata
	if *key.AWSAccountId != blue {
		t.Errorf("their key is of %s", *key.AWSAccountId)
	}
	fails(t, us.KMS.DescribeKey, &kms.DescribeKeyInput{KeyId: key.Arn}, 400, "AccessDeniedException", "")

	// The server is operated by its own account.
	stranger := &opsapi.Client{Endpoint: s.URL, Region: coffertest.Region, Credentials: them.S3.Options().Credentials}
	if _, err := stranger.Accounts(ctx); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("their root operates the server: %v", err)
	}

	// Service control policies limit its root, too.
	noPut := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"s3:PutObject","Resource":"*"}]}`
	must(t, operator.SetControls(ctx, blue, []opsapi.Control{{Name: "no-put", Document: noPut}}))
	for _, who := range []*coffertest.Identity{them, ann} {
		err := putBy(t, who, "theirs", "b")
		if e := wantCode(t, err, 403, "AccessDenied"); e != nil && !strings.HasSuffix(e.ErrorMessage(), "with an explicit deny in a service control policy") {
			t.Errorf("controlled: %s", e.ErrorMessage())
		}
		must(t, getBy(t, who, "theirs", "a"))
	}
	must(t, operator.SetControls(ctx, blue, nil))
	must(t, putBy(t, ann, "theirs", "b"))

	// It is deleted when it owns nothing.
	if err := operator.DeleteAccount(ctx, blue); err == nil || !strings.Contains(err.Error(), "AccountInUse") {
		t.Errorf("deleted with a bucket: %v", err)
	}
	must(t, getBy(t, ann, "theirs", "a"))
	for _, name := range []string{"a", "b"} {
		do(t, ann.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: aws.String("theirs"), Key: &name})
	}
	do(t, ann.S3.DeleteBucket, &s3.DeleteBucketInput{Bucket: aws.String("theirs")})
	if err := operator.DeleteAccount(ctx, blue); err == nil || !strings.Contains(err.Error(), "KMS key") {
		t.Errorf("deleted with a key: %v", err)
	}
	empty := newAccount(t, s, "777788889999")
	bob := empty.NewUser("bob", allOfS3)
	do(t, bob.S3.ListBuckets, &s3.ListBucketsInput{})
	must(t, operator.DeleteAccount(ctx, "777788889999"))
	for _, who := range []*coffertest.Identity{empty, bob} {
		fails(t, who.S3.ListBuckets, &s3.ListBucketsInput{}, 403, "InvalidAccessKeyId", "")
		fails(t, who.IAM.ListUsers, &iam.ListUsersInput{}, 403, "InvalidClientTokenId", "")
	}
	all, err := operator.Accounts(ctx)
	must(t, err)
	if len(all) != 2 || all[0].ID != coffertest.Account || !all[0].Operator || all[1].ID != blue || all[1].Name != "account "+blue {
		t.Errorf("accounts %+v", all)
	}
}

// The root of a further account changes its own access keys.
func TestRootAccessKeys(t *testing.T) {
	t.Parallel()
	s := coffertest.Start(t)
	root := newAccount(t, s, "444455556666")
	made := do(t, root.IAM.CreateAccessKey, &iam.CreateAccessKeyInput{}).AccessKey
	fails(t, root.IAM.CreateAccessKey, &iam.CreateAccessKeyInput{}, 409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2")
	again := s.As("444455556666", aws.Credentials{AccessKeyID: *made.AccessKeyId, SecretAccessKey: *made.SecretAccessKey})
	do(t, again.IAM.DeleteAccessKey, &iam.DeleteAccessKeyInput{AccessKeyId: &root.Keys.AccessKeyID})
	fails(t, root.IAM.ListAccessKeys, &iam.ListAccessKeysInput{}, 403, "InvalidClientTokenId", "")
	if list := do(t, again.IAM.ListAccessKeys, &iam.ListAccessKeysInput{}); len(list.AccessKeyMetadata) != 1 || *list.AccessKeyMetadata[0].AccessKeyId != again.Keys.AccessKeyID {
		t.Errorf("their root's keys: %+v", list.AccessKeyMetadata)
	}
	renewed, err := s.Operator().RenewRootKey(t.Context(), "444455556666")
	must(t, err)
	fails(t, again.IAM.ListAccessKeys, &iam.ListAccessKeysInput{}, 403, "InvalidClientTokenId", "")
	third := s.As("444455556666", aws.Credentials{AccessKeyID: renewed.AccessKeyID, SecretAccessKey: renewed.SecretAccessKey})
	do(t, third.IAM.ListAccessKeys, &iam.ListAccessKeysInput{})
	fails(t, s.Root().IAM.CreateAccessKey, &iam.CreateAccessKeyInput{}, 400, "UnmodifiableEntity", "where the server is configured")
}

// newAccount has the operator make an account, and returns its root.
func newAccount(t *testing.T, s *coffertest.Server, id string) *coffertest.Identity {
	t.Helper()
	a, err := s.Operator().CreateAccount(t.Context(), id, "account "+id)
	must(t, err)
	return s.As(id, aws.Credentials{AccessKeyID: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey})
}
