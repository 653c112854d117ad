// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"net/http"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/lifecycle/engine"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// Lifecycle carries out lifecycle rules (engine.Engine). A name is a bucket's; "" is all.
type Lifecycle interface {
	Run(ctx context.Context, bucket string) ([]engine.Status, error)
	Status(ctx context.Context, bucket string) ([]engine.Status, error)
}

// runLifecycle asks to carry out lifecycle rules now.
type runLifecycle struct{ bucket string }

// Needs returns the permission.
func (runLifecycle) Needs() []policy.Need { return needs("RunLifecycle") }

// lifecycleStatus asks how that stands.
type lifecycleStatus struct{ bucket string }

// Needs returns the permission.
func (lifecycleStatus) Needs() []policy.Need { return needs("ReadLifecycle") }

func (a *API) runLifecycleOp() pipeline.Op {
	return pipeline.Define("RunLifecycle", 0, pipeline.Route{Method: http.MethodPost, Path: apiPrefix + "lifecycle/run"},
		func(c *pipeline.Call) (runLifecycle, error) {
			p, err := parameters(c, "bucket")
			return runLifecycle{p["bucket"]}, err
		},
		func(ctx context.Context, _ iam.Caller, in runLifecycle) ([]engine.Status, error) {
			return a.Lifecycle.Run(ctx, in.bucket)
		},
		encodeSweeps)
}

func (a *API) lifecycleStatusOp() pipeline.Op {
	return pipeline.Define("ReadLifecycle", pipeline.Read, pipeline.Route{Method: http.MethodGet, Path: apiPrefix + "lifecycle"},
		func(c *pipeline.Call) (lifecycleStatus, error) {
			p, err := parameters(c, "bucket")
			return lifecycleStatus{p["bucket"]}, err
		},
		func(ctx context.Context, _ iam.Caller, in lifecycleStatus) ([]engine.Status, error) {
			return a.Lifecycle.Status(ctx, in.bucket)
		},
		encodeSweeps)
}

func encodeSweeps(c *pipeline.Call, out []engine.Status) (*pipeline.Response, error) {
	return inJSON(c, out)
}
