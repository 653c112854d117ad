// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) ownershipOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("PutBucketOwnershipControls", 0, bucketRoute("PUT", "ownershipControls"), decodePutOwnership, a.Buckets.PutOwnership, ok),
		pipeline.Define("GetBucketOwnershipControls", pipeline.Read, bucketRoute("GET", "ownershipControls"), decodeGetOwnership, a.Buckets.GetOwnership, encodeOwnership),
		pipeline.Define("DeleteBucketOwnershipControls", 0, bucketRoute("DELETE", "ownershipControls"), decodeDeleteOwnership, a.Buckets.DeleteOwnership, noContent),
	}
}

// ownershipXML is OwnershipControls. There is one rule.
type ownershipXML struct {
	Rules []struct {
		Ownership []string     `xml:"ObjectOwnership"`
		Unknown   []unknownXML `xml:",any"`
	} `xml:"Rule"`
	Unknown []unknownXML `xml:",any"`
}

// parseOwnership reads a document of ownership controls.
func parseOwnership(b []byte) (bucket.Ownership, error) {
	var doc ownershipXML
	if err := parseXML(b, "OwnershipControls", &doc); err != nil {
		return "", err
	}
	if len(doc.Unknown) > 0 || len(doc.Rules) != 1 || len(doc.Rules[0].Unknown) > 0 || len(doc.Rules[0].Ownership) != 1 {
		return "", malformedXML(errors.New("not one rule with one ownership"))
	}
	o := bucket.Ownership(strings.TrimSpace(doc.Rules[0].Ownership[0]))
	if !o.Valid() {
		return "", malformedXML(errors.New("unknown ownership"))
	}
	return o, nil
}

func decodePutOwnership(c *pipeline.Call) (in bucket.PutOwnership, err error) {
	in.Ref = bucketRef(c)
	b, err := digested(c)
	if err != nil {
		return in, err
	}
	if in.Ownership, err = parseOwnership(b); err != nil {
		return in, err
	}
	auditDocument(c, "OwnershipControls", map[string]any{"Rule": map[string]any{"ObjectOwnership": string(in.Ownership)}})
	return in, nil
}

func decodeGetOwnership(c *pipeline.Call) (bucket.GetOwnership, error) {
	return bucket.GetOwnership{Ref: bucketRef(c)}, nil
}

func encodeOwnership(_ *pipeline.Call, o bucket.Ownership) (*pipeline.Response, error) {
	var x markup
	x.root("OwnershipControls")
	x.open("Rule")
	x.element("ObjectOwnership", string(o))
	x.close("Rule")
	x.close("OwnershipControls")
	return xmlResponse(http.StatusOK, x.buf), nil
}

func decodeDeleteOwnership(c *pipeline.Call) (bucket.DeleteOwnership, error) {
	return bucket.DeleteOwnership{Ref: bucketRef(c)}, nil
}
