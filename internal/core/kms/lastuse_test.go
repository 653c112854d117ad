// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

// TestLastUse: what used a key last is known at once, kept by the upkeep, and goes with
// the key.
func TestLastUse(t *testing.T) {
	n := newNode(t)
	if err := n.TrackUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	k := n.key()
	last := func() *KeyLastUsage {
		t.Helper()
		out := must(n.GetKeyLastUsage(t.Context(), owner, KeyOnly{k.KeyId}))(t)
		if out.KeyId != k.Arn || !out.KeyCreationDate.Equal(k.CreationDate) || !out.TrackingStartDate.Equal(k.CreationDate) {
			t.Errorf("answered %+v", out)
		}
		return out.KeyLastUsage
	}
	if u := last(); u != nil {
		t.Errorf("a key that was never used: %+v", u)
	}
	n.NoteUse("DescribeKey", []string{k.Arn}, "e0", "r0")
	if u := last(); u != nil {
		t.Errorf("described: %+v", u)
	}
	_, blob, err := n.ViaS3().GenerateDataKey(t.Context(), owner, k.Arn, bucket, "")
	if err != nil {
		t.Fatal(err)
	}
	made := n.trail.named("GenerateDataKey")[0]
	if u := last(); u == nil || u.Operation != "GenerateDataKey" || u.CloudTrailEventId != made.EventID || u.KmsRequestId != made.RequestID {
		t.Errorf("used through S3: %+v", u)
	}
	if _, err := n.ViaS3().Decrypt(t.Context(), alice, k.Arn, blob, bucket); err == nil || last().Operation != "GenerateDataKey" {
		t.Errorf("a refused use counts: %v", err)
	}

	// A store that fails keeps it waiting.
	broken := &failing{Store: mem.New(), err: errors.New("down")}
	kept := n.Service.store
	n.Service.store = broken
	if n.flushUses(t.Context()) == nil {
		t.Error("written to a store that fails")
	}
	n.Service.store = kept
	n.NoteUse("Encrypt", []string{k.Arn, "no ARN", "arn:aws:kms:" + region + ":" + home + ":alias/x"}, "e1", "r1")
	for range 2 {
		if err := n.flushUses(t.Context()); err != nil || len(n.uses.last) != 0 {
			t.Fatalf("%d are left, %v", len(n.uses.last), err)
		}
	}
	if u := last(); u == nil || u.Operation != "Encrypt" || u.CloudTrailEventId != "e1" || u.KmsRequestId != "r1" || u.Timestamp.IsZero() {
		t.Errorf("kept %+v", u)
	}
	// Another process goes on from the rows.
	again := nodeOver(t, n.store, nil)
	if out := must(again.GetKeyLastUsage(t.Context(), owner, KeyOnly{k.KeyId}))(t); out.KeyLastUsage == nil || out.KeyLastUsage.Operation != "Encrypt" {
		t.Errorf("after a restart: %+v", out)
	}
}
