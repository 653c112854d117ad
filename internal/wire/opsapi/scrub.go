// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"io"
	"net/http"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// scrub asks for a scrub.
type scrub struct{ deep bool }

// Needs returns the permission.
func (scrub) Needs() []policy.Need { return needs("Scrub") }

func (a *API) scrubOp() pipeline.Op {
	op := pipeline.Define("Scrub", 0, pipeline.Route{Method: http.MethodPost, Path: apiPrefix + "scrub"},
		func(c *pipeline.Call) (in scrub, err error) {
			p, err := parameters(c, "deep")
			if err != nil {
				return in, err
			}
			in.deep, err = flag(p, "deep")
			return in, err
		},
		a.scrub, a.stream)
	op.Streams = true
	return op
}

// scrub runs for as long as its client listens: it ends with the connection.
func (a *API) scrub(_ context.Context, _ iam.Caller, in scrub) (lines, error) {
	if a.scrubbing.Load() {
		return lines{}, ScrubRunning
	}
	return lines{watch: true, write: func(ctx context.Context, w io.Writer) error {
		// Again, since another may have begun after the question above.
		if !a.scrubbing.CompareAndSwap(false, true) {
			return ScrubRunning
		}
		defer a.scrubbing.Store(false)
		ctx, cancel := a.untilStopping(ctx)
		defer cancel()
		var sendErr error
		err := a.Scrub(ctx, in.deep, func(report any) {
			if sendErr == nil {
				if sendErr = writeLine(w, report); sendErr != nil {
					cancel()
				}
			}
		})
		if err == nil {
			err = sendErr
		}
		return err
	}}, nil
}
