// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
	"github.com/cofferstore/coffer/test/coffertest"
)

func operator(s *coffertest.Server, secret string) *opsapi.Client {
	return &opsapi.Client{Endpoint: s.URL, Region: coffertest.Region, Credentials: credentials.NewStaticCredentialsProvider(coffertest.AccessKeyID, secret, "")}
}

func TestOperator(t *testing.T) {
	t.Parallel()
	s := start(t, coffertest.Tune(server.Tuning{Version: map[string]string{"version": "v0-test"}}))
	ctx := t.Context()
	o := operator(s, coffertest.SecretAccessKey)
	key := s.Key()
	s.Bucket("vault", "aws:kms", key, true)
	s.Bucket("other", "aws:kms", key, true)
	for _, bucket := range []string{"vault", "other"} {
		s.Put(bucket, "k", strings.Repeat("x", 100_000))
		s.Get(bucket, "k")
	}
	if v, err := o.Version(ctx); err != nil || string(v) != `{"version":"v0-test"}` {
		t.Errorf("version %s, %v", v, err)
	}
	config, err := o.Config(ctx)
	if err != nil || !strings.Contains(string(config), s.Dir) || strings.Contains(string(config), coffertest.SecretAccessKey) {
		t.Errorf("config %s, %v", config, err)
	}
	var events []string
	err = o.Audit(ctx, opsapi.AuditQuery{KMSOnly: true}, func(line []byte) error {
		var r audit.Record
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		events = append(events, r.EventName)
		return nil
	})
	if want := []string{"CreateKey", "GenerateDataKey", "Decrypt", "GenerateDataKey", "Decrypt"}; err != nil || !slices.Equal(events, want) {
		t.Errorf("audit %q, %v, want %q", events, err, want)
	}
	// What is flushed must be asked of KMS again.
	n := len(s.KMSRequests())
	if flushed, err := o.FlushKeys(ctx, "vault", ""); err != nil || flushed < 1 {
		t.Errorf("flushed %d, %v", flushed, err)
	}
	s.Get("other", "k")
	s.Get("vault", "k")
	if got := contexts(s.KMSRequests()[n:]); fmt.Sprint(got) != "[Decrypt arn:aws:s3:::vault]" {
		t.Errorf("after flushing: %q", got)
	}
	if flushed, err := o.FlushKeys(ctx, "", key); err != nil || flushed < 2 {
		t.Errorf("flushed %d of the key, %v", flushed, err)
	}
	if _, err := o.FlushKeys(ctx, "nobody", ""); err == nil || !strings.Contains(err.Error(), "NoSuchBucket") {
		t.Errorf("flushed of no bucket: %v", err)
	}
	for _, deep := range []bool{false, true} {
		var last string
		if err := o.Scrub(ctx, deep, func(report []byte) error { last = string(report); return nil }); err != nil || !strings.Contains(last, "{") {
			t.Errorf("scrub, deep %t: %s, %v", deep, last, err)
		}
	}
	var mine []string
	for _, r := range s.Audit() {
		if r.EventSource == "coffer" {
			mine = append(mine, fmt.Sprint(r.EventName, r.ErrorCode))
		}
	}
	if want := "[GetVersion GetConfig ReadAudit FlushKeys FlushKeys FlushKeysNoSuchBucket Scrub Scrub]"; fmt.Sprint(mine) != want {
		t.Errorf("recorded %s, want %s", mine, want)
	}
}

// TestTheOperatorsAPIIsForRoot: every page of it asks for root's signature, for
// this service; and what asks for none says nothing that matters.
func TestTheOperatorsAPIIsForRoot(t *testing.T) {
	t.Parallel()
	s := start(t)
	pages := 0
	for _, f := range s.Core.Handler().Families() {
		if f.Name != "operator" {
			continue
		}
		for _, op := range f.Ops {
			pages++
			for what, c := range map[string]struct {
				request
				code string
			}{
				"unsigned":      {request{anonymous: true}, "MissingAuthentication"},
				"for S3":        {request{service: "s3"}, "InvalidSignature"},
				"by nobody":     {request{service: "coffer", key: "AKIANOBODY0000000000"}, "UnknownAccessKey"},
				"wrongly":       {request{service: "coffer", secret: "another secret of some length"}, "InvalidSignature"},
				"in the header": {request{anonymous: true, unsigned: []string{"Authorization", "Bearer x"}}, "InvalidSignature"},
			} {
				c.method, c.target = op.Route.Method, op.Route.Path
				a := c.do(s)
				if a.status != 403 && a.status != 400 || !strings.Contains(a.body, `"code":"`+c.code+`"`) {
					t.Errorf("%s %s: %d %s", op.Name, what, a.status, a.body)
				}
			}
		}
	}
	if pages < 5 {
		t.Errorf("%d pages", pages)
	}
	for target, want := range map[string]string{"/-/livez": "ok\n", "/-/readyz": "ok\n", "/-/metrics": "\ncoffer_requests_total{"} {
		get := request{method: "GET", target: target, anonymous: true}
		if a := get.do(s); a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
		get.unsigned = []string{"X-Forwarded-For", "203.0.113.9"}
		if a := get.do(s); a.status != 403 {
			t.Errorf("%s from elsewhere: %d", target, a.status)
		}
	}
	if a := (request{method: "GET", target: "/-/nothing", anonymous: true}).do(s); a.status != 404 {
		t.Errorf("nothing: %d", a.status)
	}
}

// TestMetricsCountKMSRequests: what KMS was asked, by whom, is in the metrics.
func TestMetricsCountKMSRequests(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Bucket("vault", "aws:kms", s.Key(), true)
	for i := range 10 {
		s.Put("vault", fmt.Sprint(i), "x")
		s.Get("vault", fmt.Sprint(i))
	}
	body := request{method: "GET", target: "/-/metrics", anonymous: true}.do(s).body
	for _, want := range []string{
		`coffer_kms_requests_total{operation="GenerateDataKey",outcome="ok",source="s3"} 1`,
		`coffer_kms_requests_total{operation="Decrypt",outcome="ok",source="s3"} 1`,
		`coffer_requests_total{code="",operation="PutObject",service="s3",status="200"} 10`,
		`coffer_requests_total{code="",operation="GetObject",service="s3",status="200"} 10`,
		`coffer_requests_total{code="",operation="CreateKey",service="kms",status="200"} 1`,
	} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if t.Failed() {
		for line := range strings.Lines(body) {
			if strings.HasPrefix(line, "coffer_") {
				t.Log(line)
			}
		}
	}
}
