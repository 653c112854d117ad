// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/link/sink"
	"github.com/cofferstore/coffer/internal/link/sink/sinktest"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

// world is a trail and what it is sent to; it can be started again.
type world struct {
	t       *testing.T
	fs      *vfs.MemFS
	rows    meta.Store
	log     bytes.Buffer
	cfg     Config
	targets []Target

	trail   *audit.Trail
	metrics *prometheus.Registry
	stop    func()
	written []string // ids of the requests that were recorded
}

func newWorld(t *testing.T, targets ...Target) *world {
	w := &world{t: t, fs: vfs.NewMem(), rows: mem.New(), targets: targets}
	w.start()
	return w
}

func (w *world) start() {
	w.t.Helper()
	w.metrics = prometheus.NewRegistry()
	var err error
	if w.trail, err = audit.Open(w.t.Context(), "audit", audit.Config{FS: w.fs, Metrics: w.metrics, Journal: w.rows, Log: slog.New(slog.NewTextHandler(&w.log, nil)), MaxSize: 256 << 10}); err != nil {
		w.t.Fatal(err)
	}
	w.cfg.Log = slog.New(slog.NewTextHandler(&w.log, nil))
	f, err := Open(w.t.Context(), w.trail, w.rows, w.targets, w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); f.Run(ctx) }()
	w.stop = func() {
		cancel()
		<-ended
		if err := w.trail.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

// record appends n records of reads.
func (w *world) record(n int) {
	w.t.Helper()
	for range n {
		id := fmt.Sprint("r", len(w.written))
		w.written = append(w.written, id)
		err := w.trail.Append(w.t.Context(), audit.Record{RequestID: id, EventName: "GetObject", EventSource: "s3.amazonaws.com", EventCategory: audit.Data, ReadOnly: true}, false)
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// ids returns the ids of the requests of records, each once, and of service events their
// names.
func ids(t *testing.T, records []string) (out []string) {
	t.Helper()
	for _, text := range records {
		var r audit.Record
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if r.RequestID == "" {
			r.RequestID = r.EventName
		}
		out = append(out, r.RequestID)
	}
	return sinktest.FirstSeen(out)
}

// came checks that a sink has everything that was recorded, in the order written.
func (w *world) came(s *sinktest.Fake) {
	w.t.Helper()
	got := slices.DeleteFunc(ids(w.t, s.Taken()), func(id string) bool { return !strings.HasPrefix(id, "r") })
	if !slices.Equal(got, w.written) {
		w.t.Errorf("of %d records came %d: %q", len(w.written), len(got), got)
	}
}

// metric returns a metric of a sink.
func (w *world) metric(name, sink string) float64 {
	w.t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "coffer_audit_sink_"+name && m.Label[0].GetValue() == sink {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

// down is how a sink answers that takes nothing.
func down(int) (int, error) { return 0, errors.New("connection refused") }

// A record that is alone is sent within a second.
func TestRecordsAreSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sinktest.NewFake("siem")
		w := newWorld(t, Target{Sink: s})
		defer w.stop()
		w.record(3)
		time.Sleep(time.Second)
		w.came(s)
		if got := ids(t, s.Taken())[0]; got != "AddAuditSink" {
			t.Errorf("the first record is %s", got)
		}
		if n := w.metric("backlog_bytes", "siem"); n != 0 {
			t.Errorf("backlog of %v bytes", n)
		}
		if n := w.metric("records_total", "siem"); n != 4 {
			t.Errorf("%v records taken", n)
		}
	})
}

// A sink that is down for an hour delays, and drops nothing: the metrics show it, writers
// of the trail do not wait for it, and when it is back it gets everything in order.
func TestSinkIsDownForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, other := sinktest.NewFake("siem"), sinktest.NewFake("other")
		w := newWorld(t, Target{Sink: s}, Target{Sink: other})
		defer w.stop()
		w.record(10)
		time.Sleep(time.Second)
		w.came(s)
		s.Answer(down)
		before := s.Sends()
		for range 60 {
			begun := time.Now()
			w.record(100)
			if waited := time.Since(begun); waited != 0 { // no time passes unless something waits
				t.Fatalf("records waited %v for a sink", waited)
			}
			time.Sleep(time.Minute)
		}
		w.came(other)
		if lag := w.metric("lag_seconds", "siem"); lag < 3590 || lag > 3601 {
			t.Errorf("lag of %v s", lag)
		}
		if n := w.metric("backlog_bytes", "siem"); n < 6000*200 {
			t.Errorf("backlog of %v bytes", n)
		}
		// Doubling from a quarter of a second to a minute, with jitter of a half.
		if tries := s.Sends() - before; tries < 60 || tries > 140 {
			t.Errorf("%d tries in an hour", tries)
		}
		if n := w.metric("failures_total", "siem"); n != float64(s.Sends()-before) {
			t.Errorf("%v failures", n)
		}
		s.Answer(nil)
		time.Sleep(time.Minute)
		w.came(s)
		if w.metric("backlog_bytes", "siem") != 0 || w.metric("lag_seconds", "siem") != 0 {
			t.Error("it has not caught up")
		}
		if !strings.Contains(w.log.String(), "takes records again") {
			t.Error("the log does not say that it is back")
		}
	})
}

// Batches are bounded, whatever waits.
func TestBatchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sinktest.NewFake("siem")
		s.Answer(down)
		w := newWorld(t, Target{Sink: s})
		defer w.stop()
		w.record(5000)
		time.Sleep(10 * time.Minute)
		var sizes []int
		s.Answer(func(n int) (int, error) { sizes = append(sizes, n); return n, nil })
		time.Sleep(time.Minute)
		w.came(s)
		if !slices.Equal(sizes[:6], []int{1, 2, 4, 8, 16, 32}) || slices.Max(sizes) > maxRecords {
			t.Errorf("batches of %v", sizes)
		}
	})
}

// A sink that takes some of a batch and then fails gets all of it again, in order.
func TestHalfIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sinktest.NewFake("siem")
		w := newWorld(t, Target{Sink: s})
		defer w.stop()
		turn := 0
		s.Answer(func(n int) (int, error) {
			if turn++; turn%3 != 0 {
				return n / 2, errors.New("connection reset")
			}
			return n, nil
		})
		w.record(1000)
		time.Sleep(time.Hour)
		w.came(s)
	})
}

// A sink that takes no more than a few at once, or that is slow, gets fewer at once.
func TestSmallerBatches(t *testing.T) {
	for name, refuse := range map[string]func(n int) error{
		"too large": func(n int) error { return &sink.Error{Refused: true, Err: errors.New("413")} },
		"too slow":  func(n int) error { time.Sleep(time.Duration(n) * time.Second); return context.DeadlineExceeded },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sinktest.NewFake("siem")
				w := newWorld(t, Target{Sink: s})
				defer w.stop()
				s.Answer(func(n int) (int, error) {
					if n > 20 {
						return 0, refuse(n)
					}
					return n, nil
				})
				w.record(500)
				time.Sleep(time.Hour)
				w.came(s)
				if refused := strings.Contains(w.log.String(), "level=ERROR"); refused != (name == "too large") {
					t.Errorf("log:\n%s", &w.log)
				}
			})
		})
	}
}

// A stop in the middle loses nothing; what had been taken before comes once.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sinktest.NewFake("siem")
		w := newWorld(t, Target{Sink: s})
		w.record(2500)
		time.Sleep(600 * time.Millisecond)
		sent := 0
		s.Answer(func(n int) (int, error) {
			if sent += n; sent > 1500 {
				return 0, errors.New("down")
			}
			return n, nil
		})
		w.record(2500)
		time.Sleep(10 * time.Second)
		w.stop()
		s.Answer(nil)
		w.start()
		w.record(1)
		time.Sleep(time.Minute)
		w.came(s)
		if all := s.Taken(); len(all) != len(sinktest.FirstSeen(all)) {
			t.Errorf("of %d records %d came again", len(all), len(all)-len(sinktest.FirstSeen(all)))
		}
		w.stop()
	})
}

// The other side can ask for time, up to a bound.
func TestRetryAfter(t *testing.T) {
	for _, test := range []struct{ asked, most time.Duration }{{2 * time.Minute, 2 * time.Minute}, {24 * time.Hour, maxAsked}} {
		synctest.Test(t, func(t *testing.T) {
			s := sinktest.NewFake("siem")
			w := newWorld(t, Target{Sink: s})
			defer w.stop()
			time.Sleep(time.Second)
			var tries []time.Time
			s.Answer(func(n int) (int, error) {
				if tries = append(tries, time.Now()); len(tries) == 1 {
					return 0, &sink.Error{After: test.asked, Err: errors.New("429")}
				}
				return n, nil
			})
			w.record(1)
			time.Sleep(time.Hour)
			w.came(s)
			if len(tries) != 2 || tries[1].Sub(tries[0]) != test.most {
				t.Errorf("tries at %v", tries)
			}
		})
	}
}

// A sink can get some kinds of events alone.
func TestOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sinktest.NewFake("siem")
		w := newWorld(t, Target{Sink: s, Only: []audit.Category{audit.OfKMS, audit.OfManagement}})
		defer w.stop()
		w.record(3000)
		for _, r := range []audit.Record{
			{RequestID: "kms", EventSource: "kms.amazonaws.com", EventCategory: audit.Management},
			{RequestID: "management", EventSource: "s3.amazonaws.com", EventCategory: audit.Management},
		} {
			if err := w.trail.Append(t.Context(), r, true); err != nil {
				t.Fatal(err)
			}
		}
		w.record(10)
		time.Sleep(2 * time.Second)
		if got := ids(t, s.Taken()); !slices.Equal(got, []string{"AddAuditSink", "kms", "management"}) {
			t.Errorf("came %q", got)
		}
		if n := w.metric("backlog_bytes", "siem"); n != 0 {
			t.Errorf("backlog of %v bytes that are not for it", n)
		}
	})
}

// A new sink begins at the head, or with the oldest record; one that goes lets go of the
// trail, which the trail tells, and goes on when it is back.
func TestSinksComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.record(5)
		w.stop()
		s, all := sinktest.NewFake("head"), sinktest.NewFake("oldest")
		w.targets = []Target{{Sink: s}}
		w.start()
		w.stop()
		w.cfg.Oldest = true
		w.targets = append(w.targets, Target{Sink: all})
		w.start()
		time.Sleep(time.Second)
		if got := ids(t, s.Taken()); !slices.Equal(got, []string{"AddAuditSink"}) { // the other's is one
			t.Errorf("the sink that begins at the head has %q", got)
		}
		w.came(all)
		w.stop()

		w.targets = w.targets[1:]
		w.start()
		w.record(5)
		time.Sleep(time.Second)
		w.came(all)
		if got := ids(t, all.Taken()); !slices.Contains(got, "RemoveAuditSink") {
			t.Errorf("no record of the sink that went: %q", got)
		}
		if n := w.metric("backlog_bytes", "head"); n != -1 {
			t.Errorf("backlog of %v bytes of a sink that is gone", n)
		}
		if !strings.Contains(w.log.String(), "sink=head backlog_bytes=0") {
			t.Errorf("log:\n%s", &w.log)
		}
		w.stop()
		w.targets = append(w.targets, Target{Sink: s})
		w.start()
		defer w.stop()
		time.Sleep(time.Second)
		w.written = w.written[5:]
		w.came(s)
	})
}

// A damaged line does not stop the others.
func TestDamagedLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sinktest.NewFake("siem")
		w := newWorld(t, Target{Sink: s})
		w.record(1)
		time.Sleep(time.Second)
		name := w.trail.Head().Segment
		s.Answer(down)
		w.record(3)
		time.Sleep(time.Second)
		w.stop()
		damage(t, w.fs, "audit/"+name, `"requestID":"r2"`, `"requestID":"r2}`)
		s.Answer(nil)
		w.start()
		defer w.stop()
		time.Sleep(time.Second)
		w.written = slices.Delete(w.written, 2, 3)
		w.came(s)
		if !strings.Contains(w.log.String(), "audit record is damaged, and passed over") || !strings.Contains(w.log.String(), "file="+name) {
			t.Errorf("log:\n%s", &w.log)
		}
	})
}

// A line without an end, at the end of the trail, is not looked for without rest: no time
// would pass here.
func TestTornEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sinktest.NewFake("siem")
		w := newWorld(t, Target{Sink: s})
		w.record(1)
		time.Sleep(time.Second)
		w.stop()
		name := w.trail.Head().Segment
		damage(t, w.fs, "audit/"+name, "}\n", "} ")
		f, err := Open(t.Context(), w.trail, w.rows, w.targets, Config{}) // the trail is closed, and so the file is its end
		if err != nil {
			t.Fatal(err)
		}
		f.pumps[0].start(audit.Position{Segment: name})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		f.Run(ctx)
		w.came(s)
	})
}

// damage replaces bytes of a file, where they are last.
func damage(t *testing.T, fs vfs.FS, path, old, new string) {
	t.Helper()
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	text := make([]byte, info.Size())
	if _, err := f.ReadAt(text, 0); err != nil {
		t.Fatal(err)
	}
	i := bytes.LastIndex(text, []byte(old))
	if i < 0 {
		t.Fatalf("no %s in %s", old, text)
	}
	if _, err := f.WriteAt([]byte(new), int64(i)); err != nil {
		t.Fatal(err)
	}
}

// Two sinks of one name would share how far they have come.
func TestNamesDiffer(t *testing.T) {
	trail, err := audit.Open(t.Context(), "audit", audit.Config{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer trail.Close()
	a, b := sinktest.NewFake("a"), sinktest.NewFake("a")
	if _, err := Open(t.Context(), trail, mem.New(), []Target{{Sink: a}, {Sink: b}}, Config{}); err == nil {
		t.Error("two sinks have one name")
	}
}

// FuzzCursor: a row is written again as it is read; of another it is said that it is
// damaged.
func FuzzCursor(f *testing.F) {
	f.Add(cursor{At: audit.Position{Segment: "audit-20260714T093000.000000000Z.jsonl", Offset: 7}}.encode())
	f.Add(cursor{Removed: time.Unix(1, 0).UTC()}.encode())
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		c, err := decodeCursor(meta.Item{Key: []byte("as/x"), Value: value})
		if err != nil {
			if !errors.Is(err, meta.Damaged) {
				t.Error(err)
			}
			return
		}
		if again, err := decodeCursor(meta.Item{Value: c.encode()}); err != nil || again.At != c.At || !again.Removed.Equal(c.Removed) {
			t.Errorf("%s is %+v and again %+v, %v", value, c, again, err)
		}
	})
}
