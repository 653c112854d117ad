// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Values of the label source.
const (
	fromS3      = "s3"
	fromAPI     = "api"
	fromService = "service"
)

// requestCounter counts KMS requests: what AWS would bill and throttle.
func requestCounter(r prometheus.Registerer) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "coffer_kms_requests_total",
		Help: "KMS requests by operation, by source (s3: made by S3 for a caller; api: made through the KMS API; service: made by Coffer's own upkeep) and by outcome (ok or the exception).",
	}, []string{"operation", "source", "outcome"})
	if r == nil {
		return c
	}
	var registered prometheus.AlreadyRegisteredError
	if err := r.Register(c); errors.As(err, &registered) {
		if c, ok := registered.ExistingCollector.(*prometheus.CounterVec); ok {
			return c
		}
	}
	return c
}

func (s *Service) count(operation, source string, err error) {
	outcome := ErrorName(err)
	if err == nil {
		outcome = "ok"
	}
	s.requests.WithLabelValues(operation, source, outcome).Inc()
}

// counted runs an operation of the API and counts it.
func counted[R any](s *Service, operation string, do func() (R, error)) (R, error) {
	out, err := do()
	s.count(operation, fromAPI, err)
	return out, err
}
