// SPDX-License-Identifier: Apache-2.0

package index

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	read     prometheus.Counter
	searches prometheus.Histogram
}

// newMetrics registers the index's metrics; a nil registerer leaves them unseen.
func newMetrics(to prometheus.Registerer, x *Index) metrics {
	m := metrics{
		read: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coffer_audit_search_read_bytes_total",
			Help: "Bytes of the audit trail's files that searches read.",
		}),
		searches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "coffer_audit_search_seconds",
			Help:    "Time that a search of the audit trail took.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9), // 1 ms to 65 s
		}),
	}
	if to != nil {
		to.MustRegister(m.read, m.searches, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "coffer_audit_index_files",
			Help: "Files of the audit trail that have an index file.",
		}, func() float64 {
			x.mu.RLock()
			defer x.mu.RUnlock()
			return float64(len(x.files))
		}))
	}
	return m
}
