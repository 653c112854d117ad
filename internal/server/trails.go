// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"context"

	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/trails"
	"github.com/cofferstore/coffer/internal/wire/s3api"
)

// openTrails builds the trails, and who delivers them.
func (s *Server) openTrails(tune trails.CourierConfig) {
	signer := trails.NewSigner(s.rows, s.trailSign)
	s.trails = trails.New(s.rows, trails.Config{
		Region: s.cfg.Region, Policy: s.iam, Buckets: s.access, Keys: trailKeys{s.kms.ViaS3(), s.kms.ForService()},
		Head: s.trail.End, Index: s.index, PublicKeys: signer.PublicKeys,
	})
	tune.Name, tune.Log, tune.Every = s3api.Name, s.log, cmp.Or(tune.Every, s.cfg.TrailInterval)
	s.courier = trails.NewCourier(s.trails, s.trail, s.delivery, signer, tune)
}

// trailKeys are KMS keys as trails need them: as S3 uses them, and whether they can be
// used at all.
type trailKeys struct {
	*kms.ViaS3
	upkeep *kms.ForService
}

// Usable says whether there is such a key, and its state.
func (k trailKeys) Usable(ctx context.Context, arn string) error { return k.upkeep.Usable(ctx, arn) }
