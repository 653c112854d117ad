// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// KeyOnly is the request of operations that take only a key id or key ARN.
type KeyOnly struct{ KeyId string }

func (in KeyOnly) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// KeyNamed is the answer of operations that answer only the key's ARN.
type KeyNamed struct{ KeyId string }

// Touches returns the key's ARN.
func (r KeyNamed) Touches() []string { return []string{r.KeyId} }

// EnableKey lets a disabled key be used again.
func (s *Service) EnableKey(ctx context.Context, by iam.Caller, in KeyOnly) (Done, error) {
	return s.setState(ctx, by, "EnableKey", in, Enabled)
}

// DisableKey keeps a key from being used until it is enabled.
func (s *Service) DisableKey(ctx context.Context, by iam.Caller, in KeyOnly) (Done, error) {
	return s.setState(ctx, by, "DisableKey", in, StateDisabled)
}

func (s *Service) setState(ctx context.Context, by iam.Caller, operation string, in KeyOnly, state State) (Done, error) {
	return counted(s, operation, func() (Done, error) {
		changed := false
		k, err := s.edit(ctx, by, operation, in.KeyId, func(k *key, _ *meta.Batch) error {
			if changed = k.State != state; !changed {
				return errUnchanged
			}
			k.State = state
			return nil
		})
		if err == nil && changed {
			s.materials.Forget(k.ID)
			s.notify(k.ref().arn(s.region), StateChanged)
		}
		return s.done(k, err)
	})
}

// ScheduleKeyDeletion is the request of Service.ScheduleKeyDeletion.
type ScheduleKeyDeletion struct {
	KeyId               string
	PendingWindowInDays *int // nil is 30
}

func (in ScheduleKeyDeletion) names() ([]string, []string, []byte) {
	return []string{in.KeyId}, nil, nil
}

// ScheduledDeletion says when a key will be deleted, and what will be lost with it: the
// buckets and the objects that depend on it. KeyId is its ARN.
type ScheduledDeletion struct {
	CofferDependentBuckets int
	CofferDependentObjects int
	DeletionDate           time.Time
	KeyId                  string
	KeyState               State
	PendingWindowInDays    int
}

// Dependents counts what depends on a key. names says whether a name of a key, as an
// account would use it, is this key's.
type Dependents func(ctx context.Context, keyARN string, names func(account, name string) bool) (buckets, objects int, err error)

// CountDependents has ScheduleKeyDeletion tell what depends on the key. Call it before
// serving.
func (s *Service) CountDependents(f Dependents) { s.dependents = f }

// dependentsOf counts what depends on the key, nothing without somebody to ask.
func (s *Service) dependentsOf(ctx context.Context, k *key) (buckets, objects int, err error) {
	if s.dependents == nil {
		return 0, 0, nil
	}
	buckets, objects, err = s.dependents(ctx, s.arnOf(k), func(account, name string) bool {
		ref, _, err := s.keyOrAliasNamed(ctx, iam.Caller{Principal: iam.Principal{Account: account}}, name)
		return err == nil && ref == k.ref()
	})
	if err != nil {
		return 0, 0, fault.New(Unavailable, "").Because(err)
	}
	return buckets, objects, nil
}

// Touches returns the key's ARN.
func (r ScheduledDeletion) Touches() []string { return []string{r.KeyId} }

// ScheduleKeyDeletion makes a key unusable, and deletes it with its material and
// aliases when the window has passed.
func (s *Service) ScheduleKeyDeletion(ctx context.Context, by iam.Caller, in ScheduleKeyDeletion) (ScheduledDeletion, error) {
	return counted(s, "ScheduleKeyDeletion", func() (ScheduledDeletion, error) {
		var p problems
		p.keyID(in.KeyId, "keyId")
		if p.within(in.PendingWindowInDays, "pendingWindowInDays", 7, 30); p != nil {
			return ScheduledDeletion{}, p.err()
		}
		days := 30
		if in.PendingWindowInDays != nil {
			days = *in.PendingWindowInDays
		}
		f := facts{Keys: withKey(nil, "kms:schedulekeydeletionpendingwindowindays", strconv.Itoa(days))}
		var buckets, objects int
		k, err := s.editWith(ctx, by, "ScheduleKeyDeletion", in.KeyId, f, func(k *key, _ *meta.Batch) (err error) {
			if buckets, objects, err = s.dependentsOf(ctx, k); err != nil {
				return err
			}
			k.State = PendingDeletion
			k.Deletion = &deletion{Date: now().AddDate(0, 0, days), Window: days}
			return nil
		})
		if err != nil {
			return ScheduledDeletion{}, err
		}
		arn := s.arnOf(k)
		s.materials.Forget(k.ID)
		s.notify(arn, StateChanged)
		return ScheduledDeletion{buckets, objects, k.Deletion.Date, arn, k.State, k.Deletion.Window}, nil
	})
}

// CancelKeyDeletion keeps a key that was to be deleted; it is then disabled.
func (s *Service) CancelKeyDeletion(ctx context.Context, by iam.Caller, in KeyOnly) (KeyNamed, error) {
	return counted(s, "CancelKeyDeletion", func() (KeyNamed, error) {
		k, err := s.edit(ctx, by, "CancelKeyDeletion", in.KeyId, func(k *key, _ *meta.Batch) error {
			k.State = StateDisabled
			k.Deletion = nil
			return nil
		})
		if err != nil {
			return KeyNamed{}, err
		}
		arn := s.arnOf(k)
		s.notify(arn, StateChanged)
		return KeyNamed{arn}, nil
	})
}

// takeover is after how long a deletion that one node began is another's to end.
const takeover = 5 * time.Minute

// deleteKey ends the life of a key whose window has passed: it marks the row, so
// that nobody can cancel any more; destroys the material; records the event; and
// removes the rows. A node that stops in between leaves the mark, and the rest
// is done again. k may be any version of the row.
func (s *Service) deleteKey(ctx context.Context, k *key) error {
	marked, err := s.markDeleted(ctx, k.ref())
	if err != nil || marked == nil {
		return err
	}
	if err := s.materials.Destroy(ctx, k.ID); err != nil {
		return fromMaterials(err)
	}
	if err := s.recordDeletion(ctx, marked); err != nil {
		return err
	}
	if err := s.removeGrants(ctx, marked.ref()); err != nil {
		return err
	}
	err = s.commit(ctx, func(b *meta.Batch) error { return s.removeRows(ctx, marked, b) })
	if err == nil {
		s.notify(marked.ref().arn(s.region), Deleted)
	}
	return err
}

// removeRows fills the batch that removes a marked key. The aliases are those of
// the mark, since nobody changes them after it.
func (s *Service) removeRows(ctx context.Context, marked *key, b *meta.Batch) error {
	row := []byte(marked.ref().row())
	item, err := meta.Get1(ctx, s.store, row)
	if err != nil {
		return fromMeta(err)
	}
	if item.Ver == 0 {
		return errUnchanged // another node took over
	}
	b.Cond(row, item.Ver)
	b.Delete(row)
	b.Delete([]byte(indexRows + marked.ID.String()))
	b.Delete([]byte(useRows + marked.ref().account + "/" + marked.ref().id))
	for _, name := range marked.Aliases {
		b.Delete([]byte(aliasRow(marked.Account, name)))
	}
	if marked.managed() {
		return nil
	}
	return s.countKeys(ctx, marked.Account, -1, b)
}

// markDeleted returns the row with the mark when this node is to go on, and nil
// when there is nothing to do.
func (s *Service) markDeleted(ctx context.Context, ref keyRef) (*key, error) {
	var marked *key
	err := s.commit(ctx, func(b *meta.Batch) error {
		marked = nil
		item, err := meta.Get1(ctx, s.store, []byte(ref.row()))
		if err != nil {
			return fromMeta(err)
		}
		if item.Ver == 0 {
			return errUnchanged
		}
		k, err := decodeKey(item.Value, item.Ver)
		if err != nil {
			return err
		}
		at := now()
		if !k.gone(at) || k.Deletion.Began != nil && at.Sub(*k.Deletion.Began) < takeover {
			return errUnchanged
		}
		marked = k.clone()
		marked.Deletion.Began = &at
		if marked.Deletion.EventID == uuid.Nil {
			marked.Deletion.EventID = uuid.New()
		}
		b.PutIf([]byte(ref.row()), encode(marked), k.ver)
		return nil
	})
	return marked, err
}
