// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// Check is one thing that readiness depends on.
type Check struct {
	Name string
	Run  func(context.Context) error // returns when its context is done
}

// checkTimeout bounds all checks together. Probes ask every few seconds, and give
// up as soon.
const checkTimeout = 5 * time.Second

func page(name, path string, do func(context.Context, iam.Caller, *pipeline.Call) (*pipeline.Response, error), peer func(*pipeline.Call) (*pipeline.Call, error)) pipeline.Op {
	op := pipeline.Define(name, pipeline.Read|pipeline.Silent|pipeline.Open, pipeline.Route{Method: http.MethodGet, Path: path},
		peer, do, func(_ *pipeline.Call, r *pipeline.Response) (*pipeline.Response, error) { return r, nil })
	op.Deadline = 2 * checkTimeout
	return op
}

func (a *API) livezOp() pipeline.Op {
	return page("Livez", prefix+"livez", func(context.Context, iam.Caller, *pipeline.Call) (*pipeline.Response, error) {
		return answer(http.StatusOK, plainText, []byte("ok\n")), nil
	}, a.allowed)
}

func (a *API) readyzOp() pipeline.Op {
	return page("Readyz", prefix+"readyz", func(ctx context.Context, _ iam.Caller, _ *pipeline.Call) (*pipeline.Response, error) {
		if err := a.ready(ctx); err != nil {
			return nil, err
		}
		return answer(http.StatusOK, plainText, []byte("ok\n")), nil
	}, a.allowed)
}

func (a *API) metricsOp() pipeline.Op {
	return page("Metrics", prefix+"metrics", func(_ context.Context, _ iam.Caller, c *pipeline.Call) (*pipeline.Response, error) {
		families, err := a.Metrics.Gather()
		if err != nil {
			return nil, fmt.Errorf("gather metrics: %w", err)
		}
		format := expfmt.NegotiateAccept(c.Request.Header, expfmt.DefaultAcceptedFormats()...)
		var body bytes.Buffer
		e := expfmt.NewEncoder(&body, format)
		for _, f := range families {
			if err := e.Encode(f); err != nil {
				return nil, fmt.Errorf("encode metric %s: %w", f.GetName(), err)
			}
		}
		return answer(http.StatusOK, string(format), body.Bytes()), nil
	}, a.allowed)
}

// allowed lets only near peers see how the server does. Loopback counts unless it
// is a proxy speaking for somebody else.
func (a *API) allowed(c *pipeline.Call) (*pipeline.Call, error) {
	peer, err := netip.ParseAddr(c.Caller.SourceIP)
	if err != nil {
		return nil, Forbidden
	}
	for _, p := range a.Peers {
		if p.Contains(peer) {
			return c, nil
		}
	}
	if peer.IsLoopback() && !c.Has("X-Forwarded-For") && !c.Has("Forwarded") {
		return c, nil
	}
	return nil, Forbidden
}

// ready runs all checks at once. Its fault names those that failed to the client,
// and says why to the log.
func (a *API) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	errs := make([]error, len(a.Checks))
	var all sync.WaitGroup
	for i, check := range a.Checks {
		all.Go(func() { errs[i] = check.Run(ctx) })
	}
	all.Wait()
	var names []string
	for i, err := range errs {
		if err != nil {
			names = append(names, a.Checks[i].Name)
			errs[i] = fmt.Errorf("%s: %w", a.Checks[i].Name, err)
		}
	}
	if names == nil {
		return nil
	}
	return fault.New(NotReady, "not ready: %s", strings.Join(names, ", ")).Because(errors.Join(errs...))
}
