// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	lines    prometheus.Counter
	dropped  *prometheus.CounterVec // by reason: memory, disk, age, size, damaged
	objects  prometheus.Counter
	failures prometheus.Counter
}

// newMetrics registers the service's metrics; a nil registerer leaves them unseen.
func newMetrics(l *Log, to prometheus.Registerer) metrics {
	m := metrics{
		lines: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coffer_access_log_lines_total", Help: "Lines of server access logs, of requests on buckets that are logged.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coffer_access_log_dropped_lines_total", Help: "Lines of server access logs that will not be delivered, by reason.",
		}, []string{"reason"}),
		objects: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coffer_access_log_delivered_total", Help: "Objects with server access logs that were delivered.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coffer_access_log_failures_total", Help: "Deliveries of server access logs that failed, and are tried again.",
		}),
	}
	for _, reason := range []string{"memory", "disk", "age", "size", "damaged"} {
		m.dropped.WithLabelValues(reason)
	}
	backlog := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "coffer_access_log_backlog_bytes", Help: "Server access logs that are not delivered yet, in bytes.",
	}, func() float64 { return float64(l.backlog.Load() + l.queue.bytes()) })
	lag := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "coffer_access_log_lag_seconds", Help: "Age of the oldest server access log whose delivery has failed; 0 when there is none.",
	}, func() float64 {
		at := l.oldest.Load()
		if at == 0 {
			return 0
		}
		return time.Since(time.Unix(0, at)).Seconds()
	})
	if to != nil {
		to.MustRegister(m.lines, m.dropped, m.objects, m.failures, backlog, lag)
	}
	return m
}

func (l *Log) dropped(reason string, lines int) {
	l.metrics.dropped.WithLabelValues(reason).Add(float64(lines))
}
