// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
)

// says checks that an error is one line with all the parts.
func says(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q does not say %q in a line", what, err, part)
		}
	}
}

func TestWhoOperates(t *testing.T) {
	s := newStation(t, func(a *API) {
		a.FlushKeys = func(context.Context, string, string) (int, error) { t.Error("called"); return 0, nil }
	})
	ctx := t.Context()
	_, err := s.as("AKIAUSER", password).FlushKeys(ctx, "", "")
	says(t, "a user", err, "AccessDenied", "coffer:FlushKeys")
	_, err = s.as("AKIANOBODY", password).Version(ctx)
	says(t, "an unknown key", err, "UnknownAccessKey")
	_, err = s.as("AKIAROOT", password+"!").Version(ctx)
	says(t, "a wrong secret", err, "InvalidSignature", "compare the secret access key")
	abroad := *s.Client
	abroad.Region = "eu-west-1"
	_, err = abroad.Version(ctx)
	says(t, "another region", err, "InvalidSignature", "us-east-1")
	w := s.get("POST", "http://h/-/api/keys/flush", "127.0.0.1:1")
	if w.Code != 403 || !strings.Contains(w.Body.String(), `"code":"MissingAuthentication"`) {
		t.Errorf("unsigned: %d %s", w.Code, w.Body)
	}
	for _, page := range []string{"audit", "version", "config", "nothing"} {
		if w := s.get("GET", "http://h/-/api/"+page, "127.0.0.1:1"); w.Code != 403 && w.Code != 404 {
			t.Errorf("%s, unsigned: %d %s", page, w.Code, w.Body)
		}
	}
}

func TestSettings(t *testing.T) {
	s := newStation(t, nil)
	if v, err := s.Version(t.Context()); err != nil || string(v) != `{"version":"v1"}` {
		t.Errorf("version %s, %v", v, err)
	}
	if v, err := s.Config(t.Context()); err != nil || string(v) != `{"region":"us-east-1"}` {
		t.Errorf("config %s, %v", v, err)
	}
}

func TestParameters(t *testing.T) {
	s := newStation(t, nil)
	for query, text := range map[string]string{
		"kms=yes":         "either 1 or 0",
		"kms=1&kms=1":     "more than once",
		"sinse=2026":      "no parameter",
		"since=yesterday": "is a time like",
		"limit=-1":        "number of records",
		"limit=many":      "number of records",
	} {
		p := map[string][]string{}
		for _, pair := range strings.Split(query, "&") {
			name, value, _ := strings.Cut(pair, "=")
			p[name] = append(p[name], value)
		}
		says(t, query, s.lines(t.Context(), "GET", "audit", p, nil), "InvalidParameter", text)
	}
	_, err := s.FlushKeys(t.Context(), "", "alias/mine")
	says(t, "an alias", err, "InvalidParameter", "ARN")
}

// events reads names of events.
func (s *station) events(q AuditQuery) (names []string) {
	s.t.Helper()
	err := s.Audit(s.t.Context(), q, func(line []byte) error {
		var r audit.Record
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		if r.EventName != "ReadAudit" { // what the test itself does
			names = append(names, r.EventName)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}

func TestAudit(t *testing.T) {
	s := newStation(t, nil)
	old, now := time.Now().Add(-48*time.Hour), time.Now()
	s.record("kms.amazonaws.com", "Decrypt", old)
	s.record("s3.amazonaws.com", "GetObject", old)
	s.record("kms.amazonaws.com", "Encrypt", now)
	s.record("s3.amazonaws.com", "PutObject", now)
	for _, test := range []struct {
		q    AuditQuery
		want []string
	}{
		{AuditQuery{}, []string{"Decrypt", "GetObject", "Encrypt", "PutObject"}},
		{AuditQuery{KMSOnly: true}, []string{"Decrypt", "Encrypt"}},
		{AuditQuery{KMSOnly: true, Limit: 1}, []string{"Encrypt"}},
		{AuditQuery{Since: now.Add(-time.Hour)}, []string{"Encrypt", "PutObject"}},
	} {
		if diff := cmp.Diff(test.want, s.events(test.q)); diff != "" {
			t.Errorf("%+v: %s", test.q, diff)
		}
	}
}

// TestFollow watches the trail for longer than any deadline of a connection.
func TestFollow(t *testing.T) {
	stopping := make(chan struct{})
	s := newStation(t, func(a *API) { a.Stopping = stopping })
	s.record("kms.amazonaws.com", "First", time.Now())
	var seen []string
	err := s.Audit(t.Context(), AuditQuery{KMSOnly: true, Follow: true}, func(line []byte) error {
		var r audit.Record
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		seen = append(seen, r.EventName)
		switch r.EventName {
		case "First":
			s.record("kms.amazonaws.com", "Second", time.Now())
		case "Second":
			s.record("kms.amazonaws.com", "Third", time.Now())
		case "Third":
			close(stopping)
		}
		return nil
	})
	says(t, "a server that stops", err, "is stopping")
	if want := []string{"First", "Second", "Third"}; !slices.Equal(seen, want) {
		t.Errorf("followed %q, want %q", seen, want)
	}
}

func TestFollowEndsWithItsClient(t *testing.T) {
	s := newStation(t, nil)
	s.record("kms.amazonaws.com", "First", time.Now())
	enough := errors.New("enough")
	err := s.Audit(t.Context(), AuditQuery{Follow: true}, func([]byte) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("ended with %v", err)
	}
	s.server.Close() // waits for the answer to end
}

func TestFlushKeys(t *testing.T) {
	const key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	s := newStation(t, func(a *API) {
		a.FlushKeys = func(_ context.Context, b, k string) (int, error) {
			if b == "none" {
				return 0, bucket.NoSuchBucket
			}
			if b != "photos & co" || k != key {
				t.Errorf("flushed %q under %q", b, k)
			}
			return 3, nil
		}
	})
	if n, err := s.FlushKeys(t.Context(), "photos & co", key); n != 3 || err != nil {
		t.Errorf("flushed %d, %v", n, err)
	}
	var last audit.Record
	if err := audit.Read(t.Context(), s.api.AuditDir, audit.Filter{}, func(e audit.Entry) error { last = e.Record; return nil }); err != nil {
		t.Fatal(err)
	}
	if last.EventName != "FlushKeys" || last.EventSource != "coffer" || last.ReadOnly || last.RequestParameters["key"] != key || last.ResponseElements["flushed"] != 3.0 {
		t.Errorf("recorded as %+v", last)
	}
	_, err := s.FlushKeys(t.Context(), "none", "")
	says(t, "no bucket", err, "NoSuchBucket")
}

// progress is a report as a scrub makes them.
type progress struct {
	Rows int  `json:"rows"`
	Done bool `json:"done"`
}

func TestScrub(t *testing.T) {
	var s *station
	s = newStation(t, func(a *API) {
		a.Scrub = func(ctx context.Context, deep bool, report func(any)) error {
			if !deep {
				t.Error("the scrub is not deep")
			}
			report(progress{Rows: 1})
			// The first report is with its client while the scrub runs.
			says(t, "another scrub", s.Scrub(ctx, true, nil), "ScrubRunning")
			report(progress{Rows: 2, Done: true})
			return nil
		}
	})
	for range 2 { // one after the other is well
		var got []string
		err := s.Scrub(t.Context(), true, func(line []byte) error { got = append(got, string(line)); return nil })
		if want := []string{`{"rows":1,"done":false}`, `{"rows":2,"done":true}`}; err != nil || !slices.Equal(got, want) {
			t.Errorf("reports %q, %v", got, err)
		}
	}
}

func TestScrubThatFails(t *testing.T) {
	s := newStation(t, func(a *API) {
		a.Scrub = func(_ context.Context, _ bool, report func(any)) error {
			report(progress{Rows: 1})
			return errors.New("internal affairs")
		}
	})
	err := s.Scrub(t.Context(), false, func([]byte) error { return nil })
	says(t, "a failure", err, "broke off", "log")
	if strings.Contains(err.Error(), "affairs") {
		t.Errorf("the client learns %q", err)
	}
}

func TestScrubEndsWithItsClient(t *testing.T) {
	ended := make(chan error, 1)
	s := newStation(t, func(a *API) {
		a.Scrub = func(ctx context.Context, _ bool, report func(any)) error {
			report(progress{Rows: 1})
			<-ctx.Done()
			ended <- ctx.Err()
			return ctx.Err()
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Scrub(ctx, false, func([]byte) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	<-ended
}

// TestNothingRunsUnrecorded has a trail that keeps nothing.
func TestNothingRunsUnrecorded(t *testing.T) {
	s := newStation(t, func(a *API) {
		a.Scrub = func(context.Context, bool, func(any)) error { t.Error("a scrub ran"); return nil }
	})
	if err := s.trail.Close(); err != nil {
		t.Fatal(err)
	}
	says(t, "no trail", s.Scrub(t.Context(), false, nil), "Unavailable")
}

func TestClientsOfNothing(t *testing.T) {
	ctx := t.Context()
	s := newStation(t, nil)
	c := *s.Client

	s.server.Close()
	_, err := c.Version(ctx)
	says(t, "nobody listens", err, c.Endpoint, "coffer serve", "AWS_ENDPOINT_URL")

	for _, body := range []string{"<Error/>", "{}", ""} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, body)
		}))
		c.Endpoint = other.URL
		_, err = c.Version(ctx)
		other.Close()
		says(t, "another server", err, other.URL, "403", "no Coffer server")
	}

	for _, endpoint := range []string{"localhost:9000", "", "ftp://x", "http://"} {
		c.Endpoint = endpoint
		_, err = c.Version(ctx)
		says(t, endpoint, err, "no URL", "AWS_ENDPOINT_URL")
	}

	c.Endpoint, c.Credentials = s.server.URL, aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("many\nlines")
	}))
	_, err = c.Version(ctx)
	says(t, "no credentials", err, "AWS_ACCESS_KEY_ID")
}
