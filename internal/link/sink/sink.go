// SPDX-License-Identifier: Apache-2.0

// Package sink says what audit records are sent on to, beside the trail's own files: a
// webhook, a syslog server.
package sink

import (
	"context"
	"time"
)

// Sink takes audit records. Send returns nil when the other side has taken all of them,
// as far as its protocol says so; otherwise it sends all of them again, so the other side
// may see some twice, under the same eventID. It keeps their order. One goroutine calls it.
type Sink interface {
	// Name tells it from other sinks, in metrics and in what is kept of how far it has
	// come. It has no credentials in it.
	Name() string
	// Send sends records, each one JSON object without newlines. It returns soon after ctx
	// is done, and keeps none of the records' bytes. The error may be an [*Error]; it has
	// nothing secret in it.
	Send(ctx context.Context, records [][]byte) error
	Close() error
}

// Error says more of records that were not taken.
type Error struct {
	// After is how long the other side asks to be left alone; 0 when it does not say.
	After time.Duration
	// Refused says that the other side answered, and will hardly answer otherwise before
	// somebody changes something: credentials, the address, what it takes.
	Refused bool
	Err     error
}

// Error is the text of what it wraps.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns what it wraps.
func (e *Error) Unwrap() error { return e.Err }
