// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/core/lifecycle/engine"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

// busySweeps are those of two buckets, of which one is swept at any time.
type busySweeps struct{ asked int }

func (s *busySweeps) Run(ctx context.Context, name string) ([]engine.Status, error) {
	return s.Status(ctx, name)
}

func (s *busySweeps) Status(context.Context, string) ([]engine.Status, error) {
	s.asked++
	states := []jobs.State{jobs.Running, jobs.Done}
	job := func(n int) *jobs.Status { return &jobs.Status{State: states[(s.asked+n)%2]} }
	return []engine.Status{{Bucket: "one", Rules: 1, Job: job(0)}, {Bucket: "two", Rules: 1, Job: job(1)}}, nil
}

// Who waits for all buckets to be swept is done when each has been, also where the next sweep of
// one begins before that of another is over.
func TestLifecycleRunEndsWhereSweepsNeverDo(t *testing.T) {
	sweeps := new(busySweeps)
	operated(t, &opsapi.API{Lifecycle: sweeps})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	if exit := run(ctx, []string{"lifecycle", "run"}, &out, &errs); exit != 0 || !strings.Contains(out.String(), "two") || sweeps.asked != 2 {
		t.Errorf("exit %d after %d answers\n%s%s", exit, sweeps.asked, out.String(), errs.String())
	}
}
