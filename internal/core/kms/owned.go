// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"sync"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// ownedBy stands in place of an account in the service-owned key's ARN. No
// account is called so, and the ARN names no region, so that no client's key
// can have it.
const ownedBy = "coffer"

// Owned is the service-owned key, which protects what nobody chose a key for
// (SSE-S3). It has the methods of [ViaS3], but no policy and no states, it
// appears in no list, and its use is neither counted nor recorded. It is made on
// first use.
type Owned struct {
	s *Service

	mu  sync.Mutex
	key *key // never changes once it is made
}

// Resolve returns the key's ARN, whatever key is asked for.
func (o *Owned) Resolve(ctx context.Context, _ iam.Caller, _ string) (keyARN string, err error) {
	k, err := o.load(ctx)
	if err != nil {
		return "", err
	}
	return ownedARN(k), nil
}

// Check fails only for the ARN of another key.
func (o *Owned) Check(ctx context.Context, _ iam.Caller, _ Class, keyARN string, _ Context) error {
	_, err := o.named(ctx, keyARN)
	return err
}

// GenerateDataKey makes a 32-byte key and its blob.
func (o *Owned) GenerateDataKey(ctx context.Context, _ iam.Caller, keyARN string, ec Context, _ string) (plaintext secret.Bytes, blob []byte, err error) {
	k, err := o.named(ctx, keyARN)
	if err != nil {
		return secret.Bytes{}, nil, err
	}
	canonical, err := ec.Canonical()
	if err != nil {
		return secret.Bytes{}, nil, err
	}
	plaintext = secret.Random(secret.Size)
	if blob, err = o.s.encryptUnder(ctx, k, plaintext, canonical, true); err != nil {
		plaintext.Clear()
		return secret.Bytes{}, nil, err
	}
	return plaintext, blob, nil
}

// Decrypt opens a blob that GenerateDataKey made.
func (o *Owned) Decrypt(ctx context.Context, _ iam.Caller, keyARN string, blob []byte, ec Context) (secret.Bytes, error) {
	k, err := o.named(ctx, keyARN)
	if err != nil {
		return secret.Bytes{}, err
	}
	canonical, err := ec.Canonical()
	if err != nil {
		return secret.Bytes{}, err
	}
	ref, held, err := o.s.materials.Inspect(blob)
	if err != nil {
		return secret.Bytes{}, fromMaterials(err)
	}
	if ref.Key != k.ID || !held {
		return secret.Bytes{}, fault.New(InvalidCiphertext, "")
	}
	plaintext, err := o.s.materials.Decrypt(ctx, blob, canonical)
	if err != nil {
		return secret.Bytes{}, fromMaterials(err)
	}
	return plaintext, nil
}

// OpenBucketKey is Decrypt.
func (o *Owned) OpenBucketKey(ctx context.Context, by iam.Caller, _ Class, keyARN string, blob []byte, ec Context, _ string) (secret.Bytes, error) {
	return o.Decrypt(ctx, by, keyARN, blob, ec)
}

func ownedARN(k *key) string { return aws.KeyARN("", ownedBy, k.ID.String()) }

func (o *Owned) named(ctx context.Context, keyARN string) (*key, error) {
	k, err := o.load(ctx)
	if err != nil {
		return nil, err
	}
	if keyARN != ownedARN(k) {
		return nil, fault.New(NotFound, "Key '%s' does not exist", keyARN)
	}
	return k, nil
}

// load holds the lock while it reads or makes the key: that happens once, and
// until then nobody can go on without it.
func (o *Owned) load(ctx context.Context) (*key, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.key == nil {
		item, err := meta.Get1(ctx, o.s.store, []byte(serviceRow))
		if err != nil {
			return nil, fromMeta(err)
		}
		if item.Ver != 0 {
			if o.key, err = decodeKey(item.Value, item.Ver); err != nil {
				return nil, err
			}
			break
		}
		if err := o.create(ctx); err != nil {
			return nil, err
		}
	}
	return o.key, nil
}

// create makes the key unless another node just did.
func (o *Owned) create(ctx context.Context) error {
	k := newKey(ownedBy, ManagerAWS)
	m, err := o.s.materials.Generate(ctx, keystore.Ref{Key: k.ID, Version: 1}, keystore.Spec(k.Spec))
	if err != nil {
		return fromMaterials(err)
	}
	k.addMaterial(m, k.Created, "")
	var b meta.Batch
	b.PutIf([]byte(serviceRow), encode(k), 0)
	_, err = o.s.store.Commit(ctx, &b)
	if isConflict(err) {
		// Best effort: what stays is sealed, and named by nothing.
		_ = o.s.materials.Destroy(ctx, k.ID)
		return nil
	}
	if err != nil {
		return fromMeta(err)
	}
	return nil
}
