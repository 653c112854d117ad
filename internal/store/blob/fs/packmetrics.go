// SPDX-License-Identifier: Apache-2.0

package fs

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	packed  prometheus.Counter
	erased  prometheus.Counter
	punched prometheus.Counter
	syncs   prometheus.Histogram
}

// newMetrics makes the packs' metrics and registers them; a nil registerer leaves
// them unseen.
func newMetrics(s *packs, to prometheus.Registerer) metrics {
	gauge := func(name, help string, labels prometheus.Labels, read func(packTotals) int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(read(s.totals())) })
	}
	const bytesHelp = "Bytes of the packs that were counted: in frames of streams, and in frames that are gone, most of them holes."
	m := metrics{
		packed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coffer_pack_streams_written_total", Help: "Streams appended to packs."}),
		erased: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coffer_pack_erased_bytes_total", Help: "Bytes of the frames erased in packs."}),
		punched: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coffer_pack_punched_bytes_total", Help: "Bytes of them given back to the file system at once, as holes."}),
		syncs: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "coffer_pack_sync_seconds", Help: "Time that a sync of a pack's data took.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8), // 0.1 ms to 1.6 s
		}),
	}
	if to != nil {
		to.MustRegister(m.packed, m.erased, m.punched, m.syncs,
			gauge("coffer_packs", "Pack files.", nil, func(t packTotals) int64 { return t.packs }),
			gauge("coffer_packs_uncounted", "Pack files in which the sweep has not counted yet.", nil,
				func(t packTotals) int64 { return t.uncounted }),
			gauge("coffer_pack_bytes", bytesHelp, prometheus.Labels{"state": "live"}, func(t packTotals) int64 { return t.live }),
			gauge("coffer_pack_bytes", bytesHelp, prometheus.Labels{"state": "gone"}, func(t packTotals) int64 { return t.dead }),
		)
	}
	return m
}

// packTotals is what the packs hold together; bytes of those that were counted.
type packTotals struct{ packs, uncounted, live, dead int64 }

func (s *packs) totals() (t packTotals) {
	for _, p := range s.from(0) {
		p.mu.Lock()
		t.packs++
		if p.counted {
			t.live += p.bytes
			t.dead += p.size - pageSize - p.bytes
		} else {
			t.uncounted++
		}
		p.mu.Unlock()
	}
	return t
}
