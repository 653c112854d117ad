// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
)

// maxBlob is how long a ciphertext may be.
const maxBlob = 6144

// permitted finds the key and decides the action on it, for operations that use
// its material. Errors: NotFound, AccessDenied, Unavailable.
func (s *Service) permitted(ctx context.Context, by iam.Caller, action string, ref keyRef, f facts) (*key, error) {
	k, err := s.cachedKey(ctx, ref)
	if err := s.authorizeKey(ctx, by, action, ref, k, err, f); err != nil {
		return nil, err
	}
	return k, nil
}

// permittedByName is permitted for a key or alias as the client wrote it.
func (s *Service) permittedByName(ctx context.Context, by iam.Caller, action, name string, f facts) (*key, error) {
	ref, alias, err := s.resolve(ctx, by, action, name, f)
	if err != nil {
		return nil, err
	}
	f.Alias = alias
	return s.permitted(ctx, by, action, ref, f)
}

// resolve finds what a client named, and the name of the alias that led there. An
// alias that is missing in another account is denied, as a key is.
func (s *Service) resolve(ctx context.Context, by iam.Caller, action, name string, f facts) (ref keyRef, alias string, err error) {
	ref, alias, err = s.keyOrAliasNamed(ctx, by, name)
	if alias != "" && isNotFound(err) {
		if a, ok := aws.ParseARN(name); ok && a.Account != by.Account {
			if _, err := s.tokenGrants(ctx, f.Tokens); err != nil { // as of an alias that is there
				return keyRef{}, "", err
			}
			return keyRef{}, "", denied(by, policy.Need{Action: action, Resource: name}, f, policy.Decision{Layer: policy.ByResource})
		}
	}
	return ref, alias, err
}

// encryptUnder makes a blob with the key's current material.
func (s *Service) encryptUnder(ctx context.Context, k *key, plaintext secret.Bytes, canonical []byte, serviceHeld bool) ([]byte, error) {
	blob, err := s.materials.Encrypt(ctx, k.currentRef(), plaintext, canonical, serviceHeld)
	if err != nil {
		return nil, s.fromKey(k, err)
	}
	return blob, nil
}

// ciphertext is a blob with the key that made it.
type ciphertext struct {
	key *key
	ref keystore.Ref
	// err is what is wrong with the blob. It is told after the checks of the key.
	err error
}

// ciphertextOf finds the key of a blob, or the key that the request names, and
// decides the action on it.
func (s *Service) ciphertextOf(ctx context.Context, by iam.Caller, action, name string, blob []byte, f facts) (ciphertext, error) {
	owner, ref, held, err := s.keyOfBlob(ctx, blob)
	wrong := err
	if err == nil && held {
		// Only Coffer's own services open these, through their own calls.
		wrong = fault.New(InvalidCiphertext, "")
	}
	if name != "" {
		k, err := s.permittedByName(ctx, by, action, name, f)
		if err != nil {
			return ciphertext{}, err
		}
		if ref.Key != k.ID && (wrong == nil || ErrorName(wrong) == ErrorName(AccessDenied)) {
			wrong = fault.New(IncorrectKey, "The key ID in the request does not identify a CMK that can perform this operation.")
		}
		return ciphertext{k, ref, wrong}, nil
	}
	if wrong != nil {
		if _, err := s.tokenGrants(ctx, f.Tokens); err != nil { // as of a key that is there
			return ciphertext{}, err
		}
		return ciphertext{}, wrong
	}
	k, err := s.permitted(ctx, by, action, owner, f)
	if isNotFound(err) || owner.account != by.Account && errors.Is(err, AccessDenied) {
		return ciphertext{}, foreign()
	}
	return ciphertext{k, ref, nil}, err
}

// keyOfBlob reads from a blob which key and material it names. Errors:
// InvalidCiphertext, and AccessDenied when there is no such key.
func (s *Service) keyOfBlob(ctx context.Context, blob []byte) (owner keyRef, ref keystore.Ref, held bool, err error) {
	ref, held, err = s.materials.Inspect(blob)
	if err != nil {
		return keyRef{}, keystore.Ref{}, false, fromMaterials(err)
	}
	found, err := lookup(ctx, s.view, indexRows+ref.Key.String(), decodeIndex)
	if err != nil {
		return keyRef{}, ref, held, err
	}
	if found == nil {
		if held {
			return keyRef{}, ref, held, nil // the service-owned key has no account
		}
		return keyRef{}, ref, held, foreign()
	}
	return keyRef{found.account, aws.KeyID(ref.Key, found.multiRegion)}, ref, held, nil
}

// index is the row that leads from a ciphertext to its key: the account, and a mark
// for multi-Region keys, whose ids have another form.
type index struct {
	account     string
	multiRegion bool
}

const multiRegionMark = "/mrk"

func (k *key) index() []byte {
	if k.MultiRegion {
		return []byte(k.Account + multiRegionMark)
	}
	return []byte(k.Account)
}

func decodeIndex(value []byte, _ uint64) (*index, error) {
	account, multiRegion := strings.CutSuffix(string(value), multiRegionMark)
	return &index{account, multiRegion}, nil
}

func foreign() error {
	return fault.New(AccessDenied, "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.")
}

// decrypt opens the blob of c, whose key has been checked.
func (s *Service) decrypt(ctx context.Context, c ciphertext, blob, canonical []byte) (secret.Bytes, material, error) {
	if c.err != nil {
		return secret.Bytes{}, material{}, c.err
	}
	m, known := c.key.materialOf(c.ref.Version)
	if !known {
		// The row in memory may be older than the blob, when another node has
		// just rotated the key.
		k, err := s.freshKey(ctx, c.key.ref())
		if err != nil {
			return secret.Bytes{}, material{}, err
		}
		if m, known = k.materialOf(c.ref.Version); !known {
			return secret.Bytes{}, material{}, fault.New(InvalidCiphertext, "")
		}
	}
	plaintext, err := s.materials.Decrypt(ctx, blob, canonical)
	if err != nil {
		return secret.Bytes{}, material{}, s.fromKey(c.key, err)
	}
	return plaintext, m, nil
}

// dryRun ends an operation that would have succeeded.
func dryRun() error {
	return fault.New(DryRun, "The request would have succeeded, but the DryRun option is set.")
}
