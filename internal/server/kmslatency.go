// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/secret"
)

// viaS3 returns the KMS as S3 uses it, as far away as the configuration says.
func (s *Server) viaS3() interface {
	bucketkey.KeyService
	sse.KeyService
} {
	if s.cfg.KMSLatency == 0 {
		return s.kms.ViaS3()
	}
	return distant{s.kms.ViaS3(), s.cfg.KMSLatency}
}

// distant holds up each KMS request before it is served. What is no request, such
// as Check, is not held up.
type distant struct {
	*kms.ViaS3
	latency time.Duration
}

func (d distant) GenerateDataKey(ctx context.Context, by iam.Caller, keyARN string, ec kms.Context, gen string) (secret.Bytes, []byte, error) {
	d.wait(ctx)
	return d.ViaS3.GenerateDataKey(ctx, by, keyARN, ec, gen)
}

func (d distant) Decrypt(ctx context.Context, by iam.Caller, keyARN string, blob []byte, ec kms.Context) (secret.Bytes, error) {
	d.wait(ctx)
	return d.ViaS3.Decrypt(ctx, by, keyARN, blob, ec)
}

func (d distant) OpenBucketKey(ctx context.Context, by iam.Caller, class kms.Class, keyARN string, blob []byte, ec kms.Context, gen string) (secret.Bytes, error) {
	d.wait(ctx)
	return d.ViaS3.OpenBucketKey(ctx, by, class, keyARN, blob, ec, gen)
}

// wait takes the latency, or less if ctx ends: the request then finds out itself.
func (d distant) wait(ctx context.Context) {
	t := time.NewTimer(d.latency)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
