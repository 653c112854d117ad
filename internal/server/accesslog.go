// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cofferstore/coffer/internal/core/accesslog"
)

const accessLogDir = "accesslog"

// openAccessLog opens the queue of server access logs; every is the time between deliveries,
// 0 the default.
func (s *Server) openAccessLog(ctx context.Context, every time.Duration) (err error) {
	if err := s.buckets.LoadLogged(ctx); err != nil {
		return fmt.Errorf("read which buckets are logged: %w", err)
	}
	s.accessLog, err = accesslog.Open(filepath.Join(s.cfg.Data, accessLogDir), s.buckets, s.delivery, accesslog.Config{
		Interval: every, Retry: every, Metrics: s.metrics, Log: s.log,
	})
	if err == nil {
		s.onClose(s.accessLog.Close)
	}
	return err
}

// AccessLog returns the server access logs of buckets.
func (s *Server) AccessLog() *accesslog.Log { return s.accessLog }
