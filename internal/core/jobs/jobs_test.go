// SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

// chore is a job of some steps.
type chore struct {
	Steps int `json:"steps"`
}

func (chore) Kind() string { return "test.chore" }

// worker does each step once, as the outside world sees it, and saves after each.
type worker struct {
	mu    sync.Mutex
	ran   []int // steps, as often as they were begun
	fail  func(step int) error
	slow  time.Duration // a step takes
	deaf  bool          // does not look at its context
	units int           // of the rate, for each step
}

func (w *worker) Work(ctx context.Context, job *Job[chore]) error {
	at := 0
	if _, err := job.Cursor(&at); err != nil {
		return err
	}
	for ; at < job.Argument.Steps; at++ {
		if !w.deaf && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := job.Wait(ctx, w.units); err != nil {
			return err
		}
		w.mu.Lock()
		w.ran = append(w.ran, at)
		fail := w.fail
		w.mu.Unlock()
		if fail != nil {
			if err := fail(at); err != nil {
				return err
			}
		}
		time.Sleep(w.slow)
		job.Progress(int64(at+1), int64(job.Argument.Steps), "stepping")
		if err := job.Save(ctx, at+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) steps() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.ran)
}

// node is a process that does chores.
type node struct {
	*Runner
	worker *worker
	stop   func()
}

func startNode(t *testing.T, store meta.Store, w *worker, l Limits) *node {
	t.Helper()
	return startNodeWith(t, store, w, l, Config{})
}

func startNodeWith(t *testing.T, store meta.Store, w *worker, l Limits, cfg Config) *node {
	t.Helper()
	cfg.Keep = 2 * time.Hour
	n := &node{Runner: New(store, cfg), worker: w}
	Register(n.Runner, w, l)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { n.Run(ctx) })
	n.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(n.stop)
	return n
}

func (n *node) submit(t *testing.T, id string, steps int) {
	t.Helper()
	if _, err := n.Submit(t.Context(), id, chore{steps}); err != nil {
		t.Fatal(err)
	}
}

// over waits until a job is over.
func (n *node) over(t *testing.T, id string) Status {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(time.Second) {
		s := n.get(t, id)
		if s.State.Over() {
			return s
		}
		if time.Since(begun) > 24*time.Hour {
			t.Fatalf("no end: %+v", s)
		}
	}
}

func (n *node) get(t *testing.T, id string) Status {
	t.Helper()
	s, err := n.Get(t.Context(), chore{}.Kind(), id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func upTo(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

func wantSteps(t *testing.T, w *worker, want []int) {
	t.Helper()
	if got := w.steps(); !slices.Equal(got, want) {
		t.Errorf("steps %v, want %v", got, want)
	}
}

func TestJobRunsOnceAndReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &worker{slow: 10 * time.Second}
		n := startNode(t, mem.New(), w, Limits{})
		n.submit(t, "a", 12)
		time.Sleep(65 * time.Second)
		n.submit(t, "a", 99) // joins the one under way
		s := n.get(t, "a")
		if s.State != Running || s.Done != 6 || s.Total != 12 || s.Rate < 0.09 || s.Rate > 0.11 || s.Note != "stepping" {
			t.Errorf("%+v", s)
		}
		if s = n.over(t, "a"); s.State != Done || s.Done != 12 {
			t.Errorf("%+v", s)
		}
		wantSteps(t, w, upTo(12))
		n.submit(t, "a", 1) // and begins anew when it is over
		n.over(t, "a")
		wantSteps(t, w, append(upTo(12), 0))
		if all, err := n.List(t.Context(), chore{}.Kind()); err != nil || len(all) != 1 {
			t.Errorf("%+v, %v", all, err)
		}
		time.Sleep(3 * time.Hour)
		if _, err := n.Get(t.Context(), chore{}.Kind(), "a"); !errors.Is(err, NoSuchJob) {
			t.Errorf("%v: an old job is kept", err)
		}
	})
}

// More work than there is time for: what is asked for again and again waits for its turn.
func TestJobsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNodeWith(t, mem.New(), &worker{slow: 10 * time.Minute}, Limits{}, Config{Concurrency: 1})
		for range 9 {
			for _, id := range []string{"a", "b", "c"} {
				n.submit(t, id, 10) // 100 minutes
				time.Sleep(time.Second)
			}
			time.Sleep(time.Hour)
		}
		if s := n.get(t, "c"); s.Started.IsZero() {
			t.Errorf("others come first, for ever: %+v", s)
		}
	})
}

// A clock that was years ahead and has been set back keeps no job from being done.
func TestJobsOfAClockThatWasAhead(t *testing.T) {
	for _, state := range []State{Queued, Running} {
		t.Run(string(state), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rows, ahead := mem.New(), time.Now().AddDate(4, 0, 0)
				was := row{Argument: []byte(`{"steps":2}`), State: state, Created: ahead, Started: ahead, Updated: ahead, Attempts: 1}
				if state == Queued {
					was.NotBefore = ahead.Add(time.Minute)
				} else {
					was.Lease = &lease{"a process that has ended", ahead.Add(time.Minute)}
				}
				value, err := was.encode()
				if err != nil {
					t.Fatal(err)
				}
				var b meta.Batch
				b.Put(rowKey(chore{}.Kind(), "a"), value)
				if _, err := rows.Commit(t.Context(), &b); err != nil {
					t.Fatal(err)
				}
				n := startNodeWith(t, rows, &worker{}, Limits{}, Config{Sole: true})
				if s := n.over(t, "a"); s.State != Done {
					t.Errorf("%+v", s)
				}
				wantSteps(t, n.worker, upTo(2))
			})
		})
	}
}

func TestUnknownJobs(t *testing.T) {
	r := New(mem.New(), Config{})
	if _, err := r.Submit(t.Context(), "a", chore{}); !errors.Is(err, Unregistered) {
		t.Errorf("%v", err)
	}
	if _, err := r.Cancel(t.Context(), "test.chore", "a"); !errors.Is(err, NoSuchJob) {
		t.Errorf("%v", err)
	}
}

// cutStore is one node's way to the store, which can break.
type cutStore struct {
	meta.Store
	mu     sync.Mutex
	budget int // commits until it breaks; below 0 it never does
	lost   bool
}

func (s *cutStore) Commit(ctx context.Context, b *meta.Batch) (uint64, error) {
	s.mu.Lock()
	left, lost := s.budget, s.lost
	if s.budget > 0 {
		s.budget--
	}
	s.mu.Unlock()
	down := fault.New(meta.Unavailable, "")
	if left == 0 {
		return 0, down
	}
	ver, err := s.Store.Commit(ctx, b)
	if err == nil && left == 1 && lost { // applied, and the answer is lost
		return 0, down
	}
	return ver, err
}

func TestTakingOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows := mem.New()
		way := &cutStore{Store: rows, budget: -1}
		first := startNode(t, way, &worker{slow: 10 * time.Second, deaf: true}, Limits{})
		first.submit(t, "a", 20)
		time.Sleep(25 * time.Second)
		way.mu.Lock()
		way.budget = 0 // it goes on and cannot say so
		way.mu.Unlock()
		second := startNode(t, rows, &worker{}, Limits{})
		time.Sleep(20 * time.Second)
		if got := second.worker.steps(); len(got) != 0 {
			t.Errorf("a lease was taken while it lasted: steps %v", got)
		}
		if s := second.over(t, "a"); s.State != Done {
			t.Errorf("%+v", s)
		}
		wantSteps(t, second.worker, upTo(20)[2:]) // from the cursor that was saved
		way.mu.Lock()
		way.budget = -1
		way.mu.Unlock()
		first.stop()
		if s := second.get(t, "a"); s.State != Done || s.Done != 20 {
			t.Errorf("the one who lost the lease wrote: %+v", s)
		}
	})
}

// TestCrashBetweenAnyTwoSteps breaks a node off at each of its commits; another ends
// the job, and no step is skipped.
func TestCrashBetweenAnyTwoSteps(t *testing.T) {
	for _, lost := range []bool{false, true} {
		for budget := 1; budget <= 9; budget++ {
			t.Run(fmt.Sprintf("%d/lost=%t", budget, lost), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					rows := mem.New()
					healthy := New(rows, Config{})
					Register(healthy, &worker{}, Limits{})
					if _, err := healthy.Submit(t.Context(), "a", chore{5}); err != nil {
						t.Fatal(err)
					}
					broken := startNode(t, &cutStore{Store: rows, budget: budget, lost: lost}, &worker{slow: time.Second}, Limits{})
					time.Sleep(30 * time.Second)
					broken.stop()
					second := startNode(t, rows, &worker{}, Limits{})
					if s := second.over(t, "a"); s.State != Done || s.Done != 5 {
						t.Errorf("%+v", s)
					}
					all := append(broken.worker.steps(), second.worker.steps()...)
					for step := range 5 {
						if !slices.Contains(all, step) {
							t.Errorf("step %d was skipped: %v, %v", step, broken.worker.steps(), second.worker.steps())
						}
					}
				})
			})
		}
	}
}

func TestShutdownGivesTheLeaseBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows := mem.New()
		first := startNode(t, rows, &worker{slow: time.Second}, Limits{Attempts: 1})
		first.submit(t, "a", 10)
		time.Sleep(3500 * time.Millisecond)
		first.stop()
		if s := first.get(t, "a"); s.State != Queued || s.Attempts != 0 {
			t.Errorf("%+v", s)
		}
		begun := time.Now()
		second := startNode(t, rows, &worker{}, Limits{Attempts: 1})
		second.over(t, "a")
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("taken up after %v: the lease was not given back", took)
		}
	})
}

// Who is alone does not wait for the lease of a process that was killed, and keeps his own.
func TestLeaseOfAProcessThatWasKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows := mem.New()
		killed := startNode(t, &cutStore{Store: rows, budget: 3}, &worker{slow: time.Second}, Limits{})
		killed.submit(t, "a", 5)
		time.Sleep(4 * time.Second)
		sole := startNodeWith(t, rows, &worker{slow: 10 * time.Second}, Limits{}, Config{Sole: true})
		begun := time.Now()
		if s := sole.over(t, "a"); s.State != Done || s.Done != 5 || time.Since(begun) > 55*time.Second {
			t.Errorf("%+v after %v", s, time.Since(begun))
		}
		if steps := sole.worker.steps(); len(steps) > 5 || !slices.IsSorted(steps) {
			t.Errorf("begun more than once: %v", steps)
		}
	})
}

func TestCancelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows := mem.New()
		first := startNode(t, rows, &worker{slow: time.Second}, Limits{})
		first.submit(t, "a", 1000)
		time.Sleep(10 * time.Second)
		// By another node, that only shares the rows.
		other := New(rows, Config{})
		if s, err := other.Cancel(t.Context(), chore{}.Kind(), "a"); err != nil || s.State != Running {
			t.Errorf("%+v, %v", s, err)
		}
		begun := time.Now()
		if s := first.over(t, "a"); s.State != Cancelled || time.Since(begun) > time.Minute/3+time.Second {
			t.Errorf("%+v after %v", s, time.Since(begun))
		}
		if n := len(first.worker.steps()); n > 35 {
			t.Errorf("%d steps of a cancelled job", n)
		}
		// On its own node it is at once.
		first.submit(t, "b", 1000)
		time.Sleep(5 * time.Second)
		if _, err := first.Cancel(t.Context(), chore{}.Kind(), "b"); err != nil {
			t.Fatal(err)
		}
		begun = time.Now()
		if s := first.over(t, "b"); s.State != Cancelled || time.Since(begun) > 2*time.Second {
			t.Errorf("%+v after %v", s, time.Since(begun))
		}
		// One that nobody works on just ends.
		first.stop()
		first.submit(t, "c", 1)
		if s, err := other.Cancel(t.Context(), chore{}.Kind(), "c"); err != nil || s.State != Cancelled {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := errors.New("no luck")
		var times []time.Time
		w := &worker{}
		w.fail = func(step int) error {
			times = append(times, time.Now())
			if step == 2 {
				return bad
			}
			return nil
		}
		n := startNode(t, mem.New(), w, Limits{Attempts: 4, Backoff: time.Minute})
		n.submit(t, "a", 5)
		s := n.over(t, "a")
		if s.State != Failed || s.Error != "no luck" {
			t.Errorf("%+v", s)
		}
		// Four attempts at the step that fails: progress before it starts the count anew.
		wantSteps(t, w, []int{0, 1, 2, 2, 2, 2})
		for i, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
			if got := times[i+3].Sub(times[i+2]); got < pause || got > pause+10*time.Second {
				t.Errorf("pause %d was %v, want %v", i, got, pause)
			}
		}
	})
}

func TestThrottleAndConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &worker{units: 10}
		n := startNode(t, mem.New(), w, Limits{Rate: 5, Burst: 10})
		begun := time.Now()
		for i := range 3 {
			n.submit(t, fmt.Sprint(i), 10)
		}
		time.Sleep(time.Second)
		running := 0
		for i := range 3 {
			if n.get(t, fmt.Sprint(i)).State == Running {
				running++
			}
		}
		if running != 2 {
			t.Errorf("%d jobs at a time, want 2", running)
		}
		for i := range 3 {
			n.over(t, fmt.Sprint(i))
		}
		// 300 units at 5 a second, of which 10 were there.
		if took := time.Since(begun); took < 57*time.Second || took > 70*time.Second {
			t.Errorf("took %v, want about 58 s", took)
		}
	})
}
