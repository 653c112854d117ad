// SPDX-License-Identifier: Apache-2.0

package kmsapi

import (
	"context"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/wire/json11"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

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
	return pipeline.Define(name, traits, target.Route(name),
		func(c *pipeline.Call) (request[In], error) {
			in, err := decode[In](c)
			return request[In]{c, in}, err
		},
		func(ctx context.Context, by iam.Caller, r request[In]) (Out, error) {
			defer json11.ClearSecrets(r.in)
			out, err := do(ctx, by, r.in)
			a.noteOutcome(ctx, r.call, r.in, out, err)
			return out, err
		},
		func(c *pipeline.Call, out Out) (*pipeline.Response, error) {
			defer json11.ClearSecrets(out)
			shown := answer(out)
			if !c.Op.Traits.Has(pipeline.Read) {
				c.AuditResponse(answered(out, shown))
			}
			return json11.Answer(c, json11.Encode(shown, mayBeEmpty...)), nil
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
	if err := json11.Decode(body, &in); err != nil {
		return in, err
	}
	c.AuditParameters(withDefaults(parametersOf(in), in))
	return in, nil
}

// mayBeEmpty are the texts of answers that a user may have set to nothing.
var mayBeEmpty = []string{"Description", "TagValue"}
