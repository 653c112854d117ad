// SPDX-License-Identifier: Apache-2.0

// Package iamapi speaks the query protocol of IAM and STS: parameters in a form or
// in the query, answers in XML. Requests and results are core/iam's own types, whose
// fields are the API's members, so one codec serves all operations; see decode.go for
// what the fields' tags say. It decides nothing.
//
// An operation is a row: newOp(iamService, "GetUser", pipeline.Read, a.IAM.GetUser).
package iamapi

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// Kinds of fault that this package raises.
const (
	// MissingAction: the request does not say what it wants.
	MissingAction fault.Kind = "iamapi: missing action"
	// InvalidAction: there is no such operation in this version of the API.
	InvalidAction fault.Kind = "iamapi: invalid action"
	// Malformed: the parameters cannot be read.
	Malformed fault.Kind = "iamapi: malformed parameters"
	// NeedsSecureTransport: the request came over a connection that anybody may have
	// read.
	NeedsSecureTransport fault.Kind = "iamapi: needs a secure connection"
)

// service is one of the two APIs.
type service struct{ name, version string }

var (
	iamService = service{"iam", "2010-05-08"}
	stsService = service{"sts", "2011-06-15"}
)

func (s service) namespace() string {
	return "https://" + s.name + ".amazonaws.com/doc/" + s.version + "/"
}

// API is the operations of IAM and STS over their service.
type API struct{ IAM *iam.Service }

// iamOps is the table of IAM, feature by feature.
func (a *API) iamOps() []pipeline.Op {
	return slices.Concat(a.userOps(), a.groupOps(), a.roleOps(), a.policyOps(), a.accessKeyOps(), a.tagOps(), a.accountOps(), a.absentOps(),
		a.providerOps(), a.simulateOps())
}

// Families returns the two families.
func (a *API) Families() []*pipeline.Family {
	both := []*pipeline.Family{family(iamService, a.iamOps()), family(stsService, a.stsOps())}
	for _, f := range both {
		f.First = func(_ context.Context, c *pipeline.Call) error { return a.IAM.MayCall(c.Caller, f.Name, c.Op.Name) }
	}
	return both
}

func family(s service, ops []pipeline.Op) *pipeline.Family {
	byName := make(map[string]*pipeline.Op, len(ops))
	for i := range ops {
		byName[ops[i].Name] = &ops[i]
	}
	return &pipeline.Family{
		Name: s.name, Source: s.name + ".amazonaws.com", Services: []string{s.name}, Whole: true,
		Global: s == iamService,
		Match:  s.match,
		Find:   func(c *pipeline.Call) (*pipeline.Op, error) { return s.find(c, byName) },
		Codes:  codes,
		Fault: func(c *pipeline.Call, code pipeline.Code, _ []fault.Detail) *pipeline.Response {
			return s.renderFault(c, code)
		},
		Ops: ops,
	}
}

// match takes what is signed for the service. Of what is not signed, STS takes what is
// in the form of the query protocol: one of its operations is not, and the others are
// to be refused in this form. None of S3's requests has it.
func (s service) match(r *http.Request) bool {
	if r.URL.Path != "/" { // theirs all are: the others need no second look
		return false
	}
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		return false
	}
	if name, region := sigv4.ClaimedScope(r); name != "" || region != "" {
		return name == s.name
	}
	if s != stsService || r.Header.Get("Authorization") != "" {
		return false
	}
	query := "&" + r.URL.RawQuery
	return strings.Contains(query, "&Action=") || r.Method == http.MethodPost && query == "&" && isForm(r)
}

func isForm(r *http.Request) bool {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded")
}

const (
	maxBody = 1 << 20
	// maxParameters bounds how many there are. The largest honest request simulates
	// 1,000 actions on 1,000 resources.
	maxParameters = 8192
)

// find reads the parameters and returns the operation that they name. It also gives
// the call an id as IAM and STS have them, which the client, the audit record and the
// log share.
func (s service) find(c *pipeline.Call, byName map[string]*pipeline.Op) (*pipeline.Op, error) {
	c.ID = uuid.NewString()
	body, err := c.ReadWhole(maxBody)
	if err != nil {
		return nil, err
	}
	if isForm(c.Request) {
		if err := addParameters(c.Query, string(body)); err != nil {
			return nil, err
		}
	}
	name, version := c.Query.Get("Action"), c.Query.Get("Version")
	op, ok := byName[name]
	if ok && version == s.version {
		return op, nil
	}
	service, _ := sigv4.ClaimedScope(c.Request)
	switch {
	case service == "":
		return nil, sigv4.MissingAuthentication
	case name == "":
		return nil, MissingAction
	case version == "":
		version = "NO_VERSION_SPECIFIED"
	}
	return nil, fault.New(InvalidAction, "Could not find operation %s for version %s", quoted(name), quoted(version))
}

// quoted bounds what a stranger's text adds to a message.
func quoted(s string) string {
	if len(s) > 128 {
		return s[:128] + "..."
	}
	return s
}

// addParameters adds those of a form to those of the query.
func addParameters(to url.Values, form string) error {
	if strings.Count(form, "&") >= maxParameters {
		return fault.New(Malformed, "The request has more than %d parameters.", maxParameters)
	}
	values, err := url.ParseQuery(form)
	if err != nil {
		return fault.New(Malformed, "").Because(err)
	}
	for name, v := range values {
		to[name] = append(to[name], v...)
	}
	return nil
}
