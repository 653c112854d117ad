// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"errors"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/secret"
)

// TestConditionKeysOfOtherKeys tries the condition keys that operations on keys of
// other kinds have, with the value that they should have and with another.
func TestConditionKeysOfOtherKeys(t *testing.T) {
	n := newTown(t)
	user := n.user(home, "user", "")
	digest := secret.Random(32)
	sign := func(by iam.Caller, k KeyMetadata) error {
		_, err := n.Sign(t.Context(), by, Sign{KeyId: k.Arn, Message: digest, MessageType: "DIGEST", SigningAlgorithm: "ECDSA_SHA_256"})
		return err
	}
	mac := func(by iam.Caller, k KeyMetadata) error {
		_, err := n.GenerateMac(t.Context(), by, GenerateMac{KeyId: k.Arn, Message: digest, MacAlgorithm: "HMAC_SHA_256"})
		return err
	}
	prepare := func(by iam.Caller, k KeyMetadata) error {
		_, err := n.GetParametersForImport(t.Context(), by, GetParametersForImport{k.Arn, "RSAES_OAEP_SHA_256", "RSA_2048"})
		return err
	}
	until := time.Now().Add(time.Hour)
	bring := func(by iam.Caller, k KeyMetadata) error {
		p := n.parcel(k.KeyId, secret.Random(32).Reveal())
		p.KeyId, p.ExpirationModel, p.ValidTo = k.Arn, "", &until
		_, err := n.ImportKeyMaterial(t.Context(), by, p)
		return err
	}
	for _, c := range []struct {
		key, operator, value string
		in                   CreateKey
		do                   func(by iam.Caller, k KeyMetadata) error
	}{
		{"kms:SigningAlgorithm", "StringEquals", "ECDSA_SHA_256", CreateKey{KeySpec: "ECC_NIST_P256", KeyUsage: SignVerify}, sign},
		{"kms:MessageType", "StringEquals", "DIGEST", CreateKey{KeySpec: "ECC_NIST_P256", KeyUsage: SignVerify}, sign},
		{"kms:KeySpec", "StringEquals", "ECC_NIST_P256", CreateKey{KeySpec: "ECC_NIST_P256", KeyUsage: SignVerify}, sign},
		{"kms:MacAlgorithm", "StringEquals", "HMAC_SHA_256", CreateKey{KeySpec: "HMAC_256", KeyUsage: GenerateVerifyMAC}, mac},
		{"kms:KeyUsage", "StringEquals", GenerateVerifyMAC, CreateKey{KeySpec: "HMAC_256", KeyUsage: GenerateVerifyMAC}, mac},
		{"kms:EncryptionAlgorithm", "StringEquals", "RSAES_OAEP_SHA_256", CreateKey{KeySpec: "RSA_2048", KeyUsage: EncryptDecrypt}, func(by iam.Caller, k KeyMetadata) error {
			_, err := n.Encrypt(t.Context(), by, Encrypt{KeyId: k.Arn, Plaintext: digest, EncryptionAlgorithm: "RSAES_OAEP_SHA_256"})
			return err
		}},
		{"kms:KeyAgreementAlgorithm", "StringEquals", "ECDH", CreateKey{KeySpec: "ECC_NIST_P256", KeyUsage: KeyAgreement}, func(by iam.Caller, k KeyMetadata) error {
			peer := must(n.GetPublicKey(t.Context(), owner, GetPublicKey{KeyId: k.KeyId}))(t).PublicKey
			_, err := n.DeriveSharedSecret(t.Context(), by, DeriveSharedSecret{KeyId: k.Arn, KeyAgreementAlgorithm: "ECDH", PublicKey: peer})
			return err
		}},
		{"kms:DataKeyPairSpec", "StringEquals", "ECC_NIST_P256", CreateKey{}, func(by iam.Caller, k KeyMetadata) error {
			_, err := n.GenerateDataKeyPair(t.Context(), by, GenerateDataKeyPair{KeyId: k.Arn, KeyPairSpec: "ECC_NIST_P256"})
			return err
		}},
		{"kms:WrappingAlgorithm", "StringEquals", "RSAES_OAEP_SHA_256", CreateKey{Origin: OriginExternal}, prepare},
		{"kms:WrappingKeySpec", "StringEquals", "RSA_2048", CreateKey{Origin: OriginExternal}, prepare},
		{"kms:KeyOrigin", "StringEquals", OriginExternal, CreateKey{Origin: OriginExternal}, prepare},
		{"kms:ExpirationModel", "StringEquals", materialExpires, CreateKey{Origin: OriginExternal}, bring},
		{"kms:ValidTo", "DateLessThan", until.Add(time.Minute).UTC().Format(time.RFC3339), CreateKey{Origin: OriginExternal}, bring},
		{"kms:MultiRegion", "Bool", "true", CreateKey{MultiRegion: true, KeySpec: "ECC_NIST_P256", KeyUsage: SignVerify}, sign},
		{"kms:MultiRegionKeyType", "StringEquals", "PRIMARY", CreateKey{MultiRegion: true, KeySpec: "ECC_NIST_P256", KeyUsage: SignVerify}, sign},
	} {
		other := map[string]string{"Bool": "false", "DateLessThan": until.Add(-time.Minute).UTC().Format(time.RFC3339)}[c.operator]
		if other == "" {
			other = "none"
		}
		for _, value := range []string{c.value, other} {
			in := c.in
			in.Policy = documentOf(`{"Effect":"Allow","Principal":{"AWS":"`+user.ARN+`"},"Action":"kms:*","Resource":"*","Condition":{"`+c.operator+`":{"`+c.key+`":"`+value+`"}}}`, delegates)
			k := must(n.CreateKey(t.Context(), owner, in))(t)
			if err := c.do(user, k); (err == nil) != (value == c.value) || err != nil && !errors.Is(err, AccessDenied) {
				t.Errorf("%s %s %s: %v", c.key, c.operator, value, err)
			}
		}
	}
}
