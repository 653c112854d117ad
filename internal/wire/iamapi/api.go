// SPDX-License-Identifier: Apache-2.0

// Package iamapi answers those who ask for IAM or STS. There is one principal, the
// account's root, so nothing of the two is served; but their clients are told so in
// the form that they read, the query protocol's.
package iamapi

import (
	"bytes"
	"encoding/xml"
	"net/http"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// NotServed: the request is for a service that there is none of.
const NotServed fault.Kind = "iamapi: not served"

// API is the family of IAM and STS.
type API struct{}

// Family returns the family. It matches requests that are signed for IAM or STS.
func (API) Family() *pipeline.Family {
	return &pipeline.Family{
		Name: "iam", Source: "iam.amazonaws.com", Services: []string{"iam", "sts"}, Whole: true,
		Match: func(r *http.Request) bool {
			if r.URL.Path != "/" { // theirs all are: the others need no second look
				return false
			}
			service, _ := sigv4.ClaimedScope(r)
			return service == "iam" || service == "sts"
		},
		Find: func(*pipeline.Call) (*pipeline.Op, error) { return nil, NotServed },
		Codes: pipeline.Codes{
			NotServed: pipeline.As(http.StatusBadRequest, "InvalidAction",
				"This server has no IAM and no STS: sign requests for S3 and KMS with the access key of the account's root."),
			pipeline.InvalidURI:  pipeline.As(http.StatusBadRequest, "MalformedQueryString", "The request target is malformed."),
			pipeline.AuditFailed: pipeline.As(http.StatusInternalServerError, "InternalFailure", "The request could not be recorded."),
		},
		Fault: renderFault,
	}
}

// renderFault writes an error as the query protocol has it. Details have no place
// in it.
func renderFault(c *pipeline.Call, code pipeline.Code, _ []fault.Detail) *pipeline.Response {
	var b bytes.Buffer
	text := func(name, value string) {
		b.WriteString("<" + name + ">")
		_ = xml.EscapeText(&b, []byte(value)) // a Buffer takes everything
		b.WriteString("</" + name + ">")
	}
	who := "Sender"
	if code.Status >= http.StatusInternalServerError {
		who = "Receiver"
	}
	b.WriteString("<ErrorResponse><Error>")
	text("Type", who)
	text("Code", code.Code)
	text("Message", code.Message)
	b.WriteString("</Error>")
	text("RequestId", c.ID)
	b.WriteString("</ErrorResponse>\n")
	return &pipeline.Response{Status: code.Status, Header: http.Header{"Content-Type": {"text/xml"}}, Body: b.Bytes()}
}
