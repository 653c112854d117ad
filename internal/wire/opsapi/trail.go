// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// Trail is the audit trail as operators see it (audit.Trail).
type Trail interface {
	// Flush writes to its files what the trail has and they have not.
	Flush() error
	Status(ctx context.Context) (audit.Status, error)
	Verify(ctx context.Context, progress func(audit.Verification), report func(audit.Finding)) (audit.Verification, error)
}

// auditStatus asks how the trail is.
type auditStatus struct{}

// Needs returns the permission.
func (auditStatus) Needs() []policy.Need { return needs("ReadAudit") }

func (a *API) auditStatusOp() pipeline.Op {
	return pipeline.Define("GetAuditStatus", pipeline.Read, pipeline.Route{Method: http.MethodGet, Path: apiPrefix + "audit/status"},
		func(c *pipeline.Call) (in auditStatus, err error) {
			_, err = parameters(c)
			return in, err
		},
		func(ctx context.Context, _ iam.Caller, _ auditStatus) (audit.Status, error) {
			return a.Trail.Status(ctx)
		},
		func(c *pipeline.Call, s audit.Status) (*pipeline.Response, error) { return inJSON(c, s) })
}

// verifyAudit asks for a walk along the trail's chain.
type verifyAudit struct{}

// Needs returns the permission.
func (verifyAudit) Needs() []policy.Need { return needs("VerifyAudit") }

// VerifyLine is a line of the answer: how far it has come, or what was found.
type VerifyLine struct {
	Progress *audit.Verification `json:"progress,omitempty"`
	Finding  *audit.Finding      `json:"finding,omitempty"`
}

func (a *API) verifyAuditOp() pipeline.Op {
	op := pipeline.Define("VerifyAudit", pipeline.Read, pipeline.Route{Method: http.MethodPost, Path: apiPrefix + "audit/verify"},
		func(c *pipeline.Call) (in verifyAudit, err error) {
			_, err = parameters(c)
			return in, err
		},
		a.verifyAudit, a.stream)
	op.Streams = true
	return op
}

// verifyAudit runs for as long as its client listens.
func (a *API) verifyAudit(context.Context, iam.Caller, verifyAudit) (lines, error) {
	return lines{watch: true, write: func(ctx context.Context, w io.Writer) error {
		ctx, cancel := a.untilStopping(ctx)
		defer cancel()
		var sendErr error
		send := func(l VerifyLine) {
			if sendErr == nil {
				if sendErr = writeLine(w, l); sendErr != nil {
					cancel()
				}
			}
		}
		_, err := a.Trail.Verify(ctx,
			func(v audit.Verification) { send(VerifyLine{Progress: &v}) },
			func(f audit.Finding) { send(VerifyLine{Finding: &f}) })
		if err == nil {
			err = sendErr
		}
		return err
	}}, nil
}

// AuditStatus returns how the audit trail is, as JSON.
func (c *Client) AuditStatus(ctx context.Context) ([]byte, error) {
	return c.value(ctx, http.MethodGet, "audit/status", nil)
}

// VerifyAudit has the server walk along the chain of its audit trail. fn is called with
// each line of the answer, a VerifyLine, that it must not keep.
func (c *Client) VerifyAudit(ctx context.Context, fn func(line []byte) error) error {
	return c.lines(ctx, http.MethodPost, "audit/verify", url.Values{}, fn)
}
