// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// MaxParts is the highest part number.
const MaxParts = 10000

// CreateUpload begins a multipart upload.
type CreateUpload struct {
	Ref
	Attributes
	Algorithm checksum.Algorithm // "" when the client names none
	Type      checksum.Type      // one that the algorithm allows
}

// Needs says what the request must be allowed.
func (in CreateUpload) Needs() []policy.Need {
	return Put{Ref: in.Ref, Attributes: in.Attributes}.Needs()
}

// Created describes an upload that began.
type Created struct {
	UploadID    string
	SSE         sse.Applied
	Checksum    Checksum // algorithm and type, when the client named an algorithm
	FromDefault bool
}

// CreateUpload begins a multipart upload: how the object will be encrypted is
// decided and its data key made here. Faults: as Put.
func (o *Objects) CreateUpload(ctx context.Context, by iam.Caller, in CreateUpload) (Created, error) {
	if err := checkKey(in.Key); err != nil {
		return Created{}, err
	}
	if err := in.Attributes.check(); err != nil {
		return Created{}, err
	}
	plan := Checksum{Algorithm: in.Algorithm, Type: in.Type}
	if in.Algorithm == "" {
		plan = Checksum{Algorithm: checksum.Default, Type: checksum.FullObject}
	}
	b, err := o.buckets.ForWrite(ctx, in.Ref.Ref)
	if err != nil {
		return Created{}, err
	}
	s, choice, err := o.sealing(ctx, by, b, in.Key, in.SSE)
	if err != nil {
		return Created{}, err
	}
	defer s.Clear()
	now := time.Now().UnixMilli()
	u := &upload{
		Bucket: b.UID, Key: in.Key, ID: versionID{now, newUID()}, Created: now, Owner: by.Account, Initiator: by.ARN,
		Headers: in.Headers, Tags: in.Tags, Class: in.StorageClass, Checksum: plan, Declared: in.Algorithm != "",
		Body: s.Format(), PlainETag: s.Applied().ByService(), Default: choice.FromDefault,
	}
	bind := s.UploadBind(u.ID.uid)
	u.Bind = o.binder.Seal(nil, bind.Reveal(), u.row())
	bind.Clear()
	err = o.wrapping(ctx, s, func() (err error) {
		if u.Wrap, err = s.Wrap(ctx, u.descriptor(), sse.BindUpload); err != nil {
			return fmt.Errorf("wrap data key: %w", err)
		}
		return o.retry(ctx, in.Ref, b.UID, func(b *bucket.Bucket) error { return o.begin(ctx, b, u) })
	})
	if err != nil {
		return Created{}, err
	}
	out := Created{UploadID: u.ID.String(), SSE: s.Applied(), FromDefault: choice.FromDefault}
	if u.Declared {
		out.Checksum = plan
	}
	return out, nil
}

// begin commits the row of an upload.
func (o *Objects) begin(ctx context.Context, b *bucket.Bucket, u *upload) error {
	cur, _, err := o.current(ctx, b, u.Key)
	if err != nil {
		return fmt.Errorf("read current version: %w", err)
	}
	if err := o.fresh(ctx, b.UID, u.Wrap); err != nil {
		return err
	}
	u.Before = before(cur)
	var batch meta.Batch
	guard, ver := b.Guard()
	batch.Cond(guard, ver)
	batch.PutIf(u.row(), u.encode(), 0)
	return o.commit(ctx, &batch)
}

// before names the version that was current when an upload began.
func before(r *record) []byte {
	if r == nil {
		return nil
	}
	return r.id().bytes()
}

// UploadRef names an upload.
type UploadRef struct {
	Ref
	UploadID string
}

// upload reads an upload's row. Fault: NoSuchUpload.
func (o *Objects) upload(ctx context.Context, b *bucket.Bucket, in UploadRef) (*upload, uint64, error) {
	missing := fault.New(NoSuchUpload, "").With("UploadId", in.UploadID)
	id, ok := parseID(in.UploadID)
	if !ok || len(in.Key) > maxKey {
		return nil, 0, missing
	}
	item, err := meta.Get1(ctx, o.store, uploadKey(b.UID, in.Key, id))
	if err != nil {
		return nil, 0, fmt.Errorf("read upload: %w", err)
	}
	if item.Ver == 0 {
		return nil, 0, missing
	}
	u, err := decodeUpload(item.Value)
	return u, item.Ver, err
}

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
	b, u, err := o.forPart(ctx, in.UploadRef, in.Number)
	if err != nil {
		return StoredPart{}, err
	}
	if a := in.Expect.Algorithm; u.Declared && a != "" && a != u.Checksum.Algorithm {
		return StoredPart{}, fault.New(InvalidUpload, "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", lower(u.Checksum.Algorithm), lower(a))
	}
	s, err := o.partSealing(ctx, by, b, u, in.Customer)
	if err != nil {
		return StoredPart{}, err
	}
	defer s.Clear()
	return o.storePart(ctx, b, u, s, in)
}

// forPart finds the upload that a part is for.
func (o *Objects) forPart(ctx context.Context, ref UploadRef, number int) (*bucket.Bucket, *upload, error) {
	if number < 1 || number > MaxParts {
		return nil, nil, fault.New(PartNumberOutOfBounds, "").With("ArgumentName", "partNumber").With("ArgumentValue", fmt.Sprint(number))
	}
	b, err := o.buckets.ForWrite(ctx, ref.Ref.Ref)
	if err != nil {
		return nil, nil, err
	}
	u, _, err := o.upload(ctx, b, ref)
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
		size: in.Size, limit: o.cfg.MaxPart, expect: in.Expect, algorithm: u.Checksum.Algorithm, etagMD5: u.PlainETag,
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
}

// CopyPart stores a part that is a range of another object. Faults: as UploadPart
// and Copy, InvalidCopyRange.
func (o *Objects) CopyPart(ctx context.Context, by iam.Caller, in CopyPart) (CopiedPart, error) {
	b, u, err := o.forPart(ctx, in.UploadRef, in.Number)
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
	return CopiedPart{p, src.versionID()}, sourceError(err)
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

// Abort gives an upload up.
type Abort struct{ UploadRef }

// Needs says what the request must be allowed.
func (in Abort) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:AbortMultipartUpload", Resource: in.ARN()}}
}

// Abort gives an upload up and removes its parts. Fault: NoSuchUpload.
func (o *Objects) Abort(ctx context.Context, _ iam.Caller, in Abort) (struct{}, error) {
	b, err := o.buckets.Find(ctx, in.Ref.Ref)
	if err != nil {
		return struct{}{}, err
	}
	for range maxConflicts {
		u, ver, err := o.upload(ctx, b, in.UploadRef)
		if err != nil {
			return struct{}{}, err
		}
		err = o.dropUpload(ctx, u, ver)
		var conflict *meta.ConflictError
		if !errors.As(err, &conflict) {
			return struct{}{}, err
		}
	}
	return struct{}{}, fault.New(Busy, "")
}

func (o *Objects) dropUpload(ctx context.Context, u *upload, ver uint64) error {
	var batch meta.Batch
	batch.Cond(u.row(), ver)
	batch.Delete(u.row())
	rows, err := o.parts(ctx, u)
	if err != nil {
		return err
	}
	o.dropParts(&batch, rows)
	return o.commit(ctx, &batch)
}

// partRow is a part as read.
type partRow struct {
	*uploadedPart
	row []byte
	ver uint64
}

// parts reads all parts of an upload, in order.
func (o *Objects) parts(ctx context.Context, u *upload) ([]partRow, error) {
	prefix := partsPrefix(u.ID.uid)
	r := meta.Range{Start: prefix, End: meta.PrefixEnd(prefix)}
	var out []partRow
	for {
		page, err := o.store.Scan(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("read parts: %w", err)
		}
		for _, item := range page.Items {
			p, err := decodeUploadedPart(item.Value)
			if err != nil {
				return nil, err
			}
			out = append(out, partRow{p, item.Key, item.Ver})
		}
		if !page.More {
			return out, nil
		}
		r.Start = page.Next
	}
}

// dropParts adds to a batch that parts and their streams go.
func (o *Objects) dropParts(batch *meta.Batch, rows []partRow) {
	for _, p := range rows {
		batch.Cond(p.row, p.ver)
		batch.Delete(p.row)
		o.release(batch, &record{Parts: []part{p.part}})
	}
}

// Clear removes all uploads of a bucket that was deleted.
func (o *Objects) Clear(ctx context.Context, uid bucket.UID) error {
	prefix := bucketPrefix("u/", uid)
	r := meta.Range{Start: prefix, End: meta.PrefixEnd(prefix), Limit: 100}
	for {
		page, err := o.store.Scan(ctx, r)
		if err != nil {
			return fmt.Errorf("read uploads: %w", err)
		}
		for _, item := range page.Items {
			if err := o.clearUpload(ctx, item); err != nil {
				return fmt.Errorf("drop upload: %w", err)
			}
		}
		if !page.More {
			return nil
		}
		r.Start = page.Next
	}
}

// clearUpload drops an upload, unless somebody else does, who began before the
// bucket was deleted.
func (o *Objects) clearUpload(ctx context.Context, item meta.Item) error {
	for range maxConflicts {
		if item.Ver == 0 {
			return nil
		}
		u, err := decodeUpload(item.Value)
		if err != nil {
			return err
		}
		err = o.dropUpload(ctx, u, item.Ver)
		var conflict *meta.ConflictError
		if !errors.As(err, &conflict) {
			return err
		}
		if item, err = meta.Get1(ctx, o.store, item.Key); err != nil {
			return err
		}
	}
	return fault.New(Busy, "")
}

// lower spells an algorithm as S3's messages about uploads do.
func lower(a checksum.Algorithm) string { return strings.ToLower(string(a)) }
