// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/keystoretest"
	"github.com/cofferstore/coffer/internal/secret"
)

// externalKey makes a key that waits for its material.
func (n *node) externalKey() KeyMetadata {
	n.t.Helper()
	return must(n.CreateKey(n.t.Context(), owner, CreateKey{Origin: OriginExternal}))(n.t)
}

// parcel is an import of material, as a client prepares it: without expiry, to be
// changed.
func (n *node) parcel(id string, material []byte) ImportKeyMaterial {
	n.t.Helper()
	p := must(n.GetParametersForImport(n.t.Context(), owner, GetParametersForImport{id, "RSA_AES_KEY_WRAP_SHA_256", "RSA_2048"}))(n.t)
	blob, err := keystoretest.Wrap(p.PublicKey, keystore.WrapSHA256, material)
	if err != nil {
		n.t.Fatal(err)
	}
	return ImportKeyMaterial{KeyId: id, ImportToken: p.ImportToken, EncryptedKeyMaterial: blob, ExpirationModel: materialStays}
}

func (n *node) bring(id string, material []byte) ImportedKeyMaterial {
	n.t.Helper()
	return must(n.ImportKeyMaterial(n.t.Context(), owner, n.parcel(id, material)))(n.t)
}

func TestImport(t *testing.T) {
	n, ctx := newNode(t), t.Context()
	var changes []Change
	n.OnChange(func(_ string, c Change) { changes = append(changes, c) })
	k := n.externalKey()
	if k.KeyState != PendingImport || k.Enabled || k.Origin != OriginExternal || k.CurrentKeyMaterialId != "" || k.ExpirationModel != "" {
		t.Errorf("a new key is %+v", k)
	}
	_, err := n.Encrypt(ctx, owner, Encrypt{KeyId: k.KeyId, Plaintext: text("x")})
	refused(t, "before its material", err, InvalidState, k.Arn+" is pending import.")
	_, err = n.DisableKey(ctx, owner, KeyOnly{k.KeyId})
	refused(t, "disable", err, InvalidState, k.Arn+" is pending import.")

	material := secret.Random(32).Reveal()
	got := n.bring(k.KeyId, material)
	m := n.describe(k.KeyId)
	if got.KeyId != k.Arn || m.KeyState != Enabled || !m.Enabled || m.CurrentKeyMaterialId != got.KeyMaterialId || m.ExpirationModel != materialStays || m.ValidTo != nil {
		t.Errorf("imported %+v, the key is %+v", got, m)
	}
	blob := n.encrypt(k.KeyId, "x", nil)
	_, s3Blob, err := n.ViaS3().GenerateDataKey(ctx, owner, k.Arn, nil, "")
	if err != nil {
		t.Fatal(err)
	}

	changes = nil
	if gone := must(n.DeleteImportedKeyMaterial(ctx, owner, DeleteImportedKeyMaterial{KeyId: k.KeyId}))(t); gone != got {
		t.Errorf("deleted %+v, want %+v", gone, got)
	}
	if len(changes) != 1 || changes[0] != StateChanged {
		t.Errorf("watchers are told %v", changes)
	}
	if m := n.describe(k.KeyId); m.KeyState != PendingImport || m.ExpirationModel != "" {
		t.Errorf("without its material the key is %+v", m)
	}
	_, err = n.Decrypt(ctx, owner, DecryptCiphertext{CiphertextBlob: blob})
	refused(t, "decrypt without material", err, InvalidState, k.Arn+" is pending import.")
	refused(t, "S3's check", n.ViaS3().Check(ctx, owner, Decrypt, k.Arn, nil), InvalidState, k.Arn+" is pending import.")
	_, err = n.materials.Decrypt(ctx, blob, must(Context(nil).Canonical())(t))
	if !errors.Is(err, keystore.NoMaterial) {
		t.Errorf("the key store still has the material: %v", err)
	}
	must(n.DeleteImportedKeyMaterial(ctx, owner, DeleteImportedKeyMaterial{KeyId: k.KeyId}))(t)

	_, err = n.ImportKeyMaterial(ctx, owner, n.parcel(k.KeyId, secret.Random(32).Reveal()))
	refused(t, "other material", err, IncorrectKeyMaterial, "The key material is not the one that was imported before.")
	if again := n.bring(k.KeyId, material); again != got {
		t.Errorf("imported again as %+v, want %+v", again, got)
	}
	if dec := n.decrypt(blob); string(dec.Plaintext.Reveal()) != "x" || dec.KeyMaterialId != got.KeyMaterialId {
		t.Error("the old ciphertext does not open")
	}
	if _, err := n.ViaS3().Decrypt(ctx, owner, k.Arn, s3Blob, nil); err != nil {
		t.Errorf("S3's old ciphertext: %v", err)
	}
}

func TestImportedMaterialExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ctx := newNode(t), t.Context()
		k := n.externalKey()
		material := secret.Random(32).Reveal()
		p := n.parcel(k.KeyId, material)
		until := time.Now().Add(time.Hour)
		p.ExpirationModel, p.ValidTo = "", &until
		id := must(n.ImportKeyMaterial(ctx, owner, p))(t).KeyMaterialId
		if m := n.describe(k.KeyId); m.ExpirationModel != materialExpires || m.ValidTo == nil || !m.ValidTo.Equal(until.Truncate(time.Millisecond)) {
			t.Errorf("described as %+v", m)
		}
		blob := n.encrypt(k.KeyId, "x", nil)
		time.Sleep(time.Hour)

		// It is not used any more, though nobody has looked yet.
		_, err := n.Decrypt(ctx, owner, DecryptCiphertext{CiphertextBlob: blob})
		refused(t, "after its time", err, InvalidState, k.Arn+" is pending import.")
		refused(t, "S3's check", n.ViaS3().Check(ctx, owner, Generate, k.Arn, nil), InvalidState, "")
		refused(t, "upkeep's check", n.ForService().Usable(ctx, k.Arn), InvalidState, "")
		if m := n.describe(k.KeyId); m.KeyState != PendingImport || m.ValidTo != nil {
			t.Errorf("described as %+v", m)
		}
		var changes []Change
		n.OnChange(func(_ string, c Change) { changes = append(changes, c) })
		n.run()
		time.Sleep(2 * time.Minute)
		if _, err := n.materials.Decrypt(ctx, blob, must(Context(nil).Canonical())(t)); !errors.Is(err, keystore.NoMaterial) {
			t.Errorf("the key store still has it: %v", err)
		}
		events := n.trail.named("DeleteExpiredKeyMaterial")
		if len(events) != 1 || !strings.Contains(string(events[0].ServiceEventDetails), id) || len(changes) != 1 {
			t.Errorf("%d events, changes %v", len(events), changes)
		}
		n.bring(k.KeyId, material)
		if dec := n.decrypt(blob); string(dec.Plaintext.Reveal()) != "x" {
			t.Error("imported again, it opens nothing")
		}
		time.Sleep(2 * time.Minute)
		if m := n.describe(k.KeyId); m.KeyState != Enabled || len(n.trail.named("DeleteExpiredKeyMaterial")) != 1 {
			t.Errorf("imported again, the key is %s", m.KeyState)
		}
	})
}

// The same material with another time: the later word counts.
func TestImportChangesExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ctx := newNode(t), t.Context()
		k := n.externalKey()
		material := secret.Random(32).Reveal()
		p := n.parcel(k.KeyId, material)
		until := time.Now().Add(time.Hour)
		p.ExpirationModel, p.ValidTo = materialExpires, &until
		must(n.ImportKeyMaterial(ctx, owner, p))(t)
		must(n.DisableKey(ctx, owner, KeyOnly{k.KeyId}))(t)
		n.bring(k.KeyId, material)
		if m := n.describe(k.KeyId); m.KeyState != StateDisabled || m.ExpirationModel != materialStays {
			t.Errorf("described as %+v", m)
		}
		must(n.EnableKey(ctx, owner, KeyOnly{k.KeyId}))(t)
		n.run()
		time.Sleep(2 * time.Hour)
		n.encrypt(k.KeyId, "x", nil)
	})
}

func TestImportTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ctx := newNode(t), t.Context()
		k, other := n.externalKey(), n.externalKey()
		p := n.parcel(k.KeyId, secret.Random(32).Reveal())
		late := n.parcel(k.KeyId, secret.Random(32).Reveal())
		foreign := p
		foreign.KeyId = other.KeyId
		_, err := n.ImportKeyMaterial(ctx, owner, foreign)
		refused(t, "another key's token", err, InvalidImportToken, "")
		mixed := p
		mixed.ImportToken = late.ImportToken
		_, err = n.ImportKeyMaterial(ctx, owner, mixed)
		refused(t, "another pair's token", err, InvalidCiphertext, "")
		must(n.ImportKeyMaterial(ctx, owner, p))(t)
		_, err = n.ImportKeyMaterial(ctx, owner, p)
		refused(t, "the same token again", err, InvalidImportToken, "")
		n.run()
		time.Sleep(importWindow + time.Minute)
		_, err = n.ImportKeyMaterial(ctx, owner, late)
		refused(t, "a day later", err, ExpiredImportToken, "")
	})
}

func TestImportIsRefused(t *testing.T) {
	n, ctx := newNode(t), t.Context()
	k, made := n.externalKey(), n.key()
	soon, never, far := time.Now().Add(time.Hour), time.Now().Add(-time.Second), time.Now().Add(366*day)
	good := n.parcel(k.KeyId, secret.Random(32).Reveal())
	for name, c := range map[string]struct {
		change  func(in *ImportKeyMaterial)
		kind    fault.Kind
		message string
	}{
		"no token":              {func(in *ImportKeyMaterial) { in.ImportToken = nil }, Validation, "1 validation error detected: Value null at 'importToken' failed to satisfy constraint: Member must not be null"},
		"no material":           {func(in *ImportKeyMaterial) { in.EncryptedKeyMaterial = nil }, Validation, ""},
		"too much material":     {func(in *ImportKeyMaterial) { in.EncryptedKeyMaterial = make([]byte, 6145) }, Validation, ""},
		"a damaged token":       {func(in *ImportKeyMaterial) { in.ImportToken = []byte("x") }, InvalidImportToken, ""},
		"damaged material":      {func(in *ImportKeyMaterial) { in.EncryptedKeyMaterial = make([]byte, 300) }, InvalidCiphertext, ""},
		"unknown model":         {func(in *ImportKeyMaterial) { in.ExpirationModel = "x" }, Validation, ""},
		"unknown type":          {func(in *ImportKeyMaterial) { in.ImportType = "x" }, Validation, ""},
		"a time that is not":    {func(in *ImportKeyMaterial) { in.ValidTo = &soon }, Validation, "A validTo date must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE"},
		"no time":               {func(in *ImportKeyMaterial) { in.ExpirationModel = "" }, Validation, "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"},
		"a time that is over":   {func(in *ImportKeyMaterial) { in.ExpirationModel, in.ValidTo = "", &never }, Validation, "The validTo date must be in the future, and at most 365 days from now."},
		"over a year":           {func(in *ImportKeyMaterial) { in.ExpirationModel, in.ValidTo = "", &far }, Validation, ""},
		"an id of no material":  {func(in *ImportKeyMaterial) { in.KeyMaterialId = "x" }, Validation, ""},
		"an id of other":        {func(in *ImportKeyMaterial) { in.KeyMaterialId = strings.Repeat("0", 64) }, IncorrectKeyMaterial, ""},
		"a strange description": {func(in *ImportKeyMaterial) { in.KeyMaterialDescription = "<>" }, Validation, ""},
		"made here":             {func(in *ImportKeyMaterial) { in.KeyId = made.KeyId }, UnsupportedOperation, made.Arn + " origin is AWS_KMS which is not valid for this operation."},
		"an alias":              {func(in *ImportKeyMaterial) { in.KeyId = "alias/x" }, NotFound, "Invalid keyId 'alias/x'"},
	} {
		in := good
		c.change(&in)
		_, err := n.ImportKeyMaterial(ctx, owner, in)
		refused(t, name, err, c.kind, c.message)
	}
	for _, size := range []int{16, 31, 33, 64} {
		_, err := n.ImportKeyMaterial(ctx, owner, n.parcel(k.KeyId, secret.Random(size).Reveal()))
		refused(t, "material of another size", err, IncorrectKeyMaterial, "The key material does not fit the key.")
	}
	if m := n.describe(k.KeyId); m.KeyState != PendingImport {
		t.Errorf("after imports that were refused the key is %s", m.KeyState)
	}

	for name, c := range map[string]struct {
		in      GetParametersForImport
		kind    fault.Kind
		message string
	}{
		"no algorithm": {GetParametersForImport{k.KeyId, "", "RSA_2048"}, Validation, ""},
		"no spec":      {GetParametersForImport{k.KeyId, "RSAES_OAEP_SHA_256", ""}, Validation, ""},
		"unknown spec": {GetParametersForImport{k.KeyId, "RSAES_OAEP_SHA_256", "RSA_1024"}, Validation, ""},
		"PKCS #1":      {GetParametersForImport{k.KeyId, "RSAES_PKCS1_V1_5", "RSA_2048"}, UnsupportedOperation, "WrappingAlgorithm RSAES_PKCS1_V1_5 is not supported."},
		"SM2":          {GetParametersForImport{k.KeyId, "SM2PKE", "SM2"}, UnsupportedOperation, ""},
		"made here":    {GetParametersForImport{made.KeyId, "RSAES_OAEP_SHA_256", "RSA_2048"}, UnsupportedOperation, made.Arn + " origin is AWS_KMS which is not valid for this operation."},
	} {
		_, err := n.GetParametersForImport(ctx, owner, c.in)
		refused(t, name, err, c.kind, c.message)
	}
	if _, _, enforced := fips.State(); enforced {
		_, err := n.GetParametersForImport(ctx, owner, GetParametersForImport{k.KeyId, "RSAES_OAEP_SHA_1", "RSA_2048"})
		refused(t, "SHA-1 in FIPS mode", err, UnsupportedOperation, "Algorithm RSAES_OAEP_SHA_1 is not allowed in FIPS mode.")
	}
	_, err := n.DeleteImportedKeyMaterial(ctx, owner, DeleteImportedKeyMaterial{KeyId: made.KeyId})
	refused(t, "deletion of what was made here", err, UnsupportedOperation, "")
	_, err = n.DeleteImportedKeyMaterial(ctx, owner, DeleteImportedKeyMaterial{k.KeyId, strings.Repeat("0", 64)})
	refused(t, "deletion of what is not there", err, NotFound, "")
	_, err = n.EnableKeyRotation(ctx, owner, EnableKeyRotation{KeyId: k.KeyId})
	refused(t, "automatic rotation", err, UnsupportedOperation, k.Arn+" origin is EXTERNAL which is not valid for this operation.")
	must(n.ScheduleKeyDeletion(ctx, owner, ScheduleKeyDeletion{KeyId: k.KeyId}))(t)
	_, err = n.ImportKeyMaterial(ctx, owner, good)
	refused(t, "pending deletion", err, InvalidState, k.Arn+" is pending deletion.")
	must(n.CancelKeyDeletion(ctx, owner, KeyOnly{k.KeyId}))(t)
	if m := n.describe(k.KeyId); m.KeyState != PendingImport {
		t.Errorf("after its deletion was cancelled the key is %s", m.KeyState)
	}
}

func TestRotateToImportedMaterial(t *testing.T) {
	n, ctx := newNode(t), t.Context()
	k := n.externalKey()
	one, two := secret.Random(32).Reveal(), secret.Random(32).Reveal()
	first := n.bring(k.KeyId, one).KeyMaterialId
	old := n.encrypt(k.KeyId, "old", nil)
	_, err := n.RotateKeyOnDemand(ctx, owner, KeyOnly{k.KeyId})
	refused(t, "nothing to rotate to", err, InvalidState, "No available key material pending rotation for the key: "+k.Arn+".")

	p := n.parcel(k.KeyId, two)
	p.ImportType, p.KeyMaterialDescription = newMaterial, "of 2027"
	second := must(n.ImportKeyMaterial(ctx, owner, p))(t).KeyMaterialId
	if m := n.describe(k.KeyId); m.CurrentKeyMaterialId != first || m.KeyState != Enabled {
		t.Errorf("before the rotation the key is %+v", m)
	}
	third := n.parcel(k.KeyId, secret.Random(32).Reveal())
	third.ImportType = newMaterial
	_, err = n.ImportKeyMaterial(ctx, owner, third)
	refused(t, "a third", err, InvalidState, "")
	list := func() []RotationsListEntry {
		return must(n.ListKeyRotations(ctx, owner, ListKeyRotations{KeyId: k.KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL"}))(t).Rotations
	}
	if l := list(); len(l) != 2 || l[0].KeyMaterialState != "CURRENT" || l[1].KeyMaterialState != "PENDING_ROTATION" || l[1].KeyMaterialDescription != "of 2027" || l[1].ImportState != "IMPORTED" {
		t.Errorf("materials %+v", l)
	}

	must(n.RotateKeyOnDemand(ctx, owner, KeyOnly{k.KeyId}))(t)
	if m := n.describe(k.KeyId); m.CurrentKeyMaterialId != second || len(n.trail.named("RotateKey")) != 1 {
		t.Errorf("after the rotation the key is %+v", m)
	}
	if l := list(); len(l) != 2 || l[0].KeyMaterialState != "NON_CURRENT" || l[1].KeyMaterialState != "CURRENT" || l[1].RotationType != onDemand {
		t.Errorf("materials %+v", l)
	}
	fresh := n.decrypt(n.encrypt(k.KeyId, "new", nil))
	if dec := n.decrypt(old); dec.KeyMaterialId != first || fresh.KeyMaterialId != second {
		t.Errorf("old %s, new %s", dec.KeyMaterialId, fresh.KeyMaterialId)
	}
	// All of its material must be there.
	must(n.DeleteImportedKeyMaterial(ctx, owner, DeleteImportedKeyMaterial{k.KeyId, first}))(t)
	_, err = n.Encrypt(ctx, owner, Encrypt{KeyId: k.KeyId, Plaintext: text("x")})
	refused(t, "without the old material", err, InvalidState, k.Arn+" is pending import.")
	if l := list(); l[0].ImportState != "PENDING_IMPORT" || l[1].ImportState != "IMPORTED" {
		t.Errorf("materials %+v", l)
	}
	n.bring(k.KeyId, one)
	if dec := n.decrypt(old); string(dec.Plaintext.Reveal()) != "old" {
		t.Error("the old ciphertext does not open")
	}
}

func TestImportOtherKeys(t *testing.T) {
	n, ctx := newNode(t), t.Context()
	external := func(spec, usage string) KeyMetadata {
		return must(n.CreateKey(ctx, owner, CreateKey{KeySpec: spec, KeyUsage: usage, Origin: OriginExternal}))(t)
	}
	pkcs8 := func(key any, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return must(x509.MarshalPKCS8PrivateKey(key))(t)
	}
	r, p := external("RSA_2048", SignVerify), external("ECC_NIST_P384", SignVerify)
	_, err := n.GetPublicKey(ctx, owner, GetPublicKey{KeyId: r.KeyId})
	refused(t, "public key of nothing", err, InvalidState, r.Arn+" is pending import.")
	_, err = n.GetParametersForImport(ctx, owner, GetParametersForImport{r.KeyId, "RSAES_OAEP_SHA_256", "RSA_4096"})
	refused(t, "RSA under OAEP", err, UnsupportedOperation, "")
	rsaKey, ecKey := pkcs8(rsa.GenerateKey(rand.Reader, 2048)), pkcs8(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	_, err = n.ImportKeyMaterial(ctx, owner, n.parcel(p.KeyId, rsaKey))
	refused(t, "an RSA key as an ECC key", err, IncorrectKeyMaterial, "The key material does not fit the key.")
	n.bring(r.KeyId, rsaKey)
	n.bring(p.KeyId, ecKey)
	for _, k := range []KeyMetadata{r, p} {
		m := n.describe(k.KeyId)
		if m.KeyState != Enabled || m.CurrentKeyMaterialId != "" {
			t.Errorf("described as %+v", m)
		}
		n.useAll(m)
	}
	more := n.parcel(p.KeyId, pkcs8(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)))
	more.ImportType = newMaterial
	_, err = n.ImportKeyMaterial(ctx, owner, more)
	refused(t, "new material of an ECC key", err, UnsupportedOperation, "")

	mac := external("HMAC_384", GenerateVerifyMAC)
	n.bring(mac.KeyId, secret.Random(48).Reveal())
	n.useAll(n.describe(mac.KeyId))
}
