// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/fault"
)

const kmsSource = "kms.amazonaws.com"

// KMSEvent returns an event of KMS by its id, or that of another account's copy of it.
// Error: NoSuchEvent.
func (x *Index) KMSEvent(ctx context.Context, id string) (Event, error) {
	all := "The trail"
	e, err := x.kmsEvent(ctx, Query{Terms: []Term{{Field: EventID, Value: id}}}, func(p Progress) {
		if p.Skipped != "" {
			all = "What can be read of the trail"
		}
	})
	if err == nil && e == nil {
		err = fault.New(NoSuchEvent, "%s has no event of KMS with the id %s.", all, id)
	}
	if err != nil {
		return Event{}, err
	}
	return *e, nil
}

func (x *Index) kmsEvent(ctx context.Context, q Query, progress func(Progress)) (*Event, error) {
	q.Terms = append(q.Terms, Term{Field: EventSource, Value: kmsSource})
	q.Limit = 1
	page, err := x.Search(ctx, q, progress)
	if err != nil || len(page.Events) == 0 {
		return nil, err
	}
	return &page.Events[0], nil
}

// Covered calls fn with the accesses to objects that an event of KMS covers, in the order
// written: the data events that name it. Of the copies of an event in two accounts it is
// called with one. progress may be nil.
func (x *Index) Covered(ctx context.Context, kms Event, progress func(Progress), fn func(Event) error) error {
	id := kms.EventID
	if kms.SharedEventID != "" {
		id = kms.SharedEventID // accesses name the first of the copies
	}
	q := Query{Terms: []Term{{Field: KMSEvent, Value: id}}, OldestFirst: true}
	return x.Each(ctx, q, progress, func(e Event) error {
		if e.IsCopy() {
			return nil
		}
		return fn(e)
	})
}

// CoversNone says why an event of KMS covers no access.
func CoversNone(kms Event) string {
	switch {
	case kms.EventType == audit.TypeServiceEvent:
		return "this is an event of KMS's own upkeep: it covers no objects"
	case kms.UserIdentity.InvokedBy == "":
		return "S3 did not make this request of KMS: it covers no objects"
	case kms.ErrorCode != "":
		return "KMS refused this request: it covers no objects"
	}
	return "no access in the trail names this event: the access that it was for failed afterwards, is not written yet, or is older than what the trail keeps"
}

// Cover is an event of KMS with the accesses to an object that it covers.
type Cover struct {
	ID       string           // of the event; "": what no event of KMS covers
	KMS      *Event           // nil: the trail does not have it any more, or there is none
	Accesses []audit.Position // in the order written
}

// maxAccesses bounds what Covers keeps in memory: some 100 MB.
const maxAccesses = 2 << 20

// kmsBefore is how long an event of KMS may be before the accesses that it covers: the
// longest time that a bucket key is cached for, and some.
const kmsBefore = 2 * time.Hour

// Covers returns the events of KMS that cover the accesses to an object, in the order of
// the first access, each with all of them: every data event of the object is in one, also
// of what copies it. What no event of KMS covers comes last: what was refused, what needed
// no key, and what was not under one of KMS. progress may be nil.
// Error: BadQuery, when there are too many.
func (x *Index) Covers(ctx context.Context, objectARN string, since, until time.Time, progress func(Progress)) ([]Cover, error) {
	var covers []Cover
	var none Cover
	var firsts []time.Time
	number := map[string]int{}
	count := 0
	var f facts
	q := Query{
		Terms: []Term{{Field: Object, Value: objectARN}, {Field: Category, Value: audit.Data}},
		Since: since, Until: until, OldestFirst: true,
	}
	err := x.Each(ctx, q, progress, func(e Event) error {
		if e.IsCopy() {
			return nil
		}
		if count++; count > maxAccesses {
			return fault.New(BadQuery, "There are more than %d accesses to this object: ask for a shorter time.", maxAccesses)
		}
		f.of(e.JSON)
		covered := false
		for _, by := range [][2][]byte{{f.object, f.covering}, {f.source, f.sourceCovers}} {
			if string(by[0]) != objectARN || len(by[1]) == 0 {
				continue
			}
			covered = true
			id := string(by[1])
			n, ok := number[id]
			if !ok {
				n = len(covers)
				number[id] = n
				covers, firsts = append(covers, Cover{ID: id}), append(firsts, e.EventTime)
			}
			if last := covers[n].Accesses; len(last) == 0 || last[len(last)-1] != e.At {
				covers[n].Accesses = append(last, e.At)
			}
		}
		if !covered {
			none.Accesses = append(none.Accesses, e.At)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range covers {
		q := Query{Terms: []Term{{Field: EventID, Value: covers[i].ID}}, Since: firsts[i].Add(-kmsBefore), Until: firsts[i].Add(kmsBefore)}
		if covers[i].KMS, err = x.kmsEvent(ctx, q, nil); err == nil && covers[i].KMS == nil {
			q.Since, q.Until = time.Time{}, time.Time{}
			covers[i].KMS, err = x.kmsEvent(ctx, q, nil)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(none.Accesses) > 0 {
		covers = append(covers, none)
	}
	return covers, nil
}

// At calls fn with the events at places in the trail, of those that are still there.
func (x *Index) At(ctx context.Context, at []audit.Position, fn func(Event) error) error {
	var r trailReader
	defer r.close()
	for _, at := range at {
		if err := ctx.Err(); err != nil {
			return err
		}
		if ok, err := r.open(x.fs, x.dir, at.Segment); err != nil {
			return err
		} else if !ok {
			continue
		}
		line, err := r.read(at.Offset, at.Offset+near)
		if err == nil && bytes.IndexByte(line, '\n') < 0 {
			line, err = r.read(at.Offset, at.Offset+maxLine)
		}
		if err != nil {
			return err
		}
		i := bytes.IndexByte(line, '\n')
		if i < 0 {
			return fmt.Errorf("audit/index: %s has no line at %d", at.Segment, at.Offset)
		}
		e, ok := newEvent(at, audit.Delivered(bytes.Clone(line[:i])))
		if !ok {
			return fmt.Errorf("audit/index: %s has no record at %d", at.Segment, at.Offset)
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}
