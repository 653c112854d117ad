// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/scheme"
	"github.com/cofferstore/coffer/internal/secret"
)

// DeriveSharedSecret is the request of Service.DeriveSharedSecret. PublicKey is the
// peer's, DER of a SubjectPublicKeyInfo.
type DeriveSharedSecret struct {
	DryRun                bool
	GrantTokens           []string
	KeyAgreementAlgorithm string
	KeyId                 string
	PublicKey             []byte
	Recipient             *Recipient
}

func (in DeriveSharedSecret) names() ([]string, []string, []byte) {
	return []string{in.KeyId}, nil, nil
}

// SharedSecret is what a key and a peer's agree on, raw: it is for a key derivation
// function, not for use as a key. It is the caller's to clear. KeyId is the key's ARN.
type SharedSecret struct {
	KeyAgreementAlgorithm string
	KeyId                 string
	KeyOrigin             string
	SharedSecret          secret.Bytes
}

// Touches returns the key's ARN.
func (r SharedSecret) Touches() []string { return []string{r.KeyId} }

// DeriveSharedSecret agrees with the owner of a public key on a secret.
func (s *Service) DeriveSharedSecret(ctx context.Context, by iam.Caller, in DeriveSharedSecret) (SharedSecret, error) {
	return limited(s, by, "DeriveSharedSecret", func() (SharedSecret, error) {
		var p problems
		p.keyID(in.KeyId, "keyId")
		p.present(in.KeyAgreementAlgorithm, "keyAgreementAlgorithm")
		p.oneOf(in.KeyAgreementAlgorithm, "keyAgreementAlgorithm", agreementAlgorithms)
		if in.PublicKey == nil {
			p.present("", "publicKey")
		} else {
			p.bytes(len(in.PublicKey), "publicKey", 1, 8192)
		}
		if err := p.tokens(in.GrantTokens); err != nil {
			return SharedSecret{}, err
		}
		if err := noRecipient(in.Recipient); err != nil {
			return SharedSecret{}, err
		}
		k, err := s.permittedByName(ctx, by, "kms:DeriveSharedSecret", in.KeyId, facts{
			Tokens: in.GrantTokens, Keys: policy.Values{"kms:keyagreementalgorithm": {in.KeyAgreementAlgorithm}},
		})
		if err != nil {
			return SharedSecret{}, err
		}
		if err := s.fitsAlgorithm(k, "DeriveSharedSecret", in.KeyAgreementAlgorithm); err != nil {
			return SharedSecret{}, err
		}
		if err := scheme.FitsPeer(keystore.Spec(k.Spec), in.PublicKey); err != nil {
			return SharedSecret{}, fault.New(Validation, "PublicKey is %s.", err)
		}
		if in.DryRun {
			return SharedSecret{}, dryRun()
		}
		shared, err := s.materials.Agree(ctx, k.currentRef(), in.PublicKey)
		if err != nil {
			return SharedSecret{}, s.fromKey(k, err)
		}
		return SharedSecret{in.KeyAgreementAlgorithm, k.ref().arn(s.region), k.Origin, shared}, nil
	})
}
