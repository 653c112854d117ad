// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/internal/bench"
	"github.com/cofferstore/coffer/test/coffertest"
)

// tiny does a little of everything.
var tiny = bench.Scale{
	Small: 1 << 10, Medium: 40 << 10, Large: 256 << 10, Slice: time.Millisecond, Rounds: 2, LargeRounds: 1, InFlight: 512 << 10, Kept: 16, Listed: 20,
}

func remote(s *coffertest.Server) *bench.Remote {
	return &bench.Remote{
		Endpoint: s.URL, Region: coffertest.Region,
		Credentials: credentials.NewStaticCredentialsProvider(coffertest.AccessKeyID, coffertest.SecretAccessKey, ""),
	}
}

func TestRun(t *testing.T) {
	const latency = 5 * time.Millisecond
	s := coffertest.Start(t, coffertest.Flags("--kms-latency", latency.String()))
	dir := t.TempDir()
	report, err := bench.Run(t.Context(), bench.Config{Remote: remote(s), Dir: dir, Concurrency: 3, Scale: tiny})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Groups) != 12 {
		t.Fatalf("%d groups, want 12", len(report.Groups))
	}
	for _, g := range report.Groups {
		for _, c := range g.Cells {
			t.Run(g.Name+" "+c.Name, func(t *testing.T) {
				check(t, g, c, latency)
			})
		}
	}
	if n := len(s.KMSRequests()); n < 100 {
		t.Errorf("the server knows of %d KMS requests", n)
	}
	buckets, err := s.S3.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil || len(buckets.Buckets) != 0 {
		t.Errorf("the run left buckets %v, %v", buckets, err)
	}
	users, err := iam.NewFromConfig(aws.Config{Region: coffertest.Region, BaseEndpoint: &s.URL, Credentials: remote(s).Credentials}).ListUsers(t.Context(), &iam.ListUsersInput{})
	if err != nil || len(users.Users) != 0 {
		t.Errorf("the run left users %v, %v", users, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("the run left %v, %v", left, err)
	}
}

// Where KMS requests are limited, bucket keys are not throttled, and what is throttled
// without them is counted: eight at a time are more than four a second, however slow the
// machine is.
func TestThrottledRequestsAreCounted(t *testing.T) {
	s := coffertest.Start(t, coffertest.Flags("--kms-request-quota", "4"))
	scale := tiny
	scale.Slice = 20 * time.Millisecond
	report, err := bench.Run(t.Context(), bench.Config{
		Remote: remote(s), Dir: t.TempDir(), Concurrency: 8, Scale: scale, Only: regexp.MustCompile("^PUT 1 KiB: SSE"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range report.Groups[0].Cells {
		if (c.Throttled > 0) != (c.Name == "SSE-KMS") || c.OpsPerSecond <= 0 {
			t.Errorf("%s: %d requests throttled, %.0f done a second", c.Name, c.Throttled, c.OpsPerSecond)
		}
	}
	var text strings.Builder
	if err := report.Text(&text); err != nil || !strings.Contains(text.String(), "503s") {
		t.Errorf("%v: %s", err, text.String())
	}
}

// check holds a cell to what must be so however fast the machine is.
func check(t *testing.T, g bench.Group, c bench.Cell, latency time.Duration) {
	if c.Requests < int64(g.Workers*(g.Slices+1)) || c.OpsPerSecond <= 0 || c.P50 <= 0 || c.P99 < c.P50 || c.CPUMicros == nil {
		t.Errorf("implausible figures %+v", c)
	}
	if c.Yardstick {
		if c.KMSRequests != nil {
			t.Errorf("a yardstick with %d KMS requests", *c.KMSRequests)
		}
		return
	}
	if c.KMSRequests == nil {
		t.Fatal("the server's KMS requests are not known")
	}
	each := int64(1)
	if strings.HasPrefix(g.Name, "COPY") {
		each = 2 // one to read, one to write
	}
	switch kms := *c.KMSRequests; c.Name {
	case "SSE-S3":
		if kms != 0 {
			t.Errorf("%d KMS requests, want none", kms)
		}
	case "SSE-KMS":
		if kms != each*c.Requests {
			t.Errorf("%d KMS requests for %d, want %d each", kms, c.Requests, each)
		}
		if least := float64(latency.Milliseconds()); c.P50 < least {
			t.Errorf("a request takes %.1f ms, want at least KMS's %.1f", c.P50, least)
		}
		if _, ok := c.Ratios["SSE-S3"]; !ok {
			t.Errorf("ratios %v lack SSE-S3", c.Ratios)
		}
	case "100 users, 500 policies":
		if kms > 200 {
			t.Errorf("%d KMS requests of 100 users with a bucket key", kms)
		}
		if _, ok := c.Ratios["1 user"]; !ok {
			t.Errorf("ratios %v lack the one user", c.Ratios)
		}
	default:
		if kms > 2 {
			t.Errorf("%d KMS requests with a bucket key", kms)
		}
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	s := coffertest.Start(t)
	wrong := remote(s)
	wrong.Credentials = credentials.NewStaticCredentialsProvider(coffertest.AccessKeyID, "another secret", "")
	for says, cfg := range map[string]bench.Config{
		"neither a program":      {Scale: tiny},
		"no cell matches zzz":    {Remote: remote(s), Scale: tiny, Only: regexp.MustCompile("zzz")},
		"only for the server":    {Remote: remote(s), Scale: tiny, KMSLatency: time.Second},
		"impossible scale":       {Remote: remote(s), Scale: bench.Scale{Small: 1}},
		"at least 1":             {Remote: remote(s), Scale: tiny, Concurrency: -1},
		"SignatureDoesNotMatch":  {Remote: wrong, Scale: tiny, Only: regexp.MustCompile("COPY .*: SSE-S3")},
		"is no URL like http://": {Remote: &bench.Remote{Endpoint: "localhost", Region: "r", Credentials: wrong.Credentials}, Scale: tiny},
		"did not begin to serve": {Program: "/bin/false", Scale: tiny},
	} {
		cfg.Dir = t.TempDir()
		if _, err := bench.Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}
