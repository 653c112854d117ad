// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// Headers of requests on buckets whose requesters pay, in canonical form where they are
// the client's.
const (
	payerHeader   = "X-Amz-Request-Payer"
	chargedHeader = "x-amz-request-charged"
	requester     = "requester"
)

// Pays reports whether the client agrees to pay for the request.
func (k *conditionKeys) Pays() bool { return value((*pipeline.Call)(k), payerHeader) == requester }

// answerPayer says in the answer that the requester pays for it.
func (a *API) answerPayer(c *pipeline.Call, resp *pipeline.Response) {
	if _, asked := c.Request.Header[payerHeader]; !asked && !presigned(c) {
		return
	}
	if resp.Status >= http.StatusBadRequest || !(*conditionKeys)(c).Pays() {
		return
	}
	b, err := a.Buckets.Access(c.Request.Context(), c.Bucket)
	if err != nil || !b.RequesterPays() || b.Owner == c.Caller.Account {
		return
	}
	if resp.Header == nil {
		resp.Header = make(http.Header)
	}
	setHeader(resp.Header, chargedHeader, requester)
}

func (a *API) paymentOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("PutBucketRequestPayment", 0, bucketRoute("PUT", "requestPayment"), decodePutPayment, a.Buckets.PutRequestPayment, ok),
		pipeline.Define("GetBucketRequestPayment", pipeline.Read, bucketRoute("GET", "requestPayment"), decodeGetPayment, a.Buckets.RequestPayment, encodePayment),
	}
}

type paymentXML struct {
	Payer   []string
	Unknown []unknownXML `xml:",any"`
}

func decodePutPayment(c *pipeline.Call) (in bucket.PutRequestPayment, err error) {
	in.Ref = bucketRef(c)
	var doc paymentXML
	if err := decodeXML(c, "RequestPaymentConfiguration", &doc); err != nil {
		return in, err
	}
	if len(doc.Unknown) > 0 || len(doc.Payer) != 1 {
		return in, malformedXML(errors.New("not one payer"))
	}
	in.Payer = strings.TrimSpace(doc.Payer[0])
	auditDocument(c, "RequestPaymentConfiguration", map[string]any{"Payer": in.Payer})
	return in, nil
}

func decodeGetPayment(c *pipeline.Call) (bucket.GetRequestPayment, error) {
	return bucket.GetRequestPayment{Ref: bucketRef(c)}, nil
}

func encodePayment(_ *pipeline.Call, payer string) (*pipeline.Response, error) {
	var x markup
	x.root("RequestPaymentConfiguration")
	x.raw("Payer", payer)
	x.close("RequestPaymentConfiguration")
	return xmlResponse(http.StatusOK, x.buf), nil
}
