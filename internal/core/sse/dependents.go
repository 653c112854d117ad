// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"context"

	"github.com/cofferstore/coffer/internal/fault"
)

// KeyARN returns the ARN of the KMS key that a wrapped data key depends on, "" when
// nobody's KMS key is under it (SSE-S3, SSE-C). It opens nothing and makes no KMS
// request. Errors: as Applied's.
func (k *Keys) KeyARN(ctx context.Context, bucket [16]byte, wrapped []byte) (string, error) {
	layers, err := parseWraps(wrapped)
	if err != nil {
		return "", err
	}
	switch w := layers.at[0]; w.source { // both layers of DSSE are under one key
	case fromCustomer, fromService, fromLegacy:
		return "", nil
	case fromBucketKey:
		gen, err := k.cache.Generation(ctx, bucket, w.ref)
		if err != nil {
			return "", err
		}
		return gen.KeyARN, nil
	default:
		d, err := parseDirect(w.vary)
		if err != nil {
			return "", fault.New(Damaged, "").Because(err)
		}
		return d.keyARN, nil
	}
}
