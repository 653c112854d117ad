// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// unsupported are the operations of S3 that Coffer knows and refuses, with 501.
// They are in the table so that a request for one is named in metrics, logs and
// audit records, and never taken for another: PUT /photos?acl makes no bucket.
var unsupported = []struct {
	name   string
	route  pipeline.Route
	traits pipeline.Traits
	event  string
}{

	{"PutObjectAnnotation", objectRoute("PUT", "annotation"), pipeline.Data, ""},
	{"GetObjectAnnotation", objectRoute("GET", "annotation", "annotationName"), pipeline.Read | pipeline.Data, ""},
	{"ListObjectAnnotations", objectRoute("GET", "annotation"), pipeline.Read | pipeline.Data, ""},
	{"DeleteObjectAnnotation", objectRoute("DELETE", "annotation"), pipeline.Data, ""},
}

// unsupportedOps is the part of the table that is refused.
func unsupportedOps() []pipeline.Op {
	ops := make([]pipeline.Op, len(unsupported))
	for i, u := range unsupported {
		ops[i] = pipeline.Unsupported(u.name, u.route, fault.New(NotImplemented, "The operation %s is not implemented.", u.name))
		ops[i].Traits, ops[i].EventName = u.traits, u.event
	}
	return ops
}
