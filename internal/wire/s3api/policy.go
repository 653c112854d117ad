// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"encoding/json"
	"net/http"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) policyOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("PutBucketPolicy", 0, bucketRoute("PUT", "policy"), decodePutPolicy, a.Buckets.PutPolicy, noContent),
		pipeline.Define("GetBucketPolicy", pipeline.Read, bucketRoute("GET", "policy"), decodeGetPolicy, a.Buckets.PolicyText, encodePolicy),
		pipeline.Define("DeleteBucketPolicy", 0, bucketRoute("DELETE", "policy"), decodeDeletePolicy, a.Buckets.DeletePolicy, noContent),
		pipeline.Define("GetBucketPolicyStatus", pipeline.Read, bucketRoute("GET", "policyStatus"), decodePolicyStatus, a.Buckets.PolicyStatus, encodePolicyStatus),
	}
}

func decodePutPolicy(c *pipeline.Call) (bucket.PutPolicy, error) {
	in := bucket.PutPolicy{Ref: bucketRef(c)}
	// S3 wants no digest of a policy, and clients such as s3cmd send none.
	b, err := document(c)
	in.Text = string(b)
	var doc map[string]any
	if err == nil && len(b) <= bucket.MaxPolicy && json.Unmarshal(b, &doc) == nil {
		auditDocument(c, "bucketPolicy", doc) // what a policy was is what such a record is read for
	}
	return in, err
}

func decodeGetPolicy(c *pipeline.Call) (bucket.GetPolicy, error) {
	return bucket.GetPolicy{Ref: bucketRef(c)}, nil
}

func encodePolicy(_ *pipeline.Call, text string) (*pipeline.Response, error) {
	return &pipeline.Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(text)}, nil
}

func decodeDeletePolicy(c *pipeline.Call) (bucket.DeletePolicy, error) {
	return bucket.DeletePolicy{Ref: bucketRef(c)}, nil
}

func decodePolicyStatus(c *pipeline.Call) (bucket.PolicyStatus, error) {
	return bucket.PolicyStatus{Ref: bucketRef(c)}, nil
}

func encodePolicyStatus(_ *pipeline.Call, public bool) (*pipeline.Response, error) {
	var x markup
	x.root("PolicyStatus")
	x.flag("IsPublic", public)
	x.close("PolicyStatus")
	return xmlResponse(http.StatusOK, x.buf), nil
}
