// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/consolidate"
	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/core/preflight"
	"github.com/cofferstore/coffer/internal/core/report"
)

// shelf is bucket keys of one bucket, "photos".
type shelf struct {
	on      bool
	reports []jobs.Status
}

func (s *shelf) find(name string) error {
	if name != "photos" {
		return bucket.NoSuchBucket
	}
	return nil
}

func (s *shelf) Status(_ context.Context, name string) (consolidate.Status, error) {
	return consolidate.Status{Bucket: name, Consolidation: s.on}, s.find(name)
}

func (s *shelf) Start(_ context.Context, name string) (jobs.Status, error) {
	if err := s.find(name); err != nil || s.on {
		return jobs.Status{}, err
	}
	return jobs.Status{}, consolidate.Off
}

func (s *shelf) Follow(_ context.Context, _ string, report func(jobs.Status)) error {
	for _, r := range s.reports {
		report(r)
	}
	return nil
}

func (s *shelf) Switch(_ context.Context, name string, on bool) error {
	s.on = on
	return s.find(name)
}

func TestBucketKeys(t *testing.T) {
	keys := &shelf{reports: []jobs.Status{{State: jobs.Running, Done: 1, Total: 2}, {State: jobs.Done, Done: 2, Total: 2}}}
	s := newStation(t, func(a *API) { a.BucketKeys = keys })
	ctx := t.Context()
	last := func() (j jobs.Status, n int, err error) {
		err = s.Consolidate(ctx, "photos", func(line []byte) error {
			n++
			j = jobs.Status{}
			return json.Unmarshal(line, &j)
		})
		return j, n, err
	}
	_, _, err := last()
	says(t, "a bucket that is off", err, "ConsolidationOff", "switched off")
	if err := s.SwitchConsolidation(ctx, "photos", true); err != nil || !keys.on {
		t.Errorf("switched on: %t, %v", keys.on, err)
	}
	if j, n, err := last(); n != 2 || j.State != jobs.Done || err != nil {
		t.Errorf("%d reports, the last is %+v, %v", n, j, err)
	}
	var status consolidate.Status
	body, err := s.BucketKeys(ctx, "photos")
	if err := errors.Join(err, json.Unmarshal(body, &status)); err != nil || status.Bucket != "photos" || !status.Consolidation {
		t.Errorf("%s, %v", body, err)
	}
	_, err = s.BucketKeys(ctx, "none")
	says(t, "no such bucket", err, "NoSuchBucket")
	_, err = s.BucketKeys(ctx, "")
	says(t, "no bucket", err, "InvalidParameter", "missing")
	says(t, "neither on nor off", s.lines(ctx, "POST", "bucketkeys/switch", map[string][]string{"bucket": {"photos"}}, nil), "InvalidParameter")
	_, err = s.as("AKIAUSER", password).BucketKeys(ctx, "photos")
	says(t, "a user", err, "AccessDenied", "coffer:ReadBucketKeys")
}

func TestPreflight(t *testing.T) {
	const key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	s := newStation(t, func(a *API) {
		a.Preflight = func(_ context.Context, name, keyARN string) (*preflight.Report, error) {
			if name != "photos" {
				return nil, bucket.NoSuchBucket
			}
			return &preflight.Report{Bucket: name, Key: keyARN, Breaks: keyARN != ""}, nil
		}
	})
	ctx := t.Context()
	for _, arn := range []string{"", key} {
		var r preflight.Report
		body, err := s.Preflight(ctx, "photos", arn)
		if err := errors.Join(err, json.Unmarshal(body, &r)); err != nil || r.Bucket != "photos" || r.Key != arn || r.Breaks != (arn != "") {
			t.Errorf("%s, %v", body, err)
		}
	}
	_, err := s.Preflight(ctx, "none", "")
	says(t, "no such bucket", err, "NoSuchBucket")
	_, err = s.Preflight(ctx, "photos", "alias/mine")
	says(t, "an alias", err, "InvalidParameter", "ARN")
	_, err = s.as("AKIAUSER", password).Preflight(ctx, "photos", "")
	says(t, "a user", err, "AccessDenied", "coffer:PreflightBucketKeys")
}

func TestReport(t *testing.T) {
	s := newStation(t, nil)
	ctx := t.Context()
	for range 3 {
		err := s.trail.Append(ctx, audit.Record{
			EventSource: "s3.amazonaws.com", EventName: "GetObject", EventTime: time.Now(), RequestParameters: map[string]any{"bucketName": "photos"},
			AdditionalEventData: map[string]any{"cofferKeyArn": "k", "cofferGeneration": "g"},
		}, true)
		if err != nil {
			t.Fatal(err)
		}
	}
	s.record("kms.amazonaws.com", "CreateKey", time.Now())
	none := func(report.Progress) {}
	r, err := s.Report(ctx, report.Query{}, 10_000, none)
	if err != nil || r.Total.Avoided != 3 || r.Total.Made != 1 || r.Cost != 1 || len(r.Rows) != 2 || len(r.Cells) != 2 || len(r.Buckets) != 2 || !r.Reconciles() {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = s.Report(ctx, report.Query{Bucket: "none", Since: time.Now().Add(-time.Hour)}, 0.03, none)
	if err != nil || r.Total.Made != 0 || r.Rows == nil || !r.Reconciles() {
		t.Errorf("%+v, %v", r, err)
	}
	_, err = s.Report(ctx, report.Query{Bucket: "No Bucket"}, 0.03, none)
	says(t, "no name", err, "InvalidParameter", "no name of a bucket")
	_, err = s.Report(ctx, report.Query{By: "year"}, 0.03, none)
	says(t, "no interval", err, "InvalidParameter", "minute, hour or day")
	_, err = s.Report(ctx, report.Query{}, -1, none)
	says(t, "no price", err, "InvalidParameter", "price")
	says(t, "no time", s.lines(ctx, "GET", "bucketkeys/report", map[string][]string{"since": {"yesterday"}}, nil), "InvalidParameter", "since")
	_, err = s.as("AKIAUSER", password).Report(ctx, report.Query{}, 0.03, none)
	says(t, "a user", err, "AccessDenied", "coffer:ReportBucketKeys")
}
