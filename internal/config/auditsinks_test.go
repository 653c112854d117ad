// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// certificateFile writes a certificate to a file.
func certificateFile(t *testing.T) (path string) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	path = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAuditSinks(t *testing.T) {
	ca := certificateFile(t)
	c := mustLoad(t, flagsOf(t, "--audit-webhook", "siem=https://in.example/a?b=c, https://logs.example:8443/x,http://127.0.0.1:1/", "--audit-webhook-ca", ca,
		"--audit-webhook-header", "X-Auth:Splunk {token}", "--audit-webhook-events", "kms, data"),
		"COFFER_AUDIT_SYSLOG=tls://logs.example:6514,near=tcp://[::1]:514", "COFFER_AUDIT_SYSLOG_CA="+ca, "COFFER_AUDIT_SINK_START=oldest",
		"COFFER_AUDIT_WEBHOOK_TOKEN=logs.example:8443=t=1\nsiem=t2", "COFFER_AUDIT_WEBHOOK_SIGNING_KEY=siem=0123456789abcdef")
	type sink struct {
		name, url, host, token, key string
		tls                         bool
	}
	var got []sink
	for _, s := range slices.Concat(c.AuditWebhooks, c.AuditSyslogs) {
		got = append(got, sink{s.Name, s.URL, s.Host(), string(s.Token.Reveal()), string(s.SigningKey.Reveal()), s.TLS()})
	}
	if want := []sink{
		{"siem", "https://in.example/a?b=c", "in.example", "t2", "0123456789abcdef", true},
		{"logs.example:8443", "https://logs.example:8443/x", "logs.example:8443", "t=1", "", true},
		{"127.0.0.1:1", "http://127.0.0.1:1/", "127.0.0.1:1", "", "", false},
		{"logs.example:6514", "tls://logs.example:6514", "logs.example:6514", "", "", true},
		{"near", "tcp://[::1]:514", "[::1]:514", "", "", false},
	}; !slices.Equal(got, want) {
		t.Errorf("sinks %+v, want %+v", got, want)
	}
	if c.AuditWebhookHeader != (TokenHeader{"X-Auth", "Splunk {token}"}) || !slices.Equal(c.AuditWebhookEvents, []string{"kms", "data"}) ||
		c.AuditWebhookRoots == nil || c.AuditSyslogRoots == nil || c.AuditSinkStart != Oldest || c.AuditSyslogCertificate != nil {
		t.Errorf("settings %+v", c)
	}
	// The only webhook has the whole secret.
	c = mustLoad(t, nil, "COFFER_AUDIT_WEBHOOK=https://in.example/", "COFFER_AUDIT_WEBHOOK_TOKEN=a=b")
	if w := c.AuditWebhooks[0]; string(w.Token.Reveal()) != "a=b" || c.AuditWebhookRoots != nil || c.AuditWebhookHeader.Value != "Bearer {token}" {
		t.Errorf("webhook %+v", w)
	}
}

func TestMistakesOfAuditSinks(t *testing.T) {
	ca := certificateFile(t)
	none := filepath.Join(t.TempDir(), "none")
	for _, test := range []struct {
		environ []string
		want    []string
	}{
		{[]string{"WEBHOOK=siem.example/in"}, []string{"audit-webhook: is not a URL with a host"}},
		{[]string{"WEBHOOK=http://siem.example/in"}, []string{"audit-webhook: the URL of siem.example would send audit records in clear: use https"}},
		{[]string{"WEBHOOK=ftp://siem.example/in"}, []string{"audit-webhook: the URL of siem.example does not begin with https://"}},
		{[]string{"WEBHOOK=https://u:hunter2@siem.example/in"}, []string{"audit-webhook: the URL of siem.example has credentials in it: give them as a secret"}},
		{[]string{"WEBHOOK=https://siem.example:0/#x"}, []string{"audit-webhook: the URL of siem.example:0 has a fragment, which no server sees"}},
		{[]string{"WEBHOOK=https://siem.example:70000/"}, []string{"audit-webhook: the URL of siem.example:70000 has no port from 1 to 65535"}},
		{[]string{"WEBHOOK=Up=https://siem.example/"}, []string{`audit-webhook: "Up" is not a name of lower-case letters, digits and dashes`}},
		{[]string{"WEBHOOK=https://a.example/1,https://a.example/2"}, []string{"audit-webhook: has a.example twice: give each another name, like first=https://a.example/2"}},
		{[]string{"WEBHOOK=" + strings.Repeat("https://a.example/,", 16) + "x=https://b.example"}, slices.Concat(
			[]string{"audit-webhook: has 17 servers; 16 are the most"},
			slices.Repeat([]string{"audit-webhook: has a.example twice: give each another name, like first=https://a.example/"}, 15))},
		{[]string{"SYSLOG=udp://logs.example:514"}, []string{"audit-syslog: UDP to logs.example:514 would lose records: use tls or tcp"}},
		{[]string{"SYSLOG=tls://logs.example"}, []string{"audit-syslog: the URL of logs.example has no port; that of syslog over TLS is 6514"}},
		{[]string{"SYSLOG=tls://logs.example:6514/x"}, []string{"audit-syslog: the URL of logs.example:6514 has more than a host and a port"}},
		{[]string{"SYSLOG=logs.example:6514"}, []string{"audit-syslog: is not a URL with a host"}},
		{[]string{"SYSLOG=https://logs.example:6514"}, []string{"audit-syslog: the URL of logs.example:6514 does not begin with tls:// or tcp://"}},
		{[]string{"SINK_START=then"}, []string{`audit-sink-start: "then" is not now or oldest`}},
		{[]string{"WEBHOOK_EVENTS=reads"}, []string{`audit-webhook-events: "reads" is not management, data or kms`}},
		{[]string{"WEBHOOK=https://a.example/", "WEBHOOK_EVENTS="}, []string{"audit-webhook-events: names no events; to send none, leave out where they go"}},
		{[]string{"WEBHOOK_GZIP=true", "WEBHOOK_TOKEN=hunter2", "WEBHOOK_CA=" + ca, "SYSLOG_EVENTS=kms"}, []string{
			"audit-webhook-gzip: needs audit-webhook too", "audit-webhook-ca: needs audit-webhook too", "audit-webhook-token: needs audit-webhook too",
			"audit-syslog-events: needs audit-syslog too",
		}},
		{[]string{"WEBHOOK=https://a.example/", "WEBHOOK_HEADER=X: {token}"}, []string{"audit-webhook-header: needs audit-webhook-token too"}},
		{[]string{"WEBHOOK=https://a.example/", "WEBHOOK_TOKEN=a", "WEBHOOK_HEADER=X: hunter2"}, []string{`audit-webhook-header: "X" does not say by one {token} where the token goes; the token itself is given as a secret`}},
		{[]string{"WEBHOOK=https://a.example/", "WEBHOOK_TOKEN=a", "WEBHOOK_HEADER=Host: {token}"}, []string{"audit-webhook-header: the header Host is not for a token"}},
		{[]string{"WEBHOOK=https://a.example/", "WEBHOOK_TOKEN=a", "WEBHOOK_HEADER={token}"}, []string{`audit-webhook-header: "{token}" is not a header like "Authorization: Bearer {token}"`}},
		{[]string{"WEBHOOK=https://a.example/", "WEBHOOK_TOKEN=hunter2\nx"}, []string{"audit-webhook-token: has characters that no header can have"}},
		{[]string{"WEBHOOK=https://a.example/", "WEBHOOK_SIGNING_KEY=hunter2"}, []string{"audit-webhook-signing-key: has 7 characters; it needs at least 16"}},
		{[]string{"WEBHOOK=https://a.example/,b=https://b.example/", "WEBHOOK_TOKEN=hunter2", "WEBHOOK_SIGNING_KEY=b=hunter2\na=x"}, []string{
			"audit-webhook-token: line 1 does not begin with the name of a webhook and =, which several webhooks need",
			"audit-webhook-signing-key: line 1 has 7 characters; it needs at least 16",
			"audit-webhook-signing-key: line 2 does not begin with the name of a webhook and =, which several webhooks need",
		}},
		{[]string{"WEBHOOK=https://a.example/", "WEBHOOK_CA=" + none}, []string{"audit-webhook-ca: cannot be read: open " + none + ": no such file or directory"}},
		{[]string{"SYSLOG=tls://a.example:1", "SYSLOG_CERT=" + ca}, []string{"audit-syslog-cert: needs audit-syslog-key too"}},
		{[]string{"SYSLOG=tls://a.example:1", "SYSLOG_CERT=" + ca, "SYSLOG_KEY=" + none}, []string{"audit-syslog-cert: cannot be used with audit-syslog-key: open " + none + ": no such file or directory"}},
		{[]string{"SYSLOG=tls://a.example:1", "SYSLOG_CA=/dev/null"}, []string{"audit-syslog-ca: /dev/null has no certificates in PEM"}},
	} {
		var environ []string
		for _, e := range test.environ {
			environ = append(environ, "COFFER_AUDIT_"+e)
		}
		var got []string
		for _, m := range mistakes(t, nil, environ...) {
			if strings.Contains(m, "hunter2") {
				t.Errorf("the mistake %q tells a secret", m)
			}
			got = append(got, m[:strings.LastIndex(m, " (")])
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q\n\t%s\nwant\n\t%s", test.environ, strings.Join(got, "\n\t"), strings.Join(test.want, "\n\t"))
		}
	}
}
