// SPDX-License-Identifier: Apache-2.0

// Package forward sends the audit trail on to sinks: webhooks, syslog servers. Each sink
// has a pump of its own that reads the trail's files behind the requests, in their order
// and at the sink's pace. A sink that fails delays what it gets, and drops nothing of it.
package forward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/link/sink"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Target is a sink, and which events it gets.
type Target struct {
	Sink sink.Sink
	Only []audit.Category // none means all
}

// Config is what a Forwarder needs besides the trail. The zero value works.
type Config struct {
	// Oldest lets a sink that is new begin with the oldest record that there is, and not
	// with what is recorded from now on.
	Oldest bool
	Log    *slog.Logger // default: none
	// Service is the part that all records of sinks being added and removed share: who
	// owns the server, and where it is.
	Service audit.Record
}

// Forwarder has the pumps of all sinks.
type Forwarder struct {
	trail *audit.Trail
	rows  meta.Store
	cfg   Config
	pumps []*pump
}

// Open finds out how far each sink has come, and holds the trail for it there. Sinks that
// are not there any more let go of it. Close the forwarder to close the sinks; when Open
// fails it closes them.
func Open(ctx context.Context, trail *audit.Trail, rows meta.Store, targets []Target, cfg Config) (*Forwarder, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	f := &Forwarder{trail: trail, rows: rows, cfg: cfg}
	for _, t := range targets {
		f.pumps = append(f.pumps, newPump(trail, rows, t, cfg.Log))
	}
	known, err := cursors(ctx, rows)
	if err == nil {
		err = f.resume(ctx, known)
	}
	if err == nil {
		err = f.retire(ctx, known)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// resume gives each pump its position.
func (f *Forwarder) resume(ctx context.Context, known map[string]cursor) error {
	for i, p := range f.pumps {
		if slices.ContainsFunc(f.pumps[:i], func(q *pump) bool { return q.name == p.name }) {
			return fmt.Errorf("two audit sinks have the name %s: give them others", p.name)
		}
		c, there := known[p.name]
		switch {
		case !there && f.cfg.Oldest:
			f.cfg.Log.Info("new audit sink: it begins with the oldest record", "sink", p.name)
		case !there:
			c.At = f.trail.Head()
			f.cfg.Log.Info("new audit sink: it begins with what is recorded from now on", "sink", p.name)
		case !c.Removed.IsZero():
			f.cfg.Log.Info("audit sink is back: it goes on where it had come to, as far as the trail is still there", "sink", p.name, "removed", c.Removed)
		}
		p.start(c.At)
		if there && c.Removed.IsZero() {
			continue
		}
		if err := f.note(ctx, "AddAuditSink", p.name, c.At); err != nil {
			return err
		}
		if err := store(ctx, f.rows, p.name, cursor{At: c.At}); err != nil {
			return fmt.Errorf("begin audit sink %s: %w", p.name, err)
		}
	}
	return nil
}

// retire notes sinks that are not in the configuration any more: nothing holds the trail
// for them since the start.
func (f *Forwarder) retire(ctx context.Context, known map[string]cursor) error {
	for _, name := range slices.Sorted(maps.Keys(known)) {
		c := known[name]
		if !c.Removed.IsZero() || slices.ContainsFunc(f.pumps, func(p *pump) bool { return p.name == name }) {
			continue
		}
		backlog, err := f.trail.Behind(c.At)
		if err != nil {
			return err
		}
		f.cfg.Log.Warn("audit sink is not in the configuration any more: the trail is not kept for it", "sink", name, "backlog_bytes", backlog)
		if err := f.note(ctx, "RemoveAuditSink", name, c.At); err != nil {
			return err
		}
		c.Removed = time.Now().UTC().Truncate(time.Second)
		if err := store(ctx, f.rows, name, c); err != nil {
			return fmt.Errorf("retire audit sink %s: %w", name, err)
		}
	}
	return nil
}

// note records that a sink was added or removed: who gets the trail is part of it.
func (f *Forwarder) note(ctx context.Context, event, name string, at audit.Position) error {
	r := f.cfg.Service
	r.EventName, r.EventSource, r.EventType = event, "coffer", audit.TypeServiceEvent
	r.EventCategory, r.ManagementEvent = audit.Management, true
	r.RequestParameters = map[string]any{"sink": name, "segment": at.Segment, "offset": at.Offset}
	return f.trail.Append(ctx, r, true)
}

// Run sends until ctx is done.
func (f *Forwarder) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, p := range f.pumps {
		all.Go(func() { p.run(ctx) })
	}
	all.Wait()
}

// Close closes the sinks. It must not be called while Run runs.
func (f *Forwarder) Close() error {
	var errs []error
	for _, p := range f.pumps {
		if err := p.sink.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close audit sink %s: %w", p.name, err))
		}
	}
	return errors.Join(errs...)
}
