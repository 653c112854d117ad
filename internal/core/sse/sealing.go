// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"context"
	"crypto/rand"
	"errors"
	"io"

	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/blob"
)

// Sealing is the data key of an object being written. It belongs to one request
// and is not safe for concurrent use.
type Sealing struct {
	keys    *Keys
	applied Applied
	dek     secret.Bytes

	// What wraps the data key; all unset when it was opened for a part.
	by     iam.Caller
	source source
	cache  *bucketkey.Cache // nil for fromKMS
	under  bucketkey.ForWrite
	sealer *bucketkey.Sealer // or, for fromKMS:
	aead   *secret.AEAD
	ref    [16]byte
	vary   []byte
}

// Applied says how the object is encrypted. Wrap may change the generation.
func (s *Sealing) Applied() Applied { return s.applied }

// prepare gets the key that will wrap the data key.
func (s *Sealing) prepare(ctx context.Context) error {
	if s.source != fromKMS {
		sealer, err := s.cache.Sealer(ctx, s.by, s.under)
		if err == nil {
			s.sealer = sealer
			s.applied = Applied{Algorithm: KMS, KeyARN: s.under.KeyARN, BucketKey: true, Generation: sealer.Generation()}
			if s.source == fromService {
				s.applied = Applied{Algorithm: AES256, Generation: sealer.Generation()}
			}
			return nil
		}
		if s.source == fromService || !errors.Is(err, bucketkey.ErrTooManyContexts) {
			return err
		}
		// A KMS data key in the same context: no policy sees a difference.
	}
	key, blob, err := s.keys.s3.GenerateDataKey(ctx, s.by, s.under.KeyARN, s.under.Context, "")
	if err != nil {
		return err
	}
	rand.Read(s.ref[:])
	if s.aead, err = directAEAD(key, s.ref); err != nil {
		return err
	}
	if s.vary, err = (direct{s.under.KeyARN, s.under.Context, blob}).encode(); err != nil {
		return err
	}
	s.applied = Applied{Algorithm: KMS, KeyARN: s.under.KeyARN, BucketKey: s.source == fromBucketKey}
	s.source, s.sealer = fromKMS, nil
	return nil
}

var errPart = errors.New("sse: the data key of a part is wrapped with its upload")

// Wrap returns the wrapped data key, bound to the descriptor with digest d. When
// the request took so long that the bucket key should not be used any more, it gets
// the current one first: then, and only then, it may fail as ForWrite does.
func (s *Sealing) Wrap(ctx context.Context, d [32]byte, bind Bind) ([]byte, error) {
	if s.source == 0 {
		return nil, errPart
	}
	if s.sealer != nil && s.sealer.Stale() {
		if err := s.prepare(ctx); err != nil {
			return nil, err
		}
	}
	w := wrap{source: s.source, bind: bind}
	if s.sealer != nil {
		w.ref = s.sealer.Generation()
		return w.sealDEK(s.sealer.Seal, s.dek, d), nil
	}
	w.ref, w.vary = s.ref, s.vary
	return w.sealDEK(s.aead.Seal, s.dek, d), nil
}

// UploadBind returns the key that binds a completed object's descriptor to the
// upload's data key, without the key that wraps it. The caller clears it.
func (s *Sealing) UploadBind(upload [16]byte) secret.Bytes { return uploadBind(s.dek, upload) }

func uploadBind(dek secret.Bytes, upload [16]byte) secret.Bytes {
	return secret.Derive(dek, "upload-bind", upload[:], secret.Size)
}

// NewWriter returns a Writer that seals the stream id into dst.
func (s *Sealing) NewWriter(dst io.Writer, id blob.StreamID) *Writer {
	return newWriter(dst, s.dek, id, s.keys.bufs)
}

// Clear wipes the data key. Writers made before keep working.
func (s *Sealing) Clear() { s.dek.Clear() }

// Opening is the data key of an object being read. Its methods may be called
// concurrently.
type Opening struct {
	keys    *Keys
	applied Applied
	dek     secret.Bytes
}

// Applied says how the object is encrypted.
func (o *Opening) Applied() Applied { return o.applied }

// UploadBind is as Sealing's.
func (o *Opening) UploadBind(upload [16]byte) secret.Bytes { return uploadBind(o.dek, upload) }

// NewReader returns a Reader of the stream id with size bytes of plaintext. open
// returns n bytes of the stored stream from off on; it may be called more than once
// and must not answer from a cache of its own that another call would not pass.
func (o *Opening) NewReader(id blob.StreamID, size int64, open func(off, n int64) (io.ReadCloser, error)) *Reader {
	return newReader(o.dek, id, size, open, o.keys.bufs)
}

// Clear wipes the data key. Call it when the Readers are done.
func (o *Opening) Clear() { o.dek.Clear() }
