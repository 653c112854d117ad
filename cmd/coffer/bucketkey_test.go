// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/consolidate"
	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

// rack is the bucket keys of every bucket.
type rack struct {
	status  consolidate.Status
	reports []jobs.Status
}

func (r *rack) Status(context.Context, string) (consolidate.Status, error) { return r.status, nil }

func (r *rack) Start(context.Context, string) (jobs.Status, error) { return jobs.Status{}, nil }

func (r *rack) Follow(_ context.Context, _ string, report func(jobs.Status)) error {
	for _, s := range r.reports {
		report(s)
	}
	return nil
}

func (r *rack) Switch(_ context.Context, _ string, on bool) error {
	r.status.Consolidation = on
	return nil
}

func TestBucketKeyConsolidate(t *testing.T) {
	r := &rack{}
	operated(t, &opsapi.API{BucketKeys: r})
	for _, test := range []struct {
		name           string
		last           jobs.Status
		exit           int
		stdout, stderr string
	}{
		{"done", jobs.Status{State: jobs.Done, Done: 7}, 0, "done, 7 data keys moved\n", ""},
		{"failed", jobs.Status{State: jobs.Failed, Done: 3, Error: "no luck"}, 1, "", "coffer: consolidate photos: failed, 3 data keys moved: no luck\n"},
		{"cut short", jobs.Status{State: jobs.Running, Done: 3}, 1, "", "coffer: consolidate photos: the server stopped reporting; the job goes on: running, 3 data keys moved\n"},
	} {
		r.reports = []jobs.Status{{State: jobs.Queued}, test.last}
		exit, stdout, stderr := command(t, "bucketkey", "consolidate", "photos")
		if exit != test.exit || stdout != test.stdout || stderr != test.stderr {
			t.Errorf("%s: %d %q %q", test.name, exit, stdout, stderr)
		}
	}
	if exit, stdout, _ := command(t, "bucketkey", "auto", "photos", "on"); exit != 0 || stdout != "consolidation of photos is on\n" || !r.status.Consolidation {
		t.Errorf("%d %q", exit, stdout)
	}
	if exit, _, stderr := command(t, "bucketkey", "auto", "photos", "perhaps"); exit != 1 || !strings.Contains(stderr, "neither on nor off") {
		t.Errorf("%d %q", exit, stderr)
	}
	if exit, stdout, _ := command(t, "bucketkey", "status", "photos", "--json"); exit != 0 || !strings.HasPrefix(stdout, `{"bucket":"","consolidation":true`) {
		t.Errorf("%d %q", exit, stdout)
	}
}

func TestPrintGenerations(t *testing.T) {
	now := time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)
	var b bytes.Buffer
	err := printGenerations(&b, consolidate.Status{
		Keys:  []consolidate.KeyStatus{{KeyARN: "arn:k", Generations: 2, Outdated: 1, Requests: consolidate.Requests{GenerateDataKey: 1, Decrypt: 2, GenerateDataKeyAvoided: 99, DecryptAvoided: 198}}},
		Since: now,
		Generations: []consolidate.GenerationStatus{
			{ID: "g1", KeyARN: "arn:k", Tier: 1, State: "closed", Created: now.Add(-72 * time.Hour), Objects: 1500, Counted: now, Material: 1, Outdated: true},
			{ID: "g2", KeyARN: "arn:k", State: "open", Created: now.Add(-5 * time.Hour)},
		},
		Job: &jobs.Status{State: jobs.Done, Done: 12},
	}, now)
	want := `arn:k: 2 generations, cannot be used now, 1 under old material
  KMS requests since 2026-03-09T12:00:00Z: 1 GenerateDataKey and 2 Decrypt made, 99 and 198 avoided
  GENERATION  TIER  STATE   AGE  DATA KEYS    MATERIAL
  g1          1     closed  3d   1500         1
  g2          0     open    5h   not counted  ?
consolidation is off for this bucket
last consolidation: done, 12 data keys moved
`
	if err != nil || b.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, b.String(), want)
	}
}
