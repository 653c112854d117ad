// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// The table "Key states of AWS KMS keys": what each operation answers in each
// state.
func TestStateTable(t *testing.T) {
	states := []State{Enabled, StateDisabled, PendingDeletion, PendingImport, StateDown, Creating, Updating}
	answers := map[string]struct {
		kind fault.Kind
		text string
	}{
		"dis": {Disabled, "is disabled."}, "del": {InvalidState, "is pending deletion."}, "not": {InvalidState, "is not pending deletion."},
		"imp": {InvalidState, "is pending import."}, "una": {InvalidState, "is unavailable."}, "cre": {InvalidState, "is creating."},
		"upd": {InvalidState, "is updating."}, "ext": {UnsupportedOperation, "origin is EXTERNAL which is not valid for this operation."}, "uns": {UnsupportedOperation, ""},
	}
	for operations, row := range map[string]string{
		"Encrypt Decrypt ReEncrypt GenerateDataKey GenerateDataKeyWithoutPlaintext": "ok  dis del imp una cre ok",
		"Sign Verify GenerateMac VerifyMac DeriveSharedSecret":                      "ok  dis del imp una cre ok",
		"GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext":                   "ok  dis del imp uns cre ok",
		"GetPublicKey": "ok  ok  del ok  una cre ok",
		"CreateAlias UpdateAlias TagResource UntagResource UpdateKeyDescription":                         "ok  ok  del ok  ok  ok  ok",
		"DeleteAlias DescribeKey GetKeyPolicy ListAliases ListKeyPolicies ListResourceTags PutKeyPolicy": "ok  ok  ok  ok  ok  ok  ok",
		"EnableKey DisableKey":                 "ok  ok  del imp ok  cre upd",
		"ScheduleKeyDeletion":                  "ok  ok  del ok  ok  ok  upd",
		"CancelKeyDeletion":                    "not not ok  not not not not",
		"EnableKeyRotation DisableKeyRotation": "ok  dis del ext uns cre ok",
		"RotateKeyOnDemand":                    "ok  dis del imp uns cre ok",
		"GetKeyRotationStatus":                 "ok  ok  ok  ext uns ok  ok",
		"ListKeyRotations":                     "ok  ok  ok  ok  uns ok  ok",
	} {
		s := newNode(t)
		specFor := map[string]string{
			"Sign": "RSA_2048", "Verify": "RSA_2048", "GetPublicKey": "RSA_2048", "GenerateMac": "HMAC_256", "VerifyMac": "HMAC_256",
			"DeriveSharedSecret": "ECC_NIST_P256",
		}
		for _, operation := range strings.Fields(operations) {
			for i, want := range strings.Fields(row) {
				k := newKey(home, ManagerCustomer)
				k.State = states[i]
				if spec := specFor[operation]; spec != "" {
					k.Spec, k.Usage = spec, ruleFor(operation).needs.usage()
				}
				err := s.fits(k, operation)
				if want == "ok" {
					if err != nil {
						t.Errorf("%s in %s: %v, want ok", operation, states[i], err)
					}
					continue
				}
				a := answers[want]
				if a.text != "" {
					a.text = k.ref().arn(region) + " " + a.text
				}
				refused(t, operation+" in "+string(states[i]), err, a.kind, a.text)
			}
		}
	}
}

func TestUsageAndSpecComeBeforeState(t *testing.T) {
	s := newNode(t)
	k := newKey(home, ManagerCustomer)
	k.Usage, k.Spec, k.State = "SIGN_VERIFY", "RSA_2048", StateDisabled
	refused(t, "Encrypt with a signing key", s.fits(k, "Encrypt"), InvalidKeyUsage, k.ref().arn(region)+" key usage is SIGN_VERIFY which is not valid for Encrypt.")
	refused(t, "rotating a signing key", s.fits(k, "RotateKeyOnDemand"), UnsupportedOperation, "")
}

func TestKeyLifeCycle(t *testing.T) {
	n := newNode(t)
	var changes []Change
	n.OnChange(func(_ string, c Change) { changes = append(changes, c) })
	k := n.key()
	state := func(want State) {
		t.Helper()
		if got := n.describe(k.KeyId); got.KeyState != want || got.Enabled != (want == Enabled) || (got.DeletionDate != nil) != (want == PendingDeletion) {
			t.Errorf("state %s, enabled %v, deletion %v; want %s", got.KeyState, got.Enabled, got.DeletionDate, want)
		}
	}
	state(Enabled)
	must(n.DisableKey(t.Context(), owner, KeyOnly{k.KeyId}))(t)
	must(n.DisableKey(t.Context(), owner, KeyOnly{k.KeyId}))(t)
	state(StateDisabled)
	_, err := n.GenerateDataKey(t.Context(), owner, GenerateDataKey{KeyId: k.KeyId, KeySpec: "AES_256"})
	refused(t, "disabled key", err, Disabled, k.Arn+" is disabled.")
	must(n.EnableKey(t.Context(), owner, KeyOnly{k.KeyId}))(t)
	n.encrypt(k.KeyId, "x", nil)
	for _, days := range []int{6, 31} {
		_, err := n.ScheduleKeyDeletion(t.Context(), owner, ScheduleKeyDeletion{k.KeyId, &days})
		refused(t, "window", err, Validation, "")
	}
	_, err = n.CancelKeyDeletion(t.Context(), owner, KeyOnly{k.KeyId})
	refused(t, "cancel without deletion", err, InvalidState, k.Arn+" is not pending deletion.")
	for _, days := range []*int{ptr(7), nil} {
		got := must(n.ScheduleKeyDeletion(t.Context(), owner, ScheduleKeyDeletion{k.KeyId, days}))(t)
		want := 30
		if days != nil {
			want = *days
		}
		if got.KeyId != k.Arn || got.PendingWindowInDays != want || got.KeyState != PendingDeletion {
			t.Errorf("scheduled %+v", got)
		}
		state(PendingDeletion)
		_, err = n.GenerateDataKey(t.Context(), owner, GenerateDataKey{KeyId: k.KeyId, KeySpec: "AES_256"})
		refused(t, "key pending deletion", err, InvalidState, k.Arn+" is pending deletion.")
		_, err = n.ScheduleKeyDeletion(t.Context(), owner, ScheduleKeyDeletion{KeyId: k.KeyId})
		refused(t, "scheduled twice", err, InvalidState, k.Arn+" is pending deletion.")
		if got := must(n.CancelKeyDeletion(t.Context(), owner, KeyOnly{k.KeyId}))(t); got.KeyId != k.Arn {
			t.Errorf("cancel answers %q", got.KeyId)
		}
		state(StateDisabled)
	}
	must(n.EnableKey(t.Context(), owner, KeyOnly{k.KeyId}))(t)
	n.encrypt(k.KeyId, "x", nil)
	if len(changes) != 7 {
		t.Errorf("told of %v: want a StateChanged for each of the 7 changes, and none for disabling twice", changes)
	}
}

// Not every state can be reached yet; rows in them are written by hand.
func (n *node) force(k KeyMetadata, f func(k *key)) {
	n.t.Helper()
	_, err := n.change(n.t.Context(), keyRef{home, k.KeyId}, func(k *key, _ *meta.Batch) error { f(k); return nil })
	if err != nil {
		n.t.Fatal(err)
	}
}

func TestDescribeAndPolicyWorkInEveryState(t *testing.T) {
	n := newNode(t)
	k := n.key()
	for _, state := range []State{Enabled, StateDisabled, PendingImport, StateDown, Creating, Updating} {
		n.force(k, func(k *key) { k.State = state })
		if got := n.describe(k.KeyId); got.KeyState != state {
			t.Errorf("DescribeKey says %s, want %s", got.KeyState, state)
		}
		must(n.PutKeyPolicy(t.Context(), owner, PutKeyPolicy{KeyId: k.KeyId, Policy: defaultPolicy(home)}))(t)
	}
}
