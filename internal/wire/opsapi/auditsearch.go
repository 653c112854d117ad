// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit/index"
)

// AuditLine is a line of an answer about the audit trail: one of its members is set, but
// for those that go with KMSEventID.
type AuditLine struct {
	Event json.RawMessage `json:"event,omitempty"` // a record

	// KMSEventID is the id of the KMS event that covers the records of the lines that
	// follow, and KMSEvent its record, which the trail may not have any more. Uncovered
	// says that no KMS event covers them.
	KMSEventID string          `json:"kmsEventId,omitempty"`
	KMSEvent   json.RawMessage `json:"kmsEvent,omitempty"`
	Uncovered  bool            `json:"uncovered,omitempty"`
	Accesses   int             `json:"accesses,omitempty"` // how many lines follow

	Note     string          `json:"note,omitempty"`    // for who reads this
	Skipped  string          `json:"skipped,omitempty"` // what of the trail cannot be read, and was passed over
	More     bool            `json:"more,omitempty"`    // there are more than the limit
	Progress *index.Progress `json:"progress,omitempty"`
}

// errLimit ends a search at its limit.
var errLimit = errors.New("opsapi: limit")

// SearchAudit calls emit with the records that a query chooses, regardless of its token,
// and says when there are more than its limit.
func SearchAudit(ctx context.Context, x *index.Index, q index.Query, emit func(AuditLine) error) error {
	n := 0
	err := x.Each(ctx, q, tell(emit), func(e index.Event) error {
		if q.Limit > 0 && n == q.Limit {
			return errLimit
		}
		n++
		return emit(AuditLine{Event: e.JSON})
	})
	if errors.Is(err, errLimit) {
		err = emit(AuditLine{More: true})
	}
	return err
}

// AuditObjects calls emit with a KMS event and then with the accesses to objects that it
// covers. Error: index.NoSuchEvent.
func AuditObjects(ctx context.Context, x *index.Index, kmsEvent string, emit func(AuditLine) error) error {
	kms, err := x.KMSEvent(ctx, kmsEvent)
	if err != nil {
		return err
	}
	if err := emit(AuditLine{KMSEventID: kms.EventID, KMSEvent: kms.JSON}); err != nil {
		return err
	}
	n := 0
	err = x.Covered(ctx, kms, tell(emit), func(e index.Event) error {
		n++
		return emit(AuditLine{Event: e.JSON})
	})
	if err == nil && n == 0 {
		err = emit(AuditLine{Note: index.CoversNone(kms)})
	}
	return err
}

// AuditKMSEvents calls emit with each KMS event that covers accesses to an object, and
// after it with those accesses; at the end with those that none covers.
func AuditKMSEvents(ctx context.Context, x *index.Index, objectARN string, since, until time.Time, emit func(AuditLine) error) error {
	covers, err := x.Covers(ctx, objectARN, since, until, tell(emit))
	if err != nil {
		return err
	}
	if len(covers) == 0 {
		return emit(AuditLine{Note: "the trail has no access to this object in that time"})
	}
	for _, c := range covers {
		line := AuditLine{KMSEventID: c.ID, Uncovered: c.ID == "", Accesses: len(c.Accesses)}
		if c.KMS != nil {
			line.KMSEvent = c.KMS.JSON
		}
		if err := emit(line); err != nil {
			return err
		}
		err := x.At(ctx, c.Accesses, func(e index.Event) error { return emit(AuditLine{Event: e.JSON}) })
		if err != nil {
			return err
		}
	}
	return nil
}

// progressEvery is how often progress is told.
const progressEvery = 250 * time.Millisecond

// tell tells how far a search has come, now and then, and what it passes over. What fails
// is told again by the next line.
func tell(emit func(AuditLine) error) func(index.Progress) {
	last := time.Now()
	return func(p index.Progress) {
		if p.Skipped != "" {
			_ = emit(AuditLine{Skipped: p.Skipped})
			return
		}
		if time.Since(last) >= progressEvery {
			last = time.Now()
			_ = emit(AuditLine{Progress: &p})
		}
	}
}

// auditLines makes an answer of such lines. Progress is in it if it was asked for, and
// goes out at once.
func (a *API) auditLines(withProgress bool, produce func(ctx context.Context, emit func(AuditLine) error) error) lines {
	return lines{watch: true, write: func(ctx context.Context, w io.Writer) error {
		ctx, cancel := a.untilStopping(ctx)
		defer cancel()
		b := bufio.NewWriterSize(w, 64<<10)
		err := produce(ctx, func(l AuditLine) error {
			if l.Progress == nil {
				return writeLine(b, l)
			}
			if !withProgress {
				return nil
			}
			return errors.Join(writeLine(b, l), b.Flush())
		})
		return errors.Join(err, b.Flush())
	}}
}
