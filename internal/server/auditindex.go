// SPDX-License-Identifier: Apache-2.0

package server

import (
	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/secret"
)

// openIndex opens the index of the audit trail. Paging tokens are authenticated by what is
// derived from a service key, and so outlive the server.
func (s *Server) openIndex(serviceKey secret.Bytes) (err error) {
	s.index, err = index.Open(s.trail, AuditDir(s.cfg.Data), index.Config{
		Metrics: s.metrics, Log: s.log, TokenKey: secret.Derive(serviceKey, "audit-index-token", nil, secret.Size),
	})
	return err
}

// Index returns the index of the audit trail.
func (s *Server) Index() *index.Index { return s.index }
