// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// GenerateDataKey is the request of Service.GenerateDataKey. Exactly one of
// KeySpec and NumberOfBytes is to be given.
type GenerateDataKey struct {
	DryRun            bool
	EncryptionContext Context
	GrantTokens       []string
	KeyId             string
	KeySpec           string
	NumberOfBytes     *int
	Recipient         *Recipient
}

func (in GenerateDataKey) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// GenerateDataKeyWithoutPlaintext is the request of
// Service.GenerateDataKeyWithoutPlaintext.
type GenerateDataKeyWithoutPlaintext struct {
	DryRun            bool
	EncryptionContext Context
	GrantTokens       []string
	KeyId             string
	KeySpec           string
	NumberOfBytes     *int
}

func (in GenerateDataKeyWithoutPlaintext) names() ([]string, []string, []byte) {
	return []string{in.KeyId}, nil, nil
}

// DataKey is a data key and its ciphertext. KeyId is the key's ARN. Plaintext is
// the caller's to clear; it is empty without plaintext.
type DataKey struct {
	CiphertextBlob []byte
	KeyId          string
	KeyMaterialId  string
	Plaintext      secret.Bytes
}

// Touches returns the key's ARN.
func (r DataKey) Touches() []string { return []string{r.KeyId} }

// GenerateDataKey makes a random key and encrypts it.
func (s *Service) GenerateDataKey(ctx context.Context, by iam.Caller, in GenerateDataKey) (DataKey, error) {
	return limited(s, by, "GenerateDataKey", func() (DataKey, error) {
		return s.generateDataKey(ctx, by, "GenerateDataKey", in)
	})
}

// GenerateDataKeyWithoutPlaintext makes a random key that only Decrypt will show.
func (s *Service) GenerateDataKeyWithoutPlaintext(ctx context.Context, by iam.Caller, in GenerateDataKeyWithoutPlaintext) (DataKey, error) {
	return limited(s, by, "GenerateDataKeyWithoutPlaintext", func() (DataKey, error) {
		out, err := s.generateDataKey(ctx, by, "GenerateDataKeyWithoutPlaintext", GenerateDataKey{
			DryRun: in.DryRun, EncryptionContext: in.EncryptionContext, GrantTokens: in.GrantTokens,
			KeyId: in.KeyId, KeySpec: in.KeySpec, NumberOfBytes: in.NumberOfBytes,
		})
		out.Plaintext.Clear()
		out.Plaintext = secret.Bytes{}
		return out, err
	})
}

func (s *Service) generateDataKey(ctx context.Context, by iam.Caller, operation string, in GenerateDataKey) (DataKey, error) {
	canonical, err := in.check()
	if err != nil {
		return DataKey{}, err
	}
	k, err := s.permittedByName(ctx, by, "kms:"+operation, in.KeyId, facts{Context: in.EncryptionContext, Algorithm: SymmetricDefault, Tokens: in.GrantTokens})
	if err != nil {
		return DataKey{}, err
	}
	if err := s.fits(k, operation); err != nil {
		return DataKey{}, err
	}
	if in.DryRun {
		return DataKey{}, dryRun()
	}
	if k, err = s.rotateIfDue(ctx, k); err != nil {
		return DataKey{}, err
	}
	plaintext := secret.Random(in.size())
	blob, err := s.encryptUnder(ctx, k, plaintext, canonical, false)
	if err != nil {
		plaintext.Clear()
		return DataKey{}, err
	}
	return DataKey{blob, k.ref().arn(s.region), k.current().ID, plaintext}, nil
}

func (in GenerateDataKey) check() (canonical []byte, err error) {
	var p problems
	p.keyID(in.KeyId, "keyId")
	p.oneOf(in.KeySpec, "keySpec", dataKeySpecs)
	p.within(in.NumberOfBytes, "numberOfBytes", 1, 1024)
	canonical, err = p.crypto(in.EncryptionContext, in.GrantTokens)
	if err != nil {
		return nil, err
	}
	if (in.KeySpec == "") == (in.NumberOfBytes == nil) {
		return nil, fault.New(Validation, "Please specify either number of bytes or key spec.")
	}
	return canonical, noRecipient(in.Recipient)
}

func (in GenerateDataKey) size() int {
	switch {
	case in.NumberOfBytes != nil:
		return *in.NumberOfBytes
	case in.KeySpec == "AES_128":
		return 16
	}
	return 32
}

// GenerateRandom is the request of Service.GenerateRandom.
type GenerateRandom struct {
	CustomKeyStoreId string
	NumberOfBytes    *int
	Recipient        *Recipient
}

// Random is random bytes, the caller's to clear.
type Random struct{ Plaintext secret.Bytes }

// GenerateRandom returns random bytes.
func (s *Service) GenerateRandom(ctx context.Context, by iam.Caller, in GenerateRandom) (Random, error) {
	return limited(s, by, "GenerateRandom", func() (Random, error) {
		var p problems
		if p.within(in.NumberOfBytes, "numberOfBytes", 1, 1024); p != nil {
			return Random{}, p.err()
		}
		if in.NumberOfBytes == nil {
			return Random{}, fault.New(Validation, "NumberOfBytes is required.")
		}
		if err := s.authorizeAccount(ctx, by, "kms:GenerateRandom", facts{}); err != nil {
			return Random{}, err
		}
		if in.CustomKeyStoreId != "" {
			return Random{}, fault.New(UnsupportedOperation, "Custom key stores are not supported.")
		}
		if err := noRecipient(in.Recipient); err != nil {
			return Random{}, err
		}
		return Random{secret.Random(*in.NumberOfBytes)}, nil
	})
}
