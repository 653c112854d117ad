// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

func count(from byte) []byte {
	b := make([]byte, 32)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

// golden is the generation of testdata/cbk1.hex: bucket key 20..3f.
func golden() *Generation {
	id := uuid.UUID(count(0x40)[:16])
	return &Generation{
		ID: id, Bucket: [16]byte(count(0x80)[:16]), KeyARN: key1,
		Context:    kms.Context{"aws:s3:arn": "arn:aws:s3:::b", "dept": "x"},
		Created:    time.UnixMilli(1_700_000_000_000),
		NotAfter:   time.UnixMilli(1_700_086_400_000),
		commitment: commit(secret.New(count(0x20)), id),
		blob:       []byte("ciphertext"),
	}
}

func goldenRow(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/cbk1.hex")
	if err != nil {
		t.Fatal(err)
	}
	row, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func TestGoldenGeneration(t *testing.T) {
	want := golden()
	row, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(row, goldenRow(t)) {
		t.Errorf("the format changed: %x", row)
	}
	got, err := parseGeneration(goldenRow(t), want.Bucket, want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.KeyARN != want.KeyARN || !maps.Equal(got.Context, want.Context) || !got.Created.Equal(want.Created) ||
		!got.NotAfter.Equal(want.NotAfter) || got.commitment != want.commitment || !bytes.Equal(got.blob, want.blob) {
		t.Errorf("got %+v", got)
	}
	aead, err := got.wrapper(secret.New(count(0x20)))
	if err != nil {
		t.Fatal(err)
	}
	kek := secret.Derive(secret.New(count(0x20)), "dek-wrap", want.ID[:], 32)
	if plain, err := aead.Open(nil, secret.NewAEAD(kek).Seal(nil, []byte("x"), nil), nil); err != nil || string(plain) != "x" {
		t.Errorf("the wrapping key is not KDF(BK, dek-wrap, id): %v", err)
	}
}

func TestKeyMustMatchItsCommitment(t *testing.T) {
	g := golden()
	for name, key := range map[string][]byte{"another key": count(0x21), "a short key": count(0x20)[:31], "none": nil} {
		held := bytes.Clone(key)
		s := secret.New(held)
		if _, err := g.wrapper(s); !errors.Is(err, Damaged) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(held, make([]byte, len(held))) {
			t.Errorf("%s was not wiped", name)
		}
	}
}

func TestMalformedRows(t *testing.T) {
	row, g := goldenRow(t), golden()
	for n := range row {
		if _, err := parseGeneration(row[:n], g.Bucket, g.ID); err == nil {
			t.Errorf("cut to %d bytes: accepted", n)
		}
	}
	if _, err := parseGeneration(append(bytes.Clone(row), 0), g.Bucket, g.ID); err == nil {
		t.Error("trailing byte: accepted")
	}
	for i := range 40 { // magic to bucket: fixed by where the row was found
		bad := bytes.Clone(row)
		bad[i] ^= 1
		if _, err := parseGeneration(bad, g.Bucket, g.ID); err == nil {
			t.Errorf("byte %d changed: accepted", i)
		}
	}
}

// A row with any byte changed must not open what was wrapped under the generation.
func TestTamperedRow(t *testing.T) {
	fake, store := newFake(), newStore()
	c := open(t, fake, store, Config{TTL: DefaultTTL})
	gen, sealed := mustSeal(t, c, alice, write(photos, key1))
	c.Close()
	good, err := meta.Get1(t.Context(), store, generationRow(photos.UID, gen))
	if err != nil {
		t.Fatal(err)
	}
	ver := good.Ver
	for i := range good.Value {
		if i >= 40 && i < 56 {
			continue // the window's times decide nothing about reads; the store's row code guards them
		}
		bad := bytes.Clone(good.Value)
		bad[i] ^= 0x10
		var batch meta.Batch
		batch.PutIf(good.Key, bad, ver)
		if ver, err = store.Commit(t.Context(), &batch); err != nil {
			t.Fatal(err)
		}
		node := New(fake, store, Config{TTL: DefaultTTL})
		if err := tryOpen(t.Context(), node, bob, photos, gen, sealed); err == nil {
			t.Errorf("byte %d of the row changed: opened", i)
		}
		node.Close()
	}
}

// A row copied to another bucket is refused without a KMS request: by its bucket,
// and when that is forged too, by its context.
func TestMovedRow(t *testing.T) {
	fake, store := newFake(), newStore()
	c := open(t, fake, store, Config{TTL: DefaultTTL})
	gen, sealed := mustSeal(t, c, alice, write(photos, key1))
	item, err := meta.Get1(t.Context(), store, generationRow(photos.UID, gen))
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Clone(item.Value)
	copy(forged[24:40], videos.UID[:])
	before := fake.count(everyone, anyClass)
	for name, row := range map[string][]byte{"as it is": item.Value, "with the bucket's id": forged} {
		key := generationRow(videos.UID, gen)
		now, err := meta.Get1(t.Context(), store, key)
		if err != nil {
			t.Fatal(err)
		}
		var batch meta.Batch
		batch.PutIf(key, row, now.Ver)
		if _, err := store.Commit(t.Context(), &batch); err != nil {
			t.Fatal(err)
		}
		if err := tryOpen(t.Context(), c, alice, videos, gen, sealed); !errors.Is(err, Damaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := fake.count(everyone, anyClass) - before; n != 0 {
		t.Errorf("%d KMS requests for a moved row", n)
	}
}

// A pointer to a generation of another key or context stops the write.
func TestMovedPointer(t *testing.T) {
	fake, store := newFake(), newStore()
	c := open(t, fake, store, Config{TTL: DefaultTTL})
	other, _ := mustSeal(t, c, alice, write(photos, key2))
	row, err := pointerRow(write(photos, key1))
	if err != nil {
		t.Fatal(err)
	}
	var batch meta.Batch
	batch.PutIf(row, other[:], 0)
	if _, err := store.Commit(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Sealer(t.Context(), alice, write(photos, key1)); !errors.Is(err, Damaged) {
		t.Errorf("got %v", err)
	}
}

func TestGenerationsAreRememberedWithinABound(t *testing.T) {
	fake := newFake()
	c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
	c.generations.capacity = 4
	for i := range 10 {
		b := Bucket{UID: [16]byte{byte(i)}, Name: fmt.Sprintf("bucket%d", i)}
		gen, _ := mustSeal(t, c, alice, write(b, key1))
		if _, err := c.Generation(t.Context(), b.UID, gen); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.generations.len(); n != 4 {
		t.Errorf("%d generations remembered, want 4", n)
	}
}

func FuzzParseGeneration(f *testing.F) {
	f.Add(goldenRow(f))
	f.Add(goldenRow(f)[:generationFixed])
	f.Fuzz(func(t *testing.T, row []byte) {
		if len(row) < generationFixed {
			return
		}
		g, err := parseGeneration(row, [16]byte(row[24:40]), uuid.UUID(row[8:24]))
		if err != nil {
			return
		}
		again, err := g.encode()
		if err != nil || !bytes.Equal(again, row) {
			t.Errorf("accepted %x, which reads back as %x (%v)", row, again, err)
		}
	})
}
