// SPDX-License-Identifier: Apache-2.0

package builtin

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/keystoretest"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

func newRoot(t testing.TB) *rootkey.Root {
	t.Helper()
	root, err := rootkey.Create(t.TempDir(), rootkey.SlotOptions{Type: rootkey.File})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestStore(t *testing.T) {
	keystoretest.Run(t, func(t *testing.T) keystore.Store { return New(mem.New(), newRoot(t), Config{}) })
}

func TestStoreThatKeepsLittleOpen(t *testing.T) {
	keystoretest.Run(t, func(t *testing.T) keystore.Store { return New(mem.New(), newRoot(t), Config{Opened: 1}) })
}

// The vector of docs/formats.md.
func TestBlobVector(t *testing.T) {
	b, err := os.ReadFile("testdata/ckb1.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Material, Context, Plaintext, Blob string
		Key                                uuid.UUID
		Version                            uint32
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	root, rows := newRoot(t), mem.New()
	ref := keystore.Ref{Key: v.Key, Version: v.Version}
	_, sealed := root.SealRecord(rootkey.KMSMaterial, rootkey.Record{Key: ref.Key, Version: ref.Version, Created: time.Now()}, secret.New(unhex(t, v.Material)))
	putRow(t, rows, row(ref), sealed)
	s := New(rows, root, Config{})

	blob := unhex(t, v.Blob)
	if got, held, err := s.Inspect(blob); err != nil || got != ref || held {
		t.Errorf("inspect: got %v, %v, %v; want %v", got, held, err, ref)
	}
	plain, err := s.Decrypt(t.Context(), blob, unhex(t, v.Context))
	if err != nil || hex.EncodeToString(plain.Reveal()) != v.Plaintext {
		t.Errorf("decrypt: %v", err)
	}
	ours, err := s.Encrypt(t.Context(), ref, plain, unhex(t, v.Context), false)
	if err != nil || len(ours) != len(blob) || !bytes.Equal(ours[:32], blob[:32]) {
		t.Errorf("encrypt: header %x, %v; want %x", ours[:32], err, blob[:32])
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func putRow(t *testing.T, rows meta.Store, key, value []byte) {
	t.Helper()
	var b meta.Batch
	b.Put(key, value)
	if _, err := rows.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedMaterialIsSaid(t *testing.T) {
	for name, spoil := range map[string]func(own, other []byte) []byte{
		"flipped bit":   func(own, _ []byte) []byte { own[120] ^= 1; return own },
		"another key's": func(_, other []byte) []byte { return other },
		"empty":         func(_, _ []byte) []byte { return nil },
	} {
		rows := mem.New()
		s := New(rows, newRoot(t), Config{})
		own, other := keystore.Ref{Key: uuid.New(), Version: 1}, keystore.Ref{Key: uuid.New(), Version: 1}
		for _, ref := range []keystore.Ref{own, other} {
			if _, err := s.Generate(t.Context(), ref, keystore.Symmetric); err != nil {
				t.Fatal(err)
			}
		}
		items, err := rows.Get(t.Context(), row(own), row(other))
		if err != nil {
			t.Fatal(err)
		}
		putRow(t, rows, row(own), spoil(items[0].Value, items[1].Value))
		if _, err := s.Encrypt(t.Context(), own, secret.Random(32), nil, false); !errors.Is(err, keystore.Damaged) {
			t.Errorf("%s: got %v, want Damaged", name, err)
		}
	}
}

func TestMaterialIsSealedAtRest(t *testing.T) {
	rows := mem.New()
	root := newRoot(t)
	s := New(rows, root, Config{})
	ref := keystore.Ref{Key: uuid.New(), Version: 1}
	m, err := s.Generate(t.Context(), ref, keystore.Symmetric)
	if err != nil {
		t.Fatal(err)
	}
	item, err := meta.Get1(t.Context(), rows, row(ref))
	if err != nil {
		t.Fatal(err)
	}
	rec, material, err := root.OpenRecord(rootkey.KMSMaterial, item.Value)
	if err != nil || rec.ID != m.ID {
		t.Fatalf("record %+v, %v", rec, err)
	}
	if bytes.Contains(item.Value, material.Reveal()) {
		t.Error("the row shows the material")
	}
	if _, err := New(rows, newRoot(t), Config{}).Encrypt(t.Context(), ref, material, nil, false); !errors.Is(err, keystore.Damaged) {
		t.Errorf("under another root key: got %v, want Damaged", err)
	}
}

func TestClosedMetadataIsUnavailable(t *testing.T) {
	rows := mem.New()
	s := New(rows, newRoot(t), Config{})
	rows.Close()
	_, generate := s.Generate(t.Context(), keystore.Ref{Key: uuid.New(), Version: 1}, keystore.Symmetric)
	_, encrypt := s.Encrypt(t.Context(), keystore.Ref{Key: uuid.New(), Version: 1}, secret.Random(32), nil, false)
	for name, err := range map[string]error{
		"generate": generate, "encrypt": encrypt,
		"destroy": s.Destroy(t.Context(), uuid.New()), "health": s.Health(t.Context()),
	} {
		if !errors.Is(err, keystore.Unavailable) {
			t.Errorf("%s: got %v, want Unavailable", name, err)
		}
	}
}

// counting counts reads of rows.
type counting struct {
	meta.Store
	gets int
}

func (c *counting) Get(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	c.gets++
	return c.Store.Get(ctx, keys...)
}

func TestOpenedMaterialIsKeptForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows := &counting{Store: mem.New()}
		s := New(rows, newRoot(t), Config{OpenedFor: time.Minute})
		ref := keystore.Ref{Key: uuid.New(), Version: 1}
		if _, err := s.Generate(t.Context(), ref, keystore.Symmetric); err != nil {
			t.Fatal(err)
		}
		encrypt := func() {
			t.Helper()
			if _, err := s.Encrypt(t.Context(), ref, secret.Random(32), nil, false); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			encrypt()
		}
		if rows.gets != 1 {
			t.Errorf("10 encryptions read the material %d times, want once", rows.gets)
		}
		time.Sleep(time.Minute)
		encrypt()
		if rows.gets != 2 {
			t.Errorf("a minute later the material was read %d times in all, want twice", rows.gets)
		}
	})
}

func TestPrivateKeysAreKeptOpen(t *testing.T) {
	rows := &counting{Store: mem.New()}
	s := New(rows, newRoot(t), Config{Private: 2})
	var refs []keystore.Ref
	for range 3 {
		m, err := s.Generate(t.Context(), keystore.Ref{Key: uuid.New(), Version: 1}, keystore.P256)
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, m.Ref)
	}
	sign := func(ref keystore.Ref, want int) {
		t.Helper()
		rows.gets = 0
		for range 10 {
			if _, err := s.Sign(t.Context(), ref, keystore.ECDSASHA256, make([]byte, 32)); err != nil {
				t.Fatal(err)
			}
		}
		if rows.gets != want {
			t.Errorf("10 signatures read the key %d times, want %d", rows.gets, want)
		}
	}
	sign(refs[0], 1)
	sign(refs[0], 0)
	s.Forget(refs[0].Key)
	sign(refs[0], 1)
	for _, ref := range refs {
		_, _ = s.Sign(t.Context(), ref, keystore.ECDSASHA256, make([]byte, 32))
	}
	if len(s.read.held) != 2 || len(s.opened.held) != 0 {
		t.Errorf("%d private keys and %d others are open, want 2 and 0", len(s.read.held), len(s.opened.held))
	}
}

func TestDestructionForgetsWhatIsBeingRead(t *testing.T) {
	o := newOpened(8, time.Hour)
	ref := keystore.Ref{Key: uuid.New(), Version: 1}
	before := o.era()
	o.forget(ref.Key)
	o.put(ref, raw{keystore.Symmetric, secret.Random(32)}, before)
	if _, ok := o.get(ref); ok {
		t.Error("material read before its destruction was kept after it")
	}
}

// Only a blob of this store has a header that Inspect accepts, and it says what
// the blob says.
func FuzzInspect(f *testing.F) {
	ref := keystore.Ref{Key: uuid.UUID{1}, Version: 7}
	material := secret.Random(32)
	f.Add(sealBlob(material, ref, secret.Random(32), nil, true))
	f.Add(sealBlob(material, ref, secret.Random(1), []byte{0, 0}, false))
	f.Add([]byte("CKB1"))
	s := New(mem.New(), newRoot(f), Config{})
	f.Fuzz(func(t *testing.T, b []byte) {
		ref, held, err := s.Inspect(b)
		if err != nil {
			if !errors.Is(err, keystore.BadCiphertext) {
				t.Fatalf("got %v, want BadCiphertext", err)
			}
			return
		}
		rebuilt := sealBlob(material, ref, secret.Bytes{}, nil, held)
		if !bytes.Equal(rebuilt[:32], b[:32]) {
			t.Errorf("header %x reads as that of %x", b[:32], rebuilt[:32])
		}
	})
}

// A changed byte, in the blob or in the context, never opens.
func FuzzDecrypt(f *testing.F) {
	ref := keystore.Ref{Key: uuid.UUID{1}, Version: 1}
	rows := mem.New()
	s := New(rows, newRoot(f), Config{})
	if _, err := s.Generate(context.Background(), ref, keystore.Symmetric); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("secret"), []byte{0, 0}, uint(40), byte(1))
	f.Add([]byte{}, []byte{}, uint(5), byte(2))
	f.Fuzz(func(t *testing.T, plain, ec []byte, at uint, change byte) {
		blob, err := s.Encrypt(t.Context(), ref, secret.Copy(plain), ec, false)
		if err != nil {
			t.Fatal(err)
		}
		both := append(bytes.Clone(blob), ec...)
		both[at%uint(len(both))] ^= change
		got, err := s.Decrypt(t.Context(), both[:len(blob)], both[len(blob):])
		if change == 0 {
			if err != nil || !bytes.Equal(got.Reveal(), plain) {
				t.Errorf("does not come back: %v", err)
			}
		} else if !errors.Is(err, keystore.BadCiphertext) && !errors.Is(err, keystore.NoMaterial) {
			t.Errorf("byte %d changed by %#x: got %v, want a refusal", at%uint(len(both)), change, err)
		}
	})
}

// No token but those of this store is taken, and none brings it down.
func FuzzImportToken(f *testing.F) {
	s := New(mem.New(), newRoot(f), Config{})
	key := uuid.UUID{1}
	h := pairHead{sealer: 1, key: key, id: uuid.UUID{2}, until: time.Now().Add(time.Hour), algorithm: keystore.OAEPSHA256, spec: keystore.RSA2048}
	good := s.sealed(tokenLabel, h.encode(tokenMagic, secret.Overhead), nil)
	f.Add(good)
	f.Add([]byte(tokenMagic))
	f.Add(bytes.Repeat([]byte{0xff}, tokenSize))
	f.Fuzz(func(t *testing.T, token []byte) {
		_, err := s.Import(context.Background(), keystore.Import{Key: key, Spec: keystore.Symmetric, Token: token, Wrapped: token})
		if !errors.Is(err, keystore.BadToken) { // the row of the good one is not there
			t.Fatalf("got %v, want BadToken", err)
		}
		if _, _, ok := s.unsealed(tokenLabel, tokenMagic, token); ok && !bytes.Equal(token, good) {
			t.Fatalf("another token is taken: %x", token)
		}
	})
}

// A token and a private key of an import that were sealed once open until their time
// is over.
func TestImportVectors(t *testing.T) {
	sequence := func(from byte, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = from + byte(i)
		}
		return b
	}
	s := New(mem.New(), newRoot(t), Config{Import: rootkey.Versioned{Current: 1, Keys: map[uint32]secret.Bytes{1: secret.New(sequence(0, 32))}}})
	want := pairHead{
		sealer: 1, key: uuid.UUID(sequence(0x60, 16)), id: uuid.UUID(sequence(0x40, 16)), until: time.UnixMilli(1767312000000),
		algorithm: keystore.WrapSHA256, spec: keystore.RSA3072,
	}
	for _, v := range []struct {
		file, label, magic string
		plaintext          []byte
	}{{"cit1", tokenLabel, tokenMagic, nil}, {"ckw1", pairLabel, pairMagic, sequence(0x20, 16)}} {
		text, err := os.ReadFile("testdata/" + v.file + ".hex")
		if err != nil {
			t.Fatal(err)
		}
		h, plaintext, ok := s.unsealed(v.label, v.magic, unhex(t, string(text[:len(text)-1])))
		if !ok || h != want || !bytes.Equal(plaintext.Reveal(), v.plaintext) {
			t.Errorf("%s opens to %+v, %t", v.file, h, ok)
		}
	}
}
