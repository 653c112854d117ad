// SPDX-License-Identifier: Apache-2.0

package kmsapi

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/keystoretest"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// ok ends the test on an error, and checks that the answer had no members that
// the SDK's type for it has not.
func ok[Out any](out *Out, err error) func(*station) *Out {
	return func(s *station) *Out {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
		if len(s.last.body) > 0 {
			var members any
			if err := json.Unmarshal(s.last.body, &members); err != nil {
				s.t.Fatalf("%s: %v", s.last.body, err)
			}
			known(s.t, members, reflect.TypeFor[Out]())
		}
		return out
	}
}

func known(t testing.TB, value any, as reflect.Type) {
	t.Helper()
	for as.Kind() == reflect.Pointer {
		as = as.Elem()
	}
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if as.Kind() != reflect.Struct || strings.HasPrefix(name, "Coffer") {
				continue
			}
			f, ok := as.FieldByName(name)
			if !ok {
				t.Errorf("the SDK's %s knows no member %s", as.Name(), name)
				continue
			}
			known(t, member, f.Type)
		}
	case []any:
		for _, e := range v {
			known(t, e, as.Elem())
		}
	}
}

// TestOperations calls every operation through the SDK.
func TestOperations(t *testing.T) {
	s, ctx := newStation(t), t.Context()
	began := time.Now().Add(-time.Second)

	created := ok(s.CreateKey(ctx, &sdk.CreateKeyInput{
		Description: aws.String("orders <&>"), Tags: []types.Tag{{TagKey: aws.String("team"), TagValue: aws.String("")}},
	}))(s).KeyMetadata
	id, arn := *created.KeyId, *created.Arn
	if created.CreationDate.Before(began) || created.CreationDate.After(time.Now().Add(time.Second)) {
		t.Errorf("created at %v", created.CreationDate)
	}
	described := ok(s.DescribeKey(ctx, &sdk.DescribeKeyInput{KeyId: &id}))(s).KeyMetadata
	switch m := described; {
	case *m.Description != "orders <&>" || *m.AWSAccountId != home || !m.Enabled || m.KeyState != types.KeyStateEnabled:
		t.Errorf("described as %+v", m)
	case *m.MultiRegion || m.KeyManager != types.KeyManagerTypeCustomer || m.DeletionDate != nil || m.Origin != types.OriginTypeAwsKms:
		t.Errorf("described as %+v", m)
	}

	_, other := s.key()
	if got := ok(s.ListKeys(ctx, &sdk.ListKeysInput{Limit: aws.Int32(1)}))(s); len(got.Keys) != 1 || !got.Truncated || got.NextMarker == nil {
		t.Errorf("a page of keys: %+v", got)
	}

	alias := aws.String("alias/orders")
	ok(s.CreateAlias(ctx, &sdk.CreateAliasInput{AliasName: alias, TargetKeyId: &id}))(s)
	if len(s.last.body) != 0 || s.last.status != 200 {
		t.Errorf("an answer without members is %d %q", s.last.status, s.last.body)
	}
	ok(s.UpdateAlias(ctx, &sdk.UpdateAliasInput{AliasName: alias, TargetKeyId: &other}))(s)
	listed := ok(s.ListAliases(ctx, &sdk.ListAliasesInput{KeyId: &other}))(s)
	if len(listed.Aliases) != 1 || *listed.Aliases[0].AliasName != *alias || listed.Aliases[0].CreationDate.Before(began) {
		t.Errorf("aliases %+v", listed.Aliases)
	}

	plaintext, ec := []byte("4111 1111 1111 1111"), map[string]string{"order": "<&é😀>"}
	encrypted := ok(s.Encrypt(ctx, &sdk.EncryptInput{KeyId: alias, Plaintext: plaintext, EncryptionContext: ec}))(s)
	if *encrypted.KeyId != other {
		t.Errorf("the alias stands for %s", *encrypted.KeyId)
	}
	moved := ok(s.ReEncrypt(ctx, &sdk.ReEncryptInput{
		CiphertextBlob: encrypted.CiphertextBlob, SourceEncryptionContext: ec, DestinationKeyId: &id,
	}))(s)
	if *moved.SourceKeyId != other || *moved.KeyId != arn {
		t.Errorf("re-encrypted from %s to %s", *moved.SourceKeyId, *moved.KeyId)
	}
	opened := ok(s.Decrypt(ctx, &sdk.DecryptInput{CiphertextBlob: moved.CiphertextBlob}))(s)
	if !bytes.Equal(opened.Plaintext, plaintext) || *opened.KeyId != arn || opened.KeyMaterialId == nil {
		t.Errorf("decrypted %q under %s", opened.Plaintext, *opened.KeyId)
	}
	ok(s.DeleteAlias(ctx, &sdk.DeleteAliasInput{AliasName: alias}))(s)

	dataKey := ok(s.GenerateDataKey(ctx, &sdk.GenerateDataKeyInput{KeyId: &id, KeySpec: types.DataKeySpecAes256}))(s)
	opened = ok(s.Decrypt(ctx, &sdk.DecryptInput{CiphertextBlob: dataKey.CiphertextBlob}))(s)
	if len(dataKey.Plaintext) != 32 || !bytes.Equal(opened.Plaintext, dataKey.Plaintext) {
		t.Errorf("a data key of %d bytes opens to %d", len(dataKey.Plaintext), len(opened.Plaintext))
	}
	hidden := ok(s.GenerateDataKeyWithoutPlaintext(ctx, &sdk.GenerateDataKeyWithoutPlaintextInput{KeyId: &id, NumberOfBytes: aws.Int32(100)}))(s)
	opened = ok(s.Decrypt(ctx, &sdk.DecryptInput{CiphertextBlob: hidden.CiphertextBlob, KeyId: &arn}))(s)
	if len(opened.Plaintext) != 100 {
		t.Errorf("a hidden data key opens to %d bytes", len(opened.Plaintext))
	}
	random := ok(s.GenerateRandom(ctx, &sdk.GenerateRandomInput{NumberOfBytes: aws.Int32(1024)}))(s).Plaintext
	if len(random) != 1024 || bytes.Equal(random[:512], random[512:]) {
		t.Errorf("%d random bytes", len(random))
	}

	s.signatures()
	s.pairs(id, arn)
	s.imports()
	s.rotations(id, arn)
	used := ok(s.GetKeyLastUsage(ctx, &sdk.GetKeyLastUsageInput{KeyId: &id}))(s)
	if u := used.KeyLastUsage; u == nil || u.Operation != "Decrypt" || *u.CloudTrailEventId == "" || !used.KeyCreationDate.Equal(*created.CreationDate) ||
		used.TrackingStartDate.Before(*used.KeyCreationDate) || *used.KeyId != arn {
		s.t.Errorf("last used %+v of %+v", u, used)
	}
	s.policies(id)
	s.grants(id, arn)
	s.tags(id)
	s.lives(id, arn)

	done := map[string]bool{}
	for _, r := range s.trail.records {
		done[r.EventName] = done[r.EventName] || r.ErrorCode == ""
	}
	for _, op := range s.road.Families()[0].Ops {
		if missing := slices.Contains(unsupportedNames(), op.Name); done[op.Name] == missing {
			t.Errorf("%s: offered is %t, called with success is %t", op.Name, !missing, done[op.Name])
		}
	}
}

// grants lives a grant: it is to another account's root, which Decrypt's key policy does
// not know.
func (s *station) grants(id, arn string) {
	s.t.Helper()
	ctx, constraints := s.t.Context(), &types.GrantConstraints{EncryptionContextSubset: map[string]string{"dept": "x"}}
	theirs := aws.String("arn:aws:iam::" + abroad + ":root")
	made := ok(s.CreateGrant(ctx, &sdk.CreateGrantInput{
		KeyId: &id, GranteePrincipal: theirs, Operations: []types.GrantOperation{"Decrypt", "RetireGrant"}, Constraints: constraints,
		Name: aws.String("g"), RetiringPrincipal: aws.String("arn:aws:iam::" + home + ":root"),
	}))(s)
	if len(*made.GrantId) != 64 || *made.GrantToken == "" {
		s.t.Errorf("a grant %s with the token %s", *made.GrantId, *made.GrantToken)
	}
	if r := s.trail.last(s.t); r.ResponseElements["grantId"] != *made.GrantId || r.ResponseElements["grantToken"] != nil {
		s.t.Errorf("recorded %v", r.ResponseElements)
	}
	listed := ok(s.ListGrants(ctx, &sdk.ListGrantsInput{KeyId: &id}))(s).Grants
	if len(listed) != 1 || *listed[0].GrantId != *made.GrantId || *listed[0].GranteePrincipal != *theirs || *listed[0].KeyId != arn ||
		!maps.Equal(listed[0].Constraints.EncryptionContextSubset, constraints.EncryptionContextSubset) || *listed[0].Name != "g" {
		s.t.Errorf("grants %+v", listed)
	}
	if all := ok(s.ListRetirableGrants(ctx, &sdk.ListRetirableGrantsInput{RetiringPrincipal: listed[0].RetiringPrincipal}))(s).Grants; len(all) != 1 {
		s.t.Errorf("grants to retire: %+v", all)
	}
	ec := map[string]string{"dept": "x", "more": "y"}
	blob := ok(s.Encrypt(ctx, &sdk.EncryptInput{KeyId: &id, Plaintext: []byte("x"), EncryptionContext: ec}))(s).CiphertextBlob
	ok(s.as("AKIAABROAD", password).Decrypt(ctx, &sdk.DecryptInput{CiphertextBlob: blob, EncryptionContext: ec, GrantTokens: []string{*made.GrantToken}}))(s)
	ok(s.as("AKIAABROAD", password).RetireGrant(ctx, &sdk.RetireGrantInput{GrantToken: made.GrantToken}))(s)
	made = ok(s.CreateGrant(ctx, &sdk.CreateGrantInput{KeyId: &id, GranteePrincipal: theirs, Operations: []types.GrantOperation{"Decrypt"}}))(s)
	ok(s.RevokeGrant(ctx, &sdk.RevokeGrantInput{KeyId: &id, GrantId: made.GrantId}))(s)
}

// keyOf makes a key of a spec and returns its ARN.
func (s *station) keyOf(spec types.KeySpec, usage types.KeyUsageType) string {
	return *ok(s.CreateKey(s.t.Context(), &sdk.CreateKeyInput{KeySpec: spec, KeyUsage: usage}))(s).KeyMetadata.Arn
}

func (s *station) signatures() {
	t, ctx := s.t, s.t.Context()
	key, message := s.keyOf("ECC_NIST_P256", "SIGN_VERIFY"), []byte("pay 100 to bearer")
	signed := ok(s.Sign(ctx, &sdk.SignInput{KeyId: &key, Message: message, SigningAlgorithm: "ECDSA_SHA_256"}))(s)
	s.expect("parameters", s.trail.last(t).RequestParameters, members{"keyId": key, "signingAlgorithm": "ECDSA_SHA_256", "messageType": "RAW"})
	verified := ok(s.Verify(ctx, &sdk.VerifyInput{KeyId: &key, Message: message, Signature: signed.Signature, SigningAlgorithm: "ECDSA_SHA_256"}))(s)
	if *signed.KeyId != key || *verified.KeyId != key || !verified.SignatureValid {
		t.Errorf("signed %+v, verified %+v", signed, verified)
	}
	_, err := s.Verify(ctx, &sdk.VerifyInput{KeyId: &key, Message: message, Signature: []byte("x"), SigningAlgorithm: "ECDSA_SHA_256"})
	refused(t, err, "KMSInvalidSignatureException", "")
	public := ok(s.GetPublicKey(ctx, &sdk.GetPublicKeyInput{KeyId: &key}))(s)
	if *public.KeyId != key || public.KeySpec != "ECC_NIST_P256" || len(public.SigningAlgorithms) != 1 || public.EncryptionAlgorithms != nil {
		t.Errorf("public key %s", s.last.body)
	}

	key = s.keyOf("HMAC_512", "GENERATE_VERIFY_MAC")
	mac := ok(s.GenerateMac(ctx, &sdk.GenerateMacInput{KeyId: &key, Message: message, MacAlgorithm: "HMAC_SHA_512"}))(s)
	if got := ok(s.VerifyMac(ctx, &sdk.VerifyMacInput{KeyId: &key, Message: message, Mac: mac.Mac, MacAlgorithm: "HMAC_SHA_512"}))(s); !got.MacValid || len(mac.Mac) != 64 {
		t.Errorf("a MAC of %d bytes: %+v", len(mac.Mac), got)
	}
	_, err = s.VerifyMac(ctx, &sdk.VerifyMacInput{KeyId: &key, Message: []byte("x"), Mac: mac.Mac, MacAlgorithm: "HMAC_SHA_512"})
	refused(t, err, "KMSInvalidMacException", "")
}

func (s *station) pairs(id, arn string) {
	t, ctx := s.t, s.t.Context()
	pair := ok(s.GenerateDataKeyPair(ctx, &sdk.GenerateDataKeyPairInput{KeyId: &id, KeyPairSpec: "ECC_NIST_P256"}))(s)
	hidden := ok(s.GenerateDataKeyPairWithoutPlaintext(ctx, &sdk.GenerateDataKeyPairWithoutPlaintextInput{KeyId: &id, KeyPairSpec: "ECC_NIST_P256"}))(s)
	opened := ok(s.Decrypt(ctx, &sdk.DecryptInput{CiphertextBlob: pair.PrivateKeyCiphertextBlob}))(s)
	if *pair.KeyId != arn || pair.KeyPairSpec != "ECC_NIST_P256" || pair.KeyMaterialId == nil || !bytes.Equal(opened.Plaintext, pair.PrivateKeyPlaintext) {
		t.Errorf("a pair under %s opens to %d bytes", *pair.KeyId, len(opened.Plaintext))
	}
	key := s.keyOf("ECC_NIST_P256", "KEY_AGREEMENT")
	shared := ok(s.DeriveSharedSecret(ctx, &sdk.DeriveSharedSecretInput{KeyId: &key, KeyAgreementAlgorithm: "ECDH", PublicKey: hidden.PublicKey}))(s)
	if *shared.KeyId != key || shared.KeyOrigin != "AWS_KMS" || len(shared.SharedSecret) != 32 {
		t.Errorf("shared %d bytes with %s", len(shared.SharedSecret), *shared.KeyId)
	}
}

func (s *station) imports() {
	t, ctx := s.t, s.t.Context()
	key := ok(s.CreateKey(ctx, &sdk.CreateKeyInput{Origin: "EXTERNAL"}))(s).KeyMetadata
	p := ok(s.GetParametersForImport(ctx, &sdk.GetParametersForImportInput{KeyId: key.KeyId, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048"}))(s)
	if off := p.ParametersValidTo.Sub(time.Now().Add(24 * time.Hour)).Abs(); *p.KeyId != *key.Arn || off > time.Minute {
		t.Errorf("parameters %s", s.last.body)
	}
	blob, err := keystoretest.Wrap(p.PublicKey, keystore.OAEPSHA256, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Hour).Truncate(time.Second).Add(250 * time.Millisecond)
	got := ok(s.ImportKeyMaterial(ctx, &sdk.ImportKeyMaterialInput{KeyId: key.KeyId, ImportToken: p.ImportToken, EncryptedKeyMaterial: blob, ValidTo: &until}))(s)
	m := ok(s.DescribeKey(ctx, &sdk.DescribeKeyInput{KeyId: key.KeyId}))(s).KeyMetadata
	if m.KeyState != "Enabled" || !m.ValidTo.Equal(until) || m.ExpirationModel != "KEY_MATERIAL_EXPIRES" || *m.CurrentKeyMaterialId != *got.KeyMaterialId {
		t.Errorf("imported %s", s.last.body)
	}
	if gone := ok(s.DeleteImportedKeyMaterial(ctx, &sdk.DeleteImportedKeyMaterialInput{KeyId: key.KeyId}))(s); *gone.KeyMaterialId != *got.KeyMaterialId || *gone.KeyId != *key.Arn {
		t.Errorf("deleted %s", s.last.body)
	}
	_, err = s.ImportKeyMaterial(ctx, &sdk.ImportKeyMaterialInput{KeyId: key.KeyId, ImportToken: p.ImportToken, EncryptedKeyMaterial: blob, ValidTo: &until})
	refused(t, err, "InvalidImportTokenException", "")
}

// unsupportedNames are the operations that are refused.
func unsupportedNames() (names []string) {
	for _, op := range unsupportedOps() {
		names = append(names, op.Name)
	}
	return names
}

func (s *station) rotations(id, arn string) {
	t, ctx := s.t, s.t.Context()
	ok(s.EnableKeyRotation(ctx, &sdk.EnableKeyRotationInput{KeyId: &id, RotationPeriodInDays: aws.Int32(90)}))(s)
	status := ok(s.GetKeyRotationStatus(ctx, &sdk.GetKeyRotationStatusInput{KeyId: &id}))(s)
	in90Days := time.Now().AddDate(0, 0, 90)
	if off := status.NextRotationDate.Sub(in90Days).Abs(); !status.KeyRotationEnabled || *status.RotationPeriodInDays != 90 || off > time.Minute {
		t.Errorf("rotation status %+v", status)
	}
	ok(s.DisableKeyRotation(ctx, &sdk.DisableKeyRotationInput{KeyId: &id}))(s)
	status = ok(s.GetKeyRotationStatus(ctx, &sdk.GetKeyRotationStatusInput{KeyId: &id}))(s)
	if status.KeyRotationEnabled || status.NextRotationDate != nil || status.RotationPeriodInDays != nil {
		t.Errorf("rotation status %+v after disabling", status)
	}
	if out := ok(s.RotateKeyOnDemand(ctx, &sdk.RotateKeyOnDemandInput{KeyId: &id}))(s); *out.KeyId != arn {
		t.Errorf("rotated %s", *out.KeyId)
	}
	list := ok(s.ListKeyRotations(ctx, &sdk.ListKeyRotationsInput{KeyId: &id, IncludeKeyMaterial: types.IncludeKeyMaterialAllKeyMaterial}))(s)
	if len(list.Rotations) != 2 || list.Rotations[0].RotationDate != nil || list.Rotations[1].RotationType != types.RotationTypeOnDemand {
		t.Errorf("rotations %+v", list.Rotations)
	}
}

func (s *station) policies(id string) {
	t, ctx := s.t, s.t.Context()
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + home + `:root"},"Action":"kms:*","Resource":"*"}]}`
	ok(s.PutKeyPolicy(ctx, &sdk.PutKeyPolicyInput{KeyId: &id, Policy: &policy}))(s)
	if got := ok(s.GetKeyPolicy(ctx, &sdk.GetKeyPolicyInput{KeyId: &id}))(s); *got.Policy != policy || *got.PolicyName != "default" {
		t.Errorf("policy %s", *got.Policy)
	}
	if got := ok(s.ListKeyPolicies(ctx, &sdk.ListKeyPoliciesInput{KeyId: &id}))(s); !slices.Equal(got.PolicyNames, []string{"default"}) || got.Truncated {
		t.Errorf("policies %+v", got)
	}
}

func (s *station) tags(id string) {
	ctx := s.t.Context()
	ok(s.TagResource(ctx, &sdk.TagResourceInput{KeyId: &id, Tags: []types.Tag{{TagKey: aws.String("env"), TagValue: aws.String("test")}}}))(s)
	ok(s.UntagResource(ctx, &sdk.UntagResourceInput{KeyId: &id, TagKeys: []string{"env"}}))(s)
	got := ok(s.ListResourceTags(ctx, &sdk.ListResourceTagsInput{KeyId: &id}))(s)
	if len(got.Tags) != 1 || *got.Tags[0].TagKey != "team" || got.Tags[0].TagValue == nil {
		s.t.Errorf("tags %s", s.last.body)
	}
}

func (s *station) lives(id, arn string) {
	t, ctx := s.t, s.t.Context()
	ok(s.UpdateKeyDescription(ctx, &sdk.UpdateKeyDescriptionInput{KeyId: &id, Description: aws.String("")}))(s)
	ok(s.DisableKey(ctx, &sdk.DisableKeyInput{KeyId: &id}))(s)
	m := ok(s.DescribeKey(ctx, &sdk.DescribeKeyInput{KeyId: &id}))(s).KeyMetadata
	if m.Enabled || m.KeyState != types.KeyStateDisabled || m.Description == nil {
		t.Errorf("a disabled key: %s", s.last.body)
	}
	ok(s.EnableKey(ctx, &sdk.EnableKeyInput{KeyId: &id}))(s)
	gone := ok(s.ScheduleKeyDeletion(ctx, &sdk.ScheduleKeyDeletionInput{KeyId: &id, PendingWindowInDays: aws.Int32(7)}))(s)
	if *gone.KeyId != arn || *gone.PendingWindowInDays != 7 || gone.KeyState != types.KeyStatePendingDeletion {
		t.Errorf("scheduled %s", s.last.body)
	}
	if off := gone.DeletionDate.Sub(time.Now().AddDate(0, 0, 7)).Abs(); off > time.Minute {
		t.Errorf("to be deleted at %v", gone.DeletionDate)
	}
	if got := ok(s.CancelKeyDeletion(ctx, &sdk.CancelKeyDeletionInput{KeyId: &id}))(s); *got.KeyId != arn {
		t.Errorf("cancelled the deletion of %s", *got.KeyId)
	}
}

// TestTableIsTheWholeAPI compares the table with the SDK's client.
func TestTableIsTheWholeAPI(t *testing.T) {
	names := map[string]bool{}
	for _, op := range (&API{}).ops() {
		if names[op.Name] {
			t.Errorf("%s is in the table twice", op.Name)
		}
		names[op.Name] = true
	}
	client := reflect.TypeFor[*sdk.Client]()
	for i := range client.NumMethod() {
		// Operations take a context, an input and options.
		m := client.Method(i)
		if m.Type.NumIn() != 4 || m.Type.NumOut() != 2 {
			continue
		}
		if !names[m.Name] {
			t.Errorf("%s is not in the table", m.Name)
		}
		delete(names, m.Name)
	}
	for name := range names {
		t.Errorf("%s is no operation of the API", name)
	}
}

// TestReadsAreMarked holds the audit trail's readOnly to the names: what only
// reads or computes is read-only.
func TestReadsAreMarked(t *testing.T) {
	reads := []string{
		"Decapsulate", "Decrypt", "DeriveSharedSecret", "DescribeCustomKeyStores", "DescribeKey", "Encapsulate", "Encrypt",
		"GenerateDataKey", "GenerateDataKeyPair",
		"GenerateDataKeyPairWithoutPlaintext", "GenerateDataKeyWithoutPlaintext", "GenerateMac", "GenerateRandom", "GetKeyLastUsage",
		"GetKeyPolicy", "GetKeyRotationStatus", "GetParametersForImport", "GetPublicKey", "ListAliases", "ListGrants", "ListKeyPolicies",
		"ListKeyRotations", "ListKeys", "ListResourceTags", "ListRetirableGrants", "ReEncrypt", "Sign", "Verify", "VerifyMac",
	}
	for _, op := range (&API{}).ops() {
		if op.Traits.Has(pipeline.Read) != slices.Contains(reads, op.Name) {
			t.Errorf("%s is read-only: %t", op.Name, op.Traits.Has(pipeline.Read))
		}
	}
}
