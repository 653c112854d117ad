// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/core/lifecycle/engine"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

func newLifecycle() *cobra.Command {
	return newGroup("lifecycle", "Carry out lifecycle rules now, and see what they did", newLifecycleRun(), newLifecycleStatus())
}

// lifecycleFlags are those of both commands.
type lifecycleFlags struct {
	bucket string
	asJSON bool
}

func (f *lifecycleFlags) add(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&f.bucket, "bucket", "", "only this bucket")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

func newLifecycleRun() *cobra.Command {
	var f lifecycleFlags
	return f.add(&cobra.Command{
		Use:   "run",
		Short: "Carry out what lifecycle rules demand now",
		Long: `Have the server walk through the buckets that have lifecycle rules, or through one of
them, and do what is due. It is what upkeep does every hour. A sweep that is under way is
joined: what fell due after it began is for the next one. The command waits for the end; the
sweeps go on without it.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runLifecycle(cmd.Context(), f, cmd.OutOrStdout())
		},
	})
}

func newLifecycleStatus() *cobra.Command {
	var f lifecycleFlags
	return f.add(&cobra.Command{
		Use:   "status",
		Short: "List buckets with lifecycle rules and their last sweeps",
		Long:  `List the buckets that have lifecycle rules, when each was swept last, and what was done.`,
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := remote(cmd.Context())
			if err != nil {
				return err
			}
			return showSweeps(cmd.OutOrStdout(), f.asJSON)(c.LifecycleStatus(cmd.Context(), f.bucket))
		},
	})
}

// followSweeps is how often sweeps are looked at that a command waits for.
const followSweeps = 500 * time.Millisecond

func runLifecycle(ctx context.Context, f lifecycleFlags, stdout io.Writer) error {
	c, err := remote(ctx)
	if err != nil {
		return err
	}
	body, err := c.RunLifecycle(ctx, f.bucket)
	if err == nil {
		body, err = untilSwept(ctx, c, f.bucket, body)
	}
	if err := showSweeps(stdout, f.asJSON)(body, err); err != nil {
		return err
	}
	sweeps, err := sweepsIn(body)
	if err != nil {
		return err
	}
	for _, s := range sweeps {
		if s.Job != nil && s.Job.State == jobs.Failed {
			return errors.New("a sweep failed: the server's log says more")
		}
	}
	return nil
}

// untilSwept waits until each bucket has been swept. Where there are many, the next sweep of one
// may begin before that of another is over.
func untilSwept(ctx context.Context, c *opsapi.Client, bucket string, body json.RawMessage) (json.RawMessage, error) {
	tick := time.NewTicker(followSweeps)
	defer tick.Stop()
	swept := map[string]bool{}
	for {
		sweeps, err := sweepsIn(body)
		if err != nil {
			return nil, err
		}
		over := true
		for _, s := range sweeps {
			swept[s.Bucket] = swept[s.Bucket] || s.Over()
			over = over && swept[s.Bucket]
		}
		if over {
			return body, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
		if body, err = c.LifecycleStatus(ctx, bucket); err != nil {
			return nil, err
		}
	}
}

func sweepsIn(body json.RawMessage) (sweeps []engine.Status, err error) {
	if err := json.Unmarshal(body, &sweeps); err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	return sweeps, nil
}

// showSweeps returns what prints an answer, as it is or as a table.
func showSweeps(w io.Writer, asJSON bool) func(json.RawMessage, error) error {
	return func(body json.RawMessage, err error) error {
		if err != nil {
			return err
		}
		if asJSON {
			_, err := fmt.Fprintf(w, "%s\n", body)
			return err
		}
		sweeps, err := sweepsIn(body)
		if err != nil {
			return err
		}
		if len(sweeps) == 0 {
			_, err := fmt.Fprintln(w, "no bucket has lifecycle rules")
			return err
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "BUCKET\tRULES\tSWEEP\tBEGAN\tDONE")
		for _, s := range sweeps {
			state, began, done := "none yet", "", ""
			if j := s.Job; j != nil {
				state, done = string(j.State), j.Note
				if j.Error != "" {
					done += ": " + j.Error
				}
				if !j.Started.IsZero() {
					began = j.Started.Format(time.RFC3339)
				}
			}
			fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", s.Bucket, s.Rules, state, began, printable(done))
		}
		return t.Flush()
	}
}
