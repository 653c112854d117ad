// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
)

// sessions are those of the roles by which is replicated, each of one bucket.
type sessions struct {
	mu  sync.Mutex
	all map[sessionOf]iam.Principal // one without a type: the role was refused
}

type sessionOf struct {
	bucket bucket.UID
	role   string
}

// maxSessions bounds the sessions that are kept. There are no more of them than buckets that
// are replicated.
const maxSessions = 4096

// session returns who acts for a bucket: the role's session. The role is asked each time
// whether it still trusts the service; a session that is good still goes on. Error:
// *object.ReplicaError when it may not be assumed.
func (s *Service) session(ctx context.Context, b *bucket.Bucket, role string) (iam.Caller, error) {
	service := iam.ServiceCaller(ServiceName, b.ARN(), b.Owner)
	fresh, err := s.Roles.AssumeForService(ctx, service, role, SessionName)
	refused := errors.Is(err, iam.AccessDenied)
	if err != nil && !refused {
		return iam.Caller{}, err
	}
	who, isNew := s.sessions.keep(sessionOf{b.UID, role}, fresh)
	if isNew {
		if err := s.recordAssumed(ctx, service, b, role, who, err); err != nil {
			s.sessions.lose(sessionOf{b.UID, role})
			return iam.Caller{}, err
		}
	}
	if refused {
		return iam.Caller{}, failure(assumeRoleNotPermitted, err)
	}
	return iam.Caller{
		Principal: who, RequestID: aws.NewRequestID(), HostID: aws.NewHostID(), UserAgent: ServiceName, Secure: true, SigV4: true, Replicates: true,
	}, nil
}

// keep returns the session that is good for a role, which is fresh when there was none.
func (s *sessions) keep(of sessionOf, fresh iam.Principal) (who iam.Principal, isNew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if had, ok := s.all[of]; ok && had.RoleID == fresh.RoleID && (had.Session == nil || time.Now().Before(had.Session.Expires)) {
		return had, false
	}
	if s.all == nil || len(s.all) >= maxSessions {
		s.all = map[sessionOf]iam.Principal{}
	}
	s.all[of] = fresh
	return fresh, true
}

// lose forgets a session that could not be recorded.
func (s *sessions) lose(of sessionOf) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, of)
}
