// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) abacOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("PutBucketAbac", 0, bucketRoute("PUT", "abac"), decodePutABAC, a.Buckets.PutABAC, ok),
		pipeline.Define("GetBucketAbac", pipeline.Read, bucketRoute("GET", "abac"), decodeGetABAC, a.Buckets.ABAC, encodeABAC),
	}
}

func decodePutABAC(c *pipeline.Call) (in bucket.PutABAC, err error) {
	in.Ref = bucketRef(c)
	b, err := document(c)
	if err != nil {
		return in, err
	}
	var s schema
	n, err := parseTree(b, "AbacStatus")
	if err != nil {
		return in, err
	}
	s.only(n, "Status")
	in.Status = s.word(n, "Status")
	auditDocument(c, "AbacStatus", n.recorded())
	return in, s.err
}

func decodeGetABAC(c *pipeline.Call) (bucket.GetABAC, error) {
	return bucket.GetABAC{Ref: bucketRef(c)}, nil
}

func encodeABAC(_ *pipeline.Call, status string) (*pipeline.Response, error) {
	var x markup
	x.root("AbacStatus")
	x.element("Status", status)
	x.close("AbacStatus")
	return xmlResponse(http.StatusOK, x.buf), nil
}
