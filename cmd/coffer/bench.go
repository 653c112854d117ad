// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/cofferstore/coffer/internal/bench"
)

// benchOptions is what `coffer bench` can be told.
type benchOptions struct {
	endpoint, dir, only, svg string
	concurrency, rounds      int
	kmsQuota                 int
	kmsLatency               time.Duration
	quick, asJSON            bool
}

func newBench() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a server under load, beside yardsticks of the machine",
		Long: `Start a server on a temporary directory, load it over HTTP with signed requests,
and print requests and bytes per second, latencies, processor time and KMS
requests: for each size, verb and kind of encryption, beside an HTTP server that
does nothing, one that only decrypts, and the bare disk. What is compared runs in
turn, in short slices. docs/performance.md says how to read the table.

With --endpoint a running server is measured, with credentials as the AWS CLI finds
them. Buckets and a KMS key are made there and removed at the end; the key is
scheduled for deletion.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runBench(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.endpoint, "endpoint", "", "URL of a running server to measure")
	f.StringVar(&o.dir, "dir", "", "where the temporary directory is made: on the disk that is to be measured")
	f.IntVar(&o.concurrency, "concurrency", 16, "requests under way at a time; fewer for large objects")
	f.IntVar(&o.rounds, "rounds", 0, "slices of each cell: with 60 small differences show (default 5, 3 of large objects)")
	f.DurationVar(&o.kmsLatency, "kms-latency", 0, "hold up each KMS request that S3 makes, as a key service elsewhere would")
	f.IntVar(&o.kmsQuota, "kms-request-quota", 0, "KMS requests per second that the server allows; those beyond are throttled (503) and counted")
	f.StringVar(&o.only, "only", "", `only cells whose names match this regular expression, such as "put 4 kib" or ": SSE-KMS"`)
	f.BoolVar(&o.quick, "quick", false, "some twenty seconds, for a first look")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	f.StringVar(&o.svg, "svg", "", "write a chart to this file")
	cmd.AddCommand(newBenchYardsticks())
	return cmd
}

// newBenchYardsticks is how a run starts the yardsticks that speak HTTP in a
// process of their own.
func newBenchYardsticks() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "yardsticks", Short: "Serve the yardsticks of a run", Hidden: true, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.ServeYardsticks(cmd.Context(), dir, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "where files are made")
	return cmd
}

func runBench(ctx context.Context, o benchOptions, stdout, stderr io.Writer) error {
	cfg, err := o.config(ctx)
	if err != nil {
		return err
	}
	step, finished := benchProgress(stderr)
	cfg.Progress = step
	report, err := bench.Run(ctx, cfg)
	finished()
	if err != nil {
		return err
	}
	if o.svg != "" {
		if err := writeChart(o.svg, report); err != nil {
			return err
		}
	}
	if o.asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(report)
	}
	return report.Text(stdout)
}

func (o benchOptions) config(ctx context.Context) (cfg bench.Config, err error) {
	cfg = bench.Config{Dir: o.dir, Concurrency: o.concurrency, KMSLatency: o.kmsLatency, KMSQuota: o.kmsQuota, Scale: bench.Full()}
	if o.concurrency < 1 {
		return cfg, errors.New("--concurrency is a number of requests, at least 1")
	}
	if o.quick {
		cfg.Scale = bench.Quick()
	}
	if o.rounds < 0 {
		return cfg, errors.New("--rounds is a number of slices, at least 1")
	}
	if o.rounds > 0 {
		cfg.Scale.Rounds, cfg.Scale.LargeRounds = o.rounds, o.rounds
	}
	if o.only != "" {
		if _, err := regexp.Compile(o.only); err != nil { // as it was written
			return cfg, fmt.Errorf("--only: %w", err)
		}
		cfg.Only = regexp.MustCompile("(?i)" + o.only)
	}
	if cfg.Program, err = os.Executable(); err != nil {
		return cfg, err
	}
	if o.endpoint == "" {
		return cfg, nil
	}
	// As for the other commands that talk to a server: see remote.
	found, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	if err != nil {
		return cfg, fmt.Errorf("read the AWS configuration: %w", err)
	}
	cfg.Remote = &bench.Remote{Endpoint: o.endpoint, Region: found.Region, Credentials: found.Credentials}
	if cfg.Remote.Region == "" {
		cfg.Remote.Region = defaultRegion
	}
	return cfg, nil
}

// benchProgress is a bar over the steps of a run, on a terminal only.
func benchProgress(w io.Writer) (step func(done, total int, doing string), finished func()) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, func() {}
	}
	bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(w), progressbar.OptionClearOnFinish(),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond))
	return func(done, total int, doing string) {
		if bar.GetMax() != total {
			bar.ChangeMax(total)
		}
		bar.Describe(doing)
		_ = bar.Set(done)
	}, func() { _ = bar.Finish() }
}

func writeChart(name string, report *bench.Report) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(report.SVG(f), f.Close())
}
