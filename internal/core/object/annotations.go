// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of annotations.
const (
	NoSuchAnnotation      fault.Kind = "object: no such annotation"
	InvalidAnnotationName fault.Kind = "object: invalid name of an annotation"
	AnnotationNameTooLong fault.Kind = "object: name of an annotation too long"
	TooManyAnnotations    fault.Kind = "object: too many annotations"
	// InvalidAnnotationPrefix: no annotation can have a name that begins so.
	InvalidAnnotationPrefix fault.Kind = "object: invalid prefix of annotations"
	EmptyAnnotation         fault.Kind = "object: annotation without payload"
	AnnotationNotText       fault.Kind = "object: payload of an annotation is not UTF-8"
	// CustomerAnnotated: an object under a customer's key has no annotations.
	CustomerAnnotated fault.Kind = "object: annotation of an object under a customer's key"
	// Replaced: the object was replaced while its annotation was sent.
	Replaced fault.Kind = "object: replaced meanwhile"
)

// Limits of annotations (S3 API Reference, PutObjectAnnotation).
const (
	maxAnnotationName    = 512     // bytes
	maxAnnotationPayload = 1 << 20 // bytes

	// MaxAnnotations is how many a version may have.
	MaxAnnotations = 1000
)

// PutAnnotation puts an annotation to a version, or another payload into one that is there.
type PutAnnotation struct {
	VersionRef
	Name    string
	IfMatch string // the version's ETag; "" demands nothing
	Body    io.Reader
	Size    int64
	Expect  Expect
	// BypassRetention is for a payload in the place of another: that goes, as by a delete.
	BypassRetention
}

// GetAnnotation asks for an annotation.
type GetAnnotation struct {
	VersionRef
	Name     string
	Checksum bool // x-amz-checksum-mode: ENABLED
}

// DeleteAnnotation removes an annotation.
type DeleteAnnotation struct {
	VersionRef
	Name    string
	IfMatch string // the version's ETag; "" demands nothing
	BypassRetention
}

// ListAnnotations asks for a version's annotations, in the order of their names: those with
// the prefix and behind After, at most Max of them.
type ListAnnotations struct {
	VersionRef
	Prefix, After string
	Max           int
}

// annotationNeed is what it takes; what names a version takes an action of its own.
func annotationNeed(ref VersionRef, verb, what string) []policy.Need {
	action := "s3:" + verb + "Object" + what
	if ref.VersionID != "" {
		action = "s3:" + verb + "ObjectVersion" + what
	}
	return []policy.Need{{Action: action, Resource: ref.ARN(), Version: ref.VersionID}}
}

// Needs says what the request must be allowed.
func (in PutAnnotation) Needs() []policy.Need {
	return annotationNeed(in.VersionRef, "Put", "Annotation")
}

// Needs says what the request must be allowed.
func (in GetAnnotation) Needs() []policy.Need {
	return annotationNeed(in.VersionRef, "Get", "Annotation")
}

// Needs says what the request must be allowed.
func (in DeleteAnnotation) Needs() []policy.Need {
	return annotationNeed(in.VersionRef, "Delete", "Annotation")
}

// Needs says what the request must be allowed.
func (in ListAnnotations) Needs() []policy.Need {
	return annotationNeed(in.VersionRef, "List", "Annotations")
}

// AnnotationEntry is what is told of an annotation.
type AnnotationEntry struct {
	Name     string
	Size     int64
	ETag     string
	Modified time.Time
	Checksum Checksum
}

// Annotated is an annotation that was put.
type Annotated struct {
	AnnotationEntry
	VersionID string // of the object; "" in a bucket that never had versioning
	SSE       sse.Applied
}

// Annotation is one as read. Body must be closed; it yields Size bytes or an error. The
// checksum is empty unless it was asked for.
type Annotation struct {
	Annotated
	Body io.ReadCloser
}

// Unannotated says which version an annotation was removed from: "" in a bucket that never
// had versioning.
type Unannotated struct{ VersionID string }

// AnnotationPage is a page of a version's annotations.
type AnnotationPage struct {
	VersionID string
	Entries   []AnnotationEntry
	More      bool
}

// checkAnnotationName holds a name against S3's rules (S3 User Guide, "Annotation naming
// rules"): letters of any language, digits, and "_.-". What marks a letter goes with it.
func checkAnnotationName(name string) error {
	switch {
	case len(name) > maxAnnotationName:
		return fault.New(AnnotationNameTooLong, "")
	case name == "" || !annotationText(name) || startsFold(name, "aws") || startsFold(name, "s3"):
		return fault.New(InvalidAnnotationName, "")
	}
	return nil
}

func startsFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// annotationText reports whether a name of annotations can have this in it.
func annotationText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !(unicode.IsLetter(r) || unicode.IsMark(r) || '0' <= r && r <= '9' || r == '_' || r == '.' || r == '-')
	})
}

// annotatable finds the version that annotations are of. ifMatch is its ETag, "" demands
// nothing. Faults: NoSuchKey, NoSuchVersion, DeleteMarker, PreconditionFailed.
func (o *Objects) annotatable(ctx context.Context, b *bucket.Bucket, ref VersionRef, ifMatch string) (found, error) {
	v, err := o.find(ctx, b, ref.Key, ref.VersionID)
	switch {
	case err != nil:
		return v, err
	case v.Marker:
		return v, markerFault(ref, v.record)
	case ifMatch != "" && !matches(ifMatch, v.ETag):
		return v, failed("x-amz-object-if-match")
	}
	return v, nil
}

// annotationKey opens the data key of a version, to read or to seal its annotations. It takes
// what reading the object takes. Fault: CustomerAnnotated.
func (o *Objects) annotationKey(ctx context.Context, by iam.Caller, b *bucket.Bucket, v found) (*sse.Opening, error) {
	a, err := o.keys.Applied(ctx, keyBucket(b), v.Key, v.Wrap)
	if err != nil {
		return nil, err
	}
	if a.Algorithm == sse.Customer {
		return nil, fault.New(CustomerAnnotated, "")
	}
	if err := sse.CheckTransport(sse.Choice{Algorithm: a.Algorithm}, by); err != nil {
		return nil, err
	}
	return o.opening(ctx, by, b, v.record, sse.CustomerKey{})
}

// wireIn returns the version id that is told of a version in a bucket.
func (r *record) wireIn(b *bucket.Bucket) string {
	if b.Versioning == "" {
		return ""
	}
	return r.wireVersion()
}

// GetAnnotation reads an annotation. Faults: NoSuchKey, NoSuchVersion, DeleteMarker, those of
// a name, NoSuchAnnotation, Damaged, those of kms.
func (o *Objects) GetAnnotation(ctx context.Context, by iam.Caller, in GetAnnotation) (*Annotation, error) {
	if err := checkAnnotationName(in.Name); err != nil {
		return nil, err
	}
	ticket := o.reads.begin()
	out, err := rereading(func() (*Annotation, error) { return o.getAnnotation(ctx, by, in, ticket) })
	if err != nil {
		ticket.end()
	}
	return out, err
}

func (o *Objects) getAnnotation(ctx context.Context, by iam.Caller, in GetAnnotation, ticket *ticket) (*Annotation, error) {
	b, err := o.buckets.Find(ctx, in.Ref.Ref)
	if err != nil {
		return nil, err
	}
	v, err := o.annotatable(ctx, b, in.VersionRef, "")
	if err != nil {
		return nil, err
	}
	a, ok := v.Annotations.find(in.Name)
	if !ok {
		return nil, fault.New(NoSuchAnnotation, "").With("AnnotationName", in.Name)
	}
	opening, err := o.annotationKey(ctx, by, b, v)
	if err != nil {
		return nil, err
	}
	if !a.bound(opening) {
		opening.Clear()
		return nil, fault.New(Damaged, "").Because(errors.New("an annotation is not bound to its version"))
	}
	out := &Annotation{Annotated: Annotated{a.describe(), v.wireIn(b), opening.Applied()}}
	out.Body = &body{o: o, ctx: ctx, opening: opening, format: a.format(v.Body), parts: []part{a.part()}, left: a.Size, ticket: ticket}
	if !in.Checksum {
		out.Checksum = Checksum{}
	}
	return out, nil
}

// ListAnnotations tells of a version's annotations; of their payloads, nothing. No key is
// needed. Faults: NoSuchKey, NoSuchVersion, DeleteMarker, InvalidAnnotationPrefix.
func (o *Objects) ListAnnotations(ctx context.Context, _ iam.Caller, in ListAnnotations) (out AnnotationPage, err error) {
	if len(in.Prefix) > maxAnnotationName || !annotationText(in.Prefix) {
		return out, fault.New(InvalidAnnotationPrefix, "")
	}
	b, err := o.buckets.Find(ctx, in.Ref.Ref)
	if err != nil {
		return out, err
	}
	v, err := o.annotatable(ctx, b, in.VersionRef, "")
	if err != nil {
		return out, err
	}
	out.VersionID = v.wireIn(b)
	for a := range v.Annotations.all(max(in.Prefix, in.After)) {
		switch {
		case in.After != "" && a.Name == in.After:
			continue
		case !strings.HasPrefix(a.Name, in.Prefix):
			return out, nil
		case len(out.Entries) == in.Max:
			out.More = true
			return out, nil
		}
		out.Entries = append(out.Entries, a.describe())
	}
	return out, nil
}
