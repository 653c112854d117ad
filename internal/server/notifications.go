// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"fmt"

	"github.com/cofferstore/coffer/internal/config"
	"github.com/cofferstore/coffer/internal/core/notification"
	"github.com/cofferstore/coffer/internal/link/event"
	"github.com/cofferstore/coffer/internal/link/event/kafka"
	"github.com/cofferstore/coffer/internal/link/event/nats"
	"github.com/cofferstore/coffer/internal/link/event/webhook"
	sinkhook "github.com/cofferstore/coffer/internal/link/sink/webhook"
)

// openNotifications begins to tell targets of changes of objects.
func (s *Server) openNotifications(ctx context.Context) error {
	var targets []notification.Target
	for i := range s.cfg.NotificationTargets {
		t := &s.cfg.NotificationTargets[i]
		to, err := eventTarget(s.cfg, t)
		if err != nil {
			return fmt.Errorf("notification target %s: %w", t.Name, err)
		}
		s.onClose(to.Close)
		targets = append(targets, notification.Target{Target: to, Accounts: t.Accounts})
	}
	var err error
	s.notifications, err = notification.Open(ctx, s.buckets, s.rows, targets, notification.Config{
		MaxAge: s.cfg.NotificationMaxAge, Limit: int64(s.cfg.NotificationLimit), Metrics: s.metrics, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.objects.Notify(s.notifications)
	return nil
}

// eventTarget makes a target that the configuration names. Nothing is connected yet.
func eventTarget(cfg *config.Config, t *config.NotificationTarget) (event.Target, error) {
	var secure *tls.Config
	if t.TLS {
		secure = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.NotificationRoots}
	}
	user, password, isUser := t.User()
	switch t.Kind {
	case config.NATS:
		c := nats.Config{Name: t.Name, Server: t.Hosts[0], Subject: t.Topic, TLS: secure, User: user, Password: password}
		if !isUser {
			c.Token = t.Secret
		}
		return nats.New(c)
	case config.Kafka:
		return kafka.New(kafka.Config{
			Name: t.Name, Brokers: t.Hosts, Topic: t.Topic, TLS: secure, User: user, Password: password, Mechanism: t.Mechanism,
		})
	}
	return webhook.New(sinkhook.Config{
		Name: t.Name, URL: t.URL, Header: "Authorization", Value: "Bearer " + sinkhook.Placeholder,
		Token: t.Secret, SigningKey: t.SigningKey, Roots: cfg.NotificationRoots,
	})
}
