// SPDX-License-Identifier: Apache-2.0

package iamapi

import (
	"context"
	"net/http"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// newOp makes an operation whose request is the parameters and whose result is the
// answer, member for member: see decode.go and encode.go. A result of struct{} has no
// element. do decides whether the caller may. Secrets of the result are cleared when
// they have served.
func newOp[In, Out any](s service, name string, traits pipeline.Traits, do func(context.Context, iam.Caller, In) (Out, error)) pipeline.Op {
	op := pipeline.Define(name, traits,
		pipeline.Route{Method: http.MethodPost, Path: "/", Query: []string{"Action=" + name}},
		func(c *pipeline.Call) (in In, err error) {
			if !c.Caller.Secure {
				return in, NeedsSecureTransport
			}
			if err := decode(c.Query, &in); err != nil {
				return in, err
			}
			c.AuditParameters(recorded(in))
			noteRole(c, in)
			return in, nil
		},
		do,
		func(c *pipeline.Call, out Out) (*pipeline.Response, error) {
			defer clearSecrets(out)
			if p, ok := any(out).(prover); ok {
				c.Identify(p.Proved())
			}
			if s, ok := any(out).(iam.RoleSession); ok {
				c.AuditFor(accountOf(s.AssumedRoleUser.Arn))
			}
			// Of credentials it is to be seen whose they became, though STS calls that reading.
			if !c.Op.Traits.Has(pipeline.Read) || s == stsService && name != "GetCallerIdentity" {
				c.AuditResponse(recorded(out))
			}
			return &pipeline.Response{
				Status: http.StatusOK, Header: head(c), Body: s.encode(name, c.ID, out),
			}, nil
		})
	op.MaxBody = maxBody
	return op
}

// prover is the result of an operation that itself finds out who calls.
type prover interface{ Proved() iam.Principal }

func head(c *pipeline.Call) http.Header {
	return http.Header{"Content-Type": {"text/xml"}, "X-Amzn-Requestid": {c.ID}}
}
