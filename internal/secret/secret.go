// SPDX-License-Identifier: Apache-2.0

// Package secret holds key material, and the primitives that take it: the key
// derivation and the authenticated encryption of docs/formats.md.
//
// Key material is a [Bytes] from birth. No verb of fmt, no logger and no
// encoder shows it; Reveal is the one way to its bytes, so a search for Reveal
// finds every reader of keys.
package secret

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

// Size is the length of every symmetric key in Coffer, in bytes.
const Size = 32

// Bytes is key material. The zero value is empty. Copies share the same
// memory, so Clear on one clears all.
//
// The bytes are held in a closure because fmt ignores the methods of unexported
// fields and would print a slice, or a pointer to one.
type Bytes struct{ reveal func() []byte }

// New takes ownership of b: the caller must not keep or change it.
func New(b []byte) Bytes { return Bytes{func() []byte { return b }} }

// Copy returns a secret with a private copy of b.
func Copy(b []byte) Bytes { return New(append([]byte(nil), b...)) }

// Random returns n fresh random bytes.
func Random(n int) Bytes {
	b := make([]byte, n)
	rand.Read(b) // never fails: the runtime ends the process instead
	return New(b)
}

// Reveal returns the key material itself, not a copy.
func (s Bytes) Reveal() []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}

// Len returns the number of bytes.
func (s Bytes) Len() int { return len(s.Reveal()) }

// Clear overwrites the material with zeros.
func (s Bytes) Clear() { clear(s.Reveal()) }

// Equal compares in time that depends on the lengths alone.
func (s Bytes) Equal(t Bytes) bool {
	return subtle.ConstantTimeCompare(s.Reveal(), t.Reveal()) == 1
}

const hidden = "[secret]"

// Format writes a placeholder, whatever the verb.
func (Bytes) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// LogValue hides the material from slog.
func (Bytes) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText refuses: key material leaves the process only wrapped.
func (Bytes) MarshalText() ([]byte, error) {
	return nil, errors.New("secret: key material cannot be encoded")
}

// MarshalJSON refuses, as MarshalText.
func (s Bytes) MarshalJSON() ([]byte, error) { return s.MarshalText() }

// MarshalBinary refuses, as MarshalText.
func (s Bytes) MarshalBinary() ([]byte, error) { return s.MarshalText() }
