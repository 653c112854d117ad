// SPDX-License-Identifier: Apache-2.0

// Package fault is the one error type that crosses package borders.
//
// A package declares the kinds it raises as constants of type [Kind]; each wire
// protocol has one table that gives a kind its code and status. An error of no
// kind is an internal error: its text goes to the log, never to a client.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Kind names a known condition, as "package: what is wrong". It is itself an
// error, so errors.Is(err, bucket.NoSuchBucket) tests for it.
type Kind string

// Error returns the kind's name.
func (k Kind) Error() string { return string(k) }

// Detail is a fact for the client that a protocol may render as an element of
// its own, such as S3's ArgumentName.
type Detail struct {
	Name, Value string
	// Private details are for the client that sent them alone: they are not logged.
	Private bool
}

// Error is a fault: what is wrong, what the client may read of it, and what
// caused it, which only the log sees. Build one with [New]; it must not be
// changed once it has been returned.
type Error struct {
	Kind    Kind
	Message string // for the client; "" lets the protocol's table speak
	Details []Detail
	Cause   error // for the log
}

// New returns a fault of the kind, with a message that the client may read.
// With an empty format the protocol's own text is sent.
func New(kind Kind, format string, args ...any) *Error {
	message := format
	if len(args) > 0 {
		message = fmt.Sprintf(format, args...)
	}
	return &Error{Kind: kind, Message: message}
}

// With adds a detail for the client and returns e.
func (e *Error) With(name, value string) *Error {
	e.Details = append(e.Details, Detail{Name: name, Value: value})
	return e
}

// WithPrivate adds a detail for the client that the log must not have: a signature, or
// what it signs. It returns e.
func (e *Error) WithPrivate(name, value string) *Error {
	e.Details = append(e.Details, Detail{Name: name, Value: value, Private: true})
	return e
}

// Because adds a cause for the log and returns e.
func (e *Error) Because(cause error) *Error {
	e.Cause = cause
	return e
}

// Error describes the fault for the log.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Kind))
	if e.Message != "" {
		b.WriteString(": ")
		b.WriteString(e.Message)
	}
	for _, d := range e.Details {
		if d.Private {
			continue
		}
		fmt.Fprintf(&b, " %s=%q", d.Name, d.Value)
	}
	if e.Cause != nil {
		b.WriteString(": ")
		b.WriteString(e.Cause.Error())
	}
	return b.String()
}

// Unwrap makes errors.Is match the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// As finds the outermost fault in err's tree. A bare Kind counts as a fault
// without a message. ok is false for an error of no kind.
func As(err error) (e *Error, ok bool) {
	if errors.As(err, &e) {
		return e, true
	}
	var k Kind
	if errors.As(err, &k) {
		return &Error{Kind: k}, true
	}
	return nil, false
}
