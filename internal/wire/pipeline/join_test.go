// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// pouring does what core does for a call that changes data: it tries a commit until
// no other came between, each time with the record, and may fail after all.
func pouring(tries int, fails error) func(context.Context, *Call) (*Response, error) {
	return func(ctx context.Context, _ *Call) (*Response, error) {
		result := &Response{Status: 200, Body: []byte("poured")}
		for range tries {
			var b meta.Batch
			if err := audit.InCommit(ctx, &b, result); err != nil {
				return nil, err
			}
		}
		return result, fails
	}
}

// openPouring serves an operation on data whose answer leaves its marks in the record.
func openPouring(t *testing.T, do func(context.Context, *Call) (*Response, error)) *house {
	return open(t, nil, func(h *house) {
		h.op = Define("Brew", Data, h.op.Route,
			func(c *Call) (brew, error) {
				c.AuditData("asked", "before")
				return brew{c, do}, nil
			},
			func(ctx context.Context, _ iam.Caller, in brew) (*Response, error) { return in.do(ctx, in.c) },
			func(c *Call, r *Response) (*Response, error) {
				c.AuditResource(audit.Resource{Type: "Cup", ARN: "cup"})
				c.AuditData("cups", 1)
				c.AuditResponse(map[string]any{"poured": true})
				return r, nil
			})
	})
}

func TestRecordGoesWithTheLastTryOfACommit(t *testing.T) {
	h := openPouring(t, pouring(3, nil))
	if status, body, _ := h.ask(t); status != 200 || body != "poured" {
		t.Fatalf("got %d %q", status, body)
	}
	if len(h.trail.records) != 1 {
		t.Fatalf("%d records, want 1", len(h.trail.records))
	}
	r := h.trail.records[0]
	if len(r.Resources) != 1 || r.ResponseElements["poured"] != true || r.AdditionalEventData["asked"] != "before" || r.EventName != "Brew" {
		t.Errorf("record %+v", r)
	}
}

func TestRecordOfACommitThatFailedIsTheErrors(t *testing.T) {
	h := openPouring(t, pouring(2, fault.New(outOfTea, "")))
	if status, body, _ := h.ask(t); status != 404 || body != "NoTea" {
		t.Fatalf("got %d %q", status, body)
	}
	if len(h.trail.records) != 1 {
		t.Fatalf("%d records, want 1", len(h.trail.records))
	}
	r := h.trail.records[0]
	if r.ErrorCode != "NoTea" || len(r.Resources) != 0 || r.ResponseElements != nil || r.AdditionalEventData["cups"] != nil || r.AdditionalEventData["asked"] != "before" {
		t.Errorf("record %+v", r)
	}
}

func TestNothingIsDoneWithoutItsRecord(t *testing.T) {
	done := false
	h := openPouring(t, func(ctx context.Context, _ *Call) (*Response, error) {
		if err := audit.InCommit(ctx, new(meta.Batch), &Response{Status: 200}); err != nil {
			return nil, err
		}
		done = true
		return &Response{Status: 200}, nil
	})
	h.trail.err = errors.New("disk full")
	if status, body, _ := h.ask(t); status != 503 || body != "Unavailable" || done {
		t.Errorf("got %d %q, done %t", status, body, done)
	}
}

// The commits of parts of what the call does take no record, and may be done at the same
// time.
func TestOtherResultsTakeNoRecord(t *testing.T) {
	h := openPouring(t, func(ctx context.Context, _ *Call) (*Response, error) {
		var parts errgroup.Group
		for range 4 {
			parts.Go(func() error {
				var b meta.Batch
				if err := audit.InCommit(ctx, &b, "a kettle"); err != nil || len(b.Puts) != 0 {
					return errors.New("a kettle was recorded")
				}
				return nil
			})
		}
		if err := parts.Wait(); err != nil {
			return nil, err
		}
		return &Response{Status: 200, Body: []byte("tea")}, nil
	})
	if status, body, _ := h.ask(t); status != 200 || body != "tea" || len(h.trail.records) != 1 {
		t.Errorf("got %d %q, %d records", status, body, len(h.trail.records))
	}
}
