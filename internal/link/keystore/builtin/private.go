// SPDX-License-Identifier: Apache-2.0

package builtin

import (
	"context"

	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/scheme"
	"github.com/cofferstore/coffer/internal/secret"
)

// Sign signs a digest with a private key.
func (s *Store) Sign(ctx context.Context, ref keystore.Ref, algorithm keystore.Algorithm, digest []byte) ([]byte, error) {
	p, err := s.private(ctx, ref)
	if err != nil {
		return nil, err
	}
	return p.Sign(algorithm, digest)
}

// MAC authenticates a message with an HMAC key.
func (s *Store) MAC(ctx context.Context, ref keystore.Ref, algorithm keystore.Algorithm, message []byte) ([]byte, error) {
	material, err := s.material(ctx, ref, isHMAC)
	if err != nil {
		return nil, err
	}
	defer material.Clear()
	return scheme.MAC(material, algorithm, message), nil
}

// Open decrypts with an RSA key.
func (s *Store) Open(ctx context.Context, ref keystore.Ref, algorithm keystore.Algorithm, ciphertext []byte) (secret.Bytes, error) {
	p, err := s.private(ctx, ref)
	if err != nil {
		return secret.Bytes{}, err
	}
	return p.Decrypt(algorithm, ciphertext)
}

// Agree computes the secret that a key shares with a peer's.
func (s *Store) Agree(ctx context.Context, ref keystore.Ref, peer []byte) (secret.Bytes, error) {
	p, err := s.private(ctx, ref)
	if err != nil {
		return secret.Bytes{}, err
	}
	return p.Agree(peer)
}

// private returns a private key, read from its record or kept from before.
func (s *Store) private(ctx context.Context, ref keystore.Ref) (*scheme.Private, error) {
	if p, ok := s.read.get(ref); ok {
		return p.(private).Private, nil
	}
	began := s.read.era()
	rec, material, err := s.record(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer material.Clear()
	if rec.Spec.Size() > 0 {
		return nil, unsuitable(ref)
	}
	p, err := scheme.Parse(rec.Spec, material)
	if err != nil {
		return nil, damaged(ref, err)
	}
	s.read.put(ref, private{p}, began)
	return p, nil
}
