// SPDX-License-Identifier: Apache-2.0

package rootkey

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

func TestServiceKeysStay(t *testing.T) {
	dir := t.TempDir()
	root := mustCreate(t, dir, byFile())
	store := mem.New()
	made := mustServiceKeys(t, store, root)
	reopened, err := Open(dir, Unlock{})
	if err != nil {
		t.Fatal(err)
	}
	again := mustServiceKeys(t, store, reopened)
	seen := [][]byte{}
	for name, keys := range map[string][2]Versioned{
		metaMAC:    {made.MetaMAC(), again.MetaMAC()},
		iamSecret:  {made.IAMSecret(), again.IAMSecret()},
		importKey:  {made.Import(), again.Import()},
		uploadBind: {made.UploadBind(), again.UploadBind()},
		trailSign:  {made.TrailSign(), again.TrailSign()},
	} {
		if keys[0].Current != 1 || keys[0].Key().Len() != secret.Size {
			t.Errorf("%s: version %d of %d bytes", name, keys[0].Current, keys[0].Key().Len())
		}
		if !keys[0].Key().Equal(keys[1].Key()) {
			t.Errorf("%s: another key after the restart", name)
		}
		if slices.ContainsFunc(seen, func(b []byte) bool { return bytes.Equal(b, keys[0].Key().Reveal()) }) {
			t.Errorf("%s: the key of another service", name)
		}
		seen = append(seen, keys[0].Key().Reveal())
	}
}

func TestServiceKeysNewVersionIsCurrent(t *testing.T) {
	root, store := mustCreate(t, t.TempDir(), byFile()), mem.New()
	mustServiceKeys(t, store, root)
	newer := secret.Random(secret.Size)
	_, sealed := root.SealRecord(ServiceKey, Record{Key: serviceID(metaMAC), Version: 2, Created: time.Now()}, newer)
	put(t, store, serviceRow(metaMAC, 2), sealed)
	got := mustServiceKeys(t, store, root).MetaMAC()
	if got.Current != 2 || !got.Key().Equal(newer) || len(got.Keys) != 2 {
		t.Errorf("current version %d of %v, want 2 of 1 and 2", got.Current, slices.Sorted(maps.Keys(got.Keys)))
	}
}

func TestServiceKeysRefuseExchangedRows(t *testing.T) {
	for name, spoil := range map[string]func(mac, bind []byte) []byte{
		"another service's": func(_, bind []byte) []byte { return bind },
		"a flipped bit":     func(mac, _ []byte) []byte { mac[100] ^= 1; return mac },
		"cut off":           func(mac, _ []byte) []byte { return mac[:len(mac)-1] },
	} {
		root, store := mustCreate(t, t.TempDir(), byFile()), mem.New()
		mustServiceKeys(t, store, root)
		rows, err := store.Get(t.Context(), serviceRow(metaMAC, 1), serviceRow(uploadBind, 1))
		if err != nil {
			t.Fatal(err)
		}
		put(t, store, serviceRow(metaMAC, 1), spoil(rows[0].Value, rows[1].Value))
		if _, err := ServiceKeys(t.Context(), store, root); !errors.Is(err, BadRecord) {
			t.Errorf("%s row: got %v, want BadRecord", name, err)
		}
	}
}

func TestRacingNodesAgreeOnServiceKeys(t *testing.T) {
	root, store := mustCreate(t, t.TempDir(), byFile()), mem.New()
	var wg sync.WaitGroup
	got := make([]*Services, 8)
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = ServiceKeys(t.Context(), store, root); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, s := range got[1:] {
		if s != nil && !s.MetaMAC().Key().Equal(got[0].MetaMAC().Key()) {
			t.Error("two nodes have different keys")
		}
	}
}

func TestRecordIsBoundToLabelAndInstallation(t *testing.T) {
	root, other := mustCreate(t, t.TempDir(), byFile()), mustCreate(t, t.TempDir(), byFile())
	material := secret.Random(secret.Size)
	want, sealed := root.SealRecord(KMSMaterial, Record{Key: uuid.New(), Version: 3, Created: time.Now()}, material)
	got, opened, err := root.OpenRecord(KMSMaterial, sealed)
	if err != nil || got != want || !opened.Equal(material) {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
	if _, _, err := root.OpenRecord(ServiceKey, sealed); !errors.Is(err, BadRecord) {
		t.Errorf("under another label: got %v, want BadRecord", err)
	}
	if _, _, err := other.OpenRecord(KMSMaterial, sealed); !errors.Is(err, BadRecord) {
		t.Errorf("in another installation: got %v, want BadRecord", err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 0x80
		if _, _, err := root.OpenRecord(KMSMaterial, changed); !errors.Is(err, BadRecord) {
			t.Fatalf("bit flipped in byte %d: got %v, want BadRecord", i, err)
		}
	}
}

// A changed byte never opens, and no input panics.
func FuzzOpenRecord(f *testing.F) {
	root := &Root{key: secret.New(bytes.Repeat([]byte{1}, 32)), installation: uuid.UUID{1}, version: 1}
	f.Add(uint(5), byte(1), []byte("CKM1"))
	f.Add(uint(96), byte(0x80), []byte{})
	f.Fuzz(func(t *testing.T, at uint, change byte, other []byte) {
		_, sealed := root.SealRecord(KMSMaterial, Record{Key: uuid.UUID{2}, Version: 1, Created: time.UnixMilli(0)}, secret.Random(32))
		sealed[at%uint(len(sealed))] ^= change
		if _, _, err := root.OpenRecord(KMSMaterial, sealed); (err == nil) != (change == 0) {
			t.Errorf("byte %d changed by %#x: %v", at%uint(len(sealed)), change, err)
		}
		if _, _, err := root.OpenRecord(KMSMaterial, other); err == nil {
			t.Errorf("opened %x", other)
		}
	})
}

func mustServiceKeys(t *testing.T, store meta.Store, root *Root) *Services {
	t.Helper()
	s, err := ServiceKeys(t.Context(), store, root)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, store meta.Store, row, value []byte) {
	t.Helper()
	var b meta.Batch
	b.Put(row, value)
	if _, err := store.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
}
