// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"net/http"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// flushKeys asks to drop bucket keys from memory.
type flushKeys struct{ bucket, keyARN string }

// Needs returns the permission.
func (flushKeys) Needs() []policy.Need { return needs("FlushKeys") }

// flushed says how many bucket keys were dropped.
type flushed struct {
	Flushed int `json:"flushed"`
}

func (a *API) flushKeysOp() pipeline.Op {
	return pipeline.Define("FlushKeys", 0, pipeline.Route{Method: http.MethodPost, Path: apiPrefix + "keys/flush"},
		func(c *pipeline.Call) (flushKeys, error) {
			p, err := parameters(c, "bucket", "key")
			if err != nil {
				return flushKeys{}, err
			}
			return flushKeys{p["bucket"], p["key"]}, keyARN(p["key"])
		},
		func(ctx context.Context, _ iam.Caller, in flushKeys) (flushed, error) {
			n, err := a.FlushKeys(ctx, in.bucket, in.keyARN)
			return flushed{n}, err
		},
		func(c *pipeline.Call, out flushed) (*pipeline.Response, error) {
			c.AuditResponse(map[string]any{"flushed": out.Flushed})
			return inJSON(c, out)
		})
}

// keyARN checks the parameter "key", which may be left out.
func keyARN(key string) error {
	if arn, ok := aws.ParseARN(key); key != "" && (!ok || arn.Service != "kms") {
		return fault.New(InvalidParameter, "Parameter \"key\" is the ARN of a KMS key.")
	}
	return nil
}
