// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/cofferstore/coffer/internal/config"
	"github.com/cofferstore/coffer/internal/server"
)

// demoOptions is what `coffer demo` can be told.
type demoOptions struct {
	asJSON bool
	price  float64 // USD per 10 000 KMS requests
}

func newDemo() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Store and read objects with Bucket Keys off and on, and count the KMS requests",
		Long: `Start a server in a temporary directory, store and read objects over HTTP with
the AWS SDK under a customer managed KMS key, with Bucket Keys off and on, and
print how many KMS requests that took. The requests are counted by the KMS itself,
as its audit trail has them.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print JSON")
	cmd.Flags().Float64Var(&o.price, "price", 0.03, "price of 10,000 KMS requests, in USD")
	return cmd
}

// demoRun is one line of the demo's table.
type demoRun struct {
	BucketKey         bool    `json:"bucketKey"`
	Puts              int     `json:"puts"`
	Gets              int     `json:"gets"`
	KMSRequests       int     `json:"kmsRequests"`
	SavingPercent     float64 `json:"savingPercent"`     // against one KMS request per object request
	CostPerMillionUSD float64 `json:"costPerMillionUSD"` // of object requests, for KMS requests alone
	Seconds           float64 `json:"seconds"`
}

// demoPlan is what the demo does, in order.
var demoPlan = []demoRun{
	{BucketKey: false, Puts: 50, Gets: 100},
	{BucketKey: true, Puts: 50, Gets: 100},
	{BucketKey: false, Puts: 10_000, Gets: 10_000},
	{BucketKey: true, Puts: 10_000, Gets: 10_000},
}

func demo(ctx context.Context, o demoOptions, stdout, stderr io.Writer) (err error) {
	d, err := startDemo(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := d.stop(); err == nil {
			err = stopErr
		}
	}()
	bar := progress(stderr)
	runs := make([]demoRun, len(demoPlan))
	for i, run := range demoPlan {
		if runs[i], err = d.run(ctx, fmt.Sprintf("demo-%d", i), run, o.price, bar); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	_ = bar.Finish()
	if o.asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(map[string]any{"pricePer10000USD": o.price, "runs": runs})
	}
	return printDemo(stdout, runs, o.price)
}

func printDemo(w io.Writer, runs []demoRun, price float64) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "Bucket Key\tPUT\tGET\tKMS requests\tsaved\tUSD per million\ttime\t")
	for _, r := range runs {
		on := "off"
		if r.BucketKey {
			on = "on"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%.2f %%\t%.4f\t%.1f s\t\n", on, r.Puts, r.Gets, r.KMSRequests, r.SavingPercent, r.CostPerMillionUSD, r.Seconds)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nSaved: against one KMS request per object request. Price: %.4f USD per 10,000 KMS requests (--price).\n", price)
	return err
}

// progress is a bar over all requests of the plan, on a terminal only.
func progress(w io.Writer) *progressbar.ProgressBar {
	total := 0
	for _, r := range demoPlan {
		total += r.Puts + r.Gets
	}
	f, ok := w.(*os.File)
	visible := ok && term.IsTerminal(int(f.Fd()))
	return progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionSetVisibility(visible),
		progressbar.OptionSetDescription("requests"), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond))
}

// demoServer is a server in a temporary directory, and clients of it.
type demoServer struct {
	dir    string
	server *server.Server
	end    context.CancelFunc
	done   chan error
	s3     *s3.Client
	kms    *kms.Client
	key    string
}

func startDemo(ctx context.Context) (_ *demoServer, err error) {
	d := &demoServer{done: make(chan error, 1)}
	if d.dir, err = os.MkdirTemp("", "coffer-demo-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(d.dir)
		}
	}()
	// The demo's settings are its own: no variable or file of a real server counts.
	flags := pflag.NewFlagSet("demo", pflag.ContinueOnError)
	config.AddFlags(flags)
	if err := flags.Parse([]string{"--data", d.dir, "--listen", "127.0.0.1:0"}); err != nil {
		return nil, err
	}
	cfg, err := config.LoadWith(flags)
	if err != nil {
		return nil, err
	}
	if d.server, err = server.Open(ctx, cfg, slog.New(slog.DiscardHandler), server.Tuning{}); err != nil {
		return nil, err
	}
	l, err := d.server.Listen()
	if err != nil {
		d.server.Close()
		return nil, err
	}
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	d.end = end
	go func() { d.done <- d.server.Serve(serving, l) }()
	if err := d.connect(ctx, cfg, l.Addr()); err != nil {
		d.stop()
		return nil, err
	}
	return d, nil
}

// connect makes the clients and the KMS key.
func (d *demoServer) connect(ctx context.Context, cfg *config.Config, addr net.Addr) error {
	id := d.server.RootKeys().AccessKeyID()
	secretKey, _, err := d.server.RootKeys().Lookup(ctx, id)
	if err != nil {
		return err
	}
	common := aws.Config{
		Region: cfg.Region, BaseEndpoint: aws.String("http://" + addr.String()),
		Credentials: credentials.NewStaticCredentialsProvider(id, string(secretKey.Reveal()), ""),
	}
	d.s3 = s3.NewFromConfig(common, func(o *s3.Options) { o.UsePathStyle = true })
	d.kms = kms.NewFromConfig(common)
	key, err := d.kms.CreateKey(ctx, &kms.CreateKeyInput{Description: aws.String("coffer demo")})
	if err != nil {
		return err
	}
	d.key = aws.ToString(key.KeyMetadata.Arn)
	return nil
}

func (d *demoServer) stop() error {
	d.end()
	err := <-d.done
	if closeErr := d.server.Close(); err == nil {
		err = closeErr
	}
	os.RemoveAll(d.dir)
	return err
}

// demoWorkers is how many requests are under way at a time.
const demoWorkers = 16

// demoBody is what every object holds.
const demoBody = 4 << 10

func (d *demoServer) run(ctx context.Context, bucket string, run demoRun, price float64, bar *progressbar.ProgressBar) (demoRun, error) {
	if _, err := d.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		return run, err
	}
	_, err := d.s3.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{
		Bucket: &bucket,
		ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{
				SSEAlgorithm: types.ServerSideEncryptionAwsKms, KMSMasterKeyID: &d.key,
			},
			BucketKeyEnabled: aws.Bool(run.BucketKey),
		}}},
	})
	if err != nil {
		return run, err
	}
	before, err := kmsRequests(d.server)
	if err != nil {
		return run, err
	}
	start := time.Now()
	name := func(i int) string { return fmt.Sprintf("object-%05d", i%run.Puts) }
	err = parallel(ctx, run.Puts, func(ctx context.Context, i int) error {
		defer bar.Add(1)
		_, err := d.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(name(i)), Body: bytes.NewReader(demoData(i))})
		return err
	})
	if err != nil {
		return run, err
	}
	err = parallel(ctx, run.Gets, func(ctx context.Context, i int) error {
		defer bar.Add(1)
		out, err := d.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String(name(i))})
		if err != nil {
			return err
		}
		defer out.Body.Close()
		got, err := io.ReadAll(out.Body)
		if err == nil && !bytes.Equal(got, demoData(i%run.Puts)) {
			err = fmt.Errorf("%s reads back differently", name(i))
		}
		return err
	})
	if err != nil {
		return run, err
	}
	after, err := kmsRequests(d.server)
	requests := run.Puts + run.Gets
	run.KMSRequests = after - before
	run.SavingPercent = 100 * (1 - float64(run.KMSRequests)/float64(requests))
	run.CostPerMillionUSD = float64(run.KMSRequests) / float64(requests) * 1e6 / 1e4 * price
	run.Seconds = time.Since(start).Seconds()
	return run, err
}

// demoData returns the bytes of the i-th object.
func demoData(i int) []byte {
	b := make([]byte, demoBody)
	r := rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), byte(i >> 16)})
	r.Read(b)
	return b
}

// kmsRequests counts the requests that S3 has made to KMS.
func kmsRequests(s *server.Server) (int, error) {
	families, err := s.Metrics().Gather()
	if err != nil {
		return 0, err
	}
	total := 0.0
	for _, f := range families {
		if f.GetName() != "coffer_kms_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "source" && l.GetValue() == "s3" {
					total += m.GetCounter().GetValue()
				}
			}
		}
	}
	return int(total), nil
}

// parallel calls f for 0 to n-1, some at a time, until all are done or one fails.
func parallel(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(demoWorkers, n) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
