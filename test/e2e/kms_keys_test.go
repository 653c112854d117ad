// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

func keyIDOf(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

func describe(s *coffertest.Server, key string) *types.KeyMetadata {
	s.T.Helper()
	return do(s.T, s.KMS.DescribeKey, &kms.DescribeKeyInput{KeyId: &key}).KeyMetadata
}

func TestKeys(t *testing.T) {
	t.Parallel()
	s := start(t)
	m := do(t, s.KMS.CreateKey, &kms.CreateKeyInput{
		Description: aws.String("first"), Tags: []types.Tag{{TagKey: aws.String("a"), TagValue: aws.String("1")}},
	}).KeyMetadata
	arn := "arn:aws:kms:us-east-1:" + coffertest.Account + ":key/" + *m.KeyId
	if *m.Arn != arn || len(*m.KeyId) != 36 || *m.AWSAccountId != coffertest.Account || !m.Enabled || m.KeyState != "Enabled" || m.KeyUsage != "ENCRYPT_DECRYPT" ||
		m.KeySpec != "SYMMETRIC_DEFAULT" || m.Origin != "AWS_KMS" || m.KeyManager != "CUSTOMER" || *m.Description != "first" ||
		*m.MultiRegion || fmt.Sprint(m.EncryptionAlgorithms) != "[SYMMETRIC_DEFAULT]" || len(aws.ToString(m.CurrentKeyMaterialId)) != 64 || time.Since(*m.CreationDate) > time.Minute ||
		m.DeletionDate != nil || m.MultiRegionConfiguration != nil || m.ValidTo != nil {
		t.Errorf("made %+v", m)
	}
	do(t, s.KMS.UpdateKeyDescription, &kms.UpdateKeyDescriptionInput{KeyId: m.KeyId, Description: aws.String("second")})
	for _, name := range []string{*m.KeyId, arn} {
		if got := describe(s, name); *got.Arn != arn || *got.Description != "second" || !got.CreationDate.Equal(*m.CreationDate) {
			t.Errorf("%s is %+v", name, got)
		}
	}
	made := []string{*m.KeyId}
	for range 4 {
		made = append(made, keyIDOf(s.Key()))
	}
	slices.Sort(made)
	var found []string
	pages := 0
	p := kms.NewListKeysPaginator(s.KMS, &kms.ListKeysInput{Limit: aws.Int32(2)})
	for p.HasMorePages() {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, k := range out.Keys {
			found = append(found, *k.KeyId)
			if keyIDOf(*k.KeyArn) != *k.KeyId {
				t.Errorf("listed %+v", k)
			}
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, made) || pages != 3 {
		t.Errorf("%d pages list %q, want %q", pages, found, made)
	}
}

// testKeyStates asserts what may be done to a key, and with it, in each state.
func testKeyStates(t *testing.T, s *coffertest.Server) {
	enabled, disabled, pending := s.Key(), s.Key(), s.Key()
	blob := map[string][]byte{}
	for _, key := range []string{enabled, disabled, pending} {
		blob[key] = do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")}).CiphertextBlob
	}
	do(t, s.KMS.DisableKey, &kms.DisableKeyInput{KeyId: &disabled})
	out := do(t, s.KMS.ScheduleKeyDeletion, &kms.ScheduleKeyDeletionInput{KeyId: aws.String(keyIDOf(pending)), PendingWindowInDays: aws.Int32(7)})
	if *out.KeyId != pending || out.KeyState != "PendingDeletion" || *out.PendingWindowInDays != 7 || time.Until(*out.DeletionDate).Round(time.Hour) != 7*24*time.Hour {
		t.Errorf("scheduled %+v", out)
	}
	if m := describe(s, pending); m.Enabled || m.KeyState != "PendingDeletion" || !m.DeletionDate.Equal(*out.DeletionDate) {
		t.Errorf("pending %+v", m)
	}
	if m := describe(s, disabled); m.Enabled || m.KeyState != "Disabled" || m.DeletionDate != nil {
		t.Errorf("disabled %+v", m)
	}
	in := func(key string) string { return fmt.Sprintf(`{"KeyId":%q}`, key) }
	with := func(members string) func(string) string {
		return func(key string) string { return fmt.Sprintf(`{"KeyId":%q,%s}`, key, members) }
	}
	const (
		works = ""
		x1    = "DisabledException"
		x3    = "KMSInvalidStateException"
		x4    = "KMSInvalidStateException: not"
	)
	for _, c := range []struct {
		operation                  string
		body                       func(string) string
		enabled, disabled, pending string
	}{
		{"Encrypt", with(`"Plaintext":"eA=="`), works, x1, x3},
		{"Decrypt", func(key string) string { return fmt.Sprintf(`{"CiphertextBlob":%q}`, b64(blob[key])) }, works, x1, x3},
		{"GenerateDataKey", with(`"KeySpec":"AES_256"`), works, x1, x3},
		{"GenerateDataKeyWithoutPlaintext", with(`"KeySpec":"AES_256"`), works, x1, x3},
		{"ReEncrypt", func(key string) string {
			return fmt.Sprintf(`{"CiphertextBlob":%q,"DestinationKeyId":%q}`, b64(blob[key]), enabled)
		}, works, x1, x3},
		{"ReEncrypt", func(key string) string {
			return fmt.Sprintf(`{"CiphertextBlob":%q,"DestinationKeyId":%q}`, b64(blob[enabled]), key)
		}, works, x1, x3},
		{"CreateAlias", func(key string) string {
			return fmt.Sprintf(`{"AliasName":"alias/%s","TargetKeyId":%q}`, keyIDOf(key), key)
		}, works, works, x3},
		{"DescribeKey", in, works, works, works},
		{"GetKeyPolicy", in, works, works, works},
		{"ListKeyPolicies", in, works, works, works},
		{"ListAliases", in, works, works, works},
		{"ListResourceTags", in, works, works, works},
		{"GetKeyRotationStatus", in, works, works, works},
		{"ListKeyRotations", in, works, works, works},
		{"TagResource", with(`"Tags":[{"TagKey":"a","TagValue":"b"}]`), works, works, x3},
		{"UntagResource", with(`"TagKeys":["a"]`), works, works, x3},
		{"UpdateKeyDescription", with(`"Description":"d"`), works, works, x3},
		{"EnableKeyRotation", in, works, x1, x3},
		{"DisableKeyRotation", in, works, x1, x3},
		{"RotateKeyOnDemand", in, works, x1, x3},
		{"CancelKeyDeletion", in, x4, x4, "later"},
		{"EnableKey", in, works, "later", x3},
		{"ScheduleKeyDeletion", in, "later", "later", x3},
	} {
		for key, want := range map[string]string{enabled: c.enabled, disabled: c.disabled, pending: c.pending} {
			switch want {
			case "later":
			case works:
				if a := kmsCall(s, c.operation, c.body(key)); a.status != 200 {
					t.Errorf("%s of %s: %s", c.operation, describe(s, key).KeyState, a.body)
				}
			case x1:
				kmsCall(s, c.operation, c.body(key)).refused(t, c.operation, 400, x1, key+" is disabled.")
			case x3:
				kmsCall(s, c.operation, c.body(key)).refused(t, c.operation, 400, x3, key+" is pending deletion.")
			case x4:
				kmsCall(s, c.operation, c.body(key)).refused(t, c.operation, 400, x3, key+" is not pending deletion.")
			}
		}
	}
	if out := do(t, s.KMS.CancelKeyDeletion, &kms.CancelKeyDeletionInput{KeyId: &pending}); *out.KeyId != pending || s.KeyState(pending) != "Disabled" {
		t.Errorf("saved: %s is %s", *out.KeyId, s.KeyState(pending))
	}
	do(t, s.KMS.EnableKey, &kms.EnableKeyInput{KeyId: &pending})
	if out := do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: blob[pending]}); string(out.Plaintext) != "x" {
		t.Errorf("saved: decrypts to %q", out.Plaintext)
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	s := start(t)
	one, two := s.Key(), s.Key()
	prefix := "arn:aws:kms:us-east-1:" + coffertest.Account + ":"
	name := aws.String("alias/app/Main_1-x")
	do(t, s.KMS.CreateAlias, &kms.CreateAliasInput{AliasName: name, TargetKeyId: &one})
	blob := do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: name, Plaintext: []byte("x")})
	if *blob.KeyId != one {
		t.Errorf("encrypted under %s", *blob.KeyId)
	}
	s.Bucket("vault", "aws:kms", *name, false)
	s.Put("vault", "before", "x")

	do(t, s.KMS.UpdateAlias, &kms.UpdateAliasInput{AliasName: name, TargetKeyId: aws.String(keyIDOf(two))})
	if m := describe(s, prefix+*name); *m.Arn != two {
		t.Errorf("moved to %s", *m.Arn)
	}
	if out := do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: aws.String(prefix + *name), Plaintext: []byte("x")}); *out.KeyId != two {
		t.Errorf("then under %s", *out.KeyId)
	}
	if out := do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: blob.CiphertextBlob}); *out.KeyId != one {
		t.Errorf("decrypted under %s", *out.KeyId)
	}
	fails(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: blob.CiphertextBlob, KeyId: name}, 400, "IncorrectKeyException",
		"The key ID in the request does not identify a CMK that can perform this operation.")
	// What S3 wrote under the alias stays under the key that it named then.
	s.Put("vault", "after", "x")
	for key, want := range map[string]string{"before": one, "after": two} {
		if body, out := s.Get("vault", key); body != "x" || *out.SSEKMSKeyId != want {
			t.Errorf("%s is under %s", key, *out.SSEKMSKeyId)
		}
	}
	for i := range 5 {
		do(t, s.KMS.CreateAlias, &kms.CreateAliasInput{AliasName: aws.String(fmt.Sprint("alias/n", i)), TargetKeyId: &one})
	}
	list := func(in *kms.ListAliasesInput) string {
		t.Helper()
		var got []string
		p := kms.NewListAliasesPaginator(s.KMS, in)
		for p.HasMorePages() {
			out, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range out.Aliases {
				if *a.AliasArn != prefix+*a.AliasName || a.CreationDate == nil || a.LastUpdatedDate == nil {
					t.Errorf("listed %+v", a)
				}
				got = append(got, strings.TrimPrefix(*a.AliasName, "alias/"))
			}
		}
		return strings.Join(got, " ")
	}
	if got := list(&kms.ListAliasesInput{Limit: aws.Int32(2)}); got != "app/Main_1-x n0 n1 n2 n3 n4" {
		t.Errorf("aliases %s", got)
	}
	if got := list(&kms.ListAliasesInput{KeyId: &one, Limit: aws.Int32(2)}); got != "n0 n1 n2 n3 n4" {
		t.Errorf("aliases of one %s", got)
	}
	if got := list(&kms.ListAliasesInput{KeyId: aws.String(keyIDOf(two))}); got != "app/Main_1-x" {
		t.Errorf("aliases of two %s", got)
	}
	fails(t, s.KMS.CreateAlias, &kms.CreateAliasInput{AliasName: name, TargetKeyId: &one}, 400, "AlreadyExistsException", "An alias with the name "+prefix+*name+" already exists")
	do(t, s.KMS.DeleteAlias, &kms.DeleteAliasInput{AliasName: name})
	missing := "Alias " + prefix + *name + " is not found."
	fails(t, s.KMS.DescribeKey, &kms.DescribeKeyInput{KeyId: name}, 400, "NotFoundException", missing)
	fails(t, s.KMS.DeleteAlias, &kms.DeleteAliasInput{AliasName: name}, 400, "NotFoundException", missing)
	fails(t, s.KMS.UpdateAlias, &kms.UpdateAliasInput{AliasName: name, TargetKeyId: &one}, 400, "NotFoundException", missing)
	_, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("vault"), Key: aws.String("k")})
	if e := wantCode(t, err, 400, "KMS.NotFoundException"); e != nil && e.ErrorMessage() != missing {
		t.Errorf("S3 says %q", e.ErrorMessage())
	}
}

func testKeyPoliciesAndTags(t *testing.T, s *coffertest.Server) {
	key := aws.String(s.Key())
	if out := do(t, s.KMS.ListKeyPolicies, &kms.ListKeyPoliciesInput{KeyId: key}); fmt.Sprint(out.PolicyNames, out.Truncated) != "[default] false" {
		t.Errorf("policies %v", out.PolicyNames)
	}
	policy := do(t, s.KMS.GetKeyPolicy, &kms.GetKeyPolicyInput{KeyId: key}).Policy
	if !strings.Contains(*policy, `"arn:aws:iam::`+coffertest.Account+`:root"`) || !strings.Contains(*policy, `"kms:*"`) {
		t.Errorf("default policy %s", *policy)
	}
	other := ` {"Version":"2012-10-17","Statement":[{"Sid":"a b","Effect":"Allow","Principal":"*","Action":["kms:*"],"Resource":"*"}]}`
	do(t, s.KMS.PutKeyPolicy, &kms.PutKeyPolicyInput{KeyId: key, PolicyName: aws.String("default"), Policy: &other, BypassPolicyLockoutSafetyCheck: true})
	if out := do(t, s.KMS.GetKeyPolicy, &kms.GetKeyPolicyInput{KeyId: key, PolicyName: aws.String("default")}); *out.Policy != other || *out.PolicyName != "default" {
		t.Errorf("policy %s comes back as %s", other, *out.Policy)
	}
	tag := func(pairs ...string) (tags []types.Tag) {
		for i := 0; i < len(pairs); i += 2 {
			tags = append(tags, types.Tag{TagKey: &pairs[i], TagValue: &pairs[i+1]})
		}
		return tags
	}
	list := func() string {
		t.Helper()
		var got []string
		p := kms.NewListResourceTagsPaginator(s.KMS, &kms.ListResourceTagsInput{KeyId: key, Limit: aws.Int32(2)})
		for p.HasMorePages() {
			out, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, tag := range out.Tags {
				got = append(got, *tag.TagKey+"="+*tag.TagValue)
			}
		}
		return strings.Join(got, " ")
	}
	do(t, s.KMS.TagResource, &kms.TagResourceInput{KeyId: key, Tags: tag("z", "1", "a", "", "m", "2")})
	do(t, s.KMS.TagResource, &kms.TagResourceInput{KeyId: key, Tags: tag("z", "new", "b", "3")})
	if got := list(); got != "z=new a= m=2 b=3" {
		t.Errorf("tags %s", got)
	}
	do(t, s.KMS.UntagResource, &kms.UntagResourceInput{KeyId: key, TagKeys: []string{"a", "z", "unknown"}})
	if got := list(); got != "m=2 b=3" {
		t.Errorf("tags %s", got)
	}
	fails(t, s.KMS.TagResource, &kms.TagResourceInput{KeyId: key, Tags: tag("a", "1", "a", "2")}, 400, "TagException", "Duplicate tag keys")
	fails(t, s.KMS.TagResource, &kms.TagResourceInput{KeyId: key, Tags: tag("aWs:x", "1")}, 400, "TagException", "Tags beginning with aws: are reserved")
	var many []types.Tag
	for i := range 49 {
		many = append(many, tag(fmt.Sprint("k", i), "v")...)
	}
	fails(t, s.KMS.TagResource, &kms.TagResourceInput{KeyId: key, Tags: many}, 400, "TagException", "Too many tags")
	fails(t, s.KMS.TagResource, &kms.TagResourceInput{KeyId: key, Tags: tag(strings.Repeat("k", 129), "")}, 400, "ValidationException", "at 'tags.1.member.tagKey' failed to satisfy constraint: Member must have length less than or equal to 128")
	if got := list(); got != "m=2 b=3" {
		t.Errorf("refused tags left %s", got)
	}
}

// TestTheManagedKey: it is S3's, for the account, and nobody's to change.
func TestTheManagedKey(t *testing.T) {
	t.Parallel()
	s := start(t)
	if out := do(t, s.KMS.ListKeys, &kms.ListKeysInput{}); len(out.Keys) != 0 {
		t.Errorf("a new account has keys: %+v", out.Keys)
	}
	s.Bucket("one", "aws:kms", "", true)
	s.Bucket("two", "aws:kms", "", false)
	s.Put("one", "k", "x")
	s.Put("two", "k", "x")
	_, a := s.Get("one", "k")
	_, b := s.Get("two", "k")
	if *a.SSEKMSKeyId != *b.SSEKMSKeyId || *a.SSEKMSKeyId != managed(s) {
		t.Errorf("managed keys %s, %s", *a.SSEKMSKeyId, *b.SSEKMSKeyId)
	}
	m := describe(s, "alias/aws/s3")
	if m.KeyManager != "AWS" || m.Origin != "AWS_KMS" || !strings.HasPrefix(*m.Description, "Default key that protects my S3 objects when no other key is defined") {
		t.Errorf("managed %+v", m)
	}
	if out := do(t, s.KMS.ListAliases, &kms.ListAliasesInput{}); len(out.Aliases) != 1 || *out.Aliases[0].AliasName != "alias/aws/s3" || *out.Aliases[0].TargetKeyId != *m.KeyId {
		t.Errorf("aliases %+v", out.Aliases)
	}
	in := fmt.Sprintf(`{"KeyId":%q,`, *m.Arn)
	for operation, members := range map[string]string{
		"DisableKey": `"x":1}`, "ScheduleKeyDeletion": `"x":1}`, "PutKeyPolicy": `"Policy":"{}"}`, "TagResource": `"Tags":[]}`,
		"RotateKeyOnDemand": `"x":1}`, "DisableKeyRotation": `"x":1}`, "UpdateKeyDescription": `"Description":""}`,
		"Encrypt": `"Plaintext":"eA=="}`, "GenerateDataKey": `"KeySpec":"AES_256"}`,
	} {
		kmsCall(s, operation, in+members).refused(t, operation, 400, "AccessDeniedException", "is not authorized to perform: kms:"+operation+" on resource: "+*m.Arn)
	}
	if s.KeyState(*m.Arn) != "Enabled" {
		t.Error("the managed key was disabled")
	}
}
