// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// planned is a task of photos for copies, but for what edit changes.
func (w *world) planned(edit func(*task)) {
	w.t.Helper()
	r := rule1("r", "copies", 1)
	t := newTask(&object.ReplicaChange{
		Operation: object.OpPut, Bucket: w.bucket("photos"), Key: "k", VersionID: "v", Size: 7, Algorithm: "AES256", Time: time.Now(),
	}, &r)
	edit(&t)
	row, err := t.encode()
	w.must(nil, err)
	var batch meta.Batch
	batch.Put(taskKey(time.Now(), w.clock.Next()), row)
	w.must(w.rows.Commit(w.t.Context(), &batch))
	w.metrics.queued(&t)
}

// A key of which there is more to replicate than is kept in memory does not hold up others.
func TestKeyWithManyTasksHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.maxReady = 256
		w.rules(rule1("r", "copies", 1))
		w.wait = func(in object.Replicate) {
			if in.Key == "slow" {
				time.Sleep(time.Hour)
			}
		}
		for i := range w.maxReady + 100 {
			w.planned(func(t *task) { t.Key, t.VersionID = []byte("slow"), fmt.Sprint(i) })
		}
		w.put("other")
		w.run()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := w.state("other", "copies"); got != "COMPLETED" {
			t.Errorf("the other is %q while the first is carried out", got)
		}
	})
}

// Buckets that have nothing to do with each other do not wait for one another because their
// objects have the same names.
func TestSameKeyOfOtherBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, name := range []string{"strangers", "strange-copies"} {
			w.must(w.Buckets.Create(t.Context(), w.owner, bucket.Create{Bucket: name}))
			w.must(w.Buckets.PutVersioning(t.Context(), w.owner, bucket.PutVersioning{Ref: bucket.Ref{Bucket: name}, Status: bucket.Enabled}))
		}
		w.rules(rule1("r", "copies", 1))
		w.must(w.Buckets.PutReplication(t.Context(), w.owner, bucket.PutReplication{
			Ref: bucket.Ref{Bucket: "strangers"}, Replication: &bucket.Replication{Role: roleARN, Rules: []rule{rule1("r", "strange-copies", 1)}},
		}))
		w.trustAll = true
		w.wait = func(in object.Replicate) {
			if in.Destination == "copies" {
				time.Sleep(time.Hour)
			}
		}
		w.put("index.html")
		w.run()
		synctest.Wait()
		strangers := w.bucket("strangers")
		w.planned(func(t *task) {
			t.Bucket, t.UID, t.Destination, t.Key = strangers.Name, [16]byte(strangers.UID), "strange-copies", []byte("index.html")
		})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := w.state("index.html", "strange-copies"); got != "COMPLETED" {
			t.Errorf("the stranger's is %q", got)
		}
	})
}

// A bucket whose configuration cannot be read does not hold up others.
func TestConfigurationThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.maxReady = 256
		w.rules(rule1("r", "copies", 1))
		w.must(w.Buckets.Create(t.Context(), w.owner, bucket.Create{Bucket: "broken"}))
		w.must(w.Buckets.PutVersioning(t.Context(), w.owner, bucket.PutVersioning{Ref: bucket.Ref{Bucket: "broken"}, Status: bucket.Enabled}))
		w.must(w.Buckets.PutReplication(t.Context(), w.owner, bucket.PutReplication{
			Ref: bucket.Ref{Bucket: "broken"}, Replication: &bucket.Replication{Role: roleARN, Rules: []rule{rule1("r", "copies", 1)}},
		}))
		b := w.bucket("broken")
		page, err := w.rows.Scan(t.Context(), meta.Range{Start: append([]byte("bd/"), b.UID[:]...), End: meta.PrefixEnd(append([]byte("bd/"), b.UID[:]...))})
		w.must(nil, err)
		if len(page.Items) != 1 {
			t.Fatalf("%d documents", len(page.Items))
		}
		var batch meta.Batch
		batch.Put(page.Items[0].Key, []byte("no JSON"))
		w.must(w.rows.Commit(t.Context(), &batch))
		w.Service = w.open(bucket.New(w.rows, bucket.Config{Region: "us-east-1", CanonicalID: func(a string) string { return a }}))
		w.planned(func(t *task) { t.Bucket, t.UID, t.Key = b.Name, [16]byte(b.UID), []byte("bad") })
		w.put("good")
		w.run()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := w.state("good", "copies"); got != "COMPLETED" {
			t.Errorf("the good one is %q", got)
		}
	})
}

// Versions of which cannot be noted what became of them are put off like any that fail, and do
// not keep the workers from others.
func TestOutcomesThatCannotBeNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.maxReady = 256
		w.rules(rule1("r", "copies", 1))
		w.unnoted = func(key string) error {
			if key != "good" {
				return errors.New("the record is damaged")
			}
			return nil
		}
		for i := range 40 {
			w.put(fmt.Sprint("bad", i))
		}
		w.run()
		time.Sleep(time.Hour)
		synctest.Wait()
		made := len(w.made)
		w.put("good")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := w.state("good", "copies"); got != "COMPLETED" || made > 40*40 {
			t.Errorf("the good one is %q; %d were made", got, made)
		}
	})
}

// A bucket of which there is very much to replicate, slowly, shares the workers with others.
func TestBacklogOfABucketHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.maxReady = 256
		w.rules(rule1("r", "copies", 1))
		for _, name := range []string{"strangers", "strange-copies"} {
			w.must(w.Buckets.Create(t.Context(), w.owner, bucket.Create{Bucket: name}))
			w.must(w.Buckets.PutVersioning(t.Context(), w.owner, bucket.PutVersioning{Ref: bucket.Ref{Bucket: name}, Status: bucket.Enabled}))
		}
		w.must(w.Buckets.PutReplication(t.Context(), w.owner, bucket.PutReplication{
			Ref: bucket.Ref{Bucket: "strangers"}, Replication: &bucket.Replication{Role: roleARN, Rules: []rule{rule1("r", "strange-copies", 1)}},
		}))
		w.trustAll = true
		w.wait = func(in object.Replicate) {
			if in.Destination == "strange-copies" {
				time.Sleep(time.Minute)
			}
		}
		strangers := w.bucket("strangers")
		for i := range w.maxReady + 100 {
			w.planned(func(t *task) {
				t.Bucket, t.UID, t.Destination, t.Key = strangers.Name, [16]byte(strangers.UID), "strange-copies", []byte(fmt.Sprint(i))
			})
		}
		w.run()
		synctest.Wait()
		for i := range 10 {
			w.put(fmt.Sprint("own", i))
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		for i := range 10 {
			if got := w.state(fmt.Sprint("own", i), "copies"); got != "COMPLETED" {
				t.Errorf("own%d is %q", i, got)
			}
		}
		if w.most != 4 || w.twice {
			t.Errorf("%d at the same time, two of one key: %t", w.most, w.twice)
		}
	})
}

// However much is due, and of how few buckets or objects, what is in memory is bounded.
func TestTasksInMemoryAreBounded(t *testing.T) {
	w := newWorld(t)
	w.maxReady = 256
	for _, c := range []struct{ buckets, keys, most int }{{1, 10000, 128}, {1, 1, 32}, {10, 1000, 512}, {1000, 10000, 8 * 1000}} {
		q := newQueue(w.Service)
		for i := range 10000 {
			one := &queued{row: fmt.Append(nil, i), task: task{Bucket: fmt.Sprint(i % c.buckets), Destination: "copies", Key: []byte(fmt.Sprint(i % c.keys))}}
			if later := q.join(one); !later.IsZero() && time.Until(later) > maxWait {
				t.Fatalf("put off until %s", later)
			}
		}
		if n := len(q.known); n > c.most || n < c.most/4 {
			t.Errorf("%d buckets, %d keys: %d tasks in memory", c.buckets, c.keys, n)
		}
	}
}

// What was noted although the commit seemed to fail is not done again.
func TestOutcomesThatWereNotedUnknowingly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1))
		w.unsure = true
		w.put("a")
		w.run()
		time.Sleep(time.Hour)
		synctest.Wait()
		if w.tasks() != 0 || len(w.made) != 1 {
			t.Errorf("%d tasks, made %q", w.tasks(), w.made)
		}
	})
}
