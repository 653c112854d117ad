// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// UploadPart stores a part.
type UploadPart struct {
	UploadRef
	Number   int
	Body     io.Reader
	Size     int64
	Expect   Expect
	Customer sse.CustomerKey
}

// Needs says what the request must be allowed.
func (in UploadPart) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutObject", Resource: in.ARN()}}
}

// StoredPart describes a part that was stored.
type StoredPart struct {
	Number   int
	ETag     string
	Size     int64
	Modified time.Time
	Checksum Checksum
	SSE      sse.Applied
}

// UploadPart stores a part of an upload, replacing an earlier one of its number.
// Faults: NoSuchUpload, PartNumberOutOfBounds, InvalidUpload, and as Put.
func (o *Objects) UploadPart(ctx context.Context, by iam.Caller, in UploadPart) (StoredPart, error) {
	b, u, err := o.forPart(ctx, by, in.UploadRef, in.Number)
	if err != nil {
		return StoredPart{}, err
	}
	if a := in.Expect.Algorithm; u.Declared && a != "" && a != u.Checksum.Algorithm {
		return StoredPart{}, fault.New(InvalidUpload, "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", lower(u.Checksum.Algorithm), lower(a))
	}
	if err := checkDigest(b, by, u.Lock, in.Expect, "Part"); err != nil {
		return StoredPart{}, err
	}
	s, err := o.partSealing(ctx, by, b, u, in.Customer)
	if err != nil {
		return StoredPart{}, err
	}
	defer s.Clear()
	return o.storePart(ctx, b, u, s, in)
}

// forPart finds the upload that a part is for.
func (o *Objects) forPart(ctx context.Context, by iam.Caller, ref UploadRef, number int) (*bucket.Bucket, *upload, error) {
	if number < 1 || number > MaxParts {
		return nil, nil, fault.New(PartNumberOutOfBounds, "").With("ArgumentName", "partNumber").With("ArgumentValue", fmt.Sprint(number))
	}
	b, err := o.buckets.ForWrite(ctx, ref.Ref.Ref)
	if err != nil {
		return nil, nil, err
	}
	u, _, err := o.upload(ctx, b, ref)
	if err == nil {
		err = u.checkInitiator(b, by)
	}
	return b, u, err
}

// partSealing opens the upload's data key, which S3 counts as a read of it.
func (o *Objects) partSealing(ctx context.Context, by iam.Caller, b *bucket.Bucket, u *upload, key sse.CustomerKey) (*sse.Sealing, error) {
	a, err := o.keys.Applied(ctx, keyBucket(b), u.Key, u.Wrap)
	if err != nil {
		return nil, err
	}
	if err := sse.CheckTransport(sse.Choice{Algorithm: a.Algorithm}, by); err != nil {
		return nil, err
	}
	if a.Algorithm == sse.Customer {
		if err := notBlocked(b, by, u.Key); err != nil {
			return nil, err
		}
	}
	return o.keys.ForPart(ctx, by, keyBucket(b), u.Key, u.Wrap, u.descriptor(), key)
}

func (o *Objects) storePart(ctx context.Context, b *bucket.Bucket, u *upload, s *sse.Sealing, in UploadPart) (StoredPart, error) {
	st, err := o.ingest(ctx, s, in.Body, ingestion{
		size: in.Size, limit: o.cfg.MaxPart, expect: in.Expect, algorithm: u.Checksum.Algorithm, etagMD5: u.PlainETag, part: true,
	})
	if err != nil {
		return StoredPart{}, err
	}
	st.Number = uint32(in.Number)
	p := &uploadedPart{
		part: st.part, ETag: etag(u.PlainETag, st.md5), Stored: st.stored,
		Modified: time.Now().UnixMilli(), Upload: u.row(),
	}
	p.Checksum = st.checksum
	out := describePart(u, p)
	out.SSE = s.Applied()
	if out.Checksum, err = in.Expect.answered(out.Checksum); err != nil {
		o.discard(ctx, st)
		return StoredPart{}, err
	}
	err = o.retry(ctx, in.Ref, b.UID, func(b *bucket.Bucket) error {
		_, ver, err := o.upload(ctx, b, in.UploadRef)
		if err != nil {
			return err
		}
		old, err := meta.Get1(ctx, o.store, partKey(u.ID.uid, st.Number))
		if err != nil {
			return fmt.Errorf("read the part before: %w", err)
		}
		var batch meta.Batch
		guard, guardVer := b.Guard()
		batch.Cond(guard, guardVer)
		batch.Cond(u.row(), ver)
		batch.PutIf(old.Key, p.encode(), old.Ver)
		st.record(&batch)
		if old.Ver != 0 {
			op, err := decodeUploadedPart(old.Value)
			if err != nil {
				return err
			}
			o.release(&batch, &record{Parts: []part{op.part}})
		}
		return o.conclude(ctx, &batch, out)
	})
	if err != nil {
		if !outcomeOpen(err) {
			o.discard(ctx, st)
		}
		return StoredPart{}, err
	}
	return out, nil
}

func describePart(u *upload, p *uploadedPart) StoredPart {
	out := StoredPart{Number: int(p.Number), ETag: p.ETag, Size: p.Size, Modified: time.UnixMilli(p.Modified).UTC()}
	if p.Checksum != nil {
		out.Checksum = Checksum{Algorithm: u.Checksum.Algorithm, Value: p.Checksum}
	}
	return out
}

// CopyPart stores a part that is a range of another object.
type CopyPart struct {
	UploadRef
	Number   int
	Source   Source
	Range    string // x-amz-copy-source-range; "" for the whole source
	Customer sse.CustomerKey
}

// Needs says what the request must be allowed.
func (in CopyPart) Needs() []policy.Need {
	return []policy.Need{in.Source.need(), {Action: "s3:PutObject", Resource: in.ARN()}}
}

// CopiedPart describes a part that was copied.
type CopiedPart struct {
	StoredPart
	SourceVersionID string
	SourceSSE       sse.Applied
}

// CopyPart stores a part that is a range of another object. Faults: as UploadPart
// and Copy, InvalidCopyRange.
func (o *Objects) CopyPart(ctx context.Context, by iam.Caller, in CopyPart) (CopiedPart, error) {
	b, u, err := o.forPart(ctx, by, in.UploadRef, in.Number)
	if err != nil {
		return CopiedPart{}, err
	}
	src, err := o.source(ctx, by, in.Source)
	if err != nil {
		return CopiedPart{}, err
	}
	defer src.Close()
	off, n, err := copyRange(in.Range, src.r.Size)
	if err != nil {
		return CopiedPart{}, err
	}
	if n > o.cfg.MaxPart {
		return CopiedPart{}, fault.New(CopySourceTooLarge, "")
	}
	s, err := o.partSealing(ctx, by, b, u, in.Customer)
	if err != nil {
		return CopiedPart{}, err
	}
	defer s.Clear()
	plain, err := src.open(ctx, by, off, n)
	if err != nil {
		return CopiedPart{}, err
	}
	defer plain.Close()
	p, err := o.storePart(ctx, b, u, s, UploadPart{UploadRef: in.UploadRef, Number: in.Number, Body: plain, Size: n})
	if !u.Declared {
		p.Checksum = Checksum{} // of which S3 tells nobody who has not asked for one
	}
	return CopiedPart{p, src.versionID(), src.applied}, sourceError(err)
}

// copyRange reads x-amz-copy-source-range, which is stricter than Range: both ends
// must be given and lie within the source.
func copyRange(s string, size int64) (off, n int64, err error) {
	if s == "" {
		return 0, size, nil
	}
	r, ok := parseRange(s)
	if !ok || r.first < 0 || r.last < 0 {
		return 0, 0, fault.New(InvalidArgument, "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy").
			With("ArgumentName", "x-amz-copy-source-range").With("ArgumentValue", s)
	}
	if r.first >= size {
		return 0, 0, fault.New(InvalidCopyRange, "The specified copy range is invalid for the source object size")
	}
	if r.last >= size {
		return 0, 0, fault.New(InvalidArgument, "Range specified is not valid for source object of size: %d", size).
			With("ArgumentName", "x-amz-copy-source-range").With("ArgumentValue", s)
	}
	return r.first, r.last - r.first + 1, nil
}
