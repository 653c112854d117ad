// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const (
	defaultRotation = 365 // days
	maxOnDemand     = 25  // rotations on demand in a key's life

	// Types of rotation.
	automatic = "AUTOMATIC"
	onDemand  = "ON_DEMAND"
)

// EnableKeyRotation is the request of Service.EnableKeyRotation.
type EnableKeyRotation struct {
	KeyId                string
	RotationPeriodInDays *int // nil is 365
}

func (in EnableKeyRotation) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// EnableKeyRotation has a key's material replaced every so many days, counted
// from now. Enabling with the period that the key has changes nothing.
func (s *Service) EnableKeyRotation(ctx context.Context, by iam.Caller, in EnableKeyRotation) (Done, error) {
	return counted(s, "EnableKeyRotation", func() (Done, error) {
		var p problems
		p.keyID(in.KeyId, "keyId")
		if p.within(in.RotationPeriodInDays, "rotationPeriodInDays", 90, 2560); p != nil {
			return Done{}, p.err()
		}
		days := defaultRotation
		if in.RotationPeriodInDays != nil {
			days = *in.RotationPeriodInDays
		}
		f := facts{Keys: withKey(nil, "kms:rotationperiodindays", strconv.Itoa(days))}
		return s.done(s.editWith(ctx, by, "EnableKeyRotation", in.KeyId, f, func(k *key, _ *meta.Batch) error {
			if k.Rotation.PeriodInDays == days {
				return errUnchanged
			}
			k.Rotation.PeriodInDays, k.Rotation.Next = days, now().AddDate(0, 0, days)
			return nil
		}))
	})
}

// DisableKeyRotation ends automatic rotation.
func (s *Service) DisableKeyRotation(ctx context.Context, by iam.Caller, in KeyOnly) (Done, error) {
	return counted(s, "DisableKeyRotation", func() (Done, error) {
		return s.done(s.edit(ctx, by, "DisableKeyRotation", in.KeyId, func(k *key, _ *meta.Batch) error {
			k.Rotation.PeriodInDays, k.Rotation.Next = 0, time.Time{}
			return nil
		}))
	})
}

// RotationStatus says whether and when a key rotates. KeyId is its ARN.
type RotationStatus struct {
	KeyId                string
	KeyRotationEnabled   bool
	NextRotationDate     *time.Time
	RotationPeriodInDays *int
}

// Touches returns the key's ARN.
func (r RotationStatus) Touches() []string { return []string{r.KeyId} }

// GetKeyRotationStatus tells whether and when a key rotates.
func (s *Service) GetKeyRotationStatus(ctx context.Context, by iam.Caller, in KeyOnly) (RotationStatus, error) {
	return counted(s, "GetKeyRotationStatus", func() (RotationStatus, error) {
		k, err := s.readByName(ctx, by, "GetKeyRotationStatus", in.KeyId)
		if err != nil {
			return RotationStatus{}, err
		}
		out := RotationStatus{KeyId: k.ref().arn(s.region)}
		if days := k.Rotation.PeriodInDays; days > 0 && k.State != PendingDeletion {
			next := k.Rotation.Next
			out.KeyRotationEnabled, out.NextRotationDate, out.RotationPeriodInDays = true, &next, &days
		}
		return out, nil
	})
}

// readByName is readKey for operations whose one member is a key id or ARN.
func (s *Service) readByName(ctx context.Context, by iam.Caller, operation, name string) (*key, error) {
	var p problems
	if p.keyID(name, "keyId"); p != nil {
		return nil, p.err()
	}
	ref, err := s.keyNamed(by, name)
	if err != nil {
		return nil, err
	}
	return s.readKey(ctx, by, operation, ref, facts{})
}

// RotateKeyOnDemand replaces a key's material now. The schedule of automatic
// rotation stays as it is.
func (s *Service) RotateKeyOnDemand(ctx context.Context, by iam.Caller, in KeyOnly) (KeyNamed, error) {
	return counted(s, "RotateKeyOnDemand", func() (KeyNamed, error) {
		k, err := s.edit(ctx, by, "RotateKeyOnDemand", in.KeyId, func(k *key, _ *meta.Batch) error {
			if err := s.mayRotateOnDemand(k); err != nil {
				return err
			}
			if k.external() {
				return s.takePending(k)
			}
			k.LastVersion++
			return nil
		})
		if err != nil {
			return KeyNamed{}, err
		}
		if k.external() {
			s.rotated(ctx, k)
			return KeyNamed{k.ref().arn(s.region)}, nil
		}
		k, err = s.rotate(ctx, k, onDemand, func(k *key) error {
			if err := s.fits(k, "RotateKeyOnDemand"); err != nil {
				return err
			}
			return s.mayRotateOnDemand(k)
		})
		if err != nil {
			return KeyNamed{}, err
		}
		return KeyNamed{k.ref().arn(s.region)}, nil
	})
}

func (s *Service) mayRotateOnDemand(k *key) error {
	if k.Rotation.OnDemand >= maxOnDemand {
		return fault.New(LimitExceeded, "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: %s", k.ref().arn(s.region))
	}
	return nil
}

// rotationDue reports whether the key is to be rotated now. Only enabled keys
// are; one that is enabled past its date is due at once.
func (k *key) rotationDue(at time.Time) bool {
	return k.Rotation.PeriodInDays > 0 && k.State == Enabled && !at.Before(k.Rotation.Next)
}

// rotateIfDue does a rotation whose date has come and returns the key's row as
// it is then. Callers at the same time share one rotation.
func (s *Service) rotateIfDue(ctx context.Context, k *key) (*key, error) {
	if !k.rotationDue(time.Now()) {
		return k, nil
	}
	ref := k.ref()
	rotated, err, _ := s.rotations.Do(ref.id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		stillDue := func(k *key) error {
			if !k.rotationDue(time.Now()) {
				return errUnchanged
			}
			return nil
		}
		reserved := false
		k, err := s.change(ctx, ref, func(k *key, _ *meta.Batch) error {
			reserved = false
			if err := stillDue(k); err != nil {
				return err
			}
			k.LastVersion++
			reserved = true
			return nil
		})
		if err != nil || !reserved {
			return k, err
		}
		return s.rotate(ctx, k, automatic, stillDue)
	})
	if err != nil {
		return nil, err
	}
	return rotated.(*key), nil
}

// rotate makes new material and puts it to use, unless may, asked of the row in
// the moment of the change, objects. k's LastVersion is reserved for this
// rotation: a version number is never used for two attempts, so an attempt that
// was cut short, or that another overtook, leaves material that nothing names.
func (s *Service) rotate(ctx context.Context, k *key, kind string, may func(k *key) error) (*key, error) {
	m, err := s.materials.Generate(ctx, keystore.Ref{Key: k.ID, Version: k.LastVersion}, keystore.Spec(k.Spec))
	if err != nil {
		return nil, fromMaterials(err)
	}
	did := false
	k, err = s.change(ctx, k.ref(), func(k *key, _ *meta.Batch) error {
		did = false
		if err := may(k); err != nil {
			return err
		}
		at, old := now(), k.current().ID
		k.addMaterial(m, at, kind)
		if kind == onDemand {
			k.Rotation.OnDemand++
		} else {
			k.Rotation.Next = at.AddDate(0, 0, k.Rotation.PeriodInDays)
		}
		k.Rotation.Unrecorded = append(k.Rotation.Unrecorded, rotationEvent{uuid.New(), at, kind, k.current().ID, old})
		did = true
		return nil
	})
	if err != nil || !did {
		return k, err
	}
	s.rotated(ctx, k)
	return k, nil
}

// takePending puts the imported material that waits for it to use.
func (s *Service) takePending(k *key) error {
	at, old := now(), k.current().ID
	if k.Pending == nil || !k.Pending.usable(at) {
		return fault.New(InvalidState, "No available key material pending rotation for the key: %s.", k.ref().arn(s.region))
	}
	m := *k.Pending
	m.Created, m.Type = at, onDemand
	k.Materials, k.Pending = append(k.Materials, m), nil
	k.Rotation.OnDemand++
	k.Rotation.Unrecorded = append(k.Rotation.Unrecorded, rotationEvent{uuid.New(), at, onDemand, m.ID, old})
	return nil
}

// rotated tells of a rotation that took place: the last of those that wait in the
// row to be recorded.
func (s *Service) rotated(ctx context.Context, k *key) {
	s.notify(k.ref().arn(s.region), Rotated)
	if err := s.recordRotations(ctx, k, k.Rotation.Unrecorded[len(k.Rotation.Unrecorded)-1:]); err != nil {
		// The event stays in the row, and Run records it later.
		s.log.ErrorContext(ctx, "record key rotation", "key_arn", k.ref().arn(s.region), "error", err)
	}
}

// ListKeyRotations is the request of Service.ListKeyRotations.
type ListKeyRotations struct {
	IncludeKeyMaterial string // "" is ROTATIONS_ONLY
	KeyId              string
	Limit              *int
	Marker             string
}

func (in ListKeyRotations) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// RotationList is a page of a key's rotations, the oldest first.
type RotationList struct {
	NextMarker string
	Rotations  []RotationsListEntry
	Truncated  bool
	touched
}

// RotationsListEntry is a version of a key's material. The first one has neither
// date nor type. ImportState and what follows from it are of imported material.
type RotationsListEntry struct {
	ExpirationModel        string
	ImportState            string // IMPORTED or PENDING_IMPORT
	KeyId                  string
	KeyMaterialDescription string
	KeyMaterialId          string
	KeyMaterialState       string // CURRENT, NON_CURRENT or PENDING_ROTATION
	RotationDate           *time.Time
	RotationType           string
	ValidTo                *time.Time
}

// ListKeyRotations lists the rotations of a key that took place.
func (s *Service) ListKeyRotations(ctx context.Context, by iam.Caller, in ListKeyRotations) (RotationList, error) {
	return counted(s, "ListKeyRotations", func() (RotationList, error) {
		var p problems
		p.oneOf(in.IncludeKeyMaterial, "includeKeyMaterial", materialFilters)
		if p.page(in.Limit, in.Marker); p != nil {
			return RotationList{}, p.err()
		}
		k, err := s.readByName(ctx, by, "ListKeyRotations", in.KeyId)
		if err != nil {
			return RotationList{}, err
		}
		var all []RotationsListEntry
		for _, m := range k.Materials {
			if m.Type != "" || in.IncludeKeyMaterial == "ALL_KEY_MATERIAL" {
				all = append(all, k.rotationEntry(m))
			}
		}
		if k.Pending != nil && in.IncludeKeyMaterial == "ALL_KEY_MATERIAL" {
			all = append(all, k.rotationEntry(*k.Pending))
		}
		list := "rotations of " + k.name() + " " + in.IncludeKeyMaterial
		page, next, err := pageOf(list, all, pageSize(in.Limit, 100, 1000), in.Marker)
		if err != nil {
			return RotationList{}, err
		}
		return RotationList{next, append([]RotationsListEntry{}, page...), next != "", touched{k.ref().arn(s.region)}}, nil
	})
}

func (k *key) rotationEntry(m material) RotationsListEntry {
	e := RotationsListEntry{KeyId: k.name(), KeyMaterialId: m.ID, KeyMaterialState: "NON_CURRENT", RotationType: m.Type}
	switch {
	case k.Pending != nil && m.ID == k.Pending.ID:
		e.KeyMaterialState = "PENDING_ROTATION"
	case m.ID == k.current().ID:
		e.KeyMaterialState = "CURRENT"
	}
	if m.Type != "" {
		date := m.Created
		e.RotationDate = &date
	}
	if !k.external() {
		return e
	}
	e.ImportState, e.KeyMaterialDescription = "PENDING_IMPORT", m.Description
	if m.usable(time.Now()) {
		e.ImportState = "IMPORTED"
		e.ExpirationModel, e.ValidTo = m.expiration()
	}
	return e
}
