// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const day = 24 * time.Hour

// run has the node look after its keys until the test ends.
func (n *node) run() {
	ctx, cancel := context.WithCancel(n.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { n.Run(ctx) })
	n.t.Cleanup(func() { cancel(); wg.Wait() })
}

func (n *node) decrypt(blob []byte) Decrypted {
	n.t.Helper()
	return must(n.Decrypt(n.t.Context(), owner, DecryptCiphertext{CiphertextBlob: blob}))(n.t)
}

func (n *node) status(id string) RotationStatus {
	n.t.Helper()
	return must(n.GetKeyRotationStatus(n.t.Context(), owner, KeyOnly{id}))(n.t)
}

func TestRotateOnDemand(t *testing.T) {
	n := newNode(t)
	var changes []Change
	n.OnChange(func(_ string, c Change) { changes = append(changes, c) })
	k := n.key()
	old := n.encrypt(k.KeyId, "old", nil)
	if got := must(n.RotateKeyOnDemand(t.Context(), owner, KeyOnly{k.KeyId}))(t); got.KeyId != k.Arn {
		t.Errorf("answers %q, want the ARN", got.KeyId)
	}
	now := n.describe(k.KeyId).CurrentKeyMaterialId
	if now == k.CurrentKeyMaterialId {
		t.Error("the material is the old one")
	}
	if got := n.decrypt(old); got.KeyMaterialId != k.CurrentKeyMaterialId || string(got.Plaintext.Reveal()) != "old" {
		t.Errorf("the old ciphertext opens with material %s", got.KeyMaterialId)
	}
	if got := n.decrypt(n.encrypt(k.KeyId, "new", nil)); got.KeyMaterialId != now {
		t.Errorf("a new ciphertext is made with material %s, want %s", got.KeyMaterialId, now)
	}
	if again := must(n.ReEncrypt(t.Context(), owner, ReEncrypt{CiphertextBlob: old, DestinationKeyId: k.KeyId}))(t); again.SourceKeyMaterialId != k.CurrentKeyMaterialId || again.DestinationKeyMaterialId != now {
		t.Errorf("ReEncrypt under the same key went from %s to %s", again.SourceKeyMaterialId, again.DestinationKeyMaterialId)
	}
	events := n.trail.named("RotateKey")
	if len(events) != 1 || len(changes) != 1 || changes[0] != Rotated {
		t.Fatalf("%d RotateKey events, changes %v; want one of each", len(events), changes)
	}
	e := events[0]
	details := string(e.ServiceEventDetails)
	if e.EventType != audit.TypeServiceEvent || e.UserIdentity != (audit.Identity{AccountID: home, InvokedBy: "AWS Internal"}) || e.Resources[0].ARN != k.Arn ||
		!strings.Contains(details, `"keyId":"`+k.KeyId+`"`) || !strings.Contains(details, `"rotationType":"ON_DEMAND"`) || !strings.Contains(details, now) {
		t.Errorf("event %+v, details %s", e, details)
	}
}

func TestTwentyFiveRotationsOnDemand(t *testing.T) {
	n := newNode(t)
	k := n.key()
	for range 25 {
		must(n.RotateKeyOnDemand(t.Context(), owner, KeyOnly{k.KeyId}))(t)
	}
	_, err := n.RotateKeyOnDemand(t.Context(), owner, KeyOnly{k.KeyId})
	refused(t, "the 26th", err, LimitExceeded, "")
	list := func(include, marker string, limit *int) RotationList {
		t.Helper()
		return must(n.ListKeyRotations(t.Context(), owner, ListKeyRotations{KeyId: k.KeyId, IncludeKeyMaterial: include, Limit: limit, Marker: marker}))(t)
	}
	if got := list("", "", nil).Rotations; len(got) != 25 || got[24].KeyMaterialState != "CURRENT" || got[0].RotationType != "ON_DEMAND" || got[0].RotationDate == nil || got[0].KeyId != k.KeyId {
		t.Errorf("%d rotations: %+v", len(got), got)
	}
	all := list("ALL_KEY_MATERIAL", "", nil).Rotations
	if len(all) != 26 || all[0].RotationDate != nil || all[0].RotationType != "" || all[0].KeyMaterialId != k.CurrentKeyMaterialId || all[0].KeyMaterialState != "NON_CURRENT" {
		t.Errorf("%d materials, the first %+v", len(all), all[0])
	}
	first := list("", "", ptr(20))
	if second := list("", first.NextMarker, ptr(20)); !first.Truncated || len(second.Rotations) != 5 || second.Truncated {
		t.Errorf("pages of %d and %d", len(first.Rotations), len(second.Rotations))
	}
}

func TestConcurrentRotationsAllCount(t *testing.T) {
	n := newNode(t)
	k := n.key()
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if _, err := n.RotateKeyOnDemand(t.Context(), owner, KeyOnly{k.KeyId}); err != nil {
				t.Error(err)
			}
			n.encrypt(k.KeyId, "x", nil)
		})
	}
	wg.Wait()
	if got := must(n.ListKeyRotations(t.Context(), owner, ListKeyRotations{KeyId: k.KeyId}))(t).Rotations; len(got) != 6 {
		t.Errorf("6 concurrent rotations, %d listed", len(got))
	}
	if got := len(n.trail.named("RotateKey")); got != 6 {
		t.Errorf("%d RotateKey events, want one for each", got)
	}
}

func TestAutomaticRotation(t *testing.T) {
	for name, looked := range map[string]bool{"by upkeep": true, "at use": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				if looked {
					n.run()
				}
				k := n.key()
				if got := n.status(k.KeyId); got.KeyRotationEnabled || got.NextRotationDate != nil || got.KeyId != k.Arn {
					t.Errorf("a new key's status %+v", got)
				}
				must(n.EnableKeyRotation(t.Context(), owner, EnableKeyRotation{k.KeyId, ptr(90)}))(t)
				if got := n.status(k.KeyId); !got.KeyRotationEnabled || *got.RotationPeriodInDays != 90 || !got.NextRotationDate.Equal(now().AddDate(0, 0, 90)) {
					t.Errorf("status %+v", got)
				}
				old := n.encrypt(k.KeyId, "x", nil)
				time.Sleep(90*day - time.Minute)
				if got := n.decrypt(n.encrypt(k.KeyId, "x", nil)); got.KeyMaterialId != k.CurrentKeyMaterialId {
					t.Error("rotated before the date")
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if looked && len(n.trail.named("RotateKey")) != 1 {
					t.Errorf("a minute after the date: %d events, want 1", len(n.trail.named("RotateKey")))
				}
				if got := n.decrypt(n.encrypt(k.KeyId, "x", nil)); got.KeyMaterialId == k.CurrentKeyMaterialId {
					t.Error("not rotated after the date")
				}
				if got := n.decrypt(old); got.KeyMaterialId != k.CurrentKeyMaterialId {
					t.Error("the old ciphertext opens with another material than it was made with")
				}
				if got := n.status(k.KeyId); got.NextRotationDate.Before(now().AddDate(0, 0, 89)) {
					t.Errorf("next rotation %v", got.NextRotationDate)
				}
				rotations := must(n.ListKeyRotations(t.Context(), owner, ListKeyRotations{KeyId: k.KeyId}))(t).Rotations
				if len(rotations) != 1 || rotations[0].RotationType != "AUTOMATIC" || len(n.trail.named("RotateKey")) != 1 {
					t.Errorf("rotations %+v, %d events", rotations, len(n.trail.named("RotateKey")))
				}
			})
		})
	}
}

func TestNoRotationWhileDisabledOrDying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.run()
		k := n.key()
		must(n.EnableKeyRotation(t.Context(), owner, EnableKeyRotation{k.KeyId, ptr(90)}))(t)
		must(n.DisableKey(t.Context(), owner, KeyOnly{k.KeyId}))(t)
		time.Sleep(100 * day)
		if got := n.describe(k.KeyId).CurrentKeyMaterialId; got != k.CurrentKeyMaterialId {
			t.Error("rotated while disabled")
		}
		must(n.ScheduleKeyDeletion(t.Context(), owner, ScheduleKeyDeletion{KeyId: k.KeyId}))(t)
		if got := n.status(k.KeyId); got.KeyRotationEnabled {
			t.Error("rotation reads enabled while pending deletion")
		}
		must(n.CancelKeyDeletion(t.Context(), owner, KeyOnly{k.KeyId}))(t)
		if got := n.status(k.KeyId); !got.KeyRotationEnabled {
			t.Error("the schedule is lost after the deletion was cancelled")
		}
		must(n.EnableKey(t.Context(), owner, KeyOnly{k.KeyId}))(t)
		if got := n.describe(k.KeyId).CurrentKeyMaterialId; got == k.CurrentKeyMaterialId {
			t.Error("not rotated promptly when enabled past the date")
		}
		must(n.DisableKeyRotation(t.Context(), owner, KeyOnly{k.KeyId}))(t)
		at := n.describe(k.KeyId).CurrentKeyMaterialId
		time.Sleep(1000 * day)
		if got := n.describe(k.KeyId).CurrentKeyMaterialId; got != at || n.status(k.KeyId).KeyRotationEnabled {
			t.Error("rotated after rotation was disabled")
		}
	})
}

func TestRotationPeriods(t *testing.T) {
	n := newNode(t)
	k := n.key()
	for _, days := range []int{89, 2561} {
		_, err := n.EnableKeyRotation(t.Context(), owner, EnableKeyRotation{k.KeyId, &days})
		refused(t, "period", err, Validation, "")
	}
	must(n.EnableKeyRotation(t.Context(), owner, EnableKeyRotation{KeyId: k.KeyId}))(t)
	if got := n.status(k.KeyId); *got.RotationPeriodInDays != 365 {
		t.Errorf("default period %d", *got.RotationPeriodInDays)
	}
}

// A rotation is never lost to the audit trail, however often that fails, and
// its event keeps its id.
func TestRotationIsRecordedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.run()
		k := n.key()
		n.trail.failWith(errors.New("disk full"))
		must(n.RotateKeyOnDemand(t.Context(), owner, KeyOnly{k.KeyId}))(t)
		time.Sleep(5 * time.Minute)
		n.trail.failWith(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := n.trail.named("RotateKey"); len(got) != 1 {
			t.Errorf("%d RotateKey events, want 1", len(got))
		}
	})
}

// A node that stopped after it made material, and before it put it to use,
// leaves a number that no later rotation uses again.
func TestRotationAfterOneThatWasCutShort(t *testing.T) {
	n := newNode(t)
	k := n.key()
	store := &failing{Store: n.store}
	n.Service.store = store
	commits := 0
	store.before = func() {
		if commits++; commits == 2 { // the reservation is written, the material made
			store.set(errors.New("power cut"))
		}
	}
	_, err := n.RotateKeyOnDemand(t.Context(), owner, KeyOnly{k.KeyId})
	refused(t, "a rotation cut short", err, Unavailable, "")
	store.before = nil
	store.set(nil)
	if got := n.describe(k.KeyId).CurrentKeyMaterialId; got != k.CurrentKeyMaterialId {
		t.Error("a rotation that failed changed the material")
	}
	must(n.RotateKeyOnDemand(t.Context(), owner, KeyOnly{k.KeyId}))(t)
	row := must(n.freshKey(t.Context(), keyRef{home, k.KeyId}))(t)
	if len(row.Materials) != 2 || row.current().Version != 3 {
		t.Errorf("materials %+v: want versions 1 and 3, since 2 was made and never used", row.Materials)
	}
	n.decrypt(n.encrypt(k.KeyId, "x", nil))
}

func TestDeletionAtItsDate(t *testing.T) {
	for name, looked := range map[string]bool{"by upkeep": true, "at use": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t)
				var changes []Change
				n.OnChange(func(_ string, c Change) { changes = append(changes, c) })
				if looked {
					n.run()
				}
				k, kept := n.key(), n.key()
				must(n.CreateAlias(t.Context(), owner, CreateAlias{"alias/photos", k.KeyId}))(t)
				blob, keptBlob := n.encrypt(k.KeyId, "x", nil), n.encrypt(kept.KeyId, "x", nil)
				must(n.ScheduleKeyDeletion(t.Context(), owner, ScheduleKeyDeletion{k.KeyId, ptr(7)}))(t)
				time.Sleep(7*day - time.Second)
				if got := n.describe("alias/photos"); got.KeyState != PendingDeletion {
					t.Errorf("state %s", got.KeyState)
				}
				time.Sleep(2 * time.Second)
				missing := "Key '" + k.Arn + "' does not exist"
				_, err := n.DescribeKey(t.Context(), owner, DescribeKey{KeyId: k.KeyId})
				refused(t, "describe", err, NotFound, missing)
				_, err = n.CancelKeyDeletion(t.Context(), owner, KeyOnly{k.KeyId})
				refused(t, "cancel", err, NotFound, missing)
				refused(t, "S3", n.ViaS3().Check(t.Context(), owner, Decrypt, k.Arn, nil), NotFound, missing)
				_, err = n.Decrypt(t.Context(), owner, DecryptCiphertext{CiphertextBlob: blob})
				refused(t, "decrypt", err, AccessDenied, "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.")
				if list := must(n.ListKeys(t.Context(), owner, ListKeys{}))(t); len(list.Keys) != 1 {
					t.Errorf("%d keys listed, want the one that stays", len(list.Keys))
				}
				n.decrypt(keptBlob)
				if !looked {
					return
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				page, err := n.store.Scan(t.Context(), meta.Range{Start: []byte("k/"), End: []byte("k0")})
				if err != nil {
					t.Fatal(err)
				}
				for _, item := range page.Items {
					if strings.Contains(string(item.Key), k.KeyId) || strings.Contains(string(item.Key), "photos") {
						t.Errorf("row %s outlives the key", item.Key)
					}
				}
				events := n.trail.named("DeleteKey")
				if len(events) != 1 || events[0].Resources[0].ARN != k.Arn || events[0].EventType != audit.TypeServiceEvent {
					t.Errorf("events %+v, want one DeleteKey of %s", events, k.Arn)
				}
				if last := changes[len(changes)-1]; last != Deleted {
					t.Errorf("last change told: %s, want %s", last, Deleted)
				}
				_, err = n.Encrypt(t.Context(), owner, Encrypt{KeyId: "alias/photos", Plaintext: secret.New([]byte("x"))})
				refused(t, "alias of a deleted key", err, NotFound, "Alias "+aliasARNs+"alias/photos is not found.")
			})
		})
	}
}

// A deletion that stopped half-way, or could not be recorded, is ended later.
func TestDeletionIsEndedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		k := n.key()
		must(n.ScheduleKeyDeletion(t.Context(), owner, ScheduleKeyDeletion{k.KeyId, ptr(7)}))(t)
		time.Sleep(7*day + time.Second)
		n.trail.failWith(errors.New("disk full"))
		n.run()
		time.Sleep(time.Minute)
		if _, err := n.DescribeKey(t.Context(), owner, DescribeKey{KeyId: k.KeyId}); !errors.Is(err, NotFound) {
			t.Errorf("half-deleted key: %v, want NotFound", err)
		}
		n.trail.failWith(nil)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := n.trail.named("DeleteKey"); len(got) != 1 {
			t.Errorf("%d DeleteKey events, want 1", len(got))
		}
		if item, err := meta.Get1(t.Context(), n.store, []byte(keyRef{home, k.KeyId}.row())); err != nil || item.Ver != 0 {
			t.Errorf("the row is still there, %v", err)
		}
	})
}
