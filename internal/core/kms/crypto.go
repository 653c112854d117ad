// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// Recipient is an attested enclave that is to receive a plaintext. None is
// supported.
type Recipient struct {
	AttestationDocument    []byte
	KeyEncryptionAlgorithm string
}

func noRecipient(r *Recipient) error {
	if r != nil {
		return fault.New(UnsupportedOperation, "Recipient is not supported.")
	}
	return nil
}

// Encrypt is the request of Service.Encrypt. The caller keeps the plaintext.
type Encrypt struct {
	DryRun              bool
	EncryptionAlgorithm string
	EncryptionContext   Context
	GrantTokens         []string
	KeyId               string
	Plaintext           secret.Bytes
}

func (in Encrypt) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// Encrypted is a ciphertext. KeyId is the key's ARN. KeyMaterialId is for the
// audit record: the API's answer has no such member.
type Encrypted struct {
	CiphertextBlob      []byte
	EncryptionAlgorithm string
	KeyId               string
	KeyMaterialId       string
}

// Touches returns the key's ARN.
func (r Encrypted) Touches() []string { return []string{r.KeyId} }

// Encrypt encrypts up to 4096 bytes; with an RSA key, as many as its modulus takes.
func (s *Service) Encrypt(ctx context.Context, by iam.Caller, in Encrypt) (Encrypted, error) {
	return limited(s, by, "Encrypt", func() (Encrypted, error) {
		var p problems
		p.keyID(in.KeyId, "keyId")
		p.bytes(in.Plaintext.Len(), "plaintext", 1, 4096)
		p.oneOf(in.EncryptionAlgorithm, "encryptionAlgorithm", encryptionAlgorithms)
		canonical, err := p.crypto(in.EncryptionContext, in.GrantTokens)
		if err != nil {
			return Encrypted{}, err
		}
		k, err := s.permittedByName(ctx, by, "kms:Encrypt", in.KeyId, facts{Context: in.EncryptionContext, Algorithm: algorithm(in.EncryptionAlgorithm), Tokens: in.GrantTokens})
		if err != nil {
			return Encrypted{}, err
		}
		if err := s.fitsAlgorithm(k, "Encrypt", in.EncryptionAlgorithm); err != nil {
			return Encrypted{}, err
		}
		named := algorithm(in.EncryptionAlgorithm)
		if err := cmp.Or(fitsContext(k, in.EncryptionContext), fitsPlaintext(k, named, in.Plaintext.Len())); err != nil {
			return Encrypted{}, err
		}
		if in.DryRun {
			return Encrypted{}, dryRun()
		}
		blob, material, err := s.seal(ctx, k, named, in.Plaintext, canonical)
		if err != nil {
			return Encrypted{}, err
		}
		return Encrypted{blob, named, k.ref().arn(s.region), material}, nil
	})
}

// crypto ends the validation of a cryptographic request and returns its
// canonical context.
func (p *problems) crypto(ec Context, tokens []string) ([]byte, error) {
	p.grantTokens(tokens)
	if err := p.err(); err != nil {
		return nil, err
	}
	return ec.Canonical()
}

// DecryptCiphertext is the request of Service.Decrypt. KeyId may be empty.
type DecryptCiphertext struct {
	CiphertextBlob      []byte
	DryRun              bool
	DryRunModifiers     []string
	EncryptionAlgorithm string
	EncryptionContext   Context
	GrantTokens         []string
	KeyId               string
	Recipient           *Recipient
}

func (in DecryptCiphertext) names() ([]string, []string, []byte) {
	return []string{in.KeyId}, nil, in.CiphertextBlob
}

// Decrypted is a plaintext, which is the caller's to clear. KeyId is the key's
// ARN, KeyMaterialId the material that the ciphertext was made with.
type Decrypted struct {
	EncryptionAlgorithm string
	KeyId               string
	KeyMaterialId       string
	Plaintext           secret.Bytes
}

// Touches returns the key's ARN.
func (r Decrypted) Touches() []string { return []string{r.KeyId} }

// Decrypt opens a ciphertext that Encrypt, ReEncrypt or GenerateDataKey made for
// a client. Ciphertexts made for Coffer's own services are refused.
func (s *Service) Decrypt(ctx context.Context, by iam.Caller, in DecryptCiphertext) (Decrypted, error) {
	return limited(s, by, "Decrypt", func() (Decrypted, error) {
		var p problems
		p.length(in.KeyId, "keyId", 0, 2048)
		p.oneOf(in.EncryptionAlgorithm, "encryptionAlgorithm", encryptionAlgorithms)
		ignore := p.ciphertext(in.CiphertextBlob, in.DryRun, in.DryRunModifiers, in.KeyId, "keyId")
		canonical, err := p.crypto(in.EncryptionContext, in.GrantTokens)
		if err != nil {
			return Decrypted{}, err
		}
		if err := noRecipient(in.Recipient); err != nil {
			return Decrypted{}, err
		}
		named := algorithm(in.EncryptionAlgorithm)
		if err := s.needsKeyID(named, in.KeyId, "KeyId", in.CiphertextBlob); err != nil {
			return Decrypted{}, err
		}
		f := facts{Context: in.EncryptionContext, Algorithm: named, Tokens: in.GrantTokens}
		var c ciphertext
		if ignore {
			c.key, err = s.permittedByName(ctx, by, "kms:Decrypt", in.KeyId, f)
		} else {
			c, err = s.ciphertextOf(ctx, by, "kms:Decrypt", in.KeyId, in.CiphertextBlob, f)
		}
		if err != nil {
			return Decrypted{}, err
		}
		if err := s.fitsAlgorithm(c.key, "Decrypt", in.EncryptionAlgorithm); err != nil {
			return Decrypted{}, err
		}
		if err := fitsContext(c.key, in.EncryptionContext); err != nil {
			return Decrypted{}, err
		}
		if ignore {
			return Decrypted{}, dryRun()
		}
		plaintext, material, err := s.open(ctx, c, named, in.CiphertextBlob, canonical)
		if err != nil {
			return Decrypted{}, err
		}
		if in.DryRun {
			plaintext.Clear()
			return Decrypted{}, dryRun()
		}
		return Decrypted{named, c.key.ref().arn(s.region), material, plaintext}, nil
	})
}

// ciphertext checks the members about a blob that is to be opened, and reports
// whether a dry run ignores it.
func (p *problems) ciphertext(blob []byte, dry bool, modifiers []string, keyID, keyMember string) (ignore bool) {
	for _, m := range modifiers {
		p.oneOf(m, "dryRunModifiers", dryRunModifiers)
	}
	ignore = dry && slices.Contains(modifiers, "IGNORE_CIPHERTEXT")
	switch {
	case ignore:
		p.present(keyID, keyMember)
	case blob == nil:
		p.present("", "ciphertextBlob")
	default:
		p.bytes(len(blob), "ciphertextBlob", 1, maxBlob)
	}
	return ignore
}

// ReEncrypt is the request of Service.ReEncrypt. SourceKeyId may be empty.
type ReEncrypt struct {
	CiphertextBlob                 []byte
	DestinationEncryptionAlgorithm string
	DestinationEncryptionContext   Context
	DestinationKeyId               string
	DryRun                         bool
	DryRunModifiers                []string
	GrantTokens                    []string
	SourceEncryptionAlgorithm      string
	SourceEncryptionContext        Context
	SourceKeyId                    string
}

func (in ReEncrypt) names() ([]string, []string, []byte) {
	return []string{in.SourceKeyId, in.DestinationKeyId}, nil, in.CiphertextBlob
}

// ReEncrypted is a new ciphertext of the same plaintext. KeyId and SourceKeyId
// are ARNs.
type ReEncrypted struct {
	CiphertextBlob                 []byte
	DestinationEncryptionAlgorithm string
	DestinationKeyMaterialId       string
	KeyId                          string
	SourceEncryptionAlgorithm      string
	SourceKeyId                    string
	SourceKeyMaterialId            string
}

// Touches returns the ARNs of both keys.
func (r ReEncrypted) Touches() []string { return []string{r.SourceKeyId, r.KeyId} }

// ReEncrypt opens a ciphertext and encrypts it again, under another key or
// context or under newer material. The plaintext stays inside.
func (s *Service) ReEncrypt(ctx context.Context, by iam.Caller, in ReEncrypt) (ReEncrypted, error) {
	return limited(s, by, "ReEncrypt", func() (ReEncrypted, error) {
		var p problems
		p.length(in.SourceKeyId, "sourceKeyId", 0, 2048)
		p.keyID(in.DestinationKeyId, "destinationKeyId")
		p.oneOf(in.SourceEncryptionAlgorithm, "sourceEncryptionAlgorithm", encryptionAlgorithms)
		p.oneOf(in.DestinationEncryptionAlgorithm, "destinationEncryptionAlgorithm", encryptionAlgorithms)
		ignore := p.ciphertext(in.CiphertextBlob, in.DryRun, in.DryRunModifiers, in.SourceKeyId, "sourceKeyId")
		from, err := p.crypto(in.SourceEncryptionContext, in.GrantTokens)
		if err != nil {
			return ReEncrypted{}, err
		}
		to, err := in.DestinationEncryptionContext.Canonical()
		if err != nil {
			return ReEncrypted{}, err
		}
		opens, seals := algorithm(in.SourceEncryptionAlgorithm), algorithm(in.DestinationEncryptionAlgorithm)
		if err := s.needsKeyID(opens, in.SourceKeyId, "SourceKeyId", in.CiphertextBlob); err != nil {
			return ReEncrypted{}, err
		}
		source, destination, err := s.reEncryptKeys(ctx, by, in, ignore)
		if err != nil {
			return ReEncrypted{}, err
		}
		if ignore {
			return ReEncrypted{}, dryRun()
		}
		plaintext, old, err := s.open(ctx, source, opens, in.CiphertextBlob, from)
		if err != nil {
			return ReEncrypted{}, err
		}
		defer plaintext.Clear()
		if err := fitsPlaintext(destination, seals, plaintext.Len()); err != nil {
			return ReEncrypted{}, err
		}
		if in.DryRun {
			return ReEncrypted{}, dryRun()
		}
		blob, fresh, err := s.seal(ctx, destination, seals, plaintext, to)
		if err != nil {
			return ReEncrypted{}, err
		}
		return ReEncrypted{
			CiphertextBlob: blob, KeyId: destination.ref().arn(s.region), SourceKeyId: source.key.ref().arn(s.region),
			SourceEncryptionAlgorithm: opens, DestinationEncryptionAlgorithm: seals,
			SourceKeyMaterialId: old, DestinationKeyMaterialId: fresh,
		}, nil
	})
}

// reEncryptKeys finds and checks the two keys of a ReEncrypt.
func (s *Service) reEncryptKeys(ctx context.Context, by iam.Caller, in ReEncrypt, ignore bool) (source ciphertext, destination *key, err error) {
	f := facts{Context: in.SourceEncryptionContext, Algorithm: algorithm(in.SourceEncryptionAlgorithm), Tokens: in.GrantTokens}
	f.Keys = withKey(nil, "kms:reencryptonsamekey", strconv.FormatBool(s.sameKey(ctx, by, in)))
	if ignore {
		source.key, err = s.permittedByName(ctx, by, "kms:ReEncryptFrom", in.SourceKeyId, f)
	} else {
		source, err = s.ciphertextOf(ctx, by, "kms:ReEncryptFrom", in.SourceKeyId, in.CiphertextBlob, f)
	}
	if err != nil {
		return source, nil, err
	}
	f.Context, f.Algorithm = in.DestinationEncryptionContext, algorithm(in.DestinationEncryptionAlgorithm)
	destination, err = s.permittedByName(ctx, by, "kms:ReEncryptTo", in.DestinationKeyId, f)
	if err != nil {
		return source, nil, err
	}
	if err := s.fitsAlgorithm(source.key, "ReEncrypt", in.SourceEncryptionAlgorithm); err != nil {
		return source, nil, err
	}
	if err := s.fitsAlgorithm(destination, "ReEncrypt", in.DestinationEncryptionAlgorithm); err != nil {
		return source, nil, err
	}
	return source, destination, cmp.Or(fitsContext(source.key, in.SourceEncryptionContext), fitsContext(destination, in.DestinationEncryptionContext))
}

// sameKey reports whether a ReEncrypt is to the key that the ciphertext is under.
func (s *Service) sameKey(ctx context.Context, by iam.Caller, in ReEncrypt) bool {
	to, _, err := s.keyOrAliasNamed(ctx, by, in.DestinationKeyId)
	if err != nil {
		return false
	}
	if in.SourceKeyId != "" {
		from, _, err := s.keyOrAliasNamed(ctx, by, in.SourceKeyId)
		return err == nil && from == to
	}
	from, _, _, err := s.keyOfBlob(ctx, in.CiphertextBlob)
	return err == nil && from == to
}

// algorithm is the one that a request names, or leaves to KMS.
func algorithm(named string) string {
	if named == "" {
		return SymmetricDefault
	}
	return named
}
