// SPDX-License-Identifier: Apache-2.0

// Command suites runs what others wrote to see whether a server is S3: the
// integration tests of other projects, and real clients that do real work. Each
// suite has a server of its own.
//
//	go run . -coffer ../../bin/coffer [-only NAME,…] [-short] [-v]
//
// A suite is a program: a Go package of this module, or an executable in clients. It
// is told of the server by its environment, and says what it found on standard
// output, one line each; other lines are for whoever reads its log:
//
//	ok NAME
//	FAIL NAME: why
//	skip NAME: why
//
// It exits with an error only when it could not finish. See clients/README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "suites:", err)
		stop()
		os.Exit(1)
	}
}

// options are how the suites are run.
type options struct {
	coffer  string // the binary
	short   bool   // smaller sizes, for CI
	scratch string // directory for data and what suites write; removed afterwards
	logs    string // directory for what suites and servers print
	clients string // directory of the clients
	verbose bool
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("suites", flag.ContinueOnError)
	var o options
	flags.StringVar(&o.coffer, "coffer", "../../bin/coffer", "the `binary` to test")
	flags.BoolVar(&o.short, "short", false, "smaller sizes, and without what takes long")
	flags.StringVar(&o.logs, "logs", "../../bin/suites", "`directory` for what suites and servers print")
	flags.BoolVar(&o.verbose, "v", false, "print what suites print, too")
	only := flags.String("only", "", "run these suites alone: `names` with commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	suites, err := choose(*only)
	if err != nil {
		return err
	}
	if o.coffer, err = filepath.Abs(o.coffer); err != nil {
		return err
	}
	if _, err := os.Stat(o.coffer); err != nil {
		return fmt.Errorf("%w: build it with `make build`", err)
	}
	if o.logs, err = filepath.Abs(o.logs); err != nil {
		return err
	}
	if err := os.MkdirAll(o.logs, 0o755); err != nil {
		return err
	}
	if o.clients, err = filepath.Abs(clients); err != nil {
		return err
	}
	reasons, err := readReasons(divergences)
	if err != nil {
		return err
	}
	var reports []report
	for _, s := range suites {
		r, err := o.runOne(ctx, s, out)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		reports = append(reports, r)
	}
	table(out, reports, reasons)
	if slices.ContainsFunc(reports, func(r report) bool { return !r.good() }) {
		return errors.New("not all is as it should be; logs are in " + o.logs)
	}
	return nil
}

// clients is the directory of the suites that are no Go packages.
const clients = "clients"

// choose returns the suites with the names, or all.
func choose(names string) ([]suite, error) {
	found, err := findClients(clients)
	if err != nil {
		return nil, err
	}
	all := append(slices.Clone(goSuites), found...)
	if names == "" {
		return all, nil
	}
	var chosen []suite
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(s suite) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no suite %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// runOne runs a suite on a new server.
func (o options) runOne(ctx context.Context, s suite, out io.Writer) (r report, err error) {
	fmt.Fprintf(out, "%s …\n", s.name)
	expected, err := readExpected(s.name)
	if err != nil {
		return report{}, err
	}
	if o.scratch, err = os.MkdirTemp("", "suites-"+s.name+"-"); err != nil {
		return report{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.scratch)) }()

	program, err := s.build(ctx, o.scratch)
	if err != nil {
		return report{}, err
	}
	server, err := o.serve(ctx, s)
	if err != nil {
		return report{}, err
	}
	began := time.Now()
	found, why, err := o.execute(ctx, s, program, server, out)
	if stopped := server.stop(); stopped != nil {
		why = strings.TrimSpace(why + " " + stopped.Error())
	}
	if err != nil {
		return report{}, err
	}
	return judge(s, found, expected, why, o.short, time.Since(began)), nil
}
