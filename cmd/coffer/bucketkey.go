// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/cofferstore/coffer/internal/core/consolidate"
	"github.com/cofferstore/coffer/internal/core/jobs"
)

func newBucketKey() *cobra.Command {
	return newGroup("bucketkey", "See what bucket keys do and save, and consolidate them",
		newBucketKeyStatus(), newBucketKeyPreflight(), newBucketKeyReport(), newBucketKeyConsolidate(), newBucketKeyAuto())
}

func newBucketKeyStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status BUCKET",
		Short: "List a bucket's bucket key generations",
		Long: `List the bucket key generations of a bucket: their KMS key, tier, age, how many
data keys are under them, and under which version of the KMS key's material they
are; and how many KMS requests each KMS key got for the bucket, and how many it did
not, since the server's start. No KMS key is used.`,
		Args: arguments("BUCKET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return bucketKeyStatus(cmd.Context(), args[0], asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func bucketKeyStatus(ctx context.Context, bucket string, asJSON bool, stdout io.Writer) error {
	c, err := remote(ctx)
	if err != nil {
		return err
	}
	body, err := c.BucketKeys(ctx, bucket)
	if err != nil {
		return err
	}
	if asJSON {
		_, err := fmt.Fprintf(stdout, "%s\n", body)
		return err
	}
	var s consolidate.Status
	if err := json.Unmarshal(body, &s); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return printGenerations(stdout, s, time.Now())
}

func printGenerations(w io.Writer, s consolidate.Status, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, k := range s.Keys {
		state := ""
		if !k.Usable {
			state = ", cannot be used now"
		}
		if k.Outdated > 0 {
			state += fmt.Sprintf(", %d under old material", k.Outdated)
		}
		noun := "generations"
		if k.Generations == 1 {
			noun = "generation"
		}
		fmt.Fprintf(t, "%s: %d %s%s\n", printable(k.KeyARN), k.Generations, noun, state)
		if r := k.Requests; r != (consolidate.Requests{}) {
			fmt.Fprintf(t, "  KMS requests since %s: %d GenerateDataKey and %d Decrypt made, %d and %d avoided\n",
				s.Since.Format(time.RFC3339), r.GenerateDataKey, r.Decrypt, r.GenerateDataKeyAvoided, r.DecryptAvoided)
		}
		fmt.Fprintln(t, "  GENERATION\tTIER\tSTATE\tAGE\tDATA KEYS\tMATERIAL")
		for _, g := range s.Generations {
			if g.KeyARN != k.KeyARN {
				continue
			}
			objects, material := "not counted", "?"
			if !g.Counted.IsZero() {
				objects = strconv.FormatInt(g.Objects, 10)
			}
			if g.Material > 0 {
				material = strconv.FormatUint(uint64(g.Material), 10)
			}
			fmt.Fprintf(t, "  %s\t%d\t%s\t%s\t%s\t%s\n", g.ID, g.Tier, g.State, age(now.Sub(g.Created)), objects, material)
		}
	}
	if len(s.Keys) == 0 {
		fmt.Fprintln(t, "no bucket keys")
	}
	if !s.Consolidation {
		fmt.Fprintln(t, "consolidation is off for this bucket")
	}
	if s.Job != nil {
		fmt.Fprintf(t, "last consolidation: %s\n", jobLine(*s.Job))
	}
	return t.Flush()
}

// age says how old something is in its largest unit.
func age(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dm", max(d, 0)/time.Minute)
}

// jobLine says how far a consolidation is.
func jobLine(s jobs.Status) string {
	text := fmt.Sprintf("%s, %d data keys moved", s.State, s.Done)
	if s.Error != "" {
		text += ": " + s.Error
	}
	return printable(text)
}

func newBucketKeyConsolidate() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "consolidate BUCKET",
		Short: "Merge a bucket's closed bucket key generations now",
		Long: `Have the server merge the closed bucket key generations of a bucket, put those
under old KMS material under the current one, and delete those that no object
names. It is what upkeep does daily. The command follows the job; the job goes on
without it.`,
		Args: arguments("BUCKET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return consolidateBucket(cmd.Context(), args[0], asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the job as JSON when it is over")
	return cmd
}

func consolidateBucket(ctx context.Context, bucket string, asJSON bool, stdout, stderr io.Writer) error {
	c, err := remote(ctx)
	if err != nil {
		return err
	}
	bar := consolidateProgress(stderr)
	var last jobs.Status
	err = c.Consolidate(ctx, bucket, func(line []byte) error {
		last = jobs.Status{}
		if err := json.Unmarshal(line, &last); err != nil {
			return fmt.Errorf("read the server's report: %w", err)
		}
		bar.Describe(last.Note)
		if last.Total > 0 {
			bar.ChangeMax64(max(last.Total, last.Done))
		}
		_ = bar.Set64(last.Done) // it is for the eye alone
		return nil
	})
	_ = bar.Finish()
	switch {
	case err != nil:
		return err
	case last.State == jobs.Failed || last.State == jobs.Cancelled:
		return fmt.Errorf("consolidate %s: %s", bucket, jobLine(last))
	case !last.State.Over():
		return fmt.Errorf("consolidate %s: the server stopped reporting; the job goes on: %s", bucket, jobLine(last))
	case asJSON:
		return json.NewEncoder(stdout).Encode(last)
	}
	_, err = fmt.Fprintln(stdout, jobLine(last))
	return err
}

// consolidateProgress is shown on a terminal only. How much there is to do is known
// when the objects have been counted.
func consolidateProgress(w io.Writer) *progressbar.ProgressBar {
	f, ok := w.(*os.File)
	visible := ok && term.IsTerminal(int(f.Fd()))
	return progressbar.NewOptions64(-1, progressbar.OptionSetWriter(w), progressbar.OptionSetVisibility(visible),
		progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowCount())
}

func newBucketKeyAuto() *cobra.Command {
	return &cobra.Command{
		Use:       "auto BUCKET on|off",
		Short:     "Let upkeep consolidate a bucket, or not",
		Long:      `Let the server's daily upkeep consolidate a bucket, which is the default, or stop it.`,
		Args:      arguments("BUCKET", "on|off"),
		ValidArgs: []string{"on", "off"},
		RunE: func(cmd *cobra.Command, args []string) error {
			on, err := onOff(args[1])
			if err != nil {
				return err
			}
			c, err := remote(cmd.Context())
			if err != nil {
				return err
			}
			if err := c.SwitchConsolidation(cmd.Context(), args[0], on); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "consolidation of %s is %s\n", args[0], args[1])
			return err
		},
	}
}
