// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/spending"
)

// Why an entry went.
const (
	byExpiry   = "expired"
	byCapacity = "capacity"
	byKeyEvent = "key_event"
	byFlush    = "flush"
	byClose    = "close"
)

type metrics struct {
	avoidedGenerate, avoidedDecrypt prometheus.Counter
	unwrapsWrite, unwrapsRead       prometheus.Counter
	generations                     prometheus.Counter
	evicted                         *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, held func() float64) metrics {
	avoided := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "coffer_kms_requests_avoided_total",
		Help: "KMS requests that an object would have cost without a bucket key and did not, by the operation avoided.",
	}, []string{"operation"})
	unwraps := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "coffer_bucket_key_unwraps_total",
		Help: "Stored bucket keys opened by a KMS request, by what the requester needed it for.",
	}, []string{"cause"})
	m := metrics{
		avoidedGenerate: avoided.WithLabelValues(string(kms.Generate)),
		avoidedDecrypt:  avoided.WithLabelValues(string(kms.Decrypt)),
		unwrapsWrite:    unwraps.WithLabelValues("write"),
		unwrapsRead:     unwraps.WithLabelValues("read"),
		generations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "coffer_bucket_key_generations_total",
			Help: "Bucket key generations that this node made.",
		}),
		evicted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "coffer_bucket_key_evictions_total",
			Help: "Requesters' entries that left the cache, by cause.",
		}, []string{"cause"}),
	}
	if reg != nil {
		reg.MustRegister(avoided, unwraps, m.generations, m.evicted, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "coffer_bucket_key_entries",
			Help: "Requesters' entries in the cache.",
		}, held))
	}
	return m
}

// avoid counts a KMS request that was not made. The account is the requester's. It is on
// the way of every request: it locks and allocates nothing.
func (c *Cache) avoid(class kms.Class, gen *Generation, account *spending.Tally) {
	op := class.Spends()
	gen.tally.avoid(class)
	account.Avoided(op)
	gen.spentBucket.Avoided(op)
	gen.spentKey.Avoided(op)
	if class == kms.Generate {
		c.metrics.avoidedGenerate.Inc()
	} else {
		c.metrics.avoidedDecrypt.Inc()
	}
}

// spends returns where the requests of a caller's account are counted.
func (c *Cache) spends(by iam.Caller) *spending.Tally { return c.cfg.Spending.Account(by.Account) }

func (m *metrics) unwrapped(class kms.Class) {
	if class == kms.Generate {
		m.unwrapsWrite.Inc()
	} else {
		m.unwrapsRead.Inc()
	}
}
