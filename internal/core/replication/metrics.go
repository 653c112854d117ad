// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of replication, by source and destination. The counters of a pair go when it has
// nothing to do and others need the room.
type metrics struct {
	replicated, bytes, failures, retries, dropped *prometheus.CounterVec

	broken prometheus.Counter
	took   prometheus.Histogram
	oldest atomic.Int64 // when the oldest operation was queued that is open, in ns since 1970; 0: there is none

	mu    sync.Mutex
	pairs map[pair]*open
	named map[pair]time.Time // those that have counters, and since when nothing was counted
}

type pair struct{ source, destination string }

// maxPairs bounds the pairs that have counters of their own: buckets come and go, and a bucket may
// have a thousand destinations.
const maxPairs = 1000

// others stands for the pairs for which there is no room.
var others = pair{"(other)", "(other)"}

// open is what is to be replicated from one bucket to another.
type open struct{ tasks, bytes int64 }

// labels of what is counted for two buckets.
var labels = []string{"source", "destination"}

func newMetrics(r prometheus.Registerer) *metrics {
	vec := func(name, help string, more ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "coffer_replication_" + name, Help: help}, append(labels[:2:2], more...))
	}
	m := &metrics{
		replicated: vec("operations_total", "Versions, and changes of versions, that were replicated."),
		bytes:      vec("bytes_total", "Bytes of new versions that were replicated."),
		failures:   vec("failures_total", "Versions, and changes of versions, that failed for good, by S3's reason.", "reason"),
		retries:    vec("retries_total", "Tries that failed and are made again."),
		dropped:    vec("dropped_total", "Operations that are not replicated: the version, its rule or its bucket is gone."),
		broken:     prometheus.NewCounter(prometheus.CounterOpts{Name: "coffer_replication_damaged_total", Help: "Rows of operations that could not be read and were removed."}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "coffer_replication_duration_seconds", Help: "Time that one try of an operation takes.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}),
		pairs: map[pair]*open{}, named: map[pair]time.Time{},
	}
	if r != nil {
		r.MustRegister(m.replicated, m.bytes, m.failures, m.retries, m.dropped, m.broken, m.took, m)
	}
	return m
}

func (m *metrics) queued(t *task) { m.waiting(t, 1) }

// waiting counts a task that is queued, or is over.
func (m *metrics) waiting(t *task, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := pair{t.Bucket, t.Destination}
	o := m.pairs[p]
	if o == nil {
		o = new(open)
		m.pairs[p] = o
	}
	if t.anew() {
		o.bytes += n * t.Size
	}
	// A task may be over before whoever queued it has counted it.
	if o.tasks += n; o.tasks == 0 {
		delete(m.pairs, p)
	}
}

// of returns by what a task is counted.
func (m *metrics) of(t *task) pair {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := pair{t.Bucket, t.Destination}
	if _, ok := m.named[p]; !ok && len(m.named) >= maxPairs && !m.makeRoom() {
		return others
	}
	m.named[p] = time.Now()
	return p
}

// makeRoom removes the counters of the pair that has nothing to do for longest. mu is held.
func (m *metrics) makeRoom() bool {
	var idle pair
	for p, since := range m.named {
		if m.pairs[p] == nil && (idle == pair{} || since.Before(m.named[idle])) {
			idle = p
		}
	}
	if idle == (pair{}) {
		return false
	}
	delete(m.named, idle)
	of := prometheus.Labels{"source": idle.source, "destination": idle.destination}
	for _, c := range []*prometheus.CounterVec{m.replicated, m.bytes, m.failures, m.retries, m.dropped} {
		c.DeletePartialMatch(of)
	}
	return true
}

func (m *metrics) ended(t *task, reason string) {
	p := m.of(t)
	m.waiting(t, -1)
	if reason != "" {
		m.failures.WithLabelValues(p.source, p.destination, reason).Inc()
		return
	}
	m.replicated.WithLabelValues(p.source, p.destination).Inc()
	if t.anew() {
		m.bytes.WithLabelValues(p.source, p.destination).Add(float64(t.Size))
	}
}

func (m *metrics) forgotten(t *task) {
	p := m.of(t)
	m.waiting(t, -1)
	m.dropped.WithLabelValues(p.source, p.destination).Inc()
}

func (m *metrics) retried(t *task) {
	p := m.of(t)
	m.retries.WithLabelValues(p.source, p.destination).Inc()
}

var (
	pendingDesc = prometheus.NewDesc("coffer_replication_pending_operations", "Versions, and changes of versions, that are to be replicated.", labels, nil)
	bytesDesc   = prometheus.NewDesc("coffer_replication_pending_bytes", "Bytes of new versions that are to be replicated.", labels, nil)
	lagDesc     = prometheus.NewDesc("coffer_replication_lag_seconds", "Age of the oldest operation that is to be replicated, as it was within the last half minute; 0 when there is none.", nil, nil)
)

// Describe is prometheus.Collector's.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	to <- pendingDesc
	to <- bytesDesc
	to <- lagDesc
}

// Collect is prometheus.Collector's.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	lag := 0.0
	if oldest := m.oldest.Load(); oldest != 0 {
		lag = max(time.Since(time.Unix(0, oldest)).Seconds(), 0)
	}
	to <- prometheus.MustNewConstMetric(lagDesc, prometheus.GaugeValue, lag)
	m.mu.Lock()
	defer m.mu.Unlock()
	shown := map[pair]open{}
	for p, o := range m.pairs {
		if _, ok := shown[p]; !ok && len(shown) >= maxPairs {
			p = others
		}
		sum := shown[p]
		shown[p] = open{sum.tasks + o.tasks, sum.bytes + o.bytes}
	}
	for p, o := range shown {
		gauge := func(d *prometheus.Desc, v float64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, p.source, p.destination)
		}
		gauge(pendingDesc, max(float64(o.tasks), 0))
		gauge(bytesDesc, max(float64(o.bytes), 0))
	}
}
