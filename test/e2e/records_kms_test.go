// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/cofferstore/coffer/test/coffertest"
)

// member reads a member of an answer of KMS.
func (a answer) member(name string) string {
	a.t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		a.t.Fatalf("%s: %v", a.body, err)
	}
	s, _ := m[name].(string)
	return s
}

// TestRecordsOfKeys: management events of KMS, called directly.
func TestRecordsOfKeys(t *testing.T) {
	t.Parallel()
	s := start(t)
	g := records(s, "kms")
	var key string
	g.row("CreateKey", func() {
		var made struct{ KeyMetadata struct{ Arn string } }
		a := g.kms("CreateKey", `{"Description":"d","Tags":[{"TagKey":"team","TagValue":"red"}]}`)
		if err := json.Unmarshal([]byte(a.body), &made); err != nil {
			t.Fatal(err)
		}
		key = made.KeyMetadata.Arn
		g.call("arn:KEY", key)
		g.call("KEY", keyIDOf(key))
	})
	other := g.call("arn:OTHER", s.Key())
	g.call("OTHER", keyIDOf(other))
	id := keyIDOf(key)
	withKey := func(rest string) string { return fmt.Sprintf(`{"KeyId":%q%s}`, id, rest) }
	call := func(operation, body string) { g.row(operation, func() { g.kms(operation, body) }) }

	call("CreateAlias", fmt.Sprintf(`{"AliasName":"alias/main","TargetKeyId":%q}`, id))
	call("UpdateAlias", fmt.Sprintf(`{"AliasName":"alias/main","TargetKeyId":%q}`, other))
	call("DeleteAlias", `{"AliasName":"alias/main"}`)
	g.kms("CreateAlias", fmt.Sprintf(`{"AliasName":"alias/app","TargetKeyId":%q}`, id))
	call("ListAliases", `{}`)
	call("DescribeKey", withKey(""))
	call("ListKeys", `{}`)
	call("GetKeyPolicy", withKey(""))
	call("GetKeyRotationStatus", withKey(""))
	call("TagResource", withKey(`,"Tags":[{"TagKey":"a","TagValue":"b"}]`))
	call("ListResourceTags", withKey(""))
	call("UntagResource", withKey(`,"TagKeys":["a"]`))
	call("UpdateKeyDescription", withKey(`,"Description":"e"`))
	call("EnableKeyRotation", withKey(`,"RotationPeriodInDays":90`))
	call("DisableKeyRotation", withKey(""))
	call("RotateKeyOnDemand", withKey(""))
	call("ListKeyRotations", withKey(""))
	call("PutKeyPolicy", withKey(fmt.Sprintf(`,"Policy":%q`, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+coffertest.Account+`:root"},"Action":"kms:*","Resource":"*"}]}`)))

	context := `,"EncryptionContext":{"tenant":"t-17"}`
	var blob string
	g.row("Encrypt", func() { blob = g.kms("Encrypt", withKey(`,"Plaintext":"c2VjcmV0"`+context)).member("CiphertextBlob") })
	g.row("Decrypt, by alias", func() { g.kms("Decrypt", fmt.Sprintf(`{"KeyId":"alias/app","CiphertextBlob":%q%s}`, blob, context)) })
	g.row("Decrypt, without a key", func() { g.kms("Decrypt", fmt.Sprintf(`{"CiphertextBlob":%q%s}`, blob, context)) })
	g.row("ReEncrypt", func() {
		g.kms("ReEncrypt", fmt.Sprintf(`{"CiphertextBlob":%q,"SourceEncryptionContext":{"tenant":"t-17"},"DestinationKeyId":%q}`, blob, other))
	})
	call("GenerateDataKey", withKey(`,"KeySpec":"AES_256"`+context))
	call("GenerateDataKeyWithoutPlaintext", withKey(`,"NumberOfBytes":64`))
	call("GenerateDataKeyPair", withKey(`,"KeyPairSpec":"ECC_NIST_P256"`))
	call("GenerateRandom", `{"NumberOfBytes":32}`)
	call("ListGrants", withKey(""))
	var grant string
	g.row("CreateGrant", func() {
		grant = g.kms("CreateGrant", withKey(`,"GranteePrincipal":"arn:aws:iam::`+coffertest.Account+`:root","Operations":["Decrypt"],"Constraints":{"EncryptionContextSubset":{"tenant":"t-17"}}`)).member("GrantId")
		g.call("GRANT", grant)
	})
	g.row("RevokeGrant", func() { g.kms("RevokeGrant", withKey(fmt.Sprintf(`,"GrantId":%q`, grant))) })

	g.row("DryRunOperationException", func() { g.kms("Encrypt", withKey(`,"Plaintext":"c2VjcmV0","DryRun":true`)) })
	g.row("InvalidCiphertextException", func() { g.kms("Decrypt", fmt.Sprintf(`{"CiphertextBlob":%q}`, blob)) })
	g.row("NotFoundException", func() { g.kms("DescribeKey", `{"KeyId":"11111111-2222-3333-4444-555555555555"}`) })
	g.row("ValidationException", func() { g.kms("GenerateRandom", `{"NumberOfBytes":4096}`) })
	call("DisableKey", withKey(""))
	g.row("DisabledException", func() { g.kms("Encrypt", withKey(`,"Plaintext":"c2VjcmV0"`)) })
	call("EnableKey", withKey(""))
	call("ScheduleKeyDeletion", withKey(`,"PendingWindowInDays":9`))
	g.row("KMSInvalidStateException", func() { g.kms("Encrypt", withKey(`,"Plaintext":"c2VjcmV0"`)) })
	call("CancelKeyDeletion", withKey(""))

	user := s.Root().NewUser("app")
	g.row("AccessDeniedException", func() {
		_, _ = user.KMS.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: []byte("secret")})
	})
	stranger := s.NewAccount("222222222222", "other")
	g.row("of another account, denied: both have it", func() {
		_, _ = stranger.KMS.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: []byte("secret")})
	})
	lent := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::` + coffertest.Account + `:root","arn:aws:iam::222222222222:root"]},"Action":"kms:*","Resource":"*"}]}`
	do(t, s.KMS.PutKeyPolicy, &kms.PutKeyPolicyInput{KeyId: aws.String(id), Policy: &lent})
	do(t, s.KMS.EnableKey, &kms.EnableKeyInput{KeyId: aws.String(id)})
	g.row("of another account, allowed: both have it", func() {
		do(t, stranger.KMS.Encrypt, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("secret")})
	})
	g.done()
}

// TestRecordsOfThrottling: S3 tells its caller to slow down, and KMS says why.
func TestRecordsOfThrottling(t *testing.T) {
	t.Parallel()
	s := start(t)
	key := s.Key()
	s.Bucket("own", "aws:kms", key, false)
	s.Put("own", "k", "x")
	s.Restart("--kms-request-quota", "1", "--audit-s3-name", "s3.amazonaws.com")
	g := records(s, "throttled")
	g.call("arn:KEY", key)
	g.call("KEY", keyIDOf(key))
	before := 0
	for range 100 { // one a second is allowed
		before = len(g.lines(0))
		if g.s3("GET", "/own/k", "").status == 503 {
			break
		}
	}
	g.rows["SlowDown, and S3 as it was called before"] = g.normal(g.lines(before))
	g.order = []string{"SlowDown, and S3 as it was called before"}
	g.done()
}

// TestRecordsOfKMSRequestsOfS3: the KMS events that S3 makes for its callers, and with
// them the data events that name them.
func TestRecordsOfKMSRequestsOfS3(t *testing.T) {
	t.Parallel()
	s := start(t)
	g := records(s, "kms-via-s3")
	owner := s.Root()
	key := g.call("arn:KEY", s.Key())
	g.call("KEY", keyIDOf(key))
	s.Bucket("vault", "aws:kms", key, true)
	s.Bucket("own", "aws:kms", key, false)
	allowed := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","kms:*"],"Resource":"*"}]}`
	ann := owner.NewUser("ann", allowed)
	bob := owner.NewUser("bob", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	puts := func(who *coffertest.Identity, bucket, key string) func() {
		return func() { _ = put(who, bucket, key) }
	}
	gets := func(who *coffertest.Identity, bucket, key string) func() {
		return func() { _ = get(who, bucket, key) }
	}
	g.row("first write under a bucket key", puts(ann, "vault", "a"))
	g.row("second write: no KMS event", puts(ann, "vault", "b"))
	g.row("first read under a bucket key", gets(ann, "vault", "a"))
	g.row("second read: no KMS event", gets(ann, "vault", "b"))
	g.row("write without a bucket key", puts(ann, "own", "a"))
	g.row("read without a bucket key", gets(ann, "own", "a"))
	g.row("write, denied by KMS", puts(bob, "vault", "a"))
	g.row("read, denied by KMS", gets(bob, "vault", "a"))
	g.row("write without a bucket key, denied by KMS", puts(bob, "own", "a"))
	denying := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::vault/closed/*"}]}`
	g.s3("PUT", "/vault?policy", denying, withDigest(denying)...)
	g.row("write, denied by S3: no KMS event", puts(ann, "vault", "closed/a"))
	s.DisableKey(key)
	g.row("write, key disabled, without a proof", puts(owner, "vault", "a"))
	g.row("write, key disabled, with a proof", puts(ann, "vault", "a"))
	g.row("read, key disabled, without a bucket key", gets(ann, "own", "a"))

	tenant := s.NewAccount("222222222222", "tenant")
	theirs, err := tenant.KMS.CreateKey(t.Context(), &kms.CreateKeyInput{})
	must(t, err)
	foreign := g.call("arn:FOREIGN", *theirs.KeyMetadata.Arn)
	g.call("FOREIGN", keyIDOf(foreign))
	lent := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::` + coffertest.Account + `:root","arn:aws:iam::222222222222:root"]},"Action":"kms:*","Resource":"*"}]}`
	_, err = tenant.KMS.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &foreign, Policy: &lent})
	must(t, err)
	s.Bucket("lent", "aws:kms", foreign, true)
	g.row("key of another account: both have the KMS event", puts(ann, "lent", "a"))
	g.done()
}
