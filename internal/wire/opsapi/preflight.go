// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"net/http"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/preflight"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// flight asks what Bucket Keys on a bucket would change.
type flight struct{ bucket, keyARN string }

// Needs returns the permission.
func (flight) Needs() []policy.Need { return needs("PreflightBucketKeys") }

func (a *API) preflightOp() pipeline.Op {
	return pipeline.Define("PreflightBucketKeys", pipeline.Read, pipeline.Route{Method: http.MethodGet, Path: apiPrefix + "bucketkeys/preflight"},
		func(c *pipeline.Call) (flight, error) {
			name, p, err := ofBucket(c, "key")
			if err != nil {
				return flight{}, err
			}
			return flight{name, p["key"]}, keyARN(p["key"])
		},
		func(ctx context.Context, _ iam.Caller, in flight) (*preflight.Report, error) {
			return a.Preflight(ctx, in.bucket, in.keyARN)
		},
		func(c *pipeline.Call, out *preflight.Report) (*pipeline.Response, error) { return inJSON(c, out) })
}
