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

// maxMessage is how long a message may be that is signed or authenticated.
const maxMessage = 4096

// Values of MessageType.
const (
	rawMessage    = "RAW"
	digestMessage = "DIGEST"
	externalMu    = "EXTERNAL_MU" // of ML-DSA alone
)

// Sign is the request of Service.Sign. KeyId may be an alias.
type Sign struct {
	DryRun           bool
	GrantTokens      []string
	KeyId            string
	Message          secret.Bytes
	MessageType      string // "" is RAW
	SigningAlgorithm string
}

func (in Sign) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// Signed is a signature. KeyId is the key's ARN.
type Signed struct {
	KeyId            string
	Signature        []byte
	SigningAlgorithm string
}

// Touches returns the key's ARN.
func (r Signed) Touches() []string { return []string{r.KeyId} }

// Sign signs a message of up to 4096 bytes, or its digest.
func (s *Service) Sign(ctx context.Context, by iam.Caller, in Sign) (Signed, error) {
	return limited(s, by, "Sign", func() (Signed, error) {
		k, digest, err := s.signing(ctx, by, "Sign", in, nil)
		if err != nil {
			return Signed{}, err
		}
		if in.DryRun {
			return Signed{}, dryRun()
		}
		signature, err := s.materials.Sign(ctx, k.currentRef(), keystore.Algorithm(in.SigningAlgorithm), digest)
		if err != nil {
			return Signed{}, s.fromKey(k, err)
		}
		return Signed{k.ref().arn(s.region), signature, in.SigningAlgorithm}, nil
	})
}

// Verify is the request of Service.Verify. KeyId may be an alias.
type Verify struct {
	DryRun           bool
	GrantTokens      []string
	KeyId            string
	Message          secret.Bytes
	MessageType      string // "" is RAW
	Signature        []byte
	SigningAlgorithm string
}

func (in Verify) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// Verified says that a signature is the key's. KeyId is the key's ARN.
type Verified struct {
	KeyId            string
	SignatureValid   bool
	SigningAlgorithm string
}

// Touches returns the key's ARN.
func (r Verified) Touches() []string { return []string{r.KeyId} }

// Verify checks a signature. Error for one that is not the key's: InvalidSignature.
func (s *Service) Verify(ctx context.Context, by iam.Caller, in Verify) (Verified, error) {
	return limited(s, by, "Verify", func() (Verified, error) {
		var p problems
		if in.Signature == nil {
			p.present("", "signature")
		} else {
			p.bytes(len(in.Signature), "signature", 1, 6144)
		}
		k, digest, err := s.signing(ctx, by, "Verify", Sign{
			GrantTokens: in.GrantTokens, KeyId: in.KeyId, Message: in.Message, MessageType: in.MessageType, SigningAlgorithm: in.SigningAlgorithm,
		}, p)
		if err != nil {
			return Verified{}, err
		}
		valid, err := scheme.Verify(k.Public, keystore.Algorithm(in.SigningAlgorithm), digest, in.Signature)
		switch {
		case err != nil:
			return Verified{}, fault.New(Internal, "").Because(err)
		case !valid:
			return Verified{}, fault.New(InvalidSignature, "")
		case in.DryRun:
			return Verified{}, dryRun()
		}
		return Verified{k.ref().arn(s.region), true, in.SigningAlgorithm}, nil
	})
}

// signing checks what Sign and Verify have in common, and returns the key and what
// its algorithm signs. p is what is wrong with the rest of the request.
func (s *Service) signing(ctx context.Context, by iam.Caller, operation string, in Sign, p problems) (*key, []byte, error) {
	p.keyID(in.KeyId, "keyId")
	p.message(in.Message)
	p.oneOf(in.MessageType, "messageType", messageTypes)
	p.present(in.SigningAlgorithm, "signingAlgorithm")
	p.oneOf(in.SigningAlgorithm, "signingAlgorithm", signingAlgorithms)
	if err := p.tokens(in.GrantTokens); err != nil {
		return nil, nil, err
	}
	kind := in.MessageType
	if kind == "" {
		kind = rawMessage
	}
	k, err := s.permittedByName(ctx, by, "kms:"+operation, in.KeyId, facts{Tokens: in.GrantTokens, Keys: policy.Values{
		"kms:signingalgorithm": {in.SigningAlgorithm}, "kms:messagetype": {kind},
	}})
	if err != nil {
		return nil, nil, err
	}
	if err := s.fitsAlgorithm(k, operation, in.SigningAlgorithm); err != nil {
		return nil, nil, err
	}
	digest, err := digestOf(keystore.Algorithm(in.SigningAlgorithm), kind, in.Message.Reveal())
	return k, digest, err
}

// digestOf returns what an algorithm signs of a message that is of a kind. Of
// Ed25519, each algorithm takes one kind (KMS API Reference, Sign). Error:
// Validation.
func digestOf(algorithm keystore.Algorithm, kind string, message []byte) ([]byte, error) {
	wants := ""
	switch {
	case kind == externalMu:
		return nil, fault.New(Validation, "MessageType %s is not valid for algorithm %s.", kind, algorithm)
	case algorithm == keystore.Ed25519SHA512:
		wants = rawMessage
	case algorithm == keystore.Ed25519PHSHA512:
		wants = digestMessage
	}
	switch {
	case wants != "" && kind != wants:
		return nil, fault.New(Validation, "MessageType %s is not valid for algorithm %s.", kind, algorithm)
	case kind == rawMessage:
		return scheme.Digest(algorithm, message), nil
	case len(message) != scheme.DigestSize(algorithm):
		return nil, fault.New(Validation, "Digest is invalid length for algorithm %s.", algorithm)
	}
	return message, nil
}

// message checks a message.
func (p *problems) message(m secret.Bytes) {
	p.bytes(m.Len(), "message", 1, maxMessage)
}

// tokens ends the validation of a request that may bring grant tokens.
func (p *problems) tokens(tokens []string) error {
	p.grantTokens(tokens)
	return p.err()
}
