// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"os"

	"github.com/cofferstore/coffer/internal/config"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/audit/forward"
	"github.com/cofferstore/coffer/internal/link/sink"
	"github.com/cofferstore/coffer/internal/link/sink/syslog"
	"github.com/cofferstore/coffer/internal/link/sink/webhook"
)

// openSinks begins to hold the trail for the webhooks and syslog servers.
func (s *Server) openSinks(ctx context.Context) error {
	if !s.cfg.Audit { // what is in the trail is sent when it is on again
		return nil
	}
	targets, err := sinks(s.cfg)
	if err != nil {
		return err
	}
	s.forwarder, err = forward.Open(ctx, s.trail, s.rows, targets, forward.Config{
		Oldest: s.cfg.AuditSinkStart == config.Oldest, Log: s.log,
		Service: audit.Record{
			UserIdentity: audit.Identity{AccountID: s.cfg.AccountID, InvokedBy: "coffer"}, AWSRegion: s.cfg.Region,
			SourceIPAddress: "coffer", UserAgent: "coffer", RecipientAccountID: s.cfg.AccountID,
		},
	})
	if err != nil {
		return err
	}
	s.onClose(s.forwarder.Close)
	return nil
}

// sinks makes the sinks that the configuration names.
func sinks(cfg *config.Config) (targets []forward.Target, err error) {
	add := func(to sink.Sink, err error, events []string) error {
		if err == nil {
			targets = append(targets, forward.Target{Sink: to, Only: categories(events)})
		}
		return err
	}
	for _, w := range cfg.AuditWebhooks {
		to, err := webhook.New(webhook.Config{
			Name: "webhook:" + w.Name, URL: w.URL, Header: cfg.AuditWebhookHeader.Name, Value: cfg.AuditWebhookHeader.Value,
			Token: w.Token, SigningKey: w.SigningKey, Gzip: cfg.AuditWebhookGzip, Roots: cfg.AuditWebhookRoots,
		})
		if err := add(to, err, cfg.AuditWebhookEvents); err != nil {
			return nil, err
		}
	}
	host, _ := os.Hostname() // without one, messages say so
	for _, l := range cfg.AuditSyslogs {
		c := syslog.Config{Name: "syslog:" + l.Name, Address: l.Host(), Host: host}
		if l.TLS() {
			c.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.AuditSyslogRoots}
			if cfg.AuditSyslogCertificate != nil {
				c.TLS.Certificates = []tls.Certificate{*cfg.AuditSyslogCertificate}
			}
		}
		to, err := syslog.New(c)
		if err := add(to, err, cfg.AuditSyslogEvents); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

// categories are the events of a setting; none means all.
func categories(events []string) (out []audit.Category) {
	for c := range audit.Categories {
		for _, name := range events {
			if name == c.String() {
				out = append(out, c)
				break
			}
		}
	}
	if len(out) == int(audit.Categories) {
		return nil
	}
	return out
}
