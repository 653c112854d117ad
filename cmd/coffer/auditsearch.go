// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

// auditFlags are what searches of the audit trail have in common.
type auditFlags struct {
	asJSON       bool
	since, until string
	data         string
}

func (o *auditFlags) register(cmd *cobra.Command, times bool) {
	f := cmd.Flags()
	f.BoolVar(&o.asJSON, "json", false, "print JSON, a line each")
	f.StringVar(&o.data, "data", "", "data directory of a stopped server, to search instead of asking one")
	if times {
		f.StringVar(&o.since, "since", "", "events since a time (2026-03-04T05:00:00Z), or in the last so long (720h)")
		f.StringVar(&o.until, "until", "", "events before a time, or until so long ago")
	}
}

// span returns the times.
func (o *auditFlags) span() (since, until time.Time, err error) {
	now := time.Now()
	if since, err = parseSince(o.since, now); err != nil {
		return since, until, err
	}
	if until, err = parseMoment("--until", o.until, now); err != nil {
		return since, until, err
	}
	if !until.IsZero() && !since.Before(until) {
		return since, until, errors.New("--since is not before --until: nothing was then")
	}
	return since, until, nil
}

// run shows what a search finds: on a server, by ask, or in the files of a stopped one, by
// read. show is called with all but progress.
func (o *auditFlags) run(
	cmd *cobra.Command, ask func(c *opsapi.Client, progress bool, emit func(opsapi.AuditLine) error) error,
	read func(x *index.Index, emit func(opsapi.AuditLine) error) error, show func(w io.Writer, l opsapi.AuditLine) error,
) error {
	out := bufio.NewWriter(cmd.OutOrStdout())
	bar := newAuditBar(cmd.ErrOrStderr())
	emit := func(l opsapi.AuditLine) error {
		if l.Progress != nil {
			bar.show(*l.Progress)
			return nil
		}
		bar.hide()
		if l.Skipped != "" {
			_, err := fmt.Fprintln(cmd.ErrOrStderr(), "coffer: "+printable(l.Skipped))
			return err
		}
		return show(out, l)
	}
	err := func() error {
		if o.data == "" {
			c, err := remote(cmd.Context())
			if err != nil {
				return err
			}
			return ask(c, bar.visible, emit)
		}
		dir := server.AuditDir(o.data)
		if _, err := os.Stat(dir); err != nil {
			return fmt.Errorf("%s is no data directory of Coffer: %w", o.data, err)
		}
		x, err := index.Files(dir)
		if err != nil {
			return err
		}
		err = read(x, emit)
		if f, ok := fault.As(err); ok {
			return errors.New(strings.TrimSuffix(f.Message, "."))
		}
		return err
	}()
	bar.hide()
	return flushed(out, err)
}

// auditBar shows on a terminal how much of the trail a search has done with.
type auditBar struct {
	visible bool
	bar     *progressbar.ProgressBar
	out     io.Writer
}

func newAuditBar(w io.Writer) *auditBar {
	f, ok := w.(*os.File)
	return &auditBar{visible: ok && term.IsTerminal(int(f.Fd())), out: w}
}

func (b *auditBar) show(p index.Progress) {
	if !b.visible {
		return
	}
	if b.bar == nil {
		b.bar = progressbar.NewOptions64(p.Total, progressbar.OptionSetWriter(b.out), progressbar.OptionSetDescription("searching"),
			progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
	}
	_ = b.bar.Set64(p.Read)
}

func (b *auditBar) hide() {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
}

func newAuditSearch() *cobra.Command {
	var o auditFlags
	var q index.Query
	values := map[index.Field]*string{}
	var not []string
	cmd := &cobra.Command{
		Use:   "search",
		Short: "Find audit records by who, what, on what and when",
		Long: `Find records of the audit trail for which all that is given holds, the newest first, a
line each: time, event, resource, encryption context, bucket key generation,
requester, error, ids. Values are compared whole. The server is found as the AWS
CLI finds it; with --data the files of a stopped server are searched.`,
		Example: `  coffer audit search --object s3://vault/reports/03.csv --event-name GetObject --since 720h
  coffer audit search --bucket vault --prefix reports/ --error AccessDenied
  coffer audit search --principal arn:aws:iam::111122223333:role/Writer --not read-only=true`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, f := range opsapi.AuditFields() {
				if v := *values[f]; v != "" {
					q.Terms = append(q.Terms, index.Term{Field: f, Value: fieldValue(f, v)})
				} else if cmd.Flags().Changed(string(f)) {
					return fmt.Errorf("--%s needs a value", f)
				}
			}
			for _, text := range not {
				f, v, ok := strings.Cut(text, "=")
				if values[index.Field(f)] == nil || !ok || v == "" {
					return fmt.Errorf("--not %s is not like error=AccessDenied: a filter of this command, and a value", text)
				}
				q.Terms = append(q.Terms, index.Term{Field: index.Field(f), Value: fieldValue(index.Field(f), v), Not: true})
			}
			for _, t := range q.Terms {
				if t.Field == index.Object && !isObject(t.Value) {
					return errors.New("--object is an object, like s3://bucket/key or arn:aws:s3:::bucket/key")
				}
			}
			if q.ObjectPrefix != "" && *values[index.Bucket] == "" {
				return errors.New("--prefix is of objects in a bucket: give --bucket too")
			}
			if q.Limit < 0 {
				return errors.New("--limit is a number of records; 0 is all")
			}
			var err error
			if q.Since, q.Until, err = o.span(); err != nil {
				return err
			}
			return searchAudit(cmd, o, q)
		},
	}
	o.register(cmd, true)
	f := cmd.Flags()
	for _, field := range opsapi.AuditFields() {
		values[field] = f.String(string(field), "", auditFieldHelp[field])
	}
	f.StringArrayVar(&not, "not", nil, "what a record must not have, as filter=value; can be given again")
	f.StringVar(&q.ObjectPrefix, "prefix", "", "begin of objects' keys, with --bucket")
	f.IntVar(&q.Limit, "limit", 100, "how many records; 0 is all")
	f.BoolVar(&q.OldestFirst, "oldest-first", false, "begin with the oldest")
	return cmd
}

// auditFieldHelp says what a filter is.
var auditFieldHelp = map[index.Field]string{
	index.EventID:      "id of the event",
	index.EventName:    "name of the event (GetObject)",
	index.EventSource:  "service (s3.amazonaws.com, kms.amazonaws.com)",
	index.Category:     "Management or Data",
	index.ReadOnly:     "true or false",
	index.Username:     "name of a user, of a role's session, root, or a service",
	index.Principal:    "ARN or principal id of who did it, ARN of a session's role, or anonymous",
	index.AccessKeyID:  "access key id",
	index.Account:      "account whose event it is",
	index.SourceIP:     "client's address",
	index.ResourceType: "type of a resource (AWS::S3::Object)",
	index.ResourceName: "ARN of a resource, or the name or id at its end",
	index.Bucket:       "bucket, also of requests of KMS for it",
	index.Object:       "object, as s3://bucket/key or its ARN",
	index.Key:          "KMS key, its ARN or id, also of accesses under it",
	index.Generation:   "bucket key generation",
	index.KMSEvent:     "id of the KMS event that covers an access",
	index.RequestID:    "request id, also of the S3 request that a KMS request was for",
	index.ErrorCode:    "error code (AccessDenied)",
}

// fieldValue returns the value that records have.
func fieldValue(f index.Field, v string) string {
	if f == index.Object {
		return objectARN(v)
	}
	return v
}

// objectARN returns the ARN of an object that is given by its URL.
func objectARN(s string) string {
	if path, ok := strings.CutPrefix(s, "s3://"); ok {
		return "arn:aws:s3:::" + path
	}
	return s
}

// isObject reports whether an ARN may be an object's.
func isObject(arn string) bool {
	path, ok := strings.CutPrefix(arn, "arn:")
	_, key, _ := strings.Cut(path, "/")
	return ok && key != ""
}

func searchAudit(cmd *cobra.Command, o auditFlags, q index.Query) error {
	more := false
	err := o.run(cmd,
		func(c *opsapi.Client, progress bool, emit func(opsapi.AuditLine) error) error {
			return c.SearchAudit(cmd.Context(), q, progress, emit)
		},
		func(x *index.Index, emit func(opsapi.AuditLine) error) error {
			return opsapi.SearchAudit(cmd.Context(), x, q, emit)
		},
		func(w io.Writer, l opsapi.AuditLine) error {
			if l.More {
				more = true
				return nil
			}
			return printFound(w, "", l.Event, o.asJSON)
		})
	if err == nil && more {
		fmt.Fprintf(cmd.ErrOrStderr(), "coffer: there are more than %d: raise --limit (0 is all), or narrow the search\n", q.Limit)
	}
	return err
}

// printFound is printRecord with the ids that join a record to others.
func printFound(w io.Writer, indent string, record []byte, asJSON bool) error {
	if asJSON {
		return printRecord(w, record, true)
	}
	var r audit.Record
	if err := json.Unmarshal(record, &r); err != nil {
		return fmt.Errorf("read audit record: %w", err)
	}
	line := indent + recordLine(r) + "  id=" + printable(r.EventID)
	for _, name := range []string{"cofferKmsEventId", "cofferSourceKmsEventId"} {
		if id, ok := r.AdditionalEventData[name].(string); ok {
			line += "  kms=" + printable(id)
		}
	}
	_, err := fmt.Fprintln(w, line)
	return err
}
