// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"time"
)

// Status is what there is of the trail.
type Status struct {
	Head      Anchor     `json:"head"` // of what is durable
	Files     int        `json:"files"`
	Bytes     int64      `json:"bytes"`
	Oldest    *time.Time `json:"oldestEventTime,omitempty"`
	Begins    *Cut       `json:"begins,omitempty"` // where files before were dropped
	MaxAge    string     `json:"maxAge,omitempty"` // the limits
	MaxBytes  int64      `json:"maxBytes,omitempty"`
	Next      *NextDrop  `json:"next,omitempty"`
	Consumers []Consumer `json:"consumers"`
	Required  bool       `json:"required"`         // calls that cannot be recorded are refused
	Missed    int64      `json:"missed,omitempty"` // calls that were served without a record, which is still to be recorded
}

// NextDrop is the file that is dropped next.
type NextDrop struct {
	File   string     `json:"file"`
	Bytes  int64      `json:"bytes"`
	At     *time.Time `json:"at,omitempty"`   // when it is too old
	Room   *int64     `json:"room,omitempty"` // bytes that may be written until there are too many; 0: at once
	HeldBy []string   `json:"heldBy,omitempty"`
}

// Consumer is one that holds the trail.
type Consumer struct {
	Name     string   `json:"name"`
	Position Position `json:"position"`
	Backlog  int64    `json:"backlogBytes"`
}

// Status says how the trail is. It reads the names of its files, and the oldest event.
func (t *Trail) Status(ctx context.Context) (Status, error) {
	all, err := t.files()
	if err != nil {
		return Status{}, err
	}
	_, held, by := t.needed()
	t.mu.Lock()
	s := Status{Head: t.anchor(), Begins: t.cut, Files: len(all), MaxBytes: t.limits.Bytes, Required: !t.relaxed, Missed: t.missing.Calls + t.saying, Consumers: []Consumer{}}
	holds, end := maps.Clone(t.holds), t.head()
	t.mu.Unlock()
	if t.limits.Age > 0 {
		s.MaxAge = t.limits.Age.String()
	}
	for _, f := range all {
		s.Bytes += f.bytes
	}
	if s.Oldest, err = t.oldest(ctx, all, end); err != nil {
		return s, err
	}
	if len(all) > 0 && t.limits != (Limits{}) {
		s.Next = t.limits.next(all[0], s.Bytes)
		if all[0].name >= held {
			s.Next.HeldBy = by
		}
	}
	for _, name := range slices.Sorted(maps.Keys(holds)) {
		n, err := t.bytes(holds[name], end)
		if err != nil {
			return s, err
		}
		s.Consumers = append(s.Consumers, Consumer{name, holds[name], n})
	}
	return s, nil
}

// next says when a file, the oldest, is over the limits.
func (l Limits) next(f file, total int64) *NextDrop {
	n := &NextDrop{File: f.name, Bytes: f.bytes}
	if l.Age > 0 && !f.until.IsZero() {
		at := f.until.Add(l.Age).UTC()
		n.At = &at
	}
	if l.Bytes > 0 {
		room := max(l.Bytes-total, 0)
		n.Room = &room
	}
	return n
}

// oldest returns the time of the first event.
func (t *Trail) oldest(ctx context.Context, all []file, end Position) (at *time.Time, err error) {
	r := newReader(t.fs, t.dir, Filter{})
	for _, f := range all {
		to := int64(math.MaxInt64)
		if f.name > end.Segment {
			break
		}
		if f.name == end.Segment {
			to = end.Offset
		}
		_, err := r.lines(ctx, Position{Segment: f.name}, to, func(l Line) error {
			if at = timeOf(l.JSON); at != nil {
				return errFound
			}
			return nil
		})
		if errors.Is(err, errFound) {
			return at, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}
