// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

func newAudit() *cobra.Command {
	return newGroup("audit", "Read the audit trail", newAuditTail(), newAuditSearch(), newAuditObjects(), newAuditKMS(), newAuditVerify(), newAuditStatus())
}

// auditTail is what `coffer audit tail` can be told.
type auditTail struct {
	kmsOnly, asJSON, follow bool
	limit                   int
	since                   string
	data                    string
}

func newAuditTail() *cobra.Command {
	var o auditTail
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the newest audit records",
		Long: `Show the newest records of the audit trail, a line each: time, event, resource,
encryption context, bucket key generation, requester, error. The server is found
as the AWS CLI finds it; with --data the files of a stopped server are read.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.since != "" && !cmd.Flags().Changed("limit") {
				o.limit = 0
			}
			return tail(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.kmsOnly, "kms", false, "events of KMS alone")
	f.BoolVar(&o.asJSON, "json", false, "print the records themselves, one a line")
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with records as they are written")
	f.IntVar(&o.limit, "limit", 20, "how many records to begin with; 0 is all, and the default with --since")
	f.StringVar(&o.since, "since", "", "records since a time (2026-03-04T05:00:00Z), or in the last so long (15m)")
	f.StringVar(&o.data, "data", "", "data directory of a stopped server, to read instead of asking one")
	return cmd
}

func tail(ctx context.Context, o auditTail, stdout, stderr io.Writer) error {
	since, err := parseSince(o.since, time.Now())
	if err != nil {
		return err
	}
	if o.limit < 0 {
		return errors.New("--limit is a number of records; 0 is all")
	}
	out := bufio.NewWriter(stdout)
	show := func(record []byte) error {
		if err := printRecord(out, record, o.asJSON); err != nil || !o.follow {
			return err
		}
		return out.Flush()
	}
	q := opsapi.AuditQuery{KMSOnly: o.kmsOnly, Since: since, Limit: o.limit, Follow: o.follow}
	if o.data != "" {
		err = tailFiles(ctx, o.data, q, show, stderr)
	} else {
		err = tailServer(ctx, q, show)
	}
	if o.follow && errors.Is(err, context.Canceled) {
		err = nil // that is how following ends
	}
	return flushed(out, err)
}

// flushed writes what is left, and returns the first error.
func flushed(out *bufio.Writer, err error) error {
	if flushErr := out.Flush(); err == nil {
		err = flushErr
	}
	return err
}

func tailServer(ctx context.Context, q opsapi.AuditQuery, show func([]byte) error) error {
	c, err := remote(ctx)
	if err != nil {
		return err
	}
	return c.Audit(ctx, q, show)
}

func tailFiles(ctx context.Context, data string, q opsapi.AuditQuery, show func([]byte) error, stderr io.Writer) error {
	dir := server.AuditDir(data)
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("%s is no data directory of Coffer: %w", data, err)
	}
	f := audit.Filter{
		KMSOnly: q.KMSOnly, Since: q.Since, Limit: q.Limit,
		Skipped: func(file string, offset int64, err error) {
			fmt.Fprintf(stderr, "coffer: %s, byte %d: not a record: %v\n", file, offset, err)
		},
	}
	read := audit.Read
	if q.Follow {
		read = audit.Follow
	}
	return read(ctx, dir, f, func(e audit.Entry) error { return show(e.JSON) })
}

// parseSince reads the flag --since.
func parseSince(s string, now time.Time) (time.Time, error) { return parseMoment("--since", s, now) }

// longAgo bounds how many days a duration before now may have.
const longAgo = 100 * 366

// parseMoment reads a time, or a duration before now, in which days may be written as 7d.
// "" is the zero time.
func parseMoment(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n >= 0 && n <= longAgo {
			return now.Add(-time.Duration(n * float64(24*time.Hour))), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%s %s is neither a time like 2026-03-04T05:00:00Z nor a duration like 15m or 7d", flag, s)
}

func printRecord(w io.Writer, record []byte, asJSON bool) error {
	if asJSON {
		_, err := fmt.Fprintf(w, "%s\n", record)
		return err
	}
	var r audit.Record
	if err := json.Unmarshal(record, &r); err != nil {
		return fmt.Errorf("read audit record: %w", err)
	}
	_, err := fmt.Fprintln(w, recordLine(r))
	return err
}
