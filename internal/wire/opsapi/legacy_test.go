// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

func TestSwitchLegacyMode(t *testing.T) {
	is := false
	s := newStation(t, func(a *API) {
		a.SetLegacy = func(_ context.Context, name string, on bool) (bucket.Legacy, error) {
			if name != "photos" {
				return bucket.Legacy{}, bucket.NoSuchBucket
			}
			is = on
			return bucket.Legacy{On: on, Default: "aws:kms"}, nil
		}
	})
	ctx := t.Context()
	for _, on := range []bool{true, false} {
		if got, err := s.SwitchLegacyMode(ctx, "photos", on); err != nil || is != on || got != (LegacyMode{on, "aws:kms"}) {
			t.Errorf("%t: %+v, %v", on, got, err)
		}
	}
	_, err := s.SwitchLegacyMode(ctx, "none", true)
	says(t, "no such bucket", err, "NoSuchBucket")
	_, err = s.SwitchLegacyMode(ctx, "", true)
	says(t, "no bucket", err, "InvalidParameter", "missing")
	says(t, "neither on nor off", s.lines(ctx, "POST", "bucket/legacy", map[string][]string{"bucket": {"photos"}}, nil), "InvalidParameter")
	_, err = s.as("AKIAUSER", password).SwitchLegacyMode(ctx, "photos", true)
	says(t, "a user", err, "AccessDenied", "coffer:SwitchLegacyMode")
}
