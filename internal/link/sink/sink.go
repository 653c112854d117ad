// SPDX-License-Identifier: Apache-2.0

// Package sink says what audit records are sent on to, beside the trail's own files: a
// webhook, a syslog server.
package sink

import "context"

// Sink takes audit records. Send returns nil when the other side has taken all of them,
// as far as its protocol says so; otherwise it sends all of them again, so the other side
// may see some twice, under the same eventID. It keeps their order. One goroutine calls it.
type Sink interface {
	// Name tells it from other sinks, in metrics and in what is kept of how far it has
	// come. It has no credentials in it.
	Name() string
	Send(ctx context.Context, records [][]byte) error
	Close() error
}
