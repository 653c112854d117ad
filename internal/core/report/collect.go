// SPDX-License-Identifier: Apache-2.0

package report

import (
	"time"
)

// Bounds of what a collector holds.
const (
	maxCells   = 1 << 18 // some 60 MiB; beyond, requesters are Others
	maxKeys    = 1 << 18 // generations whose KMS key is known
	maxWaiting = 1 << 16 // KMS requests whose S3 event has not come yet
	maxBuckets = 1 << 16 // whose switches are told
	maxPhases  = 1 << 10 // of a bucket
)

// slack is how much earlier than the time of a report its records are looked at: what a
// request of the first second rests on was recorded before.
const slack = time.Minute

// Collector adds up audit records, in the order of the trail. It is for one goroutine.
type Collector struct {
	q       Query
	cells   map[cellID]*Counts
	phases  map[string]*history
	keys    map[string]string // generation → ARN of its KMS key
	waiting fifo[[]*request]  // by the id of the S3 request that made them
	pending int               // of those waiting
	audit   Audit
}

type cellID struct {
	start                             time.Time
	operation, bucket, key, requester string
}

// request is a KMS request that S3 made.
type request struct {
	id         cellID // without a bucket, when it was refused: its S3 event tells
	counts     Counts
	generation string
	service    bool // made for a service, which its S3 event names
	pending    bool // it is placed when its S3 event comes
	inTime     bool
}

// history is what is known of a bucket's default.
type history struct{ phases []Phase }

// NewCollector returns a collector for what q asks. Fault: Invalid.
func NewCollector(q Query, now time.Time) (*Collector, error) {
	q, err := q.complete(now)
	if err != nil {
		return nil, err
	}
	return &Collector{
		q: q, cells: map[cellID]*Counts{}, phases: map[string]*history{}, keys: map[string]string{},
		waiting: newFIFO[[]*request](maxWaiting),
	}, nil
}

// From returns from when on the collector needs records.
func (c *Collector) From() time.Time {
	if c.q.Since.IsZero() {
		return time.Time{}
	}
	return c.q.Since.Add(-slack)
}

// Add takes a line of the trail.
func (c *Collector) Add(line []byte) {
	c.audit.Lines++
	c.audit.Bytes += int64(len(line)) + 1
	if len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}' {
		c.audit.Damaged++
		return
	}
	if !needed(line, c.pending > 0) && !c.audit.Begins.IsZero() {
		return
	}
	e, err := parse(line)
	if err != nil {
		c.audit.Damaged++
		return
	}
	if c.audit.Begins.IsZero() {
		c.audit.Begins = e.EventTime.UTC()
	}
	if e.SharedEventID != "" && e.SharedEventID != e.EventID { // another account's (audit.Record, IsCopy)
		c.audit.Copies++
		return
	}
	switch e.EventSource {
	case kmsSource:
		c.kms(e)
	case s3Source:
		c.s3(e)
	}
}

func (c *Collector) inTime(e *event) bool {
	return !e.EventTime.Before(c.q.Since) && e.EventTime.Before(c.q.Until)
}

// upkeep are the service events that are KMS requests (docs/consolidation.md).
var upkeep = map[string]bool{
	"CreateBucketKeyGeneration": true, "MergeBucketKeyGeneration": true, "OpenBucketKeyGeneration": true, "ReEncryptBucketKeyGeneration": true,
}

// kms takes an event of the KMS.
func (c *Collector) kms(e *event) {
	f := &e.AdditionalEventData
	r := &request{
		id:     cellID{start: c.start(e), operation: e.EventName, bucket: NoBucket, key: e.key(), requester: e.requester()},
		counts: Counts{Made: 1}, generation: f.Generation, inTime: c.inTime(e),
	}
	if e.ErrorCode != "" {
		r.counts.Failed = 1
	}
	if f.Generation != "" && r.id.key != Unknown && len(c.keys) < maxKeys {
		c.keys[f.Generation] = r.id.key
	}
	switch {
	case e.EventType == "AwsServiceEvent":
		// Of the service-owned key, which has no resource of its own, nothing is counted.
		if len(e.Resources) < 2 || !upkeep[e.EventName] {
			return
		}
		r.id.bucket, _ = bucketOf(e.ServiceEventDetails.BucketARN)
		r.id.requester = Upkeep
		c.place(r)
	case f.ParentRequestID == "":
		c.place(r)
	default:
		name, whole := bucketOf(e.RequestParameters.EncryptionContext["aws:s3:arn"])
		r.id.bucket, r.service = name, e.UserIdentity.Type == "AWSService"
		if name != "" && (!whole || f.Generation == "" && e.ErrorCode == "") {
			r.counts.Direct = 1
		}
		// A refusal's parameters are not recorded.
		if r.pending = name == "" || r.service; r.pending {
			c.pending++
		} else {
			c.place(r)
		}
		if r.pending || r.opens() {
			c.wait(f.ParentRequestID, r)
		}
	}
}

// opens reports whether the request opened a bucket key.
func (r *request) opens() bool {
	return r.id.bucket != "" && r.counts.Direct == 0 && r.counts.Failed == 0
}

// wait keeps a request until its S3 event comes.
func (c *Collector) wait(parent string, r *request) {
	before, _ := c.waiting.take(parent)
	c.unplaced(c.waiting.put(parent, append(before, r)))
}

// unplaced counts requests whose S3 event did not come.
func (c *Collector) unplaced(requests []*request) {
	for _, r := range requests {
		if !r.pending {
			continue
		}
		c.pending--
		if r.id.bucket != "" {
			c.place(r)
			continue
		}
		if !r.inTime {
			continue
		}
		c.audit.Unplaced++
		if c.q.Bucket != "" {
			c.audit.KMSRequests++
			continue
		}
		r.id.bucket = Unknown
		c.place(r)
	}
}

// place counts a KMS request.
func (c *Collector) place(r *request) {
	if !r.inTime {
		return
	}
	c.audit.KMSRequests++
	if c.q.Bucket != "" && r.id.bucket != c.q.Bucket {
		c.audit.Elsewhere++
		return
	}
	c.audit.Reported++
	c.count(r.id, r.counts)
}

// s3 takes an event of S3.
func (c *Collector) s3(e *event) {
	if state := e.switched(); state != "" {
		c.switched(e, state)
		return
	}
	requests, _ := c.waiting.take(e.RequestID)
	for _, r := range requests {
		if r.pending {
			c.pending--
			c.placeBy(e, r)
		}
	}
	accesses := e.accesses()
	if !c.inTime(e) {
		return
	}
	owned := own(accesses, requests)
	for i, a := range accesses {
		if c.q.Bucket != "" && a.bucket != c.q.Bucket {
			continue
		}
		c.audit.Accesses++
		if owned[i] {
			c.audit.OwnRequest++
			continue
		}
		if a.key == "" {
			a.key = c.keys[a.generation]
		}
		if a.key == "" {
			a.key = Unknown
		}
		c.count(cellID{c.start(e), a.operation, a.bucket, a.key, e.requester()}, Counts{Avoided: 1})
	}
}

// placeBy counts a KMS request with what its S3 event tells.
func (c *Collector) placeBy(e *event, r *request) {
	switch {
	case r.id.bucket != "":
	case e.EventName == "CopyObject" && r.id.operation == decrypt:
		r.id.bucket = e.source()
	default:
		r.id.bucket = e.bucket()
	}
	if r.service {
		r.id.requester = e.requester()
	}
	c.place(r)
}

// own says which accesses made a KMS request of their own: one for the same generation, or
// for one that then another was used for.
func own(accesses []access, requests []*request) [2]bool {
	var owned [2]bool
	used := make([]bool, len(requests))
	for _, exact := range []bool{true, false} {
		for i, a := range accesses {
			for j, r := range requests {
				if owned[i] || used[j] || !r.opens() || r.id.operation != a.operation || exact && r.generation != a.generation {
					continue
				}
				owned[i], used[j] = true, true
			}
		}
	}
	return owned
}

func (c *Collector) start(e *event) time.Time { return e.EventTime.UTC().Truncate(c.q.By.length()) }

func (c *Collector) count(id cellID, n Counts) {
	counts := c.cells[id]
	if counts == nil {
		if len(c.cells) >= maxCells {
			id.requester = Others
		}
		if len(c.cells) >= 2*maxCells {
			id.key, id.bucket = Others, Others
		}
		if counts = c.cells[id]; counts == nil {
			counts = new(Counts)
			c.cells[id] = counts
		}
	}
	counts.add(n)
	if h := c.history(id.bucket); h != nil {
		h.phases[len(h.phases)-1].add(n)
	}
}

// history returns what is known of a bucket, nil for what is none.
func (c *Collector) history(bucket string) *history {
	if bucket == NoBucket || bucket == Unknown || bucket == Others || c.q.Bucket != "" && c.q.Bucket != bucket {
		return nil
	}
	h := c.phases[bucket]
	if h == nil && len(c.phases) < maxBuckets {
		h = &history{phases: []Phase{{From: c.q.Since}}}
		c.phases[bucket] = h
	}
	return h
}

// switched takes an event that sets a bucket's default.
func (c *Collector) switched(e *event, state string) {
	h := c.history(e.bucket())
	if h == nil || !e.EventTime.Before(c.q.Until) {
		return
	}
	now := &h.phases[len(h.phases)-1]
	begins := Phase{From: e.EventTime.UTC(), BucketKey: state, EventID: e.EventID, EventName: e.EventName, By: e.requester()}
	switch {
	case e.EventTime.Before(c.q.Since): // how it was when the time began
		now.BucketKey = state
	case now.BucketKey == state:
	case e.EventName == "CreateBucket" && now.Counts == (Counts{}):
		*now = begins // there was no bucket before
	case len(h.phases) < maxPhases:
		now.To = begins.From
		h.phases = append(h.phases, begins)
	}
}

// Report returns what was added up, and empties the collector.
func (c *Collector) Report(price float64) *Report {
	for _, requests := range c.waiting.drain() {
		c.unplaced(requests)
	}
	r := &Report{
		Bucket: c.q.Bucket, Since: c.q.Since, Until: c.q.Until, Interval: c.q.By, Audit: c.audit,
		Buckets: []Bucket{}, Rows: []Row{}, Series: []Point{}, Cells: make([]Cell, 0, len(c.cells)),
	}
	for id, n := range c.cells {
		r.Cells = append(r.Cells, Cell{id.start, id.operation, id.bucket, id.key, id.requester, *n})
	}
	for name, h := range c.phases {
		h.phases[len(h.phases)-1].To = c.q.Until
		var total Counts
		for _, p := range h.phases {
			total.add(p.Counts)
		}
		// A bucket without KMS requests is told of when it is asked for.
		if total != (Counts{}) || name == c.q.Bucket {
			r.Buckets = append(r.Buckets, Bucket{Bucket: name, Phases: h.phases})
		}
	}
	r.sum()
	r.SetPrice(price)
	c.cells, c.phases = map[cellID]*Counts{}, map[string]*history{}
	return r
}
