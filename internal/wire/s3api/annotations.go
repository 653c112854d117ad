// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"strconv"

	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// annotationOps are the operations on annotations of objects. None is kept, so none is found.
func (a *API) annotationOps() []pipeline.Op {
	op := func(verb string, traits pipeline.Traits, route pipeline.Route, answer string) pipeline.Op {
		decode := func(c *pipeline.Call) (in object.Annotation, err error) {
			in.Verb, in.Name = verb, c.Query.Get("annotationName")
			in.VersionRef, err = versionRef(c)
			return in, err
		}
		return pipeline.Answered(pipeline.Define(verb+"ObjectAnnotation", traits|pipeline.Data, route, decode, a.Objects.Annotation, ok), answer)
	}
	const missing = "404 `NoSuchAnnotation`, as for every object that has none"
	return []pipeline.Op{
		op("Put", 0, objectRoute("PUT", "annotation"), "S3's error for what is wrong with the name or the object; else 501 `NotImplemented`. Annotations are not kept yet"),
		op("Get", pipeline.Read, objectRoute("GET", "annotation", "annotationName"), missing),
		op("Delete", 0, objectRoute("DELETE", "annotation"), missing),
		pipeline.Define("ListObjectAnnotations", pipeline.Read|pipeline.Data, objectRoute("GET", "annotation"), decodeListAnnotations, a.Objects.ListAnnotations, encodeListAnnotations),
	}
}

// maxAnnotations is the most annotations of an object, and of a page.
const maxAnnotations = 1000

func decodeListAnnotations(c *pipeline.Call) (in object.ListAnnotations, err error) {
	if in.VersionRef, err = versionRef(c); err != nil {
		return in, err
	}
	if _, err = continuation(c); err != nil {
		return in, err
	}
	_, err = annotationPage(c)
	return in, err
}

// annotationPage returns how many annotations a page may have.
func annotationPage(c *pipeline.Call) (int64, error) {
	const name = "max-annotation-results"
	text := c.Query.Get(name)
	if text == "" {
		return maxAnnotations, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0, invalidArgument(name, text, "Argument max-annotation-results must be an integer between 1 and 1000")
	}
	return min(n, maxAnnotations), nil
}

func encodeListAnnotations(c *pipeline.Call, version string) (*pipeline.Response, error) {
	const root = "ListObjectAnnotationsResult"
	page, _ := annotationPage(c) // checked when the request was read
	var x markup
	x.root(root)
	x.element("Bucket", c.Bucket)
	x.element("Key", c.Key)
	x.element("AnnotationPrefix", c.Query.Get("annotation-prefix"))
	x.number("MaxAnnotationResults", page)
	x.number("AnnotationCount", 0)
	x.close(root)
	resp := xmlResponse(http.StatusOK, x.buf)
	setHeader(resp.Header, "x-amz-object-version-id", version)
	return resp, nil
}

// annotationDirective checks whether a copy is to have the annotations of its source, which
// has none.
func annotationDirective(c *pipeline.Call) error {
	const name = "x-amz-object-annotation-directive"
	switch v := value(c, name); v {
	case "", "COPY", "EXCLUDE":
		return nil
	default:
		return invalidArgument(name, v, "Unknown annotation directive.")
	}
}
