// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"cmp"
	"context"
	"encoding/hex"
	"regexp"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/scheme"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const (
	importWindow  = 24 * time.Hour       // in which a token is good
	longestImport = 365 * 24 * time.Hour // until material expires

	// Values of ExpirationModel.
	materialExpires = "KEY_MATERIAL_EXPIRES"
	materialStays   = "KEY_MATERIAL_DOES_NOT_EXPIRE"

	// Values of ImportType.
	newMaterial      = "NEW_KEY_MATERIAL"
	existingMaterial = "EXISTING_KEY_MATERIAL"
)

// GetParametersForImport is the request of Service.GetParametersForImport. KeyId is a
// key id or key ARN.
type GetParametersForImport struct{ KeyId, WrappingAlgorithm, WrappingKeySpec string }

func (in GetParametersForImport) names() ([]string, []string, []byte) {
	return []string{in.KeyId}, nil, nil
}

// ImportParameters are what key material is sent in with: a public key, DER of a
// SubjectPublicKeyInfo, to encrypt it for, and a token that goes with it. KeyId is the
// key's ARN.
type ImportParameters struct {
	ImportToken       []byte
	KeyId             string
	ParametersValidTo time.Time
	PublicKey         []byte
}

// Touches returns the key's ARN.
func (r ImportParameters) Touches() []string { return []string{r.KeyId} }

// GetParametersForImport prepares an import, which may take place within 24 hours.
func (s *Service) GetParametersForImport(ctx context.Context, by iam.Caller, in GetParametersForImport) (ImportParameters, error) {
	return counted(s, "GetParametersForImport", func() (ImportParameters, error) {
		var p problems
		p.keyID(in.KeyId, "keyId")
		p.present(in.WrappingAlgorithm, "wrappingAlgorithm")
		p.oneOf(in.WrappingAlgorithm, "wrappingAlgorithm", wrappingAlgorithms)
		p.present(in.WrappingKeySpec, "wrappingKeySpec")
		if p.oneOf(in.WrappingKeySpec, "wrappingKeySpec", wrappingKeySpecs); p != nil {
			return ImportParameters{}, p.err()
		}
		ref, err := s.keyNamed(by, in.KeyId)
		if err != nil {
			return ImportParameters{}, err
		}
		k, err := s.readKey(ctx, by, "GetParametersForImport", ref, facts{Keys: policy.Values{
			"kms:wrappingalgorithm": {in.WrappingAlgorithm}, "kms:wrappingkeyspec": {in.WrappingKeySpec},
		}})
		if err != nil {
			return ImportParameters{}, err
		}
		if err := checkWrapping(k, in.WrappingAlgorithm, in.WrappingKeySpec); err != nil {
			return ImportParameters{}, err
		}
		until := now().Add(importWindow)
		token, public, err := s.materials.PrepareImport(ctx, keystore.Wrapping{
			Key: k.ID, Spec: keystore.Spec(in.WrappingKeySpec), Algorithm: keystore.Algorithm(in.WrappingAlgorithm), Until: until,
		})
		if err != nil {
			return ImportParameters{}, fromMaterials(err)
		}
		return ImportParameters{token, k.ref().arn(s.region), until, public}, nil
	})
}

// checkWrapping refuses what there is not, and what the key's material does not fit
// into. Error: UnsupportedOperation.
func checkWrapping(k *key, algorithm, spec string) error {
	switch {
	case algorithm == "RSAES_PKCS1_V1_5" || algorithm == "SM2PKE":
		return fault.New(UnsupportedOperation, "WrappingAlgorithm %s is not supported.", algorithm)
	case spec == "SM2":
		return fault.New(UnsupportedOperation, "WrappingKeySpec %s is not supported.", spec)
	case !scheme.Allowed(keystore.Algorithm(algorithm)):
		return notAllowed(algorithm)
	case strings.HasPrefix(k.Spec, "RSA_") && strings.HasPrefix(algorithm, "RSAES_"),
		k.Spec == "ECC_NIST_P521" && strings.HasPrefix(algorithm, "RSAES_") && spec == "RSA_2048":
		return fault.New(UnsupportedOperation, "Key material of %s does not fit into WrappingAlgorithm %s with WrappingKeySpec %s.", k.Spec, algorithm, spec)
	}
	return nil
}

// ImportKeyMaterial is the request of Service.ImportKeyMaterial. KeyId is a key id or
// key ARN.
type ImportKeyMaterial struct {
	EncryptedKeyMaterial   []byte
	ExpirationModel        string // "" is KEY_MATERIAL_EXPIRES
	ImportToken            []byte
	ImportType             string // "" is NEW_KEY_MATERIAL for the first, else EXISTING_KEY_MATERIAL
	KeyId                  string
	KeyMaterialDescription string
	KeyMaterialId          string // "", or which one it must be
	ValidTo                *time.Time
}

func (in ImportKeyMaterial) names() ([]string, []string, []byte) {
	return []string{in.KeyId}, nil, nil
}

// ImportedKeyMaterial names key material. KeyId is the key's ARN.
type ImportedKeyMaterial struct{ KeyId, KeyMaterialId string }

// Touches returns the key's ARN.
func (r ImportedKeyMaterial) Touches() []string { return []string{r.KeyId} }

var (
	materialID          = regexp.MustCompile(`^[a-f0-9]+$`)
	materialDescription = regexp.MustCompile(`^[a-zA-Z0-9:/_\s.-]+$`)
)

func (in ImportKeyMaterial) check() error {
	var p problems
	p.keyID(in.KeyId, "keyId")
	p.blob(in.ImportToken, "importToken")
	p.blob(in.EncryptedKeyMaterial, "encryptedKeyMaterial")
	p.oneOf(in.ExpirationModel, "expirationModel", expirationModels)
	p.oneOf(in.ImportType, "importType", importTypes)
	p.materialID(in.KeyMaterialId)
	if p.length(in.KeyMaterialDescription, "keyMaterialDescription", 0, 256); in.KeyMaterialDescription != "" {
		p.matches(in.KeyMaterialDescription, "keyMaterialDescription", materialDescription)
	}
	if err := p.err(); err != nil {
		return err
	}
	at := time.Now()
	switch {
	case in.ExpirationModel == materialStays && in.ValidTo != nil:
		return fault.New(Validation, "A validTo date must not be set if the ExpirationModel is %s", materialStays)
	case in.ExpirationModel == materialStays:
		return nil
	case in.ValidTo == nil:
		return fault.New(Validation, "A validTo date must be set if the ExpirationModel is %s", materialExpires)
	case !in.ValidTo.After(at) || in.ValidTo.After(at.Add(longestImport)):
		return fault.New(Validation, "The validTo date must be in the future, and at most 365 days from now.")
	}
	return nil
}

// blob checks a binary member that must be there.
func (p *problems) blob(b []byte, member string) {
	if b == nil {
		p.present("", member)
		return
	}
	p.bytes(len(b), member, 1, maxBlob)
}

func (p *problems) materialID(id string) {
	if id == "" {
		return
	}
	p.length(id, "keyMaterialId", 64, 64)
	p.matches(id, "keyMaterialId", materialID)
}

// conditions are the condition keys of the request.
func (in ImportKeyMaterial) conditions() policy.Values {
	keys := policy.Values{"kms:expirationmodel": {cmp.Or(in.ExpirationModel, materialExpires)}}
	if in.ValidTo != nil {
		keys["kms:validto"] = []string{in.ValidTo.UTC().Format(time.RFC3339)}
	}
	return keys
}

// ImportKeyMaterial takes key material in. A key that lacks no material any more is
// enabled. Material that the key had before may always be imported again, also to
// change when it expires; other material only as new material of a symmetric key,
// where it waits for RotateKeyOnDemand.
func (s *Service) ImportKeyMaterial(ctx context.Context, by iam.Caller, in ImportKeyMaterial) (ImportedKeyMaterial, error) {
	return counted(s, "ImportKeyMaterial", func() (ImportedKeyMaterial, error) {
		if err := in.check(); err != nil {
			return ImportedKeyMaterial{}, err
		}
		ref, err := s.keyNamed(by, in.KeyId)
		if err != nil {
			return ImportedKeyMaterial{}, err
		}
		f := facts{Keys: in.conditions()}
		k, err := s.readKey(ctx, by, "ImportKeyMaterial", ref, f)
		if err != nil {
			return ImportedKeyMaterial{}, err
		}
		i := importing{s: s, in: in, ref: ref}
		m, err := s.materials.Import(ctx, keystore.Import{
			Key: k.ID, Spec: keystore.Spec(k.Spec), Token: in.ImportToken, Wrapped: in.EncryptedKeyMaterial,
			Choose: func(id [32]byte) (uint32, error) { return i.choose(ctx, hex.EncodeToString(id[:])) },
		})
		switch {
		case i.refused != nil:
			return ImportedKeyMaterial{}, i.refused
		case err != nil:
			return ImportedKeyMaterial{}, fromMaterials(err)
		}
		k, err = s.editWith(ctx, by, "ImportKeyMaterial", in.KeyId, f, func(k *key, _ *meta.Batch) error { return i.enter(k, m) })
		if err != nil {
			if i.fresh && isNotWritten(err) {
				// Best effort: what stays is sealed, and named by nothing.
				_ = s.materials.Remove(context.WithoutCancel(ctx), m.Ref)
			}
			return ImportedKeyMaterial{}, err
		}
		s.notify(k.ref().arn(s.region), StateChanged)
		return ImportedKeyMaterial{k.ref().arn(s.region), hex.EncodeToString(m.ID[:])}, nil
	})
}

// importing is an import under way.
type importing struct {
	s   *Service
	in  ImportKeyMaterial
	ref keyRef

	refused  error // what choose answered
	fresh    bool  // the material has a version of its own
	removals int   // of material that was there before
}

// choose says which version the material is to be. A new version is reserved first,
// so that no two imports write to one.
func (i *importing) choose(ctx context.Context, id string) (version uint32, err error) {
	defer func() { i.refused = err }()
	k, err := i.s.freshKey(ctx, i.ref)
	if err != nil {
		return 0, err
	}
	m, err := i.place(k, id)
	if err != nil {
		return 0, err
	}
	if m != nil {
		i.removals = m.Removals
		return m.Version, nil
	}
	i.fresh = true
	k, err = i.s.change(ctx, i.ref, func(k *key, _ *meta.Batch) error {
		k.LastVersion++
		return nil
	})
	if err != nil {
		return 0, err
	}
	return k.LastVersion, nil
}

// place finds the material's place in a key: that of the same material, or nil for
// material that is new. Errors: IncorrectKeyMaterial, UnsupportedOperation,
// InvalidState, KeyUnavailable.
func (i *importing) place(k *key, id string) (*material, error) {
	m := k.imported(id)
	first := len(k.Materials) == 0
	other := fault.New(IncorrectKeyMaterial, "The key material is not the one that was imported before.")
	switch {
	case i.in.KeyMaterialId != "" && i.in.KeyMaterialId != id:
		return nil, other
	case m != nil && m.Doomed != nil:
		return nil, fault.New(KeyUnavailable, "") // its removal is under way, and takes no time
	case m != nil && (i.in.ImportType != newMaterial || len(k.Materials) == 1 && k.Pending == nil):
		return m, nil
	case m != nil:
		return nil, fault.New(IncorrectKeyMaterial, "The key material was imported before.")
	case first:
		return nil, nil
	case i.in.ImportType != newMaterial:
		return nil, other
	case k.Spec != SymmetricDefault:
		return nil, fault.New(UnsupportedOperation, "%s key spec is %s which has no new key material.", k.ref().arn(i.s.region), k.Spec)
	case k.Pending != nil:
		return nil, fault.New(InvalidState, "New key material (id: %s) cannot be imported into KMS key %s, because another key material (id: %s) is pending rotation.", id, k.ref().arn(i.s.region), k.Pending.ID)
	}
	return nil, nil
}

// enter puts the material, which the key store has, into the key's row.
func (i *importing) enter(k *key, got keystore.Material) error {
	id := hex.EncodeToString(got.ID[:])
	m, err := i.place(k, id)
	if err != nil {
		return err
	}
	switch {
	case m != nil && (m.Version != got.Version || m.Removals != i.removals):
		return fault.New(KeyUnavailable, "") // another import, or a removal, was faster
	case m == nil && !i.fresh:
		return fault.New(KeyUnavailable, "")
	case m == nil && len(k.Materials) == 0:
		k.Materials = append(k.Materials, material{Version: got.Version, ID: id, Created: now()})
		m, k.Public = &k.Materials[0], got.Public
	case m == nil:
		k.Pending = &material{Version: got.Version, ID: id, Created: now()}
		m = k.Pending
	}
	m.Gone, m.Expires = false, time.Time{}
	if i.in.ValidTo != nil {
		m.Expires = i.in.ValidTo.UTC().Truncate(time.Millisecond)
	}
	if i.in.KeyMaterialDescription != "" {
		m.Description = i.in.KeyMaterialDescription
	}
	if k.State == PendingImport && k.complete(time.Now()) {
		k.State = Enabled
	}
	return nil
}

// expiration is how material expires, as the API says it.
func (m material) expiration() (model string, validTo *time.Time) {
	if m.Expires.IsZero() {
		return materialStays, nil
	}
	date := m.Expires
	return materialExpires, &date
}
