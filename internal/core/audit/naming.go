// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// Events name one another: that of an access to an object names the event of the KMS
// request that covered it. So who makes a request must know the id of its event,
// whether the request succeeds or not.

type nameKey struct{}

// Naming returns a context for one request, and the id that the request's event will
// have.
func Naming(ctx context.Context) (_ context.Context, event string) {
	event = uuid.NewString()
	return context.WithValue(ctx, nameKey{}, event), event
}

// Named returns the id that who makes the request chose for its event, or a new one.
func Named(ctx context.Context) string {
	if event, ok := ctx.Value(nameKey{}).(string); ok {
		return event
	}
	return uuid.NewString()
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
