// SPDX-License-Identifier: Apache-2.0

// Package kms is Coffer's key management service: keys, aliases, key policies,
// rotation and data keys, as AWS KMS has them. It decides who may use which key
// in which state; the material itself lives in a key store.
//
// Each operation of the API is a method of [Service] that takes the caller and a
// request whose fields are the API's members. The request of Decrypt is
// [DecryptCiphertext], because Decrypt is a [Class]. Checks run in the order
// request, key, permission, usage, state, cryptography. Errors are faults of the
// kinds in errors.go and carry KMS's own texts.
//
// S3 uses keys for its callers through [ViaS3], and through [Owned] the one key
// that protects objects nobody chose a key for.
//
// All methods are safe for concurrent use. Every change is one conditional
// commit, so that nodes sharing a metadata store agree; other nodes see a change
// within two seconds.
package kms

import (
	"cmp"
	"context"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/spending"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/memo"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Config is what a Service may be told. The zero value works.
type Config struct {
	Region     string                // "" means us-east-1
	Metrics    prometheus.Registerer // nil registers nothing
	Log        *slog.Logger          // nil discards
	MaxKeys    int                   // customer keys per account; 0 means 100,000
	Quota      int                   // cryptographic requests per account and second; 0 means no bound
	CachedRows int                   // rows of keys and aliases kept in memory; 0 means 8192
	Policies   Authority             // nil: the only principals are the accounts' roots
	S3Name     string                // invokedBy of what S3 asks for its callers; "" means audit.InvokedByS3
}

// Recorder takes audit records. Append with durable set returns when the record
// cannot be lost any more.
type Recorder interface {
	Append(ctx context.Context, r audit.Record, durable bool) error
}

// Change says what happened to a key.
type Change string

// What may happen to a key.
const (
	StateChanged  Change = "state"
	PolicyChanged Change = "policy"
	Rotated       Change = "rotated"
	Deleted       Change = "deleted"
)

// Service is the key management service.
type Service struct {
	store      meta.Store
	materials  keystore.Store
	trail      Recorder
	region     string
	s3Name     string // invokedBy of what S3 asks
	maxKeys    int
	policies   Authority
	dependents Dependents
	log        *slog.Logger
	view       *view
	requests   *prometheus.CounterVec
	spending   *spending.Book
	s3         *ViaS3
	owned      *Owned
	quota      quota
	refs       memo.Memo[keyRef] // of key ARNs
	uses       uses
	granting   [64]sync.Mutex     // by key: see oneByOne
	rotations  singleflight.Group // automatic ones, by key id

	mu       sync.RWMutex
	watchers []func(keyARN string, change Change)
}

// New returns the service over the rows k/ of the metadata store, with key
// material in the key store. It owns neither. The caller is to run [Service.Run].
func New(store meta.Store, materials keystore.Store, trail Recorder, cfg Config) *Service {
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxKeys <= 0 {
		cfg.MaxKeys = 100_000
	}
	if cfg.CachedRows <= 0 {
		cfg.CachedRows = 8192
	}
	if cfg.Policies == nil {
		cfg.Policies = roots{}
	}
	s := &Service{
		store:     store,
		materials: materials,
		trail:     trail,
		region:    cfg.Region,
		s3Name:    cmp.Or(cfg.S3Name, audit.InvokedByS3),
		maxKeys:   cfg.MaxKeys,
		policies:  cfg.Policies,
		log:       cfg.Log,
		view:      newView(store, cfg.CachedRows),
		requests:  requestCounter(cfg.Metrics),
		spending:  spending.New(cfg.Metrics),
		quota:     quota{perSecond: cfg.Quota},
	}
	s.s3 = &ViaS3{s}
	s.owned = &Owned{s: s}
	return s
}

// ViaS3 returns the service as S3 uses it for a caller.
func (s *Service) ViaS3() *ViaS3 { return s.s3 }

// Owned returns the service-owned key.
func (s *Service) Owned() *Owned { return s.owned }

// OnChange registers f, which is called after this node changed a key's state,
// policy or material, in the goroutine that changed it. Register before serving.
func (s *Service) OnChange(f func(keyARN string, change Change)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, f)
}

func (s *Service) notify(keyARN string, change Change) {
	s.mu.RLock()
	watchers := s.watchers
	s.mu.RUnlock()
	for _, f := range watchers {
		f(keyARN, change)
	}
}
