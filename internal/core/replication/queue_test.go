// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/store/meta"
)

var errBusy = errors.New("busy")

func TestTasksAreCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1), rule1("s", "others", 2))
		w.put("before")
		w.run()
		w.put("after", "again")
		synctest.Wait()
		want := []string{"after to copies", "after to others", "again to copies", "again to others", "before to copies", "before to others"}
		if got := slices.Sorted(slices.Values(w.made)); !slices.Equal(got, want) {
			t.Errorf("made %q", got)
		}
		if n := w.tasks(); n != 0 || w.state("after", "copies") != "COMPLETED" {
			t.Errorf("%d tasks are left, the state is %q", n, w.state("after", "copies"))
		}
		if w.last.SourceUID != w.bucket("photos").UID || w.last.VersionID != "v" || w.by.RoleARN != roleARN || !w.by.Replicates {
			t.Errorf("asked for %+v by %+v", w.last, w.by)
		}
	})
}

// Many tasks are carried out together, but no two of one key.
func TestTasksOfAKeyFollowOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1), rule1("s", "others", 2))
		w.wait = func(object.Replicate) { time.Sleep(time.Second) }
		for range 3 {
			w.put("one")
		}
		for i := range 300 {
			w.put(fmt.Sprint("key-", i))
		}
		w.run()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(w.made) != 606 || w.twice || w.most != 4 {
			t.Errorf("%d were made, %d at the same time, two of one key: %t", len(w.made), w.most, w.twice)
		}
	})
}

// What fails for a cause that may not last is tried again and again, after longer and longer.
func TestTriesThatFailAreRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1))
		var tries atomic.Int32
		var until atomic.Bool
		w.fails = func(string) error {
			tries.Add(1)
			if until.Load() {
				return nil
			}
			return errBusy
		}
		w.put("a")
		w.run()
		time.Sleep(time.Hour)
		synctest.Wait()
		// Some eight within the first minutes, then one each two and a half to five minutes.
		if n := tries.Load(); n < 15 || n > 40 || w.tasks() != 1 || w.state("a", "copies") != "" {
			t.Errorf("%d tries in an hour; %d tasks, state %q", n, w.tasks(), w.state("a", "copies"))
		}
		until.Store(true)
		time.Sleep(maxWait)
		synctest.Wait()
		if w.tasks() != 0 || w.state("a", "copies") != "COMPLETED" {
			t.Errorf("%d tasks, state %q", w.tasks(), w.state("a", "copies"))
		}
	})
}

func TestFailuresAreFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1), rule1("s", "others", 2))
		w.fails = func(string) error {
			if w.last.Destination == "others" {
				return nil
			}
			return &object.ReplicaError{Reason: "DstKmsKeyNotFound", Err: errBusy}
		}
		w.wait = func(object.Replicate) { time.Sleep(time.Second) }
		w.put("a")
		w.run()
		time.Sleep(time.Hour)
		synctest.Wait()
		if w.tasks() != 0 || w.state("a", "copies") != "FAILED" || w.state("a", "others") != "COMPLETED" {
			t.Errorf("%d tasks, states %q and %q", w.tasks(), w.state("a", "copies"), w.state("a", "others"))
		}
	})
}

func TestRulesThatAreDisabledPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1))
		for i := range 600 {
			w.put(fmt.Sprint("key-", i))
		}
		w.rules(rule1("r", "copies", 1, disabled))
		w.run()
		time.Sleep(time.Hour)
		synctest.Wait()
		if w.tasks() != 600 || len(w.made) != 0 {
			t.Errorf("%d tasks wait, %d were carried out", w.tasks(), len(w.made))
		}
		w.rules(rule1("r", "copies", 1))
		time.Sleep(maxWait)
		synctest.Wait()
		if w.tasks() != 0 || len(w.made) != 600 {
			t.Errorf("%d tasks wait, %d were carried out", w.tasks(), len(w.made))
		}
	})
}

func TestWhatHasNoRuleIsDropped(t *testing.T) {
	for what, change := range map[string]func(w *world){
		"the configuration": func(w *world) {
			w.must(w.Buckets.DeleteReplication(w.t.Context(), w.owner, bucket.DeleteReplication{Ref: bucket.Ref{Bucket: "photos"}}))
		},
		"the rule":    func(w *world) { w.rules(rule1("r", "others", 1)) },
		"the version": func(w *world) { w.gone = true },
		"the bucket": func(w *world) {
			w.must(w.Buckets.Delete(w.t.Context(), w.owner, bucket.Delete{Ref: bucket.Ref{Bucket: "photos"}}))
		},
		"the bucket, and another has its name": func(w *world) {
			w.must(w.Buckets.Delete(w.t.Context(), w.owner, bucket.Delete{Ref: bucket.Ref{Bucket: "photos"}}))
			w.must(w.Buckets.Create(w.t.Context(), w.owner, bucket.Create{Bucket: "photos"}))
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.rules(rule1("r", "copies", 1))
			w.put("a")
			change(w)
			w.run()
			synctest.Wait()
			if w.tasks() != 0 || len(w.made) != 0 || w.state("a", "copies") != "" {
				t.Errorf("%s: %d tasks, made %q, state %q", what, w.tasks(), w.made, w.state("a", "copies"))
			}
		})
	}
}

// A server that stops in the middle has lost nothing: the next one does it again.
func TestWhatIsBrokenOffIsDoneAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1))
		w.wait = func(object.Replicate) { time.Sleep(time.Second) }
		w.put("a", "b", "c", "d", "e", "f")
		stop := w.run()
		time.Sleep(1500 * time.Millisecond)
		stop()
		if w.tasks() != 2 || len(w.made) != 4 {
			t.Fatalf("%d tasks, made %q", w.tasks(), w.made)
		}
		w.Service = w.open(w.Buckets)
		w.run()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if w.tasks() != 0 || len(w.made) != 6 {
			t.Errorf("%d tasks, made %q", w.tasks(), w.made)
		}
	})
}

// Who sets the clock back by a year does not wait for a year.
func TestClockThatIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1))
		w.put("a")
		page, err := w.rows.Scan(t.Context(), meta.Range{Start: []byte(taskRows), End: meta.PrefixEnd([]byte(taskRows))})
		w.must(nil, err)
		year := time.Now().Add(365 * 24 * time.Hour)
		var batch meta.Batch
		batch.Delete(page.Items[0].Key)
		batch.Put(taskKey(year, uint64(year.UnixNano())), page.Items[0].Value)
		w.must(w.rows.Commit(t.Context(), &batch))
		w.Service = w.open(w.Buckets)
		if next := w.clock.Next(); next <= uint64(year.UnixNano()) {
			t.Error("a place that was given is given again")
		}
		w.run()
		synctest.Wait()
		if w.tasks() != 0 || w.state("a", "copies") != "COMPLETED" {
			t.Errorf("%d tasks, state %q", w.tasks(), w.state("a", "copies"))
		}
	})
}

// Rows that are none of a task hold up nothing.
func TestRowsThatAreNoTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1))
		var batch meta.Batch
		batch.Put(taskKey(time.Now(), 1), []byte("{}"))
		batch.Put(taskKey(time.Now(), 2), []byte("no JSON"))
		w.must(w.rows.Commit(t.Context(), &batch))
		w.put("a")
		w.run()
		synctest.Wait()
		if w.tasks() != 0 || w.state("a", "copies") != "COMPLETED" {
			t.Errorf("%d tasks, state %q", w.tasks(), w.state("a", "copies"))
		}
	})
}

// Rows that the store does not vouch for hold up neither others nor a start.
func TestForgedRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1))
		w.put("a")
		var batch meta.Batch
		batch.Put(taskKey(time.Now(), 1), []byte("{}"))
		w.must(w.below.Commit(t.Context(), &batch))
		w.put("b")
		w.Service = w.open(w.Buckets)
		if o := w.metrics.pairs[pair{"photos", "copies"}]; o == nil || o.tasks != 2 {
			t.Errorf("%+v is to be replicated", o)
		}
		w.run()
		synctest.Wait()
		if w.tasks() != 0 || w.state("a", "copies") != "COMPLETED" || w.state("b", "copies") != "COMPLETED" || testutil.ToFloat64(w.metrics.broken) != 1 {
			t.Errorf("%d tasks, states %q, %q", w.tasks(), w.state("a", "copies"), w.state("b", "copies"))
		}
	})
}
