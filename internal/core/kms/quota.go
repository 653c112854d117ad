// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"sync"

	"golang.org/x/time/rate"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
)

// Throttled: the account made more cryptographic requests than its quota.
const Throttled fault.Kind = "kms: throttled"

// ThrottledText is what KMS says of it. The fault does not bring it, since S3 says it
// in other words.
const ThrottledText = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."

// quota bounds the cryptographic requests of each account, as AWS KMS does: one
// bucket of tokens for all operations on symmetric keys, that fills at the rate and
// holds a second's worth. Requests that services make for a caller count against the
// caller's account, and so do requests that fail (KMS Developer Guide, "Request
// quotas").
type quota struct {
	perSecond int // 0: no quota

	mu       sync.Mutex
	accounts map[string]*rate.Limiter
}

// take takes a token of the caller's account. Fault: Throttled.
func (q *quota) take(by iam.Caller) error {
	if q.perSecond == 0 {
		return nil
	}
	q.mu.Lock()
	l, ok := q.accounts[by.Account]
	if !ok {
		if q.accounts == nil {
			q.accounts = make(map[string]*rate.Limiter)
		}
		l = rate.NewLimiter(rate.Limit(q.perSecond), q.perSecond)
		q.accounts[by.Account] = l // as many as there are accounts, which an operator makes
	}
	q.mu.Unlock()
	if l.Allow() {
		return nil
	}
	return fault.New(Throttled, "")
}

// limited is counted for an operation that the quota is about.
func limited[R any](s *Service, by iam.Caller, operation string, do func() (R, error)) (R, error) {
	return counted(s, operation, func() (R, error) {
		if err := s.quota.take(by); err != nil {
			var none R
			return none, err
		}
		return do()
	})
}
