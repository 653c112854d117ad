// SPDX-License-Identifier: Apache-2.0

package scheme

import (
	"crypto/aes"
	"encoding/binary"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
)

// AES key wrap with padding, RFC 5649 and SP 800-38F.

const (
	semiblock = 8
	// alternativeIV is in front of the length of what is wrapped.
	alternativeIV = 0xa65959a6
)

// unwrapAES opens what a key of 16, 24 or 32 bytes wraps. The plaintext is the
// caller's to clear. Error: BadCiphertext.
func unwrapAES(key secret.Bytes, wrapped []byte) (secret.Bytes, error) {
	refused := fault.New(keystore.BadCiphertext, "")
	n := len(wrapped)/semiblock - 1 // semiblocks of padded plaintext
	if len(wrapped)%semiblock != 0 || n < 1 || len(wrapped) > keystore.MaxMaterial+2*semiblock {
		return secret.Bytes{}, refused
	}
	block, err := aes.NewCipher(key.Reveal())
	if err != nil {
		return secret.Bytes{}, refused
	}
	a := append([]byte(nil), wrapped...) // the register A, then the semiblocks R
	padded := a[semiblock:]
	if n == 1 {
		block.Decrypt(a, a)
	} else {
		var b [2 * semiblock]byte
		for t := 6 * n; t > 0; t-- {
			r := padded[(t-1)%n*semiblock:][:semiblock]
			binary.BigEndian.PutUint64(b[:], binary.BigEndian.Uint64(a)^uint64(t))
			copy(b[semiblock:], r)
			block.Decrypt(b[:], b[:])
			copy(a[:semiblock], b[:semiblock])
			copy(r, b[semiblock:])
		}
		clear(b[:])
	}
	size := int(binary.BigEndian.Uint32(a[4:]))
	if binary.BigEndian.Uint32(a) != alternativeIV || size <= semiblock*(n-1) || size > semiblock*n || !isZero(padded[size:]) {
		clear(a)
		return secret.Bytes{}, refused
	}
	return secret.New(padded[:size:size]), nil
}

func isZero(b []byte) bool {
	var all byte
	for _, c := range b {
		all |= c
	}
	return all == 0
}

// Unwrap opens key material that was encrypted for an RSA key with a wrapping
// algorithm (KMS Developer Guide, "Select a wrapping algorithm"). The material is the
// caller's to clear. Errors: BadCiphertext, NotAllowed.
func (p *Private) Unwrap(algorithm keystore.Algorithm, wrapped []byte) (secret.Bytes, error) {
	direct := map[keystore.Algorithm]keystore.Algorithm{
		keystore.WrapSHA1: keystore.OAEPSHA1, keystore.WrapSHA256: keystore.OAEPSHA256,
	}[algorithm]
	if direct == "" {
		return p.Decrypt(algorithm, wrapped)
	}
	// First the AES key, as long as the modulus, then what it wraps.
	size := modulus(p.spec) / 8
	if size == 0 {
		return secret.Bytes{}, p.unfit(algorithm)
	}
	if len(wrapped) <= size {
		return secret.Bytes{}, fault.New(keystore.BadCiphertext, "")
	}
	key, err := p.Decrypt(direct, wrapped[:size])
	if err != nil {
		return secret.Bytes{}, err
	}
	defer key.Clear()
	return unwrapAES(key, wrapped[size:])
}

// Canonical returns material of a spec as it is kept, with its public key when it is
// a private one: what an importer sends may say the same key in several ways. The
// result is the caller's to clear. Error: BadMaterial.
func Canonical(spec keystore.Spec, material secret.Bytes) (kept secret.Bytes, public []byte, err error) {
	if size := spec.Size(); size > 0 {
		if material.Len() != size {
			return secret.Bytes{}, nil, fault.New(keystore.BadMaterial, "")
		}
		return secret.Copy(material.Reveal()), nil, nil
	}
	p, err := Parse(spec, material)
	if err != nil {
		return secret.Bytes{}, nil, err
	}
	if public, err = p.Public(); err != nil {
		return secret.Bytes{}, nil, err
	}
	kept, err = p.Material()
	return kept, public, err
}
