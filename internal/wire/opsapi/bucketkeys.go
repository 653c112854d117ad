// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"io"
	"net/http"

	"github.com/cofferstore/coffer/internal/core/consolidate"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// BucketKeys is what operators see of bucket keys and have done to them
// (consolidate.Consolidator).
type BucketKeys interface {
	Status(ctx context.Context, bucket string) (consolidate.Status, error)
	// Follow begins a consolidation, or joins the one under way. report is called
	// now and then, and with the job when it is over. It must not be kept.
	Follow(ctx context.Context, bucket string, report func(jobs.Status)) error
	Start(ctx context.Context, bucket string) (jobs.Status, error)
	Switch(ctx context.Context, bucket string, on bool) error
}

// bucketKeys asks for a bucket's bucket keys.
type bucketKeys struct{ bucket string }

// Needs returns the permission.
func (bucketKeys) Needs() []policy.Need { return needs("ReadBucketKeys") }

func (a *API) bucketKeysOp() pipeline.Op {
	return pipeline.Define("ReadBucketKeys", pipeline.Read, pipeline.Route{Method: http.MethodGet, Path: apiPrefix + "bucketkeys"},
		func(c *pipeline.Call) (bucketKeys, error) {
			name, _, err := ofBucket(c)
			return bucketKeys{name}, err
		},
		func(ctx context.Context, _ iam.Caller, in bucketKeys) (consolidate.Status, error) {
			return a.BucketKeys.Status(ctx, in.bucket)
		},
		func(c *pipeline.Call, out consolidate.Status) (*pipeline.Response, error) { return inJSON(c, out) })
}

// ofBucket reads the parameters of a call about a bucket.
func ofBucket(c *pipeline.Call, others ...string) (name string, p map[string]string, err error) {
	if p, err = parameters(c, append(others, "bucket")...); err != nil {
		return "", nil, err
	}
	if p["bucket"] == "" {
		return "", nil, fault.New(InvalidParameter, "Parameter \"bucket\" is missing.")
	}
	return p["bucket"], p, nil
}

// bucketSwitch reads the parameters of a call that switches something of a bucket.
func bucketSwitch(c *pipeline.Call) (name string, on bool, err error) {
	name, p, err := ofBucket(c, "on")
	if err != nil {
		return "", false, err
	}
	if _, ok := p["on"]; !ok {
		return "", false, fault.New(InvalidParameter, "Parameter \"on\" is missing.")
	}
	on, err = flag(p, "on")
	return name, on, err
}

// consolidateKeys asks to consolidate a bucket's bucket keys now.
type consolidateKeys struct{ bucket string }

// Needs returns the permission.
func (consolidateKeys) Needs() []policy.Need { return needs("ConsolidateBucketKeys") }

func (a *API) consolidateOp() pipeline.Op {
	op := pipeline.Define("ConsolidateBucketKeys", 0, pipeline.Route{Method: http.MethodPost, Path: apiPrefix + "bucketkeys/consolidate"},
		func(c *pipeline.Call) (consolidateKeys, error) {
			name, _, err := ofBucket(c)
			return consolidateKeys{name}, err
		},
		a.consolidate, a.stream)
	op.Streams = true
	return op
}

// consolidate begins the job before it answers, so that its refusal is an error. The
// job goes on when the client goes away.
func (a *API) consolidate(ctx context.Context, _ iam.Caller, in consolidateKeys) (lines, error) {
	if _, err := a.BucketKeys.Start(ctx, in.bucket); err != nil {
		return lines{}, err
	}
	return lines{watch: true, write: func(ctx context.Context, w io.Writer) error {
		ctx, cancel := a.untilStopping(ctx)
		defer cancel()
		var sendErr error
		err := a.BucketKeys.Follow(ctx, in.bucket, func(s jobs.Status) {
			if sendErr == nil {
				if sendErr = writeLine(w, s); sendErr != nil {
					cancel()
				}
			}
		})
		switch {
		case sendErr != nil:
			return sendErr
		case a.stopping():
			return nil
		}
		return err
	}}, nil
}

// switchConsolidation asks that upkeep consolidate a bucket, or not.
type switchConsolidation struct {
	bucket string
	on     bool
}

// Needs returns the permission.
func (switchConsolidation) Needs() []policy.Need { return needs("ConsolidateBucketKeys") }

// switched says how the setting is.
type switched struct {
	Consolidation bool `json:"consolidation"`
}

func (a *API) switchConsolidationOp() pipeline.Op {
	return pipeline.Define("SwitchConsolidation", 0, pipeline.Route{Method: http.MethodPost, Path: apiPrefix + "bucketkeys/switch"},
		func(c *pipeline.Call) (in switchConsolidation, err error) {
			in.bucket, in.on, err = bucketSwitch(c)
			return in, err
		},
		func(ctx context.Context, _ iam.Caller, in switchConsolidation) (switched, error) {
			return switched{in.on}, a.BucketKeys.Switch(ctx, in.bucket, in.on)
		},
		func(c *pipeline.Call, out switched) (*pipeline.Response, error) { return inJSON(c, out) })
}
