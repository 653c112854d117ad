// SPDX-License-Identifier: Apache-2.0

package builtin

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
)

// Layout of CKB1, see docs/formats.md.
const (
	blobMagic    = "CKB1"
	blobDerived  = 48 // the part of the header that the blob's key is derived from
	blobHeader   = 80 // with the commitment
	blobOverhead = blobHeader + secret.Overhead

	algAES256GCM    = 1
	flagServiceHeld = 1 << 1
)

func sealBlob(material secret.Bytes, ref keystore.Ref, plaintext secret.Bytes, context []byte, serviceHeld bool) []byte {
	b := make([]byte, blobHeader, blobOverhead+plaintext.Len())
	copy(b, blobMagic)
	b[4] = algAES256GCM
	if serviceHeld {
		b[5] = flagServiceHeld
	}
	copy(b[8:], ref.Key[:])
	binary.BigEndian.PutUint32(b[24:], ref.Version)
	rand.Read(b[32:blobDerived])
	key, commitment := blobKeys(material, b)
	defer key.Clear()
	copy(b[blobDerived:], commitment.Reveal())
	return secret.NewAEAD(key).Seal(b, plaintext.Reveal(), blobBound(b, context))
}

// openBlob opens a blob that parseBlob accepted and whose material this is.
func openBlob(material secret.Bytes, b, context []byte) (secret.Bytes, error) {
	key, commitment := blobKeys(material, b)
	defer key.Clear()
	// The commitment is checked first, so that a blob opens under one key only.
	if !commitment.Equal(secret.New(b[blobDerived:blobHeader])) {
		return secret.Bytes{}, fault.New(keystore.BadCiphertext, "")
	}
	plain, err := secret.NewAEAD(key).Open(nil, b[blobHeader:], blobBound(b, context))
	if err != nil {
		return secret.Bytes{}, fault.New(keystore.BadCiphertext, "").Because(err)
	}
	return secret.New(plain), nil
}

func parseBlob(b []byte) (ref keystore.Ref, serviceHeld bool, err error) {
	if len(b) < blobOverhead || string(b[:4]) != blobMagic || b[4] != algAES256GCM ||
		b[5]&^flagServiceHeld != 0 || b[6] != 0 || b[7] != 0 || binary.BigEndian.Uint32(b[28:]) != 0 {
		return keystore.Ref{}, false, fault.New(keystore.BadCiphertext, "")
	}
	ref = keystore.Ref{Key: uuid.UUID(b[8:24]), Version: binary.BigEndian.Uint32(b[24:])}
	if ref.Version == 0 {
		return keystore.Ref{}, false, fault.New(keystore.BadCiphertext, "")
	}
	return ref, b[5]&flagServiceHeld != 0, nil
}

// blobKeys derives a blob's key and its commitment from the blob's header.
func blobKeys(material secret.Bytes, b []byte) (key, commitment secret.Bytes) {
	k := secret.Derive(material, "kms-encrypt", b[:blobDerived], 2*secret.Size).Reveal()
	return secret.New(k[:secret.Size:secret.Size]), secret.New(k[secret.Size:])
}

// blobBound is the additional data of a blob.
func blobBound(b, context []byte) []byte {
	return append(append(make([]byte, 0, blobHeader+len(context)), b[:blobHeader]...), context...)
}
