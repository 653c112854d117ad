// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

const (
	forbiddenText = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
	site          = "https://localhost:4200"
	varyCors      = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
)

// wantPage checks the headers that browsers look for. An empty origin is none of them.
func (a *answer) wantPage(origin, methods, headers, expose, age string) *answer {
	a.t.Helper()
	credentials, vary := "", ""
	if origin != "" {
		vary = varyCors
	}
	if origin != "" && origin != "*" {
		credentials = "true"
	}
	return a.wantHeader("Access-Control-Allow-Origin", origin).wantHeader("Access-Control-Allow-Methods", methods).
		wantHeader("Access-Control-Allow-Headers", headers).wantHeader("Access-Control-Expose-Headers", expose).
		wantHeader("Access-Control-Max-Age", age).wantHeader("Access-Control-Allow-Credentials", credentials).wantHeader("Vary", vary)
}

func (s *station) cors(rules ...string) {
	s.t.Helper()
	s.do("PUT", "/photos?cors", corsDocument(rules...)).want(200)
}

// What S3 answered to preflights, recorded.
func TestPreflight(t *testing.T) {
	s := photos(t)
	ask := func(target, origin, method, headers string) *answer {
		t.Helper()
		all := []string{"by nobody"}
		for name, v := range map[string]string{"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers} {
			if v != "" {
				all = append(all, name+": "+v)
			}
		}
		return s.do("OPTIONS", target, "", all...)
	}
	const noOrigin = "Insufficient information. Origin request header needed."
	forbidden := func(a *answer, method, resource, text string) {
		t.Helper()
		a.wantCode(403, "AccessForbidden", "<Message>"+text+"</Message><Method>"+method+"</Method><ResourceType>"+resource+"</ResourceType>").
			wantPage("", "", "", "", "").wantHeader("Content-Type", "application/xml")
	}
	for _, target := range []string{"/nowhere/a", "/photos/a", "/photos"} {
		ask(target, "", "PUT", "").wantCode(400, "BadRequest", noOrigin)
	}
	forbidden(ask("/nowhere/a", "whatever", "", ""), "OPTIONS", "BUCKET", "CORSResponse: Bucket not found")
	forbidden(ask("/photos/a", "whatever", "PUT", ""), "PUT", "BUCKET", "CORSResponse: CORS is not enabled for this bucket.")
	forbidden(ask("/photos/a", "whatever", "", ""), "OPTIONS", "BUCKET", "CORSResponse: CORS is not enabled for this bucket.")
	ask("/photos/a", site, "PATCH", "").wantCode(400, "BadRequest", "Invalid Access-Control-Request-Method: PATCH")
	ask("/photos/a", site, "GET", "date,a b").wantCode(400, "BadRequest", "Access-Control-Request-Headers &quot;a b&quot; contains invalid character.")

	s.cors(`<AllowedOrigin>`+site+`</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><MaxAgeSeconds>3000</MaxAgeSeconds><AllowedHeader>*</AllowedHeader>`,
		`<AllowedOrigin>http://*.origin.com</AllowedOrigin><AllowedMethod>HEAD</AllowedMethod><AllowedHeader>x-AMZ-*-b</AllowedHeader><ExposeHeader>x-amz-id-2</ExposeHeader><ExposeHeader>ETag</ExposeHeader>`,
		`<AllowedOrigin>http://a</AllowedOrigin><AllowedOrigin>*</AllowedOrigin><AllowedMethod>DELETE</AllowedMethod>`)
	ask("/photos/a", "", "PUT", "").wantCode(400, "BadRequest", noOrigin)
	ask("/photos/a", site, "", "").wantCode(400, "BadRequest", "Invalid Access-Control-Request-Method: null")
	ask("/photos/a", site, "PUT", "").want(200).wantPage(site, "GET, PUT", "", "", "3000").wantHeader("Content-Length", "0").wantHeader("Content-Type", "")
	ask("/photos?versions&acl", site, "GET", "X-Amz-Date,, content-type ,a").want(200).wantPage(site, "GET, PUT", "x-amz-date, content-type, a", "", "3000")
	forbidden(ask("/photos/a", "http://localhost:4200", "PUT", ""), "PUT", "OBJECT", forbiddenText)
	forbidden(ask("/photos", site, "HEAD", ""), "HEAD", "BUCKET", forbiddenText)
	ask("/photos/a", "http://test.origin.com", "HEAD", "X-amz-c-B").want(200).wantPage("http://test.origin.com", "HEAD", "x-amz-c-b", "x-amz-id-2, ETag", "")
	forbidden(ask("/photos", "http://test.origin.com/", "HEAD", ""), "HEAD", "BUCKET", forbiddenText)
	forbidden(ask("/photos/a", "http://.origin.co", "HEAD", ""), "HEAD", "OBJECT", forbiddenText)
	forbidden(ask("/photos/a", "http://x.origin.com", "HEAD", "x-amz-b"), "HEAD", "OBJECT", forbiddenText)
	ask("/photos/a", "http://a", "DELETE", "").want(200).wantPage("http://a", "DELETE", "", "", "")
	ask("/photos/a", "http://b", "DELETE", "").want(200).wantPage("*", "DELETE", "", "", "")
	forbidden(ask("/photos/a", "http://b", "DELETE", "date"), "DELETE", "OBJECT", forbiddenText)

	// By the host name, and with a signature that nobody looks at.
	s.do("OPTIONS", "/a", "", "Host: photos."+testDomain, "Origin: "+site, "Access-Control-Request-Method: GET", "Authorization: AWS4-HMAC-SHA256 nonsense", "by nobody").
		want(200).wantPage(site, "GET, PUT", "", "", "3000")
	s.do("OPTIONS", "/", "", "Origin: "+site, "by nobody").wantCode(405, "MethodNotAllowed", "<ResourceType>SERVICE</ResourceType>")
	for _, r := range s.trail.records {
		if strings.HasPrefix(r.EventName, "Preflight") {
			t.Errorf("audit record of %s", r.EventName)
		}
	}
}

// Answers say whether a page may read them, whatever they are.
func TestPagesOfOtherSites(t *testing.T) {
	s := photos(t)
	s.do("PUT", "/photos/cat.jpg", "cat").want(200)
	s.do("GET", "/photos/cat.jpg", "", "Origin: "+site).want(200).wantPage("", "", "", "", "")
	s.cors(`<AllowedOrigin>` + site + `</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedMethod>POST</AllowedMethod><MaxAgeSeconds>3000</MaxAgeSeconds><AllowedHeader>x-amz-date</AllowedHeader><ExposeHeader>ETag</ExposeHeader>`)
	may := func(a *answer) { t.Helper(); a.wantPage(site, "GET, POST", "", "ETag", "3000") }
	not := func(a *answer) { t.Helper(); a.wantPage("", "", "", "", "") }
	from := "Origin: " + site
	may(s.do("GET", "/photos/cat.jpg", "", from).want(200))
	may(s.do("GET", "/photos", "", from).want(200))
	may(s.do("GET", "/photos/dog.jpg", "", from).wantCode(404, "NoSuchKey"))
	may(s.do("GET", "/photos/cat.jpg", "", from, "by nobody").wantCode(403, "AccessDenied"))
	may(s.do("GET", "/photos/cat.jpg", "", from, "Range: bytes=9-").wantCode(416, "InvalidRange"))
	may(s.do("GET", "/photos/cat.jpg", "", from, "If-None-Match: *").want(304))
	may(s.do("GET", "/photos?tagging&acl", "", from).wantCode(400, "InvalidArgument"))
	may(s.do("POST", "/photos", "x", from).wantCode(412, "PreconditionFailed"))
	not(s.do("GET", "/photos/cat.jpg", "").want(200))
	not(s.do("GET", "/photos/cat.jpg", "", "Origin: http://localhost:4200").want(200))
	not(s.do("GET", "/nowhere/cat.jpg", "", from).wantCode(404, "NoSuchBucket"))
	not(s.do("GET", "/", "", from).want(200))
	not(s.do("HEAD", "/photos/cat.jpg", "", from).want(200)) // is not GET
	not(s.do("PUT", "/photos/cat.jpg", "cat", from).want(200))
	// What an actual request never has, taken at its word.
	may(s.do("PUT", "/photos/cat.jpg", "cat", from, "Access-Control-Request-Method: GET").want(200))
	not(s.do("GET", "/photos/cat.jpg", "", from, "Access-Control-Request-Method: PUT").want(200))
	not(s.do("GET", "/photos/cat.jpg", "", from, "Access-Control-Request-Headers: date").want(200))
	not(s.do("GET", "/photos/cat.jpg", "", from, "Access-Control-Request-Headers: a b").wantCode(400, "BadRequest", "contains invalid character."))
	s.do("PUT", "/photos/cat.jpg", "cat", from, "Access-Control-Request-Method: get").wantCode(400, "BadRequest", "Invalid Access-Control-Request-Method: get")
	s.do("GET", "/photos/cat.jpg", "", from, "Access-Control-Request-Headers: x-amz-DATE").want(200).wantPage(site, "GET, POST", "x-amz-date", "ETag", "3000")
	s.do("DELETE", "/photos?cors", "").want(204)
	not(s.do("GET", "/photos/cat.jpg", "", from).want(200))
	not(s.do("GET", "/photos/cat.jpg", "", from, "Access-Control-Request-Method: get").want(200))
}

// Requests that come from no page take no memory for it.
func TestPagesCostOthersNothing(t *testing.T) {
	s := photos(t)
	s.cors(anyGet)
	c, resp := cat(t, "GET", ""), &pipeline.Response{Status: 200}
	if n := testing.AllocsPerRun(100, func() { s.api.answering(c, resp) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(resp.Header) != 0 {
		t.Errorf("headers %v", resp.Header)
	}
}

// FuzzPreflight: whatever a stranger sends is answered, and only what a rule allows is
// allowed.
func FuzzPreflight(f *testing.F) {
	on := fuzzed(f)
	f.Add(site, "GET", "x-amz-date, content-type")
	f.Add("", "", "")
	f.Add("null", "PATCH", ",,a b\t")
	f.Fuzz(func(t *testing.T, origin, method, headers string) {
		s := on(t)
		r := httptest.NewRequest("OPTIONS", "/photos/a", nil)
		r.Header["Origin"], r.Header["Access-Control-Request-Method"], r.Header["Access-Control-Request-Headers"] = []string{origin}, []string{method}, []string{headers}
		s.do("PUT", "/photos?cors", corsDocument(`<AllowedOrigin>`+site+`</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader>`)).want(200)
		a := s.serve(r)
		switch a.status {
		case 200:
			if origin != site || method != "GET" || a.spelt("Access-Control-Allow-Origin") != site {
				t.Errorf("%q %q %q is allowed", origin, method, headers)
			}
			for _, h := range strings.Split(a.spelt("Access-Control-Allow-Headers"), ", ") {
				if h != "" && !strings.HasPrefix(h, "x-amz-") {
					t.Errorf("%q is allowed of %q", h, headers)
				}
			}
		case 400, 403:
		default:
			t.Errorf("%q %q %q: %d", origin, method, headers, a.status)
		}
	})
}
