// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"slices"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
)

// Source is the source of a copy.
type Source struct {
	VersionRef
	Condition ReadCondition
	Customer  sse.CustomerKey
}

func (s Source) need() policy.Need { return Get{VersionRef: s.VersionRef}.Needs()[0] }

// Copy makes an object from another.
type Copy struct {
	Ref
	// Attributes of the copy. Headers and Tags are used only when the source's
	// are to be replaced.
	Attributes
	ReplaceHeaders bool
	ReplaceTags    bool
	// ExcludeAnnotations says that the copy is not to have the source's annotations.
	ExcludeAnnotations bool
	// Redirect says that the request sets a website redirect, which makes a
	// copy of an object onto itself legal.
	Redirect  bool
	Algorithm checksum.Algorithm // of the copy's checksum; "" keeps the source's
	Condition WriteCondition
	Source    Source
}

// Needs says what the request must be allowed.
func (in Copy) Needs() []policy.Need {
	a := in.Attributes
	a.Tags = in.RequestTags()
	return append([]policy.Need{in.Source.need()}, a.needs(in.ARN(), in.Condition)...)
}

// CopiedNeeds says what it takes besides to copy the tags and annotations that the source has
// (S3 API Reference, CopyObject).
func (in Copy) CopiedNeeds(source Facts) (needs []policy.Need) {
	if len(source.Tags) > 0 && !in.ReplaceTags {
		needs = append(taggingNeeds(in.Source.VersionRef, "s3:Get"), policy.Need{Action: "s3:PutObjectTagging", Resource: in.ARN()})
	}
	if source.Annotated && !in.ExcludeAnnotations {
		needs = append(needs, GetAnnotation{VersionRef: in.Source.VersionRef}.Needs()...)
		needs = append(needs, policy.Need{Action: "s3:PutObjectAnnotation", Resource: in.ARN()})
	}
	return needs
}

// redirectHeader is the stored header of a website redirect.
const redirectHeader = "x-amz-website-redirect-location"

// Copied describes the copy.
type Copied struct {
	Stored
	SourceVersionID string // "" unless the source's bucket has versioning
	SourceSSE       sse.Applied
}

// Copy makes an object from another. How the copy is encrypted is decided by the
// request and the destination bucket alone; nothing is inherited from the source
// (S3 API Reference, CopyObject). Faults: those of Get and Put, SelfCopy,
// CopySourceMarker, CopySourceTooLarge, CustomerAnnotated.
func (o *Objects) Copy(ctx context.Context, by iam.Caller, in Copy) (Copied, error) {
	if err := checkKey(in.Key); err != nil {
		return Copied{}, err
	}
	if err := in.Attributes.check(); err != nil {
		return Copied{}, err
	}
	if err := in.Condition.check(); err != nil {
		return Copied{}, err
	}
	b, err := o.buckets.ForWrite(ctx, in.Ref.Ref)
	if err != nil {
		return Copied{}, err
	}
	if err := o.checkLock(b, in.Lock); err != nil {
		return Copied{}, err
	}
	src, err := o.source(ctx, by, in.Source)
	if err != nil {
		return Copied{}, err
	}
	defer src.Close()
	if src.r.Size > o.cfg.MaxPart {
		return Copied{}, fault.New(CopySourceTooLarge, "")
	}
	if err := o.checkSelfCopy(ctx, b, in, src); err != nil {
		return Copied{}, err
	}
	g, err := o.granting(ctx, by, b, in.ACL)
	if err != nil {
		return Copied{}, err
	}
	s, choice, err := o.sealing(ctx, by, b, in.Key, in.SSE)
	if err != nil {
		return Copied{}, err
	}
	defer s.Clear()
	annotated := len(src.r.Annotations) > 0 && !in.ExcludeAnnotations
	if annotated && choice.Algorithm == sse.Customer {
		return Copied{}, fault.New(CustomerAnnotated, "")
	}
	plain, err := src.open(ctx, by, 0, src.r.Size)
	if err != nil {
		return Copied{}, err
	}
	defer plain.Close()
	put := Put{Ref: in.Ref, Attributes: in.attributes(src.r), Body: plain, Size: src.r.Size, Expect: Expect{Algorithm: in.Algorithm}}
	if put.Expect.Algorithm == "" {
		put.Expect.Algorithm = src.r.Checksum.Algorithm
	}
	r, st, err := o.receive(ctx, b, s, put, g)
	if err != nil {
		return Copied{}, sourceError(err)
	}
	var beside []stream
	if annotated {
		if beside, err = o.copyAnnotations(ctx, src, plain.opening, s, in.Algorithm, r); err != nil {
			o.discard(ctx, append(beside, st)...)
			return Copied{}, sourceError(err)
		}
	}
	copied := func(stored Stored) Copied { return Copied{stored, src.versionID(), src.applied} }
	stored, err := o.publish(ctx, b, in.Ref, s, r, st, publishing{
		cond: in.Condition, lock: in.Lock, fromDefault: choice.FromDefault, result: func(s Stored) any { return copied(s) },
		cause: cause{CreatedCopy, by}, beside: beside,
	})
	return copied(stored), err
}

// sourceError is for a source that broke off while it was read: it is not the
// client whose body was short.
func sourceError(err error) error {
	if errors.Is(err, IncompleteBody) {
		return fault.New(Damaged, "").Because(err)
	}
	return err
}

// attributes returns what the copy has, from the request or from the source.
func (in Copy) attributes(src *record) Attributes {
	a := in.Attributes
	if !in.ReplaceHeaders {
		a.Headers = slices.Clone(src.Headers)
		isRedirect := func(h Header) bool { return h.Name == redirectHeader }
		// A redirect is an object's own: never copied, always as the request says.
		a.Headers = slices.DeleteFunc(a.Headers, isRedirect)
		if i := slices.IndexFunc(in.Headers, isRedirect); i >= 0 {
			a.Headers = append(a.Headers, in.Headers[i])
		}
	}
	if !in.ReplaceTags {
		a.Tags = src.Tags
	}
	return a
}

// checkSelfCopy faults a copy of an object onto itself that would change nothing
// (S3 API Reference, CopyObject).
func (o *Objects) checkSelfCopy(ctx context.Context, b *bucket.Bucket, in Copy, src *copySource) error {
	self := in.Bucket == in.Source.Bucket && in.Key == in.Source.Key && in.Source.VersionID == ""
	changes := in.ReplaceHeaders || in.StorageClass != "" || in.Redirect || in.SSE.Algorithm != "" || in.SSE.Customer.Given() || b.Encryption.Explicit
	if !self || changes {
		return nil
	}
	a, err := o.keys.Applied(ctx, keyBucket(src.b), src.r.Key, src.r.Wrap)
	if err != nil {
		return err
	}
	if a.Algorithm != sse.Effective(in.SSE, b.Default()).Algorithm {
		return nil
	}
	return fault.New(SelfCopy, "")
}

// copySource is the version that a copy reads, kept from removal until Close.
type copySource struct {
	o      *Objects
	b      *bucket.Bucket
	r      *record
	key    sse.CustomerKey
	ticket *ticket
	// applied is the source's encryption, once it is open.
	applied sse.Applied
}

func (s *copySource) Close() { s.ticket.end() }

func (s *copySource) versionID() string {
	if s.b.Versioning == "" || s.r.Null {
		return ""
	}
	return s.r.wireVersion()
}

// source finds the version to copy and checks what may be checked without its key.
func (o *Objects) source(ctx context.Context, by iam.Caller, in Source) (*copySource, error) {
	s := &copySource{o: o, key: in.Customer, ticket: o.reads.begin()}
	if _, err := rereading(func() (struct{}, error) { return struct{}{}, s.find(ctx, by, in) }); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *copySource) find(ctx context.Context, by iam.Caller, in Source) error {
	b, err := s.o.buckets.Find(ctx, in.Ref.Ref)
	if err != nil {
		return err
	}
	v, err := s.o.find(ctx, b, in.Key, in.VersionID)
	if err != nil {
		return err
	}
	if v.Marker && in.VersionID != "" {
		return fault.New(CopySourceMarker, "")
	}
	if v.Marker {
		return fault.New(NoSuchKey, "").With("Key", in.Key)
	}
	if err := sse.CheckKey(v.Wrap, in.Customer); err != nil {
		return err
	}
	if err := in.Condition.holdsForCopy(v.record); err != nil {
		return err
	}
	if err := v.readable("Operation is not valid for the source object's storage class"); err != nil {
		return err
	}
	s.b, s.r = b, v.record
	return s.o.transport(ctx, by, b, v.record)
}

// open reads a range of the source's plaintext.
func (s *copySource) open(ctx context.Context, by iam.Caller, off, n int64) (*body, error) {
	opening, err := s.o.opening(ctx, by, s.b, s.r, s.key)
	if errors.Is(err, bucketkey.NoGeneration) { // re-wrapped since it was found?
		v, found := s.o.find(ctx, s.b, s.r.Key, s.r.wireVersion())
		if found == nil && v.UID == s.r.UID {
			s.r = v.record
			opening, err = s.o.opening(ctx, by, s.b, s.r, s.key)
		}
	}
	if err != nil {
		return nil, err
	}
	s.applied = opening.Applied()
	return &body{o: s.o, ctx: ctx, opening: opening, format: s.r.Body, parts: s.r.Parts, off: off, left: n, ticket: s.o.reads.begin()}, nil
}
