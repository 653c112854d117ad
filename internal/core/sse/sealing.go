// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"context"
	"crypto/rand"
	"errors"
	"io"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/blob"
)

// Sealing is the data key of an object being written; two of them when it is sealed
// in two layers. It belongs to one request and is not safe for concurrent use.
type Sealing struct {
	keys    *Keys
	applied Applied
	deks    dataKeys
	wraps   []*wrapping // one for each data key; none when they were opened for a part
}

// Applied says how the object is encrypted. Wrap may change the generation.
func (s *Sealing) Applied() Applied { return s.applied }

// Format says how the object's streams are sealed.
func (s *Sealing) Format() Format { return formatOf(len(s.deks)) }

// wrapping is what wraps one data key.
type wrapping struct {
	keys    *Keys
	by      iam.Caller
	source  source
	layer   byte
	under   bucketkey.ForWrite
	applied Applied

	sealer *bucketkey.Sealer // of a bucket key, or:
	aead   *secret.AEAD
	ref    [16]byte
	vary   []byte
}

// prepare gets the key that will wrap the data key.
func (w *wrapping) prepare(ctx context.Context) error {
	if w.source == fromCustomer { // its key came with the request
		return nil
	}
	if w.source != fromKMS {
		cache := w.keys.cache
		if w.source.ofService() {
			cache = w.keys.owned
		}
		sealer, err := cache.Sealer(ctx, w.by, w.under)
		if err == nil {
			w.sealer = sealer
			w.applied = Applied{Algorithm: w.source.reported(), Generation: sealer.Generation()}
			if !w.source.ofService() {
				w.applied.KeyARN, w.applied.BucketKey, w.applied.Event = w.under.KeyARN, true, sealer.Event()
			}
			return nil
		}
		if w.source.ofService() || !errors.Is(err, bucketkey.ErrTooManyContexts) {
			return err
		}
		// A KMS data key in the same context: no policy sees a difference.
	}
	ctx, event := audit.Naming(ctx)
	key, blob, err := w.keys.s3.GenerateDataKey(ctx, w.by, w.under.KeyARN, w.under.Context, "")
	if err != nil {
		return err
	}
	rand.Read(w.ref[:])
	if w.aead, err = directAEAD(key, w.ref); err != nil {
		return err
	}
	if w.vary, err = (direct{w.under.KeyARN, w.under.Context, blob}).encode(); err != nil {
		return err
	}
	w.applied = Applied{Algorithm: KMS, KeyARN: w.under.KeyARN, BucketKey: w.source == fromBucketKey, Event: event}
	w.source, w.sealer = fromKMS, nil
	return nil
}

// customer sets the wrapping up under the key that came with the request.
func (w *wrapping) customer(key CustomerKey) {
	w.source = fromCustomer
	rand.Read(w.ref[:])
	salt := make([]byte, 32, customerVary)
	rand.Read(salt)
	verifier, kek := customerKeys(salt, key.Key)
	defer kek.Clear()
	w.vary = append(salt, verifier.Reveal()...)
	w.aead = wrapAEAD(kek, w.ref)
	w.applied = Applied{Algorithm: Customer}
}

// wrap returns a data key wrapped and bound. When the request took so long that the
// bucket key should not be used any more, it gets the current one first.
func (w *wrapping) wrap(ctx context.Context, dek secret.Bytes, d [32]byte, bind Bind) ([]byte, error) {
	if w.sealer != nil && w.sealer.Stale() {
		if err := w.prepare(ctx); err != nil {
			return nil, err
		}
	}
	out := wrap{source: w.source, layer: w.layer, bind: bind, ref: w.ref, vary: w.vary}
	if w.sealer != nil {
		out.ref, out.vary = w.sealer.Generation(), nil
		return out.sealDEK(w.sealer.Seal, dek, d), nil
	}
	return out.sealDEK(w.aead.Seal, dek, d), nil
}

var errPart = errors.New("sse: the data key of a part is wrapped with its upload")

// Wrap returns the wrapped data key, bound to the descriptor with digest d. When
// the request took so long that the bucket key should not be used any more, it gets
// the current one first: then, and only then, it may fail as ForWrite does.
func (s *Sealing) Wrap(ctx context.Context, d [32]byte, bind Bind) ([]byte, error) {
	if len(s.wraps) == 0 {
		return nil, errPart
	}
	var all []byte
	for i, w := range s.wraps {
		b, err := w.wrap(ctx, s.deks[i], d, bind)
		if err != nil {
			return nil, err
		}
		all = append(all, b...)
	}
	s.applied = appliedBy(s.wraps)
	return all, nil
}

// appliedBy says what the wrappings of an object amount to.
func appliedBy(wraps []*wrapping) Applied {
	a := wraps[0].applied
	if len(wraps) > 1 {
		a.Algorithm = DSSE
	}
	return a
}

// UploadBind returns the key that binds a completed object's descriptor to the
// upload's data key, without the key that wraps it. The caller clears it.
func (s *Sealing) UploadBind(upload [16]byte) secret.Bytes { return uploadBind(s.deks, upload) }

func uploadBind(deks dataKeys, upload [16]byte) secret.Bytes {
	return secret.Derive(deks[0], "upload-bind", upload[:], secret.Size)
}

// AnnotationBind returns 32 bytes that nobody has without the data key: they bind what is
// said of an annotation to it. The caller clears them.
func (s *Sealing) AnnotationBind(entry []byte) secret.Bytes { return annotationBind(s.deks, entry) }

func annotationBind(deks dataKeys, entry []byte) secret.Bytes {
	return secret.Derive(deks[0], "annotation-bind", entry, secret.Size)
}

// NewWriter returns a Writer that seals the stream id into dst.
func (s *Sealing) NewWriter(dst io.Writer, id blob.StreamID) *Writer {
	return newWriter(dst, s.deks, id, s.keys.bufs)
}

// Clear wipes the data key. Writers made before keep working.
func (s *Sealing) Clear() { s.deks.clear() }

// Opening is the data key of an object being read. Its methods may be called
// concurrently.
type Opening struct {
	keys    *Keys
	applied Applied
	deks    dataKeys
}

// Applied says how the object is encrypted.
func (o *Opening) Applied() Applied { return o.applied }

// UploadBind is as Sealing's.
func (o *Opening) UploadBind(upload [16]byte) secret.Bytes { return uploadBind(o.deks, upload) }

// AnnotationBind is as Sealing's.
func (o *Opening) AnnotationBind(entry []byte) secret.Bytes { return annotationBind(o.deks, entry) }

// Sealing seals more streams under the object's data key. It cannot wrap, and ends with the
// Opening.
func (o *Opening) Sealing() *Sealing { return &Sealing{keys: o.keys, applied: o.applied, deks: o.deks} }

// NewReader returns a Reader of the stream id with size bytes of plaintext. open
// returns n bytes of the stored stream from off on; it may be called more than once
// and must not answer from a cache of its own that another call would not pass.
func (o *Opening) NewReader(id blob.StreamID, size int64, open func(off, n int64) (io.ReadCloser, error)) *Reader {
	return newReader(o.deks, id, size, open, o.keys.bufs)
}

// Clear wipes the data key. Call it when the Readers are done.
func (o *Opening) Clear() { o.deks.clear() }
