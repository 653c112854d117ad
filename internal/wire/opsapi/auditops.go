// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// auditFields are the fields that a search has a parameter for, of the same name, and one
// with this in front: what a record must not have.
var auditFields = []index.Field{
	index.EventID, index.EventName, index.EventSource, index.Category, index.ReadOnly, index.Username, index.Principal,
	index.AccessKeyID, index.Account, index.SourceIP, index.ResourceType, index.ResourceName, index.Bucket, index.Object,
	index.Key, index.Generation, index.KMSEvent, index.RequestID, index.ErrorCode,
}

const notField = "not-"

// AuditFields returns what `coffer audit search` can search by.
func AuditFields() []index.Field { return slices.Clone(auditFields) }

type searchAudit struct {
	query    index.Query
	progress bool
}

// Needs returns the permission: that of all who may read the trail.
func (searchAudit) Needs() []policy.Need { return needs("ReadAudit") }

func (a *API) searchAuditOp() pipeline.Op {
	op := pipeline.Define("SearchAudit", pipeline.Read, pipeline.Route{Method: http.MethodGet, Path: apiPrefix + "audit/search"},
		decodeSearchAudit,
		func(_ context.Context, _ iam.Caller, in searchAudit) (lines, error) {
			if err := in.query.Check(); err != nil {
				return lines{}, err
			}
			return a.auditLines(in.progress, func(ctx context.Context, emit func(AuditLine) error) error {
				return SearchAudit(ctx, a.Index, in.query, emit)
			}), nil
		}, a.stream)
	op.Streams = true
	return op
}

func decodeSearchAudit(c *pipeline.Call) (in searchAudit, err error) {
	names := []string{"prefix", "since", "until", "oldest-first", "limit", "progress"}
	for _, f := range auditFields {
		names = append(names, string(f), notField+string(f))
	}
	p, err := parameters(c, names...)
	if err != nil {
		return in, err
	}
	for _, f := range auditFields {
		for _, not := range []bool{false, true} {
			name := string(f)
			if not {
				name = notField + name
			}
			if value, ok := p[name]; ok {
				in.query.Terms = append(in.query.Terms, index.Term{Field: f, Value: value, Not: not})
			}
		}
	}
	in.query.ObjectPrefix = p["prefix"]
	if in.query.Since, in.query.Until, err = span(p); err != nil {
		return in, err
	}
	if in.query.OldestFirst, err = flag(p, "oldest-first"); err != nil {
		return in, err
	}
	if limit, ok := p["limit"]; ok {
		if in.query.Limit, err = strconv.Atoi(limit); err != nil || in.query.Limit < 0 {
			return in, fault.New(InvalidParameter, "Parameter \"limit\" is a number of records; 0 is all.")
		}
	}
	in.progress, err = flag(p, "progress")
	return in, err
}

// span reads the parameters since and until.
func span(p map[string]string) (since, until time.Time, err error) {
	for name, to := range map[string]*time.Time{"since": &since, "until": &until} {
		if value, ok := p[name]; ok {
			if *to, err = time.Parse(time.RFC3339, value); err != nil {
				return since, until, fault.New(InvalidParameter, "Parameter %q is a time like 2026-03-04T05:00:00Z.", name)
			}
		}
	}
	return since, until, nil
}

type auditObjects struct {
	kmsEvent string
	progress bool
}

// Needs returns the permission.
func (auditObjects) Needs() []policy.Need { return needs("ReadAudit") }

func (a *API) auditObjectsOp() pipeline.Op {
	op := pipeline.Define("ListCoveredObjects", pipeline.Read, pipeline.Route{Method: http.MethodGet, Path: apiPrefix + "audit/objects"},
		func(c *pipeline.Call) (in auditObjects, err error) {
			p, err := parameters(c, "kms-event", "progress")
			if err != nil {
				return in, err
			}
			if in.kmsEvent = p["kms-event"]; in.kmsEvent == "" {
				return in, fault.New(InvalidParameter, "Parameter \"kms-event\" is missing.")
			}
			in.progress, err = flag(p, "progress")
			return in, err
		},
		func(ctx context.Context, _ iam.Caller, in auditObjects) (lines, error) {
			if _, err := a.Index.KMSEvent(ctx, in.kmsEvent); err != nil { // before the answer begins
				return lines{}, err
			}
			return a.auditLines(in.progress, func(ctx context.Context, emit func(AuditLine) error) error {
				return AuditObjects(ctx, a.Index, in.kmsEvent, emit)
			}), nil
		}, a.stream)
	op.Streams = true
	return op
}

type auditKMSEvents struct {
	object       string
	since, until time.Time
	progress     bool
}

// Needs returns the permission.
func (auditKMSEvents) Needs() []policy.Need { return needs("ReadAudit") }

func (a *API) auditKMSEventsOp() pipeline.Op {
	op := pipeline.Define("ListCoveringKMSEvents", pipeline.Read, pipeline.Route{Method: http.MethodGet, Path: apiPrefix + "audit/kms"},
		func(c *pipeline.Call) (in auditKMSEvents, err error) {
			p, err := parameters(c, "object", "since", "until", "progress")
			if err != nil {
				return in, err
			}
			if in.object = p["object"]; !strings.HasPrefix(in.object, "arn:") || !strings.Contains(in.object, "/") {
				return in, fault.New(InvalidParameter, "Parameter \"object\" is the ARN of an object, like arn:aws:s3:::bucket/key.")
			}
			if in.since, in.until, err = span(p); err != nil {
				return in, err
			}
			in.progress, err = flag(p, "progress")
			return in, err
		},
		func(_ context.Context, _ iam.Caller, in auditKMSEvents) (lines, error) {
			return a.auditLines(in.progress, func(ctx context.Context, emit func(AuditLine) error) error {
				return AuditKMSEvents(ctx, a.Index, in.object, in.since, in.until, emit)
			}), nil
		}, a.stream)
	op.Streams = true
	return op
}

// SearchAudit calls fn with what a query chooses, which has no token, and, with progress,
// with how far the search has come. It ends at fn's first error.
func (c *Client) SearchAudit(ctx context.Context, q index.Query, progress bool, fn func(AuditLine) error) error {
	p := url.Values{}
	for _, t := range q.Terms {
		name := string(t.Field)
		if t.Not {
			name = notField + name
		}
		p.Add(name, t.Value)
	}
	if q.ObjectPrefix != "" {
		p.Set("prefix", q.ObjectPrefix)
	}
	if q.OldestFirst {
		p.Set("oldest-first", "1")
	}
	if q.Limit > 0 {
		p.Set("limit", strconv.Itoa(q.Limit))
	}
	return c.auditLines(ctx, "audit/search", p, q.Since, q.Until, progress, fn)
}

// AuditObjects calls fn with a KMS event and then with the accesses that it covers.
func (c *Client) AuditObjects(ctx context.Context, kmsEvent string, progress bool, fn func(AuditLine) error) error {
	return c.auditLines(ctx, "audit/objects", url.Values{"kms-event": {kmsEvent}}, time.Time{}, time.Time{}, progress, fn)
}

// AuditKMSEvents calls fn with each KMS event that covers accesses to an object, and after
// it with them.
func (c *Client) AuditKMSEvents(ctx context.Context, objectARN string, since, until time.Time, progress bool, fn func(AuditLine) error) error {
	return c.auditLines(ctx, "audit/kms", url.Values{"object": {objectARN}}, since, until, progress, fn)
}

func (c *Client) auditLines(ctx context.Context, path string, p url.Values, since, until time.Time, progress bool, fn func(AuditLine) error) error {
	for name, at := range map[string]time.Time{"since": since, "until": until} {
		if !at.IsZero() {
			p.Set(name, at.UTC().Format(time.RFC3339))
		}
	}
	if progress {
		p.Set("progress", "1")
	}
	return c.lines(ctx, http.MethodGet, path, p, func(line []byte) error {
		var l AuditLine
		if err := json.Unmarshal(line, &l); err != nil {
			return c.notCoffer("answered something else than JSON lines")
		}
		return fn(l)
	})
}
