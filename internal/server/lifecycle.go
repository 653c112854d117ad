// SPDX-License-Identifier: Apache-2.0

package server

import (
	"time"

	"github.com/cofferstore/coffer/internal/core/accesslog"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/lifecycle"
	"github.com/cofferstore/coffer/internal/core/lifecycle/engine"
	"github.com/cofferstore/coffer/internal/core/object"
)

func (s *Server) calendar() lifecycle.Calendar { return lifecycle.Calendar{Day: s.cfg.LifecycleDay} }

func (s *Server) openLifecycle() {
	s.lifecycle = engine.New(s.buckets, s.objects, s.jobs, engine.Config{
		Log: s.log, Metrics: s.metrics, Calendar: s.calendar(), Tell: s.logAged,
	})
}

// logAged tells the bucket's access log what a lifecycle rule did.
func (s *Server) logAged(b *bucket.Bucket, done object.Aged) {
	to := s.buckets.Logged(b.Name)
	if to == nil || s.accessLog == nil {
		return
	}
	s.accessLog.Append(to, accesslog.Aged(done, time.Now()))
}
