// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Complete makes an object of an upload's parts.
type Complete struct {
	UploadRef
	Condition WriteCondition
	Parts     []CompletePart
	Size      int64         // x-amz-mp-object-size; -1 when absent
	Type      checksum.Type // x-amz-checksum-type; "" when absent
	// Checksum of the whole object, as the client says; "" when absent. A
	// composite one ends in -N.
	Algorithm checksum.Algorithm
	Checksum  string
	Customer  sse.CustomerKey
}

// CompletePart is a part as the client lists it.
type CompletePart struct {
	Number    int
	ETag      string
	Algorithm checksum.Algorithm // "" when the client names no checksum
	Checksum  []byte
}

// Needs says what the request must be allowed.
func (in Complete) Needs() []policy.Need {
	return append([]policy.Need{{Action: "s3:PutObject", Resource: in.ARN()}}, in.Condition.needs(in.ARN())...)
}

// Complete makes an object of an upload's parts. It opens no key and makes no KMS
// request: the object is bound to its data key by what CreateUpload left. Faults:
// NoSuchUpload, InvalidPart, InvalidPartOrder, PartTooSmall, InvalidUpload,
// BadDigest, PreconditionFailed, ConditionConflict.
func (o *Objects) Complete(ctx context.Context, by iam.Caller, in Complete) (Stored, error) {
	if err := in.Condition.check(); err != nil {
		return Stored{}, err
	}
	b, err := o.buckets.ForWrite(ctx, in.Ref.Ref)
	if err != nil {
		return Stored{}, err
	}
	var out Stored
	err = o.retry(ctx, in.Ref, b.UID, func(b *bucket.Bucket) (err error) {
		out, err = o.completeOnce(ctx, by, b, in)
		if _, refused := fault.As(err); !refused || outcomeOpen(err) {
			return err
		}
		// What the refusal rests on may have been read after the upload was over.
		// Then that is the answer, unless it is over because this was done before.
		if _, _, over := o.upload(ctx, b, in.UploadRef); over != nil {
			out, err = o.completed(ctx, by, b, in, over)
		}
		return err
	})
	return out, err
}

// completeOnce is one try of Complete: a conflict is the caller's.
func (o *Objects) completeOnce(ctx context.Context, by iam.Caller, b *bucket.Bucket, in Complete) (Stored, error) {
	u, ver, err := o.upload(ctx, b, in.UploadRef)
	if err != nil {
		return Stored{}, err
	}
	if err := u.checkInitiator(b, by); err != nil {
		return Stored{}, err
	}
	a, err := o.keys.Applied(ctx, keyBucket(b), u.Key, u.Wrap)
	if err != nil {
		return Stored{}, err
	}
	if err := sse.CheckTransport(sse.Choice{Algorithm: a.Algorithm}, by); err != nil {
		return Stored{}, err
	}
	if a.Algorithm == sse.Customer {
		if err := notBlocked(b, by, u.Key); err != nil {
			return Stored{}, err
		}
	}
	if err := u.checkCustomer(a, in.Customer); err != nil {
		return Stored{}, err
	}
	rows, err := o.parts(ctx, u)
	if err != nil {
		return Stored{}, err
	}
	r, unused, err := o.assemble(u, rows, in, a)
	if err != nil {
		return Stored{}, err
	}
	err = o.placeOnce(ctx, b, r, placing{
		cond: in.Condition, moved: true, lock: u.Lock, cause: cause{CreatedMultipart, by},
		result: func(b *bucket.Bucket) any { return o.stored(ctx, b, r, a, u.Default) },
		check:  func(cur *record) error { return in.unchangedSince(u, cur) },
		add:    func(batch *meta.Batch) { o.finish(batch, u, ver, rows, unused) },
	})
	if err != nil {
		return Stored{}, err
	}
	return o.stored(ctx, b, r, a, u.Default), nil
}

// checkCustomer holds the key that came with a request about a whole upload against
// the upload's: it may be left out unless checksums were asked for.
func (u *upload) checkCustomer(a sse.Applied, key sse.CustomerKey) error {
	if a.Algorithm == sse.Customer && !key.Given() {
		if !u.Declared {
			return nil
		}
		return fault.New(InvalidUpload, "The multipart upload initiate requested encryption with a customer provided key and a checksum. The request must include the appropriate encryption parameters.")
	}
	return sse.CheckPart(u.Wrap, key)
}

// unchangedSince faults a conditional completion when another version is current
// than when the upload began, although the condition would hold.
func (in Complete) unchangedSince(u *upload, cur *record) error {
	if in.Condition.empty() || string(before(cur)) == string(u.Before) {
		return nil
	}
	condition := "If-None-Match"
	if in.Condition.IfMatch != "" {
		condition = "If-Match"
	}
	return fault.New(ConditionConflict, "").With("Condition", condition).With("Key", in.Key)
}

// finish adds to the batch that the upload is over: its rows go, and the streams
// of parts that the client did not list.
func (o *Objects) finish(batch *meta.Batch, u *upload, ver uint64, rows []partRow, unused map[uint32]bool) {
	batch.Cond(u.row(), ver)
	batch.Delete(u.row())
	for _, p := range rows {
		batch.Cond(p.row, p.ver)
		batch.Delete(p.row)
		if unused[p.Number] {
			o.release(batch, &record{Parts: []part{p.part}})
		}
	}
}

// assemble makes the object's record of the parts that the client lists. unused
// are the numbers of the others.
func (o *Objects) assemble(u *upload, rows []partRow, in Complete, a sse.Applied) (r *record, unused map[uint32]bool, err error) {
	if len(in.Parts) == 0 {
		return nil, nil, fault.New(InvalidUpload, "You must specify at least one part")
	}
	for i, want := range in.Parts[1:] {
		if want.Number <= in.Parts[i].Number {
			return nil, nil, fault.New(InvalidPartOrder, "").With("UploadId", in.UploadID)
		}
	}
	if in.Type != "" && (!u.Declared || in.Type != u.Checksum.Type) {
		mode := "null"
		if u.Declared {
			mode = string(u.Checksum.Type)
		}
		return nil, nil, fault.New(InvalidUpload, "The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", mode)
	}
	have := make(map[uint32]*uploadedPart, len(rows))
	unused = make(map[uint32]bool, len(rows))
	for _, p := range rows {
		have[p.Number], unused[p.Number] = p.uploadedPart, true
	}
	r = &record{
		Bucket: u.Bucket, Key: u.Key, UID: newUID(), Created: u.Created, Owner: u.Owner, ACL: u.ACL, Headers: u.Headers,
		Body: u.Body, Tags: u.Tags, StorageClass: u.Class, Wrap: u.Wrap, Checksum: u.Checksum,
		Upload: &boundUpload{ID: u.ID.uid, Created: u.Created},
	}
	etags := fips.NewMD5()
	for i, want := range in.Parts {
		p, err := o.checkPart(u, have[uint32(want.Number)], want, in, i == len(in.Parts)-1)
		if err != nil {
			return nil, nil, err
		}
		delete(unused, p.Number)
		sum, err := hex.DecodeString(p.ETag)
		if err != nil {
			return nil, nil, fault.New(meta.Damaged, "").Because(fmt.Errorf("ETag of part %d: %w", p.Number, err))
		}
		etags.Write(sum)
		r.Parts = append(r.Parts, p.part)
		r.Size += p.Size
	}
	r.ETag = fmt.Sprintf("%x-%d", etags.Sum(nil), len(r.Parts))
	if err := o.checkWhole(u, r, in); err != nil {
		return nil, nil, err
	}
	if a.Algorithm == sse.Customer && !u.Declared {
		r.Checksum = Checksum{} // S3 makes up none for these
	}
	return r, unused, o.bind(u, r)
}

// checkPart holds a part against what the client says of it.
func (o *Objects) checkPart(u *upload, p *uploadedPart, want CompletePart, in Complete, last bool) (*uploadedPart, error) {
	invalid := func() error {
		return fault.New(InvalidPart, "").With("UploadId", in.UploadID).
			With("PartNumber", fmt.Sprint(want.Number)).With("ETag", unquote(want.ETag))
	}
	if p == nil || unquote(want.ETag) != p.ETag {
		return nil, invalid()
	}
	switch {
	case want.Algorithm == "" && u.Declared && u.Checksum.Type == checksum.Composite:
		return nil, fault.New(InvalidUpload, "The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.", lower(u.Checksum.Algorithm), want.Number)
	case want.Algorithm != "" && want.Algorithm != u.Checksum.Algorithm:
		if !u.Declared {
			return nil, invalid()
		}
		return nil, fault.New(BadDigest, "The %s you specified for part %d did not match what we received.", lower(want.Algorithm), want.Number)
	case want.Algorithm != "" && string(want.Checksum) != string(p.Checksum):
		return nil, invalid()
	}
	if !last && p.Size < o.cfg.MinPart {
		return nil, fault.New(PartTooSmall, "").With("ETag", p.ETag).With("MinSizeAllowed", fmt.Sprint(o.cfg.MinPart)).
			With("PartNumber", fmt.Sprint(p.Number)).With("ProposedSize", fmt.Sprint(p.Size))
	}
	return p, nil
}

// checkWhole computes the object's checksum and holds size and checksum against
// what the client says.
func (o *Objects) checkWhole(u *upload, r *record, in Complete) error {
	if r.Size > o.cfg.MaxObject {
		return tooLarge(r.Size, o.cfg.MaxObject)
	}
	if in.Size >= 0 && in.Size != r.Size {
		return fault.New(InvalidUpload, "The provided 'x-amz-mp-object-size' header value %d does not match what was computed: %d", in.Size, r.Size)
	}
	alg := u.Checksum.Algorithm
	sums := make([]checksum.Part, len(r.Parts))
	for i, p := range r.Parts {
		sums[i] = checksum.Part{Sum: p.Checksum, Size: p.Size}
	}
	var err error
	if u.Checksum.Type == checksum.Composite {
		r.Checksum.Value = alg.Composite(sums)
	} else {
		r.Checksum.Value, err = alg.FullObject(sums)
		for i := range r.Parts { // only composite parts show theirs
			r.Parts[i].Checksum = nil
		}
	}
	if err != nil {
		return fault.New(meta.Damaged, "").Because(fmt.Errorf("checksum of the parts: %w", err))
	}
	if in.Checksum == "" || !u.Declared && in.Algorithm != alg {
		return nil
	}
	bad := fault.New(BadDigest, "The %s you specified did not match the calculated checksum.", lower(alg))
	if in.Algorithm != alg || u.Declared && u.Checksum.Type == checksum.FullObject && in.Type == "" {
		return bad // without its type, S3 takes a checksum for one of the parts
	}
	want, n, err := alg.ParseComposite(in.Checksum)
	if err != nil {
		return err
	}
	if n != 0 && n != len(r.Parts) || !bytes.Equal(want, r.Checksum.Value) {
		return bad
	}
	return nil
}

// bind ties the finished record to the upload's data key without opening it.
func (o *Objects) bind(u *upload, r *record) error {
	key, err := o.binder.Open(nil, u.Bind, u.row())
	if err != nil {
		return fault.New(Damaged, "").Because(errors.New("the upload's binding key cannot be opened"))
	}
	bind := secret.New(key)
	defer bind.Clear()
	r.Upload.Binding = bindingOf(bind, r)
	return nil
}

// bindingOf is HMAC-SHA-256(U, D).
func bindingOf(bind secret.Bytes, r *record) (out [32]byte) {
	d := r.descriptor()
	m := hmac.New(sha256.New, bind.Reveal())
	m.Write(d[:])
	m.Sum(out[:0])
	return out
}
