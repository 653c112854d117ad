// SPDX-License-Identifier: Apache-2.0

package authentic_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/authentic"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
	"github.com/cofferstore/coffer/internal/store/meta/metatest"
)

func testKeys() authentic.Keys {
	return authentic.Keys{Current: 1, Key: map[uint32]secret.Bytes{1: secret.Random(32)}}
}

func TestStore(t *testing.T) {
	metatest.Run(t, func(t *testing.T) meta.Store { return authentic.Wrap(mem.New(), testKeys()) })
}

func mustPut(t testing.TB, s meta.Store, key, value string) {
	t.Helper()
	if _, err := s.Commit(t.Context(), &meta.Batch{Puts: []meta.Put{{Key: []byte(key), Value: []byte(value)}}}); err != nil {
		t.Fatal(err)
	}
}

func mustGet(t testing.TB, s meta.Store, key string) []byte {
	t.Helper()
	it, err := meta.Get1(t.Context(), s, []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return it.Value
}

// wantDamaged fails unless every way to read the row says that it is damaged.
func wantDamaged(t *testing.T, s meta.Store, what, key string) {
	t.Helper()
	if _, err := s.Get(t.Context(), []byte("absent"), []byte(key)); !errors.Is(err, meta.Damaged) || !strings.Contains(err.Error(), `"`+key+`"`) {
		t.Errorf("%s: get: %v, want damage of row %q", what, err, key)
	}
	page, err := s.Scan(t.Context(), meta.Range{})
	if !errors.Is(err, meta.Damaged) || len(page.Items) > 0 {
		t.Errorf("%s: scan: %v with %d rows, want damage", what, err, len(page.Items))
	}
	if _, err := s.Scan(t.Context(), meta.Range{KeysOnly: true}); err != nil {
		t.Errorf("%s: scan of keys: %v", what, err)
	}
}

// The format, computed from its description.
func TestFormat(t *testing.T) {
	keys := testKeys()
	keys.Current, keys.Key[0x01020304] = 0x01020304, secret.New([]byte("0123456789abcdef0123456789abcdef"))
	below := mem.New()
	s := authentic.Wrap(below, keys)
	mustPut(t, s, "c/key", "the value")
	mac := hmac.New(sha256.New, []byte("0123456789abcdef0123456789abcdef"))
	mac.Write([]byte("\x00\x05c/keythe value"))
	want := slices.Concat([]byte("the value\x01\x02\x03\x04"), mac.Sum(nil))
	if got := mustGet(t, below, "c/key"); !slices.Equal(got, want) {
		t.Errorf("stored %x, want %x", got, want)
	}
	if got := mustGet(t, s, "c/key"); string(got) != "the value" {
		t.Errorf("read %q", got)
	}
}

func TestChangedRows(t *testing.T) {
	below := mem.New()
	s := authentic.Wrap(below, testKeys())
	mustPut(t, s, "a", "value of a")
	mustPut(t, s, "b", "value of b")
	stored := mustGet(t, below, "a")
	other := mustGet(t, below, "b")

	for bit := range len(stored) * 8 {
		changed := slices.Clone(stored)
		changed[bit/8] ^= 1 << (bit % 8)
		mustPut(t, below, "a", string(changed))
		wantDamaged(t, s, "one bit", "a")
	}
	for n := range stored {
		mustPut(t, below, "a", string(stored[:n]))
		wantDamaged(t, s, "cut at the end", "a")
		mustPut(t, below, "a", string(stored[n+1:]))
		wantDamaged(t, s, "cut at the start", "a")
	}
	mustPut(t, below, "a", string(stored)+"\x00")
	wantDamaged(t, s, "a byte more", "a")

	mustPut(t, below, "a", string(other))
	wantDamaged(t, s, "another row's value", "a")
	mustPut(t, below, "b", string(stored))
	wantDamaged(t, s, "two values swapped", "b")

	mustPut(t, below, "a", string(stored))
	mustPut(t, below, "b", string(other))
	if got := mustGet(t, s, "a"); string(got) != "value of a" {
		t.Errorf("row put back reads %q", got)
	}
}

// A boundary between key and value that was moved is another row.
func TestKeyAndValueDoNotRunTogether(t *testing.T) {
	below := mem.New()
	s := authentic.Wrap(below, testKeys())
	mustPut(t, s, "ab", "cd")
	stored := mustGet(t, below, "ab")
	mustPut(t, below, "a", "b"+string(stored))
	wantDamaged(t, s, "moved boundary", "a")
}

func TestKeyVersions(t *testing.T) {
	below := mem.New()
	old, young := secret.Random(32), secret.Random(32)
	first := authentic.Wrap(below, authentic.Keys{Current: 1, Key: map[uint32]secret.Bytes{1: old}})
	mustPut(t, first, "a", "v")
	both := authentic.Wrap(below, authentic.Keys{Current: 2, Key: map[uint32]secret.Bytes{1: old, 2: young}})
	mustPut(t, both, "b", "v")
	if a, b := mustGet(t, both, "a"), mustGet(t, both, "b"); string(a) != "v" || string(b) != "v" {
		t.Errorf("rows of two versions: %q and %q", a, b)
	}
	if _, err := first.Get(t.Context(), []byte("b")); !errors.Is(err, meta.Damaged) {
		t.Errorf("unknown key version: %v", err)
	}
	wrong := authentic.Wrap(below, authentic.Keys{Current: 1, Key: map[uint32]secret.Bytes{1: young}})
	wantDamaged(t, wrong, "another key of the version", "a")
}

// Rows do not hide among counters, nor counters among rows.
func TestCounters(t *testing.T) {
	below := mem.New()
	s := authentic.Wrap(below, testKeys())
	for name, b := range map[string]*meta.Batch{
		"a put of a counter":      {Puts: []meta.Put{{Key: []byte("st/n"), Value: make([]byte, 8)}}},
		"an addition to no count": {Adds: []meta.Add{{Key: []byte("n"), Delta: 1}}},
	} {
		if _, err := s.Commit(t.Context(), b); !errors.Is(err, meta.ErrMixed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustPut(t, below, "st/n", "12345678")
	wantDamaged(t, s, "a row among the counters", "st/n")

	own := testKeys()
	own.Counter = func(key []byte) bool { return string(key) == "mine" }
	below = mem.New()
	s = authentic.Wrap(below, own)
	if _, err := s.Commit(t.Context(), &meta.Batch{Adds: []meta.Add{{Key: []byte("mine"), Delta: 1}}}); err != nil {
		t.Error(err)
	}
	mustPut(t, s, "st/n", "a row here")
	if got := mustGet(t, s, "st/n"); string(got) != "a row here" {
		t.Errorf("row %q", got)
	}
}

func TestBadKeys(t *testing.T) {
	for name, keys := range map[string]authentic.Keys{
		"none":    {},
		"current": {Current: 2, Key: map[uint32]secret.Bytes{1: secret.Random(32)}},
		"short":   {Current: 1, Key: map[uint32]secret.Bytes{1: secret.Random(16)}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("bad keys were taken")
				}
			}()
			authentic.Wrap(mem.New(), keys)
		})
	}
}

// The keys may be cleared once the store has them.
func TestClearedKeys(t *testing.T) {
	keys := testKeys()
	s := authentic.Wrap(mem.New(), keys)
	mustPut(t, s, "a", "v")
	for _, key := range keys.Key {
		key.Clear()
	}
	if got := mustGet(t, s, "a"); string(got) != "v" {
		t.Errorf("read %q", got)
	}
}

func BenchmarkGet(b *testing.B) {
	for name, wrap := range map[string]func(meta.Store) meta.Store{
		"authentic": func(s meta.Store) meta.Store { return authentic.Wrap(s, testKeys()) },
		"bare":      func(s meta.Store) meta.Store { return s },
	} {
		b.Run(name, func(b *testing.B) {
			s := wrap(mem.New())
			mustPut(b, s, "c/bucket/key", strings.Repeat("v", 600))
			key := []byte("c/bucket/key")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Get(b.Context(), key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestRowsAuthenticatedElsewhere(t *testing.T) {
	below := mem.New()
	var b meta.Batch
	b.Put([]byte("sealed/a"), []byte("x"))
	if _, err := below.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	keys := testKeys()
	keys.Elsewhere = func(key []byte) bool { return strings.HasPrefix(string(key), "sealed/") }
	s := authentic.Wrap(below, keys)
	if it, err := meta.Get1(t.Context(), s, []byte("sealed/a")); err != nil || string(it.Value) != "x" {
		t.Errorf("%q, %v", it.Value, err)
	}
	if _, err := s.Commit(t.Context(), &b); err == nil {
		t.Error("such a row was written here")
	}
}
