// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

func TestBucketLegacy(t *testing.T) {
	operated(t, &opsapi.API{SetLegacy: func(_ context.Context, name string, on bool) (bucket.Legacy, error) {
		switch name {
		case "photos":
			return bucket.Legacy{On: on}, nil
		case "vault":
			return bucket.Legacy{On: on, Default: "aws:kms"}, nil
		}
		return bucket.Legacy{}, bucket.NoSuchBucket
	}})
	for _, c := range []struct {
		bucket, on     string
		exit           int
		stdout, stderr string
	}{
		{"photos", "on", 0, "legacy mode of photos is on\n", ""},
		{"photos", "off", 0, "legacy mode of photos is off\n", ""},
		{"vault", "on", 0, "legacy mode of vault is on, without effect while its default encryption is aws:kms\n", ""},
		{"vault", "off", 0, "legacy mode of vault is off\n", ""},
		{"photos", "perhaps", 1, "", "coffer: \"perhaps\" is neither on nor off\n"},
	} {
		if exit, stdout, stderr := command(t, "bucket", "legacy", c.bucket, c.on); exit != c.exit || stdout != c.stdout || stderr != c.stderr {
			t.Errorf("%s %s: %d %q %q", c.bucket, c.on, exit, stdout, stderr)
		}
	}
	if exit, _, stderr := command(t, "bucket", "legacy", "nobody", "on"); exit != 1 || stderr == "" {
		t.Errorf("no bucket: %d %q", exit, stderr)
	}
}
