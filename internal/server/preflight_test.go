// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"testing"

	"github.com/cofferstore/coffer/internal/config"
)

func TestWatchers(t *testing.T) {
	cfg := new(config.Config)
	cfg.AuditWebhooks, cfg.AuditWebhookEvents = []config.AuditSink{{Name: "siem"}, {Name: "lake"}}, []string{"management", "kms"}
	cfg.AuditSyslogs, cfg.AuditSyslogEvents = []config.AuditSink{{Name: "loghost"}}, []string{"data"}
	const want = "[{webhook siem audit-webhook-events true false} {webhook lake audit-webhook-events true false} {syslog server loghost audit-syslog-events false true}]"
	if got := fmt.Sprint(watchers(cfg)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
