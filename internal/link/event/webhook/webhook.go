// SPDX-License-Identifier: Apache-2.0

// Package webhook delivers event notifications to an HTTP server: each message is the body of
// a POST, sent and signed as audit records are (package sink/webhook), and any answer of class
// 2 means that it was taken. A message has up to a hundred records.
package webhook

import (
	"context"

	"github.com/cofferstore/coffer/internal/link/event"
	"github.com/cofferstore/coffer/internal/link/sink/webhook"
)

// records is how many there are in a message at most.
const records = 100

// Target is a webhook.
type Target struct{ hook *webhook.Webhook }

var _ event.Target = (*Target)(nil)

// New returns a webhook; nothing is connected yet.
func New(cfg webhook.Config) (*Target, error) {
	hook, err := webhook.New(cfg)
	return &Target{hook}, err
}

// Name is event.Target's.
func (t *Target) Name() string { return t.hook.Name() }

// Records is event.Target's.
func (t *Target) Records() int { return records }

// Send is event.Target's.
func (t *Target) Send(ctx context.Context, messages []event.Message) (taken int, err error) {
	for _, m := range messages {
		if err := t.hook.Post(ctx, m.Body); err != nil {
			return taken, err
		}
		taken++
	}
	return taken, nil
}

// Close is event.Target's.
func (t *Target) Close() error { return t.hook.Close() }
