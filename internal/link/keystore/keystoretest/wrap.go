// SPDX-License-Identifier: Apache-2.0

package keystoretest

import (
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/link/keystore"
)

// Wrap encrypts key material as an importer does, for a public key in DER.
func Wrap(public []byte, algorithm keystore.Algorithm, material []byte) ([]byte, error) {
	key, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	k, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a %T does not encrypt", key)
	}
	var h hash.Hash = sha256.New()
	if algorithm == keystore.OAEPSHA1 || algorithm == keystore.WrapSHA1 {
		h = fips.NewSHA1()
	}
	if algorithm == keystore.OAEPSHA1 || algorithm == keystore.OAEPSHA256 {
		return rsa.EncryptOAEP(h, rand.Reader, k, material, nil)
	}
	kek := make([]byte, 32)
	rand.Read(kek)
	first, err := rsa.EncryptOAEP(h, rand.Reader, k, kek, nil)
	if err != nil {
		return nil, err
	}
	return append(first, WrapAES(kek, material)...), nil
}

// WrapAES is AES key wrap with padding (RFC 5649, 4.1).
func WrapAES(kek, plaintext []byte) []byte {
	block, err := aes.NewCipher(kek)
	if err != nil {
		panic(err)
	}
	n := (len(plaintext) + 7) / 8
	out := make([]byte, 8+8*n)
	binary.BigEndian.PutUint32(out, 0xa65959a6)
	binary.BigEndian.PutUint32(out[4:], uint32(len(plaintext)))
	copy(out[8:], plaintext)
	if n == 1 {
		block.Encrypt(out, out)
		return out
	}
	var b [16]byte
	for t := 1; t <= 6*n; t++ {
		r := out[8+(t-1)%n*8:][:8]
		copy(b[:8], out[:8])
		copy(b[8:], r)
		block.Encrypt(b[:], b[:])
		binary.BigEndian.PutUint64(out, binary.BigEndian.Uint64(b[:8])^uint64(t))
		copy(r, b[8:])
	}
	return out
}
