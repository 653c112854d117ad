// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of replication, by source and destination: as many as there are buckets that are
// replicated.
type metrics struct {
	replicated, bytes, failures, retries, dropped *prometheus.CounterVec

	broken prometheus.Counter
	took   prometheus.Histogram
	oldest atomic.Int64 // when the oldest operation was queued that is open, in ns since 1970; 0: there is none

	mu    sync.Mutex
	pairs map[pair]*open
}

type pair struct{ source, destination string }

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
		pairs: map[pair]*open{},
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

func (m *metrics) ended(t *task, reason string) {
	m.waiting(t, -1)
	if reason != "" {
		m.failures.WithLabelValues(t.Bucket, t.Destination, reason).Inc()
		return
	}
	m.replicated.WithLabelValues(t.Bucket, t.Destination).Inc()
	if t.anew() {
		m.bytes.WithLabelValues(t.Bucket, t.Destination).Add(float64(t.Size))
	}
}

func (m *metrics) forgotten(t *task) {
	m.waiting(t, -1)
	m.dropped.WithLabelValues(t.Bucket, t.Destination).Inc()
}

func (m *metrics) retried(t *task) { m.retries.WithLabelValues(t.Bucket, t.Destination).Inc() }

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
	for p, o := range m.pairs {
		gauge := func(d *prometheus.Desc, v float64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, p.source, p.destination)
		}
		gauge(pendingDesc, max(float64(o.tasks), 0))
		gauge(bytesDesc, max(float64(o.bytes), 0))
	}
}
