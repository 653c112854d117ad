// SPDX-License-Identifier: Apache-2.0

package s3api

import "github.com/cofferstore/coffer/internal/core/bucket"

var metricsForm = configurationForm[bucket.Metrics]{
	noun: "Metrics", subresource: "metrics",
	root: "MetricsConfiguration", listing: "ListMetricsConfigurationsResult",
	parse: func(s *schema, n *node) bucket.Metrics {
		s.only(n, "Id", "Filter")
		return bucket.Metrics{ID: s.word(n, "Id"), Filter: s.filter(n, true)}
	},
	write: func(x *markup, m *bucket.Metrics) {
		x.element("Id", m.ID)
		x.filter(m.Filter)
	},
}
