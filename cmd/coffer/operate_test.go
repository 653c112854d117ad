// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/iam/iamtest"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// rootKey is the one access key of the server that these tests operate.
type rootKey struct{}

func (rootKey) Credential(_ context.Context, id, _ string) (sigv4.Credential, error) {
	if id != "AKIAROOT" {
		return sigv4.Credential{}, iam.NoSuchAccessKey
	}
	return sigv4.Credential{Secret: secret.New([]byte("the secret of the root")), Principal: iam.Principal{
		Type: iam.Root, Account: "111122223333", ARN: "arn:aws:iam::111122223333:root", AccessKeyID: id,
	}}, nil
}

// operated serves an operator's API whose trail is in a data directory, and has
// the environment lead to it.
func operated(t *testing.T, api *opsapi.API) (data string, trail *audit.Trail) {
	t.Helper()
	data = t.TempDir()
	api.AuditDir, api.Metrics = server.AuditDir(data), prometheus.NewRegistry()
	trail, err := audit.Open(t.Context(), api.AuditDir, audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	api.Trail = trail
	t.Cleanup(func() { trail.Close() })
	s := httptest.NewServer(pipeline.New(pipeline.Config{
		Region: "eu-central-1", Verifier: sigv4.New(rootKey{}, sigv4.Config{Region: "eu-central-1"}),
		Authorize: iamtest.New(t, mem.New(), "111122223333").Authorize, Trail: trail, Log: slog.New(slog.DiscardHandler),
	}, api.Families()...))
	t.Cleanup(s.Close)
	leadTo(t, s.URL)
	return data, trail
}

// leadTo sets the environment of a client.
func leadTo(t *testing.T, url string) {
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": url, "AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-central-1", "AWS_PROFILE": "",
		"AWS_ACCESS_KEY_ID": "AKIAROOT", "AWS_SECRET_ACCESS_KEY": "the secret of the root", "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": filepath.Join(t.TempDir(), "none"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(t.TempDir(), "none"),
	} {
		t.Setenv(name, value)
	}
}

// command runs a command line.
func command(t *testing.T, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	exit = run(t.Context(), args, &out, &errs)
	return exit, out.String(), errs.String()
}

var (
	keyARN   = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	opened   = time.Date(2026, 3, 4, 5, 12, 1, 0, time.UTC)
	byBucket = audit.Record{
		EventTime: opened, EventSource: "kms.amazonaws.com", EventName: "Decrypt",
		UserIdentity:        audit.Identity{Type: iam.Root, ARN: "arn:aws:iam::111122223333:root", InvokedBy: audit.InvokedByS3},
		RequestParameters:   map[string]any{"encryptionContext": map[string]any{"tenant": "t-17", "aws:s3:arn": "arn:aws:s3:::photos"}},
		AdditionalEventData: map[string]any{"cofferGeneration": "0e2c9f4a-6c1b-4c5e-9c0a-3b0a3a1c6d11"},
		Resources:           []audit.Resource{{Type: "AWS::KMS::Key", ARN: keyARN}},
	}
	refusedPut = audit.Record{
		EventTime: opened, EventSource: "s3.amazonaws.com", EventName: "PutObject", ErrorCode: "AccessDenied", ErrorMessage: "Access Denied",
		UserIdentity: audit.Identity{Type: iam.Anonymous, AccountID: "anonymous"},
		Resources: []audit.Resource{
			{Type: "AWS::S3::Object", ARN: "arn:aws:s3:::photos/\x1b[31mred\n"}, {Type: "AWS::S3::Bucket", ARN: "arn:aws:s3:::photos"},
		},
	}
	rotated = audit.Record{
		EventTime: opened, EventSource: "kms.amazonaws.com", EventName: "RotateKey",
		UserIdentity: audit.Identity{AccountID: "111122223333", InvokedBy: "AWS Internal"},
	}
)

const (
	byBucketLine = "2026-03-04T05:12:01Z  Decrypt           arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" +
		"  {aws:s3:arn=arn:aws:s3:::photos, tenant=t-17}  generation=0e2c9f4a-6c1b-4c5e-9c0a-3b0a3a1c6d11" +
		"  by=arn:aws:iam::111122223333:root via fas.s3.amazonaws.com\n"
	refusedPutLine = `2026-03-04T05:12:01Z  PutObject         "arn:aws:s3:::photos/\x1b[31mred\n"  by=anonymous  error=AccessDenied: Access Denied` + "\n"
	rotatedLine    = "2026-03-04T05:12:01Z  RotateKey         -  by=AWS Internal\n"
)

// keep appends records to a trail.
func keep(t *testing.T, trail *audit.Trail, records ...audit.Record) {
	t.Helper()
	for _, r := range records {
		if err := trail.Append(t.Context(), r, true); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAuditTail(t *testing.T) {
	data, trail := operated(t, &opsapi.API{})
	keep(t, trail, byBucket, refusedPut, rotated)
	for _, test := range []struct{ args, want string }{
		{"--kms", byBucketLine + rotatedLine},
		{"--kms --limit 1", rotatedLine},
		{"--kms --since 2026-03-04T05:12:02Z", ""},
		{"--kms --since 2026-03-04T05:12:01Z", byBucketLine + rotatedLine},
	} {
		for _, where := range []string{"", " --data " + data} {
			exit, stdout, stderr := command(t, strings.Fields("audit tail "+test.args+where)...)
			if exit != 0 || stdout != test.want || stderr != "" {
				t.Errorf("audit tail %s%s: %d\n%s%s\nwant\n%s", test.args, where, exit, stdout, stderr, test.want)
			}
		}
	}
	exit, stdout, stderr := command(t, "audit", "tail", "--data", data, "--limit", "0")
	if want := byBucketLine + refusedPutLine + rotatedLine; exit != 0 || !strings.HasPrefix(stdout, want) || stderr != "" {
		t.Errorf("all: %d\n%s%s\nwant\n%s", exit, stdout, stderr, want)
	}
	exit, stdout, _ = command(t, "audit", "tail", "--kms", "--json", "--limit", "1")
	if exit != 0 || strings.Count(stdout, "\n") != 1 || !strings.Contains(stdout, `"eventName":"RotateKey"`) {
		t.Errorf("JSON: %d %s", exit, stdout)
	}
}

// watched is a writer that tells what was written to it.
type watched chan string

func (w watched) Write(p []byte) (int, error) { w <- string(p); return len(p), nil }

func TestAuditTailFollows(t *testing.T) {
	data, trail := operated(t, &opsapi.API{})
	for _, args := range [][]string{{}, {"--data", data}} {
		keep(t, trail, rotated)
		ctx, interrupt := context.WithCancel(t.Context())
		out, ended := make(watched), make(chan int)
		go func() {
			ended <- run(ctx, append([]string{"audit", "tail", "--kms", "--follow", "--limit", "1"}, args...), out, &bytes.Buffer{})
		}()
		if got := <-out; got != rotatedLine {
			t.Errorf("begins with %s", got)
		}
		keep(t, trail, byBucket)
		if got := <-out; got != byBucketLine {
			t.Errorf("goes on with %s", got)
		}
		interrupt()
		if exit := <-ended; exit != 0 {
			t.Errorf("interrupted: %d", exit)
		}
	}
}

func TestKeysFlush(t *testing.T) {
	var asked []string
	operated(t, &opsapi.API{FlushKeys: func(_ context.Context, b, k string) (int, error) {
		asked = append(asked, b+" "+k)
		if b == "none" {
			return 0, bucket.NoSuchBucket
		}
		return 2, nil
	}})
	exit, stdout, stderr := command(t, "keys", "flush", "--bucket", "photos", "--key", keyARN)
	if exit != 0 || stdout != "2 bucket keys flushed\n" || stderr != "" || asked[0] != "photos "+keyARN {
		t.Errorf("%d %q %q, asked %q", exit, stdout, stderr, asked)
	}
	exit, _, stderr = command(t, "keys", "flush", "--bucket", "none")
	if exit != 1 || !strings.HasPrefix(stderr, "coffer: NoSuchBucket: The specified bucket does not exist") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("%d %q", exit, stderr)
	}
}

func TestScrub(t *testing.T) {
	var end object.ScrubReport
	api := &opsapi.API{}
	api.Scrub = func(_ context.Context, deep bool, report func(any)) error {
		if !deep {
			t.Error("the scrub is not deep")
		}
		report(object.ScrubReport{Rows: 1})
		report(end)
		return nil
	}
	operated(t, api)
	for _, test := range []struct {
		name           string
		report         object.ScrubReport
		args           string
		exit           int
		stdout, stderr string
	}{
		{"clean", object.ScrubReport{Rows: 12, Streams: 3, Bytes: 4096, Opened: 2, Done: true}, "", 0,
			"12 rows, 3 streams, 4096 bytes, 2 opened: nothing is damaged\n", ""},
		{"damage", object.ScrubReport{Rows: 12, Done: true, Damaged: []object.Damage{
			{Bucket: "photos", Key: "a b", Stream: "77", What: "its CRC differs"}, {What: "row i/root"},
		}}, "", 1, "damaged: s3://photos/a b (stream 77): its CRC differs\ndamaged: metadata: row i/root\n12 rows, 0 streams, 0 bytes: 2 damaged\n",
			"coffer: scrub: 2 damaged\n"},
		{"JSON", object.ScrubReport{Rows: 12, Done: true}, "--json", 0, `{"rows":12,"streams":0,"bytes":0,"opened":0,"done":true}` + "\n", ""},
		{"cut short", object.ScrubReport{Rows: 5}, "", 1, "", "coffer: scrub: the server ended it after 5 rows, 0 streams, 0 bytes\n"},
	} {
		end = test.report
		exit, stdout, stderr := command(t, append([]string{"scrub", "--deep"}, strings.Fields(test.args)...)...)
		if exit != test.exit || stdout != test.stdout || stderr != test.stderr {
			t.Errorf("%s: %d\n%s%s\nwant %d\n%s%s", test.name, exit, stdout, stderr, test.exit, test.stdout, test.stderr)
		}
	}
}

func TestCommandsThatCannotWork(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	leadTo(t, closed.URL)
	for _, test := range []struct{ args, says string }{
		{"audit tail", "no server listens at " + closed.URL},
		{"keys flush", "no server listens at " + closed.URL},
		{"scrub", "no server listens at " + closed.URL},
		{"audit tail --since yesterday", "--since yesterday is neither"},
		{"audit tail --limit -1", "--limit is a number"},
		{"audit tail --data " + t.TempDir(), "is no data directory of Coffer"},
		{"keys", ""},
	} {
		exit, _, stderr := command(t, strings.Fields(test.args)...)
		if test.says != "" && (exit != 1 || !strings.Contains(stderr, test.says) || strings.Count(stderr, "\n") != 1) {
			t.Errorf("%s: %d %q, want one line that says %q", test.args, exit, stderr, test.says)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if exit, _, stderr := command(t, "scrub"); exit != 1 || !strings.Contains(stderr, "set AWS_ACCESS_KEY_ID") {
		t.Errorf("without credentials: %d %q", exit, stderr)
	}
}

func TestSince(t *testing.T) {
	for text, want := range map[string]time.Time{
		"":                          {},
		"15m":                       opened.Add(-15 * time.Minute),
		"2026-03-04T06:12:01+01:00": opened,
	} {
		if got, err := parseSince(text, opened); err != nil || !got.Equal(want) {
			t.Errorf("since %q is %v, %v; want %v", text, got, err, want)
		}
	}
	if _, err := parseSince("-15m", opened); err == nil {
		t.Error("took a time to come")
	}
}
