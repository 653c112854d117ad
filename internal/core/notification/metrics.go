// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of notifications. Their labels are the names of targets, which the configuration
// gives.
type metrics struct {
	queued, delivered, failures, dropped *prometheus.CounterVec

	unrouted prometheus.Counter
}

// Why events are dropped.
const (
	tooOld  = "age"
	tooMany = "limit"
	broken  = "damaged"
	refused = "account" // the target is not for the bucket's account any more
)

func newMetrics(s *Service, r prometheus.Registerer) metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "coffer_notification_" + name, Help: help}, append([]string{"target"}, labels...))
	}
	m := metrics{
		queued:    vec("queued_total", "Events of buckets that were queued for a target."),
		delivered: vec("delivered_total", "Events that a target has taken."),
		failures:  vec("failures_total", "Tries to deliver events that failed and are made again."),
		dropped:   vec("dropped_total", "Events that were dropped and not delivered, by reason.", "reason"),
		unrouted:  prometheus.NewCounter(prometheus.CounterOpts{Name: "coffer_notification_unrouted_total", Help: "Events for a target that is not in the configuration, or not for the bucket's account: they are not kept."}),
	}
	if r != nil {
		r.MustRegister(m.queued, m.delivered, m.failures, m.dropped, m.unrouted, lags{s})
	}
	return m
}

// lags says, when metrics are read, what waits for each target.
type lags struct{ s *Service }

var (
	waitingDesc = prometheus.NewDesc("coffer_notification_waiting", "Events that wait for a target.", []string{"target"}, nil)
	lagDesc     = prometheus.NewDesc("coffer_notification_lag_seconds", "Age of the oldest event that waits for a target; 0 when there is none.", []string{"target"}, nil)
)

// Describe is prometheus.Collector's.
func (l lags) Describe(to chan<- *prometheus.Desc) {
	to <- waitingDesc
	to <- lagDesc
}

// Collect is prometheus.Collector's.
func (l lags) Collect(to chan<- prometheus.Metric) {
	for name, p := range l.s.pumps {
		to <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(max(p.waits.Load(), 0)), name)
		lag := 0.0
		if oldest := p.oldest.Load(); oldest != 0 {
			lag = max(time.Since(time.Unix(0, oldest)).Seconds(), 0)
		}
		to <- prometheus.MustNewConstMetric(lagDesc, prometheus.GaugeValue, lag, name)
	}
}
