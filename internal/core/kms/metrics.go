// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/spending"
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

// spend counts a request that S3 made for a caller. Of one that was refused the key is not
// told: there may be none of that name.
func (s *Service) spend(by iam.Caller, class Class, ec Context, k *key) {
	arn := spending.Unknown
	if k != nil {
		arn = k.ref().arn(s.region)
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(ec["aws:s3:arn"], aws.BucketARN("")), "/")
	op := class.Spends()
	s.spending.Account(by.Account).Made(op)
	s.spending.Bucket(name).Made(op)
	s.spending.Key(arn).Made(op)
}

// Spending returns where the requests that S3 makes are counted, and those that bucket keys
// avoid are to be.
func (s *Service) Spending() *spending.Book { return s.spending }

// counted runs an operation of the API and counts it.
func counted[R any](s *Service, operation string, do func() (R, error)) (R, error) {
	out, err := do()
	s.count(operation, fromAPI, err)
	return out, err
}
