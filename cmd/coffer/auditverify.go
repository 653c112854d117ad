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
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/cofferstore/coffer/internal/config"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

func newAuditVerify() *cobra.Command {
	var asJSON bool
	var data string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the chain of the audit trail",
		Long: `Go along the hash chain of the audit trail's files and report, with its place,
each line that was changed, moved or added, and where lines, files or the end of the
trail are missing. Notes are what is explained: lines that a crash tore, files that
were dropped because they were old. With a fault the exit code is 1.

The server is asked, found as the AWS CLI finds it; with --data the files of a
stopped server are read. The end of the chain is in its metadata store, which is
opened as a start does, with COFFER_ROOT_KEY_PASSPHRASE if there is one.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := &verifyPrinter{out: cmd.OutOrStdout(), asJSON: asJSON, bar: verifyProgress(cmd.ErrOrStderr())}
			if data != "" {
				return p.end(verifyFiles(cmd.Context(), data, p, cmd.ErrOrStderr()))
			}
			return p.end(verifyServer(cmd.Context(), p))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print findings and the summary as JSON, one a line")
	cmd.Flags().StringVar(&data, "data", "", "data directory of a stopped server, to read instead of asking one")
	return cmd
}

func verifyServer(ctx context.Context, p *verifyPrinter) error {
	c, err := remote(ctx)
	if err != nil {
		return err
	}
	return c.VerifyAudit(ctx, func(line []byte) error {
		var l opsapi.VerifyLine
		if err := json.Unmarshal(line, &l); err != nil {
			return fmt.Errorf("read the server's answer: %w", err)
		}
		if l.Finding != nil {
			p.finding(*l.Finding)
		}
		if l.Progress != nil {
			p.progress(*l.Progress)
		}
		return p.err
	})
}

func verifyFiles(ctx context.Context, data string, p *verifyPrinter, stderr io.Writer) error {
	flags := pflag.NewFlagSet("verify", pflag.ContinueOnError)
	config.AddFlags(flags)
	if err := flags.Set("data", data); err != nil {
		return err
	}
	cfg, err := config.Load(flags)
	if err != nil {
		return err
	}
	_, unknown, err := server.VerifyAudit(ctx, cfg, p.progress, p.finding)
	if err == nil && unknown != nil {
		fmt.Fprintf(stderr, "coffer: whether the end of the trail is missing is not known, for the metadata store cannot be opened: %v\n", unknown)
	}
	return err
}

// verifyPrinter shows what a verification finds.
type verifyPrinter struct {
	out    io.Writer
	asJSON bool
	bar    *progressbar.ProgressBar
	last   audit.Verification
	err    error
}

func (p *verifyPrinter) progress(v audit.Verification) {
	p.last = v
	p.bar.ChangeMax64(max(v.Total, 1))
	_ = p.bar.Set64(v.Bytes) // it is for the eye alone
}

func (p *verifyPrinter) print(value any, text string) {
	var err error
	if p.asJSON {
		err = json.NewEncoder(p.out).Encode(value)
	} else {
		_, err = fmt.Fprintln(p.out, printable(text))
	}
	if p.err == nil {
		p.err = err
	}
}

func (p *verifyPrinter) finding(f audit.Finding) {
	_ = p.bar.Clear()
	p.print(f, findingLine(f))
}

// findingLine shows a finding on a line, with its place first.
func findingLine(f audit.Finding) string {
	what := "fault"
	if f.Note {
		what = "note"
	}
	if f.File == "" {
		return fmt.Sprintf("%s: %s: %s", what, f.Kind, f.Text)
	}
	place := fmt.Sprintf("%s, byte %d", f.File, f.Offset)
	if f.Line > 0 {
		place += fmt.Sprintf(", line %d", f.Line)
	}
	return fmt.Sprintf("%s: %s: %s: %s", what, place, f.Kind, f.Text)
}

// end prints the summary.
func (p *verifyPrinter) end(err error) error {
	_ = p.bar.Finish()
	if err == nil {
		err = p.err
	}
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if !p.last.Done {
		return fmt.Errorf("verify: the server ended it after %d of %d bytes", p.last.Bytes, p.last.Total)
	}
	p.print(p.last, verifiedLine(p.last))
	if p.err == nil && p.last.Faults > 0 {
		return fmt.Errorf("verify: %s", amount(p.last.Faults, "fault"))
	}
	return p.err
}

func verifiedLine(v audit.Verification) string {
	text := fmt.Sprintf("%s, %s, %s in the chain", amount(int64(v.Files), "file"), amount(v.Bytes, "byte"), amount(v.Records, "record"))
	if v.Unchained > 0 {
		text += fmt.Sprintf(", %d from before it", v.Unchained)
	}
	if v.Begins != "" {
		text += ", files before " + v.Begins + " were dropped"
	}
	verdict := "nothing is wrong"
	if v.Faults > 0 {
		verdict = amount(v.Faults, "fault")
	}
	if v.Notes > 0 {
		verdict += ", " + amount(v.Notes, "note")
	}
	if !v.HeadKnown {
		verdict += "; its end was not checked"
	}
	return text + ": " + verdict
}

// amount is a number of things.
func amount(n int64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// verifyProgress is a bar, on a terminal only.
func verifyProgress(w io.Writer) *progressbar.ProgressBar {
	f, ok := w.(*os.File)
	visible := ok && term.IsTerminal(int(f.Fd()))
	return progressbar.NewOptions64(1, progressbar.OptionSetWriter(w), progressbar.OptionSetVisibility(visible),
		progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
}
