// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

// TestGrantsThroughS3: S3 uses a key with the grants of its own caller, whose constraints
// are on the encryption context that S3 gives.
func TestGrantsThroughS3(t *testing.T) {
	t.Parallel()
	s := start(t)
	root := s.Root()
	key := s.Key()
	s.Bucket("vault", "aws:kms", key, true)
	user := root.NewUser("user", allOfS3)
	grant := func(ec string, operations ...types.GrantOperation) *kms.CreateGrantOutput {
		return do(t, root.KMS.CreateGrant, &kms.CreateGrantInput{
			KeyId: &key, GranteePrincipal: aws.String(userARN(coffertest.Account, "user")), Operations: operations,
			Constraints: &types.GrantConstraints{EncryptionContextSubset: map[string]string{"aws:s3:arn": ec}},
		})
	}
	put := func(name string, bucketKey bool) error {
		_, err := user.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("vault"), Key: &name, Body: strings.NewReader("x"), BucketKeyEnabled: &bucketKey})
		return err
	}
	wantCode(t, put("before", true), 403, "AccessDenied")

	writes := grant("arn:aws:s3:::vault", types.GrantOperationGenerateDataKey)
	must(t, put("o", true))
	wantCode(t, getBy(t, user, "vault", "o"), 403, "AccessDenied") // who may write may not read
	reads := grant("arn:aws:s3:::vault", types.GrantOperationDecrypt)
	must(t, getBy(t, user, "vault", "o"))

	// A grant for the bucket does not fit an object without a Bucket Key, nor the reverse.
	wantCode(t, put("alone", false), 403, "AccessDenied")
	alone := grant("arn:aws:s3:::vault/alone", types.GrantOperationGenerateDataKey, types.GrantOperationDecrypt)
	must(t, put("alone", false))
	must(t, getBy(t, user, "vault", "alone"))
	wantCode(t, put("other", false), 403, "AccessDenied")

	// Ending a grant acts on the next request, with a warm Bucket Key, too.
	do(t, root.KMS.RevokeGrant, &kms.RevokeGrantInput{KeyId: &key, GrantId: reads.GrantId})
	wantCode(t, getBy(t, user, "vault", "o"), 403, "AccessDenied")
	must(t, put("o", true))
	do(t, root.KMS.RetireGrant, &kms.RetireGrantInput{GrantToken: writes.GrantToken})
	wantCode(t, put("o", true), 403, "AccessDenied")
	must(t, getBy(t, user, "vault", "alone"))
	do(t, root.KMS.RetireGrant, &kms.RetireGrantInput{KeyId: &key, GrantId: alone.GrantId})
	wantCode(t, getBy(t, user, "vault", "alone"), 403, "AccessDenied")
}

// TestGrants follows grants directly, across accounts.
func TestGrants(t *testing.T) {
	t.Parallel()
	s := start(t)
	root, blue := s.Root(), s.NewAccount("444455556666", "blue")
	key := s.Key()
	them := blue.NewUser("them")
	theirs := userARN(blue.Account, "them")
	pairs := map[string]string{"dept": "x"}
	encrypt := func(ec map[string]string, tokens ...string) error {
		_, err := them.KMS.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x"), EncryptionContext: ec, GrantTokens: tokens})
		return err
	}
	wantCode(t, encrypt(pairs), 400, "AccessDeniedException")
	in := &kms.CreateGrantInput{
		KeyId: &key, GranteePrincipal: &theirs, RetiringPrincipal: &theirs, Name: aws.String("g"),
		Operations:  []types.GrantOperation{"Encrypt", "CreateGrant", "DescribeKey"},
		Constraints: &types.GrantConstraints{EncryptionContextEquals: pairs},
	}
	in.DryRun = aws.Bool(true)
	fails(t, root.KMS.CreateGrant, in, 400, "DryRunOperationException", "")
	in.DryRun = nil
	first := do(t, root.KMS.CreateGrant, in)
	if again := do(t, root.KMS.CreateGrant, in); *again.GrantId != *first.GrantId || *again.GrantToken == *first.GrantToken {
		t.Errorf("the same grant again: %s and %s", *first.GrantId, *again.GrantId)
	}
	must(t, encrypt(pairs, *first.GrantToken))
	wantCode(t, encrypt(map[string]string{"dept": "x", "more": "y"}), 400, "AccessDeniedException")
	wantCode(t, encrypt(pairs, "no token"), 400, "InvalidGrantTokenException")

	// The grantee passes on what it has, and no more.
	child := &kms.CreateGrantInput{
		KeyId: &key, GranteePrincipal: aws.String("arn:aws:iam::" + blue.Account + ":root"), Operations: []types.GrantOperation{"Encrypt"},
		Constraints: &types.GrantConstraints{EncryptionContextEquals: pairs},
	}
	passed := do(t, them.KMS.CreateGrant, child)
	child.Operations = []types.GrantOperation{"Decrypt"}
	fails(t, them.KMS.CreateGrant, child, 400, "AccessDeniedException", "")
	list := do(t, root.KMS.ListGrants, &kms.ListGrantsInput{KeyId: &key}).Grants
	if len(list) != 2 {
		t.Errorf("%d grants", len(list))
	}
	for _, g := range list {
		if *g.GrantId == *passed.GrantId && *g.IssuingAccount != "arn:aws:iam::"+blue.Account+":root" {
			t.Errorf("issued by %s", *g.IssuingAccount)
		}
	}
	if mine := do(t, blue.KMS.ListRetirableGrants, &kms.ListRetirableGrantsInput{RetiringPrincipal: &theirs}).Grants; len(mine) != 1 || *mine[0].GrantId != *first.GrantId {
		t.Errorf("to retire: %+v", mine)
	}
	do(t, them.KMS.RetireGrant, &kms.RetireGrantInput{KeyId: &key, GrantId: first.GrantId})
	wantCode(t, encrypt(pairs), 400, "AccessDeniedException")
	fails(t, root.KMS.RevokeGrant, &kms.RevokeGrantInput{KeyId: &key, GrantId: first.GrantId}, 400, "InvalidGrantIdException", "")
}
