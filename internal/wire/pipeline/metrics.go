// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
	inFlight prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coffer_requests_total", Help: "Calls answered.",
		}, []string{"service", "operation", "status", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "coffer_request_seconds", Help: "Time from a call's head to the end of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 18),
		}, []string{"service", "operation"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coffer_body_bytes_total", Help: "Bytes of body, read and sent.",
		}, []string{"service", "direction"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "coffer_requests_in_flight", Help: "Calls being served.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.requests, m.seconds, m.bytes, m.inFlight)
	}
	return m
}

// observe counts the call and writes its log line.
func (road *Road) observe(c *Call, resp *Response, sent int64, err, sendErr error) {
	took := time.Since(c.start)
	code := c.record.ErrorCode
	m := &road.metrics
	m.requests.WithLabelValues(c.family.Name, c.operation(), strconv.Itoa(resp.Status), code).Inc()
	m.seconds.WithLabelValues(c.family.Name, c.operation()).Observe(took.Seconds())
	m.bytes.WithLabelValues(c.family.Name, "in").Add(float64(c.in))
	m.bytes.WithLabelValues(c.family.Name, "out").Add(float64(sent))
	if c.Notes != nil && c.family.Answered != nil {
		read := c.start
		if c.read.After(read) {
			read = c.read
		}
		c.family.Answered(c, Answer{
			Status: resp.Status, Code: code, Sent: sent, Began: c.start, Total: took, Turnaround: max(c.sending.Sub(read), 0),
		})
	}
	if c.Op != nil && c.Op.Traits.Has(Silent) && err == nil {
		return
	}
	if !road.cfg.Log.Enabled(c.Request.Context(), slog.LevelInfo) {
		return
	}
	attrs := []any{
		"request_id", c.ID, "service", c.family.Name, "operation", c.operation(), "status", resp.Status,
		"bucket", c.Bucket, "key", c.Key, "principal", c.Caller.ARN, "source_ip", c.Caller.SourceIP,
		"bytes_in", c.in, "bytes_out", sent, "took", took,
	}
	if err != nil {
		attrs = append(attrs, "code", code, "error", err.Error())
	}
	if sendErr != nil {
		attrs = append(attrs, "send_error", sendErr.Error())
	}
	road.cfg.Log.Info("call", attrs...)
}
