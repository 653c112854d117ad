// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

// TestNothingIsStoredInClear plants plaintexts and keys, uses the server in every
// way that touches them, and looks for them in everything that it wrote.
func TestNothingIsStoredInClear(t *testing.T) {
	log := new(logBuffer)
	s := coffertest.Start(t, coffertest.Log(log))
	key := s.Key()
	planted := map[string][]byte{"root secret": []byte(coffertest.SecretAccessKey)}
	plant := func(name string, n int) string {
		secret := bytes.Repeat([]byte("planted "+name+" \x00\xff"), n/20+1)[:n]
		planted[name] = secret[:min(n, 24)]
		return string(secret)
	}
	for _, b := range []struct {
		name, sse string
		bk        bool
	}{{"in-legacy", "", false}, {"in-sse-s3", "AES256", false}, {"in-sse-kms", "aws:kms", false}, {"in-bucket-key", "aws:kms", true}, {"in-two-layers", "aws:kms:dsse", false}} {
		k := key
		if b.sse == "AES256" {
			k = ""
		}
		s.Bucket(b.name, b.sse, k, b.bk)
		if b.sse == "" {
			legacy(s, b.name, true)
		}
		s.Put(b.name, "small", plant("small "+b.name, 100))
		s.Put(b.name, "large", plant("large "+b.name, 300_000))
		s.Get(b.name, "small")
		s.Get(b.name, "large")
		if _, err := s.S3.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &b.name, Key: aws.String("copy"), CopySource: aws.String(b.name + "/large")}); err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	plain := []byte(plant("kms plaintext", 64))
	enc, err := s.KMS.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: plain})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.KMS.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: enc.CiphertextBlob}); err != nil {
		t.Fatal(err)
	}
	dk, err := s.KMS.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &key, KeySpec: kmstypes.DataKeySpecAes256})
	if err != nil {
		t.Fatal(err)
	}
	planted["data key"] = dk.Plaintext
	pair, err := s.KMS.GenerateDataKeyPair(ctx, &kms.GenerateDataKeyPairInput{KeyId: &key, KeyPairSpec: "ECC_NIST_P256"})
	if err != nil {
		t.Fatal(err)
	}
	planted["private key"] = pair.PrivateKeyPlaintext[len(pair.PrivateKeyPlaintext)/4:][:32] // the public one is in its end
	imported := do(t, s.KMS.CreateKey, &kms.CreateKeyInput{Origin: kmstypes.OriginTypeExternal}).KeyMetadata
	do(t, s.KMS.ImportKeyMaterial, parcel(s, imported.KeyId, []byte(plant("imported material", 32))))
	signer := do(t, s.KMS.CreateKey, &kms.CreateKeyInput{Origin: kmstypes.OriginTypeExternal, KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY"}).KeyMetadata
	do(t, s.KMS.ImportKeyMaterial, parcel(s, signer.KeyId, pair.PrivateKeyPlaintext))
	do(t, s.KMS.Sign, &kms.SignInput{KeyId: signer.KeyId, Message: []byte(plant("signed message", 100)), SigningAlgorithm: "ECDSA_SHA_256"})
	// Failures log too.
	_, _ = s.KMS.ImportKeyMaterial(ctx, parcel(s, imported.KeyId, []byte(plant("refused material", 32))))
	_, _ = s.KMS.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: plain})
	_, _ = s.S3.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("in-sse-s3"), Key: aws.String("bad"), Body: strings.NewReader(plant("refused body", 50)), ContentMD5: aws.String("AAAAAAAAAAAAAAAAAAAAAA==")})
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	rootKey, err := os.ReadFile(filepath.Join(s.Dir, "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	planted["root key"] = rootKey
	files := 0
	err = filepath.WalkDir(s.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		if filepath.Base(path) == "root.key" {
			if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
			}
			return nil
		}
		b, err := os.ReadFile(path)
		for name, secret := range planted {
			if form := contains(b, secret); form != "" {
				t.Errorf("%s has %s in %s", path, name, form)
			}
		}
		return err
	})
	if err != nil || files < 10 {
		t.Fatalf("%d files, %v", files, err)
	}
	for name, secret := range planted {
		if form := contains(log.bytes(), secret); form != "" {
			t.Errorf("the log has %s in %s", name, form)
		}
	}
	if len(log.bytes()) < 1000 {
		t.Error("nothing was logged")
	}
}

// contains tells in which form a secret is somewhere, "" for nowhere.
func contains(b, secret []byte) string {
	if bytes.Contains(b, secret) {
		return "clear"
	}
	h := hex.EncodeToString(secret)
	if bytes.Contains(bytes.ToLower(b), []byte(h)) {
		return "hex"
	}
	for shift := range 3 { // base64 of a text with the secret somewhere in it
		padded := append(make([]byte, shift), secret...)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			inner := enc.EncodeToString(padded)
			inner = inner[(shift*8+5)/6 : len(inner)-2]
			if bytes.Contains(b, []byte(inner)) {
				return "base64"
			}
		}
	}
	return ""
}

// logBuffer collects a log.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

func TestSecretsAreFoundInEveryForm(t *testing.T) {
	secret := []byte("a secret of some length")
	for form, b := range map[string][]byte{
		"clear": secret, "hex": []byte("x" + hex.EncodeToString(secret)),
		"base64": []byte(base64.StdEncoding.EncodeToString(append([]byte("ab"), append(secret, 'c')...))),
	} {
		if got := contains(append([]byte("before "), b...), secret); got != form {
			t.Errorf("%s: %q", form, got)
		}
	}
	if got := contains([]byte("nothing here"), secret); got != "" {
		t.Errorf("found in nothing: %s", got)
	}
}
