// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"testing"

	"github.com/cofferstore/coffer/test/coffertest"
)

// legacy starts a server whose new buckets are as before 2023, with lists of grants.
func legacy(t *testing.T) *subject {
	return start(t, coffertest.Flags("--new-bucket-defaults", "legacy"))
}

const acp = `<AccessControlPolicy xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><Owner><ID>%s</ID></Owner><AccessControlList>%s</AccessControlList></AccessControlPolicy>`

func TestPoliciesAndOwnership(t *testing.T) {
	s := start(t)
	s.row("13.1", "no policy", func(r *row) {
		b := r.bucket()
		r.err(r.do("GET", "/"+b+"?policy", ""), 404, "NoSuchBucketPolicy", "", "BucketName="+b)
		r.ok(204, r.do("DELETE", "/"+b+"?policy", ""))
		r.ok(204, r.do("PUT", "/"+b+"?policy", policyOf(b)))
	})
	s.row("13.2", "a policy that is no JSON", func(r *row) {
		b := r.bucket()
		for _, text := range []string{"nonsense", "<Policy/>", " "} {
			r.err(r.do("PUT", "/"+b+"?policy", text), 400, "MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'")
		}
	})
	s.row("13.3", "a policy without statements", func(r *row) {
		r.err(r.do("PUT", "/"+r.bucket()+"?policy", "{}"), 400, "MalformedPolicy", "Missing required field Statement")
	})
	s.row("13.4", "a policy comes back as it was put", func(r *row) {
		b := r.bucket()
		text := "{ \"Statement\":   [" + policyOf(b)[len(`{"Statement":[`):]
		r.ok(204, r.do("PUT", "/"+b+"?policy", text))
		r.is("policy", r.ok(200, r.do("GET", "/"+b+"?policy", "")).body, text)
	})
	s.row("13.5", "the owner that is expected", func(r *row) {
		b := r.bucket()
		const header = "x-amz-expected-bucket-owner"
		r.ok(200, r.do("GET", "/"+b, "", header, coffertest.Account))
		r.err(r.do("GET", "/"+b, "", header, "999999999999"), 403, "AccessDenied", "")
		r.err(r.do("GET", "/"+b, "", header, "somebody"), 400, "InvalidBucketOwnerAWSAccountID", "The value of the expected bucket owner parameter must be an AWS Account ID... [somebody]")
	})
	s.row("13.6", "ownership of a new bucket", func(r *row) {
		b := r.bucket()
		r.is("ownership", r.ok(200, r.do("GET", "/"+b+"?ownershipControls", "")).xml("Rule/ObjectOwnership"), "BucketOwnerEnforced")
		for range 2 {
			r.ok(204, r.do("DELETE", "/"+b+"?ownershipControls", ""))
		}
		r.err(r.do("GET", "/"+b+"?ownershipControls", ""), 404, "OwnershipControlsNotFoundError", "", "BucketName="+b)
	})
	s.row("13.7", "ownership that is none", func(r *row) {
		r.err(r.do("PUT", "/row-13-7-x", "", "x-amz-object-ownership", "Nobody"), 400, "InvalidArgument", "Invalid x-amz-object-ownership header: Nobody")
		r.err(r.do("PUT", "/"+r.bucket()+"?ownershipControls", "<OwnershipControls><Rule><ObjectOwnership>Nobody</ObjectOwnership></Rule></OwnershipControls>"), 400, "MalformedXML", "")
	})
	s.row("13.8", "public access of a new bucket", func(r *row) {
		b := r.bucket()
		members := []string{"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"}
		a := r.ok(200, r.do("GET", "/"+b+"?publicAccessBlock", ""))
		for _, m := range members {
			r.is(m, a.xml(m), "true")
		}
		for range 2 {
			r.ok(204, r.do("DELETE", "/"+b+"?publicAccessBlock", ""))
		}
		r.err(r.do("GET", "/"+b+"?publicAccessBlock", ""), 404, "NoSuchPublicAccessBlockConfiguration", "", "BucketName="+b)
		r.ok(200, r.do("PUT", "/"+b+"?publicAccessBlock", "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>"))
		a = r.ok(200, r.do("GET", "/"+b+"?publicAccessBlock", ""))
		for i, m := range members {
			r.is(m, a.xml(m), map[bool]string{true: "true", false: "false"}[i == 0])
		}
	})
}

// policyOf is a policy that allows the account's root to read a bucket.
func policyOf(b string) string {
	return `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"` + coffertest.Account + `"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::` + b + `/*"}]}`
}

func TestLists(t *testing.T) {
	s := legacy(t)
	s.row("13.9", "a canned list that is none", func(r *row) {
		b := r.bucket()
		r.err(r.do("PUT", "/"+b+"?acl", "", "x-amz-acl", "everybody"), 400, "InvalidArgument", "", "ArgumentName=x-amz-acl", "ArgumentValue=everybody")
		r.err(r.do("PUT", "/"+b+"/k", "x", "x-amz-acl", "everybody"), 400, "InvalidArgument", "", "ArgumentName=x-amz-acl")
	})
	grantee := func(kind, inside, permission string) string {
		return `<Grant><Grantee xsi:type="` + kind + `">` + inside + `</Grantee><Permission>` + permission + `</Permission></Grant>`
	}
	list := func(r *row, b, grants string) string {
		owner := r.ok(200, r.do("GET", "/"+b+"?acl", "")).xml("Owner/ID")
		return sprintf(acp, owner, grants)
	}
	s.row("13.10", "more than one way at a time, or none", func(r *row) {
		b := r.bucket()
		r.err(r.do("PUT", "/"+b+"?acl", "", "x-amz-acl", "private", "x-amz-grant-read", `uri="http://acs.amazonaws.com/groups/global/AllUsers"`), 400, "InvalidRequest",
			"Specifying both Canned ACLs and Header Grants is not allowed")
		r.err(r.do("PUT", "/"+b+"?acl", list(r, b, ""), "x-amz-acl", "private"), 400, "UnexpectedContent", "")
		r.err(r.do("PUT", "/"+b+"?acl", ""), 400, "MissingSecurityHeader", "", "MissingHeaderName=x-amz-acl")
	})
	s.row("13.11", "a list that is wrong", func(r *row) {
		b := r.bucket()
		r.err(r.do("PUT", "/"+b+"?acl", "<AccessControlPolicy>"), 400, "MalformedACLError", "")
		r.err(r.do("PUT", "/"+b+"?acl", list(r, b, grantee("CanonicalUser", "<ID>x</ID>", "EVERYTHING"))), 400, "MalformedACLError", "")
		r.err(r.do("PUT", "/"+b+"?acl", list(r, b, grantee("CanonicalUser", "<ID>x</ID>", "READ"))), 400, "InvalidArgument", "", "ArgumentName=CanonicalUser/ID")
		r.err(r.do("PUT", "/"+b+"?acl", list(r, b, grantee("Group", "<URI>http://example.com/all</URI>", "READ"))), 400, "InvalidArgument", "", "ArgumentName=Group/URI")
	})
}
