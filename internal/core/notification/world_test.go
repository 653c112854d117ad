// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/link/event"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

const account = "000000000001"

var alice = iam.Caller{
	Principal: iam.Principal{Type: iam.IAMUser, Account: account, ARN: "arn:aws:iam::" + account + ":user/alice", PrincipalID: "AIDAALICE"},
	RequestID: "REQ", HostID: "HOST", SourceIP: "192.0.2.1",
}

// journal is a log that is read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// world is buckets, their notifications and targets; it can be started again.
type world struct {
	t       *testing.T
	rows    meta.Store
	buckets *bucket.Buckets
	log     journal
	cfg     Config
	targets []Target

	service *Service
	metrics *prometheus.Registry
	stop    func()
}

func newWorld(t *testing.T, targets ...event.Target) *world {
	t.Helper()
	w := &world{t: t, rows: mem.New()}
	for _, to := range targets {
		w.targets = append(w.targets, Target{Target: to, Accounts: []string{account}})
	}
	w.buckets = bucket.New(w.rows, bucket.Config{Region: "us-east-1", CanonicalID: func(a string) string { return a }})
	w.create("photos", account)
	w.start()
	return w
}

func (w *world) create(name, owner string) {
	w.t.Helper()
	by := alice
	by.Account = owner
	if _, err := w.buckets.Create(w.t.Context(), by, bucket.Create{Bucket: name}); err != nil {
		w.t.Fatal(err)
	}
}

// start begins a process over the rows.
func (w *world) start() {
	w.t.Helper()
	w.metrics = prometheus.NewRegistry()
	w.cfg.Metrics, w.cfg.Log = w.metrics, slog.New(slog.NewTextHandler(&w.log, nil))
	var err error
	if w.service, err = Open(w.t.Context(), w.buckets, w.rows, w.targets, w.cfg); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	service := w.service
	go func() { defer close(ended); service.Run(ctx) }()
	w.stop = func() { cancel(); <-ended }
}

func arn(name string) string { return "arn:aws:sqs:us-east-1:" + account + ":" + name }

// rule tells a queue of events of keys that begin with a prefix.
func rule(to, prefix string, events ...string) bucket.NotificationRule {
	r := bucket.NotificationRule{ID: "to-" + to, Kind: bucket.Queue, ARN: arn(to), Events: events}
	if prefix != "" {
		r.Filter = []bucket.FilterRule{{Name: "prefix", Value: prefix}}
	}
	return r
}

// put sets the configuration of photos, without test events.
func (w *world) put(rules ...bucket.NotificationRule) {
	w.t.Helper()
	in := bucket.PutNotification{Ref: bucket.Ref{Bucket: "photos"}, Notifications: bucket.Notifications{Rules: rules}, SkipValidation: true}
	if _, err := w.service.PutNotification(w.t.Context(), alice, in); err != nil {
		w.t.Fatal(err)
	}
}

// changeOf is a change of an object in photos.
func (w *world) changeOf(ev object.Event, key string) object.Change {
	w.t.Helper()
	b, err := w.buckets.Find(w.t.Context(), bucket.Ref{Bucket: "photos"})
	if err != nil {
		w.t.Fatal(err)
	}
	return object.Change{Event: ev, By: alice, Bucket: b, Key: key, ETag: "e", Size: 7, Time: time.Now()}
}

// change commits a change as package object does.
func (w *world) change(ev object.Event, key string) {
	w.t.Helper()
	var batch meta.Batch
	batch.Put([]byte("made/"+key), []byte("1"))
	committed, err := w.service.Queue(w.t.Context(), &batch, w.changeOf(ev, key))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.rows.Commit(w.t.Context(), &batch); err != nil {
		w.t.Fatal(err)
	}
	if committed != nil {
		committed()
	}
}

// keys returns the keys of the records in messages, in their order, and the kinds of those that
// are no records.
func keys(t *testing.T, messages []event.Message) (out []string) {
	t.Helper()
	for _, m := range messages {
		var doc struct {
			Event   string
			Records []record
		}
		if err := json.Unmarshal(m.Body, &doc); err != nil {
			t.Fatalf("%s: %v", m.Body, err)
		}
		if doc.Event != "" {
			out = append(out, doc.Event)
		}
		for _, r := range doc.Records {
			out = append(out, r.S3.Object.Key)
		}
	}
	return out
}

// metric returns a metric of a target; labels are the values of others that it has.
func (w *world) metric(name string, labels ...string) (value float64) {
	w.t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "coffer_notification_"+name {
			continue
		}
	metrics:
		for _, m := range f.Metric {
			for _, l := range labels {
				found := false
				for _, have := range m.Label {
					found = found || have.GetValue() == l
				}
				if !found {
					continue metrics
				}
			}
			value += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return value
}

// rowsLeft returns how many rows wait.
func (w *world) rowsLeft() (n int) {
	w.t.Helper()
	err := each(w.t.Context(), w.rows, []byte(queueRows), true, func(meta.Item) error { n++; return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) logged(text string) {
	w.t.Helper()
	if !strings.Contains(w.log.String(), text) {
		w.t.Errorf("not in the log: %s\n%s", text, &w.log)
	}
}
