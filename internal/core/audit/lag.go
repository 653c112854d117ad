// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Took counts records that a consumer has taken, by the name under which it holds the trail.
func (t *Trail) Took(name string, records int) {
	t.metrics.taken.WithLabelValues(name).Add(float64(records))
}

// Failed counts a try of a consumer that failed and will be made again.
func (t *Trail) Failed(name string) { t.metrics.refused.WithLabelValues(name).Inc() }

// lags says of every consumer, when metrics are read, how far it is behind.
type lags struct{ trail *Trail }

var (
	backlogDesc = prometheus.NewDesc("coffer_audit_sink_backlog_bytes",
		"Bytes of the durable audit trail that a consumer has not taken.", []string{"sink"}, nil)
	lagDesc = prometheus.NewDesc("coffer_audit_sink_lag_seconds",
		"Age of the oldest durable audit record that a consumer has not taken; 0 when there is none.", []string{"sink"}, nil)
)

// Describe is prometheus.Collector's.
func (l lags) Describe(to chan<- *prometheus.Desc) {
	to <- backlogDesc
	to <- lagDesc
}

// Collect is prometheus.Collector's. What cannot be read now is left out.
func (l lags) Collect(to chan<- prometheus.Metric) {
	t := l.trail
	t.mu.Lock()
	holds := maps.Clone(t.holds)
	t.mu.Unlock()
	for name, at := range holds {
		if n, err := t.Behind(at); err == nil {
			to <- prometheus.MustNewConstMetric(backlogDesc, prometheus.GaugeValue, float64(n), name)
		}
		if age, err := t.lag(at); err == nil {
			to <- prometheus.MustNewConstMetric(lagDesc, prometheus.GaugeValue, age.Seconds(), name)
		}
	}
}

// errFound ends a search.
var errFound = errors.New("audit: found")

// lag returns the age of the first durable event from a position on.
func (t *Trail) lag(at Position) (age time.Duration, err error) {
	_, err = t.consume(context.Background(), at, newReader(t.fs, t.dir, Filter{}), func(l Line) error { // takes nothing
		var r struct {
			Time time.Time `json:"eventTime"`
		}
		if err := json.Unmarshal(l.JSON, &r); err != nil {
			return nil // the next one, then
		}
		age = max(time.Since(r.Time), 0)
		return errFound
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return age, err
}
