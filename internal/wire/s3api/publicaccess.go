// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) publicAccessOps() []pipeline.Op {
	ops := []pipeline.Op{
		pipeline.Define("PutPublicAccessBlock", 0, bucketRoute("PUT", "publicAccessBlock"), decodePutPublicAccess, a.Buckets.PutPublicAccess, ok),
		pipeline.Define("GetPublicAccessBlock", pipeline.Read, bucketRoute("GET", "publicAccessBlock"), decodeGetPublicAccess, a.Buckets.PublicAccess, encodePublicAccess),
		pipeline.Define("DeletePublicAccessBlock", 0, bucketRoute("DELETE", "publicAccessBlock"), decodeDeletePublicAccess, a.Buckets.DeletePublicAccess, noContent),
	}
	for i, event := range []string{"PutBucketPublicAccessBlock", "GetBucketPublicAccessBlock", "DeleteBucketPublicAccessBlock"} {
		ops[i].EventName = event
	}
	return ops
}

// publicAccessXML is PublicAccessBlockConfiguration. What is absent is not blocked, so
// an element that is not part of it is refused: a misspelt one would leave open what
// was meant to be closed.
type publicAccessXML struct {
	ACLs       *string      `xml:"BlockPublicAcls"`
	IgnoreACLs *string      `xml:"IgnorePublicAcls"`
	Policy     *string      `xml:"BlockPublicPolicy"`
	Restrict   *string      `xml:"RestrictPublicBuckets"`
	Unknown    []unknownXML `xml:",any"`
}

// parsePublicAccess reads a configuration.
func parsePublicAccess(b []byte) (p bucket.PublicAccess, err error) {
	var doc publicAccessXML
	if err := parseXML(b, "PublicAccessBlockConfiguration", &doc); err != nil {
		return p, err
	}
	if err := known(doc.Unknown); err != nil {
		return p, err
	}
	for _, f := range []struct {
		text *string
		into *bool
	}{{doc.ACLs, &p.ACLs}, {doc.IgnoreACLs, &p.IgnoreACLs}, {doc.Policy, &p.Policy}, {doc.Restrict, &p.Restrict}} {
		if f.text == nil {
			continue
		}
		if *f.into, err = xmlBool(*f.text); err != nil {
			return p, err
		}
	}
	return p, nil
}

// publicAccess reads the call's configuration and notes it in the audit record.
func publicAccess(c *pipeline.Call) (p bucket.PublicAccess, err error) {
	b, err := document(c)
	if err != nil {
		return p, err
	}
	if p, err = parsePublicAccess(b); err != nil {
		return p, err
	}
	auditDocument(c, "PublicAccessBlockConfiguration", map[string]any{
		"BlockPublicAcls": p.ACLs, "IgnorePublicAcls": p.IgnoreACLs,
		"BlockPublicPolicy": p.Policy, "RestrictPublicBuckets": p.Restrict,
	})
	return p, nil
}

func decodePutPublicAccess(c *pipeline.Call) (in bucket.PutPublicAccess, err error) {
	in.Ref = bucketRef(c)
	in.PublicAccess, err = publicAccess(c)
	return in, err
}

func decodeGetPublicAccess(c *pipeline.Call) (bucket.GetPublicAccess, error) {
	return bucket.GetPublicAccess{Ref: bucketRef(c)}, nil
}

func encodePublicAccess(_ *pipeline.Call, p bucket.PublicAccess) (*pipeline.Response, error) {
	var x markup
	x.root("PublicAccessBlockConfiguration")
	x.flag("BlockPublicAcls", p.ACLs)
	x.flag("IgnorePublicAcls", p.IgnoreACLs)
	x.flag("BlockPublicPolicy", p.Policy)
	x.flag("RestrictPublicBuckets", p.Restrict)
	x.close("PublicAccessBlockConfiguration")
	return xmlResponse(http.StatusOK, x.buf), nil
}

func decodeDeletePublicAccess(c *pipeline.Call) (bucket.DeletePublicAccess, error) {
	return bucket.DeletePublicAccess{Ref: bucketRef(c)}, nil
}
