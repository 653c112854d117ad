// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/secret"
)

// AuditSinks are the settings of where audit records are sent.
type AuditSinks struct {
	AuditWebhooks      []AuditSink
	AuditWebhookHeader TokenHeader
	AuditWebhookGzip   bool
	AuditWebhookCA     string
	AuditWebhookEvents []string // of management, data, kms
	AuditSyslogs       []AuditSink
	AuditSyslogCA      string
	AuditSyslogCert    string
	AuditSyslogKey     string
	AuditSyslogEvents  []string
	AuditSinkStart     string // Now or Oldest

	// Read from the files that the settings name; nil where there is none.
	AuditWebhookRoots      *x509.CertPool
	AuditSyslogRoots       *x509.CertPool
	AuditSyslogCertificate *tls.Certificate

	auditTokens, auditSigningKeys secret.Bytes // as given; AuditWebhooks have their own
}

// AuditSink is a server that audit records are sent to.
type AuditSink struct {
	Name string // as given, or else its host
	URL  string // https, tls or tcp; http for this machine
	// Of a webhook; empty for none.
	Token, SigningKey secret.Bytes

	text string // as given
}

// String returns the sink as it was given.
func (s AuditSink) String() string { return s.text }

// Host returns the host and port of its URL.
func (s AuditSink) Host() string {
	_, rest, _ := strings.Cut(s.URL, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// TLS reports whether it is reached over TLS.
func (s AuditSink) TLS() bool {
	return strings.HasPrefix(s.URL, "tls:") || strings.HasPrefix(s.URL, "https:")
}

const (
	maxAuditSinks  = 16 // of a kind
	leastSigning   = 16 // characters
	allEvents      = "management,data,kms"
	maxTokenHeader = 256
	// TokenPlaceholder stands for the token in AuditWebhookHeader.
	TokenPlaceholder   = "{token}"
	defaultTokenHeader = "Authorization: Bearer " + TokenPlaceholder
)

// named splits a name off a sink's URL.
func named(text string) (AuditSink, *url.URL, error) {
	s := AuditSink{URL: text, text: text}
	if name, rest, ok := strings.Cut(text, "="); ok && !strings.Contains(name, "/") {
		if !labelForm.MatchString(name) {
			return AuditSink{}, nil, fmt.Errorf("%q is not a name of lower-case letters, digits and dashes", name)
		}
		s.Name, s.URL = name, rest
	}
	u, err := url.Parse(s.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return AuditSink{}, nil, errors.New("is not a URL with a host") // which may have a secret in it
	case u.User != nil:
		return AuditSink{}, nil, fmt.Errorf("the URL of %s has credentials in it: give them as a secret", u.Host)
	case u.Fragment != "":
		return AuditSink{}, nil, fmt.Errorf("the URL of %s has a fragment, which no server sees", u.Host)
	case u.Port() != "" && !validPort(u.Port()):
		return AuditSink{}, nil, fmt.Errorf("the URL of %s has no port from 1 to 65535", u.Host)
	}
	if s.Name == "" {
		s.Name = u.Host
	}
	return s, u, nil
}

var portForm = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)

func validPort(port string) bool {
	return portForm.MatchString(port) && (len(port) < 5 || port <= "65535")
}

// webhook parses [name=]URL.
func webhook(text string) (AuditSink, error) {
	s, u, err := named(text)
	switch {
	case err != nil:
		return AuditSink{}, err
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return s, nil
	case u.Scheme == "http":
		return AuditSink{}, fmt.Errorf("the URL of %s would send audit records in clear: use https", u.Host)
	}
	return AuditSink{}, fmt.Errorf("the URL of %s does not begin with https://", u.Host)
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// syslog parses [name=]tls://host:port.
func syslog(text string) (AuditSink, error) {
	s, u, err := named(text)
	switch {
	case err != nil:
		return AuditSink{}, err
	case u.Scheme == "udp":
		return AuditSink{}, fmt.Errorf("UDP to %s would lose records: use tls or tcp", u.Host)
	case u.Scheme != "tls" && u.Scheme != "tcp":
		return AuditSink{}, fmt.Errorf("the URL of %s does not begin with tls:// or tcp://", u.Host)
	case u.Path != "" || u.RawQuery != "":
		return AuditSink{}, fmt.Errorf("the URL of %s has more than a host and a port", u.Host)
	case u.Port() == "":
		return AuditSink{}, fmt.Errorf("the URL of %s has no port; that of syslog over TLS is 6514", u.Host)
	}
	return s, nil
}

// TokenHeader is a header with a token.
type TokenHeader struct{ Name, Value string } // Value has TokenPlaceholder in it

// String returns it as it is given.
func (h TokenHeader) String() string { return h.Name + ": " + h.Value }

var (
	headerForm = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	valueForm  = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?$`)
	ownHeaders = []string{"host", "user-agent", "connection", "transfer-encoding", "trailer", "te", "upgrade", "expect", "coffer-signature"}
)

func tokenHeader(text string) (TokenHeader, error) {
	name, value, ok := strings.Cut(text, ":")
	h := TokenHeader{name, strings.TrimSpace(value)}
	lower := strings.ToLower(name)
	switch {
	case !ok || !headerForm.MatchString(name) || len(text) > maxTokenHeader || !valueForm.MatchString(h.Value):
		return TokenHeader{}, fmt.Errorf("%q is not a header like %q", text, defaultTokenHeader)
	case strings.Count(h.Value, TokenPlaceholder) != 1:
		return TokenHeader{}, fmt.Errorf("%q does not say by one %s where the token goes; the token itself is given as a secret", name, TokenPlaceholder)
	case strings.HasPrefix(lower, "content-") || slices.Contains(ownHeaders, lower):
		return TokenHeader{}, fmt.Errorf("the header %s is not for a token", name)
	}
	return h, nil
}

// events parses kinds of audit events.
func events(text string) ([]string, error) {
	kinds, err := list(func(kind string) (string, error) {
		if !slices.Contains(strings.Split(allEvents, ","), kind) {
			return "", fmt.Errorf("%q is not management, data or kms", kind)
		}
		return kind, nil
	})(text)
	if err == nil && len(kinds) == 0 {
		err = errors.New("names no events; to send none, leave out where they go")
	}
	return kinds, err
}

// auditSinks checks what is said of sinks together, and reads the files that it names.
func (l *loader) auditSinks() {
	c := l.config
	for _, kind := range []struct {
		name  string
		sinks []AuditSink
		needy []string // settings that mean nothing without a sink
	}{
		{"audit-webhook", c.AuditWebhooks, []string{"audit-webhook-header", "audit-webhook-gzip", "audit-webhook-ca", "audit-webhook-events", "audit-webhook-token", "audit-webhook-signing-key"}},
		{"audit-syslog", c.AuditSyslogs, []string{"audit-syslog-ca", "audit-syslog-cert", "audit-syslog-key", "audit-syslog-events"}},
	} {
		l.distinct(kind.name, kind.sinks)
		if len(kind.sinks) > 0 || slices.ContainsFunc(l.mistakes, func(m Mistake) bool { return m.Setting == kind.name }) {
			continue
		}
		for _, name := range kind.needy {
			if l.given(name) {
				l.mistake(name, c.origins[name], "needs %s too", kind.name)
			}
		}
	}
	if l.given("audit-webhook-header") && len(c.AuditWebhooks) > 0 && !l.given("audit-webhook-token") {
		l.mistake("audit-webhook-header", c.origins["audit-webhook-header"], "needs audit-webhook-token too")
	}
	l.webhookSecrets("audit-webhook-token", c.auditTokens, func(w *AuditSink, s secret.Bytes) error {
		if !valueForm.Match(s.Reveal()) {
			return errors.New("has characters that no header can have")
		}
		w.Token = s
		return nil
	})
	l.webhookSecrets("audit-webhook-signing-key", c.auditSigningKeys, func(w *AuditSink, s secret.Bytes) error {
		if s.Len() < leastSigning {
			return fmt.Errorf("has %d characters; it needs at least %d", s.Len(), leastSigning)
		}
		w.SigningKey = s
		return nil
	})
	c.AuditWebhookRoots = l.roots("audit-webhook-ca", c.AuditWebhookCA)
	c.AuditSyslogRoots = l.roots("audit-syslog-ca", c.AuditSyslogCA)
	if c.AuditSyslogCert != "" && c.AuditSyslogKey != "" {
		pair, err := tls.LoadX509KeyPair(c.AuditSyslogCert, c.AuditSyslogKey)
		if err != nil {
			l.mistake("audit-syslog-cert", c.origins["audit-syslog-cert"], "cannot be used with audit-syslog-key: %s", err)
		}
		c.AuditSyslogCertificate = &pair
	}
}

// given reports whether a setting was set to something else than its default.
func (l *loader) given(name string) bool {
	s, _ := find(func(s setting) bool { return s.name == name })
	if s.secret {
		return l.config.origins[name] != ""
	}
	return s.get(l.config) != s.def
}

// distinct checks that sinks of a kind can be told apart and are few.
func (l *loader) distinct(setting string, sinks []AuditSink) {
	origin := l.config.origins[setting]
	if len(sinks) > maxAuditSinks {
		l.mistake(setting, origin, "has %d servers; %d are the most", len(sinks), maxAuditSinks)
	}
	seen := map[string]bool{}
	for _, s := range sinks {
		if seen[s.Name] {
			l.mistake(setting, origin, "has %s twice: give each another name, like first=%s", s.Name, strings.TrimPrefix(s.text, s.Name+"="))
		}
		seen[s.Name] = true
	}
}

// webhookSecrets gives webhooks their secrets: the only one the whole text, and several
// one each from a line with its name. A secret for one server must not reach another.
func (l *loader) webhookSecrets(setting string, text secret.Bytes, give func(*AuditSink, secret.Bytes) error) {
	webhooks, origin := l.config.AuditWebhooks, l.config.origins[setting]
	if text.Len() == 0 || len(webhooks) == 0 {
		return
	}
	if len(webhooks) == 1 {
		if err := give(&webhooks[0], text); err != nil {
			l.mistake(setting, origin, "%s", err)
		}
		return
	}
	for i, line := range strings.Split(string(text.Reveal()), "\n") {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), "=")
		at := slices.IndexFunc(webhooks, func(w AuditSink) bool { return w.Name == name })
		if !ok || at < 0 {
			l.mistake(setting, origin, "line %d does not begin with the name of a webhook and =, which several webhooks need", i+1)
			continue
		}
		if err := give(&webhooks[at], secret.New([]byte(value))); err != nil {
			l.mistake(setting, origin, "line %d %s", i+1, err)
		}
	}
}

// roots reads a PEM file with certificates, if one is named.
func (l *loader) roots(setting, file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	origin := l.config.origins[setting]
	text, err := os.ReadFile(file)
	if err != nil {
		l.mistake(setting, origin, "cannot be read: %s", err)
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		l.mistake(setting, origin, "%s has no certificates in PEM", file)
	}
	return pool
}
