// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/cofferstore/coffer/internal/config"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/server"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve S3 and KMS from a data directory",
		Long: `Serve S3 and KMS from a data directory. On an empty directory it makes the root
key and the account's root credentials, which it prints once and writes to the
file "credentials" in the data directory.`,
		Args: noArguments,
	}
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := config.Load(cmd.Flags())
		if err != nil {
			return err
		}
		return serve(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// serve runs a server until ctx is done.
func serve(ctx context.Context, cfg *config.Config, stdout, stderr io.Writer) error {
	log := newLogger(cfg, stderr)
	version, enabled, enforced := fips.State()
	if cfg.RequireFIPS && !enabled {
		return fmt.Errorf("require-fips: the FIPS 140-3 module is not enabled; run with GODEBUG=fips140=on or use a release build")
	}
	if err := harden(); err != nil {
		return err
	}
	defer runtime.KeepAlive(make([]byte, heapFloor))
	s, err := server.Open(ctx, cfg, log, server.Tuning{Version: thisBuild()})
	if err != nil {
		return err
	}
	l, err := s.Listen()
	if err != nil {
		s.Close()
		return err
	}
	log.Info("serving", "address", l.Addr().String(), "data", cfg.Data, "region", cfg.Region,
		"account", cfg.AccountID, "fips_module", version, "fips_enabled", enabled, "fips_enforced", enforced)
	printHow(stdout, s, cfg, l.Addr())
	err = s.Serve(ctx, l)
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	log.Info("stopped")
	return err
}

// heapFloor is memory that is allocated and never touched, so that it is never resident.
// The collector runs when the heap has doubled, and little of this program's is long in
// use: without a floor it would run hundreds of times a second for a few megabytes. With
// it, so much more garbage at most is resident.
const heapFloor = 64 << 20

func newLogger(cfg *config.Config, w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.LogLevel, ReplaceAttr: plainError}
	if cfg.LogFormat == config.JSON {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// plainError logs an error as its message: the text handler would ask it for
// everything that it can show, and some would show stacks.
func plainError(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		a.Value = slog.StringValue(err.Error())
	}
	return a
}

// printHow tells a user how to reach the server, as lines that a shell can eval.
// The secret is shown only on the start that made it.
func printHow(w io.Writer, s *server.Server, cfg *config.Config, addr net.Addr) {
	fmt.Fprintf(w, "# Coffer serves %s. Copy these lines into a shell to use it:\n", cfg.Data)
	fmt.Fprintf(w, "export AWS_ENDPOINT_URL=%s://%s\n", s.Scheme(), reachable(addr))
	fmt.Fprintf(w, "export AWS_DEFAULT_REGION=%s\n", cfg.Region)
	fmt.Fprintf(w, "export AWS_ACCESS_KEY_ID=%s\n", s.RootKeys().AccessKeyID())
	switch {
	case s.Generated():
		secretKey, _, err := s.RootKeys().Lookup(context.Background(), s.RootKeys().AccessKeyID())
		if err == nil {
			fmt.Fprintf(w, "export AWS_SECRET_ACCESS_KEY=%s\n", secretKey.Reveal())
		}
		fmt.Fprintf(w, "# The secret is shown this once; it is also in %s, readable by its owner alone.\n", s.CredentialsFile())
	case cfg.RootSecretAccessKey.Len() > 0:
		fmt.Fprintln(w, "# AWS_SECRET_ACCESS_KEY is the one that the server was given.")
	default:
		fmt.Fprintf(w, "# AWS_SECRET_ACCESS_KEY was shown at the first start; see %s.\n", s.CredentialsFile())
	}
}

// reachable turns the address of a listener into one that a client can use.
func reachable(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
