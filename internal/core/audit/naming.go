// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/google/uuid"
)

// Events name one another: that of an access to an object names the event of the KMS
// request that covered it. So who makes a request must know the id of its event,
// whether the request succeeds or not.

type nameKey struct{}

// NewEventID returns an id for an event: a random UUID.
func NewEventID() string {
	var id uuid.UUID
	rand.Read(id[:]) // never fails: the runtime ends the process instead
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id.String()
}

// Naming returns a context for one request, and the id that the request's event will
// have.
func Naming(ctx context.Context) (_ context.Context, event string) {
	event = NewEventID()
	return context.WithValue(ctx, nameKey{}, event), event
}

// Named returns the id that who makes the request chose for its event, or a new one.
func Named(ctx context.Context) string {
	if event, ok := ctx.Value(nameKey{}).(string); ok {
		return event
	}
	return NewEventID()
}

// recorded is an error of a request that has an event of its own.
type recorded struct {
	error
	event string
}

func (r recorded) Unwrap() error { return r.error }

// Recorded says that event tells of the request that failed with err.
func Recorded(err error, event string) error { return recorded{err, event} }

// EventOf returns the id of the event that tells of a failed request, "" if there is none.
func EventOf(err error) string {
	var r recorded
	if errors.As(err, &r) {
		return r.event
	}
	return ""
}
