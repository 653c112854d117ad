// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"slices"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/fault"
)

// Span is a part of the audit trail, and what a trail wanted of it: files are delivered
// after the events in them, and a bucket may fail for long. What counts is what the trail
// was told when an event took place, not when it is delivered.
type Span struct {
	From     audit.Position     `json:"from"`
	Until    audit.Position     `json:"until"`
	Global   bool               `json:"global"`
	Basic    []EventSelector    `json:"basic,omitempty"`
	Advanced []AdvancedSelector `json:"advanced,omitempty"`
}

// Bounds of the changes that a trail remembers of what is not delivered yet.
const (
	maxSpans     = 32
	maxSpansSize = 1 << 20 // bytes in the trail's row
)

// turnOver begins a new span of the trail: until there it wanted what its settings say,
// and from there what they will say. Spans that are delivered are forgotten. Faults:
// Throttled when there are too many.
func (s *Service) turnOver(ctx context.Context, t *Trail, until, from audit.Position) error {
	d, err := s.Delivery(ctx, t)
	if err != nil {
		return err
	}
	t.Past = slices.DeleteFunc(slices.Clone(t.Past), func(p Span) bool { return !d.Position.Before(p.Until) })
	if t.From.Before(until) && d.Position.Before(until) {
		t.Past = append(t.Past, Span{t.From, until, t.Global, t.Basic, t.Advanced})
	}
	if len(t.Past) > maxSpans || len(encode(t.Past)) > maxSpansSize {
		return fault.New(Throttled, "The trail was changed too often since events were delivered last.")
	}
	t.From = from
	return nil
}

// reselect must be called before a change of what the trail wants: what it wanted until
// now stays so. Faults: those of turnOver.
func (s *Service) reselect(ctx context.Context, t *Trail) error {
	switch {
	case t.Started.IsZero():
		return nil // it never wanted anything
	case t.Logging:
		now := s.Head()
		return s.turnOver(ctx, t, now, now)
	}
	return s.turnOver(ctx, t, t.Until, t.Until)
}

// wantsAt reports whether a record at a place in the audit trail is one that the trail
// wanted when it was recorded.
func (t *Trail) wantsAt(at audit.Position, r *audit.Record) bool {
	if !at.Before(t.From) {
		return (t.Logging || at.Before(t.Until)) && t.Wants(r)
	}
	for i := range t.Past {
		if p := &t.Past[i]; !at.Before(p.From) && at.Before(p.Until) {
			then := Trail{Account: t.Account, Global: p.Global, Basic: p.Basic, Advanced: p.Advanced}
			return then.Wants(r)
		}
	}
	return false
}

// begins is the first place from which the trail wants anything.
func (t *Trail) begins() audit.Position {
	if len(t.Past) > 0 {
		return t.Past[0].From
	}
	return t.From
}
