// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/link/sink"
	"github.com/cofferstore/coffer/internal/link/sink/sinktest"
	"github.com/cofferstore/coffer/internal/secret"
)

// open returns a webhook that sends to a server.
func open(t *testing.T, to *sinktest.Webhook, change func(*Config)) *Webhook {
	t.Helper()
	cfg := Config{Name: "siem", URL: to.URL + "/in?sig=" + sinktest.Secret, Header: "Authorization", Value: "Bearer {token}"}
	if to.Certificate() != nil {
		cfg.Roots = x509.NewCertPool()
		cfg.Roots.AddCert(to.Certificate())
	}
	if change != nil {
		change(&cfg)
	}
	w, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func TestWebhook(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"plain": nil,
		"gzip and credentials": func(c *Config) {
			c.Gzip, c.Token, c.SigningKey = true, secret.New([]byte(sinktest.Secret)), secret.New([]byte(sinktest.Secret))
		},
	} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Harness {
				to := sinktest.NewWebhook(t, true)
				return sinktest.Harness{Sink: open(t, to, change), Inbox: &to.Inbox, Down: to.Down}
			})
		})
	}
}

// The other side can tell that a request is Coffer's, and when it was made.
func TestCredentials(t *testing.T) {
	to := sinktest.NewWebhook(t, true)
	key := secret.New([]byte("a key of sixteen or more"))
	var mistakes []string
	to.Answer(func(_ http.ResponseWriter, r *http.Request, body []byte) bool {
		if got := r.Header.Get("X-Auth"); got != "Splunk tok-1" {
			mistakes = append(mistakes, "header "+got)
		}
		var at int64
		var mac string
		if _, err := fmt.Sscanf(strings.ReplaceAll(r.Header.Get(SignatureHeader), ",", " "), "t=%d v1=%s", &at, &mac); err != nil ||
			mac != Signature(key, time.Unix(at, 0), body) {
			mistakes = append(mistakes, "signature "+r.Header.Get(SignatureHeader))
		}
		return true
	})
	w := open(t, to, func(c *Config) {
		c.Header, c.Value, c.Token, c.SigningKey, c.Gzip = "X-Auth", "Splunk {token}", secret.New([]byte("tok-1")), key, true
	})
	if err := w.Send(t.Context(), [][]byte{[]byte(`{"eventID":"1"}`)}); err != nil || len(mistakes) > 0 {
		t.Errorf("%v, %q", err, mistakes)
	}
}

// Golden: other programs check it.
func TestSignature(t *testing.T) {
	// printf '1784021400.{"Records":[]}' | openssl dgst -sha256 -hmac 'a key of sixteen or more'
	const want = "dc845ba84f843c4d6722a9781c96dcc3814319004831a64646e9cdd7babea784"
	if got := Signature(secret.New([]byte("a key of sixteen or more")), time.Unix(1784021400, 999), []byte(`{"Records":[]}`)); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

// What answers mean. Only class 2 takes records.
func TestAnswers(t *testing.T) {
	elsewhere := sinktest.NewWebhook(t, true)
	for _, test := range []struct {
		status  int
		header  string
		value   string
		taken   bool
		refused bool
		after   time.Duration
	}{
		{200, "", "", true, false, 0}, {202, "", "", true, false, 0}, {204, "Retry-After", "7", true, false, 0},
		{307, "Location", elsewhere.URL, false, true, 0}, {302, "Location", "/in", false, true, 0},
		{400, "", "", false, true, 0}, {401, "Retry-After", "7", false, true, 0}, {404, "", "", false, true, 0}, {413, "", "", false, true, 0},
		{408, "", "", false, false, 0}, {425, "", "", false, false, 0},
		{429, "Retry-After", "7", false, false, 7 * time.Second}, {503, "Retry-After", "120", false, false, 2 * time.Minute},
		{503, "Retry-After", "soon", false, false, 0}, {503, "Retry-After", "-5", false, false, 0}, {500, "", "", false, false, 0},
	} {
		to := sinktest.NewWebhook(t, true)
		to.Answer(func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			if test.header != "" {
				w.Header().Set(test.header, test.value)
			}
			w.WriteHeader(test.status)
			return false
		})
		err := open(t, to, nil).Send(t.Context(), [][]byte{[]byte(`{"eventID":"1"}`)})
		if test.taken {
			if err != nil {
				t.Errorf("%d: %v", test.status, err)
			}
			continue
		}
		var told *sink.Error
		if !errors.As(err, &told) || told.Refused != test.refused || told.After != test.after || strings.Contains(err.Error(), sinktest.Secret) {
			t.Errorf("%d %s: %+v", test.status, test.value, err)
		}
	}
	if n := len(elsewhere.Inbox.Await(0)); n != 0 {
		t.Errorf("%d records went to another server", n)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 7, 14, 9, 30, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "30": 30 * time.Second, "Tue, 14 Jul 2026 09:31:00 GMT": time.Minute, "Tue, 14 Jul 2026 09:29:00 GMT": 0, "99999999999999999999": 0,
	} {
		if got := after(header, now); got != want {
			t.Errorf("Retry-After %q is %v, want %v", header, got, want)
		}
	}
}

// An answer without end is not read.
func TestLongAnswer(t *testing.T) {
	to := sinktest.NewWebhook(t, true)
	to.Answer(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		block := make([]byte, 64<<10)
		for {
			if _, err := w.Write(block); err != nil {
				return false
			}
		}
	})
	if err := open(t, to, nil).Send(t.Context(), [][]byte{[]byte(`{"eventID":"1"}`)}); err != nil {
		t.Error(err)
	}
}

// An answer whose body does not end is not waited for: its head came.
func TestAnswerThatStandsStill(t *testing.T) {
	to := sinktest.NewWebhook(t, true)
	to.Answer(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // the client's going
		return false
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := open(t, to, nil).Send(ctx, [][]byte{[]byte(`{"eventID":"1"}`)}); err != nil || ctx.Err() != nil {
		t.Error(err, ctx.Err())
	}
}

// A server for which nobody vouches gets neither records nor token.
func TestUnknownServer(t *testing.T) {
	to := sinktest.NewWebhook(t, true)
	w := open(t, to, func(c *Config) { c.Roots = x509.NewCertPool() })
	if err := w.Send(t.Context(), [][]byte{[]byte(`{"eventID":"1"}`)}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v", err)
	}
}

func TestRefusedURLs(t *testing.T) {
	for _, u := range []string{"", "siem.example", "ftp://siem.example/", "https://user:" + sinktest.Secret + "@siem.example/", "https://[::1", "https:///in"} {
		if _, err := New(Config{Name: "siem", URL: u}); err == nil || strings.Contains(err.Error(), sinktest.Secret) {
			t.Errorf("%s: %v", u, err)
		}
	}
}
