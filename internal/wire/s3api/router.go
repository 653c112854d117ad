// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// The three things that a request can be about, as the path of a route.
const (
	servicePath = "/"
	bucketPath  = "/{bucket}"
	objectPath  = "/{bucket}/{key}"
)

// service returns the route of an operation on the whole service. Entries of
// query are parameters that must be present, or "name=value".
func service(method string, query ...string) pipeline.Route {
	return pipeline.Route{Method: method, Path: servicePath, Query: query}
}

// bucketRoute returns the route of an operation on a bucket.
func bucketRoute(method string, query ...string) pipeline.Route {
	return pipeline.Route{Method: method, Path: bucketPath, Query: query}
}

// objectRoute returns the route of an operation on an object.
func objectRoute(method string, query ...string) pipeline.Route {
	return pipeline.Route{Method: method, Path: objectPath, Query: query}
}

// subresources are the query parameters that make a request be about a part of a
// bucket or of an object. A request with one goes to an operation that names it or
// to none: DELETE /photos?policy must never delete the bucket.
var subresources = map[string][]string{
	"abac":                    {bucketPath},
	"accelerate":              {bucketPath},
	"acl":                     {bucketPath, objectPath},
	"analytics":               {bucketPath},
	"annotation":              {objectPath},
	"attributes":              {objectPath},
	"cors":                    {bucketPath},
	"delete":                  {bucketPath},
	"encryption":              {bucketPath, objectPath},
	"intelligent-tiering":     {bucketPath},
	"inventory":               {bucketPath},
	"legal-hold":              {objectPath},
	"lifecycle":               {bucketPath},
	"location":                {bucketPath},
	"logging":                 {bucketPath},
	"metadataAnnotationTable": {bucketPath},
	"metadataConfiguration":   {bucketPath},
	"metadataInventoryTable":  {bucketPath},
	"metadataJournalTable":    {bucketPath},
	"metadataTable":           {bucketPath},
	"metrics":                 {bucketPath},
	"notification":            {bucketPath},
	"object-lock":             {bucketPath},
	"ownershipControls":       {bucketPath},
	"policy":                  {bucketPath},
	"policyStatus":            {bucketPath},
	"publicAccessBlock":       {bucketPath},
	"renameObject":            {objectPath},
	"replication":             {bucketPath},
	"requestPayment":          {bucketPath},
	"restore":                 {objectPath},
	"retention":               {objectPath},
	"select":                  {objectPath},
	"session":                 {bucketPath},
	"tagging":                 {bucketPath, objectPath},
	"torrent":                 {objectPath},
	"uploadId":                {objectPath},
	"uploads":                 {bucketPath, objectPath},
	"versioning":              {bucketPath},
	"versions":                {bucketPath},
	"website":                 {bucketPath},
}

// router finds the operation of a request.
type router struct {
	ops     map[string][]*pipeline.Op // by path
	domains []string                  // lower case, the longest first
}

// newRouter returns a router over the operations; it keeps pointers into ops.
func newRouter(ops []pipeline.Op, domains []string) *router {
	r := &router{ops: map[string][]*pipeline.Op{}}
	for i := range ops {
		path := ops[i].Route.Path
		r.ops[path] = append(r.ops[path], &ops[i])
	}
	for _, d := range domains {
		r.domains = append(r.domains, strings.ToLower(strings.Trim(d, ".")))
	}
	// "eu.example.com" before "example.com": the rest of the name is the bucket.
	slices.SortStableFunc(r.domains, func(a, b string) int { return len(b) - len(a) })
	return r
}

// find sets the call's bucket and key and returns its operation.
// Faults: InvalidURI, InvalidName, InvalidArgument, InvalidRequest,
// MethodNotAllowed.
func (r *router) find(c *pipeline.Call) (*pipeline.Op, error) {
	if err := r.target(c); err != nil {
		return nil, err
	}
	path := servicePath
	switch {
	case c.Key != "":
		path = objectPath
	case c.Bucket != "":
		path = bucketPath
	}
	var sub string
	if c.Request.Method != http.MethodOptions { // a browser asks about the path, whatever its query
		var err error
		if sub, err = subresource(c); err != nil {
			return nil, err
		}
	}
	op := r.match(c, path, sub)
	if op == nil {
		return nil, r.noMatch(c, path, sub)
	}
	auditRequest(c)
	return op, nil
}

// target reads bucket and key from the host name and the path. The path is taken
// decoded, which is what a signature binds; a key is everything behind the slash
// that ends the bucket's name, empty segments and trailing slashes included.
func (r *router) target(c *pipeline.Call) error {
	path := c.Request.URL.Path
	if path == "" { // http://host without a slash
		path = "/"
	}
	if path[0] != '/' || !utf8.ValidString(path) || !validQuery(c) {
		return fault.New(pipeline.InvalidURI, "").With("URI", c.Request.URL.EscapedPath())
	}
	rest := path[1:]
	if name := r.bucketOfHost(c.Host()); name != "" {
		c.Bucket, c.Key = name, rest
		return nil
	}
	c.Bucket, c.Key, _ = strings.Cut(rest, "/")
	if c.Bucket == "" && rest != "" {
		return fault.New(bucket.InvalidName, "").With("BucketName", "")
	}
	return nil
}

// validQuery reports whether names and values of the query are text. Prefixes and
// markers are echoed in XML, where nothing else can stand.
func validQuery(c *pipeline.Call) bool {
	for name, values := range c.Query {
		if !utf8.ValidString(name) {
			return false
		}
		for _, v := range values {
			if !utf8.ValidString(v) {
				return false
			}
		}
	}
	return true
}

// bucketOfHost returns the bucket that a virtual-host style name bears, "" for
// names of another form.
func (r *router) bucketOfHost(host string) string {
	if slices.Contains(r.domains, host) {
		return ""
	}
	for _, d := range r.domains {
		if name, ok := strings.CutSuffix(host, "."+d); ok {
			return name
		}
	}
	return ""
}

// subresource returns the request's sub-resource, "" for none.
func subresource(c *pipeline.Call) (string, error) {
	var found []string
	for name := range c.Query {
		if _, ok := subresources[name]; ok {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	slices.Sort(found)
	return "", invalidArgument("ResourceType", found[0],
		"Conflicting query string parameters: "+strings.Join(found, ", "))
}

// match returns the operation with the most demands among those whose demands the
// request meets, nil for none.
func (r *router) match(c *pipeline.Call, path, sub string) *pipeline.Op {
	var best *pipeline.Op
	most := -1
	for _, op := range r.ops[path] {
		route := &op.Route
		if route.Method != c.Request.Method || sub != "" && !slices.Contains(route.Query, sub) {
			continue
		}
		demands := len(route.Query)
		if route.Header != "" {
			demands++
		}
		if demands > most && meets(c, route) {
			best, most = op, demands
		}
	}
	return best
}

// meets reports whether a request has the parameters and the header of a route.
func meets(c *pipeline.Call, route *pipeline.Route) bool {
	for _, q := range route.Query {
		name, want, exact := strings.Cut(q, "=")
		got, ok := c.Query[name]
		if !ok || exact && got[0] != want {
			return false
		}
	}
	if route.Header == "" {
		return true
	}
	name, want, exact := strings.Cut(route.Header, ": ")
	return c.Has(name) && (!exact || c.Header(name) == want)
}

// noMatch says why no operation fits the request.
func (r *router) noMatch(c *pipeline.Call, path, sub string) error {
	if sub == "uploadId" && c.Request.Method == "PUT" && path == objectPath {
		return invalidArgument("partNumber", c.Query.Get("partNumber"), "A part of an upload needs both a partNumber and an uploadId.")
	}
	if sub != "" && !slices.Contains(subresources[sub], path) && path == objectPath {
		return fault.New(InvalidRequest, "There is no such thing as the ?%s sub-resource for a key", sub)
	}
	var methods []string
	for _, op := range r.ops[path] {
		if op.Route.Method == http.MethodOptions { // S3 does not tell of it
			continue
		}
		if sub == "" && hasSubresource(op) || sub != "" && !slices.Contains(op.Route.Query, sub) {
			continue
		}
		methods = append(methods, op.Route.Method)
	}
	slices.Sort(methods)
	resource := map[string]string{servicePath: "SERVICE", bucketPath: "BUCKET", objectPath: "OBJECT"}[path]
	if sub != "" {
		resource = strings.ToUpper(sub)
	}
	return fault.New(MethodNotAllowed, "").With("ResourceType", resource).
		With("allow", strings.Join(slices.Compact(methods), ", "))
}

func hasSubresource(op *pipeline.Op) bool {
	return slices.ContainsFunc(op.Route.Query, func(q string) bool {
		_, ok := subresources[q]
		return ok
	})
}
