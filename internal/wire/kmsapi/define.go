// SPDX-License-Identifier: Apache-2.0

package kmsapi

import (
	"context"
	"net/http"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

const contentType = "application/x-amz-json-1.1"

// request is a decoded request with its call, to whose audit record the outcome
// belongs.
type request[In any] struct {
	call *pipeline.Call
	in   In
}

// define makes an operation whose answer is the result of do, member for member.
func define[In, Out any](a *API, name string, traits pipeline.Traits, do func(context.Context, iam.Caller, In) (Out, error)) pipeline.Op {
	return defineAs(a, name, traits, do, func(out Out) any { return out })
}

// defineAs makes an operation whose answer is made of the result by answer.
// Secrets of request and result are cleared when they have served.
func defineAs[In, Out any](a *API, name string, traits pipeline.Traits, do func(context.Context, iam.Caller, In) (Out, error), answer func(Out) any) pipeline.Op {
	return pipeline.Define(name, traits, route(name),
		func(c *pipeline.Call) (request[In], error) {
			in, err := decode[In](c)
			return request[In]{c, in}, err
		},
		func(ctx context.Context, by iam.Caller, r request[In]) (Out, error) {
			defer clearSecrets(r.in)
			out, err := do(ctx, by, r.in)
			a.noteOutcome(ctx, r.call, r.in, out, err)
			return out, err
		},
		func(c *pipeline.Call, out Out) (*pipeline.Response, error) {
			defer clearSecrets(out)
			shown := answer(out)
			if !c.Op.Traits.Has(pipeline.Read) {
				c.AuditResponse(parametersOf(shown))
			}
			return &pipeline.Response{
				Status: http.StatusOK, Header: head(c), Body: encodeAnswer(shown),
			}, nil
		})
}

// decode reads the call's document into an operation's request, and notes what it
// asks for in the audit record.
func decode[In any](c *pipeline.Call) (in In, err error) {
	if !c.Caller.Secure {
		return in, NeedsSecureTransport
	}
	body, err := c.Document()
	if err != nil {
		return in, err
	}
	// The body may hold a plaintext, and nobody needs it any more.
	defer clear(body)
	if err := decodeDocument(body, &in); err != nil {
		return in, err
	}
	c.AuditParameters(withDefaults(parametersOf(in), in))
	return in, nil
}

// head returns the headers that every answer has.
func head(c *pipeline.Call) http.Header {
	h := make(http.Header, 4)
	h.Set("Content-Type", contentType)
	h.Set("X-Amzn-Requestid", c.ID)
	return h
}
