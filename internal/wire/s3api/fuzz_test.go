// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// fuzzed calls f for each input with a station that has the bucket photos and in it
// cat.jpg. The station lives as long as the process.
func fuzzed(f *testing.F) func(t *testing.T) *station {
	shared := photos(f)
	shared.do("PUT", "/photos/cat.jpg", "0123456789").want(200)
	return func(t *testing.T) *station {
		shared.trail.records = nil
		s := *shared
		s.t = t
		return &s
	}
}

// sane fails unless an answer is one that S3 might give to who signs rightly: done,
// or refused with a code, and never an internal error.
func (a *answer) sane() {
	a.t.Helper()
	if a.status >= 500 && a.status != http.StatusNotImplemented || strings.Contains(a.body, "<Code>InternalError</Code>") {
		a.t.Fatalf("%s: %d %s", a.what, a.status, a.body)
	}
	if a.body == "" || !strings.HasPrefix(a.spelt("Content-Type"), "application/xml") {
		return
	}
	var doc struct{ Code string }
	if err := xml.Unmarshal([]byte(a.body), &doc); err != nil {
		a.t.Fatalf("%s: %d with what is no document: %v\n%s", a.what, a.status, err, a.body)
	}
	if a.status >= 400 && doc.Code == "" || doc.Code == "SignatureDoesNotMatch" {
		a.t.Errorf("%s: %d with code %q: %s", a.what, a.status, doc.Code, a.body)
	}
}

// FuzzDocument sends documents of every operation that takes one.
func FuzzDocument(f *testing.F) {
	on := fuzzed(f)
	kinds := []struct{ method, target, document string }{
		{"PUT", "/photos?encryption", `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`},
		{"PUT", "/photos?versioning", `<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`},
		{"PUT", "/photos?tagging", `<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>`},
		{"PUT", "/photos/cat.jpg?tagging", `<Tagging><TagSet><Tag><Key>a</Key><Value/></Tag></TagSet></Tagging>`},
		{"PUT", "/photos/cat.jpg?encryption", `<ObjectEncryption><SSE-KMS><KMSKeyArn>arn:aws:kms:us-east-1:000000000001:key/1</KMSKeyArn><BucketKeyEnabled>true</BucketKeyEnabled></SSE-KMS></ObjectEncryption>`},
		{"POST", "/photos?delete", `<Delete><Quiet>true</Quiet><Object><Key>dog</Key><VersionId>null</VersionId></Object></Delete>`},
		{"POST", "/photos/dog?uploadId=x", `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"e"</ETag><ChecksumCRC32>y/Q5Jg==</ChecksumCRC32></Part></CompleteMultipartUpload>`},
		{"PUT", "/photos?acl", `<AccessControlPolicy><Owner><ID>` + canonicalID(testAccount) + `</ID></Owner><AccessControlList><Grant><Grantee><ID>` + canonicalID(testAccount) + `</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>`},
		{"PUT", "/photos/cat.jpg?acl", `<AccessControlPolicy><Owner><ID>x</ID></Owner><AccessControlList><Grant><Grantee><URI>` + acl.AllUsers + `</URI></Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>`},
		{"PUT", "/photos?ownershipControls", `<OwnershipControls><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule></OwnershipControls>`},
		{"PUT", "/photos?publicAccessBlock", `<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>`},
		{"PUT", "/photos?logging", `<BucketLoggingStatus><LoggingEnabled><TargetBucket>photos</TargetBucket><TargetPrefix>p/</TargetPrefix><TargetGrants><Grant><Grantee><ID>x</ID></Grantee><Permission>READ</Permission></Grant></TargetGrants><TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat></LoggingEnabled></BucketLoggingStatus>`},
		{"PUT", "/photos?cors", `<CORSConfiguration><CORSRule><ID>a</ID><AllowedOrigin>https://*.example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader><MaxAgeSeconds>1</MaxAgeSeconds><ExposeHeader>ETag</ExposeHeader></CORSRule></CORSConfiguration>`},
		{"PUT", "/photos?website", `<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument><ErrorDocument><Key>e</Key></ErrorDocument><RoutingRules><RoutingRule><Condition><KeyPrefixEquals>a/</KeyPrefixEquals><HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition><Redirect><HostName>h</HostName><Protocol>https</Protocol><ReplaceKeyPrefixWith/><HttpRedirectCode>302</HttpRedirectCode></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>`},
		{"PUT", "/photos?accelerate", `<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>`},
		{"PUT", "/photos?requestPayment", `<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>`},
		{"PUT", "/photos?policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + testAccount + `"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}]}`},
		{"PUT", "/photos?lifecycle", lifecycleOf(ruleOf(`<And>`+prefixed+tagA+larger+`</And>`, toIce+expireAfter(31)))},
		{"PUT", "/photos?object-lock", `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>`},
		{"PUT", "/photos/cat.jpg?retention", `<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2100-01-01T00:00:00.123Z</RetainUntilDate></Retention>`},
		{"PUT", "/photos/cat.jpg?legal-hold", `<LegalHold><Status>ON</Status></LegalHold>`},
		{"PUT", "/fresh", `<CreateBucketConfiguration><LocationConstraint>EU</LocationConstraint><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags></CreateBucketConfiguration>`},
	}
	for i, k := range kinds {
		f.Add(uint8(i), k.document)
		f.Add(uint8(i), `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+strings.Replace(k.document, ">", ` xmlns="`+namespace+`">`, 1))
	}
	f.Add(uint8(2), `<!DOCTYPE a [<!ENTITY b "c">]><Tagging>&b;</Tagging>`)
	f.Add(uint8(5), "\ufeff<Delete><Object><Key>&#x1F600;&#xFFFF;]]></Key></Object></Delete>")
	f.Fuzz(func(t *testing.T, which uint8, document string) {
		k := kinds[int(which)%len(kinds)]
		on(t).do(k.method, k.target, document).sane()
	})
}

// FuzzHeader sends values of every header that means something.
func FuzzHeader(f *testing.F) {
	on := fuzzed(f)
	kinds := []struct{ method, query, name, value string }{
		{"GET", "", "Range", "bytes=1-3"},
		{"GET", "", "If-Modified-Since", "Wed, 21 Oct 2015 07:28:00 GMT"},
		{"HEAD", "", "If-Unmodified-Since", "Wednesday, 21-Oct-15 07:28:00 GMT"},
		{"GET", "", "If-Match", `"781e5e245d69b566979b86e28d23f2c7"`},
		{"GET", "", "If-None-Match", `W/"a", *`},
		{"GET", "", "X-Amz-Checksum-Mode", "ENABLED"},
		{"GET", "attributes", attributesHeader, "ETag,ObjectSize"},
		{"GET", "", "X-Amz-Expected-Bucket-Owner", testAccount},
		{"GET", "", customerPrefix + customerKey, "a2V5"},
		{"PUT", "", "X-Amz-Tagging", "a=b&c=%20"},
		{"PUT", "", "X-Amz-Copy-Source", "photos/cat.jpg?versionId=null"},
		{"PUT", "", "X-Amz-Server-Side-Encryption", "aws:kms"},
		{"PUT", "", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "alias/x"},
		{"PUT", "", "X-Amz-Server-Side-Encryption-Context", "eyJhIjoiYiJ9"},
		{"PUT", "", "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "true"},
		{"PUT", "", "X-Amz-Checksum-Crc32", "y/Q5Jg=="},
		{"PUT", "", "X-Amz-Checksum-Sha512", "nonsense"},
		{"PUT", "", "X-Amz-Sdk-Checksum-Algorithm", "SHA256"},
		{"PUT", "", "X-Amz-Trailer", "x-amz-checksum-crc32"},
		{"PUT", "", "Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg=="},
		{"PUT", "", "Content-Encoding", "aws-chunked, gzip"},
		{"PUT", "", "X-Amz-Storage-Class", "STANDARD_IA"},
		{"PUT", "", "X-Amz-Meta-Colour", "gr\u00fcn"},
		{"PUT", "", "X-Amz-Website-Redirect-Location", "/a"},
		{"PUT", "", "X-Amz-Object-Lock-Mode", "GOVERNANCE"},
		{"PUT", "", "X-Amz-Object-Lock-Retain-Until-Date", "2100-01-01T00:00:00Z"},
		{"PUT", "", "X-Amz-Object-Lock-Legal-Hold", "ON"},
		{"DELETE", "", "X-Amz-Bypass-Governance-Retention", "true"},
		{"PUT", "", "X-Amz-Acl", "private"},
		{"PUT", "", "X-Amz-Grant-Read", `id="x", uri="` + acl.AllUsers + `"`},
		{"PUT", "acl", "X-Amz-Grant-Full-Control", `id=` + canonicalID(testAccount)},
		{"PUT", "", "If-None-Match", "*"},
		{"POST", "uploads", "X-Amz-Checksum-Algorithm", "CRC32"},
		{"POST", "uploads", "X-Amz-Checksum-Type", "COMPOSITE"},
		{"POST", "uploadId=x", "X-Amz-Mp-Object-Size", "10"},
		{"GET", "attributes", "X-Amz-Max-Parts", "1"},
	}
	for i, k := range kinds {
		f.Add(uint8(i), k.value)
		f.Add(uint8(i), "nonsense")
	}
	f.Fuzz(func(t *testing.T, which uint8, value string) {
		k := kinds[int(which)%len(kinds)]
		if !representable(value) {
			return // net/http refuses it
		}
		on(t).do(k.method, "/photos/cat.jpg?"+k.query, "", k.name+": "+value).sane()
	})
}

// FuzzQuery sends parameters of bucket and object, as they stand.
func FuzzQuery(f *testing.F) {
	on := fuzzed(f)
	methods := []string{"GET", "PUT", "HEAD", "POST", "DELETE"}
	for i, query := range []string{
		"list-type=2&prefix=a&delimiter=%2F&max-keys=3&start-after=b&encoding-type=url&fetch-owner=true",
		"partNumber=1&uploadId=x", "versionId=null&partNumber=1", "delete", "versionId=" + strings.Repeat("A", 32),
		"list-type=2&continuation-token=" + url.QueryEscape(continuationToken("a")), "x-id=PutObject", "versions&key-marker=a&version-id-marker=null", "", "uploadId=x",
		"uploads&key-marker=a&upload-id-marker=b&max-uploads=1", "tagging", "attributes", "uploads", "encryption&versioning",
		"uploadId=x&max-parts=1&part-number-marker=2", "a=%", "response-content-type=a%0Ab", "acl", "max-keys=-1",
		"max-keys=x", "list-type=3", "encoding-type=x", "uploads&max-uploads=x", "partNumber=x", "partNumber=0&uploadId=x", "versionId=",
		"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x&X-Amz-Date=20130524T000000Z&X-Amz-Expires=9&X-Amz-SignedHeaders=host&X-Amz-Signature=0",
	} {
		f.Add(uint8(i%len(methods)), i%2 == 1, query)
	}
	f.Fuzz(func(t *testing.T, which uint8, ofObject bool, query string) {
		if strings.ContainsFunc(query, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' }) {
			return // no request line has it
		}
		s, method, path := on(t), methods[int(which)%len(methods)], "/photos"
		if ofObject {
			path += "/cat.jpg"
		}
		r := photo(method, "", "")
		r.URL.Path = path
		s.sign(r)
		r.URL.RawQuery, r.RequestURI = query, path+"?"+query
		// A stranger: the signature is of another query.
		if a := s.serve(r); strings.Trim(query, "&") != "" && a.status < 400 {
			t.Errorf("%s: %d", a.what, a.status)
		}
		if _, err := url.ParseQuery(query); err == nil {
			s.do(method, path+"?"+query, "").sane()
		}
		if method == "DELETE" {
			s.do("PUT", "/photos", "")
		}
	})
}

// FuzzTarget: whatever the target, an operation is found that belongs to it, with
// the bucket and the key that stand there.
func FuzzTarget(f *testing.F) {
	f.Add("GET", "localhost:9000", "/photos/a//b/", "versionId=x")
	f.Add("PUT", "photos.s3.example.com", "/photos/\xff", "uploadId=x&partNumber=1")
	f.Add("DELETE", "s3.example.com.", "//", "acl&policy")
	f.Add("POST", ".s3.example.com", "", "delete=")
	f.Add("OPTIONS", "[::1]:9000", "*", "list-type=2&list-type=1")
	r := newRouter(table(), []string{testDomain})
	f.Fuzz(func(t *testing.T, method, host, path, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return // the road refuses it
		}
		c := &pipeline.Call{
			Request: &http.Request{Method: method, Host: host, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}},
			Query:   values,
		}
		op, err := r.find(c)
		if err != nil {
			if _, ok := fault.As(err); !ok {
				t.Errorf("%s %q: %v is no fault", method, path, err)
			}
			return
		}
		if op.Route.Method != method || (op.Route.Path == objectPath) != (c.Key != "") || (op.Route.Path == servicePath) != (c.Bucket == "") {
			t.Errorf("%s %q of %q is %s of %q and %q", method, path, host, op.Name, c.Bucket, c.Key)
		}
		rest := strings.TrimPrefix(path, "/")
		inHost := strings.HasPrefix(strings.ToLower(host), c.Bucket+".") && c.Key == rest
		if c.Bucket+"/"+c.Key != rest && (c.Bucket != rest || c.Key != "") && !inHost {
			t.Errorf("%q of %q is the bucket %q and the key %q", path, host, c.Bucket, c.Key)
		}
	})
}

// FuzzTagsHeader: tags that are taken, and may be any, are those that any reader of
// URLs finds.
func FuzzTagsHeader(f *testing.F) {
	for _, header := range []string{"a=b&c=d", "a", "a=b&a=c", "a=%zz", "&&a=1", "a;b=c", "a=b=c", "%C3%BC=+%2B", "aws:a=b", "a=\xff", "=b"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		tags, err := tagsHeader(cat(t, "PUT", "", "X-Amz-Tagging: "+header))
		if err != nil {
			if kind, _ := faultOf(err); kind == "" {
				t.Errorf("%q: %v is no fault", header, err)
			}
			return
		}
		if bucket.CheckTags(tags, len(tags)) != nil {
			return
		}
		want, err := url.ParseQuery(header)
		if err != nil || len(want) != len(tags) {
			t.Fatalf("%q: %d tags, want %v, %v", header, len(tags), want, err)
		}
		for _, tag := range tags {
			if v := want[tag.Key]; len(v) != 1 || v[0] != tag.Value {
				t.Errorf("%q: %q is %q, want %q", header, tag.Key, tag.Value, v)
			}
		}
	})
}

// FuzzContinuation: a token that is taken has no other spelling.
func FuzzContinuation(f *testing.F) {
	f.Add(continuationToken("a/b\u00fc"))
	f.Add("")
	f.Add("AAAA")
	f.Add(strings.Replace(continuationToken("a"), "E=", "F=", 1)) // the same bytes, written otherwise
	f.Fuzz(func(t *testing.T, token string) {
		after, err := continuation(cat(t, "GET", "continuation-token="+url.QueryEscape(token)))
		switch {
		case err != nil:
			if kind, _ := faultOf(err); kind != InvalidArgument {
				t.Errorf("%q: %v", token, err)
			}
		case after == "" || strings.NewReplacer("\n", "", "\r", "").Replace(token) != continuationToken(after):
			t.Errorf("%q goes on behind %q", token, after)
		}
	})
}

// FuzzACL: a list that is taken comes back the same when it is written and read again.
func FuzzACL(f *testing.F) {
	f.Add(`<AccessControlPolicy><Owner><ID>o</ID></Owner><AccessControlList><Grant><Grantee><ID>a</ID></Grantee><Permission>READ</Permission></Grant><Grant><Grantee><URI>` + acl.AllUsers + `</URI></Grantee><Permission>WRITE</Permission></Grant></AccessControlList></AccessControlPolicy>`)
	f.Add(`<AccessControlPolicy><Owner><ID>o</ID></Owner><AccessControlList/></AccessControlPolicy>`)
	f.Add(`<AccessControlPolicy><Owner><ID>o</ID></Owner><AccessControlList><Grant><Grantee><EmailAddress>a</EmailAddress></Grantee></Grant></AccessControlList></AccessControlPolicy>`)
	f.Fuzz(func(t *testing.T, document string) {
		owner, list, err := parseACL([]byte(document))
		if err != nil {
			return
		}
		again, same, err := parseACL(writeACL(bucket.Owned{Owner: owner, Grants: list}))
		// What XML cannot hold is not written.
		if err == nil && (again != owner || !slices.Equal(list, same)) && !strings.ContainsRune(document, utf8.RuneError) {
			t.Errorf("%q %v became %q %v", owner, list, again, same)
		}
	})
}

// FuzzGrants: whatever a header says, it grants one permission and not too often.
func FuzzGrants(f *testing.F) {
	f.Add(`id="a", uri="` + acl.AllUsers + `"`)
	f.Add(`emailAddress=a@b`)
	f.Add(`id=,`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseGrants("x-amz-grant-read", text, acl.Read)
		if err != nil {
			return
		}
		if len(list) == 0 || len(list) > acl.MaxGrants {
			t.Errorf("%q: %d grants", text, len(list))
		}
		for _, g := range list {
			if g.Permission != acl.Read || (g.ID == "") == (g.Group == "") {
				t.Errorf("%q grants %+v", text, g)
			}
		}
	})
}

// FuzzPublicAccess: a configuration that is taken comes back as it is written.
func FuzzPublicAccess(f *testing.F) {
	f.Add(`<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>FALSE</IgnorePublicAcls></PublicAccessBlockConfiguration>`)
	f.Add(`<PublicAccessBlockConfiguration><BlockPublicAcl>true</BlockPublicAcl></PublicAccessBlockConfiguration>`)
	f.Fuzz(func(t *testing.T, document string) {
		p, err := parsePublicAccess([]byte(document))
		if err != nil {
			return
		}
		resp, err := encodePublicAccess(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parsePublicAccess(resp.Body); err != nil || again != p {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}

// FuzzOwnership: a document that is taken names an ownership and comes back the same.
func FuzzOwnership(f *testing.F) {
	f.Add(`<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>`)
	f.Add(`<OwnershipControls><Rule><ObjectOwnership>none</ObjectOwnership></Rule></OwnershipControls>`)
	f.Fuzz(func(t *testing.T, document string) {
		o, err := parseOwnership([]byte(document))
		if err != nil {
			return
		}
		resp, err := encodeOwnership(nil, o)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseOwnership(resp.Body); !o.Valid() || err != nil || again != o {
			t.Errorf("%q became %q, %v", o, again, err)
		}
	})
}
