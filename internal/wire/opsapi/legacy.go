// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"net/http"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// switchLegacy asks for a bucket's legacy mode to be on, or off.
type switchLegacy struct {
	bucket string
	on     bool
}

// Needs returns the permission.
func (switchLegacy) Needs() []policy.Need { return needs("SwitchLegacyMode") }

// LegacyMode says how a bucket's legacy mode is.
type LegacyMode struct {
	Legacy bool `json:"legacy"`
	// DefaultEncryption is the algorithm that was put as the bucket's default. While
	// there is one, legacy mode has no effect.
	DefaultEncryption string `json:"defaultEncryption,omitempty"`
}

func (a *API) switchLegacyOp() pipeline.Op {
	return pipeline.Define("SwitchLegacyMode", 0, pipeline.Route{Method: http.MethodPost, Path: apiPrefix + "bucket/legacy"},
		func(c *pipeline.Call) (in switchLegacy, err error) {
			in.bucket, in.on, err = bucketSwitch(c)
			return in, err
		},
		func(ctx context.Context, _ iam.Caller, in switchLegacy) (bucket.Legacy, error) {
			return a.SetLegacy(ctx, in.bucket, in.on)
		},
		func(c *pipeline.Call, out bucket.Legacy) (*pipeline.Response, error) {
			return inJSON(c, LegacyMode{out.On, out.Default})
		})
}
