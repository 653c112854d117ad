// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"net/http"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
)

// Family is a protocol on the listener: S3, KMS, the operator's API.
type Family struct {
	Name   string // metric label: "s3", "kms", "ops"
	Source string // audit eventSource: "s3.amazonaws.com"
	// Services are the names that a signature's scope may bear.
	Services []string
	// Whole says that bodies are small, read whole, and covered by the signature
	// whatever the headers say; all but S3.
	Whole bool
	// Match reports whether a request belongs to the family. The first family
	// that matches has it.
	Match func(*http.Request) bool
	// Find returns the operation that a request is for, and sets what the path
	// says of the call's target. Its error is rendered as any other.
	Find func(c *Call) (*Op, error)
	// First, if set, is asked about an authenticated call before its operation reads
	// it: what no mistake in the call is to be told before.
	First func(ctx context.Context, c *Call) error
	// Authorize, if set, decides about the family's calls in place of the road's
	// Authorize. in is nil before a document is read from which the needs follow: then
	// it decides whether there is something that the caller may be allowed.
	Authorize func(ctx context.Context, c *Call, in Needer) error
	// Failed, if set, sees the error of an authorized call and returns the one that is
	// answered: what is not there is told only to those who may know.
	Failed func(ctx context.Context, c *Call, in any, err error) error
	// Owner, if set, returns the account of the owner of the call's bucket, "" if there is
	// none. It is asked at least once a call.
	Owner func(ctx context.Context, c *Call) string
	// NoQuery says that a query means nothing here: it is not read, and nobody sees it.
	NoQuery bool
	// Global says that the service has no region: IAM.
	Global bool
	// TellsTransport says that records tell in their additionalEventData how a request was
	// signed and sent, and bracket its user agent: as S3's do, and no others.
	TellsTransport bool
	// TellsCaller says that an account whose resource a caller of another one uses learns
	// all of that caller's identity from its audit record; otherwise only the account and
	// the principal's id.
	TellsCaller bool
	// Answering, if set, sees every answer of the family before it is sent, those of errors
	// too, and may add headers.
	Answering func(c *Call, resp *Response)
	// Answered, if set, is told of calls that Find has given Notes, when their answers have
	// gone out, whole or not. Others cost nothing.
	Answered func(c *Call, a Answer)
	// Codes names faults.
	Codes Codes
	// Fault renders an error.
	Fault func(c *Call, code Code, details []fault.Detail) *Response
	// Ops is the table, for documentation and metrics.
	Ops []Op
}

// Answer is what became of a call.
type Answer struct {
	Status int
	Code   string // of the error, "" for none
	Sent   int64  // bytes of body
	Began  time.Time
	// Total is from the head of the call to the end of its answer; Turnaround from the end
	// of the call, as far as it was read, to the beginning of its answer.
	Total, Turnaround time.Duration
}

// Code is how a protocol names a fault.
type Code struct {
	Status  int
	Code    string
	Message string // "": the fault's own text
}

// As returns a Code. With an empty message the fault's own text is sent; with
// both, the fault's own wins.
func As(status int, code, message string) Code { return Code{status, code, message} }

// Codes is a protocol's table of faults.
type Codes map[fault.Kind]Code

// Of names an error for whoever is told of it without a call: what S3 says to a service
// that delivers.
func (t Codes) Of(err error) Code {
	code, _, _ := t.name(err, internal)
	return code
}

// name finds the code of an error. known is false for an error that no row names:
// an internal error, whose text is for the log alone.
func (t Codes) name(err error, internal Code) (code Code, details []fault.Detail, known bool) {
	f, ok := fault.As(err)
	if !ok {
		return internal, nil, false
	}
	code, ok = t[f.Kind]
	if !ok {
		return internal, nil, false
	}
	if f.Message != "" {
		code.Message = f.Message
	}
	// What is unavailable or not implemented is no accident.
	return code, f.Details, code.Status != http.StatusInternalServerError
}
