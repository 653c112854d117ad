// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// KeyService is the KMS as S3 uses it for a caller (kms.ViaS3), for objects that
// have a KMS data key of their own. It must be safe for concurrent use.
type KeyService interface {
	// Resolve returns the ARN of the key that a client named; "" is aws/s3.
	Resolve(ctx context.Context, by iam.Caller, key string) (keyARN string, err error)
	GenerateDataKey(ctx context.Context, by iam.Caller, keyARN string, ec kms.Context, gen string) (plaintext secret.Bytes, blob []byte, err error)
	Decrypt(ctx context.Context, by iam.Caller, keyARN string, blob []byte, ec kms.Context) (secret.Bytes, error)
}

// Applied is the encryption of what is stored. KeyARN is empty for SSE-S3.
type Applied struct {
	Algorithm, KeyARN string
	BucketKey         bool
	Generation        uuid.UUID // of the bucket key, also for SSE-S3; zero without one
}

// Keys makes the keys that objects are sealed with and opens them again. It is
// safe for concurrent use.
type Keys struct {
	s3    KeyService
	cache *bucketkey.Cache // over s3
	owned *bucketkey.Cache // over the service's own key, for SSE-S3
	bufs  *buffers
}

// New returns the service. cache holds the bucket keys of s3, owned those of the
// service's own KMS key (kms.Owned).
func New(s3 KeyService, cache, owned *bucketkey.Cache) *Keys {
	return &Keys{s3, cache, owned, newBuffers(SegmentLog2)}
}

// service is who uses the service's own key: one requester, whoever the caller is,
// for that key decides nothing about callers.
func service(by iam.Caller) iam.Caller {
	by.Principal = iam.Principal{Type: iam.AWSService, ARN: "coffer:sse-s3"}
	return by
}

// ForWrite makes the data key of a new object or upload. All work with KMS keys
// happens here. The caller clears the Sealing.
//
// Errors: NotYet; those of the key services; those of bucketkey.Cache.Sealer.
func (k *Keys) ForWrite(ctx context.Context, by iam.Caller, b bucketkey.Bucket, objectKey string, c Choice) (*Sealing, error) {
	s := &Sealing{keys: k, by: by}
	s.under = bucketkey.ForWrite{Bucket: b, Context: kms.Context{arnPair: aws.BucketARN(b.Name)}}
	var err error
	switch {
	case c.Algorithm == AES256:
		s.source, s.cache, s.by = fromService, k.owned, service(by)
		s.under.KeyARN, err = k.owned.Resolve(ctx, s.by, "")
	case c.Algorithm == KMS && c.BucketKey:
		s.source, s.cache = fromBucketKey, k.cache
		s.under.KeyARN, err = k.s3.Resolve(ctx, by, c.KeyID)
	case c.Algorithm == KMS:
		s.source = fromKMS
		s.under.Context = kms.Context{arnPair: aws.ObjectARN(b.Name, objectKey)}
		s.under.KeyARN, err = k.s3.Resolve(ctx, by, c.KeyID)
	case c.Algorithm == DSSE:
		return nil, fault.New(NotYet, "")
	default:
		return nil, unsupported(c.Algorithm)
	}
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	s.dek = secret.Random(secret.Size)
	return s, nil
}

// ForPart opens the data key of an upload again, to seal a part with it. d is the
// upload's descriptor. It proves kms:Decrypt, as S3 demands of who uploads a part.
// The caller clears the Sealing, which cannot wrap. Errors as ForRead.
func (k *Keys) ForPart(ctx context.Context, by iam.Caller, b bucketkey.Bucket, objectKey string, wrapped []byte, d [32]byte) (*Sealing, error) {
	dek, applied, err := k.unwrap(ctx, by, b, objectKey, wrapped, d)
	if err != nil {
		return nil, err
	}
	return &Sealing{keys: k, applied: applied, dek: dek}, nil
}

// ForRead opens the data key of an object. d is the digest of the descriptor that
// its wrap is bound to (BindOf). The caller clears the Opening.
//
// Errors: Damaged; NotYet; those of the key services; those of
// bucketkey.Cache.Opener.
func (k *Keys) ForRead(ctx context.Context, by iam.Caller, b bucketkey.Bucket, objectKey string, wrapped []byte, d [32]byte) (*Opening, error) {
	dek, applied, err := k.unwrap(ctx, by, b, objectKey, wrapped, d)
	if err != nil {
		return nil, err
	}
	return &Opening{keys: k, applied: applied, dek: dek}, nil
}

// Applied says how a data key is wrapped, without opening it and without a KMS
// request. Errors: Damaged, NotYet, bucketkey.NoGeneration, bucketkey.Damaged.
func (k *Keys) Applied(ctx context.Context, b bucketkey.Bucket, objectKey string, wrapped []byte) (Applied, error) {
	w, err := parseWrap(wrapped)
	if err != nil {
		return Applied{}, err
	}
	return k.applied(ctx, b, objectKey, w)
}

func (k *Keys) applied(ctx context.Context, b bucketkey.Bucket, objectKey string, w wrap) (Applied, error) {
	switch {
	case w.layer != 0 || w.source == fromCustomer:
		return Applied{}, fault.New(NotYet, "")
	case w.source == fromService:
		return Applied{Algorithm: AES256, Generation: w.ref}, nil
	case w.source == fromBucketKey:
		gen, err := k.cache.Generation(ctx, b.UID, w.ref)
		if err != nil {
			return Applied{}, err
		}
		if gen.Context[arnPair] != aws.BucketARN(b.Name) {
			return Applied{}, errElsewhere(b, objectKey)
		}
		return Applied{Algorithm: KMS, KeyARN: gen.KeyARN, BucketKey: true, Generation: gen.ID}, nil
	}
	d, err := parseDirect(w.vary)
	if err != nil {
		return Applied{}, fault.New(Damaged, "").Because(err)
	}
	a := Applied{Algorithm: KMS, KeyARN: d.keyARN}
	switch d.context[arnPair] {
	case aws.ObjectARN(b.Name, objectKey):
	case aws.BucketARN(b.Name): // a bucket key was asked for, and the bucket has too many contexts
		a.BucketKey = true
	default:
		return Applied{}, errElsewhere(b, objectKey)
	}
	return a, nil
}

// arnPair is the pair that S3 adds to every encryption context.
const arnPair = "aws:s3:arn"

func errElsewhere(b bucketkey.Bucket, objectKey string) error {
	return fault.New(Damaged, "").Because(fmt.Errorf("data key of %q in bucket %q is bound to another", objectKey, b.Name))
}

// unwrap opens a data key. What the wrap says of bucket and object is held against
// the request before any key service is asked.
func (k *Keys) unwrap(ctx context.Context, by iam.Caller, b bucketkey.Bucket, objectKey string, wrapped []byte, d [32]byte) (secret.Bytes, Applied, error) {
	w, err := parseWrap(wrapped)
	if err != nil {
		return secret.Bytes{}, Applied{}, err
	}
	a, err := k.applied(ctx, b, objectKey, w)
	if err != nil {
		return secret.Bytes{}, Applied{}, err
	}
	var dek secret.Bytes
	if w.source == fromKMS {
		dek, err = k.unwrapDirect(ctx, by, w, d)
	} else {
		dek, err = k.unwrapGeneration(ctx, by, b, w, d)
	}
	return dek, a, err
}

func (k *Keys) unwrapGeneration(ctx context.Context, by iam.Caller, b bucketkey.Bucket, w wrap, d [32]byte) (secret.Bytes, error) {
	cache := k.cache
	if w.source == fromService {
		cache, by = k.owned, service(by)
	}
	o, err := cache.Opener(ctx, by, bucketkey.ForRead{Bucket: b, Generation: w.ref})
	if err != nil {
		return secret.Bytes{}, err
	}
	return w.openDEK(o.Open, d)
}

func (k *Keys) unwrapDirect(ctx context.Context, by iam.Caller, w wrap, d [32]byte) (secret.Bytes, error) {
	p, err := parseDirect(w.vary)
	if err != nil {
		return secret.Bytes{}, fault.New(Damaged, "").Because(err)
	}
	key, err := k.s3.Decrypt(ctx, by, p.keyARN, p.blob, p.context)
	if err != nil {
		return secret.Bytes{}, err
	}
	aead, err := directAEAD(key, w.ref)
	if err != nil {
		return secret.Bytes{}, fault.New(Damaged, "").Because(err)
	}
	return w.openDEK(aead.Open, d)
}

// directAEAD returns what wraps a data key under a KMS data key, and wipes that.
func directAEAD(key secret.Bytes, ref [16]byte) (*secret.AEAD, error) {
	defer key.Clear()
	if key.Len() != secret.Size {
		return nil, errors.New("sse: KMS data key has a wrong length")
	}
	kek := secret.Derive(key, "dek-wrap", ref[:], secret.Size)
	defer kek.Clear()
	return secret.NewAEAD(kek), nil
}
