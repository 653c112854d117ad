// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// What browsers ask before a page of one site uses another, and what they look for in the
// answers (Fetch Standard, "CORS protocol"). The rules are the bucket's.

// Kinds of fault of a preflight request.
const (
	// NoPreflight: it is none, or says nothing that a rule could allow.
	NoPreflight fault.Kind = "s3api: not a preflight request"
	// PreflightForbidden: no rule allows what it asks for. Details Method, ResourceType.
	PreflightForbidden fault.Kind = "s3api: preflight forbidden"
)

// preflightOps answer without a signature, as browsers send none, and leave no audit
// record: they do nothing.
func (a *API) preflightOps() []pipeline.Op {
	const traits = pipeline.Read | pipeline.Silent | pipeline.Open
	return []pipeline.Op{
		pipeline.Define("PreflightBucket", traits, bucketRoute("OPTIONS"), decodePreflight, a.preflight, encodePreflight),
		pipeline.Define("PreflightObject", traits, objectRoute("OPTIONS"), decodePreflight, a.preflight, encodePreflight),
	}
}

// preflight is what a browser asks for.
type preflight struct {
	bucket, resource string // resource is BUCKET or OBJECT
	origin, method   string
	headers          []string
}

// Headers of the protocol, in canonical form.
const (
	originHeader         = "Origin"
	requestMethodHeader  = "Access-Control-Request-Method"
	requestHeadersHeader = "Access-Control-Request-Headers"
)

// decodePreflight reads a preflight request. Fault: NoPreflight.
func decodePreflight(c *pipeline.Call) (preflight, error) {
	in := preflight{bucket: c.Bucket, resource: "BUCKET", origin: c.Header(originHeader), method: c.Header(requestMethodHeader)}
	if c.Key != "" {
		in.resource = "OBJECT"
	}
	if in.origin == "" {
		return in, fault.New(NoPreflight, "Insufficient information. Origin request header needed.")
	}
	if in.method != "" && !bucket.IsCorsMethod(in.method) {
		return in, fault.New(NoPreflight, "Invalid Access-Control-Request-Method: %s", in.method)
	}
	var err error
	in.headers, err = requestHeaders(c)
	return in, err
}

// requestHeaders returns the names of the headers that a browser wants to send. Fault:
// NoPreflight.
func requestHeaders(c *pipeline.Call) (names []string, err error) {
	for _, list := range c.Values(requestHeadersHeader) {
		for name := range strings.SplitSeq(list, ",") {
			trimmed := strings.Trim(name, " ")
			if !bucket.IsHeaderName(trimmed) {
				return nil, fault.New(NoPreflight, "Access-Control-Request-Headers \"%s\" contains invalid character.", name)
			}
			if trimmed != "" {
				names = append(names, strings.ToLower(trimmed))
			}
		}
	}
	return names, nil
}

// allowed is what a page of an origin is allowed, and the headers that it asked for.
type allowed struct {
	bucket.Allowed
	origin  string
	headers []string
}

// preflight looks whether the bucket's rules allow what a browser asks for. Whether there
// is such a bucket is told to anybody, as by S3. Faults: NoPreflight, PreflightForbidden.
func (a *API) preflight(ctx context.Context, _ iam.Caller, in preflight) (out allowed, err error) {
	forbidden := func(resource, text string) error {
		method := in.method
		if method == "" {
			method = http.MethodOptions
		}
		return fault.New(PreflightForbidden, "CORSResponse: %s", text).With("Method", method).With("ResourceType", resource)
	}
	b, err := a.Buckets.Access(ctx, in.bucket)
	switch {
	case errors.Is(err, bucket.NoSuchBucket):
		return out, forbidden("BUCKET", "Bucket not found")
	case err != nil:
		return out, err
	}
	cors, err := a.Buckets.Cors(ctx, b.Bucket)
	switch {
	case err != nil:
		return out, err
	case cors == nil:
		return out, forbidden("BUCKET", "CORS is not enabled for this bucket.")
	case in.method == "":
		return out, fault.New(NoPreflight, "Invalid Access-Control-Request-Method: null")
	}
	out = allowed{cors.Allow(in.origin, in.method, in.headers), in.origin, in.headers}
	if out.Rule == nil { // the spelling is S3's
		return out, forbidden(in.resource, "This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.")
	}
	return out, nil
}

func encodePreflight(_ *pipeline.Call, out allowed) (*pipeline.Response, error) {
	resp := &pipeline.Response{Status: http.StatusOK, Header: make(http.Header)}
	out.set(resp.Header)
	return resp, nil
}

// set adds the headers that a browser looks for.
func (o *allowed) set(h http.Header) {
	r := o.Rule
	if o.Any {
		setHeader(h, "Access-Control-Allow-Origin", "*")
	} else {
		setHeader(h, "Access-Control-Allow-Origin", o.origin)
		setHeader(h, "Access-Control-Allow-Credentials", "true")
	}
	setHeader(h, "Access-Control-Allow-Methods", strings.Join(r.Methods, ", "))
	setHeader(h, "Access-Control-Allow-Headers", strings.Join(o.headers, ", "))
	setHeader(h, "Access-Control-Expose-Headers", strings.Join(r.Expose, ", "))
	if r.MaxAge != nil {
		setHeader(h, "Access-Control-Max-Age", strconv.FormatInt(int64(*r.MaxAge), 10))
	}
	setHeader(h, "Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
}

// pageRequest refuses a request of a page that says, as no browser does, that it is about
// another one that cannot be, on a bucket with rules: S3 does. Fault: NoPreflight.
func (a *API) pageRequest(ctx context.Context, c *pipeline.Call) error {
	head := c.Request.Header
	if head[originHeader] == nil || head[requestMethodHeader] == nil && head[requestHeadersHeader] == nil ||
		c.Bucket == "" || c.Request.Method == http.MethodOptions {
		return nil
	}
	b, err := a.Buckets.Access(ctx, c.Bucket)
	if err != nil {
		return nil // its operation says so
	}
	if cors, err := a.Buckets.Cors(ctx, b.Bucket); err != nil || cors == nil {
		return err
	}
	if method := c.Header(requestMethodHeader); method != "" && !bucket.IsCorsMethod(method) {
		return fault.New(NoPreflight, "Invalid Access-Control-Request-Method: %s", method)
	}
	_, err = requestHeaders(c)
	return err
}

// answering adds to an answer what is not its operation's: whether a page of another site
// may read it, and whether the requester pays for it. Of most requests it looks at two
// headers.
func (a *API) answering(c *pipeline.Call, resp *pipeline.Response) {
	if c.Bucket == "" {
		return
	}
	if _, cross := c.Request.Header[originHeader]; cross && c.Request.Method != http.MethodOptions {
		a.answerPage(c, resp)
	}
	a.answerPayer(c, resp)
	a.answerRegion(c, resp)
}

// answerPage lets a page of another site read an answer, whatever that is, if the bucket's
// rules do. A request that says more than itself is taken at its word, as by S3.
func (a *API) answerPage(c *pipeline.Call, resp *pipeline.Response) {
	ctx := c.Request.Context()
	b, err := a.Buckets.Access(ctx, c.Bucket)
	if err != nil {
		return
	}
	cors, err := a.Buckets.Cors(ctx, b.Bucket)
	if err != nil || cors == nil {
		return
	}
	method := c.Header(requestMethodHeader)
	if method == "" {
		method = c.Request.Method
	}
	headers, err := requestHeaders(c)
	if err != nil {
		return
	}
	out := allowed{cors.Allow(c.Header(originHeader), method, headers), c.Header(originHeader), headers}
	if out.Rule == nil {
		return
	}
	if resp.Header == nil {
		resp.Header = make(http.Header)
	}
	out.set(resp.Header)
}
