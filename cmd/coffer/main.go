// SPDX-License-Identifier: Apache-2.0

// Command coffer is an S3-compatible object store with a KMS of its own, in which
// S3 Bucket Keys work. Each sub-command is a file.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run executes a command line and returns the exit code: 0, or 1 with one message
// on stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, "coffer:", err)
		return 1
	}
	return 0
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "coffer",
		Short: "S3-compatible object store in which S3 Bucket Keys work",
		Long: `Coffer is an S3-compatible object store with a KMS of its own. With SSE-KMS and
Bucket Keys on, a million reads and writes cost a handful of KMS requests.

Commands that talk to a running server find it as the AWS CLI does: by
AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(newServe(), newVersion(), newDemo(), newAudit(), newKeys(), newBucketKey(), newScrub(), newConfig())
	return root
}
