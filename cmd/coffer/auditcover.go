// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

func newAuditObjects() *cobra.Command {
	var o auditFlags
	var event string
	cmd := &cobra.Command{
		Use:   "objects --kms-event ID",
		Short: "List the accesses to objects that a KMS event covers",
		Long: `List the accesses to objects that a KMS event covers: with a bucket key, one request
of KMS is for all that its requester does with the key until it has to prove its
right again, and the event names only the bucket. The first line is the KMS event.
With --json only the accesses are printed.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if event == "" {
				return errors.New("--kms-event is the id of an event of KMS: \"coffer audit search --event-source kms.amazonaws.com\" lists them")
			}
			n := 0
			note := ""
			err := o.run(cmd,
				func(c *opsapi.Client, progress bool, emit func(opsapi.AuditLine) error) error {
					return c.AuditObjects(cmd.Context(), event, progress, emit)
				},
				func(x *index.Index, emit func(opsapi.AuditLine) error) error {
					return opsapi.AuditObjects(cmd.Context(), x, event, emit)
				},
				func(w io.Writer, l opsapi.AuditLine) error {
					switch {
					case l.Note != "":
						note = l.Note
						return nil
					case l.KMSEvent != nil:
						if o.asJSON {
							return nil
						}
						return printFound(w, "", l.KMSEvent, false)
					}
					n++
					return printFound(w, accessIndent, l.Event, o.asJSON)
				})
			if err == nil && !o.asJSON {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), accesses(n)+because(note))
			} else if err == nil && note != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), "coffer: "+note)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&event, "kms-event", "", "id of the event of KMS")
	o.register(cmd, false)
	return cmd
}

const accessIndent = "  "

func accesses(n int) string {
	if n == 1 {
		return "1 access"
	}
	return fmt.Sprintf("%d accesses", n)
}

func because(note string) string {
	if note == "" {
		return ""
	}
	return ": " + note
}

func newAuditKMS() *cobra.Command {
	var o auditFlags
	var object string
	cmd := &cobra.Command{
		Use:   "kms --object s3://BUCKET/KEY",
		Short: "List the KMS events that covered the accesses to an object",
		Long: `List the KMS events that covered the accesses to an object, each with those accesses;
at the end what no KMS event covers: what was refused, what did not need the object's
data, and what was not under a KMS key. With --json a line is a KMS event with its accesses.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			arn := objectARN(object)
			if !isObject(arn) {
				return errors.New("--object is an object, like s3://bucket/key or arn:aws:s3:::bucket/key")
			}
			since, until, err := o.span()
			if err != nil {
				return err
			}
			p := coverPrinter{asJSON: o.asJSON}
			note := ""
			err = o.run(cmd,
				func(c *opsapi.Client, progress bool, emit func(opsapi.AuditLine) error) error {
					return c.AuditKMSEvents(cmd.Context(), arn, since, until, progress, emit)
				},
				func(x *index.Index, emit func(opsapi.AuditLine) error) error {
					return opsapi.AuditKMSEvents(cmd.Context(), x, arn, since, until, emit)
				},
				func(w io.Writer, l opsapi.AuditLine) error {
					if l.Note != "" {
						note = l.Note
						return nil
					}
					return p.line(w, l)
				})
			if err != nil {
				return err
			}
			if err := p.end(cmd.OutOrStdout()); err != nil {
				return err
			}
			if note != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), "coffer: "+note)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&object, "object", "", "the object, as s3://bucket/key or its ARN")
	o.register(cmd, true)
	return cmd
}

// cover is a KMS event with the accesses that it covers, as it is printed.
type cover struct {
	KMSEventID string            `json:"kmsEventId,omitempty"`
	KMSEvent   json.RawMessage   `json:"kmsEvent"`
	Accesses   []json.RawMessage `json:"accesses"`
}

// coverPrinter prints KMS events with what they cover.
type coverPrinter struct {
	asJSON bool
	cover  *cover // not printed yet
}

func (p *coverPrinter) line(w io.Writer, l opsapi.AuditLine) error {
	if l.Event != nil {
		if !p.asJSON {
			return printFound(w, accessIndent, l.Event, false)
		}
		p.cover.Accesses = append(p.cover.Accesses, l.Event)
		return nil
	}
	if err := p.end(w); err != nil {
		return err
	}
	var err error
	switch {
	case p.asJSON:
		p.cover = &cover{l.KMSEventID, l.KMSEvent, []json.RawMessage{}}
	case l.Uncovered:
		_, err = fmt.Fprintln(w, "covered by no KMS event: refused, without the object's data, or not under a KMS key")
	case l.KMSEvent == nil:
		_, err = fmt.Fprintf(w, "KMS event %s: not in the trail any more\n", printable(l.KMSEventID))
	default:
		err = printFound(w, "", l.KMSEvent, false)
	}
	return err
}

// end prints what is not printed yet.
func (p *coverPrinter) end(w io.Writer) error {
	if p.cover == nil {
		return nil
	}
	c := p.cover
	p.cover = nil
	return json.NewEncoder(w).Encode(c)
}
