// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Imported material goes when somebody deletes it, and when its time is over. First
// the row says that it is gone, and nobody uses it any more; then the key store removes
// it; then the row says that this is done. A node that stops in between leaves the mark,
// and the upkeep does the rest.

// DeleteImportedKeyMaterial is the request of Service.DeleteImportedKeyMaterial. KeyId
// is a key id or key ARN. KeyMaterialId is "" for the current material.
type DeleteImportedKeyMaterial struct{ KeyId, KeyMaterialId string }

func (in DeleteImportedKeyMaterial) names() ([]string, []string, []byte) {
	return []string{in.KeyId}, nil, nil
}

// DeleteImportedKeyMaterial deletes imported material at once: the key cannot be used
// until the same material is imported again. Deleting what is not there changes
// nothing.
func (s *Service) DeleteImportedKeyMaterial(ctx context.Context, by iam.Caller, in DeleteImportedKeyMaterial) (ImportedKeyMaterial, error) {
	return counted(s, "DeleteImportedKeyMaterial", func() (ImportedKeyMaterial, error) {
		var p problems
		if p.materialID(in.KeyMaterialId); p != nil {
			return ImportedKeyMaterial{}, p.err()
		}
		id := in.KeyMaterialId
		k, err := s.edit(ctx, by, "DeleteImportedKeyMaterial", in.KeyId, func(k *key, _ *meta.Batch) error {
			if id = in.KeyMaterialId; id == "" {
				id = k.current().ID
			}
			m := k.imported(id)
			switch {
			case m == nil && in.KeyMaterialId != "":
				return fault.New(NotFound, "Key material %s of %s does not exist.", id, k.ref().arn(s.region))
			case m == nil || m.Gone:
				return errUnchanged
			}
			k.doom(m)
			return nil
		})
		if err != nil {
			return ImportedKeyMaterial{}, err
		}
		s.materials.Forget(k.ID)
		s.notify(k.ref().arn(s.region), StateChanged)
		// The client may go; what was begun is ended all the same.
		if m := k.imported(id); m != nil && m.Doomed != nil {
			if err := s.remove(context.WithoutCancel(ctx), k, *m); err != nil {
				return ImportedKeyMaterial{}, err
			}
		}
		return ImportedKeyMaterial{k.ref().arn(s.region), id}, nil
	})
}

// doom marks material as gone. The key waits for it, unless the material only waited
// to be used.
func (k *key) doom(m *material) {
	at := now()
	m.Gone, m.Doomed = true, &at
	m.Removals++
	if k.State != PendingDeletion && m != k.Pending {
		k.State = PendingImport
	}
}

// expired reports whether material is gone because its time was over.
func (m material) expired() bool {
	return m.Doomed != nil && !m.Expires.IsZero() && !m.Doomed.Before(m.Expires)
}

// remove ends what doom began.
func (s *Service) remove(ctx context.Context, k *key, doomed material) error {
	if doomed.expired() {
		if err := s.recordExpiry(ctx, k, doomed); err != nil {
			return err
		}
	}
	if err := s.materials.Remove(ctx, keystore.Ref{Key: k.ID, Version: doomed.Version}); err != nil {
		return fromMaterials(err)
	}
	_, err := s.change(ctx, k.ref(), func(k *key, _ *meta.Batch) error {
		m := k.imported(doomed.ID)
		if m == nil || m.Doomed == nil || m.Removals != doomed.Removals {
			return errUnchanged
		}
		m.Doomed = nil
		return nil
	})
	if isNotFound(err) {
		return nil // the key is gone as well
	}
	return err
}

// recordExpiry records that material expired. A repeated event has the same id.
func (s *Service) recordExpiry(ctx context.Context, k *key, m material) error {
	sum := sha256.Sum256(append(k.ID[:], m.ID+m.Expires.String()...))
	id := uuid.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8, RFC 9562
	r, err := s.serviceEvent("DeleteExpiredKeyMaterial", id, m.Expires, k.ref(), map[string]string{"keyMaterialId": m.ID})
	if err != nil {
		return err
	}
	if err := s.trail.Append(context.WithoutCancel(ctx), r, true); err != nil {
		return fault.New(Unavailable, "").Because(err)
	}
	return nil
}

// tendMaterials removes the key's imported material whose time is over, and ends
// removals that others began.
func (u *upkeep) tendMaterials(ctx context.Context, k *key, at time.Time) error {
	all := k.Materials
	if k.Pending != nil {
		all = append(all[:len(all):len(all)], *k.Pending)
	}
	for _, m := range all {
		switch {
		case m.Doomed != nil:
			if due := m.Doomed.Add(takeover); at.Before(due) {
				u.at(due)
			} else if err := u.s.remove(ctx, k, m); err != nil {
				return err
			}
		case m.Gone || m.Expires.IsZero():
		case at.Before(m.Expires):
			u.at(m.Expires)
		default:
			if err := u.s.expire(ctx, k.ref(), m.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// expire removes material whose time is over, unless it was imported again meanwhile.
func (s *Service) expire(ctx context.Context, ref keyRef, id string) error {
	var doomed material
	k, err := s.change(ctx, ref, func(k *key, _ *meta.Batch) error {
		doomed = material{}
		m := k.imported(id)
		if m == nil || m.Gone || m.usable(time.Now()) {
			return errUnchanged
		}
		k.doom(m)
		doomed = *m
		return nil
	})
	if err != nil || doomed.Doomed == nil {
		return err
	}
	s.materials.Forget(k.ID)
	s.notify(ref.arn(s.region), StateChanged)
	return s.remove(ctx, k, doomed)
}
