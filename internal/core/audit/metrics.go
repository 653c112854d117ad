// SPDX-License-Identifier: Apache-2.0

package audit

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	records  *prometheus.CounterVec // by category
	failures prometheus.Counter
	unsynced prometheus.Counter
	syncs    prometheus.Histogram
}

// newMetrics registers the trail's metrics; a nil registerer leaves them unseen.
func newMetrics(to prometheus.Registerer) metrics {
	m := metrics{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coffer_audit_records_total",
			Help: "Audit records written, by event category.",
		}, []string{"category"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coffer_audit_failures_total",
			Help: "Audit records that could not be written; their calls were refused.",
		}),
		unsynced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coffer_audit_unsynced_records_total",
			Help: "Audit records written to a file that then could not be synced.",
		}),
		syncs: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "coffer_audit_sync_seconds",
			Help:    "Time that a sync of an audit file took.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8), // 0.1 ms to 1.6 s
		}),
	}
	if to != nil {
		to.MustRegister(m.records, m.failures, m.unsynced, m.syncs)
	}
	return m
}

// category is the record's event category as a label of a fixed set.
func category(r Record) string {
	if r.EventCategory == Data {
		return "data"
	}
	return "management"
}
