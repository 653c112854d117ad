// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

func userARN(account, name string) string { return "arn:aws:iam::" + account + ":user/" + name }

// keyUse is a policy statement about using keys.
func keyUse(effect, principal, condition string) string {
	s := `{"Effect":"` + effect + `",` + principal + `"Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"*"`
	if condition != "" {
		s += `,"Condition":` + condition
	}
	return s + "}"
}

func ofKey(arn string) string { return `"Principal":{"AWS":"` + arn + `"},` }

// TestDeniedKeys: without the permission of the KMS key S3 refuses a write or read of
// its own caller, and says whom, what and why (E-KMSDENY).
func TestDeniedKeys(t *testing.T) {
	t.Parallel()
	s := start(t)
	root := s.Root()
	key := s.Key()
	s.Bucket("vault", "aws:kms", key, true)
	s.Bucket("plain", "AES256", "", false)
	s.Put("vault", "there", "x")
	s.Put("plain", "source", "x")

	no := root.NewUser("no", allOfS3)
	never := root.NewUser("never", allOfS3, document(keyUse("Deny", "", "")))
	blue := s.NewAccount("444455556666", "blue")
	away := blue.NewUser("away", allOfS3)
	letIn(t, root, "vault", away.Account)
	theirKey := *do(t, blue.KMS.CreateKey, &kms.CreateKeyInput{}).KeyMetadata.Arn

	denial := func(who, action, on, reason string) string {
		return "User: " + who + " is not authorized to perform: kms:" + action + " on " + on + " " + reason
	}
	lacks := func(action string) string {
		return "because no identity-based policy allows the kms:" + action + " action"
	}
	const elsewhere = "because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
	noARN, neverARN, awayARN := userARN(coffertest.Account, "no"), userARN(coffertest.Account, "never"), userARN(blue.Account, "away")

	put := func(edit ...func(*s3.PutObjectInput)) *s3.PutObjectInput {
		in := &s3.PutObjectInput{Bucket: aws.String("vault"), Key: aws.String("k"), Body: strings.NewReader("x")}
		for _, e := range edit {
			e(in)
		}
		return in
	}
	get := &s3.GetObjectInput{Bucket: aws.String("vault"), Key: aws.String("there")}
	fails(t, no.S3.PutObject, put(), 403, "AccessDenied", denial(noARN, "GenerateDataKey", "resource: "+key, lacks("GenerateDataKey")))
	fails(t, no.S3.GetObject, get, 403, "AccessDenied", denial(noARN, "Decrypt", "resource: "+key, lacks("Decrypt")))
	fails(t, no.S3.CopyObject, &s3.CopyObjectInput{Bucket: aws.String("plain"), Key: aws.String("c"), CopySource: aws.String("vault/there")}, 403, "AccessDenied", denial(noARN, "Decrypt", "resource: "+key, lacks("Decrypt")))
	fails(t, no.S3.CopyObject, &s3.CopyObjectInput{Bucket: aws.String("vault"), Key: aws.String("c"), CopySource: aws.String("plain/source")}, 403, "AccessDenied", denial(noARN, "GenerateDataKey", "resource: "+key, lacks("GenerateDataKey")))
	fails(t, no.S3.CreateMultipartUpload, &s3.CreateMultipartUploadInput{Bucket: aws.String("vault"), Key: aws.String("m")}, 403, "AccessDenied", denial(noARN, "GenerateDataKey", "resource: "+key, lacks("GenerateDataKey")))
	fails(t, never.S3.GetObject, get, 403, "AccessDenied", denial(neverARN, "Decrypt", "resource: "+key, "with an explicit deny in an identity-based policy"))
	fails(t, away.S3.GetObject, get, 403, "AccessDenied", denial(awayARN, "Decrypt", "the resource associated with this ciphertext", elsewhere))
	fails(t, away.S3.PutObject, put(), 403, "AccessDenied", denial(awayARN, "GenerateDataKey", "this resource", elsewhere))
	under := func(arn string) *s3.PutObjectInput {
		return put(func(in *s3.PutObjectInput) { in.ServerSideEncryption, in.SSEKMSKeyId = "aws:kms", &arn })
	}
	fails(t, no.S3.PutObject, under(theirKey), 403, "AccessDenied", denial(noARN, "GenerateDataKey", "this resource", elsewhere))
	missing := strings.Replace(theirKey, theirKey[strings.LastIndex(theirKey, "/")+1:], "00000000-0000-0000-0000-000000000001", 1)
	fails(t, no.S3.PutObject, under(missing), 403, "AccessDenied", denial(noARN, "GenerateDataKey", "this resource", elsewhere))
	fails(t, no.S3.PutObject, under(strings.Replace(missing, "key/00000000-0000-0000-0000-000000000001", "alias/any", 1)), 403, "AccessDenied", elsewhere)

	// A default that names the owner's key by its bare id names no other for others.
	bare := key[strings.LastIndex(key, "/")+1:]
	s.Bucket("bare", "aws:kms", bare, true)
	letIn(t, root, "bare", away.Account)
	wantCode(t, putBy(t, away, "bare", "k"), 403, "AccessDenied")
	do(t, root.KMS.CreateGrant, &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: &awayARN, Operations: []types.GrantOperation{"GenerateDataKey"}})
	must(t, putBy(t, away, "bare", "k"))

	// HEAD needs no key. Nor does deleting.
	do(t, no.S3.HeadObject, &s3.HeadObjectInput{Bucket: get.Bucket, Key: get.Key})
	do(t, no.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: get.Bucket, Key: get.Key})

	// The managed key is for S3 and for its own account alone, and needs no permission there.
	managed := put(func(in *s3.PutObjectInput) { in.ServerSideEncryption = "aws:kms" })
	do(t, no.S3.PutObject, managed)
	do(t, no.S3.GetObject, &s3.GetObjectInput{Bucket: managed.Bucket, Key: managed.Key})
	wantCode(t, getBy(t, away, "vault", "k"), 403, "AccessDenied")
	fails(t, root.KMS.GenerateDataKey, &kms.GenerateDataKeyInput{KeyId: aws.String("alias/aws/s3"), KeySpec: "AES_256"}, 400, "AccessDeniedException", "because no resource-based policy allows the kms:GenerateDataKey action")
	fails(t, root.KMS.CreateAlias, &kms.CreateAliasInput{AliasName: aws.String("alias/aws/x"), TargetKeyId: &key}, 400, "InvalidAliasNameException", "")
}

// letIn lets an account do everything with the objects of a bucket.
func letIn(t *testing.T, owner *coffertest.Identity, bucket, account string) {
	t.Helper()
	text := document(`{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":["s3:PutObject","s3:GetObject"],"Resource":"arn:aws:s3:::` + bucket + `/*"}`)
	do(t, owner.S3.PutBucketPolicy, &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &text})
}

// TestKeyPolicies puts policies as an administrator does, and looks who may do what
// then, directly and through S3.
func TestKeyPolicies(t *testing.T) {
	t.Parallel()
	s := start(t)
	root := s.Root()
	s.Bucket("vault", "AES256", "", false)
	user := root.NewUser("user", allOfS3)
	mine := userARN(coffertest.Account, "user")
	helped := root.NewUser("helped", allOfS3, document(keyUse("Allow", "", "")))
	account := `{"Effect":"Allow","Principal":{"AWS":"` + coffertest.Account + `"},"Action":"kms:*","Resource":"*"}`
	admin := `{"Effect":"Allow","Principal":{"AWS":"` + coffertest.Account + `"},"Action":["kms:PutKeyPolicy","kms:Describe*"],"Resource":"*"}`
	key := s.Key()
	set := func(statements ...string) {
		t.Helper()
		do(t, root.KMS.PutKeyPolicy, &kms.PutKeyPolicyInput{KeyId: &key, Policy: aws.String(document(strings.Join(statements, ",")))})
	}
	direct := func(who *coffertest.Identity) error {
		_, err := who.KMS.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: &key, KeySpec: types.DataKeySpecAes256, EncryptionContext: map[string]string{"dept": "x"}})
		return err
	}
	n := 0
	through := func(who *coffertest.Identity, bucketKey bool) error {
		n++
		_, err := who.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("vault"), Key: aws.String(fmt.Sprint("o", n)), Body: strings.NewReader("x"),
			ServerSideEncryption: "aws:kms", SSEKMSKeyId: &key, BucketKeyEnabled: &bucketKey,
		})
		return err
	}
	is := func(what string, err error, allowed bool) {
		t.Helper()
		if (err == nil) != allowed {
			t.Errorf("%s: %v", what, err)
		}
	}

	is("by the account's policies", direct(helped), true)
	is("without", direct(user), false)
	set(admin)
	is("no longer delegated", direct(helped), false)
	is("no longer delegated, through S3", through(helped, true), false)
	is("the root", direct(root), false)

	set(admin, keyUse("Allow", ofKey(mine), ""))
	is("named", direct(user), true)
	is("named, through S3", through(user, true), true)
	set(admin, keyUse("Allow", ofKey(mine), `{"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}}`))
	is("through S3 alone, directly", direct(user), false)
	is("through S3 alone", through(user, true), true)
	set(admin, keyUse("Allow", ofKey(mine), `{"StringEquals":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::vault"}}`))
	is("for the bucket, with a bucket key", through(user, true), true)
	is("for the bucket, without", through(user, false), false)
	set(admin, keyUse("Allow", ofKey(mine), `{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::vault/*"}}`))
	is("for objects, with a bucket key", through(user, true), false)
	is("for objects, without", through(user, false), true)
	set(account, keyUse("Deny", ofKey(userARN(coffertest.Account, "helped")), ""))
	is("denied", direct(helped), false)

	// A policy that is none, or that nobody could change again.
	put := func(text string, bypass bool) (*kms.PutKeyPolicyInput, int, string) {
		return &kms.PutKeyPolicyInput{KeyId: &key, Policy: &text, BypassPolicyLockoutSafetyCheck: bypass}, 400, "MalformedPolicyDocumentException"
	}
	in, status, code := put(document(keyUse("Allow", ofKey(mine), "")), false)
	fails(t, root.KMS.PutKeyPolicy, in, status, code, "The new key policy will not allow you to update the key policy in the future.")
	in, status, code = put(document(account+","+keyUse("Allow", ofKey(mine+"x"), "")), false)
	fails(t, root.KMS.PutKeyPolicy, in, status, code, "Policy contains a statement with one or more invalid principals.")
	in, status, code = put(`{"Statement":`, true)
	fails(t, root.KMS.PutKeyPolicy, in, status, code, "")
	in, _, _ = put(document(keyUse("Allow", ofKey(mine), "")), true)
	do(t, root.KMS.PutKeyPolicy, in)
	fails(t, root.KMS.PutKeyPolicy, in, 400, "AccessDeniedException", "because no resource-based policy allows the kms:PutKeyPolicy action")
}

// TestWhatDependsOnAKey: who schedules a key's deletion learns what is lost with it, and
// so does the audit trail.
func TestWhatDependsOnAKey(t *testing.T) {
	t.Parallel()
	s := start(t)
	key := s.Key()
	alias := "alias/default"
	do(t, s.KMS.CreateAlias, &kms.CreateAliasInput{AliasName: &alias, TargetKeyId: &key})
	s.Bucket("vault", "aws:kms", key, true)
	s.Bucket("empty", "aws:kms", alias, true)
	s.Bucket("plain", "AES256", "", false)
	for i := range 3 {
		s.Put("vault", fmt.Sprint("o", i), "x")
	}
	s.Put("vault", "o0", "again")
	s.Put("plain", "one", "x", func(in *s3.PutObjectInput) { in.ServerSideEncryption, in.SSEKMSKeyId = "aws:kms", &key })
	s.Put("plain", "other", "x")
	do(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: aws.String("vault"), Key: aws.String("o1")})
	do(t, s.S3.CreateMultipartUpload, &s3.CreateMultipartUploadInput{Bucket: aws.String("vault"), Key: aws.String("up"), ServerSideEncryption: s3types.ServerSideEncryptionAwsKms, SSEKMSKeyId: &key})

	// Who wants to delete a key asks when it was last used.
	if used := do(t, s.KMS.GetKeyLastUsage, &kms.GetKeyLastUsageInput{KeyId: &key}).KeyLastUsage; used == nil || used.Operation != "GenerateDataKey" {
		t.Errorf("last used: %+v", used)
	}
	body := `{"KeyId":"` + key + `","PendingWindowInDays":7}`
	answer := request{method: "POST", target: "/", body: body, service: "kms", headers: []string{
		"Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", "TrentService.ScheduleKeyDeletion",
	}}.do(s)
	var out struct {
		CofferDependentBuckets, CofferDependentObjects int
		KeyState                                       string
	}
	if err := json.Unmarshal([]byte(answer.body), &out); err != nil || out.CofferDependentBuckets != 3 || out.CofferDependentObjects != 4 || out.KeyState != "PendingDeletion" {
		t.Errorf("%d %s (%v)", answer.status, answer.body, err)
	}
	for _, r := range s.Audit() {
		if r.EventName != "ScheduleKeyDeletion" {
			continue
		}
		if d := r.AdditionalEventData; fmt.Sprint(d["cofferDependentBuckets"], d["cofferDependentObjects"]) != "3 4" || fmt.Sprint(r.ResponseElements["cofferDependentObjects"]) != "4" {
			t.Errorf("recorded %v, %v", d, r.ResponseElements)
		}
	}
	// SDKs pass over what they do not know.
	do(t, s.KMS.CancelKeyDeletion, &kms.CancelKeyDeletionInput{KeyId: &key})
	do(t, s.KMS.EnableKey, &kms.EnableKeyInput{KeyId: &key})
	if out := do(t, s.KMS.ScheduleKeyDeletion, &kms.ScheduleKeyDeletionInput{KeyId: &key}); out.KeyState != types.KeyStatePendingDeletion {
		t.Errorf("scheduled: %+v", out)
	}
}
