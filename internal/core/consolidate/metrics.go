// SPDX-License-Identifier: Apache-2.0

package consolidate

import "github.com/prometheus/client_golang/prometheus"

type metrics struct{ moved, merged, deleted, reEncrypted prometheus.Counter }

func newMetrics(reg prometheus.Registerer) metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "coffer_bucket_key_" + name, Help: help})
	}
	m := metrics{
		moved:       counter("rewraps_total", "Data keys that consolidation moved to another bucket key generation."),
		merged:      counter("generations_merged_total", "Bucket key generations that consolidation retired in favour of another."),
		deleted:     counter("generations_deleted_total", "Bucket key generations that no object named any more and that were deleted."),
		reEncrypted: counter("generations_reencrypted_total", "Bucket key generations put under the current material of their KMS key."),
	}
	if reg != nil {
		reg.MustRegister(m.moved, m.merged, m.deleted, m.reEncrypted)
	}
	return m
}
