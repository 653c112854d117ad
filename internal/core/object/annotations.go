// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of annotations.
const (
	NoSuchAnnotation      fault.Kind = "object: no such annotation"
	InvalidAnnotationName fault.Kind = "object: invalid name of an annotation"
	AnnotationNameTooLong fault.Kind = "object: name of an annotation too long"
	// NotAnnotated: there would be nothing wrong with the annotation, but none is kept here.
	NotAnnotated fault.Kind = "object: annotations are not offered"
)

// maxAnnotationName bounds the name of an annotation, in bytes (S3 API Reference,
// PutObjectAnnotation).
const maxAnnotationName = 512

// Annotation is a request about one annotation of a version; Verb is Put, Get or Delete.
// No version has any.
type Annotation struct {
	VersionRef
	Verb, Name string
}

// Needs says what the request must be allowed.
func (in Annotation) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:" + in.Verb + "ObjectAnnotation", Resource: in.ARN(), Version: in.VersionID}}
}

// Annotation looks for an annotation. Faults: those of a name, NoSuchKey, NoSuchVersion,
// DeleteMarker, and NotAnnotated for one that is to be put, NoSuchAnnotation for others.
func (o *Objects) Annotation(ctx context.Context, _ iam.Caller, in Annotation) (struct{}, error) {
	if err := checkAnnotationName(in.Name); err != nil {
		return struct{}{}, err
	}
	if _, err := o.annotated(ctx, in.VersionRef); err != nil {
		return struct{}{}, err
	}
	if in.Verb == "Put" {
		return struct{}{}, fault.New(NotAnnotated, "")
	}
	return struct{}{}, fault.New(NoSuchAnnotation, "").With("AnnotationName", in.Name)
}

func checkAnnotationName(name string) error {
	lower := strings.ToLower(name)
	switch {
	case name == "" || !utf8.ValidString(name) || strings.HasPrefix(lower, "aws") || strings.HasPrefix(lower, "s3"):
		return fault.New(InvalidAnnotationName, "")
	case len(name) > maxAnnotationName:
		return fault.New(AnnotationNameTooLong, "")
	}
	return nil
}

// ListAnnotations asks for the annotations of a version.
type ListAnnotations struct{ VersionRef }

// Needs says what the request must be allowed.
func (in ListAnnotations) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:ListObjectAnnotations", Resource: in.ARN(), Version: in.VersionID}}
}

// ListAnnotations finds none; it returns the version that has none, "" in a bucket that never
// had versioning. Faults: NoSuchKey, NoSuchVersion, DeleteMarker.
func (o *Objects) ListAnnotations(ctx context.Context, _ iam.Caller, in ListAnnotations) (string, error) {
	return o.annotated(ctx, in.VersionRef)
}

// annotated finds the version that annotations would be of.
func (o *Objects) annotated(ctx context.Context, ref VersionRef) (version string, err error) {
	b, err := o.buckets.Find(ctx, ref.Ref.Ref)
	if err != nil {
		return "", err
	}
	v, err := o.find(ctx, b, ref.Key, ref.VersionID)
	if err == nil && v.Marker {
		err = markerFault(ref, v.record)
	}
	if err != nil || b.Versioning == "" {
		return "", err
	}
	return v.wireVersion(), nil
}
