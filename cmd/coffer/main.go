// SPDX-License-Identifier: Apache-2.0

// Command coffer is an S3-compatible object store with a KMS of its own, in which
// S3 Bucket Keys work. Each sub-command is a file.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run executes a command line and returns the exit code: 0, or 1 with one message
// on stderr. A command may have others, which its help says.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(stderr, "coffer:", text)
	}
	if end := (ended{}); errors.As(err, &end) {
		return end.code
	}
	return 1
}

func newRoot() *cobra.Command {
	root := newGroup("coffer", "S3-compatible object store in which S3 Bucket Keys work",
		newServe(), newVersion(), newDemo(), newAudit(), newKeys(), newBucket(), newAccount(), newBucketKey(), newLifecycle(), newScrub(), newConfig(), newBench())
	root.Long = `Coffer is an S3-compatible object store with a KMS of its own. With SSE-KMS and
Bucket Keys on, a million reads and writes cost a handful of KMS requests.

Commands that talk to a running server find it as the AWS CLI does: by
AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.`
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w: see \"%s --help\"", plainFlag(err), cmd.CommandPath())
	})
	return root
}

// plainFlag says of a flag's value what it should be, and not which function did not
// like it.
func plainFlag(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	is := bad.GetFlag().Value.Type()
	switch is {
	case "int", "int64", "uint":
		is = "no whole number"
	case "float64":
		is = "no number"
	case "duration":
		is = "no duration such as 5ms or 2h"
	case "bool":
		is = "neither true nor false"
	default:
		return err
	}
	return fmt.Errorf("--%s: %q is %s", bad.GetFlag().Name, bad.GetValue(), is)
}

// newGroup returns a command that is only a name for others.
func newGroup(use, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use: use, Short: short, DisableFlagsInUseLine: true, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	group.AddCommand(commands...)
	return group
}

// arguments demands as many arguments as it names.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		return fmt.Errorf("it takes %s, and there are %d arguments: see \"%s --help\"", strings.Join(names, " and "), len(args), cmd.CommandPath())
	}
}

// noArguments refuses what is neither a flag nor a command.
func noArguments(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasSubCommands():
		return fmt.Errorf("unknown command %q: see \"%s --help\"", args[0], cmd.CommandPath())
	}
	return fmt.Errorf("%q is one argument too many: see \"%s --help\"", args[0], cmd.CommandPath())
}
