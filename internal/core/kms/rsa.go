// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/scheme"
	"github.com/cofferstore/coffer/internal/secret"
)

// What Encrypt, Decrypt and ReEncrypt do with RSA keys. Their ciphertexts are bare:
// they name no key, and are bound to no encryption context.

// fitsContext refuses an encryption context for a key that can bind none.
func fitsContext(k *key, ec Context) error {
	if k.Spec != SymmetricDefault && len(ec) > 0 {
		return fault.New(Validation, "An encryption context is valid only with symmetric encryption keys, and the key spec is %s.", k.Spec)
	}
	return nil
}

// fitsPlaintext refuses what is too long for the key.
func fitsPlaintext(k *key, algorithm string, size int) error {
	if k.Spec == SymmetricDefault {
		return nil
	}
	if most := scheme.MaxPlaintext(keystore.Spec(k.Spec), keystore.Algorithm(algorithm)); size > most {
		return fault.New(Validation, "Algorithm %s and key spec %s cannot encrypt data larger than %d bytes.", algorithm, k.Spec, most)
	}
	return nil
}

// seal encrypts for a client, after a rotation that is due. It returns also the id of
// the material, which that of RSA keys has not.
func (s *Service) seal(ctx context.Context, k *key, algorithm string, plaintext secret.Bytes, canonical []byte) ([]byte, string, error) {
	if k.Spec != SymmetricDefault {
		blob, err := scheme.Encrypt(k.Public, keystore.Algorithm(algorithm), plaintext)
		if err != nil {
			return nil, "", fromMaterials(err)
		}
		return blob, "", nil
	}
	k, err := s.rotateIfDue(ctx, k)
	if err != nil {
		return nil, "", err
	}
	blob, err := s.encryptUnder(ctx, k, plaintext, canonical, false)
	if err != nil {
		return nil, "", err
	}
	return blob, k.current().ID, nil
}

// open decrypts for a client. The plaintext is the caller's to clear.
func (s *Service) open(ctx context.Context, c ciphertext, algorithm string, blob, canonical []byte) (secret.Bytes, string, error) {
	if c.key.Spec != SymmetricDefault {
		plaintext, err := s.materials.Open(ctx, c.key.currentRef(), keystore.Algorithm(algorithm), blob)
		if err != nil {
			return secret.Bytes{}, "", s.fromKey(c.key, err)
		}
		return plaintext, "", nil
	}
	plaintext, m, err := s.decrypt(ctx, c, blob, canonical)
	return plaintext, m.ID, err
}

// needsKeyID refuses to look for the key of an RSA ciphertext, which names none: the
// request must. Error: Validation.
func (s *Service) needsKeyID(algorithm, keyID, member string, blob []byte) error {
	if algorithm == SymmetricDefault || keyID != "" {
		return nil
	}
	if _, _, err := s.materials.Inspect(blob); err == nil {
		return nil // it is none, and its key will not fit the algorithm
	}
	return fault.New(Validation, "%s is required for ciphertexts of algorithm %s.", member, algorithm)
}
