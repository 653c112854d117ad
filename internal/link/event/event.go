// SPDX-License-Identifier: Apache-2.0

// Package event says what event notifications of buckets are delivered to: a webhook, a NATS
// JetStream stream, a Kafka topic.
package event

import (
	"context"

	"github.com/cofferstore/coffer/internal/link/sink"
)

// Message is a message to a target.
type Message struct {
	// ID is the same whenever the message is sent again, and no other message's.
	ID string
	// Key says which messages must stay in their order: those with the same.
	Key  string
	Body []byte // a JSON document
}

// Target takes messages, each at least once: what was not taken is sent again, and what was
// may be. One goroutine calls it.
type Target interface {
	// Name tells it from other targets, and is what ARNs call it.
	Name() string
	// Records is how many records a message should have at most: several where each message
	// takes a round trip.
	Records() int
	// Send sends messages in their order and returns how many of them, from the first on,
	// the other side has made durable, as far as its protocol says so: all of them, if err is
	// nil. It returns soon after ctx is done, and keeps no bytes of bodies. The error may be
	// an [*Error]; it has nothing secret in it.
	Send(ctx context.Context, messages []Message) (taken int, err error)
	Close() error
}

// Error says more of messages that were not taken.
type Error = sink.Error
