// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/audit"
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

// Applied is the encryption of what is stored, as it is reported. KeyARN is empty for
// SSE-S3.
type Applied struct {
	Algorithm, KeyARN string
	BucketKey         bool
	Generation        uuid.UUID // of the bucket key, also for SSE-S3; zero without one
	// Event is the id of the audit event of the KMS request that covers this use of the
	// key: the one by which the requester proved the permission, or the object's own. ""
	// when the key was not used, and for SSE-S3.
	Event string
}

// ByService reports whether nobody but the service holds a key: SSE-S3, and what is
// reported as not encrypted.
func (a Applied) ByService() bool { return a.Algorithm == AES256 || a.Algorithm == NotSSE }

// Audited is the encryption's name in an audit record, as SSEApplied: "" for what is
// reported as not encrypted.
func (a Applied) Audited(fromDefault bool) string {
	name := audited[a.Algorithm]
	if fromDefault {
		return name.byDefault
	}
	return name.asked
}

var audited = map[string]struct{ asked, byDefault string }{
	AES256:   {"SSE_S3", "Default_SSE_S3"},
	KMS:      {"SSE_KMS", "Default_SSE_KMS"},
	DSSE:     {"DSSE_KMS", "Default_DSSE_KMS"},
	Customer: {"SSE_C", "Default_SSE_C"},
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
	return &Keys{s3, cache, owned, newBuffers(segmentLog2)}
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
// Errors: BadContext; those of the key services; those of bucketkey.Cache.Sealer.
func (k *Keys) ForWrite(ctx context.Context, by iam.Caller, b bucketkey.Bucket, objectKey string, c Choice) (*Sealing, error) {
	s := &Sealing{keys: k}
	var err error
	switch c.Algorithm {
	case AES256:
		err = s.add(ctx, k.ofService(by, b, fromService))
	case NotSSE:
		err = s.add(ctx, k.ofService(by, b, fromLegacy))
	case KMS:
		err = s.addKMS(ctx, by, b, objectKey, c)
	case DSSE:
		c.BucketKey = false
		if err = s.addKMS(ctx, by, b, objectKey, c); err == nil {
			err = s.add(ctx, k.ofService(by, b, fromService))
		}
	case Customer:
		w := &wrapping{keys: k}
		w.customer(c.Customer)
		err = s.add(ctx, w)
	default:
		err = unsupported(c.Algorithm)
	}
	if err != nil {
		s.Clear()
		return nil, err
	}
	if len(s.wraps) > 1 {
		for i, w := range s.wraps {
			w.layer = byte(i + 1)
		}
	}
	s.applied = appliedBy(s.wraps)
	return s, nil
}

// ofService wraps under a bucket key of the service's own KMS key.
func (k *Keys) ofService(by iam.Caller, b bucketkey.Bucket, s source) *wrapping {
	return &wrapping{keys: k, by: service(by), source: s, under: bucketkey.ForWrite{
		Bucket: b, Context: kms.Context{arnPair: aws.BucketARN(b.Name)},
	}}
}

// addKMS adds a layer under a KMS key.
func (s *Sealing) addKMS(ctx context.Context, by iam.Caller, b bucketkey.Bucket, objectKey string, c Choice) (err error) {
	w := &wrapping{keys: s.keys, by: by, source: fromKMS, under: bucketkey.ForWrite{Bucket: b}}
	arn := aws.ObjectARN(b.Name, objectKey)
	if c.BucketKey {
		w.source, arn = fromBucketKey, aws.BucketARN(b.Name)
	}
	if w.under.Context, err = c.context(arn); err != nil {
		return err
	}
	if w.under.KeyARN, err = s.keys.s3.Resolve(ctx, by, c.KeyID); err != nil {
		return err
	}
	return s.add(ctx, w)
}

// add adds a layer: a wrapping, and the data key that it will wrap.
func (s *Sealing) add(ctx context.Context, w *wrapping) (err error) {
	if w.source.ofService() {
		if w.under.KeyARN, err = s.keys.owned.Resolve(ctx, w.by, ""); err != nil {
			return err
		}
	}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	s.wraps = append(s.wraps, w)
	s.deks = append(s.deks, secret.Random(secret.Size))
	return nil
}

// ForRewrap prepares the data key of an object, as opened, to be wrapped again under
// another choice: KMS, since one of its layers is one data key. The bodies do not
// change. The caller clears the Sealing and not the Opening. Errors as ForWrite.
func (k *Keys) ForRewrap(ctx context.Context, by iam.Caller, b bucketkey.Bucket, objectKey string, o *Opening, c Choice) (*Sealing, error) {
	if len(o.deks) != 1 || c.Algorithm != KMS {
		return nil, fault.New(NotRewrappable, "")
	}
	s, err := k.ForWrite(ctx, by, b, objectKey, c)
	if err != nil {
		return nil, err
	}
	s.deks.clear()
	s.deks = o.deks
	return s, nil
}

// Verify opens a new wrap and compares its data key with the one that was wrapped:
// what replaces the only way to an object's bytes must be known to be one.
func (s *Sealing) Verify(ctx context.Context, b bucketkey.Bucket, wrapped []byte, d [32]byte) error {
	w := s.wraps[0]
	layers, err := parseWraps(wrapped)
	if err != nil {
		return err
	}
	var dek secret.Bytes
	if w.sealer != nil {
		dek, _, err = s.keys.unwrapGeneration(ctx, w.by, b, layers.at[0], d)
	} else {
		dek, err = layers.at[0].openDEK(w.aead.Open, d)
	}
	if err != nil {
		return err
	}
	defer dek.Clear()
	if !dek.Equal(s.deks[0]) {
		return fault.New(Damaged, "").Because(errors.New("a new wrap opens to another data key"))
	}
	return nil
}

// ForPart opens the data key of an upload again, to seal a part with it. d is the
// upload's descriptor. It proves kms:Decrypt, as S3 demands of who uploads a part.
// The caller clears the Sealing, which cannot wrap. Errors as ForRead, but for those
// of customers' keys: UploadNeedsCustomer, UploadOtherCustomer.
func (k *Keys) ForPart(ctx context.Context, by iam.Caller, b bucketkey.Bucket, objectKey string, wrapped []byte, d [32]byte, key CustomerKey) (*Sealing, error) {
	if err := CheckPart(wrapped, key); err != nil {
		return nil, err
	}
	deks, applied, err := k.unwrap(ctx, by, b, objectKey, wrapped, d, key)
	if err != nil {
		return nil, err
	}
	return &Sealing{keys: k, applied: applied, deks: deks}, nil
}

// ForRead opens the data key of an object. d is the digest of the descriptor that
// its wrap is bound to (BindOf). The caller clears the Opening.
//
// Errors: Damaged; CustomerNeeded, CustomerWrong, CustomerNotApplicable; those of the
// key services; those of bucketkey.Cache.Opener.
func (k *Keys) ForRead(ctx context.Context, by iam.Caller, b bucketkey.Bucket, objectKey string, wrapped []byte, d [32]byte, key CustomerKey) (*Opening, error) {
	deks, applied, err := k.unwrap(ctx, by, b, objectKey, wrapped, d, key)
	if err != nil {
		return nil, err
	}
	return &Opening{keys: k, applied: applied, deks: deks}, nil
}

// Applied says how a data key is wrapped, without opening it and without a KMS
// request. Errors: Damaged, bucketkey.NoGeneration, bucketkey.Damaged.
func (k *Keys) Applied(ctx context.Context, b bucketkey.Bucket, objectKey string, wrapped []byte) (Applied, error) {
	layers, err := parseWraps(wrapped)
	if err != nil {
		return Applied{}, err
	}
	return k.appliedOf(ctx, b, objectKey, &layers)
}

func (k *Keys) appliedOf(ctx context.Context, b bucketkey.Bucket, objectKey string, layers *wraps) (Applied, error) {
	a, err := k.applied(ctx, b, objectKey, layers.at[0])
	if err == nil && layers.n > 1 {
		a.Algorithm = DSSE
	}
	return a, err
}

func (k *Keys) applied(ctx context.Context, b bucketkey.Bucket, objectKey string, w wrap) (Applied, error) {
	switch w.source {
	case fromCustomer:
		return Applied{Algorithm: w.source.reported()}, nil
	case fromService, fromLegacy:
		return Applied{Algorithm: w.source.reported(), Generation: w.ref}, nil
	case fromBucketKey:
		gen, err := k.cache.Generation(ctx, b.UID, w.ref)
		if err != nil {
			return Applied{}, err
		}
		if !gen.Names(b.Name) {
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

// unwrap opens the data keys of an object. What the wrap says of bucket and object,
// and the key that came with the request, are checked before any key service is
// asked.
func (k *Keys) unwrap(ctx context.Context, by iam.Caller, b bucketkey.Bucket, objectKey string, wrapped []byte, d [32]byte, key CustomerKey) (dataKeys, Applied, error) {
	layers, err := parseWraps(wrapped)
	if err != nil {
		return nil, Applied{}, err
	}
	if err := checkCustomer(layers.at[0], key); err != nil {
		return nil, Applied{}, err
	}
	a, err := k.appliedOf(ctx, b, objectKey, &layers)
	if err != nil {
		return nil, Applied{}, err
	}
	var deks dataKeys
	for _, w := range layers.all() {
		dek, event, err := k.unwrapOne(ctx, by, b, w, d, key)
		if err != nil {
			deks.clear()
			return nil, Applied{}, err
		}
		if event != "" {
			a.Event = event
		}
		deks = append(deks, dek)
	}
	return deks, a, nil
}

// unwrapOne opens a layer. event is that of the KMS request that covers it, "" for none.
func (k *Keys) unwrapOne(ctx context.Context, by iam.Caller, b bucketkey.Bucket, w wrap, d [32]byte, key CustomerKey) (dek secret.Bytes, event string, err error) {
	switch w.source {
	case fromKMS:
		return k.unwrapDirect(ctx, by, w, d)
	case fromCustomer:
		aead, err := customerAEAD(w, key)
		if err != nil {
			return secret.Bytes{}, "", err
		}
		dek, err = w.openDEK(aead.Open, d)
		return dek, "", err
	}
	return k.unwrapGeneration(ctx, by, b, w, d)
}

func (k *Keys) unwrapGeneration(ctx context.Context, by iam.Caller, b bucketkey.Bucket, w wrap, d [32]byte) (dek secret.Bytes, event string, err error) {
	cache := k.cache
	if w.source.ofService() {
		cache, by = k.owned, service(by)
	}
	o, err := cache.Opener(ctx, by, bucketkey.ForRead{Bucket: b, Generation: w.ref})
	if err != nil {
		return secret.Bytes{}, "", err
	}
	if !w.source.ofService() {
		event = o.Event()
	}
	dek, err = w.openDEK(o.Open, d)
	return dek, event, err
}

func (k *Keys) unwrapDirect(ctx context.Context, by iam.Caller, w wrap, d [32]byte) (dek secret.Bytes, event string, err error) {
	p, err := parseDirect(w.vary)
	if err != nil {
		return secret.Bytes{}, "", fault.New(Damaged, "").Because(err)
	}
	ctx, event = audit.Naming(ctx)
	key, err := k.s3.Decrypt(ctx, by, p.keyARN, p.blob, p.context)
	if err != nil {
		return secret.Bytes{}, "", err
	}
	aead, err := directAEAD(key, w.ref)
	if err != nil {
		return secret.Bytes{}, "", fault.New(Damaged, "").Because(err)
	}
	dek, err = w.openDEK(aead.Open, d)
	return dek, event, err
}

// directAEAD returns what wraps a data key under a KMS data key, and wipes that.
func directAEAD(key secret.Bytes, ref [16]byte) (*secret.AEAD, error) {
	defer key.Clear()
	if key.Len() != secret.Size {
		return nil, errors.New("sse: KMS data key has a wrong length")
	}
	return wrapAEAD(key, ref), nil
}

// wrapAEAD returns what wraps a data key under a key.
func wrapAEAD(key secret.Bytes, ref [16]byte) *secret.AEAD {
	kek := secret.Derive(key, "dek-wrap", ref[:], secret.Size)
	defer kek.Clear()
	return secret.NewAEAD(kek)
}

// CheckKey holds the key that a request brought against a wrapped data key, as
// ForRead does, and opens nothing. Errors: Damaged, CustomerNeeded, CustomerWrong,
// CustomerNotApplicable.
func CheckKey(wrapped []byte, key CustomerKey) error {
	layers, err := parseWraps(wrapped)
	if err != nil {
		return err
	}
	return checkCustomer(layers.at[0], key)
}

// CheckPart is CheckKey for a part of an upload. Errors: Damaged,
// UploadNeedsCustomer, UploadOtherCustomer.
func CheckPart(wrapped []byte, key CustomerKey) error {
	err := CheckKey(wrapped, key)
	switch {
	case errors.Is(err, CustomerNeeded), errors.Is(err, CustomerNotApplicable):
		return fault.New(UploadNeedsCustomer, "")
	case errors.Is(err, CustomerWrong):
		return fault.New(UploadOtherCustomer, "")
	}
	return err
}
