// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/report"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// reportKeys asks what Bucket Keys saved.
type reportKeys struct {
	query report.Query
	price float64
}

// Needs returns the permission. A report tells of the whole trail.
func (reportKeys) Needs() []policy.Need { return needs("ReportBucketKeys") }

// reportPart is a line of the answer. A report comes in parts, since it may be long: what
// may be is taken out of Report, which is the last line.
type reportPart struct {
	Progress *report.Progress `json:"progress,omitempty"`
	Buckets  []report.Bucket  `json:"buckets,omitempty"`
	Rows     []report.Row     `json:"rows,omitempty"`
	Cells    []report.Cell    `json:"cells,omitempty"`
	Report   *report.Report   `json:"report,omitempty"`
}

// partSize is how many of a kind are in a line. A bucket may have a thousand phases, so
// that each has its own.
const partSize = 1000

func (a *API) reportKeysOp() pipeline.Op {
	op := pipeline.Define("ReportBucketKeys", pipeline.Read, pipeline.Route{Method: http.MethodGet, Path: apiPrefix + "bucketkeys/report"},
		decodeReportKeys, a.reportKeys, a.stream)
	op.Streams = true
	return op
}

func decodeReportKeys(c *pipeline.Call) (in reportKeys, err error) {
	p, err := parameters(c, "bucket", "since", "until", "by", "price")
	if err != nil {
		return in, err
	}
	in.query.Bucket, in.query.By, in.price = p["bucket"], report.Interval(p["by"]), report.DefaultPrice
	for name, into := range map[string]*time.Time{"since": &in.query.Since, "until": &in.query.Until} {
		if text, ok := p[name]; ok {
			if *into, err = time.Parse(time.RFC3339, text); err != nil {
				return in, fault.New(InvalidParameter, "Parameter %q is a time like 2026-03-04T05:00:00Z.", name)
			}
		}
	}
	if text, ok := p["price"]; ok {
		if in.price, err = strconv.ParseFloat(text, 64); err != nil || !(in.price >= 0 && in.price <= math.MaxInt32) {
			return in, fault.New(InvalidParameter, "Parameter \"price\" is that of 10,000 KMS requests, in US dollars.")
		}
	}
	return in, in.query.Check(time.Now())
}

func (a *API) reportKeys(_ context.Context, _ iam.Caller, in reportKeys) (lines, error) {
	return lines{watch: true, write: func(ctx context.Context, w io.Writer) error {
		a.flushAudit()
		ctx, cancel := a.untilStopping(ctx)
		defer cancel()
		var sendErr error
		send := func(part reportPart) {
			if sendErr == nil {
				if sendErr = writeLine(w, part); sendErr != nil {
					cancel()
				}
			}
		}
		r, err := report.Read(ctx, a.AuditDir, in.query, in.price, func(p report.Progress) { send(reportPart{Progress: &p}) })
		switch {
		case sendErr != nil:
			return sendErr
		case err != nil:
			return err
		}
		for i := range r.Buckets {
			send(reportPart{Buckets: r.Buckets[i : i+1]})
		}
		for rows := range slices.Chunk(r.Rows, partSize) {
			send(reportPart{Rows: rows})
		}
		for cells := range slices.Chunk(r.Cells, partSize) {
			send(reportPart{Cells: cells})
		}
		r.Buckets, r.Rows, r.Cells = nil, nil, nil
		send(reportPart{Report: r})
		return sendErr
	}}, nil
}

// Report returns what Bucket Keys saved: for q, at a price of 10,000 KMS requests in US
// dollars. progress is called now and then.
func (c *Client) Report(ctx context.Context, q report.Query, price float64, progress func(report.Progress)) (*report.Report, error) {
	p := url.Values{"price": {strconv.FormatFloat(price, 'g', -1, 64)}}
	for name, value := range map[string]string{"bucket": q.Bucket, "by": string(q.By)} {
		if value != "" {
			p.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !at.IsZero() {
			p.Set(name, at.UTC().Format(time.RFC3339))
		}
	}
	var all reportPart
	err := c.lines(ctx, http.MethodGet, "bucketkeys/report", p, func(line []byte) error {
		var part reportPart
		if err := json.Unmarshal(line, &part); err != nil {
			return fmt.Errorf("read the server's report: %w", err)
		}
		if part.Progress != nil {
			progress(*part.Progress)
		}
		all.Buckets, all.Rows, all.Cells = append(all.Buckets, part.Buckets...), append(all.Rows, part.Rows...), append(all.Cells, part.Cells...)
		all.Report = part.Report
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case all.Report == nil:
		return nil, fmt.Errorf("the server at %s is stopping", c.Endpoint)
	}
	r := all.Report
	r.Buckets, r.Rows, r.Cells = orNone(all.Buckets), orNone(all.Rows), orNone(all.Cells)
	return r, nil
}

// orNone makes nil a list without members.
func orNone[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
