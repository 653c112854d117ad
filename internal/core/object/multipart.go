// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"fmt"
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
	return in.Attributes.needs(in.ARN(), WriteCondition{})
}

// Created describes an upload that began.
type Created struct {
	UploadID    string
	SSE         sse.Applied
	Checksum    Checksum // algorithm and type, when the client named an algorithm
	FromDefault bool
	Aborted     Expiry // when a lifecycle rule will give the upload up
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
	if err := o.checkLock(b, in.Lock); err != nil {
		return Created{}, err
	}
	g, err := o.granting(ctx, by, b, in.ACL)
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
		Bucket: b.UID, Key: in.Key, ID: versionID{now, newUID()}, Created: now, Owner: g.owner, ACL: g.list, Initiator: by.ARN,
		Headers: in.Headers, Tags: in.Tags, Class: in.StorageClass, Lock: in.Lock, Checksum: plan, Declared: in.Algorithm != "",
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
	out.Aborted, _ = o.abortion(ctx, b, u) // it has begun, whatever its rules
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
	if err := o.depend(ctx, &batch, b.UID, dependence{u.Wrap, +1}); err != nil {
		return err
	}
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
	if err := o.addDropped(ctx, &batch, u, ver); err != nil {
		return err
	}
	if err := o.depend(ctx, &batch, u.Bucket, dependence{u.Wrap, -1}); err != nil {
		return err
	}
	return o.commit(ctx, &batch)
}

// addDropped adds to a batch that an upload goes, with its parts.
func (o *Objects) addDropped(ctx context.Context, batch *meta.Batch, u *upload, ver uint64) error {
	batch.Cond(u.row(), ver)
	batch.Delete(u.row())
	rows, err := o.parts(ctx, u)
	if err != nil {
		return err
	}
	o.dropParts(batch, rows)
	return nil
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
