// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"crypto/tls"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

const (
	readByAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}]}`
	byAccount = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"s3:*","Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}]}`

	ownerXMLOf = `<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>`
)

func TestBucketPolicy(t *testing.T) {
	s := photos(t)
	s.do("PUT", "/photos/cat.jpg", "cat").want(200)
	s.do("GET", "/photos?policy", "").wantCode(404, "NoSuchBucketPolicy", "The bucket policy does not exist", "<BucketName>photos</BucketName>")
	s.do("GET", "/photos?policyStatus", "").wantCode(404, "NoSuchBucketPolicy")
	s.do("PUT", "/photos?policy", readByAll).wantCode(403, "AccessDenied")
	s.do("GET", "/photos/cat.jpg", "", "by nobody").wantCode(403, "AccessDenied", "<Message>Access Denied</Message>")
	s.do("DELETE", "/photos?publicAccessBlock", "").want(204)
	s.do("PUT", "/photos?policy", readByAll).want(204)
	if got := s.do("GET", "/photos?policy", "").want(200).wantHeader("Content-Type", "application/json").body; got != readByAll {
		t.Errorf("the policy reads %s", got)
	}
	s.do("GET", "/photos?policyStatus", "").wantDocument(200, "<PolicyStatus><IsPublic>true</IsPublic></PolicyStatus>")
	s.do("GET", "/photos/cat.jpg", "", "by nobody").want(200, "cat")
	s.do("GET", "/photos/dog.jpg", "", "by nobody").wantCode(403, "AccessDenied")
	s.do("HEAD", "/photos/dog.jpg", "", "by nobody").want(403)
	s.do("PUT", "/photos/cat.jpg", "x", "by nobody").wantCode(403, "AccessDenied")
	s.do("GET", "/photos?policy", "", "by nobody").wantCode(403, "AccessDenied")
	s.do("GET", "/photos/cat.jpg?response-expires=now", "", "by nobody").wantCode(400, "InvalidRequest")
	s.do("DELETE", "/photos?policy", "").want(204)
	s.do("DELETE", "/photos?policy", "").want(204)
	s.do("GET", "/photos/cat.jpg", "", "by nobody").wantCode(403, "AccessDenied")
	s.do("GET", "/nowhere/cat.jpg", "", "by nobody").wantCode(404, "NoSuchBucket")
	s.do("PUT", "/nowhere?policy", readByAll).wantCode(404, "NoSuchBucket")
}

func TestPoliciesThatAreRefused(t *testing.T) {
	s := photos(t)
	for what, c := range map[string]struct{ text, message string }{
		"no JSON":          {`hello`, "Policies must be valid JSON and the first byte must be '{'"},
		"another bucket":   {strings.ReplaceAll(byAccount, "photos", "holidays"), "Policy has invalid resource"},
		"an unknown user":  {strings.ReplaceAll(byAccount, "arn:aws:iam::444455556666:root", "arn:aws:iam::444455556666:user/carol"), "Invalid principal in policy"},
		"an action of KMS": {strings.ReplaceAll(byAccount, "s3:*", "kms:Decrypt"), "Policy has invalid action"},
	} {
		t.Run(what, func(t *testing.T) {
			s.do("PUT", "/photos?policy", c.text).wantCode(400, "MalformedPolicy", c.message)
		})
	}
	s.do("PUT", "/photos?policy", byAccount[:len(byAccount)-1]+strings.Repeat(" ", 20<<10)+"}").wantCode(400, "MalformedPolicy")
	s.do("PUT", "/photos?policy", byAccount, "no digest").want(204)
}

// Who may read and not list learns of nothing that it is not there, however they ask.
func TestWhatIsMissing(t *testing.T) {
	s := photos(t)
	s.do("DELETE", "/photos?publicAccessBlock", "").want(204)
	s.do("PUT", "/photos?policy", strings.Replace(readByAll, `"s3:GetObject"`, `["s3:GetObject*","s3:PutObject"]`, 1)).want(204)
	for _, c := range []struct{ method, target, header string }{
		{"GET", "", "Accept: */*"}, {"HEAD", "", "Accept: */*"}, {"GET", "?attributes", "x-amz-object-attributes: ETag"}, {"GET", "?tagging", "Accept: */*"}, {"GET", "?acl", "Accept: */*"},
		{"PUT", "2", "x-amz-copy-source: photos/dog.jpg"},
	} {
		s.do(c.method, "/photos/dog.jpg"+c.target, "", c.header).want(404)
		s.do(c.method, "/photos/dog.jpg"+c.target, "", c.header, "by nobody", "no digest").want(403)
	}
}

// Another account's root may do what the policy allows its account, but not touch the
// policy.
func TestAnotherAccount(t *testing.T) {
	s := photos(t)
	const other = "by another account"
	s.do("PUT", "/photos/cat.jpg", "cat").want(200)
	s.do("GET", "/photos/cat.jpg", "", other).wantCode(403, "AccessDenied", "<Message>Access Denied</Message>")
	s.do("PUT", "/photos?policy", byAccount).want(204)
	s.do("GET", "/photos/cat.jpg", "", other).want(200, "cat")
	s.do("GET", "/photos/dog.jpg", "", other).wantCode(404, "NoSuchKey")
	s.do("PUT", "/photos/dog.jpg", "dog", other).want(200)
	s.do("GET", "/photos?policy", "", other).wantCode(405, "MethodNotAllowed")
	s.do("PUT", "/photos?policy", byAccount, other).wantCode(405, "MethodNotAllowed")
	s.do("GET", "/", "", other).want(200, "<Buckets></Buckets>")
	s.do("PUT", "/photos", "", other).wantCode(409, "BucketAlreadyExists")
	// What another account writes is the bucket owner's.
	s.do("GET", "/photos?list-type=2&fetch-owner=true", "").want(200, canonicalID(testAccount))
	s.do("POST", "/photos?delete", "<Delete><Object><Key>dog.jpg</Key></Object></Delete>", other).want(200, "<Deleted>")
}

func TestDeleteObjectsDecidesEveryKey(t *testing.T) {
	s := photos(t)
	s.do("DELETE", "/photos?publicAccessBlock", "").want(204)
	s.do("PUT", "/photos/mine", "x").want(200)
	s.do("PUT", "/photos?policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::photos/mine"}]}`).want(204)
	s.do("POST", "/photos?delete", "<Delete><Object><Key>yours</Key></Object><Object><Key>mine</Key></Object></Delete>", "by nobody").
		wantDocument(200, "<DeleteResult><Deleted><Key>mine</Key></Deleted><Error><Key>yours</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error></DeleteResult>")
}

func TestPublicAccessBlock(t *testing.T) {
	s := photos(t)
	s.do("GET", "/photos?publicAccessBlock", "").wantDocument(200, ownerXMLOf)
	s.do("DELETE", "/photos?publicAccessBlock", "").want(204)
	s.do("GET", "/photos?publicAccessBlock", "").wantCode(404, "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
	s.do("PUT", "/photos?publicAccessBlock", `<PublicAccessBlockConfiguration><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>`).want(200)
	s.do("GET", "/photos?publicAccessBlock", "").want(200, "<BlockPublicAcls>false</BlockPublicAcls>", "<RestrictPublicBuckets>true</RestrictPublicBuckets>")
	s.do("PUT", "/photos?publicAccessBlock", `<PublicAccessBlockConfiguration><BlockPublicAcl>true</BlockPublicAcl></PublicAccessBlockConfiguration>`).wantCode(400, "MalformedXML")
	if r := s.trail.last(t, "PutBucketPublicAccessBlock"); r.ErrorCode != "MalformedXML" {
		t.Errorf("audit record %+v", r)
	}
}

func TestPublicAccessBlockOfAnAccount(t *testing.T) {
	s := photos(t)
	const target, account = "/v20180820/configuration/publicAccessBlock", "x-amz-account-id: " + testAccount
	s.do("GET", target, "", account).want(404, "<ErrorResponse><Error><Code>NoSuchPublicAccessBlockConfiguration</Code>", "<AccountId>"+testAccount)
	s.do("PUT", target, ownerXMLOf, account, "no digest").want(200)
	s.do("GET", target, "", account).wantDocument(200, ownerXMLOf)
	s.do("GET", target, "", account, "by another account").want(403, "AccessDenied")
	s.do("GET", target, "", account, "by nobody").want(403, "AccessDenied")
	s.do("DELETE", "/photos?publicAccessBlock", "").want(204)
	s.do("PUT", "/photos?policy", readByAll).wantCode(403, "AccessDenied")
	s.do("DELETE", target, "", account).want(204)
	s.do("PUT", "/photos?policy", readByAll).want(204)
	s.do("PUT", "/v20180820", "").want(200) // a name like another
	s.do("PUT", target, "an object", "no digest").want(200)
	s.do("POST", target, "", account).want(501, "NotImplemented")
}

func TestOwnershipControls(t *testing.T) {
	s := photos(t)
	document := func(o string) string {
		return "<OwnershipControls><Rule><ObjectOwnership>" + o + "</ObjectOwnership></Rule></OwnershipControls>"
	}
	s.do("GET", "/photos?ownershipControls", "").wantDocument(200, document("BucketOwnerEnforced"))
	for _, o := range []string{"BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced"} {
		s.do("PUT", "/photos?ownershipControls", document(o)).want(200)
		s.do("GET", "/photos?ownershipControls", "").wantDocument(200, document(o))
	}
	s.do("DELETE", "/photos?ownershipControls", "").want(204)
	s.do("GET", "/photos?ownershipControls", "").wantCode(404, "OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
	s.do("PUT", "/photos?ownershipControls", document("none")).wantCode(400, "MalformedXML")
	s.do("PUT", "/photos?ownershipControls", "<OwnershipControls/>").wantCode(400, "MalformedXML")
	// A list of grants does not go with lists being disabled.
	s.do("PUT", "/photos?acl", "", "x-amz-grant-read: id="+canonicalID(otherAccount)).want(200)
	s.do("PUT", "/photos?ownershipControls", document("BucketOwnerEnforced")).wantCode(400, "InvalidBucketAclWithObjectOwnership")
}

func grantXML(kind, name, id, permission string) string {
	return `<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="` + kind + `"><` + name + `>` + id + `</` + name + `></Grantee><Permission>` + permission + `</Permission></Grant>`
}

func aclDocument(owner string, grants ...string) string {
	return `<AccessControlPolicy><Owner><ID>` + owner + `</ID></Owner><AccessControlList>` + strings.Join(grants, "") + `</AccessControlList></AccessControlPolicy>`
}

func TestACLsThatAreDisabled(t *testing.T) {
	s := photos(t)
	me := canonicalID(testAccount)
	own := aclDocument(me, grantXML("CanonicalUser", "ID", me, "FULL_CONTROL"))
	s.do("PUT", "/photos/cat.jpg", "cat", "x-amz-acl: bucket-owner-full-control").want(200)
	s.do("GET", "/photos?acl", "").wantDocument(200, own)
	s.do("GET", "/photos/cat.jpg?acl", "").wantDocument(200, own)
	for _, target := range []string{"/photos?acl", "/photos/cat.jpg?acl"} {
		s.do("PUT", target, own).want(200)
		s.do("PUT", target, "", "x-amz-acl: bucket-owner-full-control").want(200)
		for _, header := range []string{"x-amz-acl: private", "x-amz-acl: public-read", "x-amz-grant-read: uri=" + acl.AllUsers} {
			s.do("PUT", target, "", header).wantCode(400, "AccessControlListNotSupported", "The bucket does not allow ACLs")
		}
		s.do("PUT", target, "").wantCode(400, "MissingSecurityHeader")
		s.do("PUT", target, own, "x-amz-acl: private").wantCode(400, "UnexpectedContent")
		s.do("PUT", target, "<AccessControlPolicy/>").wantCode(400, "MalformedACLError")
		s.do("PUT", target, aclDocument(me, grantXML("Anybody", "ID", me, "READ"))).wantCode(400, "MalformedACLError")
	}
	s.do("PUT", "/photos/cat.jpg", "cat", "x-amz-acl: private").wantCode(400, "AccessControlListNotSupported")
	s.do("POST", "/photos/cat.jpg?uploads", "", "x-amz-acl: public-read").wantCode(400, "AccessControlListNotSupported")
	s.do("PUT", "/photos/dog.jpg", "", "x-amz-copy-source: photos/cat.jpg", "x-amz-acl: public-read").wantCode(400, "AccessControlListNotSupported")
	s.do("GET", "/photos/nothing?acl", "").wantCode(404, "NoSuchKey")
}

func TestACLs(t *testing.T) {
	s := stationOf(t, "us-east-1", true)
	me, other := canonicalID(testAccount), canonicalID(otherAccount)
	own := grantXML("CanonicalUser", "ID", me, "FULL_CONTROL")
	s.do("PUT", "/photos", "", "x-amz-acl: public-read-write").want(200)
	s.do("GET", "/photos?ownershipControls", "").wantCode(404, "OwnershipControlsNotFoundError")
	s.do("GET", "/photos?publicAccessBlock", "").wantCode(404, "NoSuchPublicAccessBlockConfiguration")
	s.do("GET", "/photos?acl", "").wantDocument(200, aclDocument(me, own,
		grantXML("Group", "URI", acl.AllUsers, "READ"), grantXML("Group", "URI", acl.AllUsers, "WRITE")))
	s.do("GET", "/photos", "", "by nobody").want(200)

	s.do("PUT", "/photos/public", "x", "x-amz-acl: public-read").want(200)
	s.do("GET", "/photos/public", "", "by nobody").want(200)
	s.do("GET", "/photos/public?acl", "", "by nobody").wantCode(403, "AccessDenied")
	s.do("PUT", "/photos/private", "x").want(200)
	s.do("GET", "/photos/private", "", "by nobody").wantCode(403, "AccessDenied")
	s.do("GET", "/photos/private?acl", "").wantDocument(200, aclDocument(me, own))
	s.do("PUT", "/photos/private?acl", aclDocument(me, own, grantXML("CanonicalUser", "ID", other, "READ_ACP"))).want(200)
	s.do("GET", "/photos/private?acl", "", "by another account").want(200, other)
	s.do("GET", "/photos/private", "", "by another account").wantCode(403, "AccessDenied")
	s.do("PUT", "/photos/private?acl", aclDocument(other, own)).wantCode(403, "AccessDenied")
	s.do("PUT", "/photos/private?acl", aclDocument(me, grantXML("CanonicalUser", "ID", "nobody", "READ"))).wantCode(400, "InvalidArgument", "Invalid id")
	s.do("PUT", "/photos/private?acl", aclDocument(me, grantXML("Group", "URI", "http://all", "READ"))).wantCode(400, "InvalidArgument", "Invalid group uri")
	s.do("PUT", "/photos/private?acl", aclDocument(me, grantXML("AmazonCustomerByEmail", "EmailAddress", "a@b", "READ"))).wantCode(400, "UnresolvableGrantByEmailAddress")
	s.do("PUT", "/photos/private?acl", aclDocument(me, grantXML("CanonicalUser", "ID", me, "ALL"))).wantCode(400, "MalformedACLError")
	s.do("PUT", "/photos/private", "x", "x-amz-acl: private", "x-amz-grant-read: id="+other).wantCode(400, "InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")

	// Who writes owns, and says who else may read.
	s.do("PUT", "/photos/theirs", "x", "by another account").want(200)
	s.do("GET", "/photos/theirs", "").wantCode(403, "AccessDenied")
	s.do("GET", "/photos/theirs", "", "by another account").want(200)
	s.do("GET", "/photos/theirs?acl", "", "by another account").want(200, "<Owner><ID>"+other)
	s.do("PUT", "/photos/shared", "x", "by another account", "x-amz-acl: bucket-owner-read").want(200)
	s.do("GET", "/photos/shared", "").want(200)
	s.do("PUT", "/photos/nobodys", "x", "by nobody", "no digest").want(200)
	s.do("GET", "/photos?list-type=2&fetch-owner=true", "").want(200, "<ID>"+acl.AnonymousID+"</ID>")
	s.do("DELETE", "/photos/theirs", "").want(204)
	upload := between(s.do("POST", "/photos/parts?uploads", "", "x-amz-acl: public-read").want(200).body, "<UploadId>", "</UploadId>")
	tag := s.do("PUT", "/photos/parts?partNumber=1&uploadId="+upload, "x").want(200).spelt("ETag")
	// Who did not begin an upload does not put words into its owner's mouth.
	for _, by := range []string{"by another account", "by nobody"} {
		s.do("PUT", "/photos/parts?partNumber=1&uploadId="+upload, "y", by, "no digest").wantCode(403, "AccessDenied")
		s.do("PUT", "/photos/parts?partNumber=1&uploadId="+upload, "", "x-amz-copy-source: photos/public", by).wantCode(403, "AccessDenied")
		s.do("POST", "/photos/parts?uploadId="+upload, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+tag+"</ETag></Part></CompleteMultipartUpload>", by).wantCode(403, "AccessDenied")
	}
	s.do("POST", "/photos/parts?uploadId="+upload, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+tag+"</ETag></Part></CompleteMultipartUpload>").want(200)
	s.do("GET", "/photos/parts", "", "by nobody").want(200)
	s.do("PUT", "/photos/copied", "", "x-amz-copy-source: photos/public").want(200)
	s.do("GET", "/photos/copied", "", "by nobody").wantCode(403, "AccessDenied") // lists are not copied

	s.do("PUT", "/photos/kept", "x", "by another account", "x-amz-acl: bucket-owner-full-control").want(200)
	s.do("GET", "/photos/kept?acl", "").want(200, "<Owner><ID>"+other)
	// The bucket's owner prefers to own.
	s.do("PUT", "/photos?ownershipControls", "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule></OwnershipControls>").want(200)
	s.do("PUT", "/photos/given", "x", "by another account", "x-amz-acl: bucket-owner-full-control").want(200)
	s.do("GET", "/photos/given?acl", "").wantDocument(200, aclDocument(me, own))

	// Public lists can be ignored, and blocked.
	s.do("PUT", "/photos?publicAccessBlock", ownerXMLOf).want(200)
	s.do("GET", "/photos/public", "", "by nobody").wantCode(403, "AccessDenied")
	s.do("PUT", "/photos/public", "x", "x-amz-acl: public-read").wantCode(403, "AccessDenied")
	s.do("PUT", "/photos?acl", "", "x-amz-acl: public-read").wantCode(403, "AccessDenied")
}

func between(text, before, after string) string {
	_, text, _ = strings.Cut(text, before)
	text, _, _ = strings.Cut(text, after)
	return text
}

// New buckets block public lists: one cannot begin with one.
func TestCreateBucketWithAnACL(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/a-bucket", "", "x-amz-object-ownership: ObjectWriter", "x-amz-acl: public-read").wantCode(400, "InvalidBucketAclWithBlockPublicAccessError")
	s.do("PUT", "/a-bucket", "", "x-amz-object-ownership: ObjectWriter", "x-amz-grant-read: id=nobody").wantCode(400, "InvalidArgument", "Invalid id")
	s.do("PUT", "/a-bucket", "", "x-amz-object-ownership: ObjectWriter", "x-amz-grant-read: id="+canonicalID(otherAccount)).want(200)
	s.do("GET", "/a-bucket", "", "by another account").want(200)
	s.do("GET", "/a-bucket?ownershipControls", "").want(200, "ObjectWriter")
}

// The condition keys on the surface of a request.
func TestConditionKeys(t *testing.T) {
	for _, c := range []struct{ query, header, key, want string }{
		{"prefix=a%20b", "", "s3:prefix", "a b"},
		{"prefix=", "", "s3:prefix", ""},
		{"", "", "s3:prefix", "-"},
		{"delimiter=/", "", "s3:delimiter", "/"},
		{"max-keys=7", "", "s3:max-keys", "7"},
		{"max-keys=" + strings.Repeat("0", 99) + "7", "", "s3:max-keys", "7"},
		{"max-keys=many", "", "s3:max-keys", "many"},
		{"", "x-amz-acl: public-read", "s3:x-amz-acl", "public-read"},
		{"", "x-amz-grant-read-acp: id=1", "s3:x-amz-grant-read-acp", "id=1"},
		{"", "x-amz-copy-source: photos/a%20b?versionId=null", "s3:x-amz-copy-source", "/photos/a b"},
		{"", "x-amz-copy-source: nonsense", "s3:x-amz-copy-source", "-"},
		{"", "x-amz-metadata-directive: REPLACE", "s3:x-amz-metadata-directive", "REPLACE"},
		{"", "x-amz-server-side-encryption: aws:kms", "s3:x-amz-server-side-encryption", "aws:kms"},
		{"", "", "s3:x-amz-server-side-encryption", "-"},
		{"", "x-amz-server-side-encryption-customer-algorithm: AES256", "s3:x-amz-server-side-encryption-customer-algorithm", "AES256"},
		{"", "x-amz-storage-class: STANDARD_IA", "s3:x-amz-storage-class", "STANDARD_IA"},
		{"", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "s3:x-amz-content-sha256", "UNSIGNED-PAYLOAD"},
		{"", "If-Match: \"e\"", "s3:if-match", `"e"`},
		{"", "If-None-Match: *", "s3:if-none-match", "*"},
		{"", "Referer: http://a", "aws:referer", "http://a"},
		{"", "", "s3:authtype", "REST-HEADER"},
		{"", "", "s3:signatureversion", "AWS4-HMAC-SHA256"},
		{"", "", "s3:tlsversion", "-"},
		{"", "x-amz-meta-a: b", "s3:x-amz-meta-a", "-"},
		{"", "", "aws:sourceip", "-"},
	} {
		call := cat(t, "PUT", c.query, c.header)
		if c.query != "" { // of a listing
			if got, present := (*conditionKeys)(call).Values(c.key); present {
				t.Errorf("%s of %q of an object is %q", c.key, c.query, got)
			}
			call.Key = ""
		}
		got, present := (*conditionKeys)(call).Values(c.key)
		if c.want == "-" && present || c.want != "-" && (!present || got[0] != c.want) {
			t.Errorf("%s of %q %q is %q, %t; want %q", c.key, c.query, c.header, got, present, c.want)
		}
	}
	call := cat(t, "GET", "X-Amz-Acl=private")
	call.Key = ""
	call.Auth = &sigv4.Result{Method: sigv4.Query, SignedAt: time.Now().Add(-time.Minute)}
	call.Request = httptest.NewRequest("GET", "https://s3.example.com/photos", nil)
	call.Request.TLS = &tls.ConnectionState{Version: tls.VersionTLS13}
	keys := (*conditionKeys)(call)
	for key, want := range map[string]string{
		"s3:max-keys": "1000", "s3:authtype": "REST-QUERY-STRING", "s3:tlsversion": "1.3", "s3:x-amz-acl": "private",
	} {
		if got, _ := keys.Values(key); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	age, _ := keys.Values("s3:signatureage")
	if ms, err := strconv.Atoi(age[0]); err != nil || ms < 60000 || ms > 70000 {
		t.Errorf("signed a minute ago: %v", age)
	}
	call.Query.Set("max-keys", "") // is as good as none
	if got, _ := keys.Values("s3:max-keys"); len(got) != 1 || got[0] != "1000" {
		t.Errorf("an empty max-keys is %q", got)
	}
	call.Query["x-amz-acl"] = []string{"public-read"}
	for range 20 {
		if got, _ := keys.Values("s3:x-amz-acl"); len(got) != 1 || got[0] != "private,public-read" {
			t.Fatalf("a parameter in two spellings is %q", got)
		}
	}
	call.Auth.Method = sigv4.None
	for _, key := range []string{"s3:authtype", "s3:signatureversion", "s3:signatureage"} {
		if got, present := keys.Values(key); present {
			t.Errorf("%s of what nobody signed is %q", key, got)
		}
	}
}

// Nothing that S3 serves goes undecided, but for what browsers ask without a signature.
func TestEveryOperationSaysWhatItNeeds(t *testing.T) {
	api := &API{}
	for _, ops := range [][]pipeline.Op{api.Family().Ops, api.Control().Ops} {
		for _, op := range ops {
			if !op.Refused && !op.Needs && !op.Traits.Has(pipeline.Open) {
				t.Errorf("the request of %s does not say what it needs", op.Name)
			}
		}
	}
}

func TestTagsAreCountedForThoseWhoMayReadThem(t *testing.T) {
	s := photos(t)
	s.do("DELETE", "/photos?publicAccessBlock", "").want(204)
	s.do("PUT", "/photos?policy", readByAll).want(204)
	s.do("PUT", "/photos/cat.jpg", "cat", "x-amz-tagging: a=b").want(200)
	s.do("GET", "/photos/cat.jpg", "").wantHeader("x-amz-tagging-count", "1")
	for _, method := range []string{"GET", "HEAD"} {
		s.do(method, "/photos/cat.jpg", "", "by nobody").want(200).wantHeader("x-amz-tagging-count", "")
	}
}
