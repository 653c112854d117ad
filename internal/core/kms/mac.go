// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
)

// GenerateMac is the request of Service.GenerateMac. KeyId may be an alias.
type GenerateMac struct {
	DryRun       bool
	GrantTokens  []string
	KeyId        string
	MacAlgorithm string
	Message      secret.Bytes
}

func (in GenerateMac) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// Mac is an HMAC of a message. KeyId is the key's ARN.
type Mac struct {
	KeyId        string
	Mac          []byte
	MacAlgorithm string
}

// Touches returns the key's ARN.
func (r Mac) Touches() []string { return []string{r.KeyId} }

// GenerateMac computes the HMAC of a message of up to 4096 bytes.
func (s *Service) GenerateMac(ctx context.Context, by iam.Caller, in GenerateMac) (Mac, error) {
	return limited(s, by, "GenerateMac", func() (Mac, error) {
		k, err := s.authenticating(ctx, by, "GenerateMac", in, nil)
		if err != nil {
			return Mac{}, err
		}
		if in.DryRun {
			return Mac{}, dryRun()
		}
		mac, err := s.materials.MAC(ctx, k.currentRef(), keystore.Algorithm(in.MacAlgorithm), in.Message.Reveal())
		if err != nil {
			return Mac{}, s.fromKey(k, err)
		}
		return Mac{k.ref().arn(s.region), mac, in.MacAlgorithm}, nil
	})
}

// VerifyMac is the request of Service.VerifyMac. KeyId may be an alias.
type VerifyMac struct {
	DryRun       bool
	GrantTokens  []string
	KeyId        string
	Mac          []byte
	MacAlgorithm string
	Message      secret.Bytes
}

func (in VerifyMac) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// VerifiedMac says that an HMAC is the key's. KeyId is the key's ARN.
type VerifiedMac struct {
	KeyId        string
	MacAlgorithm string
	MacValid     bool
}

// Touches returns the key's ARN.
func (r VerifiedMac) Touches() []string { return []string{r.KeyId} }

// VerifyMac checks an HMAC. Error for one that is not the key's: InvalidMac.
func (s *Service) VerifyMac(ctx context.Context, by iam.Caller, in VerifyMac) (VerifiedMac, error) {
	return limited(s, by, "VerifyMac", func() (VerifiedMac, error) {
		var p problems
		if in.Mac == nil {
			p.present("", "mac")
		} else {
			p.bytes(len(in.Mac), "mac", 1, 6144)
		}
		k, err := s.authenticating(ctx, by, "VerifyMac", GenerateMac{
			GrantTokens: in.GrantTokens, KeyId: in.KeyId, MacAlgorithm: in.MacAlgorithm, Message: in.Message,
		}, p)
		if err != nil {
			return VerifiedMac{}, err
		}
		mac, err := s.materials.MAC(ctx, k.currentRef(), keystore.Algorithm(in.MacAlgorithm), in.Message.Reveal())
		switch {
		case err != nil:
			return VerifiedMac{}, s.fromKey(k, err)
		case !secret.New(mac).Equal(secret.New(in.Mac)): // in constant time
			return VerifiedMac{}, fault.New(InvalidMac, "")
		case in.DryRun:
			return VerifiedMac{}, dryRun()
		}
		return VerifiedMac{k.ref().arn(s.region), in.MacAlgorithm, true}, nil
	})
}

// authenticating checks what GenerateMac and VerifyMac have in common. p is what is
// wrong with the rest of the request.
func (s *Service) authenticating(ctx context.Context, by iam.Caller, operation string, in GenerateMac, p problems) (*key, error) {
	p.keyID(in.KeyId, "keyId")
	p.message(in.Message)
	p.present(in.MacAlgorithm, "macAlgorithm")
	p.oneOf(in.MacAlgorithm, "macAlgorithm", macAlgorithms)
	if err := p.tokens(in.GrantTokens); err != nil {
		return nil, err
	}
	k, err := s.permittedByName(ctx, by, "kms:"+operation, in.KeyId, facts{Tokens: in.GrantTokens, Keys: policy.Values{"kms:macalgorithm": {in.MacAlgorithm}}})
	if err != nil {
		return nil, err
	}
	return k, s.fitsAlgorithm(k, operation, in.MacAlgorithm)
}
