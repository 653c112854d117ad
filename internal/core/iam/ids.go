// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
)

// Prefixes of unique ids (IAM User Guide, "IAM identifiers").
const (
	prefixUser   = "AIDA"
	prefixGroup  = "AGPA"
	prefixRole   = "AROA"
	prefixPolicy = "ANPA"
)

const idAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// newID returns a unique id: a prefix and 17 letters and digits, of 87 random bits.
// Ids are not given twice: rows of ids are created on condition that there is none.
func newID(prefix string) string {
	id := []byte(prefix)
	for range 17 {
		n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(idAlphabet)))) // the system's randomness does not fail
		id = append(id, idAlphabet[n.Int64()])
	}
	return string(id)
}

// CanonicalID returns an account's canonical user id, 64 hexadecimal digits.
func (s *Service) CanonicalID(account string) string { return canonicalID(account) }

func canonicalID(account string) string {
	sum := sha256.Sum256([]byte("coffer/canonical-user/" + account))
	return hex.EncodeToString(sum[:])
}
