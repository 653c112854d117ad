// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const (
	signingBits = 2048
	signingLife = 365 * 24 * time.Hour // then another key signs

	signingRows  = "ct/k/" // and the fingerprint
	signingLabel = "trail-sign"
)

// signingKey is a row ct/k/<fingerprint>. It stays for ever, so that old digests can be
// verified; the private key goes when another signs.
type signingKey struct {
	Public []byte    `json:"public"` // DER of PKCS #1
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	// Sealed is the private key, DER of PKCS #8, sealed under that version of the service
	// key trail-sign.
	Sealer uint32 `json:"sealer,omitempty"`
	Sealed []byte `json:"sealed,omitempty"`
}

func (k *signingKey) fingerprint() string { return fingerprint(k.Public) }

// fingerprint names a public key: CloudTrail does not say how it makes its own.
func fingerprint(public []byte) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:16])
}

// Signer signs digests with the installation's key. It is safe for concurrent use.
type Signer struct {
	store  meta.Store
	sealer rootkey.Versioned
	mu     sync.Mutex // one key is made at a time
}

// NewSigner returns a signer over its rows. The key is made when something is signed for
// the first time; private keys are sealed under sealer.
func NewSigner(store meta.Store, sealer rootkey.Versioned) *Signer {
	return &Signer{store: store, sealer: sealer}
}

// current returns the key that signs now, and makes it if need be. Who has it may sign
// with it, also when another takes its place meanwhile.
func (s *Signer) current(ctx context.Context) (*pair, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, err := s.keys(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	for i := len(keys) - 1; i >= 0; i-- {
		// A key of a time to come was made while the clock was wrong: nobody who asks for
		// the keys of now would learn of it.
		if k := &keys[i]; len(k.Sealed) > 0 && now.Before(k.To) && !now.Before(k.From) {
			return s.open(k)
		}
	}
	return s.make(ctx, keys, now.Truncate(time.Second))
}

// make makes a key, and removes the private keys of those before it.
func (s *Signer) make(ctx context.Context, before []signingKey, now time.Time) (*pair, error) {
	private, err := rsa.GenerateKey(rand.Reader, signingBits)
	if err != nil {
		return nil, fmt.Errorf("make a key that signs digests: %w", err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("encode a key that signs digests: %w", err)
	}
	plain := secret.New(text)
	defer plain.Clear()
	k := signingKey{Public: x509.MarshalPKCS1PublicKey(&private.PublicKey), From: now, To: now.Add(signingLife), Sealer: s.sealer.Current}
	sealer := s.sealerOf(&k)
	defer sealer.Clear()
	k.Sealed = secret.NewAEAD(sealer).Seal(nil, plain.Reveal(), k.Public)
	var b meta.Batch
	b.PutIf([]byte(signingRows+k.fingerprint()), encode(k), 0)
	for _, old := range before {
		if len(old.Sealed) > 0 {
			old.Sealer, old.Sealed = 0, nil
			b.Put([]byte(signingRows+old.fingerprint()), encode(old))
		}
	}
	if _, err := s.store.Commit(ctx, &b); err != nil {
		return nil, err
	}
	return &pair{private, k}, nil
}

// sealerOf returns the key that a private key is sealed under: it is that key's alone.
func (s *Signer) sealerOf(k *signingKey) secret.Bytes {
	return secret.Derive(s.sealer.Keys[k.Sealer], signingLabel, []byte(k.fingerprint()), secret.Size)
}

// open opens the private key.
func (s *Signer) open(k *signingKey) (*pair, error) {
	damaged := func(err error) error {
		return fault.New(meta.Damaged, "").Because(fmt.Errorf("row %s%s: %w", signingRows, k.fingerprint(), err))
	}
	if _, known := s.sealer.Keys[k.Sealer]; !known {
		return nil, damaged(fmt.Errorf("sealed under version %d of a service key that there is not", k.Sealer))
	}
	sealer := s.sealerOf(k)
	defer sealer.Clear()
	text, err := secret.NewAEAD(sealer).Open(nil, k.Sealed, k.Public)
	if err != nil {
		return nil, damaged(err)
	}
	plain := secret.New(text)
	defer plain.Clear()
	parsed, err := x509.ParsePKCS8PrivateKey(plain.Reveal())
	if err != nil {
		return nil, damaged(err)
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, damaged(errors.New("not an RSA key"))
	}
	return &pair{private, *k}, nil
}

// keys returns all keys, oldest first.
func (s *Signer) keys(ctx context.Context) (out []signingKey, err error) {
	r := meta.Range{Start: []byte(signingRows), End: meta.PrefixEnd([]byte(signingRows))}
	for {
		page, err := s.store.Scan(ctx, r)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			k, err := decode[signingKey](item)
			if err != nil {
				return nil, err
			}
			out = append(out, k)
		}
		if !page.More {
			slices.SortStableFunc(out, func(a, b signingKey) int { return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To)) })
			return out, nil
		}
		r.Start = page.Next
	}
}

// PublicKeys returns the keys with which something may have been signed in a time, both
// ends included, oldest first. A zero from is the end, and a zero to is now: without both it is
// the key that signs now (CloudTrail API Reference, ListPublicKeys), which is made if there
// is none yet.
func (s *Signer) PublicKeys(ctx context.Context, from, to time.Time) ([]PublicKey, error) {
	now := time.Now()
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = to
	}
	if !from.After(now) && !to.Before(now) {
		if _, err := s.current(ctx); err != nil {
			return nil, err
		}
	}
	keys, err := s.keys(ctx)
	if err != nil {
		return nil, err
	}
	var out []PublicKey
	for i := range keys {
		if k := &keys[i]; !k.From.After(to) && !k.To.Before(from) {
			out = append(out, PublicKey{DER: k.Public, From: k.From, To: k.To, Fingerprint: k.fingerprint()})
		}
	}
	return out, nil
}

// pair is a key that can sign.
type pair struct {
	private *rsa.PrivateKey
	signingKey
}

// sign signs a text as SHA256withRSA: RSA with PKCS #1 v1.5 and SHA-256.
func (p *pair) sign(text []byte) ([]byte, error) {
	sum := sha256.Sum256(text)
	return rsa.SignPKCS1v15(nil, p.private, crypto.SHA256, sum[:])
}
