// SPDX-License-Identifier: Apache-2.0

package iam

import "testing"

// What is under a KMS key is a use of S3 and of the KMS in turn: the last one counts, and
// noting it takes no memory.
func TestUsesOfTwoServices(t *testing.T) {
	u := newUses()
	p := &Principal{Type: IAMUser, AccessKeyID: "AKIATEST"}
	turn := func() {
		u.note(p, "s3:GetObject", "eu-central-1")
		if last, ok := u.of(p.AccessKeyID); !ok || last.Service != "s3" {
			t.Fatalf("after S3: %+v", last)
		}
		u.note(p, "kms:Decrypt", "eu-central-1")
		if last, ok := u.of(p.AccessKeyID); !ok || last.Service != "kms" {
			t.Fatalf("after the KMS: %+v", last)
		}
	}
	turn()
	if n := testing.AllocsPerRun(100, turn); n > 0.1 { // once a minute there is one
		t.Errorf("%v allocations", n)
	}
	at, _ := u.keys.Load(p.AccessKeyID)
	written := *at.(*noted).last.Load()
	written.written = true
	at.(*noted).last.Store(&written)
	u.note(p, "s3:GetObject", "eu-central-1")
	u.note(p, "kms:Decrypt", "eu-central-1")
	if at.(*noted).last.Load().written {
		t.Error("a use after one that was written counts as written")
	}
}
