// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

// operator is what operators can see and do.
func (s *Server) operator(version any) *opsapi.API {
	return &opsapi.API{
		Domains: s.cfg.Domain, Peers: s.cfg.MetricsPeers, Metrics: s.metrics,
		Checks: []opsapi.Check{
			{Name: "metadata", Run: s.checkRows},
			{Name: "room", Run: s.room},
		},
		Version: version, Config: s.cfg.Values(), AuditDir: AuditDir(s.cfg.Data), Trail: s.trail, Index: s.index,
		FlushKeys: s.flushKeys, SetLegacy: s.buckets.SetLegacy, Accounts: s.iam, BucketKeys: s.consolidator, Lifecycle: s.lifecycle, Preflight: s.preflight,
		Scrub: func(ctx context.Context, deep bool, report func(any)) error {
			return s.objects.Scrub(ctx, deep, func(r object.ScrubReport) { report(r) })
		},
		Stopping: s.stopping, Log: s.log,
	}
}

// checkRows reads a row.
func (s *Server) checkRows(ctx context.Context) error {
	if _, err := s.rows.Get(ctx, []byte("i/root")); err != nil {
		return fmt.Errorf("read a row: %w", err)
	}
	return nil
}

// flushKeys drops the bucket keys of KMS keys from memory: those of a bucket,
// those under a key, or all.
func (s *Server) flushKeys(ctx context.Context, name, keyARN string) (int, error) {
	var uid bucket.UID
	if name != "" {
		b, err := s.buckets.Find(ctx, bucket.Ref{Bucket: name})
		if err != nil {
			return 0, err
		}
		uid = b.UID
	}
	return s.keys.Flush(func(b [16]byte, arn string) bool {
		return (name == "" || b == uid) && (keyARN == "" || arn == keyARN)
	}), nil
}
