// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"strings"
	"sync"

	"github.com/cofferstore/coffer/internal/secret"
)

// generation is how many signing keys are kept at least, and half of how many
// are kept at most. One takes about 400 bytes, and 600 more while it is in use, so all of
// them 2 MiB; an access key in use has one a day for each service and region.
const generation = 1024

// keyCache keeps derived signing keys, for deriving one costs four HMACs. The
// zero value is empty. It is safe for concurrent use.
//
// Two generations make it an approximate LRU: a key that is asked for moves to
// the young one, and when that is full the old one is dropped.
type keyCache struct {
	mu         sync.Mutex
	young, old map[keyID]*signingKey
}

// signingKey is a derived key, and HMAC states with it: to make one hashes the key twice.
type signingKey struct {
	key  secret.Bytes
	macs sync.Pool // of hash.Hash
}

func newSigningKey(key secret.Bytes) *signingKey {
	return &signingKey{key: key, macs: sync.Pool{New: func() any { return hmac.New(sha256.New, key.Reveal()) }}}
}

// sign appends the code of a text to b.
func (k *signingKey) sign(b, text []byte) []byte {
	mac := k.macs.Get().(hash.Hash)
	defer k.macs.Put(mac)
	mac.Reset()
	mac.Write(text)
	return mac.Sum(b)
}

// keyID identifies a signing key by the secret that it follows from, not by the
// access key: a secret that changes can never be verified with the old one.
type keyID struct {
	secret                [sha256.Size]byte // its hash
	date, region, service string
}

// get returns the signing key. Its secret stays the cache's own.
func (k *keyCache) get(s secret.Bytes, date, region, service string) *signingKey {
	id := keyID{sha256.Sum256(s.Reveal()), date, region, service}
	k.mu.Lock()
	key, ok := k.young[id]
	if !ok {
		if key, ok = k.old[id]; ok {
			k.add(id, key)
		}
	}
	k.mu.Unlock()
	if ok {
		return key
	}
	key = newSigningKey(derive(s, date, region, service))
	// The claim's strings are parts of a whole header; keep no more than them.
	id.date, id.region, id.service = strings.Clone(date), strings.Clone(region), strings.Clone(service)
	k.mu.Lock()
	k.add(id, key)
	k.mu.Unlock()
	return key
}

// add needs k.mu. Keys that fall out are not cleared: a request may be using
// them.
func (k *keyCache) add(id keyID, key *signingKey) {
	if k.young == nil || len(k.young) >= generation {
		k.old, k.young = k.young, make(map[keyID]*signingKey)
	}
	k.young[id] = key
}

// derive computes the signing key of a scope.
func derive(s secret.Bytes, date, region, service string) secret.Bytes {
	const prefix = "AWS4"
	key := make([]byte, 0, len(prefix)+s.Len())
	key = append(append(key, prefix...), s.Reveal()...)
	for _, text := range [...]string{date, region, service, terminal} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		clear(key)
		key = mac.Sum(nil)
	}
	return secret.New(key)
}
