// SPDX-License-Identifier: Apache-2.0

package object

import (
	"cmp"
	"context"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// opened is a version and its data key.
type opened struct {
	found
	opening *sse.Opening
}

// PutAnnotation puts an annotation to a version: the one that the request names, or the one
// that is current when it begins. The version's ETag, Last-Modified and id stay. Faults:
// NoSuchKey, NoSuchVersion, DeleteMarker, those of a name, CustomerAnnotated,
// TooManyAnnotations, EmptyAnnotation, TooLarge, AnnotationNotText, BadDigest, Locked,
// PreconditionFailed, Replaced, those of kms.
func (o *Objects) PutAnnotation(ctx context.Context, by iam.Caller, in PutAnnotation) (out Annotated, err error) {
	switch err := checkAnnotationName(in.Name); {
	case err != nil:
		return out, err
	case in.Size == 0:
		return out, fault.New(EmptyAnnotation, "")
	case in.Size > maxAnnotationPayload:
		return out, tooLarge(in.Size, maxAnnotationPayload)
	}
	b, err := o.buckets.ForWrite(ctx, in.Ref.Ref)
	if err != nil {
		return out, err
	}
	if err := in.BypassRetention.check(b); err != nil {
		return out, err
	}
	v, err := rereading(func() (v opened, err error) {
		if v.found, err = o.annotatable(ctx, b, in.VersionRef, in.IfMatch); err == nil {
			v.opening, err = o.annotationKey(ctx, by, b, v.found)
		}
		return v, err
	})
	if err != nil {
		return out, err
	}
	defer v.opening.Clear()
	s, algorithm := v.opening.Sealing(), in.Expect.Algorithm
	if algorithm == "" {
		algorithm = checksum.Default
	}
	plain := s.Applied().ByService()
	st, err := o.ingest(ctx, s, &textReader{from: in.Body}, ingestion{
		size: in.Size, limit: maxAnnotationPayload, expect: in.Expect, algorithm: algorithm, etagMD5: plain,
	})
	if err != nil {
		return out, err
	}
	a := newAnnotation(in.Name, st, s.Format().SegmentLog2, algorithm, plain)
	a.bind(s.AnnotationBind)
	out = Annotated{a.describe(), v.wireIn(b), s.Applied()}
	err = o.annotate(ctx, in.VersionRef.of(v.found), v.UID, annotating{
		bucket: b.UID, name: in.Name, bypass: in.May, cause: cause{AnnotationPut, by}, result: out,
		change: func(l annotations) (annotations, error) { return l.with(a) }, add: st.record,
	})
	if err != nil && !outcomeOpen(err) {
		o.discard(ctx, st)
	}
	return out, err
}

// DeleteAnnotation removes an annotation for good. One that is not there is success, as S3's
// other deletes. No key is needed. Faults: NoSuchKey, NoSuchVersion, DeleteMarker, those of a
// name, Locked, PreconditionFailed, Replaced.
func (o *Objects) DeleteAnnotation(ctx context.Context, by iam.Caller, in DeleteAnnotation) (out Unannotated, err error) {
	if err := checkAnnotationName(in.Name); err != nil {
		return out, err
	}
	b, err := o.buckets.ForWrite(ctx, in.Ref.Ref)
	if err != nil {
		return out, err
	}
	if err := in.BypassRetention.check(b); err != nil {
		return out, err
	}
	v, err := o.annotatable(ctx, b, in.VersionRef, in.IfMatch)
	if err != nil {
		return out, err
	}
	out.VersionID = v.wireIn(b)
	if _, ok := v.Annotations.find(in.Name); !ok {
		return out, nil
	}
	return out, o.annotate(ctx, in.VersionRef.of(v), v.UID, annotating{
		bucket: b.UID, name: in.Name, bypass: in.May, cause: cause{AnnotationDeleted, by}, result: out,
		change: func(l annotations) (annotations, error) { return l.without(in.Name), nil }, add: func(*meta.Batch) {},
	})
}

// annotating is a change of one annotation.
type annotating struct {
	bucket bucket.UID
	name   string
	bypass Bypass
	cause  cause
	result any // what the call returns
	change func(annotations) (annotations, error)
	add    func(*meta.Batch) // adds the rows of a payload that comes
}

// annotate changes one annotation of a version, wherever that stands by then, in one commit:
// the stream of a payload that goes is released with it.
func (o *Objects) annotate(ctx context.Context, ref VersionRef, uid [16]byte, c annotating) error {
	return o.retry(ctx, ref.Ref, c.bucket, func(b *bucket.Bucket) error {
		v, err := o.find(ctx, b, ref.Key, ref.VersionID)
		if errors.Is(err, NoSuchVersion) {
			err = fault.New(NoSuchKey, "").With("Key", ref.Key)
		}
		if err == nil && v.UID != uid {
			err = fault.New(Replaced, "")
		}
		if err != nil {
			return err
		}
		var batch meta.Batch
		if old, ok := v.Annotations.find(c.name); ok {
			if err := o.removable(ctx, ref, v.record, c.bypass); err != nil {
				return err
			}
			o.release(&batch, &record{Parts: []part{old.part()}})
		}
		if v.Annotations, err = c.change(v.Annotations); err != nil {
			return err
		}
		batch.PutIf(v.row, v.encode(), v.ver)
		c.add(&batch)
		return o.conclude(ctx, &batch, c.result, o.changed(b, c.cause.event, c.cause.by, v.record)...)
	})
}

// copyAnnotations seals the payloads of a source's annotations anew, under the data key of
// its copy, and puts them into the copy's record. The streams that it returns are to be
// published with that, also on an error: then they are to be discarded. A payload that is
// replaced meanwhile is read all the same, for the source is held. Checksums keep their
// algorithm, unless the copy asks for another one (S3 User Guide, "Annotating your objects");
// a replica's annotations are as old as the source's, and have their ETags as it has its own.
func (o *Objects) copyAnnotations(ctx context.Context, src *copySource, opening *sse.Opening, s *sse.Sealing, other checksum.Algorithm, r *record) (made []stream, err error) {
	plain := s.Applied().ByService()
	copied := make(annotations, 0, len(src.r.Annotations))
	for a := range src.r.Annotations.all("") {
		if !a.bound(opening) {
			return made, fault.New(Damaged, "an annotation of the source is not bound to its version")
		}
		algorithm := cmp.Or(other, a.Checksum.Algorithm)
		open, err := o.open(ctx, a.Stream, a.format(src.r.Body).StoredSize(a.Size))
		if err != nil {
			return made, err
		}
		from := opening.NewReader(a.Stream, a.Size, open).Range(0, a.Size)
		st, err := o.ingest(ctx, s, from, ingestion{
			size: a.Size, limit: maxAnnotationPayload, algorithm: algorithm, etagMD5: plain,
		})
		from.Close()
		if err != nil {
			return made, err
		}
		made = append(made, st)
		to := newAnnotation(a.Name, st, s.Format().SegmentLog2, algorithm, plain)
		if r.Replication.Replica {
			to.Modified = a.Modified
			if r.ETag == src.r.ETag {
				to.ETag = a.ETag
			}
		}
		to.bind(s.AnnotationBind)
		copied = append(append(copied, to.unbound()...), to.Binding[:]...)
	}
	r.Annotations = copied
	return made, nil
}

// textReader passes UTF-8 on and fails, with AnnotationNotText, at what is none.
type textReader struct {
	from io.Reader
	cut  []byte // the beginning of a character that the last Read ended in
}

func (t *textReader) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	text := append(t.cut, p[:n]...)
	end := len(text)
	// A character is of up to four bytes: what begins one may wait for the next Read.
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if at := len(text) - back; utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				end = at
			}
			break
		}
	}
	if !utf8.Valid(text[:end]) || err == io.EOF && end < len(text) {
		return 0, fault.New(AnnotationNotText, "")
	}
	t.cut = append([]byte(nil), text[end:]...)
	return n, err
}
