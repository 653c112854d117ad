// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/cofferstore/coffer/internal/core/object"
)

func newScrub() *cobra.Command {
	var deep, asJSON bool
	cmd := &cobra.Command{
		Use:   "scrub",
		Short: "Have the server check everything that it keeps",
		Long: `Have the server read all metadata and all data and compare them with what it
knows of them. A deep scrub also opens the objects under SSE-S3. No KMS key is
used. What is damaged is listed, and then the exit code is 1.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return scrub(cmd.Context(), deep, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&deep, "deep", false, "also open the objects under SSE-S3")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

func scrub(ctx context.Context, deep, asJSON bool, stdout, stderr io.Writer) error {
	c, err := remote(ctx)
	if err != nil {
		return err
	}
	spinner := scrubProgress(stderr)
	var last object.ScrubReport
	err = c.Scrub(ctx, deep, func(report []byte) error {
		last = object.ScrubReport{}
		if err := json.Unmarshal(report, &last); err != nil {
			return fmt.Errorf("read the server's report: %w", err)
		}
		spinner.Describe(scrubbed(last))
		_ = spinner.Add(1) // it is for the eye alone
		return nil
	})
	_ = spinner.Finish()
	if err != nil {
		return fmt.Errorf("scrub: %w", err)
	}
	if !last.Done {
		return fmt.Errorf("scrub: the server ended it after %s", scrubbed(last))
	}
	if err := printScrub(stdout, last, asJSON); err != nil {
		return err
	}
	if n := len(last.Damaged); n > 0 {
		return fmt.Errorf("scrub: %d damaged", n)
	}
	return nil
}

func printScrub(w io.Writer, r object.ScrubReport, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	for _, d := range r.Damaged {
		if _, err := fmt.Fprintln(w, damageLine(d)); err != nil {
			return err
		}
	}
	verdict := "nothing is damaged"
	if len(r.Damaged) > 0 {
		verdict = fmt.Sprintf("%d damaged", len(r.Damaged))
	}
	_, err := fmt.Fprintf(w, "%s: %s\n", scrubbed(r), verdict)
	return err
}

func damageLine(d object.Damage) string {
	where := "metadata"
	switch {
	case d.Key != "":
		where = "s3://" + d.Bucket + "/" + d.Key
	case d.Bucket != "":
		where = "s3://" + d.Bucket
	}
	if d.Stream != "" {
		where += " (stream " + d.Stream + ")"
	}
	return printable("damaged: " + where + ": " + d.What)
}

// scrubbed says how far a scrub has come.
func scrubbed(r object.ScrubReport) string {
	text := fmt.Sprintf("%d rows, %d streams, %d bytes", r.Rows, r.Streams, r.Bytes)
	if r.Opened > 0 {
		text += fmt.Sprintf(", %d opened", r.Opened)
	}
	return text
}

// scrubProgress is a spinner, on a terminal only: how much there is to read is not
// known before.
func scrubProgress(w io.Writer) *progressbar.ProgressBar {
	f, ok := w.(*os.File)
	visible := ok && term.IsTerminal(int(f.Fd()))
	return progressbar.NewOptions(-1, progressbar.OptionSetWriter(w), progressbar.OptionSetVisibility(visible),
		progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
}
