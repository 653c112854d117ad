// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// annotationOps are the operations on annotations of objects.
func (a *API) annotationOps() []pipeline.Op {
	return []pipeline.Op{
		streaming(pipeline.Define("PutObjectAnnotation", pipeline.Data|pipeline.Grows, objectRoute("PUT", "annotation"), a.decodePutAnnotation, a.Objects.PutAnnotation, encodePutAnnotation)),
		streaming(pipeline.Define("GetObjectAnnotation", pipeline.Read|pipeline.Data, objectRoute("GET", "annotation", "annotationName"), decodeGetAnnotation, a.Objects.GetAnnotation, encodeAnnotation)),
		pipeline.Define("ListObjectAnnotations", pipeline.Read|pipeline.Data, objectRoute("GET", "annotation"), decodeListAnnotations, a.Objects.ListAnnotations, encodeAnnotations),
		pipeline.Define("DeleteObjectAnnotation", pipeline.Data, objectRoute("DELETE", "annotation"), a.decodeDeleteAnnotation, a.Objects.DeleteAnnotation, encodeDeleteAnnotation),
	}
}

const (
	annotationNameParameter = "annotationName"
	objectIfMatchHeader     = "x-amz-object-if-match"
	objectVersionHeader     = "x-amz-object-version-id"
)

func (a *API) decodePutAnnotation(c *pipeline.Call) (in object.PutAnnotation, err error) {
	if in.VersionRef, err = versionRef(c); err != nil {
		return in, err
	}
	in.Name, in.IfMatch, in.BypassRetention = c.Query.Get(annotationNameParameter), value(c, objectIfMatchHeader), a.bypass(c, object.Lock{})
	body, err := payload(c)
	if err != nil {
		return in, err
	}
	in.Body, in.Size = body, body.DecodedLength()
	in.Expect, err = expectation(c, body)
	return in, err
}

func encodePutAnnotation(c *pipeline.Call, out object.Annotated) (*pipeline.Response, error) {
	const root = "PutObjectAnnotationOutput"
	var x markup
	x.root(root)
	x.element("Key", c.Key)
	x.element("AnnotationName", out.Name)
	x.close(root)
	resp := xmlResponse(http.StatusOK, x.buf)
	setAnnotation(c, resp.Header, out)
	auditAnswer(c, resp.Header)
	return resp, nil
}

// setAnnotation sets the headers that tell of an annotation, and tells the audit record of
// the keys.
func setAnnotation(c *pipeline.Call, h http.Header, out object.Annotated) {
	noteSize(c, out.Size)
	setHeader(h, "ETag", quote(out.ETag))
	setHeader(h, objectVersionHeader, out.VersionID)
	setChecksum(h, out.Checksum, "")
	algorithm := out.SSE.Algorithm
	if algorithm == sse.NotSSE { // of an object that is reported as not encrypted they are, as SSE-S3
		algorithm = sse.AES256
	}
	setHeader(h, sse.AlgorithmHeader, algorithm)
	auditApplied(c, out.SSE, false)
	auditKey(c, ofObject, out.SSE)
}

func decodeGetAnnotation(c *pipeline.Call) (in object.GetAnnotation, err error) {
	in.VersionRef, err = versionRef(c)
	in.Name = c.Query.Get(annotationNameParameter)
	in.Checksum = strings.EqualFold(value(c, "x-amz-checksum-mode"), "ENABLED")
	return in, err
}

func encodeAnnotation(c *pipeline.Call, out *object.Annotation) (*pipeline.Response, error) {
	h := http.Header{"Content-Type": {"binary/octet-stream"}}
	setHeader(h, "Last-Modified", out.Modified.Format(http.TimeFormat))
	setAnnotation(c, h, out.Annotated)
	return &pipeline.Response{Status: http.StatusOK, Header: h, Stream: out.Body, Length: out.Size}, nil
}

func (a *API) decodeDeleteAnnotation(c *pipeline.Call) (in object.DeleteAnnotation, err error) {
	in.VersionRef, err = versionRef(c)
	in.Name, in.IfMatch, in.BypassRetention = c.Query.Get(annotationNameParameter), value(c, objectIfMatchHeader), a.bypass(c, object.Lock{})
	return in, err
}

func encodeDeleteAnnotation(c *pipeline.Call, out object.Unannotated) (*pipeline.Response, error) {
	h := make(http.Header)
	setHeader(h, objectVersionHeader, out.VersionID)
	auditAnswer(c, h)
	return &pipeline.Response{Status: http.StatusNoContent, Header: h}, nil
}

func decodeListAnnotations(c *pipeline.Call) (in object.ListAnnotations, err error) {
	if in.VersionRef, err = versionRef(c); err != nil {
		return in, err
	}
	in.Prefix = c.Query.Get("annotation-prefix")
	if in.After, err = continuation(c); err != nil {
		return in, err
	}
	in.Max, err = annotationPage(c)
	return in, err
}

// annotationPage returns how many annotations a page may have.
func annotationPage(c *pipeline.Call) (int, error) {
	const name = "max-annotation-results"
	text := c.Query.Get(name)
	if text == "" {
		return object.MaxAnnotations, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0, invalidArgument(name, text, "Argument max-annotation-results must be an integer between 1 and 1000")
	}
	return int(min(n, object.MaxAnnotations)), nil
}

func encodeAnnotations(c *pipeline.Call, out object.AnnotationPage) (*pipeline.Response, error) {
	const root = "ListObjectAnnotationsOutput"
	page, _ := annotationPage(c) // checked when the request was read
	x := markup{buf: make([]byte, 0, 512+256*len(out.Entries))}
	x.root(root)
	if len(out.Entries) > 0 {
		x.open("Annotations")
		for _, e := range out.Entries {
			x.open("AnnotationEntry")
			x.element("AnnotationName", e.Name)
			x.raw("ChecksumAlgorithm", string(e.Checksum.Algorithm))
			x.element("ETag", quote(e.ETag))
			x.element("LastModified", timestamp(e.Modified))
			x.number("Size", e.Size)
			x.close("AnnotationEntry")
		}
		x.close("Annotations")
	}
	x.element("Bucket", c.Bucket)
	x.element("Key", c.Key)
	x.element("AnnotationPrefix", c.Query.Get("annotation-prefix"))
	x.number("MaxAnnotationResults", int64(page))
	x.number("AnnotationCount", int64(len(out.Entries)))
	if token := c.Query.Get("continuation-token"); token != "" {
		x.element("ContinuationToken", token)
	}
	if out.More {
		x.element("NextContinuationToken", continuationToken(out.Entries[len(out.Entries)-1].Name))
	}
	x.close(root)
	resp := xmlResponse(http.StatusOK, x.buf)
	setHeader(resp.Header, objectVersionHeader, out.VersionID)
	return resp, nil
}

// annotationDirective reads whether a copy is to be without the annotations of its source:
// COPY is the default.
func annotationDirective(c *pipeline.Call) (exclude bool, err error) {
	const name = "x-amz-object-annotation-directive"
	switch v := value(c, name); v {
	case "", "COPY":
		return false, nil
	case "EXCLUDE":
		return true, nil
	default:
		return false, invalidArgument(name, v, "Unknown annotation directive.")
	}
}
