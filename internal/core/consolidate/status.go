// SPDX-License-Identifier: Apache-2.0

package consolidate

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/core/kms"
)

// Status is a bucket's bucket keys, and its last consolidation.
type Status struct {
	Bucket        string             `json:"bucket"`
	Consolidation bool               `json:"consolidation"` // the bucket's setting
	Keys          []KeyStatus        `json:"keys"`
	Generations   []GenerationStatus `json:"generations"`
	Job           *jobs.Status       `json:"job,omitempty"`
	// Since is when the server started, from which on KMS requests are counted.
	Since time.Time `json:"requestsSince"`
}

// KeyStatus sums the generations under one KMS key.
type KeyStatus struct {
	KeyARN      string   `json:"keyArn"`
	Usable      bool     `json:"usable"` // now, by upkeep
	Generations int      `json:"generations"`
	Outdated    int      `json:"outdated"` // under old material
	Objects     int64    `json:"objects"`  // data keys, where counted
	Requests    Requests `json:"requests"`
}

// Requests are KMS requests for the bucket's bucket keys under a KMS key, since the
// server's start: those that were made, also in vain, and those that objects would have
// cost without bucket keys and did not.
type Requests struct {
	GenerateDataKey        int64 `json:"generateDataKey"`
	Decrypt                int64 `json:"decrypt"`
	GenerateDataKeyAvoided int64 `json:"generateDataKeyAvoided"`
	DecryptAvoided         int64 `json:"decryptAvoided"`
}

// addRequests says of each key what was counted. A key that nothing is under, since
// all requests were refused, is added.
func (c *Consolidator) addRequests(ctx context.Context, out *Status, uid bucket.UID) {
	if c.requests == nil {
		return
	}
	for _, r := range c.requests(uid) {
		i := slices.IndexFunc(out.Keys, func(k KeyStatus) bool { return k.KeyARN == r.KeyARN })
		if i < 0 {
			i = len(out.Keys)
			out.Keys = append(out.Keys, KeyStatus{KeyARN: r.KeyARN, Usable: c.ledger.Usable(ctx, r.KeyARN)})
		}
		out.Keys[i].Requests = Requests{r.GenerateDataKey, r.Decrypt, r.GenerateAvoided, r.DecryptsAvoided}
	}
}

// GenerationStatus is one generation.
type GenerationStatus struct {
	ID       string      `json:"id"`
	KeyARN   string      `json:"keyArn"`
	Context  kms.Context `json:"encryptionContext"`
	Tier     int         `json:"tier"`
	State    string      `json:"state"` // open, closed or retired
	Created  time.Time   `json:"created"`
	Objects  int64       `json:"objects"`
	Counted  time.Time   `json:"counted,omitzero"` // when Objects was right; zero: never
	Material uint32      `json:"material"`         // version of the KMS key's material; 0 when it cannot be told
	Outdated bool        `json:"outdated,omitempty"`
	Into     string      `json:"into,omitempty"` // where the data keys of a retired one go
}

// countWithin bounds how long Status counts what is under each generation.
const countWithin = 5 * time.Second

// countNow counts the data keys under each generation. It gives up on a bucket that is
// too large to be counted while somebody waits: counted is then false.
func (c *Consolidator) countNow(ctx context.Context, uid bucket.UID) (under map[uuid.UUID]int64, counted bool, err error) {
	begun := time.Now()
	under = map[uuid.UUID]int64{}
	for from := []byte(nil); ; {
		rows, next, err := c.objects.Wraps(ctx, uid, from)
		if err != nil {
			return nil, false, err
		}
		for _, r := range rows {
			for _, gen := range r.Generations {
				under[gen]++
			}
		}
		switch from = next; {
		case next == nil:
			return under, true, nil
		case time.Since(begun) > countWithin:
			return nil, false, nil
		}
	}
}

// Status describes a bucket's generations, the oldest first, and counts what is under
// each; in a bucket that is too large for that it gives what the last consolidation
// counted. It uses no key. Fault: NoSuchBucket.
func (c *Consolidator) Status(ctx context.Context, name string) (Status, error) {
	b, err := c.buckets.Find(ctx, bucket.Ref{Bucket: name})
	if err != nil {
		return Status{}, err
	}
	entries, err := c.ledger.List(ctx, b.UID)
	if err != nil {
		return Status{}, err
	}
	out := Status{Bucket: b.Name, Consolidation: !b.NoConsolidation, Keys: []KeyStatus{}, Generations: []GenerationStatus{}}
	at := map[string]int{}
	now := time.Now()
	under, counted, err := c.countNow(ctx, b.UID)
	if err != nil {
		return Status{}, err
	}
	for i := range entries {
		e := &entries[i]
		n, ok := at[e.KeyARN]
		if !ok {
			n = len(out.Keys)
			at[e.KeyARN] = n
			out.Keys = append(out.Keys, KeyStatus{KeyARN: e.KeyARN, Usable: c.ledger.Usable(ctx, e.KeyARN)})
		}
		g := GenerationStatus{
			ID: e.ID.String(), KeyARN: e.KeyARN, Context: e.Context, Tier: int(e.Tier), State: e.State(now),
			Created: e.Created.UTC(), Objects: e.Objects,
		}
		if !e.Counted.IsZero() {
			g.Counted = e.Counted.UTC()
		}
		if counted {
			g.Objects, g.Counted = under[e.ID], now.UTC()
		}
		if e.Successor() {
			g.Into = e.Into.String()
		}
		if version, current, err := c.ledger.Material(ctx, e); err == nil {
			g.Material, g.Outdated = version, !current
		}
		k := &out.Keys[n]
		k.Generations++
		k.Objects += g.Objects
		if g.Outdated {
			k.Outdated++
		}
		out.Generations = append(out.Generations, g)
	}
	out.Since = c.started.UTC()
	c.addRequests(ctx, &out, b.UID)
	job, err := c.runner.Get(ctx, Argument{}.Kind(), jobID(b.UID))
	switch {
	case err == nil:
		out.Job = &job
	case !errors.Is(err, jobs.NoSuchJob):
		return Status{}, err
	}
	return out, nil
}

// followEvery is how often a job is looked at.
const followEvery = 500 * time.Millisecond

// Follow begins a consolidation, or joins the one under way, and calls report now and
// then, and with the job when it is over. Faults: NoSuchBucket, Off.
func (c *Consolidator) Follow(ctx context.Context, name string, report func(jobs.Status)) error {
	if _, err := c.Start(ctx, name); err != nil {
		return err
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		s, err := c.Job(ctx, name)
		if err != nil {
			return err
		}
		report(s)
		if s.State.Over() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Switch says whether upkeep may consolidate a bucket. Fault: NoSuchBucket.
func (c *Consolidator) Switch(ctx context.Context, name string, on bool) error {
	return c.buckets.SetConsolidation(ctx, name, on)
}
