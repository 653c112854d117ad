// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestWhoSeesHealth(t *testing.T) {
	s := newStation(t, func(a *API) { a.Peers = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	tests := []struct {
		name, method, url, peer string
		headers                 []string
		status                  int
	}{
		{"loopback", "GET", "http://h/-/livez", "127.0.0.1:1", nil, 200},
		{"loopback of IPv6", "GET", "http://h/-/livez", "[::1]:1", nil, 200},
		{"head", "HEAD", "http://h/-/livez", "127.0.0.1:1", nil, 200},
		{"listed peer", "GET", "http://h/-/livez", "10.1.2.3:1", nil, 200},
		{"anybody", "GET", "http://h/-/livez", "203.0.113.9:1", nil, 403},
		{"anybody who says otherwise", "GET", "http://h/-/metrics", "203.0.113.9:1", []string{"X-Forwarded-For", "127.0.0.1"}, 403},
		{"a proxy on loopback", "GET", "http://h/-/metrics", "127.0.0.1:1", []string{"X-Forwarded-For", "203.0.113.9"}, 403},
		{"the same by another header", "GET", "http://h/-/readyz", "127.0.0.1:1", []string{"Forwarded", "for=203.0.113.9"}, 403},
		{"another method", "POST", "http://h/-/livez", "127.0.0.1:1", nil, 405},
		{"no page", "GET", "http://h/-/nothing", "127.0.0.1:1", nil, 404},
		{"a domain itself", "GET", "http://localhost:9000/-/livez", "127.0.0.1:1", nil, 200},
		{"a bucket's host", "GET", "http://photos.localhost:9000/-/livez", "127.0.0.1:1", nil, http.StatusTeapot},
		{"a bucket's host with dots", "GET", "http://my.photos.S3.example.com/-/livez", "127.0.0.1:1", nil, http.StatusTeapot},
		{"a bucket's host, operator's API", "GET", "http://photos.localhost/-/api/version", "127.0.0.1:1", nil, http.StatusTeapot},
		{"another path", "GET", "http://h/-", "127.0.0.1:1", nil, http.StatusTeapot},
	}
	for _, test := range tests {
		if w := s.get(test.method, test.url, test.peer, test.headers...); w.Code != test.status {
			t.Errorf("%s: %d, want %d", test.name, w.Code, test.status)
		}
	}
}

func TestReadiness(t *testing.T) {
	sick := true
	check := func(context.Context) error {
		if sick {
			return errors.New("the disk of customer 17 is on fire")
		}
		return nil
	}
	s := newStation(t, func(a *API) {
		a.Checks = []Check{
			{"metadata", check},
			{"trail", func(context.Context) error { return nil }},
			{"key store", check},
		}
	})
	w := s.get("GET", "http://h/-/readyz", "127.0.0.1:1")
	if w.Code != 503 || w.Body.String() != "not ready: metadata, key store\n" {
		t.Errorf("answered %d %q", w.Code, w.Body)
	}
	if w := s.get("GET", "http://h/-/livez", "127.0.0.1:1"); w.Code != 200 {
		t.Errorf("not ready is not dead: %d", w.Code)
	}
	sick = false
	if w := s.get("GET", "http://h/-/readyz", "127.0.0.1:1"); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("answered %d %q", w.Code, w.Body)
	}
}

func TestMetrics(t *testing.T) {
	s := newStation(t, func(a *API) {
		reg := prometheus.NewRegistry()
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "coffer_kms_requests_total", Help: "KMS requests."})
		reg.MustRegister(c)
		c.Add(7)
		a.Metrics = reg
	})
	w := s.get("GET", "http://h/-/metrics", "127.0.0.1:1")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "\ncoffer_kms_requests_total 7\n") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("answered %d %s as %s", w.Code, w.Body, w.Header().Get("Content-Type"))
	}
}
