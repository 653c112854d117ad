// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"

	"github.com/cofferstore/coffer/internal/core/replication"
	"github.com/cofferstore/coffer/internal/wire/s3api"
)

// openReplication begins to note what buckets' rules of replication demand. Upkeep does it.
func (s *Server) openReplication(ctx context.Context) (err error) {
	s.replication, err = replication.Open(ctx, replication.Parts{
		Rows: s.rows, Buckets: s.buckets, Objects: s.objects, Access: s.access, Roles: s.iam, Keys: s.viaS3(), Trail: s.trail, Events: s.notifications,
	}, replication.Config{Region: s.cfg.Region, Room: s.room, Name: s3api.Name, Metrics: s.metrics, Log: s.log})
	if err != nil {
		return err
	}
	s.objects.ReplicateWith(s.replication)
	return nil
}
