// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
)

// meddler is a key store in which something happens after an import, and whose
// removals can be made to fail.
type meddler struct {
	keystore.Store
	imported  func()
	removals  error
	forgotten []uuid.UUID
}

func (m *meddler) Forget(key uuid.UUID) {
	m.forgotten = append(m.forgotten, key)
	m.Store.Forget(key)
}

func (m *meddler) Import(ctx context.Context, in keystore.Import) (keystore.Material, error) {
	got, err := m.Store.Import(ctx, in)
	if f := m.imported; err == nil && f != nil {
		m.imported = nil
		f()
	}
	return got, err
}

func (m *meddler) Remove(ctx context.Context, ref keystore.Ref) error {
	if m.removals != nil {
		return m.removals
	}
	return m.Store.Remove(ctx, ref)
}

// A row never says that there is material that a removal took.
func TestRemovalOvertakesImport(t *testing.T) {
	n, ctx := newNode(t), t.Context()
	m := &meddler{Store: n.materials}
	n.materials = m
	k := n.externalKey()
	material := secret.Random(32).Reveal()
	n.bring(k.KeyId, material)
	m.imported = func() {
		must(n.DeleteImportedKeyMaterial(ctx, owner, DeleteImportedKeyMaterial{KeyId: k.KeyId}))(t)
	}
	_, err := n.ImportKeyMaterial(ctx, owner, n.parcel(k.KeyId, material))
	refused(t, "an import that a removal overtook", err, KeyUnavailable, "")
	if m := n.describe(k.KeyId); m.KeyState != PendingImport {
		t.Errorf("the key is %s", m.KeyState)
	}
	n.bring(k.KeyId, material)
	n.encrypt(k.KeyId, "x", nil)

	// Two first imports: one wins, and what the other brought goes.
	k = n.externalKey()
	m.imported = func() { n.bring(k.KeyId, material) }
	_, err = n.ImportKeyMaterial(ctx, owner, n.parcel(k.KeyId, secret.Random(32).Reveal()))
	refused(t, "the slower of two imports", err, IncorrectKeyMaterial, "")
	n.encrypt(k.KeyId, "x", nil)
	orphan := keystore.Ref{Key: uuid.MustParse(k.KeyId), Version: 1}
	if _, err := n.materials.Encrypt(ctx, orphan, text("x"), nil, false); !errors.Is(err, keystore.NoMaterial) {
		t.Errorf("what the slower import brought is still there: %v", err)
	}
}

// A removal that a node could not end is ended by the upkeep; until then nobody
// imports.
func TestRemovalIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ctx := newNode(t), t.Context()
		m := &meddler{Store: n.materials}
		n.materials = m
		k := n.externalKey()
		material := secret.Random(32).Reveal()
		n.bring(k.KeyId, material)
		blob := n.encrypt(k.KeyId, "x", nil)
		m.removals = fault.New(keystore.Unavailable, "")
		_, err := n.DeleteImportedKeyMaterial(ctx, owner, DeleteImportedKeyMaterial{KeyId: k.KeyId})
		refused(t, "a removal that fails", err, KeyUnavailable, "")
		_, err = n.Decrypt(ctx, owner, DecryptCiphertext{CiphertextBlob: blob})
		refused(t, "use meanwhile", err, InvalidState, k.Arn+" is pending import.")
		_, err = n.ImportKeyMaterial(ctx, owner, n.parcel(k.KeyId, material))
		refused(t, "an import meanwhile", err, KeyUnavailable, "")
		m.removals = nil
		n.run()
		time.Sleep(takeover + 2*time.Minute)
		if _, err := n.materials.Decrypt(ctx, blob, must(Context(nil).Canonical())(t)); !errors.Is(err, keystore.NoMaterial) {
			t.Errorf("the key store still has it: %v", err)
		}
		n.bring(k.KeyId, material)
		n.decrypt(blob)
	})
}

// What is kept open of a key's material goes with the right to use it.
func TestMaterialIsForgotten(t *testing.T) {
	n, ctx := newNode(t), t.Context()
	m := &meddler{Store: n.materials}
	n.materials = m
	disabled, dying, emptied, kept := n.keyOf("ECC_NIST_P256", SignVerify), n.key(), n.externalKey(), n.key()
	n.bring(emptied.KeyId, secret.Random(32).Reveal())
	m.forgotten = nil
	must(n.DisableKey(ctx, owner, KeyOnly{disabled.KeyId}))(t)
	must(n.ScheduleKeyDeletion(ctx, owner, ScheduleKeyDeletion{KeyId: dying.KeyId}))(t)
	must(n.DeleteImportedKeyMaterial(ctx, owner, DeleteImportedKeyMaterial{KeyId: emptied.KeyId}))(t)
	must(n.UpdateKeyDescription(ctx, owner, UpdateKeyDescription{kept.KeyId, "x"}))(t)
	for _, k := range []KeyMetadata{disabled, dying, emptied, kept} {
		if got, want := slices.Contains(m.forgotten, uuid.MustParse(k.KeyId)), k.KeyId != kept.KeyId; got != want {
			t.Errorf("the material of %s is forgotten: %t, want %t", k.KeyId, got, want)
		}
	}
}
