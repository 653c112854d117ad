// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/report"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

func TestBucketKeyReport(t *testing.T) {
	data, trail := operated(t, &opsapi.API{})
	now := time.Now()
	set := func(on bool) audit.Record {
		return audit.Record{EventTime: now, EventSource: "s3.amazonaws.com", EventName: "PutBucketEncryption", EventID: "e", UserIdentity: byBucket.UserIdentity,
			RequestParameters: map[string]any{"bucketName": "photos", "ServerSideEncryptionConfiguration": map[string]any{"Rule": map[string]any{"BucketKeyEnabled": on}}}}
	}
	made := byBucket
	made.EventTime, made.AdditionalEventData = now, map[string]any{"cofferGeneration": "g", "cofferParentRequestId": "r1"}
	read := audit.Record{EventTime: now, EventSource: "s3.amazonaws.com", EventName: "GetObject", RequestID: "r2", UserIdentity: byBucket.UserIdentity,
		RequestParameters: map[string]any{"bucketName": "photos"}, AdditionalEventData: map[string]any{"cofferGeneration": "g"}}
	keep(t, trail, set(false), made, set(true), read, read, read)

	files := t.TempDir()
	csv, svg := filepath.Join(files, "r.csv"), filepath.Join(files, "r.svg")
	for _, where := range [][]string{nil, {"--data", data}} {
		exit, stdout, stderr := command(t, append([]string{"bucketkey", "report", "photos", "--price", "1", "--csv", csv, "--svg", svg}, where...)...)
		if exit != 0 || stderr != "" {
			t.Errorf("%d %q", exit, stderr)
		}
		for _, want := range []string{
			"photos  1     0       3        75 %   $0.00010  $0.00040\n",
			"Decrypt    photos  " + keyARN + "  arn:aws:iam::111122223333:root  1     0       3\n",
			"photos            off         ", "photos            on          ", "PutBucketEncryption by arn:aws:iam::111122223333:root",
			"1 are in this report", "Of 3 accesses under Bucket Keys 0 made a KMS request of their own, and 3 did not.",
		} {
			if !strings.Contains(stdout, want) {
				t.Errorf("no %q in\n%s", want, stdout)
			}
		}
		table, err := os.ReadFile(csv)
		if err != nil || strings.Count(string(table), "\n") != 2 {
			t.Errorf("%s %v", table, err)
		}
		if picture, err := os.ReadFile(svg); err != nil || !strings.HasPrefix(string(picture), "<svg") {
			t.Errorf("%s %v", picture, err)
		}
		var r report.Report
		_, stdout, _ = command(t, append([]string{"bucketkey", "report", "--json"}, where...)...)
		if err := json.Unmarshal([]byte(stdout), &r); err != nil || r.Total.Made != 1 || r.Total.Avoided != 3 || !r.Reconciles() {
			t.Errorf("%s %v", stdout, err)
		}
		if exit, stdout, _ := command(t, append([]string{"bucketkey", "report", "--csv", "-"}, where...)...); exit != 0 || !strings.HasPrefix(stdout, "start,interval,bucket,") {
			t.Errorf("%d %s", exit, stdout)
		}
		if exit, stdout, _ := command(t, append([]string{"bucketkey", "report", "videos"}, where...)...); exit != 0 || !strings.Contains(stdout, "There are none.") {
			t.Errorf("%d %s", exit, stdout)
		}
	}
	for want, args := range map[string][]string{
		"no name of a bucket":            {"Not A Bucket"},
		"it takes at most one BUCKET":    {"photos", "videos"},
		"--since soon is neither":        {"--since", "soon"},
		"--until soon is neither":        {"--until", "soon"},
		"ends before it begins":          {"--since", "1h", "--until", "2h"},
		"minute, hour or day":            {"--by", "year"},
		"too many intervals":             {"--by", "minute", "--since", "90d"},
		"--price is that of 10,000":      {"--price", "-1"},
		"can go to the output":           {"--json", "--csv", "-"},
		"is no data directory":           {"--data", files},
		"--price: \"dear\" is no number": {"--price", "dear"},
	} {
		exit, _, stderr := command(t, append([]string{"bucketkey", "report"}, args...)...)
		if exit != 1 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: %d %q", args, exit, stderr)
		}
	}
}

func TestParseMoment(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "7d": now.AddDate(0, 0, -7), "1.5d": now.Add(-36 * time.Hour), "90m": now.Add(-90 * time.Minute), "2026-03-01T00:00:00Z": time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := parseMoment("--since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"-1d", "d", "99999999d", "1y"} {
		if _, err := parseMoment("--since", text, now); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}
