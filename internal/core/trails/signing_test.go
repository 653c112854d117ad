// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"bytes"
	"crypto/x509"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

// Keys are made when they are needed, sealed, replaced yearly, and their public halves
// stay.
func TestSigningKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows := metamem.New()
		s := NewSigner(rows, sealer)
		if none, err := s.PublicKeys(t.Context(), time.Unix(0, 0), time.Unix(1, 0)); err != nil || len(none) != 0 {
			t.Fatalf("before there was a key: %v, %v", none, err)
		}
		made, err := s.PublicKeys(t.Context(), time.Time{}, time.Time{})
		if err != nil || len(made) != 1 {
			t.Fatalf("before anything is signed: %v, %v", made, err)
		}
		first, err := s.current(t.Context())
		if err != nil || first.fingerprint() != made[0].Fingerprint {
			t.Fatalf("the first to sign: %s, %v", first.fingerprint(), err)
		}
		again, err := NewSigner(rows, sealer).current(t.Context())
		if err != nil || again.fingerprint() != first.fingerprint() || !again.private.Equal(first.private) {
			t.Fatalf("after a restart %s, %v", again.fingerprint(), err)
		}
		// The private numbers are in no row in the clear.
		page, err := rows.Scan(t.Context(), meta.Range{})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			k, err := decode[signingKey](item)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range [][]byte{first.private.D.Bytes(), first.private.Primes[0].Bytes(), first.private.Primes[1].Bytes()} {
				if bytes.Contains(k.Sealed, n) || bytes.Contains(item.Value, n) {
					t.Fatal("a private number is in the row")
				}
			}
		}
		began := time.Now()
		time.Sleep(signingLife)
		second, err := s.current(t.Context())
		if err != nil || second.fingerprint() == first.fingerprint() {
			t.Fatalf("after a year %s, %v", second.fingerprint(), err)
		}
		keys, err := s.keys(t.Context())
		if err != nil || len(keys) != 2 || keys[0].Sealed != nil || keys[1].Sealed == nil {
			t.Fatalf("rows %+v, %v", keys, err)
		}
		for name, c := range map[string]struct {
			from, to time.Time
			want     []string
		}{
			"no times":      {time.Time{}, time.Time{}, []string{first.fingerprint(), second.fingerprint()}}, // they meet now
			"the first day": {began, began.Add(24 * time.Hour), []string{first.fingerprint()}},
			"before":        {began.Add(-48 * time.Hour), began.Add(-24 * time.Hour), nil},
			"all":           {began, time.Now().Add(time.Hour), []string{first.fingerprint(), second.fingerprint()}},
			"since":         {time.Now().Add(time.Hour), time.Now().Add(2 * time.Hour), []string{second.fingerprint()}},
		} {
			got, err := s.PublicKeys(t.Context(), c.from, c.to)
			if err != nil || len(got) != len(c.want) {
				t.Errorf("%s: %d keys, %v", name, len(got), err)
				continue
			}
			for i, k := range got {
				if _, err := x509.ParsePKCS1PublicKey(k.DER); err != nil || k.Fingerprint != c.want[i] || len(k.Fingerprint) != 32 {
					t.Errorf("%s: %s, %v", name, k.Fingerprint, err)
				}
			}
		}
	})
}

// A row that was changed signs nothing.
func TestDamagedSigningKeys(t *testing.T) {
	rows := metamem.New()
	put := func(k signingKey) {
		var b meta.Batch
		b.Put([]byte(signingRows+"x"), encode(k))
		if _, err := rows.Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	good, err := decode[signingKey](meta.Item{Value: aKey()})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(k *signingKey){
		"a flipped bit":           func(k *signingKey) { k.Sealed = bytes.Clone(k.Sealed); k.Sealed[20] ^= 1 },
		"another public key":      func(k *signingKey) { k.Public = append(bytes.Clone(k.Public), 0) },
		"an unknown service key":  func(k *signingKey) { k.Sealer = 9 },
		"shorter than an opening": func(k *signingKey) { k.Sealed = k.Sealed[:3] },
	} {
		k := good
		change(&k)
		put(k)
		if _, err := NewSigner(rows, sealer).current(t.Context()); !errors.Is(err, meta.Damaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
