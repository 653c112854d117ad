// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/blob"
)

// Get reads an object, or only what is known of it.
type Get struct {
	VersionRef
	Condition ReadCondition
	Range     string // the Range header; "" for the whole object
	Part      int    // partNumber; 0 when absent
	Checksum  bool   // x-amz-checksum-mode: ENABLED
	Customer  sse.CustomerKey
}

// Needs says what the request must be allowed.
func (in Get) Needs() []policy.Need {
	action := "s3:GetObject"
	if in.VersionID != "" {
		action = "s3:GetObjectVersion"
	}
	return []policy.Need{{Action: action, Resource: in.ARN(), Version: in.VersionID}}
}

// Object is an object, or a range of it, as read. Body, if there is one, must be
// closed; it yields Length bytes or an error.
type Object struct {
	VersionID    string // "" in a bucket that never had versioning
	ETag         string
	Size         int64 // of the whole object
	Modified     time.Time
	Headers      []Header
	StorageClass string
	TagCount     int
	Lock         Lock
	SSE          sse.Applied
	Checksum     Checksum  // empty unless asked for and applicable to what is returned
	PartsCount   int       // set when a part was asked for of a multipart object
	Restored     time.Time // until when an archived version may be read; zero when it may not, or needs no restore
	Expires      Expiry    // not told of a version that was asked for by its id
	// Replication is what became of the version's replication, as S3 says it; "" when there is none.
	Replication string

	Partial       bool // a range or a part of the object, not the whole
	Start, Length int64
	Body          io.ReadCloser
}

// Redirect returns where the object says that it is instead, for websites: the header of
// that name, "" for none.
func (out *Object) Redirect() string {
	for i := range out.Headers {
		if out.Headers[i].Name == redirectHeader {
			return out.Headers[i].Value
		}
	}
	return ""
}

// Get reads an object. Its order of checks: the object exists, conditions, range,
// keys; so that no answer without data costs a KMS request. Faults: NoSuchKey,
// NoSuchVersion, DeleteMarker, NotModified, PreconditionFailed, InvalidRange,
// InvalidPartNumber, and those of kms.
func (o *Objects) Get(ctx context.Context, by iam.Caller, in Get) (*Object, error) {
	ticket := o.reads.begin()
	out, err := rereading(func() (*Object, error) { return o.get(ctx, by, in, ticket) })
	if err != nil {
		ticket.end()
		return nil, err
	}
	return out, nil
}

func (o *Objects) get(ctx context.Context, by iam.Caller, in Get, ticket *ticket) (*Object, error) {
	b, r, sel, err := o.look(ctx, by, in)
	if err != nil {
		return nil, err
	}
	if err := r.readable(archivedText); err != nil {
		return nil, err
	}
	out, err := o.describe(ctx, b, r, in, sel)
	if err != nil {
		return nil, err
	}
	opening, err := o.opening(ctx, by, b, r, in.Customer)
	if err != nil {
		return nil, err
	}
	out.SSE = opening.Applied()
	out.Body = &body{o: o, ctx: ctx, opening: opening, format: r.Body, parts: r.Parts, off: sel.start, left: sel.length, ticket: ticket}
	return out, nil
}

// Head returns what Get would, without the body. It opens no key, unless the
// checksum is asked for, which under KMS is protected as the data is.
func (o *Objects) Head(ctx context.Context, by iam.Caller, in Get) (*Object, error) {
	return rereading(func() (*Object, error) { return o.head(ctx, by, in) })
}

func (o *Objects) head(ctx context.Context, by iam.Caller, in Get) (*Object, error) {
	b, r, sel, err := o.look(ctx, by, in)
	if err != nil {
		return nil, err
	}
	out, err := o.describe(ctx, b, r, in, sel)
	if err != nil {
		return nil, err
	}
	if out.SSE, err = o.keys.Applied(ctx, keyBucket(b), r.Key, r.Wrap); err != nil {
		return nil, err
	}
	if in.Checksum && (out.SSE.Algorithm == sse.KMS || out.SSE.Algorithm == sse.DSSE) {
		opening, err := o.opening(ctx, by, b, r, in.Customer)
		if err != nil {
			return nil, err
		}
		out.SSE = opening.Applied()
		opening.Clear()
	}
	return out, nil
}

// archivedText is said of a version that must be restored before it is read.
const archivedText = "The operation is not valid for the object's storage class"

// look finds the version and what of it is asked for.
func (o *Objects) look(ctx context.Context, by iam.Caller, in Get) (*bucket.Bucket, *record, selection, error) {
	fail := func(err error) (*bucket.Bucket, *record, selection, error) { return nil, nil, selection{}, err }
	if in.Range != "" && in.Part != 0 {
		return fail(fault.New(RangeAndPart, ""))
	}
	b, err := o.buckets.Find(ctx, in.Ref.Ref)
	if err != nil {
		return fail(err)
	}
	v, err := o.find(ctx, b, in.Key, in.VersionID)
	if err != nil {
		return fail(err)
	}
	if v.Marker {
		return fail(markerFault(in.VersionRef, v.record))
	}
	if err := sse.CheckKey(v.Wrap, in.Customer); err != nil {
		return fail(err)
	}
	if err := in.Condition.holds(v.record); err != nil {
		return fail(err)
	}
	if err := o.transport(ctx, by, b, v.record); err != nil {
		return fail(err)
	}
	sel, err := selectPart(v.record, in)
	if err != nil {
		return fail(err)
	}
	return b, v.record, sel, nil
}

// transport holds the caller's connection against the object's encryption: KMS
// data travels only over a secure one, and only to signed requests.
func (o *Objects) transport(ctx context.Context, by iam.Caller, b *bucket.Bucket, r *record) error {
	a, err := o.keys.Applied(ctx, keyBucket(b), r.Key, r.Wrap)
	if err != nil {
		return err
	}
	return sse.CheckTransport(sse.Choice{Algorithm: a.Algorithm}, by)
}

// markerFault answers a read that meets a delete marker: as the current version it
// hides the object, asked for by its id it cannot be read.
func markerFault(in VersionRef, r *record) error {
	if in.VersionID == "" {
		return fault.New(NoSuchKey, "").With("Key", in.Key).
			With("x-amz-delete-marker", "true").With("x-amz-version-id", r.wireVersion())
	}
	return fault.New(DeleteMarker, "").With("ResourceType", "DeleteMarker").
		With("x-amz-delete-marker", "true").With("last-modified", r.modified().Format(lastModified)).
		With("allow", "DELETE").With("x-amz-version-id", r.wireVersion())
}

// lastModified is the format of the Last-Modified header.
const lastModified = "Mon, 02 Jan 2006 15:04:05 GMT"

// opening opens the data key of a version.
func (o *Objects) opening(ctx context.Context, by iam.Caller, b *bucket.Bucket, r *record, key sse.CustomerKey) (*sse.Opening, error) {
	bound, err := sse.BindOf(r.Wrap)
	if err != nil {
		return nil, err
	}
	u := r.Upload
	if u == nil || bound == sse.BindDescriptor {
		return o.keys.ForRead(ctx, by, keyBucket(b), r.Key, r.Wrap, r.descriptor(), key)
	}
	d := uploadDescriptor(r.Bucket, r.Key, u.ID, r.Body, u.Created, r.Headers, r.Owner)
	opening, err := o.keys.ForRead(ctx, by, keyBucket(b), r.Key, r.Wrap, d, key)
	if err != nil {
		return nil, err
	}
	bind := opening.UploadBind(u.ID)
	defer bind.Clear()
	if bindingOf(bind, r) != u.Binding {
		opening.Clear()
		return nil, fault.New(Damaged, "").Because(errors.New("upload binding does not match the record"))
	}
	return opening, nil
}

func (o *Objects) describe(ctx context.Context, b *bucket.Bucket, r *record, in Get, sel selection) (out *Object, err error) {
	out = &Object{
		ETag: r.ETag, Size: r.Size, Modified: r.modified(), Headers: r.Headers,
		StorageClass: r.StorageClass, TagCount: len(r.Tags), Lock: r.Lock, Replication: r.Replication.status(),
		Restored: restoredUntil(r.StorageClass, r.Restored),
		Partial:  sel.partial, Start: sel.start, Length: sel.length,
	}
	if b.Versioning != "" {
		out.VersionID = r.wireVersion()
	}
	if in.Part > 0 && r.Upload != nil {
		out.PartsCount = len(r.Parts)
	}
	switch {
	case !in.Checksum:
	case in.Part > 0 && r.Upload != nil && r.Checksum.Type == checksum.Composite:
		if sum := r.Parts[in.Part-1].Checksum; sum != nil {
			out.Checksum = Checksum{r.Checksum.Algorithm, checksum.Composite, sum}
		}
	case sel.length == r.Size:
		out.Checksum = r.Checksum
	}
	if in.VersionID == "" {
		out.Expires, err = o.expiry(ctx, b, r)
	}
	return out, err
}

// selection is the part of an object that is asked for.
type selection struct {
	start, length int64
	partial       bool
}

func selectPart(r *record, in Get) (selection, error) {
	switch {
	case in.Part > 0:
		count := len(r.Parts)
		if r.Upload == nil {
			count = 1 // an object that was not uploaded in parts is one part
		}
		if in.Part > count {
			return selection{}, fault.New(InvalidPartNumber, "").
				With("ActualPartCount", fmt.Sprint(count)).With("PartNumberRequested", fmt.Sprint(in.Part))
		}
		if r.Upload == nil {
			return selection{0, r.Size, true}, nil
		}
		var start int64
		for _, p := range r.Parts[:in.Part-1] {
			start += p.Size
		}
		return selection{start, r.Parts[in.Part-1].Size, true}, nil
	case in.Range != "":
		spec, ok := parseRange(in.Range)
		if !ok {
			return selection{0, r.Size, false}, nil
		}
		if spec.first < 0 && spec.last > 0 && r.Size == 0 {
			// The last bytes of nothing are nothing, which no Content-Range can say.
			return selection{}, nil
		}
		start, length, ok := spec.of(r.Size)
		if !ok {
			return selection{}, fault.New(InvalidRange, "").
				With("RangeRequested", in.Range).With("ActualObjectSize", fmt.Sprint(r.Size))
		}
		return selection{start, length, true}, nil
	}
	return selection{0, r.Size, false}, nil
}

// body reads the plaintext of a range across the parts of an object.
type body struct {
	o       *Objects
	ctx     context.Context
	opening *sse.Opening
	format  sse.Format
	parts   []part
	off     int64 // of the next byte, relative to parts[0]
	left    int64
	now     io.ReadCloser // the range of parts[0] being read
	reading part
	ticket  *ticket
}

// Read yields verified plaintext only.
func (r *body) Read(p []byte) (int, error) {
	for {
		if r.left == 0 {
			return 0, io.EOF
		}
		if r.now == nil {
			if err := r.next(); err != nil {
				return 0, err
			}
		}
		n, err := r.now.Read(p[:min(int64(len(p)), r.left)])
		r.left -= int64(n)
		switch {
		case err == io.EOF:
			r.now.Close()
			r.now = nil
			if n == 0 {
				continue
			}
			return n, nil
		case err != nil:
			if errors.Is(err, sse.Damaged) || errors.Is(err, blob.NotFound) {
				_ = r.o.reportDamage(context.WithoutCancel(r.ctx), r.reading.Stream, true)
			}
			return n, err
		}
		return n, nil
	}
}

// next opens the part in which the next byte is.
func (r *body) next() error {
	for len(r.parts) > 0 && r.off >= r.parts[0].Size {
		r.off -= r.parts[0].Size
		r.parts = r.parts[1:]
	}
	if len(r.parts) == 0 {
		return fault.New(Damaged, "").Because(errors.New("the part table is shorter than the object"))
	}
	p := r.parts[0]
	open, err := r.o.open(r.ctx, p.Stream, r.format.StoredSize(p.Size))
	if err != nil {
		return err
	}
	n := min(p.Size-r.off, r.left)
	r.now = r.opening.NewReader(p.Stream, p.Size, open).Range(r.off, n)
	r.reading = p
	r.off, r.parts = 0, r.parts[1:]
	return nil
}

// Close releases the keys and lets go of the streams.
func (r *body) Close() error {
	var err error
	if r.now != nil {
		err = r.now.Close()
	}
	r.opening.Clear()
	r.ticket.end()
	return err
}
