// SPDX-License-Identifier: Apache-2.0

package replication

import "time"

// place is what a task reads or writes: a key in a bucket.
type place struct{ bucket, key string }

// places returns what a task reads and what it writes.
func (t *task) places() [2]place {
	return [2]place{{t.Bucket, string(t.Key)}, {t.Destination, string(t.Key)}}
}

// lane is what is replicated from one bucket.
type lane struct {
	ready   []*queued
	running int
	crowd
}

// crowd are tasks of which too many may be due.
type crowd struct {
	// Because too many were ready others were put off until later; so many of them to the last
	// moment.
	later time.Time
	off   int
}

// placeCrowd are those of one object.
type placeCrowd struct {
	ready int
	crowd
}

// minLane is how many tasks of a bucket may be ready, however many buckets there are.
const minLane = 8

// join makes a task one of those that are ready, unless there are too many of its objects or of
// its bucket: then it returns when it is to be looked at again. What is written again and again,
// or is slow, leaves room in memory for others.
func (q *queue) join(t *queued) (later time.Time) {
	of := t.places()
	for _, p := range of {
		if c := q.crowds[p]; c != nil && c.ready >= q.share {
			return c.next(time.Now(), q.share)
		}
	}
	l := q.lanes[t.Bucket]
	if l == nil {
		l = new(lane)
		q.lanes[t.Bucket] = l
	}
	if share := max(q.s.maxReady/(1+len(q.lanes)), minLane); len(l.ready) >= share {
		return l.next(time.Now(), share)
	}
	for _, p := range of {
		if q.crowds[p] == nil {
			q.crowds[p] = new(placeCrowd)
		}
		q.crowds[p].ready++
	}
	q.known[string(t.row)] = true
	l.ready = append(l.ready, t)
	return time.Time{}
}

// next returns when one more is to be looked at: as many together as can be ready.
func (c *crowd) next(now time.Time, share int) time.Time {
	switch {
	case !c.later.After(now):
		c.later, c.off = now.Add(firstWait), 0
	case c.off >= share && c.later.Before(now.Add(maxWait-firstWait)):
		c.later, c.off = c.later.Add(firstWait), 0
	}
	c.off++
	return c.later
}

// next returns a task that may begin, of the bucket for which the fewest are under way; nil when
// there is none. Tasks of one object, read or written, are not carried out at the same time: of
// two buckets that replicate to each other they would exchange what they have.
func (q *queue) next() *queued {
	var best *lane
	at := 0
	for _, l := range q.lanes {
		if len(l.ready) == 0 || best != nil && !l.before(best) {
			continue
		}
		for i, t := range l.ready {
			if of := t.places(); !q.busy[of[0]] && !q.busy[of[1]] {
				best, at = l, i
				break
			}
		}
	}
	if best == nil {
		return nil
	}
	t := best.ready[at]
	best.ready = append(best.ready[:at], best.ready[at+1:]...)
	best.running++
	for _, p := range t.places() {
		q.busy[p] = true
		if q.crowds[p].ready--; q.crowds[p].ready == 0 {
			delete(q.crowds, p)
		}
	}
	return t
}

// before reports whether a bucket comes before another.
func (l *lane) before(o *lane) bool {
	if l.running != o.running {
		return l.running < o.running
	}
	return l.ready[0].sequence < o.ready[0].sequence
}

// ended forgets a task that is over, or put off.
func (q *queue) ended(t *queued) {
	delete(q.known, string(t.row))
	for _, p := range t.places() {
		delete(q.busy, p)
	}
	if l := q.lanes[t.Bucket]; l.running == 1 && len(l.ready) == 0 {
		delete(q.lanes, t.Bucket)
	} else {
		l.running--
	}
	q.more = q.more || t.off
}
