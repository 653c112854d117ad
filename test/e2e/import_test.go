// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/keystoretest"
	"github.com/cofferstore/coffer/test/coffertest"
)

// parcel prepares an import of material as a client of KMS does.
func parcel(s *coffertest.Server, key *string, material []byte) *kms.ImportKeyMaterialInput {
	s.T.Helper()
	p := do(s.T, s.KMS.GetParametersForImport, &kms.GetParametersForImportInput{
		KeyId: key, WrappingAlgorithm: types.AlgorithmSpecRsaAesKeyWrapSha256, WrappingKeySpec: types.WrappingKeySpecRsa2048,
	})
	blob, err := keystoretest.Wrap(p.PublicKey, keystore.WrapSHA256, material)
	if err != nil {
		s.T.Fatal(err)
	}
	return &kms.ImportKeyMaterialInput{
		KeyId: key, ImportToken: p.ImportToken, EncryptedKeyMaterial: blob, ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire,
	}
}

// testImportedKeys: a customer's own key protects objects, with and without a bucket
// key, for as long as its material is here.
func testImportedKeys(t *testing.T, s *coffertest.Server) {
	key := do(t, s.KMS.CreateKey, &kms.CreateKeyInput{Origin: types.OriginTypeExternal}).KeyMetadata
	if key.KeyState != types.KeyStatePendingImport || key.Enabled || key.CurrentKeyMaterialId != nil {
		t.Errorf("made as %+v", key)
	}
	material := bytes.Repeat([]byte("mine"), 8)
	got := do(t, s.KMS.ImportKeyMaterial, parcel(s, key.KeyId, material))
	if m := describe(s, *key.Arn); !m.Enabled || *m.CurrentKeyMaterialId != *got.KeyMaterialId || m.ExpirationModel != types.ExpirationModelTypeKeyMaterialDoesNotExpire {
		t.Errorf("imported as %+v", m)
	}
	for _, bucketKey := range []bool{false, true} {
		bucket := map[bool]string{false: "imported-key", true: "imported-bucket-key"}[bucketKey]
		s.Bucket(bucket, "aws:kms", *key.Arn, bucketKey)
		s.Put(bucket, "k", "an object")
	}
	read := &s3.GetObjectInput{Bucket: aws.String("imported-bucket-key"), Key: aws.String("k")}
	do(t, s.S3.GetObject, read).Body.Close()

	// Its deletion acts at once, also on what is kept of the bucket key.
	do(t, s.KMS.DeleteImportedKeyMaterial, &kms.DeleteImportedKeyMaterialInput{KeyId: key.KeyId})
	for _, bucket := range []string{"imported-key", "imported-bucket-key"} {
		read.Bucket = &bucket
		fails(t, s.S3.GetObject, read, 400, "KMS.KMSInvalidStateException", "is pending import.")
		fails(t, s.S3.PutObject, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("l"), Body: strings.NewReader("x")}, 400, "KMS.KMSInvalidStateException", "is pending import.")
	}
	fails(t, s.KMS.ImportKeyMaterial, parcel(s, key.KeyId, bytes.Repeat([]byte("your"), 8)), 400, "IncorrectKeyMaterialException", "")
	again := parcel(s, key.KeyId, material)
	again.ExpirationModel, again.ValidTo = "", aws.Time(time.Now().Add(time.Hour).Truncate(time.Second))
	do(t, s.KMS.ImportKeyMaterial, again)
	fails(t, s.KMS.ImportKeyMaterial, again, 400, "InvalidImportTokenException", "")
	if m := describe(s, *key.Arn); !m.Enabled || !m.ValidTo.Equal(*again.ValidTo) {
		t.Errorf("imported again as %+v", m)
	}
	for _, bucket := range []string{"imported-key", "imported-bucket-key"} {
		if body, _ := s.Get(bucket, "k"); body != "an object" {
			t.Errorf("%s reads %q", bucket, body)
		}
	}
}

// testImportedSigningKey: a private key from elsewhere signs here.
func testImportedSigningKey(t *testing.T, s *coffertest.Server) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key := do(t, s.KMS.CreateKey, &kms.CreateKeyInput{Origin: types.OriginTypeExternal, KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY"}).KeyMetadata
	do(t, s.KMS.ImportKeyMaterial, parcel(s, key.Arn, der))
	signed := do(t, s.KMS.Sign, &kms.SignInput{KeyId: key.Arn, Message: []byte("x"), SigningAlgorithm: "ECDSA_SHA_256"})
	if digest := sha256.Sum256([]byte("x")); !ecdsa.VerifyASN1(&private.PublicKey, digest[:], signed.Signature) {
		t.Error("the signature is not the imported key's")
	}
}

// A prepared import, and imported material, outlive the server.
func TestImportAcrossRestarts(t *testing.T) {
	t.Parallel()
	s := start(t)
	key := do(t, s.KMS.CreateKey, &kms.CreateKeyInput{Origin: types.OriginTypeExternal}).KeyMetadata
	in := parcel(s, key.KeyId, make([]byte, 32))
	s.Restart()
	do(t, s.KMS.ImportKeyMaterial, in)
	blob := do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")}).CiphertextBlob
	s.Restart()
	if got := do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: blob}); string(got.Plaintext) != "x" {
		t.Errorf("decrypts to %q", got.Plaintext)
	}
}
