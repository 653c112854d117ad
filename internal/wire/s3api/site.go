// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/website"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// Buckets as websites: a family of its own, at host names or on a listener of its own, that
// reads no signatures, knows GET and HEAD, and answers browsers.

// NoSite: the host name of a request names no bucket.
const NoSite fault.Kind = "s3api: the host name names no website"

// Websites returns the family of websites. Whatever else listens to the same host names goes
// behind it.
func (a *API) Websites() *pipeline.Family {
	sites := website.New(a.Buckets, a.Objects, a.Access, func(err error) int { return codes.Of(err).Status })
	const (
		read   = pipeline.Read | pipeline.Data | pipeline.Open
		silent = pipeline.Read | pipeline.Silent | pipeline.Open
	)
	get := streaming(pipeline.Define("GetWebsiteObject", read, objectRoute("GET"), decodeSite, sites.Get, a.encodeSite))
	head := pipeline.Define("HeadWebsiteObject", read, objectRoute("HEAD"), decodeSite, sites.Get, a.encodeSite)
	get.EventName, head.EventName = "GetObject", "HeadObject"
	ops := []pipeline.Op{get, head, pipeline.Define("PreflightWebsite", silent, objectRoute("OPTIONS"), decodeSitePreflight, a.preflight, encodePreflight)}
	hosts, apis := newRouter(nil, a.WebsiteDomains), newRouter(nil, a.Domains)
	f := &pipeline.Family{
		Name: "website", Source: "s3.amazonaws.com", TellsTransport: true, Services: []string{"s3"},
		Match: func(r *http.Request) bool {
			// Of s3.example.com and example.com the longer name says what a host is.
			at := hosts.under(r.Host)
			return at > 0 && at > apis.under(r.Host) || onWebsites(r.Context())
		},
		Find: func(c *pipeline.Call) (*pipeline.Op, error) {
			if err := hosts.site(c); err != nil {
				return nil, err
			}
			a.watchSite(c)
			for i := range ops {
				if ops[i].Route.Method == c.Request.Method {
					return &ops[i], nil
				}
			}
			return nil, fault.New(MethodNotAllowed, "").With("ResourceType", "OBJECT").With("allow", "GET, HEAD, OPTIONS")
		},
		Owner: a.owner, Answering: a.answering, NoQuery: true,
		Codes: codes, Fault: renderPage, Ops: ops,
	}
	if a.Logs != nil {
		f.Answered = a.answered
	}
	return f
}

type websitesKey struct{}

// OnWebsites marks the connections of a listener that serves websites alone.
func OnWebsites(ctx context.Context) context.Context {
	return context.WithValue(ctx, websitesKey{}, true)
}

func onWebsites(ctx context.Context) bool { return ctx.Value(websitesKey{}) != nil }

// under returns the length of the longest domain that a host, which may have a port, is or
// is below; 0 for none.
func (r *router) under(host string) int {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	for _, d := range r.domains {
		at := len(host) - len(d)
		if at >= 0 && strings.EqualFold(host[at:], d) && (at == 0 || host[at-1] == '.') {
			return len(d)
		}
	}
	return 0
}

// site finds the bucket and the key of a request to a website. On a listener of websites, a
// host name that is not below a domain is itself the name of a bucket, as for names that are
// aliases of S3's. Faults: InvalidURI, NoSite.
func (r *router) site(c *pipeline.Call) error {
	host := c.Host()
	if c.Bucket = r.bucketOfHost(host); c.Bucket == "" && r.under(host) == 0 {
		c.Bucket = host
	}
	path := c.Request.URL.Path
	if !strings.HasPrefix(path, "/") && path != "" || !utf8.ValidString(path) {
		return fault.New(pipeline.InvalidURI, "").With("URI", c.Request.URL.EscapedPath())
	}
	c.Key = strings.TrimPrefix(path, "/")
	if c.Bucket == "" {
		return fault.New(NoSite, "")
	}
	return nil
}

// watchSite makes a call's notes if it is on a bucket that is logged.
func (a *API) watchSite(c *pipeline.Call) {
	if a.Logs == nil {
		return
	}
	if to := a.Buckets.Logged(c.Bucket); to != nil {
		c.Notes = &logNotes{to: to, size: -1, site: true}
	}
}

// decodeSite reads a request to a website. Who sends it nobody asks.
func decodeSite(c *pipeline.Call) (website.Request, error) {
	c.Identify(iam.Principal{Type: iam.Anonymous})
	auditRequest(c)
	return website.Request{
		Bucket: c.Bucket, Key: c.Key, Head: c.Request.Method == http.MethodHead,
		Condition: readCondition(c), Range: c.Header("Range"), Keys: (*conditionKeys)(c),
	}, nil
}

func decodeSitePreflight(c *pipeline.Call) (preflight, error) {
	in, err := decodePreflight(c)
	in.resource = "OBJECT" // an index document, where there is no key
	return in, err
}

func (a *API) encodeSite(c *pipeline.Call, out website.Answer) (*pipeline.Response, error) {
	c.Key = out.Key // of a directory, that of its index document
	auditRequest(c)
	switch {
	case out.Redirect != nil:
		return encodeRedirect(c, out), nil
	case out.Object == nil:
		return pageOfError(c, out), nil
	}
	if out.Err == nil {
		return a.encodeSiteObject(c, out.Object), nil
	}
	c.Key = out.Page
	resp := a.encodeSiteObject(c, out.Object)
	c.Key = out.Key
	code := codes.Of(out.Err)
	resp.Status, resp.Err = code.Status, out.Err
	tellError(resp.Header, code, detailsOf(out.Err))
	return resp, nil
}

func (a *API) encodeSiteObject(c *pipeline.Call, o *object.Object) *pipeline.Response {
	a.hideTags(c, o)
	a.hideLock(c, o)
	status, h := describe(c, o)
	delete(h, redirectHeader)
	resp := &pipeline.Response{Status: status, Header: h, Stream: o.Body, Length: o.Length}
	if o.Body == nil {
		setHeader(h, "Content-Length", strconv.FormatInt(o.Length, 10))
	}
	return resp
}

// detailsOf returns the details of an error.
func detailsOf(err error) []fault.Detail {
	f, ok := fault.As(err)
	if !ok {
		return nil
	}
	return f.Details
}
