// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// TestRotation: new material encrypts, and the old ones go on decrypting, for KMS
// and for S3, over a restart too.
func TestRotation(t *testing.T) {
	t.Parallel()
	s := start(t)
	key := s.Key()
	s.Bucket("vault", "aws:kms", key, true)
	s.Bucket("each", "aws:kms", key, false)
	first := *describe(s, key).CurrentKeyMaterialId
	old := do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("old")}).CiphertextBlob
	s.Put("vault", "old", "old")
	s.Put("each", "old", "old")

	if out := do(t, s.KMS.RotateKeyOnDemand, &kms.RotateKeyOnDemandInput{KeyId: aws.String(keyIDOf(key))}); *out.KeyId != key {
		t.Errorf("rotated %s", *out.KeyId)
	}
	second := *describe(s, key).CurrentKeyMaterialId
	if second == first {
		t.Error("the material is the same")
	}
	s.Put("vault", "new", "new")
	s.Put("each", "new", "new")
	check := func(when string) {
		t.Helper()
		dec := do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: old})
		if string(dec.Plaintext) != "old" || *dec.KeyMaterialId != first || *dec.KeyId != key {
			t.Errorf("%s: %q with %s", when, dec.Plaintext, *dec.KeyMaterialId)
		}
		for _, bucket := range []string{"vault", "each"} {
			for _, k := range []string{"old", "new"} {
				if body, out := s.Get(bucket, k); body != k || *out.SSEKMSKeyId != key {
					t.Errorf("%s: %s/%s reads %q", when, bucket, k, body)
				}
			}
		}
	}
	check("rotated")
	re := do(t, s.KMS.ReEncrypt, &kms.ReEncryptInput{CiphertextBlob: old, DestinationKeyId: &key})
	if *re.SourceKeyMaterialId != first || *re.DestinationKeyMaterialId != second {
		t.Errorf("re-encrypted from %s to %s", *re.SourceKeyMaterialId, *re.DestinationKeyMaterialId)
	}
	s.Restart()
	check("restarted")

	list := func(in *kms.ListKeyRotationsInput) (got []types.RotationsListEntry) {
		t.Helper()
		p := kms.NewListKeyRotationsPaginator(s.KMS, in)
		for p.HasMorePages() {
			out, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, out.Rotations...)
		}
		return got
	}
	rotations := list(&kms.ListKeyRotationsInput{KeyId: &key})
	if len(rotations) != 1 || rotations[0].RotationType != "ON_DEMAND" || *rotations[0].KeyMaterialId != second || rotations[0].KeyMaterialState != "CURRENT" || time.Since(*rotations[0].RotationDate) > time.Hour {
		t.Errorf("rotations %+v", rotations)
	}
	all := list(&kms.ListKeyRotationsInput{KeyId: &key, IncludeKeyMaterial: types.IncludeKeyMaterialAllKeyMaterial, Limit: aws.Int32(1)})
	if len(all) != 2 || *all[0].KeyMaterialId != first || all[0].KeyMaterialState != "NON_CURRENT" || all[0].RotationDate != nil || all[0].RotationType != "" {
		t.Errorf("all material %+v", all)
	}
	for _, r := range s.Audit() {
		if r.EventName == "RotateKey" {
			if r.EventType != "AwsServiceEvent" || !strings.Contains(string(r.ServiceEventDetails), keyIDOf(key)) {
				t.Errorf("service event %+v", r)
			}
			return
		}
	}
	t.Error("no service event tells of the rotation")
}

func testRotationSchedule(t *testing.T, s *coffertest.Server) {
	key := aws.String(s.Key())
	status := func() *kms.GetKeyRotationStatusOutput {
		t.Helper()
		return do(t, s.KMS.GetKeyRotationStatus, &kms.GetKeyRotationStatusInput{KeyId: key})
	}
	if out := status(); out.KeyRotationEnabled || *out.KeyId != *key || out.NextRotationDate != nil || out.RotationPeriodInDays != nil {
		t.Errorf("new: %+v", out)
	}
	days := func(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
	do(t, s.KMS.EnableKeyRotation, &kms.EnableKeyRotationInput{KeyId: key})
	if out := status(); !out.KeyRotationEnabled || *out.RotationPeriodInDays != 365 || time.Until(*out.NextRotationDate).Round(time.Hour) != days(365) {
		t.Errorf("enabled: %+v", out)
	}
	do(t, s.KMS.EnableKeyRotation, &kms.EnableKeyRotationInput{KeyId: key, RotationPeriodInDays: aws.Int32(90)})
	before := status()
	if *before.RotationPeriodInDays != 90 || time.Until(*before.NextRotationDate).Round(time.Hour) != days(90) {
		t.Errorf("every 90 days: %+v", before)
	}
	// A rotation on demand leaves the schedule alone.
	do(t, s.KMS.RotateKeyOnDemand, &kms.RotateKeyOnDemandInput{KeyId: key})
	if out := status(); !out.NextRotationDate.Equal(*before.NextRotationDate) {
		t.Errorf("rotated: %v, was %v", out.NextRotationDate, before.NextRotationDate)
	}
	do(t, s.KMS.DisableKeyRotation, &kms.DisableKeyRotationInput{KeyId: key})
	if out := status(); out.KeyRotationEnabled || out.NextRotationDate != nil {
		t.Errorf("disabled: %+v", out)
	}
	for _, n := range []int32{89, 2561} {
		fails(t, s.KMS.EnableKeyRotation, &kms.EnableKeyRotationInput{KeyId: key, RotationPeriodInDays: &n}, 400, "ValidationException", "at 'rotationPeriodInDays' failed to satisfy constraint")
	}
	for range 24 {
		do(t, s.KMS.RotateKeyOnDemand, &kms.RotateKeyOnDemandInput{KeyId: key})
	}
	fails(t, s.KMS.RotateKeyOnDemand, &kms.RotateKeyOnDemandInput{KeyId: key}, 400, "LimitExceededException", "The on-demand rotations limit has been reached for the given keyId.")
}
