// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/scheme"
	"github.com/cofferstore/coffer/internal/secret"
)

// GenerateDataKeyPair is the request of Service.GenerateDataKeyPair.
type GenerateDataKeyPair struct {
	DryRun            bool
	EncryptionContext Context
	GrantTokens       []string
	KeyId             string
	KeyPairSpec       string
	Recipient         *Recipient
}

func (in GenerateDataKeyPair) names() ([]string, []string, []byte) {
	return []string{in.KeyId}, nil, nil
}

// GenerateDataKeyPairWithoutPlaintext is the request of
// Service.GenerateDataKeyPairWithoutPlaintext.
type GenerateDataKeyPairWithoutPlaintext struct {
	DryRun            bool
	EncryptionContext Context
	GrantTokens       []string
	KeyId             string
	KeyPairSpec       string
}

func (in GenerateDataKeyPairWithoutPlaintext) names() ([]string, []string, []byte) {
	return []string{in.KeyId}, nil, nil
}

// DataKeyPair is a key pair whose private key is encrypted: in PKCS#8, and the public
// one DER of a SubjectPublicKeyInfo. KeyId is the ARN of the key that encrypts. The
// plaintext is the caller's to clear; it is empty without plaintext.
type DataKeyPair struct {
	KeyId                    string
	KeyMaterialId            string
	KeyPairSpec              string
	PrivateKeyCiphertextBlob []byte
	PrivateKeyPlaintext      secret.Bytes
	PublicKey                []byte
}

// Touches returns the key's ARN.
func (r DataKeyPair) Touches() []string { return []string{r.KeyId} }

// GenerateDataKeyPair makes a key pair and encrypts its private key.
func (s *Service) GenerateDataKeyPair(ctx context.Context, by iam.Caller, in GenerateDataKeyPair) (DataKeyPair, error) {
	return limited(s, by, "GenerateDataKeyPair", func() (DataKeyPair, error) {
		return s.generateDataKeyPair(ctx, by, "GenerateDataKeyPair", in)
	})
}

// GenerateDataKeyPairWithoutPlaintext makes a key pair whose private key only Decrypt
// will show.
func (s *Service) GenerateDataKeyPairWithoutPlaintext(ctx context.Context, by iam.Caller, in GenerateDataKeyPairWithoutPlaintext) (DataKeyPair, error) {
	return limited(s, by, "GenerateDataKeyPairWithoutPlaintext", func() (DataKeyPair, error) {
		out, err := s.generateDataKeyPair(ctx, by, "GenerateDataKeyPairWithoutPlaintext", GenerateDataKeyPair{
			DryRun: in.DryRun, EncryptionContext: in.EncryptionContext, GrantTokens: in.GrantTokens, KeyId: in.KeyId, KeyPairSpec: in.KeyPairSpec,
		})
		out.PrivateKeyPlaintext.Clear()
		out.PrivateKeyPlaintext = secret.Bytes{}
		return out, err
	})
}

func (s *Service) generateDataKeyPair(ctx context.Context, by iam.Caller, operation string, in GenerateDataKeyPair) (DataKeyPair, error) {
	var p problems
	p.keyID(in.KeyId, "keyId")
	p.present(in.KeyPairSpec, "keyPairSpec")
	p.oneOf(in.KeyPairSpec, "keyPairSpec", dataKeyPairSpecs)
	canonical, err := p.crypto(in.EncryptionContext, in.GrantTokens)
	if err != nil {
		return DataKeyPair{}, err
	}
	if err := noRecipient(in.Recipient); err != nil {
		return DataKeyPair{}, err
	}
	k, err := s.permittedByName(ctx, by, "kms:"+operation, in.KeyId, facts{
		Context: in.EncryptionContext, Algorithm: SymmetricDefault, Tokens: in.GrantTokens, Keys: policy.Values{"kms:datakeypairspec": {in.KeyPairSpec}},
	})
	if err != nil {
		return DataKeyPair{}, err
	}
	if err := s.fits(k, operation); err != nil {
		return DataKeyPair{}, err
	}
	if !supportedSpec(in.KeyPairSpec) {
		return DataKeyPair{}, unsupportedSpec(in.KeyPairSpec)
	}
	if in.DryRun {
		return DataKeyPair{}, dryRun()
	}
	private, public, err := newPair(ctx, keystore.Spec(in.KeyPairSpec))
	if err != nil {
		return DataKeyPair{}, fromMaterials(err)
	}
	blob, material, err := s.seal(ctx, k, SymmetricDefault, private, canonical)
	if err != nil {
		private.Clear()
		return DataKeyPair{}, err
	}
	return DataKeyPair{k.ref().arn(s.region), material, in.KeyPairSpec, blob, private, public}, nil
}

func newPair(ctx context.Context, spec keystore.Spec) (private secret.Bytes, public []byte, err error) {
	pair, err := scheme.Generate(ctx, spec)
	if err != nil {
		return secret.Bytes{}, nil, err
	}
	if public, err = pair.Public(); err != nil {
		return secret.Bytes{}, nil, err
	}
	private, err = pair.Material()
	return private, public, err
}
