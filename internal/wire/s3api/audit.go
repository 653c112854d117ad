// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"maps"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// auditRequest notes in the call's audit record what was asked, and of what. Whose bucket
// it is has not been read yet.
func auditRequest(c *pipeline.Call) {
	auditParameters(c)
	switch {
	case c.Key != "":
		arn := aws.ObjectARN(c.Bucket, c.Key)
		bucket := arn[:len(arn)-len("/")-len(c.Key)]
		c.AuditResources(audit.Resource{Type: "AWS::S3::Object", ARN: arn}, audit.Resource{Type: audit.BucketResource, ARN: bucket})
	case c.Bucket != "":
		c.AuditResources(audit.Resource{Type: audit.BucketResource, ARN: aws.BucketARN(c.Bucket)})
	}
}

// auditDocument adds a configuration document to the parameters.
func auditDocument(c *pipeline.Call, name string, document any) {
	auditParameters(c)
	c.AuditParameter(name, document)
}

// auditParameters notes the target, the query and the x-amz-* headers, by their
// names on the wire and without anything that is or proves a secret.
func auditParameters(c *pipeline.Call) *audit.Facts {
	p := c.NewAuditParameters()
	if len(c.Query) > 0 {
		auditQuery(c, p)
	}
	for name, values := range c.Request.Header {
		if !strings.HasPrefix(name, "X-Amz-") || transportHeaders[name] {
			continue
		}
		if name = strings.ToLower(name); !secretParameter(name) {
			p.Text(name, shown(name, values))
		}
	}
	if r := c.Header("Range"); r != "" {
		p.Text("Range", r)
	}
	p.Text("Host", c.Host())
	if c.Bucket != "" {
		p.Text("bucketName", c.Bucket)
	}
	if c.Key != "" {
		p.Text("key", c.Key)
	}
	return p
}

func auditQuery(c *pipeline.Call, p *audit.Facts) {
	for _, parameter := range slices.Sorted(maps.Keys(c.Query)) {
		name, ok := queryName(c, parameter)
		if !ok || secretParameter(name) {
			continue
		}
		values := shown(name, c.Query[parameter])
		if other := p.Find(name); other != nil { // in another spelling
			values = other.Value().(string) + "," + values
		}
		p.Text(name, values)
	}
}

// ownMembers are members of the record that no query may pass itself off as.
var ownMembers = map[string]bool{"bucketName": true, "key": true, "Host": true, "Range": true}

// signatureParameters say how a presigned URL is signed. The others of x-amz-* in it stand
// for headers.
var signatureParameters = map[string]bool{
	"X-Amz-Algorithm": true, "X-Amz-Date": true, "X-Amz-Expires": true, "X-Amz-SignedHeaders": true,
}

// queryName returns the name by which the record has a query parameter. What stands for
// a header has the header's, in whatever case it is spelt, so that who looks for the
// header finds it; what looks like a header and is none is left out.
func queryName(c *pipeline.Call, parameter string) (name string, ok bool) {
	switch {
	case signatureParameters[parameter]:
		return parameter, true
	case hasPrefixFold(parameter, amzPrefix):
		return strings.ToLower(parameter), c.Query.Has("X-Amz-Algorithm")
	}
	return parameter, !ownMembers[parameter]
}

// shown returns the values of a parameter or header as the record has them.
func shown(name string, values []string) string {
	v := strings.Join(values, ",")
	if name == copySourceHeader {
		// Of a source's query only the version is anybody's business: a client that takes
		// a signed URL for a name puts the signature there.
		if path, query, ok := strings.Cut(v, "?"); ok && (!strings.HasPrefix(query, "versionId=") || strings.Contains(query, "&")) {
			v = path + "?" + audit.Hidden
		}
	}
	return audit.WithoutPassword(v)
}

// transportHeaders say how the request came, not what it asks for. Like all names of a
// request's headers they are in canonical form.
var transportHeaders = map[string]bool{
	"X-Amz-Content-Sha256":         true,
	"X-Amz-Date":                   true,
	"X-Amz-Decoded-Content-Length": true,
	"X-Amz-Trailer":                true,
}

// secretParameter reports whether a header or parameter carries a credential, or a
// key that the client provides, or its hash. A presigned URL has them in its query.
func secretParameter(name string) bool {
	switch name = strings.ToLower(name); name {
	case "x-amz-security-token", "x-amz-signature", "x-amz-credential", "x-amz-mfa",
		"signature", "awsaccesskeyid", "x-amz-s3session-token":
		return true
	}
	return strings.Contains(name, "customer-key")
}
