// SPDX-License-Identifier: Apache-2.0

// Package keystore is where KMS key material lives: the interface between
// Coffer's KMS, which decides, and the place that holds the material and
// computes with it. The driver builtin keeps material sealed in Coffer's own
// metadata; keystoretest is the suite that every driver passes.
package keystore

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// Kinds of fault that every key store raises.
const (
	// NoMaterial: the key or that version of its material is not there.
	NoMaterial fault.Kind = "keystore: no such key material"
	// BadCiphertext: the blob is not one that this store made for this context.
	BadCiphertext fault.Kind = "keystore: ciphertext refused"
	// Damaged: stored material cannot be opened.
	Damaged fault.Kind = "keystore: damaged key material"
	// Unavailable: the store cannot be reached now; retrying may help.
	Unavailable fault.Kind = "keystore: unavailable"
	// NotAllowed: the cryptographic module refuses the algorithm in the mode that
	// it runs in.
	NotAllowed fault.Kind = "keystore: algorithm not allowed"
	// BadMaterial: what is to be key material is none of the key's spec.
	BadMaterial fault.Kind = "keystore: unsuitable key material"
	// BadToken: the import token is none of this key's, or was used.
	BadToken fault.Kind = "keystore: import token refused"
	// ExpiredToken: the import token's time is over.
	ExpiredToken fault.Kind = "keystore: import token expired"
)

// Ref names one version of a key's material. Versions count from 1.
type Ref struct {
	Key     uuid.UUID
	Version uint32
}

// Material is what is known of a version of key material without using it.
type Material struct {
	Ref
	ID     [32]byte // the API's KeyMaterialId; independent of the root key
	Public []byte   // of a private key: the public one, DER of a SubjectPublicKeyInfo
}

// Wrapping says how key material is to be sent in.
type Wrapping struct {
	Key       uuid.UUID // whose material it will be
	Spec      Spec      // of the key pair that it is encrypted for: an RSA one
	Algorithm Algorithm // OAEPSHA1, OAEPSHA256, WrapSHA1 or WrapSHA256
	Until     time.Time
}

// Import is key material on its way in.
type Import struct {
	Key     uuid.UUID
	Spec    Spec // of the material
	Token   []byte
	Wrapped []byte
	// Choose is told the material's id and says which version it is to be. An
	// error ends the import, and is its error.
	Choose func(id [32]byte) (version uint32, err error)
}

// Store holds key material and computes with it; no method shows it. Which
// operation and algorithm suits which spec is the caller's to know: an unsuitable
// one is an error of no kind. All methods are safe for concurrent use.
type Store interface {
	// Generate makes a version of a key's material. It is durable on return.
	// Making a version that exists is an error. Error: Unavailable.
	Generate(ctx context.Context, ref Ref, spec Spec) (Material, error)

	// PrepareImport makes a key pair for key material to be encrypted with. The
	// token stands for the private key in Import; public is DER of a
	// SubjectPublicKeyInfo. Errors: Unavailable, NotAllowed.
	PrepareImport(ctx context.Context, w Wrapping) (token, public []byte, err error)

	// Import takes key material in. It is durable on return, and the token is used
	// up. A version that exists stays as it is when its material is the same, and is
	// an error otherwise. Errors: Unavailable, Damaged, NotAllowed, BadToken,
	// ExpiredToken, BadCiphertext for what does not open, BadMaterial.
	Import(ctx context.Context, in Import) (Material, error)

	// Remove removes a version of a key's material. Absent material is success.
	Remove(ctx context.Context, ref Ref) error

	// Tidy removes the private keys of imports whose time is over.
	Tidy(ctx context.Context) error

	// Encrypt returns a blob that names ref and is bound to context, the
	// canonical encryption context (CanonicalContext). serviceHeld marks blobs that only Coffer's
	// own services may open. Errors: NoMaterial, Unavailable, Damaged.
	Encrypt(ctx context.Context, ref Ref, plaintext secret.Bytes, context []byte, serviceHeld bool) ([]byte, error)

	// Decrypt opens a blob that Encrypt made. Errors: BadCiphertext,
	// NoMaterial, Unavailable, Damaged.
	Decrypt(ctx context.Context, blob, context []byte) (secret.Bytes, error)

	// Inspect reads which material a blob names, without opening it.
	// Error: BadCiphertext.
	Inspect(blob []byte) (ref Ref, serviceHeld bool, err error)

	// Sign signs a digest with a private key; with Ed25519SHA512, a message.
	// Errors: NoMaterial, Unavailable, Damaged.
	Sign(ctx context.Context, ref Ref, algorithm Algorithm, digest []byte) ([]byte, error)

	// MAC authenticates a message with an HMAC key. Errors: as Sign.
	MAC(ctx context.Context, ref Ref, algorithm Algorithm, message []byte) ([]byte, error)

	// Open decrypts with an RSA key. The plaintext is the caller's to clear.
	// Errors: as Sign, BadCiphertext, NotAllowed.
	Open(ctx context.Context, ref Ref, algorithm Algorithm, ciphertext []byte) (secret.Bytes, error)

	// Agree computes the secret that a key shares with a peer's public key, DER
	// of a SubjectPublicKeyInfo. It is the caller's to clear. Errors: as Sign,
	// BadCiphertext for a key that is not on the same curve.
	Agree(ctx context.Context, ref Ref, peer []byte) (secret.Bytes, error)

	// Forget drops what this process keeps open of a key's material. The material
	// stays, and the next use opens it again.
	Forget(key uuid.UUID)

	// Destroy removes every version of a key's material for good, and what was
	// prepared for imports. Absent material is success.
	Destroy(ctx context.Context, key uuid.UUID) error

	// Health returns nil when the store can answer.
	Health(ctx context.Context) error
}
