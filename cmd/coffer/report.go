// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/report"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/server"
)

// keyReport is what `coffer bucketkey report` can be told.
type keyReport struct {
	bucket           string
	since, until, by string
	price            float64
	asJSON           bool
	csv, svg, data   string
}

func newBucketKeyReport() *cobra.Command {
	var o keyReport
	cmd := &cobra.Command{
		Use:   "report [BUCKET]",
		Short: "Say what Bucket Keys save, from the audit trail",
		Long: `Say from the audit trail how many KMS requests were made and how many Bucket Keys
avoided, by operation, bucket, KMS key and requester; what they cost; and how that
was before and after a bucket was switched to Bucket Keys. Without BUCKET all
buckets are reported, and requests that S3 did not make. The report has every KMS
request of the trail in that time, and says how it adds up.

The server is found as the AWS CLI finds it; with --data the files of a stopped
server are read.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("it takes at most one BUCKET, and there are %d arguments: see \"%s --help\"", len(args), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if o.bucket = args[0]; !aws.ValidBucketName(o.bucket) {
					return fmt.Errorf("%q is no name of a bucket", o.bucket)
				}
			}
			return reportKeys(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.since, "since", "7d", "from a time on (2026-03-04T05:00:00Z), or the last so long (36h, 7d); \"\" is all of the trail")
	f.StringVar(&o.until, "until", "", "to a time, or to so long ago (default: now)")
	f.StringVar(&o.by, "by", "", "minute, hour or day: intervals of --csv and --svg (default: what suits the time)")
	f.Float64Var(&o.price, "price", report.DefaultPrice, "price of 10,000 KMS requests, in US dollars")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	f.StringVar(&o.csv, "csv", "", "write a table to this file, a line for each interval, operation, bucket, key and requester (- is the output)")
	f.StringVar(&o.svg, "svg", "", "write a chart to this file (- is the output)")
	f.StringVar(&o.data, "data", "", "data directory of a stopped server, to read instead of asking one")
	return cmd
}

func reportKeys(ctx context.Context, o keyReport, stdout, stderr io.Writer) error {
	now := time.Now()
	q := report.Query{Bucket: o.bucket, By: report.Interval(o.by)}
	var err error
	if q.Since, err = parseMoment("--since", o.since, now); err != nil {
		return err
	}
	if q.Until, err = parseMoment("--until", o.until, now); err != nil {
		return err
	}
	if !(o.price >= 0 && o.price <= math.MaxInt32) {
		return errors.New("--price is that of 10,000 KMS requests, in US dollars")
	}
	if o.csv == "-" && (o.svg == "-" || o.asJSON) || o.svg == "-" && o.asJSON {
		return errors.New("one of --json, --csv - and --svg - can go to the output")
	}
	r, err := askReport(ctx, q, o, stderr)
	if err != nil {
		return err
	}
	if err := writeReport(o.csv, stdout, r.CSV); err != nil {
		return err
	}
	if err := writeReport(o.svg, stdout, r.SVG); err != nil {
		return err
	}
	switch {
	case o.csv == "-" || o.svg == "-":
	case o.asJSON:
		err = printJSON(stdout, r)
	default:
		err = printReport(stdout, r)
	}
	if err == nil && !r.Reconciles() {
		err = errors.New("the report does not add up to the trail: please tell the makers of Coffer, with the output of --json")
	}
	return err
}

func askReport(ctx context.Context, q report.Query, o keyReport, stderr io.Writer) (*report.Report, error) {
	bar := reportProgress(stderr)
	defer func() { _ = bar.Finish() }()
	progress := func(p report.Progress) {
		bar.ChangeMax64(p.Total)
		_ = bar.Set64(p.Read) // it is for the eye alone
	}
	if o.data == "" {
		c, err := remote(ctx)
		if err != nil {
			return nil, err
		}
		return c.Report(ctx, q, o.price, progress)
	}
	dir := server.AuditDir(o.data)
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("%s is no data directory of Coffer: %w", o.data, err)
	}
	r, err := report.Read(ctx, dir, q, o.price, progress)
	if f, ok := fault.As(err); ok {
		return nil, errors.New(strings.TrimSuffix(f.Message, "."))
	}
	return r, err
}

// reportProgress is shown on a terminal only.
func reportProgress(w io.Writer) *progressbar.ProgressBar {
	f, ok := w.(*os.File)
	visible := ok && term.IsTerminal(int(f.Fd()))
	return progressbar.NewOptions64(-1, progressbar.OptionSetWriter(w), progressbar.OptionSetVisibility(visible),
		progressbar.OptionSetDescription("reading the audit trail"), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowBytes(true))
}

// writeReport writes into a file of that name, which is there whole or not at all.
func writeReport(name string, stdout io.Writer, write func(io.Writer) error) error {
	switch name {
	case "":
		return nil
	case "-":
		return write(stdout)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	temporary := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".new")
	if err := os.WriteFile(temporary, b.Bytes(), 0o644); err != nil {
		return err
	}
	if err := os.Rename(temporary, name); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}

// reportRows is how many rows of a kind are printed. JSON and CSV have all.
const reportRows = 30

func printReport(w io.Writer, r *report.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	what := "all buckets"
	if r.Bucket != "" {
		what = r.Bucket
	}
	from := "the beginning of the trail"
	if !r.Since.IsZero() {
		from = r.Since.Format(time.RFC3339)
	}
	fmt.Fprintf(t, "KMS requests of %s, from %s to %s\n\n", printable(what), from, r.Until.Format(time.RFC3339))
	if len(r.Rows) > 0 {
		printReportBuckets(t, r)
		printReportRows(t, r)
	}
	printPhases(t, r)
	printReconciled(t, r)
	return t.Flush()
}

func printReportBuckets(t io.Writer, r *report.Report) {
	fmt.Fprintln(t, "BUCKET\tMADE\tFAILED\tAVOIDED\tSAVED\tCOST\tWITHOUT BUCKET KEYS")
	line := func(name string, c report.Counts, cost, avoided float64) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(name), report.Grouped(c.Made), report.Grouped(c.Failed), report.Grouped(c.Avoided),
			report.Percent(c.Saved()), report.Dollars(cost), report.Dollars(cost+avoided))
	}
	for _, b := range r.Buckets[:min(len(r.Buckets), reportRows)] {
		line(b.Bucket, b.Counts, b.Cost, b.CostAvoided)
	}
	if more := len(r.Buckets) - reportRows; more > 0 {
		fmt.Fprintf(t, "… and %d more: --json and --csv have them\n", more)
	}
	if len(r.Buckets) > 1 {
		line("TOTAL", r.Total, r.Cost, r.CostAvoided)
	}
	fmt.Fprintln(t)
}

func printReportRows(t io.Writer, r *report.Report) {
	fmt.Fprintln(t, "OPERATION\tBUCKET\tKMS KEY\tREQUESTER\tMADE\tFAILED\tAVOIDED")
	for _, row := range r.Rows[:min(len(r.Rows), reportRows)] {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(row.Operation), printable(row.Bucket), printable(row.Key), printable(row.Requester),
			report.Grouped(row.Made), report.Grouped(row.Failed), report.Grouped(row.Avoided))
	}
	if more := len(r.Rows) - reportRows; more > 0 {
		fmt.Fprintf(t, "… and %d more: --json and --csv have them\n", more)
	}
	fmt.Fprintln(t)
}

// printPhases prints how it was before and after each switch. A bucket of one phase has
// nothing to compare.
func printPhases(t io.Writer, r *report.Report) {
	printed := false
	for _, b := range r.Buckets[:min(len(r.Buckets), reportRows)] {
		if len(b.Phases) < 2 && (r.Bucket == "" || len(b.Phases) == 0) {
			continue
		}
		if !printed {
			fmt.Fprintln(t, "BEFORE AND AFTER\tBUCKET KEY\tFROM\tMADE\tAVOIDED\tSAVED\tCOST\tCOST A DAY\tBY")
		}
		printed = true
		for _, p := range b.Phases {
			state, from, perDay := p.BucketKey, "-", "-"
			if state == "" {
				state = "not known"
			}
			if !p.From.IsZero() {
				from = p.From.Format(time.RFC3339)
				if days := p.To.Sub(p.From).Hours() / 24; days > 0 {
					perDay = report.Dollars(p.Cost / days)
				}
			}
			by := "-"
			if p.EventName != "" {
				by = p.EventName + " by " + p.By
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(b.Bucket), state, from, report.Grouped(p.Made), report.Grouped(p.Avoided),
				report.Percent(p.Saved()), report.Dollars(p.Cost), perDay, printable(by))
		}
	}
	if printed {
		fmt.Fprintln(t)
	}
}

func printReconciled(t io.Writer, r *report.Report) {
	a := r.Audit
	if len(r.Rows) == 0 {
		fmt.Fprintln(t, "There are none.")
	}
	fmt.Fprintf(t, "The trail has %s KMS requests in this time: %s are in this report", report.Grouped(a.KMSRequests), report.Grouped(a.Reported))
	if a.Elsewhere > 0 {
		fmt.Fprintf(t, ", %s are of other buckets or not made by S3", report.Grouped(a.Elsewhere))
	}
	if a.Unplaced > 0 && r.Bucket != "" {
		fmt.Fprintf(t, ", %s were refused for a bucket that the trail does not tell", report.Grouped(a.Unplaced))
	}
	fmt.Fprintf(t, ".\nOf %s accesses under Bucket Keys %s made a KMS request of their own, and %s did not.\n",
		report.Grouped(a.Accesses), report.Grouped(a.OwnRequest), report.Grouped(r.Total.Avoided))
	if r.Total.Direct > 0 {
		fmt.Fprintf(t, "%s requests were for objects without a Bucket Key: docs/bucket-keys.md says how to move objects under one.\n", report.Grouped(r.Total.Direct))
	}
	if a.Begins.After(r.Since) && a.Begins.Before(r.Until) && !r.Since.IsZero() {
		fmt.Fprintf(t, "The trail begins at %s: what was before is not in it.\n", a.Begins.Format(time.RFC3339))
	}
	if a.Damaged > 0 {
		fmt.Fprintf(t, "%s lines of the trail are damaged, and were not counted.\n", report.Grouped(a.Damaged))
	}
	if a.Unreadable > 0 {
		fmt.Fprintf(t, "%s of the trail cannot be read to the end: \"coffer audit verify\" says where. What is there was not counted.\n", amount(a.Unreadable, "file"))
	}
}
