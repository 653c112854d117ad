// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cofferstore/coffer/internal/core/audit"
)

func newAuditStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the audit trail is, and who still has to take what of it",
		Long: `Show the head of the audit trail, how much there is of it and since when, what would
be dropped next and when, and how far each consumer is behind: trails, sinks, index.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return auditStatus(cmd.Context(), asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the status as JSON")
	return cmd
}

func auditStatus(ctx context.Context, asJSON bool, w io.Writer) error {
	c, err := remote(ctx)
	if err != nil {
		return err
	}
	answer, err := c.AuditStatus(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		_, err := fmt.Fprintf(w, "%s\n", answer)
		return err
	}
	var s audit.Status
	if err := json.Unmarshal(answer, &s); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return printAuditStatus(w, s)
}

func printAuditStatus(to io.Writer, s audit.Status) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	row("head", "%s, byte %d", s.Head.Segment, s.Head.Offset)
	row("chain", "%s after %s", s.Head.Chain, amount(s.Head.Records, "record"))
	row("size", "%s, %s", amount(int64(s.Files), "file"), amount(s.Bytes, "byte"))
	if s.Oldest != nil {
		row("oldest event", "%s", s.Oldest.UTC().Format(time.RFC3339))
	}
	if s.Begins != nil {
		row("dropped", "up to %s", s.Begins.Segment)
	}
	row("next to go", "%s", nextDrop(s))
	if !s.Required {
		row("not required", "calls that cannot be recorded are served; %d of them are still to be noted", s.Missed)
	}
	for _, c := range s.Consumers {
		row("consumer "+c.Name, "%s behind, at %s, byte %d", amount(c.Backlog, "byte"), c.Position.Segment, c.Position.Offset)
	}
	return w.Flush()
}

func nextDrop(s audit.Status) string {
	n := s.Next
	if n == nil {
		return "nothing: there is no limit"
	}
	var when []string
	if n.At != nil {
		when = append(when, "at "+n.At.Format(time.RFC3339))
	} else if s.MaxAge != "" {
		when = append(when, strings.TrimSuffix(s.MaxAge, "0m0s")+" after its last event")
	}
	switch {
	case n.Room == nil:
	case *n.Room == 0:
		when = append(when, "at once")
	default:
		when = append(when, "after "+amount(*n.Room, "more byte"))
	}
	text := fmt.Sprintf("%s (%s), %s", n.File, amount(n.Bytes, "byte"), strings.Join(when, " or "))
	if len(n.HeldBy) > 0 {
		text += ", but not before it was taken by " + strings.Join(n.HeldBy, ", ")
	}
	return text
}
