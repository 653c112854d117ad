// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/event"
	"github.com/cofferstore/coffer/internal/link/event/eventtest"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/authentic"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

// Events go to the target of the rule that wants them, in their order, at once.
func TestEventsAreDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := eventtest.NewFake("a", 10), eventtest.NewFake("b", 1)
		w := newWorld(t, a, b)
		defer func() { w.stop() }()
		w.put(rule("a", "in/", "s3:ObjectCreated:*"), rule("b", "", "s3:ObjectRemoved:Delete", "s3:ObjectTagging:*"))
		for i := range 25 {
			w.change(object.CreatedPut, fmt.Sprint("in/", i))
		}
		w.change(object.CreatedPut, "out/1")
		w.change(object.Hidden, "in/1")
		w.change(object.Removed, "in/2")
		w.change(object.TaggingDeleted, "out/3")
		synctest.Wait()
		var want []string
		for i := range 25 {
			want = append(want, fmt.Sprint("in/", i))
		}
		if got := keys(t, a.Came()); !slices.Equal(got, want) {
			t.Errorf("a got %q", got)
		}
		if got := keys(t, b.Came()); !slices.Equal(got, []string{"in/2", "out/3"}) || len(b.Came()) != 2 {
			t.Errorf("b got %q in %d messages", got, len(b.Came()))
		}
		if w.rowsLeft() != 0 || w.metric("waiting") != 0 || w.metric("lag_seconds") != 0 {
			t.Errorf("%d rows left, %v waiting, lag %v", w.rowsLeft(), w.metric("waiting"), w.metric("lag_seconds"))
		}
		if w.metric("queued_total", "a") != 25 || w.metric("delivered_total", "a") != 25 || w.metric("delivered_total", "b") != 2 {
			t.Error("events are counted wrongly")
		}
	})
}

// One rule that means a key as it is, and another one that means it as events have it, both get
// their events.
func TestBothFormsOfAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := eventtest.NewFake("a", 10), eventtest.NewFake("b", 10)
		w := newWorld(t, a, b)
		defer func() { w.stop() }()
		w.put(rule("a", "in put/", "s3:ObjectCreated:*"), rule("b", "in+put/", "s3:ObjectCreated:*"))
		w.change(object.CreatedPut, "in put/k")
		synctest.Wait()
		for _, to := range []*eventtest.Fake{a, b} {
			if got := keys(t, to.Came()); !slices.Equal(got, []string{"in+put/k"}) {
				t.Errorf("%s got %q", to.Name(), got)
			}
		}
	})
}

// A target that is down delays its own events, and nobody else's.
func TestTargetIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := eventtest.NewFake("a", 10), eventtest.NewFake("b", 10)
		w := newWorld(t, a, b)
		defer func() { w.stop() }()
		w.put(rule("a", "a/", "s3:ObjectCreated:*"), rule("b", "b/", "s3:ObjectCreated:*"))
		a.Down(true)
		var want []string
		for i := range 100 {
			key := fmt.Sprint("a/", i)
			want = append(want, key)
			begun := time.Now()
			w.change(object.CreatedPut, key)
			w.change(object.CreatedPut, fmt.Sprint("b/", i))
			if time.Since(begun) != 0 { // no time passes unless something waits
				t.Fatal("a change waited for a target")
			}
			time.Sleep(36 * time.Second)
		}
		if n := len(keys(t, b.Came())); n != 100 {
			t.Errorf("b got %d", n)
		}
		if lag := w.metric("lag_seconds", "a"); lag < 3590 || lag > 3700 {
			t.Errorf("lag %v", lag)
		}
		if n := w.metric("waiting", "a"); n != 100 {
			t.Errorf("%v wait", n)
		}
		if tries := a.Sends(); tries < 60 || tries > 140 { // doubling from a quarter of a second to a minute, with jitter
			t.Errorf("%d tries in an hour", tries)
		}
		a.Down(false)
		time.Sleep(time.Minute)
		if got := keys(t, a.Came()); !slices.Equal(got, want) {
			t.Errorf("a got %q", got)
		}
		w.logged("notification target takes events again")
		if w.metric("failures_total", "a") == 0 || w.metric("lag_seconds", "a") != 0 {
			t.Error("metrics do not tell")
		}
	})
}

// What a target took of what it was sent is not sent again.
func TestSomeAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := eventtest.NewFake("a", 1)
		w := newWorld(t, a)
		defer func() { w.stop() }()
		w.put(rule("a", "", "s3:ObjectCreated:*"))
		a.Answer(func(n int) (int, error) { return (n - 1) / 2, errors.New("reset") })
		var want []string
		for i := range 40 {
			want = append(want, fmt.Sprint(i))
			w.change(object.CreatedPut, fmt.Sprint(i))
		}
		time.Sleep(10 * time.Minute)
		a.Answer(nil)
		time.Sleep(2 * time.Minute)
		if got := keys(t, a.Came()); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}

// While a target takes nothing, it is sent one message at a time: what it might take behind
// that would come with each try.
func TestOneTriesForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := eventtest.NewFake("a", 1)
		w := newWorld(t, a)
		defer func() { w.stop() }()
		w.put(rule("a", "", "s3:ObjectCreated:*"))
		w.stop()
		for i := range 40 {
			w.change(object.CreatedPut, fmt.Sprint(i))
		}
		var sent []int
		a.Answer(func(n int) (int, error) {
			if sent = append(sent, n); len(sent) < 5 {
				return 0, errors.New("no leader of a partition")
			}
			return n, nil
		})
		w.start()
		time.Sleep(time.Minute)
		w.stop()
		if !slices.Equal(sent, []int{40, 1, 1, 1, 1, 39}) || w.rowsLeft() != 0 {
			t.Errorf("messages of each try: %d; %d left", sent, w.rowsLeft())
		}
	})
}

// A target that takes only small messages gets small ones.
func TestSmallerMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := eventtest.NewFake("a", 100)
		w := newWorld(t, a)
		defer func() { w.stop() }()
		w.put(rule("a", "", "s3:ObjectCreated:*"))
		large := true
		a.Answer(func(n int) (int, error) {
			if large = w.service.pumps["a"].most > 5; large {
				return 0, &event.Error{Refused: true, Err: errors.New("413")}
			}
			return n, nil
		})
		for i := range 200 {
			w.change(object.CreatedPut, fmt.Sprint(i))
		}
		time.Sleep(time.Hour)
		if got := keys(t, a.Came()); len(got) != 200 {
			t.Errorf("got %d", len(got))
		}
		w.logged("notification target refuses events")
	})
}

// What waits when a process ends is delivered by the next one, also behind a clock that was set
// back: events of a key keep their order.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := eventtest.NewFake("a", 10)
		w := newWorld(t, a)
		w.put(rule("a", "", "s3:ObjectCreated:*"))
		w.change(object.CreatedPut, "taken")
		synctest.Wait()
		a.Down(true)
		w.change(object.CreatedPut, "k")
		w.service.clock.AtLeast(uint64(time.Now().Add(time.Hour).UnixNano()))
		w.change(object.CreatedPut, "k2")
		w.stop()
		if w.rowsLeft() != 2 {
			t.Fatalf("%d rows wait", w.rowsLeft())
		}
		w.start()
		defer func() { w.stop() }()
		if n := w.metric("waiting"); n != 2 {
			t.Errorf("%v wait after the start", n)
		}
		w.change(object.CreatedPut, "k3")
		a.Down(false)
		time.Sleep(time.Minute)
		if got := keys(t, a.Came()); !slices.Equal(got, []string{"taken", "k", "k2", "k3"}) {
			t.Errorf("got %q", got)
		}
		var last string
		for _, m := range a.Came() {
			if id := m.ID[strings.Index(m.ID, "/"):]; id <= last {
				t.Errorf("sequence %s after %s", id, last)
			} else {
				last = id
			}
		}
		// Nothing is in the queue now: the clock is behind what was in it all the same.
		highest := w.service.clock.Last()
		w.stop()
		w.start()
		if w.service.clock.Next() <= highest {
			t.Error("the order of events begins again")
		}
	})
}

// A clock that was ahead and is set right again hides neither a lag nor what waits for too long.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := eventtest.NewFake("a", 10)
		w := newWorld(t, a)
		w.put(rule("a", "", "s3:ObjectCreated:*"))
		w.service.clock.AtLeast(uint64(time.Now().Add(365 * 24 * time.Hour).UnixNano()))
		a.Down(true)
		w.change(object.CreatedPut, "k")
		time.Sleep(time.Hour)
		if lag := w.metric("lag_seconds"); lag < 3500 || lag > 3700 {
			t.Errorf("lag %v after an hour", lag)
		}
		time.Sleep(73 * time.Hour)
		if n := w.metric("dropped_total", tooOld); n != 1 || w.rowsLeft() != 0 {
			t.Errorf("%v dropped, %d wait", n, w.rowsLeft())
		}
		w.change(object.CreatedPut, "k")
		w.stop()
		w.targets = nil
		w.start()
		defer func() { w.stop() }()
		if time.Sleep(71 * time.Hour); w.rowsLeft() != 1 {
			t.Error("gone too early")
		}
		if time.Sleep(2 * time.Hour); w.rowsLeft() != 0 {
			t.Error("waits for a target that is gone, for a year")
		}
	})
}

// What waits for too long is dropped, and so is the oldest where too much waits.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := eventtest.NewFake("a", 10)
		w := newWorld(t)
		w.stop()
		w.cfg.Limit, w.cfg.MaxAge = 10, time.Hour
		w.targets = []Target{{Target: a, Accounts: []string{Everybody}}}
		w.start()
		defer func() { w.stop() }()
		w.put(rule("a", "", "s3:ObjectCreated:*"))
		a.Down(true)
		for i := range 15 {
			w.change(object.CreatedPut, fmt.Sprint(i))
		}
		time.Sleep(5 * time.Minute)
		if n := w.rowsLeft(); n != 10 {
			t.Errorf("%d wait", n)
		}
		if n := w.metric("dropped_total", "a", tooMany); n != 5 {
			t.Errorf("%v dropped", n)
		}
		time.Sleep(50 * time.Minute)
		w.change(object.CreatedPut, "new")
		time.Sleep(10 * time.Minute)
		a.Down(false)
		time.Sleep(2 * time.Minute)
		if got := keys(t, a.Came()); !slices.Equal(got, []string{"new"}) {
			t.Errorf("got %q", got)
		}
		// The new one was one too many before the others were too old.
		if old, many := w.metric("dropped_total", "a", tooOld), w.metric("dropped_total", "a", tooMany); old != 9 || many != 6 {
			t.Errorf("%v were too old, %v too many", old, many)
		}
		w.logged("events are dropped and not delivered")
	})
}

// A target that leaves the configuration gets nothing more. What waits for it waits until it
// is back, or too old; a target that is back for other accounts does not get it.
func TestTargetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := eventtest.NewFake("a", 10)
		w := newWorld(t, a)
		w.put(rule("a", "", "s3:ObjectCreated:*"))
		a.Down(true)
		w.change(object.CreatedPut, "waits")
		w.stop()
		all := w.targets
		w.targets = nil
		w.start()
		w.logged("not in the configuration any more")
		w.change(object.CreatedPut, "lost")
		if n := w.metric("unrouted_total"); n != 1 {
			t.Errorf("%v unrouted", n)
		}
		w.stop()
		w.targets = all
		a.Down(false)
		w.start()
		time.Sleep(time.Second)
		if got := keys(t, a.Came()); !slices.Equal(got, []string{"waits"}) {
			t.Errorf("got %q", got)
		}
		a.Down(true)
		w.change(object.CreatedPut, "theirs")
		w.stop()
		a.Down(false)
		w.targets = []Target{{Target: a, Accounts: []string{"111122223333"}}}
		w.start()
		time.Sleep(time.Minute)
		if n := w.metric("dropped_total", "a", refused); n != 1 || len(a.Came()) != 1 {
			t.Errorf("%v dropped, came %q", n, keys(t, a.Came()))
		}
		w.stop()
		w.targets = all
		a.Down(true)
		w.start()
		w.change(object.CreatedPut, "old")
		w.stop()
		w.targets = nil
		w.start()
		time.Sleep(4 * 24 * time.Hour)
		if n := w.rowsLeft(); n != 0 {
			t.Errorf("%d wait for a target that is gone", n)
		}
		w.stop()
	})
}

// Rows that nobody can read do not hold up the others.
func TestDamagedRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := eventtest.NewFake("a", 10)
		w := newWorld(t, a)
		defer func() { w.stop() }()
		w.put(rule("a", "", "s3:ObjectCreated:*"))
		var batch meta.Batch
		batch.Put(queueKey("a", 1), []byte(`{"version":9}`))
		if _, err := w.rows.Commit(t.Context(), &batch); err != nil {
			t.Fatal(err)
		}
		w.change(object.CreatedPut, "k")
		time.Sleep(time.Second)
		if got := keys(t, a.Came()); !slices.Equal(got, []string{"k"}) || w.metric("dropped_total", broken) != 1 {
			t.Errorf("got %q", got)
		}
	})
}

// Rows that the store does not vouch for hold up neither others nor a start.
func TestForgedRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := eventtest.NewFake("a", 10)
		w := newWorld(t, a)
		w.stop()
		below := mem.New()
		w.rows = authentic.Wrap(below, authentic.Keys{Current: 1, Key: map[uint32]secret.Bytes{1: secret.Random(secret.Size)}})
		w.buckets = bucket.New(w.rows, bucket.Config{Region: "us-east-1", CanonicalID: func(a string) string { return a }})
		w.create("photos", account)
		w.start()
		w.put(rule("a", "", "s3:ObjectCreated:*"))
		a.Down(true)
		w.change(object.CreatedPut, "k1")
		w.stop()
		var batch meta.Batch
		batch.Put(queueKey("a", 1), []byte(`{}`))
		batch.Put(queueKey("a", uint64(time.Now().Add(time.Hour).UnixNano())), bytes.Repeat([]byte("x"), 100))
		batch.Put(clockKey("a"), bytes.Repeat([]byte("x"), 100))
		if _, err := below.Commit(t.Context(), &batch); err != nil {
			t.Fatal(err)
		}
		a.Down(false)
		w.start()
		defer func() { w.stop() }()
		w.change(object.CreatedPut, "k2")
		time.Sleep(time.Minute)
		if got := keys(t, a.Came()); !slices.Equal(got, []string{"k1", "k2"}) || w.metric("dropped_total", broken) != 2 || w.rowsLeft() != 0 {
			t.Errorf("got %q, %v are dropped, %d left", got, w.metric("dropped_total", broken), w.rowsLeft())
		}
		w.logged("the row that keeps the order of events is damaged")
	})
}

// Two targets with one name are a mistake.
func TestSameName(t *testing.T) {
	w := newWorld(t)
	w.stop()
	two := []Target{{Target: eventtest.NewFake("a", 1)}, {Target: eventtest.NewFake("a", 1)}}
	if _, err := Open(t.Context(), w.buckets, w.rows, two, Config{}); err == nil {
		t.Error("taken")
	}
}

func TestPutNotification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, f := eventtest.NewFake("a", 10), eventtest.NewFake("b", 10), eventtest.NewFake("f", 10)
		w := newWorld(t, a, b, f)
		defer func() { w.stop() }()
		const other = "111122223333"
		w.create("theirs", other)
		topic := bucket.NotificationRule{Kind: bucket.Topic, ARN: "arn:aws:sns:us-east-1:" + account + ":b", Events: []string{"s3:ObjectRemoved:*"}}
		function := bucket.NotificationRule{Kind: bucket.Function, ARN: "arn:aws:lambda:us-east-1:" + account + ":function:f:prod", Events: []string{"s3:ObjectAcl:Put"}}
		put := func(name string, skip bool, rules ...bucket.NotificationRule) error {
			in := bucket.PutNotification{Ref: bucket.Ref{Bucket: name}, Notifications: bucket.Notifications{Rules: rules}, SkipValidation: skip}
			_, err := w.service.PutNotification(t.Context(), alice, in)
			return err
		}
		if err := put("photos", false, rule("a", "", "s3:ObjectCreated:*"), topic, function); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, to := range []*eventtest.Fake{a, b} {
			if got := keys(t, to.Came()); !slices.Equal(got, []string{"s3:TestEvent"}) {
				t.Errorf("%s got %q", to.Name(), got)
			}
		}
		if n := len(f.Came()); n != 0 {
			t.Errorf("a function got %d test events", n)
		}
		w.change(object.ACLPut, "k")
		synctest.Wait()
		if got := keys(t, f.Came()); !slices.Equal(got, []string{"k"}) {
			t.Errorf("the function got %q", got)
		}

		missing, gone := rule("missing", "", "s3:ObjectCreated:*"), rule("gone", "", "s3:ObjectRemoved:*")
		err := put("photos", false, missing, gone)
		e, _ := fault.As(err)
		if !errors.Is(err, bucket.InvalidNotification) || fmt.Sprint(e.Details) != fmt.Sprint([]fault.Detail{
			{Name: "ArgumentName1", Value: missing.ARN}, {Name: "ArgumentValue1", Value: "The destination queue does not exist"},
			{Name: "ArgumentName2", Value: gone.ARN}, {Name: "ArgumentValue2", Value: "The destination queue does not exist"},
		}) {
			t.Errorf("got %v, %v", err, e)
		}
		function.ARN = strings.Replace(function.ARN, "f:prod", "x", 1)
		e, _ = fault.As(put("photos", false, function))
		if e == nil || e.Details[0].Value != function.ARN+", null" || e.Details[1].Value != "Not authorized to invoke function ["+function.ARN+"]" {
			t.Errorf("got %v", e)
		}
		// Of another account's bucket neither its own name for the target nor the target's serves.
		for _, of := range []string{account, other} {
			r := rule("a", "", "s3:ObjectCreated:*")
			r.ARN = strings.Replace(r.ARN, account, of, 1)
			if err := put("theirs", false, r); !errors.Is(err, bucket.InvalidNotification) {
				t.Errorf("target of %s: %v", of, err)
			}
		}
		if err := put("photos", true, missing); err != nil {
			t.Errorf("without validation: %v", err)
		}
		w.change(object.CreatedPut, "k")
		if w.metric("unrouted_total") != 1 {
			t.Error("an event for nobody is not counted")
		}
		if err := put("photos", false); err != nil {
			t.Error(err)
		}
		b2, _ := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "photos"})
		if b2.Has(bucket.NotificationDocument) {
			t.Error("an empty configuration does not turn notifications off")
		}
		if err := put("missing", false); !errors.Is(err, bucket.NoSuchBucket) {
			t.Errorf("no bucket: %v", err)
		}
	})
}
