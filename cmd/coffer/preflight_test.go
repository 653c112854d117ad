// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/preflight"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

func TestPreflightExitCodes(t *testing.T) {
	operated(t, &opsapi.API{Preflight: func(_ context.Context, name, _ string) (*preflight.Report, error) {
		if name == "none" {
			return nil, bucket.NoSuchBucket
		}
		return &preflight.Report{Bucket: name, Breaks: name == "photos", Findings: []preflight.Finding{{
			Kind: preflight.KeyPolicy, Policy: "arn:k\x1b[0m", Effect: preflight.StopsAllowing, Covered: name != "photos", Concerns: []string{"*"}, Statement: []byte("{}"),
		}}}, nil
	}})
	for _, test := range []struct {
		args   string
		exit   int
		stdout string
		stderr string
	}{
		{"photos", 1, "BREAKS: \"key policy, arn:k\\x1b[0m, statement 0\"", ""},
		{"photos --json", 1, `"breaks": true`, ""},
		{"videos", 0, "Nothing would break", ""},
		{"videos", 0, "1 of them would match no more", ""},
		{"none", 2, "", "coffer: NoSuchBucket"},
		{"", 2, "", "coffer: it takes BUCKET"},
		{"Photos_", 2, "", "no name of a bucket"},
		{"photos --key alias/mine", 2, "", "--key: \"alias/mine\" is no ARN of a KMS key"},
		{"photos --what", 2, "", "unknown flag"},
		{"photos --policy-dir /nowhere", 2, "", "there are no .json files"},
	} {
		exit, stdout, stderr := command(t, append([]string{"bucketkey", "preflight"}, strings.Fields(test.args)...)...)
		if exit != test.exit || !strings.Contains(stdout, test.stdout) || !strings.Contains(stderr, test.stderr) || test.stderr == "" && stderr != "" {
			t.Errorf("%q: %d %q %q", test.args, exit, stdout, stderr)
		}
	}
	for _, args := range [][]string{{"videos"}, {"photos"}, {"videos", "--json"}} {
		var stderr bytes.Buffer
		if exit := run(t.Context(), append([]string{"bucketkey", "preflight"}, args...), full{}, &stderr); exit != 2 || stderr.String() != "coffer: no room\n" {
			t.Errorf("%q on a full device: %d %s", args, exit, stderr.String())
		}
	}
}
