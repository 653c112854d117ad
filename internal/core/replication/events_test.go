// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// failuresOf returns how many failures were counted for a reason.
func failuresOf(t *testing.T, w *world, reason string) float64 {
	t.Helper()
	return testutil.ToFloat64(w.metrics.failures.WithLabelValues("photos", "copies", reason))
}

func measured(r *rule) { r.Destination.Metrics = &bucket.ReplicationTime{Status: enabled} }
func timed(r *rule) {
	m := 15
	r.Destination.Time = &bucket.ReplicationTime{Status: enabled, Minutes: &m}
	r.Destination.Metrics = &bucket.ReplicationTime{Status: enabled, Minutes: &m}
}

// listens makes the source one with notifications.
func (w *world) listens() {
	w.t.Helper()
	w.must(nil, w.Buckets.PutNotification(w.t.Context(), bucket.PutNotification{
		Ref: bucket.Ref{Bucket: "photos"}, Notifications: bucket.Notifications{EventBridge: true},
	}, func(*bucket.Bucket) error { return nil }, func(*bucket.Bucket, *meta.Batch) error { return nil }))
}

func TestEvents(t *testing.T) {
	for _, c := range []struct {
		what  string
		rule  func(*rule)
		after time.Duration // it succeeds; 0: it fails at once
		want  []object.Event
	}{
		{"fails, not measured", func(*rule) {}, 0, nil},
		{"fails", measured, 0, []object.Event{object.ReplicationFailed}},
		{"at once", timed, time.Nanosecond, nil},
		{"late, without a time", measured, time.Hour, nil},
		{"within its time", timed, 10 * time.Minute, nil},
		{"late", timed, time.Hour, []object.Event{object.ReplicationMissed, object.ReplicationLate}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.rules(rule1("r", "copies", 1, c.rule))
			w.listens()
			begun := time.Now()
			w.fails = func(string) error {
				switch {
				case c.after == 0:
					return failure(dstPutObjectNotPermitted, nil)
				case time.Since(begun) < c.after-time.Nanosecond:
					return errBusy
				}
				return nil
			}
			w.put("a")
			w.run()
			time.Sleep(threshold + time.Second)
			synctest.Wait()
			if got := w.told(); len(c.want) > 0 && !slices.Equal(got, c.want[:1]) {
				t.Errorf("%s: after %v %v", c.what, threshold, got)
			}
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			if got := w.told(); !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", c.what, got, c.want)
			}
			for _, e := range w.changes {
				f := e.Replication
				if e.Bucket.Name != "photos" || e.Key != "a" || e.VersionID != "v" || e.ETag != "e" || e.Size != 7 || f.Rule != "r" || f.Destination != "arn:aws:s3:::copies" ||
					f.Operation != object.OpPut || !f.Requested.Equal(begun.Truncate(time.Millisecond)) {
					t.Errorf("%s: %+v of %+v", c.what, e, f)
				}
				if wrong := (f.Reason == dstPutObjectNotPermitted) != (e.Event == object.ReplicationFailed) || (f.Threshold == threshold) == (e.Event == object.ReplicationFailed) ||
					f.Replicated.IsZero() == (e.Event == object.ReplicationLate); wrong {
					t.Errorf("%s: %s says %+v", c.what, e.Event, f)
				}
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1))
		w.fails = func(string) error { return errBusy }
		w.put("a", "b")
		w.change(object.OpTags, "a")
		stop := w.run()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		check := func(tasks, bytes int64) {
			t.Helper()
			if o := w.metrics.pairs[pair{"photos", "copies"}]; o == nil && tasks > 0 || o != nil && (o.tasks != tasks || o.bytes != bytes) {
				t.Errorf("waiting: %+v, want %d and %d bytes", o, tasks, bytes)
			}
		}
		check(3, 14)
		time.Sleep(lookEvery)
		synctest.Wait()
		if at := time.Unix(0, w.metrics.oldest.Load()); time.Since(at) < lookEvery || time.Since(at) > 2*lookEvery {
			t.Errorf("the oldest is of %v", at)
		}
		if testutil.ToFloat64(w.metrics.retries.WithLabelValues("photos", "copies")) < 3 {
			t.Error("tries are not counted")
		}
		stop()
		w.Service = w.open(w.Buckets)
		check(3, 14)
		w.fails = nil
		w.run()
		time.Sleep(maxWait)
		synctest.Wait()
		check(0, 0)
		if w.metrics.oldest.Load() != 0 {
			t.Error("there is an oldest operation, and there is none")
		}
		if n, b := testutil.ToFloat64(w.metrics.replicated.WithLabelValues("photos", "copies")), testutil.ToFloat64(w.metrics.bytes.WithLabelValues("photos", "copies")); n != 3 || b != 14 {
			t.Errorf("%v were replicated, %v bytes", n, b)
		}
	})
}

// Buckets that come and go do not fill the memory with their counters.
func TestCountersAreBounded(t *testing.T) {
	m := newMetrics(nil)
	end := func(i int, reason string) {
		one := &task{Bucket: "photos", Destination: fmt.Sprint(i), Operation: object.OpPut}
		m.queued(one)
		m.retried(one)
		m.ended(one, reason)
	}
	for i := range 3 * maxPairs {
		end(i, "")
		end(i, dstPutObjectNotPermitted)
	}
	for _, c := range []prometheus.Collector{m.replicated, m.bytes, m.failures, m.retries} {
		if n := testutil.CollectAndCount(c); n != maxPairs {
			t.Errorf("%d counters", n)
		}
	}
	// Those that have something to do keep theirs.
	for i := range maxPairs {
		one := &task{Bucket: "photos", Destination: fmt.Sprint(2*maxPairs + i), Operation: object.OpPut}
		m.queued(one)
		m.retried(one)
	}
	m.queued(&task{Bucket: "photos", Destination: "more", Operation: object.OpPut})
	end(0, "")
	if n := testutil.ToFloat64(m.replicated.WithLabelValues(others.source, others.destination)); n != 1 {
		t.Errorf("%v of the others were counted", n)
	}
	if n := testutil.CollectAndCount(m, "coffer_replication_pending_operations"); n != maxPairs+1 {
		t.Errorf("%d pairs have something to do", n)
	}
}

// Each replica has its records, and says by whom it was made.
func TestRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1))
		w.put("a")
		w.run()
		synctest.Wait()
		if got, want := w.recordedAs(), []string{"AssumeRole", "GetObject photos", "PutObject copies"}; !slices.Equal(got, want) {
			t.Fatalf("recorded %q, want %q", got, want)
		}
		for _, r := range w.records[1:] {
			if r.UserIdentity.ARN != "arn:aws:sts::"+home+":assumed-role/replication/s3-replication" || r.UserIdentity.InvokedBy != ServiceName || r.SourceIPAddress != ServiceName ||
				r.RequestParameters["versionId"] != "v" || r.RequestParameters["key"] != "a" || r.AdditionalEventData["SSEApplied"] != "SSE_S3" || r.RecipientAccountID != home {
				t.Errorf("recorded %+v", r)
			}
		}
		if read, write := w.records[1], w.records[2]; !read.ReadOnly || write.ReadOnly || read.AdditionalEventData["bytesTransferredOut"] != int64(7) || write.AdditionalEventData["bytesTransferredIn"] != int64(7) {
			t.Errorf("recorded %+v and %+v", read, write)
		}
	})
}

// A change that comes where the version is not yet makes it: that is what is recorded.
func TestRecordsOfReplicasThatChangesMake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1))
		w.change(object.OpTags, "a")
		w.run()
		synctest.Wait()
		if got, want := w.recordedAs(), []string{"AssumeRole", "GetObject photos", "PutObject copies"}; !slices.Equal(got, want) {
			t.Errorf("recorded %q, want %q", got, want)
		}
	})
}
