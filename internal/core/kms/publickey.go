// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/cofferstore/coffer/internal/core/iam"
)

// GetPublicKey is the request of Service.GetPublicKey. KeyId may be an alias.
type GetPublicKey struct {
	GrantTokens []string
	KeyId       string
}

func (in GetPublicKey) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// PublicKey is the public half of an asymmetric key, DER of a SubjectPublicKeyInfo,
// with what it is for. KeyId is the key's ARN.
type PublicKey struct {
	CustomerMasterKeySpec  string
	EncryptionAlgorithms   []string
	KeyAgreementAlgorithms []string
	KeyId                  string
	KeySpec                string
	KeyUsage               string
	PublicKey              []byte
	SigningAlgorithms      []string
}

// Touches returns the key's ARN.
func (r PublicKey) Touches() []string { return []string{r.KeyId} }

// GetPublicKey returns the public key of an asymmetric key.
func (s *Service) GetPublicKey(ctx context.Context, by iam.Caller, in GetPublicKey) (PublicKey, error) {
	return counted(s, "GetPublicKey", func() (PublicKey, error) {
		var p problems
		p.keyID(in.KeyId, "keyId")
		if err := p.tokens(in.GrantTokens); err != nil {
			return PublicKey{}, err
		}
		k, err := s.permittedByName(ctx, by, "kms:GetPublicKey", in.KeyId, facts{Tokens: in.GrantTokens})
		if err != nil {
			return PublicKey{}, err
		}
		if err := s.fits(k, "GetPublicKey"); err != nil {
			return PublicKey{}, err
		}
		arn := s.arnOf(k)
		if k.Public == nil { // its material was never imported
			return PublicKey{}, invalidState(arn, "pending import")
		}
		m := s.metadata(k)
		return PublicKey{
			CustomerMasterKeySpec: k.Spec, EncryptionAlgorithms: m.EncryptionAlgorithms, KeyAgreementAlgorithms: m.KeyAgreementAlgorithms,
			KeyId: arn, KeySpec: k.Spec, KeyUsage: k.Usage, PublicKey: k.Public, SigningAlgorithms: m.SigningAlgorithms,
		}, nil
	})
}
