// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// readAudit asks for records of the audit trail.
type readAudit struct {
	filter audit.Filter
	follow bool
}

// Needs returns the permission.
func (readAudit) Needs() []policy.Need { return needs("ReadAudit") }

func (a *API) auditOp() pipeline.Op {
	op := pipeline.Define("ReadAudit", pipeline.Read, pipeline.Route{Method: http.MethodGet, Path: apiPrefix + "audit"},
		decodeReadAudit, a.readAudit, a.stream)
	op.Streams = true
	return op
}

func decodeReadAudit(c *pipeline.Call) (in readAudit, err error) {
	p, err := parameters(c, "kms", "since", "limit", "follow")
	if err != nil {
		return in, err
	}
	if in.filter.KMSOnly, err = flag(p, "kms"); err != nil {
		return in, err
	}
	if in.follow, err = flag(p, "follow"); err != nil {
		return in, err
	}
	if since, ok := p["since"]; ok {
		if in.filter.Since, err = time.Parse(time.RFC3339, since); err != nil {
			return in, fault.New(InvalidParameter, "Parameter \"since\" is a time like 2026-03-04T05:00:00Z.")
		}
	}
	if limit, ok := p["limit"]; ok {
		if in.filter.Limit, err = strconv.Atoi(limit); err != nil || in.filter.Limit < 0 {
			return in, fault.New(InvalidParameter, "Parameter \"limit\" is a number of records; 0 is all.")
		}
	}
	return in, nil
}

func (a *API) readAudit(_ context.Context, _ iam.Caller, in readAudit) (lines, error) {
	in.filter.Skipped = func(file string, offset int64, err error) {
		a.Log.Warn("audit record skipped", "file", file, "offset", offset, "error", err)
	}
	return lines{watch: in.follow, write: func(ctx context.Context, w io.Writer) error {
		a.flushAudit()
		send := func(e audit.Entry) error {
			_, err := w.Write(append(e.JSON, '\n'))
			return err
		}
		if !in.follow {
			return audit.Read(ctx, a.AuditDir, in.filter, send)
		}
		ctx, cancel := a.untilStopping(ctx)
		defer cancel()
		err := audit.Follow(ctx, a.AuditDir, in.filter, send)
		if a.stopping() {
			return nil
		}
		return err
	}}, nil
}

// flushAudit lets the files show all that was answered for. What cannot be written now is
// late for the reader, too.
func (a *API) flushAudit() {
	if a.Trail == nil {
		return
	}
	if err := a.Trail.Flush(); err != nil {
		a.Log.Warn("audit records are not in the files yet", "error", err)
	}
}
