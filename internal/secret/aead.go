// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Overhead is how many bytes longer a sealed message is: a 12-byte nonce in
// front and a 16-byte tag behind.
const Overhead = 28

// ErrOpen says that a sealed message is not what was sealed: other key, other
// additional data, or changed bytes. Which of them is not told.
var ErrOpen = errors.New("secret: message authentication failed")

// Derive is KDF of docs/formats.md: HKDF-Expand-SHA256 over a uniform key, with
// info "coffer/1/" ‖ label ‖ 0x00 ‖ context. It panics for a key under 16 bytes
// or n over 8160, which are mistakes of the caller.
func Derive(key Bytes, label string, context []byte, n int) Bytes {
	if key.Len() < 16 {
		panic(fmt.Sprintf("secret: derive %s from a key of %d bytes", label, key.Len()))
	}
	var memory [96]byte // most have room in it
	info := append(memory[:0], "coffer/1/"...)
	info = append(info, label...)
	info = append(info, 0)
	info = append(info, context...)
	out, err := hkdf.Expand(sha256.New, key.Reveal(), string(info), n)
	if err != nil {
		panic("secret: derive " + label + ": " + err.Error())
	}
	return New(out)
}

// AEAD is AES-256-GCM whose nonces are made inside the cryptographic module and
// stored in front of the ciphertext: nonce(12) ‖ ciphertext ‖ tag(16). It is
// safe for concurrent use. It is the only AEAD of Coffer.
type AEAD struct{ gcm cipher.AEAD }

// NewAEAD returns the AEAD for a key of exactly [Size] bytes; another length is
// a mistake of the caller and panics. The key may be cleared afterwards.
func NewAEAD(key Bytes) *AEAD {
	if key.Len() != Size {
		panic(fmt.Sprintf("secret: AEAD key of %d bytes", key.Len()))
	}
	block, err := aes.NewCipher(key.Reveal())
	if err != nil {
		panic("secret: " + err.Error())
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("secret: " + err.Error())
	}
	return &AEAD{gcm}
}

// Seal appends the sealed plaintext to dst. At most 2^32 messages may be sealed
// under one key. dst's spare capacity must not overlap plaintext.
func (a *AEAD) Seal(dst, plaintext, additional []byte) []byte {
	return a.gcm.Seal(dst, nil, plaintext, additional)
}

// Open appends the plaintext to dst, or returns dst and [ErrOpen]. dst's spare
// capacity must not overlap sealed.
func (a *AEAD) Open(dst, sealed, additional []byte) ([]byte, error) {
	out, err := a.gcm.Open(dst, nil, sealed, additional)
	if err != nil {
		return dst, ErrOpen
	}
	return out, nil
}

// Extract is HKDF-Extract-SHA256: it makes a uniform key of one that only its owner
// knows to be uniform. The salt must have at least 16 bytes and is not secret.
func Extract(salt []byte, key Bytes) Bytes {
	out, err := hkdf.Extract(sha256.New, key.Reveal(), salt)
	if err != nil {
		panic("secret: extract: " + err.Error())
	}
	return New(out)
}
