// SPDX-License-Identifier: Apache-2.0

// Package report computes from the audit trail what Bucket Keys save: KMS requests made
// and avoided, by operation, bucket, KMS key and requester, what they cost, and how that
// changed when a bucket was switched.
//
// It is pure, but for Read: it takes audit records and adds up. Every KMS request in the
// trail is in one place of a report; what cannot be attributed has a place of its own.
package report

import (
	"cmp"
	"slices"
	"time"
)

// DefaultPrice is what 10,000 KMS requests cost, in US dollars (AWS KMS pricing, requests
// with symmetric keys).
const DefaultPrice = 0.03

// priced is how many requests a price is for.
const priced = 10_000

// Names of what has none.
const (
	// NoBucket is the bucket of KMS requests that were not made by S3.
	NoBucket = "(not through S3)"
	// Unknown is what the trail does not tell: the bucket of a request that the KMS
	// refused, when the S3 event that it belongs to is not in the trail; the key of an
	// object whose event names none.
	Unknown = "(unknown)"
	// Others stands for requesters, and then for all, beyond what a report can hold.
	Others = "(others)"
	// Upkeep is the requester of KMS requests that nobody's call caused: consolidation.
	Upkeep = "s3.amazonaws.com (upkeep)"
)

// Counts are KMS requests.
type Counts struct {
	// Made are the KMS requests that the trail has, those that failed too.
	Made int64 `json:"made"`
	// Failed are those of Made that ended with an error.
	Failed int64 `json:"failed"`
	// Direct are those of Made that S3 made for an object with a KMS data key of its own,
	// one for each access. A Bucket Key would spare most of them.
	Direct int64 `json:"direct"`
	// Avoided are accesses that succeeded under a Bucket Key without a KMS request of
	// their own. Without the Bucket Key each would have been one.
	Avoided int64 `json:"avoided"`
}

func (c *Counts) add(o Counts) {
	c.Made += o.Made
	c.Failed += o.Failed
	c.Direct += o.Direct
	c.Avoided += o.Avoided
}

// Saved is which part of the requests was avoided, from 0 to 1.
func (c Counts) Saved() float64 {
	if c.Made+c.Avoided == 0 {
		return 0
	}
	return float64(c.Avoided) / float64(c.Made+c.Avoided)
}

// Cell is what was counted in one interval, of one kind.
type Cell struct {
	Start     time.Time `json:"start"` // of the interval, UTC
	Operation string    `json:"operation"`
	Bucket    string    `json:"bucket"`
	Key       string    `json:"key"`       // ARN
	Requester string    `json:"requester"` // ARN of a user, of the role of a session, of a root
	Counts
}

// Row is what was counted in the whole time, of one kind.
type Row struct {
	Operation string `json:"operation"`
	Bucket    string `json:"bucket"`
	Key       string `json:"key"`
	Requester string `json:"requester"`
	Counts
	Cost        float64 `json:"cost"`
	CostAvoided float64 `json:"costAvoided"`
}

// Point is what was counted in one interval.
type Point struct {
	Start time.Time `json:"start"`
	Counts
}

// Bucket is what was counted for one bucket.
type Bucket struct {
	Bucket string `json:"bucket"`
	Counts
	Cost        float64 `json:"cost"`
	CostAvoided float64 `json:"costAvoided"`
	// Phases are the times between switches of its default encryption to or from Bucket
	// Keys, in order. One without a switch is one phase.
	Phases []Phase `json:"phases"`
}

// Phase is a time in which a bucket's default did not change.
type Phase struct {
	From time.Time `json:"from"` // zero: as far back as the trail goes
	To   time.Time `json:"to"`   // exclusive
	// BucketKey is "on", "off", or "" where the trail does not tell.
	BucketKey string `json:"bucketKey"`
	// Of the event that began it; "" for the first.
	EventID   string `json:"eventId,omitempty"`
	EventName string `json:"eventName,omitempty"`
	By        string `json:"by,omitempty"`
	Counts
	Cost        float64 `json:"cost"`
	CostAvoided float64 `json:"costAvoided"`
}

// Audit is what of the trail was used: how a report is held against it.
type Audit struct {
	Bytes   int64 `json:"bytes"`   // read
	Lines   int64 `json:"lines"`   // read
	Damaged int64 `json:"damaged"` // lines that are no records
	// Unreadable are files that could not be read to their ends.
	Unreadable int64 `json:"unreadable"`
	// Begins is when the first record that was read took place: what was before is not in
	// the trail any more, or never was. Zero: there is none.
	Begins time.Time `json:"begins,omitzero"`
	// Copies are records of what another record in the trail is about too (sharedEventID).
	Copies int64 `json:"copies"`

	// KMSRequests are the KMS requests in the trail in that time, of whatever bucket:
	// Reported, of Elsewhere, and Unplaced.
	KMSRequests int64 `json:"kmsRequests"`
	// Reported are those in this report.
	Reported int64 `json:"reported"`
	// Elsewhere are those that are not of the bucket that the report is about.
	Elsewhere int64 `json:"elsewhere"`
	// Unplaced are those that the KMS refused and whose S3 event the trail does not have:
	// in a report about a bucket they are not counted, else their bucket is Unknown.
	Unplaced int64 `json:"unplaced"`

	// Accesses under Bucket Keys that succeeded: OwnRequest made a KMS request of its own,
	// the others are Avoided.
	Accesses   int64 `json:"accesses"`
	OwnRequest int64 `json:"ownRequest"`
}

// Report is the answer.
type Report struct {
	Bucket   string    `json:"bucket,omitempty"` // "": all
	Since    time.Time `json:"since,omitzero"`   // zero: as far back as the trail goes
	Until    time.Time `json:"until"`            // exclusive
	Interval Interval  `json:"interval"`

	Price       float64 `json:"pricePer10000"`
	Total       Counts  `json:"total"`
	Cost        float64 `json:"cost"`
	CostAvoided float64 `json:"costAvoided"`

	Buckets []Bucket `json:"buckets"` // those with most requests, made and avoided, first
	Rows    []Row    `json:"rows"`    // the same
	// Series has every interval from the first to the last with requests; where those
	// would be more than 20,000, it has those with requests.
	Series []Point `json:"series"`
	Cells  []Cell  `json:"cells"` // what all the others are sums of
	Audit  Audit   `json:"audit"`
}

// Reconciles reports whether the report has exactly the KMS requests of the trail, and
// what it says of accesses.
func (r *Report) Reconciles() bool {
	var buckets, rows, series Counts
	for _, b := range r.Buckets {
		buckets.add(b.Counts)
	}
	for _, row := range r.Rows {
		rows.add(row.Counts)
	}
	for _, p := range r.Series {
		series.add(p.Counts)
	}
	a := r.Audit
	unplaced := a.Unplaced
	if r.Bucket == "" {
		unplaced = 0 // they are among those reported
	}
	return buckets == r.Total && rows == r.Total && series == r.Total &&
		r.Total.Made == a.Reported && a.KMSRequests == a.Reported+a.Elsewhere+unplaced &&
		a.Accesses == a.OwnRequest+r.Total.Avoided
}

// SetPrice prices the report again: so many US dollars for 10,000 requests. Requests that
// failed are priced as others are.
func (r *Report) SetPrice(price float64) {
	r.Price = price
	cost := func(n int64) float64 { return float64(n) * price / priced }
	r.Cost, r.CostAvoided = cost(r.Total.Made), cost(r.Total.Avoided)
	for i := range r.Rows {
		row := &r.Rows[i]
		row.Cost, row.CostAvoided = cost(row.Made), cost(row.Avoided)
	}
	for i := range r.Buckets {
		b := &r.Buckets[i]
		b.Cost, b.CostAvoided = cost(b.Made), cost(b.Avoided)
		for j := range b.Phases {
			p := &b.Phases[j]
			p.Cost, p.CostAvoided = cost(p.Made), cost(p.Avoided)
		}
	}
}

// sum makes everything that is a sum of cells.
func (r *Report) sum() {
	type kind struct{ operation, bucket, key, requester string }
	rows, buckets, points := map[kind]int{}, map[string]int{}, map[time.Time]Counts{}
	for i := range r.Buckets {
		buckets[r.Buckets[i].Bucket] = i
	}
	for _, c := range r.Cells {
		r.Total.add(c.Counts)
		k := kind{c.Operation, c.Bucket, c.Key, c.Requester}
		if _, ok := rows[k]; !ok {
			rows[k] = len(r.Rows)
			r.Rows = append(r.Rows, Row{Operation: c.Operation, Bucket: c.Bucket, Key: c.Key, Requester: c.Requester})
		}
		r.Rows[rows[k]].add(c.Counts)
		if _, ok := buckets[c.Bucket]; !ok {
			buckets[c.Bucket] = len(r.Buckets)
			r.Buckets = append(r.Buckets, Bucket{Bucket: c.Bucket, Phases: []Phase{}})
		}
		r.Buckets[buckets[c.Bucket]].add(c.Counts)
		p := points[c.Start]
		p.add(c.Counts)
		points[c.Start] = p
	}
	most := func(a, b Counts) int { return cmp.Compare(b.Made+b.Avoided, a.Made+a.Avoided) }
	slices.SortFunc(r.Rows, func(a, b Row) int {
		return cmp.Or(most(a.Counts, b.Counts), cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Operation, b.Operation),
			cmp.Compare(a.Key, b.Key), cmp.Compare(a.Requester, b.Requester))
	})
	slices.SortFunc(r.Buckets, func(a, b Bucket) int { return cmp.Or(most(a.Counts, b.Counts), cmp.Compare(a.Bucket, b.Bucket)) })
	slices.SortFunc(r.Cells, func(a, b Cell) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Operation, b.Operation),
			cmp.Compare(a.Key, b.Key), cmp.Compare(a.Requester, b.Requester))
	})
	if len(r.Cells) == 0 {
		return
	}
	last := r.Cells[len(r.Cells)-1].Start
	if last.Sub(r.Cells[0].Start)/r.Interval.length() > maxIntervals { // a clock was wrong
		for at, n := range points {
			r.Series = append(r.Series, Point{at, n})
		}
		slices.SortFunc(r.Series, func(a, b Point) int { return a.Start.Compare(b.Start) })
		return
	}
	for at := r.Cells[0].Start; !at.After(last); at = at.Add(r.Interval.length()) {
		r.Series = append(r.Series, Point{at, points[at]})
	}
}
