// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/iam"
)

func TestQuotaIsPerAccountAndSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := quota{perSecond: 3}
		a := iam.Caller{Principal: iam.Principal{Account: "000000000001"}}
		b := iam.Caller{Principal: iam.Principal{Account: "000000000002"}}
		for range 3 {
			if err := q.take(a); err != nil {
				t.Fatal(err)
			}
		}
		if err := q.take(a); !errors.Is(err, Throttled) {
			t.Errorf("the fourth in a second: %v", err)
		}
		if err := q.take(b); err != nil {
			t.Errorf("another account: %v", err)
		}
		time.Sleep(time.Second)
		for range 3 {
			if err := q.take(a); err != nil {
				t.Errorf("a second later: %v", err)
			}
		}
		var none quota
		for range 1000 {
			if err := none.take(a); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestThrottledRequestsOfS3AreCountedAndRecorded(t *testing.T) {
	n := newNode(t)
	k := n.key().Arn
	n.Service.quota.perSecond = 1
	ec := Context{"aws:s3:arn": "arn:aws:s3:::photos"}
	if _, _, err := n.ViaS3().GenerateDataKey(t.Context(), owner, k, ec, ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.ViaS3().GenerateDataKey(t.Context(), owner, k, ec, ""); !errors.Is(err, Throttled) {
		t.Fatal(err)
	}
	if got := n.counted("GenerateDataKey", fromS3, "ThrottlingException"); got != 1 {
		t.Errorf("counted %v", got)
	}
	if r := n.trail.named("GenerateDataKey"); len(r) != 2 || r[1].ErrorCode != "ThrottlingException" {
		t.Errorf("recorded %+v", r)
	}
	if err := n.ViaS3().Check(t.Context(), owner, Generate, k, ec); err != nil {
		t.Errorf("a check costs nothing: %v", err)
	}
}
