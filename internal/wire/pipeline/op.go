// SPDX-License-Identifier: Apache-2.0

// Package pipeline is the road of every call: route, authenticate, decode,
// authorize, do, encode; and on the way out, in one place, the audit record, the
// metrics and the log line.
//
// A protocol is a [Family]: a table of operations, a router over it, and how its
// faults look. The order of the road is written in [Define] and [Road.ServeHTTP]
// and nowhere else.
package pipeline

import (
	"context"
	"io"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// Traits say what kind of operation one is.
type Traits uint8

// Traits of operations.
const (
	Read   Traits = 1 << iota // changes nothing; with Data, its audit record need not be durable before the answer
	Data                      // about objects, not about buckets, keys or accounts: a data event
	Grows                     // needs room on the device; refused when that is short
	Silent                    // leaves no audit record: health and metrics
	Open                      // needs no signature and no permission
)

// Has reports whether all of the traits are set.
func (t Traits) Has(other Traits) bool { return t&other == other }

// Route says which requests an operation is for. It is what the router of a
// family matches and what the coverage document prints.
type Route struct {
	Method string
	Path   string   // "/", "/{bucket}", "/{bucket}/{key}", or a fixed path
	Query  []string // parameters that must be present; "uploads", "versionId"
	Header string   // a header that must be present, or "Name: value"
}

// Op is a row of a family's table: one operation.
type Op struct {
	Name   string // the API's name of it: metric label, audit eventName, log
	Route  Route
	Traits Traits
	// EventName is the audit event's name where it differs from Name.
	EventName string
	// MaxBody bounds a body that is read whole, in bytes; default 1 MiB. A
	// streamed body is bounded by the operation itself.
	MaxBody int64
	// Deadline bounds the operation; 0 means the road's default. Operations that
	// stream have Streams instead: they end when their client stops moving.
	Deadline time.Duration
	Streams  bool
	// Form, if set, says that the request is a browser's form: it is authenticated
	// by fields in its body and not by its head. Form reads the body as far as
	// those go; what else it learns is for the operation's decode, in [Call.Form].
	Form func(c *Call, body io.Reader) (Form, error)
	// Refused says that the operation is known by name and answered with an
	// error: it is not served yet.
	Refused bool
	// Answer says, of a refused operation that is answered as the real service answers where
	// the thing cannot be had, what the answer is and why.
	Answer string
	// Needs says that its request is a [Needer]: the road asks whether it is allowed.
	// What does not say what it needs is decided by core alone.
	Needs bool

	serve func(ctx context.Context, c *Call) (*Response, error)
}

// Form is what an operation has read of a browser's form.
type Form interface {
	// Authentication returns the fields that say who sends it.
	Authentication() sigv4.PostForm
}

// event returns the name of the operation's audit event.
func (op *Op) event() string {
	if op.EventName != "" {
		return op.EventName
	}
	return op.Name
}

// DefaultMaxBody bounds bodies that are read whole.
const DefaultMaxBody = 1 << 20

// Needer is a request that knows what it must be allowed.
type Needer interface{ Needs() []policy.Need }

// Recorded is a request or a result that has something to say in the call's audit
// record.
type Recorded interface{ Record(r *audit.Record) }

// Define makes an operation. Its body is the only place where the order of a
// call's steps is written: decode knows the syntax of headers and small
// documents; then the caller is authorized; do is core's method, which asks for
// keys before it reads a body; encode makes the answer. An error of any step is
// rendered by the family's table of codes.
func Define[In, Out any](
	name string, traits Traits, route Route,
	decode func(*Call) (In, error),
	do func(context.Context, iam.Caller, In) (Out, error),
	encode func(*Call, Out) (*Response, error),
) Op {
	var none In
	_, needs := any(none).(Needer)
	return Op{Name: name, Route: route, Traits: traits, Needs: needs, serve: func(ctx context.Context, c *Call) (*Response, error) {
		in, err := decode(c)
		if err != nil {
			return nil, err
		}
		request := any(in) // once: it takes memory
		if r, ok := request.(Recorded); ok {
			r.Record(&c.record)
		}
		if n, ok := request.(Needer); ok {
			if err := c.authorize(ctx, n); err != nil {
				return nil, err
			}
			c.allowed = true
		}
		if t := c.Op.Traits; t.Has(Data) && !t.Has(Read) {
			own := func(result any) bool { _, ok := result.(Out); return ok }
			ctx = c.join(ctx, own, func(result any) (*Response, error) { return answer(c, result.(Out), encode) })
		}
		out, err := do(ctx, c.Caller, in)
		switch {
		case err != nil && c.family.Failed != nil:
			return nil, c.family.Failed(ctx, c, request, err)
		case err != nil:
			return nil, err
		case c.joining != nil: // what was recorded is what is answered
			return c.joining.resp, nil
		}
		return answer(c, out, encode)
	}}
}

// answer makes the answer of a result.
func answer[Out any](c *Call, out Out, encode func(*Call, Out) (*Response, error)) (*Response, error) {
	if r, ok := any(out).(Recorded); ok {
		r.Record(&c.record)
	}
	return encode(c, out)
}

// Unsupported makes an operation that is known and refused: its fault comes before
// anything is read.
func Unsupported(name string, route Route, err error) Op {
	return Op{Name: name, Route: route, Refused: true, serve: func(context.Context, *Call) (*Response, error) { return nil, err }}
}

// Answered marks an operation that can only be answered with an error, as the real service
// answers where the thing cannot be had; answer says which, and why.
func Answered(op Op, answer string) Op {
	op.Refused, op.Answer = true, answer
	return op
}
