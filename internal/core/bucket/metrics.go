// SPDX-License-Identifier: Apache-2.0

package bucket

// Metrics is a configuration of request metrics (S3 API Reference, MetricsConfiguration).
type Metrics struct {
	ID     string  `json:"id"`
	Filter *Filter `json:"filter,omitempty"`
}

// ConfigurationID returns the configuration's id.
func (m Metrics) ConfigurationID() string { return m.ID }

func (Metrics) kind() DocumentKind { return "metrics" }
func (Metrics) action() string     { return "MetricsConfiguration" }
func (Metrics) mismatch() error    { return otherID() }
func (m Metrics) check() error     { return m.Filter.check() }
