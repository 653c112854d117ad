// SPDX-License-Identifier: Apache-2.0

// Package jobs is durable background work: a job is a typed argument, a kind and
// the [Work] registered for that kind.
//
// A job is a row of the metadata store, so it outlives the process that began it
// and any node may go on with it. What it promises:
//   - A job is run by whoever holds its lease. The lease is renewed while the work
//     runs; one that ran out is taken over, by the same node or another.
//   - Work that failed is tried again after a growing pause, a bounded number of
//     times in a row without progress.
//   - Work that was stopped, by a crash or a shutdown, begins again with the cursor
//     that it saved last.
//
// It does not promise that only one node works at a time: a holder that was paused
// for longer than its lease goes on until it notices. Work is therefore idempotent
// and makes its own commits conditional.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Kinds of fault.
const (
	// NoSuchJob: there is no job of that kind and id.
	NoSuchJob fault.Kind = "jobs: no such job"
	// Unregistered: nobody here does jobs of that kind.
	Unregistered fault.Kind = "jobs: kind is not registered"
	// LostLease: another node has taken the job over; the work stops.
	LostLease fault.Kind = "jobs: lease was lost"
)

// State is where a job stands.
type State string

// States. The last three are final.
const (
	Queued    State = "queued"
	Running   State = "running"
	Done      State = "done"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Over reports whether the job will not go on by itself.
func (s State) Over() bool { return s == Done || s == Failed || s == Cancelled }

// Argument is what a job is to do. It is stored as JSON.
type Argument interface {
	// Kind names the work for such an argument. It does not depend on the value.
	Kind() string
}

// Work does the jobs of one kind. It is called by several goroutines, one for each
// job, and returns when the job is done, when it failed, or when ctx is done.
type Work[A Argument] interface {
	Work(ctx context.Context, job *Job[A]) error
}

// Status is a job as it stands. Done and Total count whatever the work counts;
// Total is 0 while it is not known. Rate is Done per second in this run.
type Status struct {
	Kind     string          `json:"kind"`
	ID       string          `json:"id"`
	State    State           `json:"state"`
	Argument json.RawMessage `json:"argument"`
	Done     int64           `json:"done"`
	Total    int64           `json:"total,omitempty"`
	Rate     float64         `json:"rate,omitempty"`
	Note     string          `json:"note,omitempty"` // what the work says that it is at
	Attempts int             `json:"attempts"`       // in a row without progress
	Error    string          `json:"error,omitempty"`
	Created  time.Time       `json:"created"`
	Started  time.Time       `json:"started,omitzero"`
	Updated  time.Time       `json:"updated"`
	Ended    time.Time       `json:"ended,omitzero"`
}

// row is j/<kind>/<id>. docs/formats.md, "Jobs".
type row struct {
	Argument  json.RawMessage `json:"argument"`
	State     State           `json:"state"`
	Cursor    json.RawMessage `json:"cursor,omitempty"`
	Done      int64           `json:"done"`
	Total     int64           `json:"total,omitempty"`
	Note      string          `json:"note,omitempty"`
	Attempts  int             `json:"attempts"`
	Error     string          `json:"error,omitempty"`
	Cancel    bool            `json:"cancel,omitempty"` // asked of the holder
	NotBefore time.Time       `json:"notBefore,omitzero"`
	Lease     *lease          `json:"lease,omitempty"`
	Created   time.Time       `json:"created"`
	Started   time.Time       `json:"started,omitzero"` // this run
	Before    int64           `json:"before,omitempty"` // Done when this run started
	Updated   time.Time       `json:"updated"`
	Ended     time.Time       `json:"ended,omitzero"`
}

// lease says who works on a job. Holder is new for each run.
type lease struct {
	Holder string    `json:"holder"`
	Until  time.Time `json:"until"`
}

const rows = "j/"

func rowKey(kind, id string) []byte { return []byte(rows + kind + "/" + id) }

// nameOf splits a row's key. A kind has no slash.
func nameOf(key []byte) (kind, id string, ok bool) {
	rest, ok := strings.CutPrefix(string(key), rows)
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "/")
}

func decode(item meta.Item) (row, error) {
	var r row
	if err := json.Unmarshal(item.Value, &r); err != nil {
		return row{}, fault.New(meta.Damaged, "").Because(fmt.Errorf("job row %q: %w", item.Key, err))
	}
	return r, nil
}

func (r row) encode() ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("jobs: encode row: %w", err)
	}
	return b, nil
}

// status describes the row.
func (r row) status(key []byte) Status {
	kind, id, _ := nameOf(key)
	s := Status{
		Kind: kind, ID: id, State: r.State, Argument: r.Argument, Done: r.Done, Total: r.Total, Note: r.Note,
		Attempts: r.Attempts, Error: r.Error, Created: r.Created, Started: r.Started, Updated: r.Updated, Ended: r.Ended,
	}
	if span := r.Updated.Sub(r.Started).Seconds(); !r.Started.IsZero() && span > 0 {
		s.Rate = float64(r.Done-r.Before) / span
	}
	return s
}

// claimable reports whether a runner may take the job now.
func (r row) claimable(now time.Time) bool {
	switch r.State {
	case Queued:
		// A pause longer than any is from a clock that was ahead and has been set back.
		return !now.Before(r.NotBefore) || r.NotBefore.Sub(now) > longestBackoff
	case Running:
		return r.Lease == nil || !now.Before(r.Lease.Until)
	}
	return false
}

// change edits a row on condition of its version, again until nobody came between.
// edit returns false when there is nothing to write; r is nil when there is no row.
func change(ctx context.Context, store meta.Store, key []byte, edit func(r *row) (*row, error)) (row, error) {
	for {
		item, err := meta.Get1(ctx, store, key)
		if err != nil {
			return row{}, fmt.Errorf("read job: %w", err)
		}
		var now *row
		if item.Ver != 0 {
			r, err := decode(item)
			if err != nil {
				return row{}, err
			}
			now = &r
		}
		next, err := edit(now)
		if err != nil {
			return row{}, err
		}
		if next == nil {
			return *now, nil
		}
		value, err := next.encode()
		if err != nil {
			return row{}, err
		}
		var b meta.Batch
		b.PutIf(key, value, item.Ver)
		_, err = store.Commit(ctx, &b)
		var conflict *meta.ConflictError
		if errors.As(err, &conflict) {
			continue
		}
		if err != nil {
			return row{}, fmt.Errorf("write job: %w", err)
		}
		return *next, nil
	}
}
