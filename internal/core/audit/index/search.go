// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// errEnough ends a search.
var errEnough = errors.New("audit/index: enough")

// Search returns a page of what a query chooses, of what was durable when the search
// began. What of the trail cannot be read is passed over, which the log and progress are
// told. progress may be nil. Errors: BadQuery, BadToken.
//
// LookupEvents of CloudTrail is a search with the terms Account and Category, which is
// Management, and with the attribute's: EventId EventID, EventName EventName, ReadOnly
// ReadOnly, Username Username, ResourceType ResourceType, ResourceName ResourceName,
// EventSource EventSource, AccessKeyId AccessKeyID. Since is 90 days ago or StartTime,
// Until a second after EndTime, Limit MaxResults; Bind has both times as they were sent.
// Event.Username and Event.Resources are what it shows of an event.
func (x *Index) Search(ctx context.Context, q Query, progress func(Progress)) (*Page, error) {
	select {
	case x.slots <- struct{}{}:
		defer func() { <-x.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	page := &Page{}
	more := false
	err := x.Each(ctx, q, progress, func(e Event) error {
		if q.Limit > 0 && len(page.Events) == q.Limit {
			more = true
			return errEnough
		}
		page.Events = append(page.Events, e)
		return nil
	})
	if more {
		page.Token, err = x.token(q, page.Events[q.Limit-1].At), nil
	}
	if err != nil {
		return nil, err
	}
	return page, nil
}

// Each calls fn with what a query chooses, in its order, and regardless of its limit. It
// ends at fn's first error, which it returns. Unlike Search it waits for no others, since
// fn may take its time. progress may be nil. Errors: BadQuery,
// BadToken.
func (x *Index) Each(ctx context.Context, q Query, progress func(Progress), fn func(Event) error) error {
	p, err := newPlan(q)
	if err != nil {
		return err
	}
	s := &search{x: x, plan: p, fn: fn, progress: progress}
	if q.Token != "" {
		if s.after, err = x.parseToken(q); err != nil {
			return err
		}
	}
	began := time.Now()
	defer func() {
		s.close()
		x.metrics.searches.Observe(time.Since(began).Seconds())
	}()
	pieces, err := x.pieces()
	if err != nil {
		return err
	}
	if !q.OldestFirst {
		slices.Reverse(pieces)
	}
	told := &s.told
	for i := range pieces {
		told.Total += pieces[i].to - pieces[i].from
	}
	for i := range pieces {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.piece(ctx, &pieces[i]); err != nil {
			return err
		}
		told.Read += pieces[i].to - pieces[i].from
		if progress != nil {
			progress(*told)
		}
	}
	return nil
}

// search is one search.
type search struct {
	x     *Index
	plan  *plan
	fn    func(Event) error
	after audit.Position // of the last record of the page before
	trail trailReader
	index indexReader
	facts facts

	progress func(Progress)
	told     Progress
	skipped  string // the file of which something was passed over, at last
}

func (s *search) close() {
	s.trail.close()
	s.index.close()
	s.x.metrics.read.Add(float64(s.trail.count))
}

// past reports whether the records in a part of the trail were on pages before.
func (s *search) past(segment string, from, to int64) bool {
	switch {
	case s.after.Segment == "":
		return false
	case s.plan.OldestFirst:
		return segment < s.after.Segment || segment == s.after.Segment && to <= s.after.Offset
	}
	return segment > s.after.Segment || segment == s.after.Segment && from >= s.after.Offset
}

// due reports whether a record is not of a page before.
func (s *search) due(at audit.Position) bool {
	switch {
	case s.after.Segment == "":
		return true
	case s.plan.OldestFirst:
		return s.after.Before(at)
	}
	return at.Before(s.after)
}

// piece searches a part of the trail.
func (s *search) piece(ctx context.Context, p *piece) error {
	if p.maxTime < s.plan.since || p.minTime >= s.plan.until || s.past(p.segment, p.from, p.to) {
		return nil
	}
	if !p.indexed() {
		return s.scan(ctx, p)
	}
	places, err := s.places(p)
	if err != nil {
		if p.file != nil {
			s.x.damaged(p.file, err)
		}
		return s.scan(ctx, p)
	}
	if len(places) == 0 {
		return nil
	}
	if ok, err := s.trail.open(s.x.fs, s.x.dir, p.segment); err != nil || !ok {
		return err
	}
	if !s.plan.OldestFirst {
		slices.Reverse(places)
	}
	for _, at := range places {
		here := audit.Position{Segment: p.segment, Offset: at.from}
		if at.known && (at.time < s.plan.since || at.time >= s.plan.until) || !s.due(here) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		line, err := s.trail.read(at.from, at.to)
		if err = s.passed(err); err != nil {
			return err
		}
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			if e, ok := s.event(here, line[:i]); ok {
				if err := s.fn(e); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// event returns the event of a line, if it is one that is searched for.
func (s *search) event(at audit.Position, line []byte) (Event, bool) {
	for _, l := range s.plan.literal {
		if !bytes.Contains(line, []byte(l)) {
			return Event{}, false
		}
	}
	if s.facts.of(line); !s.facts.match(s.plan) {
		return Event{}, false
	}
	return newEvent(at, audit.Delivered(bytes.Clone(line)))
}

// scan searches a part of the trail that has no index: lines that begin in it.
func (s *search) scan(ctx context.Context, p *piece) error {
	if ok, err := s.trail.open(s.x.fs, s.x.dir, p.segment); err != nil || !ok {
		return err
	}
	var found []Event
	err := s.trail.lines(p.from, p.to, p.end, func(offset int64, line []byte) error {
		at := audit.Position{Segment: p.segment, Offset: offset}
		if !s.due(at) {
			return nil
		}
		e, ok := s.event(at, line)
		switch {
		case !ok:
			return ctx.Err()
		case s.plan.OldestFirst:
			return s.fn(e)
		}
		found = append(found, e)
		return nil
	})
	err = s.passed(err)
	for _, e := range slices.Backward(found) {
		if err == nil {
			err = s.fn(e)
		}
	}
	return err
}

// passed passes over what the disk does not give, and tells that once for each file.
func (s *search) passed(err error) error {
	var u *unread
	if !errors.As(err, &u) {
		return err
	}
	if s.skipped == u.segment {
		return nil
	}
	s.skipped = u.segment
	s.x.log.Error("a search passes over what cannot be read of the audit trail", "file", u.segment, "offset", u.offset, "error", u.error)
	if s.progress != nil {
		p := s.told
		p.Skipped = fmt.Sprintf("%s cannot be read at byte %d, and what is there was passed over: %v", u.segment, u.offset, u.error)
		s.progress(p)
	}
	return nil
}
