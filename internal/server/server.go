// SPDX-License-Identifier: Apache-2.0

// Package server puts a Coffer server together: it builds the object graph from
// the bottom up, listens, runs the upkeep, and takes everything down again in the
// reverse order. It decides nothing else. cmd/coffer, the demo and the tests all
// start a server through it.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/cofferstore/coffer/internal/config"
	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/accesslog"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/audit/forward"
	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/consolidate"
	"github.com/cofferstore/coffer/internal/core/delivery"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/lifecycle/engine"
	"github.com/cofferstore/coffer/internal/core/notification"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/replication"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/core/trails"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore/builtin"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/link/oidc/remote"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/blob/fs"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/authentic"
	"github.com/cofferstore/coffer/internal/store/meta/cached"
	"github.com/cofferstore/coffer/internal/wire/iamapi"
	"github.com/cofferstore/coffer/internal/wire/kmsapi"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/s3api"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
	"github.com/cofferstore/coffer/internal/wire/trailapi"
)

// Server is a Coffer server over one data directory. Open makes it, Serve runs it,
// Close ends it.
type Server struct {
	cfg     *config.Config
	log     *slog.Logger
	metrics *prometheus.Registry

	closers   []func() error // in the order of opening
	stopping  chan struct{}  // closed when Serve is told to stop
	bindKey   secret.Bytes
	trailSign rootkey.Versioned

	certificate *certificate // nil for plain HTTP
	websites    net.Listener // of websites alone; nil for none, and before Listen

	rows      meta.Store // authenticated
	blobs     blob.Store
	trail     *audit.Trail
	index     *index.Index // of the trail
	trails    *trails.Service
	courier   *trails.Courier
	rootKeys  *iam.RootKeys
	rootState iam.RootState
	iam       *iam.Service
	kms       *kms.Service
	keys      *bucketkey.Cache // of KMS keys
	owned     *bucketkey.Cache // of the service's own key
	buckets   *bucket.Buckets
	objects   *object.Objects
	access    *access.Authorizer
	delivery  *delivery.Writer
	accessLog *accesslog.Log
	jobs      *jobs.Runner
	road      *pipeline.Road

	consolidator *consolidate.Consolidator
	lifecycle    *engine.Engine

	notifications *notification.Service
	replication   *replication.Service

	forwarder *forward.Forwarder // of the trail, to sinks; nil when it is off
}

// Tuning is what a caller may set beside the configuration.
type Tuning struct {
	Objects object.Config // S3's limits, which tests lower
	Version any           // what the operator's API says of the program
	// Rows, if set, is put around the metadata store, by tests that count what is
	// asked of it.
	Rows func(meta.Store) meta.Store
	// Blobs, if set, is put around the store of streams, as Rows is.
	Blobs func(blob.Store) blob.Store
	// Window, if set, is that of bucket keys, which tests shorten: then generations
	// close and merge while a test runs.
	Window time.Duration
	// Files, if set, is the file system that streams are kept on: the real one, in
	// tests that count what is asked of it.
	Files vfs.FS
	// Trails is when log files and digests of trails are delivered, and how large they
	// are: tests have little time.
	Trails trails.CourierConfig
	// LogDelivery, if set, is the time between deliveries of server access logs, and before
	// a failed one is tried again.
	LogDelivery time.Duration
}

// Open builds a server. Everything that is wrong with the data directory is an
// error here, in one line that says what to do.
func Open(ctx context.Context, cfg *config.Config, log *slog.Logger, tune Tuning) (_ *Server, err error) {
	s := &Server{cfg: cfg, log: log, metrics: prometheus.NewRegistry(), stopping: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	// Before anything is made in the data directory.
	if cfg.TLSCert != "" {
		if s.certificate, err = newCertificate(cfg.TLSCert, cfg.TLSKey); err != nil {
			return nil, err
		}
	}
	if err := s.openStores(ctx, tune); err != nil {
		return nil, orRestore(err, cfg.Data)
	}
	s.openServices(tune)
	if err := s.openAccessLog(ctx, tune.LogDelivery); err != nil {
		return nil, orRestore(err, cfg.Data)
	}
	if err := s.openNotifications(ctx); err != nil {
		return nil, orRestore(err, cfg.Data)
	}
	if err := s.openReplication(ctx); err != nil {
		return nil, orRestore(err, cfg.Data)
	}
	if err := s.objects.Counted(ctx); err != nil {
		return nil, fmt.Errorf("count what depends on KMS keys: %w", err)
	}
	s.road = s.newRoad(tune.Version)
	return s, nil
}

// Directories and files under the data directory.
const (
	metaDir  = "meta"
	blobDir  = "blobs"
	auditDir = "audit"
	rootFile = "root.json"
)

// AuditDir returns where the audit trail of a data directory is.
func AuditDir(data string) string { return filepath.Join(data, auditDir) }

// openStores opens what is on disk: rows, root key, streams, trail, credentials.
func (s *Server) openStores(ctx context.Context, tune Tuning) error {
	data := s.cfg.Data
	used, err := prepareData(data)
	if err != nil {
		return err
	}
	raw, err := openRows(data, s.log)
	if err != nil {
		return err
	}
	s.onClose(raw.Close)
	root, services, err := openKeys(ctx, s.cfg, used, raw)
	if err != nil {
		return err
	}
	mac := services.MetaMAC()
	var rows meta.Store = raw
	if tune.Rows != nil {
		rows = tune.Rows(raw)
	}
	s.rows = cached.Wrap(
		authentic.Wrap(rows, authentic.Keys{Current: mac.Current, Key: mac.Keys, Elsewhere: rootkey.IsServiceRow}),
		cached.Config{Skip: rootkey.IsServiceRow})
	if err := s.checkRegion(ctx); err != nil {
		return err
	}
	if s.blobs, err = fs.Open(filepath.Join(data, blobDir), s.streams(tune)); err != nil {
		return err
	}
	s.onClose(s.blobs.Close)
	if tune.Blobs != nil {
		s.blobs = tune.Blobs(s.blobs)
	}
	if s.trail, err = audit.Open(ctx, AuditDir(data), audit.Config{
		Off: !s.cfg.Audit, Metrics: s.metrics, Log: s.log, Journal: s.rows, Region: s.cfg.Region, Account: s.cfg.AccountID,
		Limits: audit.Limits{Age: s.cfg.AuditRetention, Bytes: s.cfg.AuditMaxSize}, Relaxed: !s.cfg.AuditRequired,
	}); err != nil {
		return err
	}
	s.onClose(s.trail.Close)
	if err := s.openIndex(services.UploadBind().Key()); err != nil {
		return err
	}
	s.rootKeys, s.rootState, err = iam.OpenRoot(ctx, s.rows, services.IAMSecret().Key(), iam.RootConfig{
		Account: s.cfg.AccountID, AccessKeyID: s.cfg.RootAccessKeyID, SecretAccessKey: s.cfg.RootSecretAccessKey,
	})
	if err != nil {
		return err
	}
	if err := s.noteCredentials(ctx); err != nil {
		return err
	}
	if err := s.openSinks(ctx); err != nil {
		return err
	}
	s.iam, err = iam.Open(ctx, s.rows, services.IAMSecret().Key(), s.rootKeys, iam.Config{
		Region: s.cfg.Region, Log: s.log, Owns: s.ownedBy, Identities: remote.New(),
	})
	if err != nil {
		return err
	}
	s.onClose(func() error { return s.iam.Flush(context.Background()) })
	s.kms = kms.New(s.rows, builtin.New(s.rows, root, builtin.Config{Import: services.Import()}), s.trail, kms.Config{
		Region: s.cfg.Region, Metrics: s.metrics, Log: s.log, Quota: s.cfg.KMSRequestQuota, Policies: s.iam, S3Name: s.cfg.AuditS3Name,
	})
	s.bindKey, s.trailSign = services.UploadBind().Key(), services.TrailSign()
	return s.kms.TrackUses(ctx)
}

// streams returns the settings of the store of streams.
func (s *Server) streams(tune Tuning) fs.Config {
	c := fs.Config{FS: tune.Files, Metrics: s.metrics}
	if s.cfg.PackLimit > 0 {
		c.PackLimit = sse.MaxStored(s.cfg.PackLimit)
	}
	return c
}

// openServices builds core.
func (s *Server) openServices(tune Tuning) {
	viaS3 := s.viaS3()
	s.keys = bucketkey.New(viaS3, s.rows, bucketkey.Config{
		TTL: s.cfg.BucketKeyTTL, Window: tune.Window, Metrics: s.metrics, Spending: s.kms.Spending(),
		Throttled: func(err error) bool { return errors.Is(err, kms.Throttled) },
	})
	s.owned = bucketkey.New(s.kms.Owned(), s.rows, bucketkey.Config{TTL: bucketkey.MaxTTL, Window: tune.Window})
	s.onClose(func() error { s.keys.Close(); s.owned.Close(); return nil })
	s.kms.OnChange(s.keys.KeyChanged)
	s.buckets = bucket.New(s.rows, bucket.Config{
		Region: s.cfg.Region, Legacy: s.cfg.NewBucketDefaults == config.Legacy, Clear: s.clearBucket,
		Principals: s.iam, CanonicalID: s.iam.CanonicalID,
	})
	tune.Objects.InlineLimit, tune.Objects.Calendar = s.cfg.InlineLimit, s.calendar()
	if s.cfg.InlineLimit == 0 { // none, not the default
		tune.Objects.InlineLimit = -1
	}
	s.objects = object.New(s.buckets, s.rows, s.blobs, sse.New(viaS3, s.keys, s.owned), s.bindKey, tune.Objects)
	s.access = access.New(s.iam, s.buckets, s.objects, viaS3, access.Config{NamedKeys: s.cfg.KMSKeyIDCondition == config.HeaderOnly})
	s.delivery = delivery.New(s.access, s.objects, s.buckets, s.trail, delivery.Config{Region: s.cfg.Region, Name: s3api.Name, Room: s.room})
	s.kms.CountDependents(s.objects.Dependents)
	s.openTrails(tune.Trails)
	s.jobs = jobs.New(s.rows, jobs.Config{Sole: true, Log: s.log, Metrics: s.metrics})
	s.openLifecycle()
	ledger := bucketkey.NewLedger(s.kms.ForService(), s.rows, tune.Window)
	s.consolidator = consolidate.New(s.buckets, s.objects, ledger, s.jobs, consolidate.Config{Log: s.log, Metrics: s.metrics, Requests: s.keys.Requests})
}

// clearBucket drops what is kept for a bucket that was deleted.
func (s *Server) clearBucket(ctx context.Context, uid bucket.UID) error {
	if err := s.objects.Clear(ctx, uid); err != nil {
		return err
	}
	for _, c := range []*bucketkey.Cache{s.keys, s.owned} {
		c.Flush(func(b [16]byte, _ string) bool { return b == uid })
	}
	return bucketkey.Forget(ctx, s.rows, uid)
}

func (s *Server) newRoad(version any) *pipeline.Road {
	s3 := &s3api.API{Buckets: s.buckets, Objects: s.objects, Access: s.access, Logs: s.accessLog, Notifications: s.notifications, Domains: s.cfg.Domain,
		WebsiteDomains: s.cfg.WebsiteDomain}
	return pipeline.New(pipeline.Config{
		Region:    s.cfg.Region,
		Account:   s.rootKeys.Principal().Account,
		Verifier:  sigv4.New(credentials{s.iam}, sigv4.Config{Region: s.cfg.Region}),
		Authorize: s.iam.Authorize,
		Trail:     s.trail,
		Log:       s.log,
		Metrics:   s.metrics,
		Room:      s.room,
		Proxies:   s.cfg.TrustedProxies,
		BodyIdle:  s.cfg.ReadTimeout,
		SyncReads: s.cfg.AuditSyncReads,
	}, slices.Concat(s.sites(s3), s.operator(version).Families(), []*pipeline.Family{(&kmsapi.API{Keys: s.kms}).Family(), (&trailapi.API{Trails: s.trails}).Family()},
		(&iamapi.API{IAM: s.iam}).Families(), []*pipeline.Family{s3.Control(), s3.Family()})...)
}

// room refuses growth when the device is too full.
func (s *Server) room(ctx context.Context) error {
	avail, total, err := s.blobs.Free(ctx)
	if err != nil {
		return err
	}
	if total > 0 && s.cfg.MinFree.Short(uint64(avail), uint64(total)) {
		return fault.New(blob.Full, "").Because(fmt.Errorf("%d of %d bytes free", avail, total))
	}
	return nil
}

// Metrics returns the registry of the server's metrics.
func (s *Server) Metrics() *prometheus.Registry { return s.metrics }

// RootKeys returns the account's root access key.
func (s *Server) RootKeys() *iam.RootKeys { return s.rootKeys }

// IAM returns the accounts and who is in them, for a caller in this process that speaks
// no HTTP.
func (s *Server) IAM() *iam.Service { return s.iam }

// Objects returns the objects, for a caller in this process that speaks no HTTP.
// Of what it does nothing is authenticated, authorized or recorded.
func (s *Server) Objects() *object.Objects { return s.objects }

// FlushAudit writes to the audit trail's files what is not in them yet.
func (s *Server) FlushAudit() error { return s.trail.Flush() }

// Handler returns the server's HTTP handler.
func (s *Server) Handler() *pipeline.Road { return s.road }

func (s *Server) onClose(f func() error) { s.closers = append(s.closers, f) }

// Close releases everything. It must not be called while Serve runs.
func (s *Server) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

var _ io.Closer = (*Server)(nil)
