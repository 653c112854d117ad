// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) aclOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("GetBucketAcl", pipeline.Read, bucketRoute("GET", "acl"), decodeGetBucketACL, a.Buckets.GetACL, encodeBucketACL),
		pipeline.Define("PutBucketAcl", 0, bucketRoute("PUT", "acl"), decodePutBucketACL, a.Buckets.PutACL, ok),
		pipeline.Define("GetObjectAcl", pipeline.Read|pipeline.Data, objectRoute("GET", "acl"), decodeGetObjectACL, a.Objects.GetACL, encodeObjectACL),
		pipeline.Define("PutObjectAcl", pipeline.Data, objectRoute("PUT", "acl"), decodePutObjectACL, a.Objects.PutACL, encodePutObjectACL),
	}
}

// grantHeaders are the headers that grant a permission.
var grantHeaders = [...]struct {
	name       string
	permission acl.Permission
}{
	{"x-amz-grant-full-control", acl.FullControl},
	{"x-amz-grant-read", acl.Read},
	{"x-amz-grant-read-acp", acl.ReadACP},
	{"x-amz-grant-write", acl.Write},
	{"x-amz-grant-write-acp", acl.WriteACP},
}

// askedACL reads the headers that ask for a list of grants: the name of a canned one,
// or grants. Faults: InvalidArgument, InvalidRequest, acl.ByEmail.
func askedACL(c *pipeline.Call) (asked acl.Asked, err error) {
	canned, present := field(c, "x-amz-acl")
	asked.Canned = acl.Canned(canned)
	if present && !asked.Canned.Valid() {
		return asked, invalidArgument("x-amz-acl", canned, "")
	}
	for _, h := range grantHeaders {
		text, ok := field(c, h.name)
		if !ok {
			continue
		}
		if present {
			return asked, fault.New(InvalidRequest, "Specifying both Canned ACLs and Header Grants is not allowed")
		}
		grants, err := parseGrants(h.name, text, h.permission)
		if err != nil {
			return asked, err
		}
		asked.Grants = append(asked.Grants, grants...)
	}
	return asked, nil
}

// parseGrants reads a header that grants: type="value" pairs with commas between.
func parseGrants(header, text string, p acl.Permission) (acl.List, error) {
	list := acl.List{}
	for part := range strings.SplitSeq(text, ",") {
		if len(list) == acl.MaxGrants {
			return nil, fault.New(acl.Invalid, "")
		}
		kind, v, ok := strings.Cut(part, "=")
		v = strings.TrimSpace(v)
		if n := len(v); n >= 2 && (v[0] == '"' || v[0] == '\'') && v[n-1] == v[0] {
			v = v[1 : n-1]
		}
		if !ok || v == "" {
			return nil, invalidArgument(header, text, "Argument format not recognized")
		}
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "id":
			list = append(list, acl.Grant{ID: v, Permission: p})
		case "uri":
			list = append(list, acl.Grant{Group: v, Permission: p})
		case "emailaddress":
			return nil, fault.New(acl.ByEmail, "")
		default:
			return nil, invalidArgument(header, text, "Argument format not recognized")
		}
	}
	return list, nil
}

// aclXML is AccessControlPolicy.
type aclXML struct {
	Owner *struct{ ID, DisplayName string }
	List  *struct {
		Grants []grantElement `xml:"Grant"`
	} `xml:"AccessControlList"`
}

// grantElement is Grant.
type grantElement struct {
	Grantee *struct {
		Type                  string `xml:"http://www.w3.org/2001/XMLSchema-instance type,attr"`
		ID, URI, EmailAddress string
	}
	Permission string
}

// granteeTypes are the types that a grantee can say it has.
var granteeTypes = map[string]bool{"": true, "CanonicalUser": true, "Group": true, "AmazonCustomerByEmail": true}

// grant reads one. What kind a grantee is follows from how it is named. Faults:
// acl.Invalid, acl.ByEmail.
func (g *grantElement) grant() (acl.Grant, error) {
	out := acl.Grant{Permission: acl.Permission(strings.TrimSpace(g.Permission))}
	switch {
	case g.Grantee == nil:
	case !granteeTypes[g.Grantee.Type]:
		return out, fault.New(acl.Invalid, "").Because(errors.New("unknown type of grantee"))
	case strings.TrimSpace(g.Grantee.EmailAddress) != "":
		return out, fault.New(acl.ByEmail, "")
	default:
		out.ID, out.Group = strings.TrimSpace(g.Grantee.ID), strings.TrimSpace(g.Grantee.URI)
	}
	return out, nil
}

// parseACL reads a document of grants and who it says is the owner. Faults: acl.Invalid,
// acl.ByEmail.
func parseACL(b []byte) (owner string, list acl.List, err error) {
	var doc aclXML
	if err := parseXML(b, "AccessControlPolicy", &doc); err != nil {
		return "", nil, fault.New(acl.Invalid, "").Because(err)
	}
	if doc.Owner == nil || doc.Owner.ID == "" || doc.List == nil || len(doc.List.Grants) > acl.MaxGrants {
		return "", nil, fault.New(acl.Invalid, "").Because(errors.New("no owner, or no list or too long a one"))
	}
	list = acl.List{}
	for i := range doc.List.Grants {
		grant, err := doc.List.Grants[i].grant()
		if err != nil {
			return "", nil, err
		}
		list = append(list, grant)
	}
	return strings.TrimSpace(doc.Owner.ID), list, list.Check()
}

// putACL reads what a request to set a list of grants asks for: headers or a document,
// one of the two.
func putACL(c *pipeline.Call) (asked acl.Asked, owner string, err error) {
	if asked, err = askedACL(c); err != nil {
		return asked, "", err
	}
	b, err := document(c)
	switch {
	case err != nil:
		return asked, "", err
	case asked.Given() && len(b) > 0:
		return asked, "", fault.New(UnexpectedContent, "")
	case asked.Given():
		return asked, "", nil
	case len(b) == 0:
		return asked, "", fault.New(MissingSecurityHeader, "").With("MissingHeaderName", "x-amz-acl")
	}
	owner, asked.Grants, err = parseACL(b)
	return asked, owner, err
}

func decodeGetBucketACL(c *pipeline.Call) (bucket.GetACL, error) {
	return bucket.GetACL{Ref: bucketRef(c)}, nil
}

func decodePutBucketACL(c *pipeline.Call) (in bucket.PutACL, err error) {
	in.Ref = bucketRef(c)
	in.ACL, in.Owner, err = putACL(c)
	auditGrants(c, in.ACL)
	return in, err
}

func decodeGetObjectACL(c *pipeline.Call) (object.GetACL, error) {
	ref, err := versionRef(c)
	return object.GetACL{VersionRef: ref}, err
}

func decodePutObjectACL(c *pipeline.Call) (in object.PutACL, err error) {
	if in.VersionRef, err = versionRef(c); err != nil {
		return in, err
	}
	in.ACL, in.Owner, err = putACL(c)
	auditGrants(c, in.ACL)
	return in, err
}

// auditGrants notes the grants of a document in the audit record. Those of headers are
// there already.
func auditGrants(c *pipeline.Call, asked acl.Asked) {
	if asked.Grants == nil {
		return
	}
	auditDocument(c, "AccessControlPolicy", map[string]any{"AccessControlList": map[string]any{"Grant": grantsRecorded(asked.Grants)}})
}

func grantsRecorded(l acl.List) []map[string]any {
	grants := make([]map[string]any, len(l))
	for i, g := range l {
		grants[i] = map[string]any{"Permission": string(g.Permission)}
		if g.ID != "" {
			grants[i]["Grantee"] = map[string]any{"ID": g.ID}
		} else {
			grants[i]["Grantee"] = map[string]any{"URI": g.Group}
		}
	}
	return grants
}

func encodeBucketACL(_ *pipeline.Call, out bucket.Owned) (*pipeline.Response, error) {
	return xmlResponse(http.StatusOK, writeACL(out)), nil
}

func encodeObjectACL(_ *pipeline.Call, out object.ACL) (*pipeline.Response, error) {
	return tagged(xmlResponse(http.StatusOK, writeACL(out.Owned)), out.VersionID)
}

func encodePutObjectACL(_ *pipeline.Call, out object.ACL) (*pipeline.Response, error) {
	return tagged(&pipeline.Response{Status: http.StatusOK}, out.VersionID)
}

// granteeOpen begins a grantee, whose type S3 gives as an attribute of XML Schema.
const granteeOpen = `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="`

func writeACL(out bucket.Owned) []byte {
	x := markup{buf: make([]byte, 0, 512+256*len(out.Grants))}
	x.root("AccessControlPolicy")
	x.open("Owner")
	x.element("ID", out.Owner)
	x.close("Owner")
	x.open("AccessControlList")
	for _, g := range out.Grants {
		x.grant(g)
	}
	x.close("AccessControlList")
	x.close("AccessControlPolicy")
	return x.buf
}

func (m *markup) grant(g acl.Grant) {
	m.open("Grant")
	m.buf = append(m.buf, granteeOpen...)
	if g.ID != "" {
		m.buf = append(m.buf, `CanonicalUser">`...)
		m.element("ID", g.ID)
	} else {
		m.buf = append(m.buf, `Group">`...)
		m.element("URI", g.Group)
	}
	m.close("Grantee")
	m.element("Permission", string(g.Permission))
	m.close("Grant")
}
