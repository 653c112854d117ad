// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// look is a request without parameters; it bears the name of its permission.
type look string

// Needs returns the permission.
func (l look) Needs() []policy.Need { return needs(string(l)) }

// show makes an operation that answers a value that does not change.
func show(name, path string, value any) pipeline.Op {
	return pipeline.Define(name, pipeline.Read, pipeline.Route{Method: http.MethodGet, Path: apiPrefix + path},
		func(c *pipeline.Call) (look, error) {
			_, err := parameters(c)
			return look(name), err
		},
		func(context.Context, iam.Caller, look) (any, error) { return value, nil },
		inJSON)
}

func (a *API) versionOp() pipeline.Op { return show("GetVersion", "version", a.Version) }

func (a *API) configOp() pipeline.Op { return show("GetConfig", "config", a.Config) }

func inJSON(_ *pipeline.Call, value any) (*pipeline.Response, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, "application/json", append(body, '\n')), nil
}
