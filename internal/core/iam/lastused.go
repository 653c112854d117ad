// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// uses notes when access keys and roles are used, by the ids of either. What is noted is written now and then, and
// what was not yet is lost in a crash: last use is kept to the minute.
type uses struct {
	keys sync.Map // access key id → *noted
	n    atomic.Int64
}

type use struct {
	lastUsed
	written bool
}

// noted is the last use of one id, and the last one before of another service: what is
// under a KMS key is a use of S3 and of the KMS in turn.
type noted struct{ last, other atomic.Pointer[use] }

// maxUses bounds what waits to be written. More than that between two writes are not
// noted.
const maxUses = 1 << 16

func newUses() *uses { return &uses{} }

// note remembers that an access key, or a role, was used for an action just now.
func (u *uses) note(p *Principal, action, region string) {
	id := p.AccessKeyID
	switch {
	case p.Type == AssumedRole:
		id = p.RoleID
	case p.Session != nil || id == "":
		return
	}
	service, _, _ := strings.Cut(action, ":")
	now := time.Now()
	v, ok := u.keys.Load(id)
	if !ok {
		if u.n.Load() >= maxUses {
			return
		}
		fresh := &noted{}
		fresh.last.Store(&use{lastUsed: lastUsed{At: now, Service: service, Region: region}})
		if _, raced := u.keys.LoadOrStore(strings.Clone(id), fresh); !raced {
			u.n.Add(1)
		}
		return
	}
	at := v.(*noted)
	last := at.last.Load()
	if last.Service == service && now.Sub(last.At) < time.Minute {
		return
	}
	next := at.other.Load()
	if next == nil || next.Service != service || next.written || now.Sub(next.At) >= time.Minute {
		next = &use{lastUsed: lastUsed{At: now, Service: service, Region: region}}
	}
	at.last.Store(next)
	if last.Service != service {
		at.other.Store(last)
	}
}

// of returns what is noted of a key.
func (u *uses) of(id string) (lastUsed, bool) {
	v, ok := u.keys.Load(id)
	if !ok {
		return lastUsed{}, false
	}
	return v.(*noted).last.Load().lastUsed, true
}

func (u *uses) forget(id string) {
	if _, ok := u.keys.LoadAndDelete(id); ok {
		u.n.Add(-1)
	}
}

// lastUse returns when an access key or a role was last used, nil for never.
func (s *Service) lastUse(ctx context.Context, id string) (*lastUsed, error) {
	if last, ok := s.used.of(id); ok {
		return &last, nil
	}
	return found[lastUsed](ctx, s, lastUsedRow(id))
}

// Flush writes when access keys were used last. It is called now and then, and before
// the store is closed.
func (s *Service) Flush(ctx context.Context) error {
	var b meta.Batch
	var err error
	commit := func() bool {
		if len(b.Puts) > 0 {
			_, err = s.store.Commit(ctx, &b)
			b = meta.Batch{}
		}
		return err == nil
	}
	s.used.keys.Range(func(id, v any) bool {
		at := &v.(*noted).last
		last := at.Load()
		if last.written { // not used since the last time: it is in its row
			s.used.forget(id.(string))
			return true
		}
		written := *last
		written.written = true
		if !at.CompareAndSwap(last, &written) {
			return true // it is in use: the next time
		}
		b.Put([]byte(lastUsedRow(id.(string))), encodeRow(last.lastUsed))
		return len(b.Puts) < eraseAtOnce || commit()
	})
	commit()
	return err
}
