// SPDX-License-Identifier: Apache-2.0

package audit

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	records  *prometheus.CounterVec
	byKind   [kinds]prometheus.Counter // of records, by kind
	failures prometheus.Counter
	unsynced prometheus.Counter
	syncs    prometheus.Histogram

	taken   *prometheus.CounterVec // by consumer
	refused *prometheus.CounterVec
	lost    prometheus.Counter
	missed  prometheus.Counter
	damaged prometheus.Counter
	dropped prometheus.Counter
	held    prometheus.Gauge
}

// newMetrics registers the trail's metrics; a nil registerer leaves them unseen.
func newMetrics(to prometheus.Registerer) metrics {
	m := metrics{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coffer_audit_records_total",
			Help: "Audit records written, by category of event, what the call does, and how it ended.",
		}, []string{"category", "access", "outcome"}),
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
		taken: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coffer_audit_sink_records_total",
			Help: "Audit records that a consumer of the trail has taken.",
		}, []string{"sink"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coffer_audit_sink_failures_total",
			Help: "Tries to bring audit records to a consumer that failed and are made again.",
		}, []string{"sink"}),
	}
	for kind := range m.byKind {
		m.byKind[kind] = m.records.WithLabelValues(categories[kind>>2], accesses[kind>>1&1], outcomes[kind&1])
	}
	m.missed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "coffer_audit_missed_total",
		Help: "Calls that were served without an audit record, as audit-required=false has it.",
	})
	m.dropped = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "coffer_audit_dropped_bytes_total",
		Help: "Bytes of the audit trail that were dropped because of their age or number.",
	})
	m.held = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "coffer_audit_held_bytes",
		Help: "Bytes of the audit trail that are over its limits and stay, because a consumer has not taken them.",
	})
	m.damaged = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "coffer_audit_damaged_records_total",
		Help: "Lines of the audit trail that are no records and that a consumer passed over.",
	})
	m.lost = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "coffer_audit_head_lost_total",
		Help: "Starts that did not find the head of the audit trail in its files.",
	})
	if to != nil {
		to.MustRegister(m.records, m.failures, m.unsynced, m.syncs, m.lost, m.missed, m.damaged, m.dropped, m.held, m.taken, m.refused)
	}
	return m
}

// Labels of records. Their sets are fixed.
var (
	categories = [3]string{"management", "data", "kms"}
	accesses   = [2]string{"write", "read"}
	outcomes   = [2]string{"ok", "error"}
)

// kind is an index of the labels of a record.
type kind uint8

const kinds = kind(len(categories) * len(accesses) * len(outcomes))

// kindOf returns a record's kind.
func kindOf(r *Record) kind {
	k := kind(CategoryOf(r.EventSource, r.EventCategory)) << 2
	if r.ReadOnly {
		k |= 1 << 1
	}
	if r.ErrorCode != "" {
		k |= 1
	}
	return k
}
