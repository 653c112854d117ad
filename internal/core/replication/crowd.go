// SPDX-License-Identifier: Apache-2.0

package replication

import "time"

// place is what a task reads or writes: a key in a bucket.
type place struct{ bucket, key string }

// places returns what a task reads and what it writes.
func (t *task) places() [2]place {
	return [2]place{{t.Bucket, string(t.Key)}, {t.Destination, string(t.Key)}}
}

// crowd are the tasks of one object.
type crowd struct {
	ready int
	// Because too many were ready others were put off until later; so many of them to the last
	// moment.
	later time.Time
	off   int
}

// join makes a task one of those that are ready, unless there are too many of its objects: then
// it returns when it is to be looked at again. Of an object that is written again and again no
// more is in memory than leaves room for others.
func (q *queue) join(t *queued) (later time.Time) {
	of := t.places()
	for _, p := range of {
		if c := q.crowd[p]; c != nil && c.ready >= q.share {
			return c.next(time.Now(), q.share)
		}
	}
	for _, p := range of {
		if q.crowd[p] == nil {
			q.crowd[p] = new(crowd)
		}
		q.crowd[p].ready++
	}
	q.known[string(t.row)] = true
	q.ready = append(q.ready, t)
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
