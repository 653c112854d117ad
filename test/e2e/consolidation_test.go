// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/cofferstore/coffer/internal/core/consolidate"
	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/test/coffertest"
)

// TestConsolidation asserts what an operator sees of a bucket's keys: a generation
// under old material is put under the current one on order, objects read as before,
// also after a restart, and upkeep can be told to leave the bucket alone.
func TestConsolidation(t *testing.T) {
	s := newStage(t)
	o := operator(s.Server, coffertest.SecretAccessKey)
	status := func() (out consolidate.Status) {
		t.Helper()
		body, err := o.BucketKeys(t.Context(), "vault")
		if err == nil {
			err = json.Unmarshal(body, &out)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	s.Put("vault", "a", "body of a")
	do(t, s.KMS.RotateKeyOnDemand, &kms.RotateKeyOnDemandInput{KeyId: &s.k1})
	s.Put("vault", "b", "body of b")
	if got := status(); len(got.Keys) != 1 || got.Keys[0].KeyARN != s.k1 || got.Keys[0].Outdated != 1 || len(got.Generations) != 2 || !got.Consolidation || got.Job != nil {
		t.Fatalf("before: %+v", got)
	}

	var last jobs.Status
	err := o.Consolidate(t.Context(), "vault", func(line []byte) error { return json.Unmarshal(line, &last) })
	if err != nil || last.State != jobs.Done || last.Error != "" {
		t.Fatalf("consolidate: %+v, %v", last, err)
	}
	if got := status(); got.Job == nil || got.Job.State != jobs.Done || len(got.Keys) != 1 || got.Keys[0].Outdated != 0 || got.Keys[0].Objects != 2 {
		t.Errorf("after: %+v", got)
	}
	s.Restart()
	for _, key := range []string{"a", "b"} {
		if body, _ := s.Get("vault", key); body != "body of "+key {
			t.Errorf("%s reads %q", key, body)
		}
	}

	o = operator(s.Server, coffertest.SecretAccessKey)
	for _, on := range []bool{false, true} {
		if err := o.SwitchConsolidation(t.Context(), "vault", on); err != nil {
			t.Fatal(err)
		}
		if status().Consolidation != on {
			t.Errorf("consolidation switched to %t is not", on)
		}
	}
	if err := o.SwitchConsolidation(t.Context(), "nobody", true); err == nil || !strings.Contains(err.Error(), "NoSuchBucket") {
		t.Errorf("another bucket: %v", err)
	}
}
