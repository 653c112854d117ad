// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// controlPath begins the paths of S3 Control: its version. They could be names of
// objects, too; the header that names an account tells the two apart.
const (
	controlPath     = "/v20180820/"
	accountIDHeader = "X-Amz-Account-Id"
	accountAccess   = controlPath + "configuration/publicAccessBlock"
)

// Control returns the family of S3 Control: what is set for a whole account, and the tags of
// resources by their ARNs. It goes
// before S3's.
func (a *API) Control() *pipeline.Family {
	ops := append(a.accountPublicAccessOps(), a.resourceTagOps()...)
	f := &pipeline.Family{
		Name: "s3control", Source: "s3.amazonaws.com", TellsTransport: true, Services: []string{"s3"},
		Match: func(r *http.Request) bool {
			return strings.HasPrefix(r.URL.Path, controlPath) && r.Header[accountIDHeader] != nil
		},
		Find:  func(c *pipeline.Call) (*pipeline.Op, error) { return findControl(c, ops) },
		Codes: codes, Fault: renderControlFault, Ops: ops,
	}
	if a.Access != nil {
		f.Authorize = a.authorize
	}
	return f
}

func findControl(c *pipeline.Call, ops []pipeline.Op) (*pipeline.Op, error) {
	path := c.Request.URL.Path
	if arn, ok := strings.CutPrefix(path, tagsPath); ok {
		path = tagsRoute
		if a, ok := aws.ParseARN(arn); ok {
			c.Bucket = a.Resource
		}
	}
	for i := range ops {
		if ops[i].Route.Path == path && ops[i].Route.Method == c.Request.Method {
			auditRequest(c)
			return &ops[i], nil
		}
	}
	return nil, fault.New(NotImplemented, "The operation is not implemented.")
}

func (a *API) accountPublicAccessOps() []pipeline.Op {
	route := func(method string) pipeline.Route {
		return pipeline.Route{Method: method, Path: accountAccess, Header: strings.ToLower(accountIDHeader)}
	}
	ops := []pipeline.Op{
		pipeline.Define("PutAccountPublicAccessBlock", 0, route("PUT"), decodePutAccountAccess, a.Buckets.PutAccountPublicAccess, ok),
		pipeline.Define("GetAccountPublicAccessBlock", pipeline.Read, route("GET"), decodeGetAccountAccess, a.Buckets.AccountPublicAccess, encodePublicAccess),
		pipeline.Define("DeleteAccountPublicAccessBlock", 0, route("DELETE"), decodeDeleteAccountAccess, a.Buckets.DeleteAccountPublicAccess, noContent),
	}
	return ops
}

// decodePutAccountAccess demands no digest: clients of S3 Control send none.
func decodePutAccountAccess(c *pipeline.Call) (in bucket.PutAccountPublicAccess, err error) {
	in.Account = c.Header(accountIDHeader)
	in.PublicAccess, err = publicAccess(c)
	return in, err
}

func decodeGetAccountAccess(c *pipeline.Call) (bucket.GetAccountPublicAccess, error) {
	return bucket.GetAccountPublicAccess{Account: c.Header(accountIDHeader)}, nil
}

func decodeDeleteAccountAccess(c *pipeline.Call) (bucket.DeleteAccountPublicAccess, error) {
	return bucket.DeleteAccountPublicAccess{Account: c.Header(accountIDHeader)}, nil
}

// renderControlFault writes an error as S3 Control does: S3's, in an element more.
func renderControlFault(c *pipeline.Call, code pipeline.Code, details []fault.Detail) *pipeline.Response {
	var x markup
	x.declare()
	x.open("ErrorResponse")
	x.open("Error")
	x.element("Code", code.Code)
	x.element("Message", code.Message)
	for _, d := range details {
		x.element(d.Name, d.Value)
	}
	x.close("Error")
	x.element("RequestId", c.ID)
	x.element("HostId", c.HostID)
	x.close("ErrorResponse")
	return xmlResponse(code.Status, x.buf)
}
