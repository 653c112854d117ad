// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// looked is a trail on which others have something to say.
type looked struct {
	Trail
	findings []audit.Finding
	err      error
}

func (l looked) Flush() error { return nil }

func (l looked) Status(context.Context) (audit.Status, error) {
	return audit.Status{Files: 3, Consumers: []audit.Consumer{{Name: "index"}}}, l.err
}

func (l looked) Verify(_ context.Context, progress func(audit.Verification), report func(audit.Finding)) (audit.Verification, error) {
	progress(audit.Verification{Files: 1})
	for _, f := range l.findings {
		report(f)
	}
	v := audit.Verification{Files: 3, Faults: int64(len(l.findings)), Done: l.err == nil}
	progress(v)
	return v, l.err
}

func TestVerifyAndStatusOfTheTrail(t *testing.T) {
	found := []audit.Finding{{Kind: audit.Changed, File: "f", Offset: 7, Line: 2, Text: "x"}, {Kind: audit.Torn, File: "g", Note: true, Text: "y"}}
	s := newStation(t, func(a *API) { a.Trail = looked{findings: found} })
	var got []audit.Finding
	var last audit.Verification
	err := s.VerifyAudit(t.Context(), func(line []byte) error {
		var l VerifyLine
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		if l.Finding != nil {
			got = append(got, *l.Finding)
		} else {
			last = *l.Progress
		}
		return nil
	})
	if err != nil || len(got) != 2 || got[0] != found[0] || got[1] != found[1] || !last.Done || last.Files != 3 {
		t.Errorf("%+v, %+v, %v", got, last, err)
	}
	var status audit.Status
	text, err := s.AuditStatus(t.Context())
	if err == nil {
		err = json.Unmarshal(text, &status)
	}
	if err != nil || status.Files != 3 || len(status.Consumers) != 1 {
		t.Errorf("%s, %v", text, err)
	}
	_, err = s.as("AKIAUSER", password).AuditStatus(t.Context())
	says(t, "a user", err, "AccessDenied", "coffer:ReadAudit")
	err = s.as("AKIAUSER", password).VerifyAudit(t.Context(), func([]byte) error { return nil })
	says(t, "a user", err, "AccessDenied", "coffer:VerifyAudit")
}

func TestVerifyThatFails(t *testing.T) {
	s := newStation(t, func(a *API) { a.Trail = looked{err: errors.New("input/output error")} })
	err := s.VerifyAudit(t.Context(), func([]byte) error { return nil })
	says(t, "a failing disk", err, "broke off its answer")
}
