// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/website"
)

// webs is a station with the website of the bucket photos, whose objects all may read.
func webs(t testing.TB, inner string) *station {
	s := photos(t)
	s.do("DELETE", "/photos?publicAccessBlock", "").want(204)
	s.do("PUT", "/photos?policy", openToAll).want(204)
	s.do("PUT", "/photos?website", websiteDocument(inner)).want(200)
	return s
}

// visit sends a request as browsers do.
func (s *station) visit(method, path string, headers ...string) *answer {
	s.t.Helper()
	return s.do(method, path, "", append([]string{"by nobody", "Host: photos." + testSites}, headers...)...)
}

// wantPageOf checks a page of an error whole, but for the ids in it.
func (a *answer) wantPageOf(status int, title string, lines ...string) *answer {
	a.t.Helper()
	body, id := a.body, a.spelt("X-Amz-Request-Id")
	for _, v := range []string{id, a.spelt("X-Amz-Id-2")} {
		body = strings.Replace(body, v, "ID", 1)
	}
	want := "<html>\n<head><title>" + title + "</title></head>\n<body>\n<h1>" + title + "</h1>\n<ul>\n"
	for i, l := range lines {
		if strings.HasPrefix(l, "<") {
			want += l + "\n"
			continue
		}
		want += "<li>" + l + "</li>\n"
		if i+1 == len(lines) || strings.HasPrefix(lines[i+1], "<h3>") {
			want += ids(lines[:i+1])
		}
	}
	want += "<hr/>\n</body>\n</html>\n"
	if a.status != status || body != want {
		a.t.Errorf("%s: %d\n got %s\nwant %s", a.what, a.status, body, want)
	}
	return a.wantHeader("Content-Type", "text/html; charset=utf-8")
}

// ids are the last lines of the first list; those of the second have none.
func ids(before []string) string {
	for _, l := range before {
		if strings.HasPrefix(l, "<h3>") {
			return "</ul>\n"
		}
	}
	return "<li>RequestId: ID</li>\n<li>HostId: ID</li>\n</ul>\n"
}

const (
	codeNoKey = "Code: NoSuchKey"
	textNoKey = "Message: The specified key does not exist."
)

// What S3's websites answered, recorded.
func TestWebsite(t *testing.T) {
	s := webs(t, indexed)
	s.visit("GET", "/").wantPageOf(404, "404 Not Found", codeNoKey, textNoKey, "Key: index.html").
		wantHeader("x-amz-error-code", "NoSuchKey").wantHeader("x-amz-error-message", "The specified key does not exist.").wantHeader("x-amz-error-detail-Key", "index.html")
	s.do("PUT", "/photos/index.html", "index", "Content-Type: text/html").want(200)
	s.do("PUT", "/photos/directory/index.html", "inner").want(200)
	s.do("PUT", "/photos/a%20b%C3%BC.txt", "text", "x-amz-meta-a: b").want(200)
	s.visit("GET", "/").wantBody(200, "index").wantHeader("Content-Type", "text/html").wantHeader("ETag", `"6a992d5529f459a44fee58c733255e86"`)
	s.visit("HEAD", "/").wantBody(200, "").wantHeader("Content-Length", "5")
	s.visit("GET", "/a%20b%C3%BC.txt?versionId=no&response-content-type=x&acl").wantBody(200, "text").wantHeader("x-amz-meta-a", "b").wantHeader("Content-Type", "binary/octet-stream")
	s.visit("GET", "/directory").wantPageOf(302, "302 Found", "Code: Found", "Message: Resource Found").
		wantHeader("Location", "/directory/").wantHeader("x-amz-error-code", "Found")
	s.visit("GET", "/directory/").wantBody(200, "inner")
	s.visit("GET", "/directory-wrong").wantPageOf(404, "404 Not Found", codeNoKey, textNoKey, "Key: directory-wrong")
	s.visit("GET", "/directory-wrong/").wantPageOf(404, "404 Not Found", codeNoKey, textNoKey, "Key: directory-wrong/index.html")
	s.visit("HEAD", "/directory-wrong").wantBody(404, "").wantHeader("x-amz-error-code", "NoSuchKey")
	s.visit("GET", "/%3Cb%3E").wantPageOf(404, "404 Not Found", codeNoKey, textNoKey, "Key: &lt;b&gt;")
	for _, method := range []string{"POST", "DELETE", "PUT", "PATCH"} {
		s.visit(method, "/").wantPageOf(405, "405 Method Not Allowed", "Code: MethodNotAllowed",
			"Message: The specified method is not allowed against this resource.", "Method: "+method, "ResourceType: OBJECT").wantHeader("allow", "GET, HEAD, OPTIONS")
	}
	s.visit("GET", "/", "Host: nowhere."+testSites).wantPageOf(404, "404 Not Found", "Code: NoSuchBucket", "Message: The specified bucket does not exist", "BucketName: nowhere")
	s.do("PUT", "/plain", "").want(200)
	s.visit("GET", "/a", "Host: plain."+testSites+":8080").wantPageOf(404, "404 Not Found", "Code: NoSuchWebsiteConfiguration", "Message: The specified bucket does not have a website configuration", "BucketName: plain")
	s.visit("GET", "/a", "Host: "+testSites).want(404, "Request does not contain a bucket name.")
	s.visit("GET", "/%FF").want(400, "Code: InvalidURI")
	s.visit("GET", "/", "Host: PHOTOS.Web.Example.com").wantBody(200, "index")
	s.visit("GET", "/photos/index.html", "Host: photos."+testSites+".").want(404)
	s.do("GET", "/photos/index.html", "", "Host: other"+testSites).want(200)

	// Conditions and ranges.
	s.visit("GET", "/", "Range: bytes=1-2").wantBody(206, "nd").wantHeader("Content-Range", "bytes 1-2/5")
	s.visit("GET", "/", "Range: bytes=9-").want(416, "<title>416 Requested Range Not Satisfiable</title>", "<li>Code: InvalidRange</li>")
	s.visit("GET", "/", `If-None-Match: "6a992d5529f459a44fee58c733255e86"`).wantBody(304, "").wantHeader("Content-Type", "")
	s.visit("GET", "/", `If-Match: "a"`).want(412, "<h1>412 Precondition Failed</h1>")

	// On a listener of their own, the whole host name can be the bucket's.
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = "photos:8080"
	s.serve(r.WithContext(OnWebsites(r.Context()))).wantBody(200, "index")
}

// wantBody checks the whole body.
func (a *answer) wantBody(status int, body string) *answer {
	a.t.Helper()
	if a.status != status || a.body != body {
		a.t.Errorf("%s: %d %q, want %d %q", a.what, a.status, a.body, status, body)
	}
	return a
}

// The longest name that a host is under says what it is.
func TestWhichHostsAreWebsites(t *testing.T) {
	f := (&API{Domains: []string{"s3.example.com", "web.example.com.org"}, WebsiteDomains: []string{"example.com", "web.s3.example.com"}}).Websites()
	for host, want := range map[string]bool{
		"photos.example.com": true, "photos.example.com:80": true, "EXAMPLE.com": true, "a.photos.example.com": true,
		"s3.example.com": false, "photos.S3.example.com:9000": false, "photos.web.s3.example.com": true,
		"photosexample.com": false, "example.com.org": false, "localhost": false, "[::1]:9000": false, "": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		if got := f.Match(r); got != want {
			t.Errorf("%q: %v", host, got)
		}
		if !f.Match(r.WithContext(OnWebsites(r.Context()))) {
			t.Errorf("%q on the listener of websites: none", host)
		}
	}
}

func TestErrorDocument(t *testing.T) {
	s := webs(t, indexed+`<ErrorDocument><Key>errors/all.html</Key></ErrorDocument>`)
	s.visit("GET", "/").wantPageOf(404, "404 Not Found", codeNoKey, textNoKey, "Key: index.html",
		"<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>", "<ul>", codeNoKey, textNoKey, "Key: errors/all.html")
	s.do("PUT", "/photos/errors/all.html", "sorry", "Content-Type: text/html").want(200)
	s.visit("GET", "/none", "Range: bytes=1-2", "If-None-Match: *").wantBody(404, "sorry").wantHeader("Content-Type", "text/html").
		wantHeader("x-amz-error-code", "NoSuchKey").wantHeader("x-amz-error-detail-Key", "none").wantHeader("Content-Range", "")
	if r := s.trail.last(t, "GetObject"); r.ErrorCode != "NoSuchKey" || r.RequestParameters["key"] != "none" || r.UserIdentity.Type != "AWSAccount" || r.EventCategory != "Data" {
		t.Errorf("audit record %+v", r)
	}
	s.visit("HEAD", "/none").wantBody(404, "").wantHeader("Content-Length", "5")
	s.visit("POST", "/").want(405, "<html>")
	// Who may not list does not learn what is missing.
	s.do("PUT", "/photos?policy", readByAll).want(204)
	s.visit("GET", "/none").wantBody(403, "sorry").wantHeader("x-amz-error-code", "AccessDenied")
	s.do("PUT", "/photos/directory/index.html", "inner").want(200)
	s.visit("GET", "/directory").want(302).wantHeader("Location", "/directory/")
	s.do("PUT", "/photos//evil.example.com/index.html", "inner").want(200)
	s.visit("GET", "//evil.example.com").want(302).wantHeader("Location", "http://photos."+testSites+"//evil.example.com/")
	s.do("PUT", "/photos/errors/all.html", "", "Content-Length: 0", "x-amz-website-redirect-location: https://example.com/sorry").want(200)
	s.visit("GET", "/none").wantBody(301, "").wantHeader("Location", "https://example.com/sorry")
	// Nor does who may read nothing, not even the page.
	s.do("DELETE", "/photos?policy", "").want(204)
	s.visit("GET", "/none").wantPageOf(403, "403 Forbidden", "Code: AccessDenied", "Message: Access Denied",
		"<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>", "<ul>", "Code: AccessDenied", "Message: Access Denied")
	s.visit("GET", "/directory").want(403)
	s.do("PUT", "/photos?policy", readByAll).want(204)
	s.do("PUT", "/photos?publicAccessBlock", `<PublicAccessBlockConfiguration><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>`).want(200)
	s.visit("GET", "/directory/").want(403)
}

// A website needs no signature and takes none; objects under KMS keys need one.
func TestWebsitesReadNoSignatures(t *testing.T) {
	s := webs(t, indexed)
	s.do("PUT", "/photos/index.html", "index").want(200)
	s.do("GET", "/", "", "Host: photos."+testSites).wantBody(200, "index")
	s.visit("GET", "/?a;b&c=100%").wantBody(200, "index")
	s.visit("GET", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0", "Authorization: AWS4-HMAC-SHA256 nonsense").wantBody(200, "index")
	if r := s.trail.last(t, "GetObject"); r.UserIdentity.Type != "AWSAccount" || r.RequestParameters["key"] != "index.html" {
		t.Errorf("audit record %+v", r)
	}
	s.do("PUT", "/photos/tagged", "x", "x-amz-tagging: a=b").want(200)
	s.visit("GET", "/tagged?versionId=null").wantHeader("x-amz-tagging-count", "1")
	s.do("PUT", "/photos?policy", `{"Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:GetObjectVersionTagging"],"Resource":"arn:aws:s3:::photos/*"},`+
		`{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::photos","Condition":{"StringEquals":{"s3:prefix":"open/"}}}]}`).want(204)
	s.visit("GET", "/tagged?versionId=null").wantHeader("x-amz-tagging-count", "")
	s.visit("GET", "/none/?prefix=open/").want(403)
	s.do("PUT", "/photos?policy", openToAll).want(204)
	s.do("PUT", "/photos/secret", "x", "x-amz-server-side-encryption: aws:kms").want(200)
	s.visit("GET", "/secret").want(400, "<li>Code: InvalidArgument</li>", "AWS Signature Version 4")
	s.do("DELETE", "/photos?policy", "").want(204)
	s.do("GET", "/", "", "Host: photos."+testSites).want(403)
}

func TestWebsiteRedirects(t *testing.T) {
	s := webs(t, `<RedirectAllRequestsTo><HostName>www.example.com</HostName><Protocol>https</Protocol></RedirectAllRequestsTo>`)
	s.visit("GET", "/any/path%20here?tracking=1").wantBody(301, "").wantHeader("Location", "https://www.example.com/any/path%20here?tracking=1").wantHeader("x-amz-error-code", "")
	s.visit("GET", "/").wantBody(301, "").wantHeader("Location", "https://www.example.com/")
	s.do("PUT", "/photos?website", websiteDocument(`<RedirectAllRequestsTo><HostName>www.example.com</HostName></RedirectAllRequestsTo>`)).want(200)
	s.visit("GET", "/a").wantHeader("Location", "http://www.example.com/a")

	prefixed := func(prefix, redirect string) string {
		return `<Condition><KeyPrefixEquals>` + prefix + `</KeyPrefixEquals></Condition><Redirect>` + redirect + `</Redirect>`
	}
	failed := func(status, redirect string) string {
		return `<Condition><HttpErrorCodeReturnedEquals>` + status + `</HttpErrorCodeReturnedEquals></Condition><Redirect>` + redirect + `</Redirect>`
	}
	s.do("PUT", "/photos?website", websiteDocument(routed(
		prefixed("host/", `<HostName>random-hostname</HostName>`),
		prefixed("replace-prefix/", `<ReplaceKeyPrefixWith>replaced-prefix/</ReplaceKeyPrefixWith>`),
		prefixed("cut/", `<ReplaceKeyPrefixWith></ReplaceKeyPrefixWith>`),
		prefixed("protocol/", `<Protocol>https</Protocol>`),
		prefixed("code/", `<HttpRedirectCode>307</HttpRedirectCode><ReplaceKeyWith>target?a=b</ReplaceKeyWith>`),
		prefixed("moved", `<ReplaceKeyWith>a b`+"\u00fc"+`</ReplaceKeyWith>`),
		`<Condition><KeyPrefixEquals>img/</KeyPrefixEquals><HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition>`+
			`<Redirect><HostName>api.example.com</HostName><Protocol>https</Protocol><ReplaceKeyPrefixWith>dev/resize?key=</ReplaceKeyPrefixWith><HttpRedirectCode>302</HttpRedirectCode></Redirect>`,
		failed("416", `<ReplaceKeyWith>whole</ReplaceKeyWith>`),
	))).want(200)
	const at = "http://photos." + testSites
	for path, want := range map[string]string{
		"/host/key":           "http://random-hostname/host/key",
		"/replace-prefix/key": at + "/replaced-prefix/key",
		"/cut/a%2Fb%3Fc":      at + "/a/b%3Fc",
		"/protocol/key":       "https://photos." + testSites + "/protocol/key",
		"/moved/x":            at + "/a%20b%C3%BC",
	} {
		s.visit("GET", path).wantBody(301, "").wantHeader("Location", want).wantHeader("Content-Length", "0")
	}
	s.visit("HEAD", "/code/x?q=1").wantBody(307, "").wantHeader("Location", at+"/target?a=b&q=1")
	s.visit("GET", "/img/300x300/x.jpg").wantBody(302, "").wantHeader("Location", "https://api.example.com/dev/resize?key=300x300/x.jpg")
	if r := s.trail.last(t, "GetObject"); r.ErrorCode != "NoSuchKey" {
		t.Errorf("audit record %+v", r)
	}
	s.visit("GET", "/other").want(404, codeNoKey)
	s.do("PUT", "/photos/img/there", "0123").want(200)
	s.visit("GET", "/img/there").wantBody(200, "0123")
	s.visit("GET", "/img/there", "Range: bytes=9-").wantBody(301, "").wantHeader("Location", at+"/whole")

	// An object says where it is; rules are stronger.
	s.do("PUT", "/photos/elsewhere", "x", "x-amz-website-redirect-location: /another/index.html").want(200)
	s.do("PUT", "/photos/moved", "x", "x-amz-website-redirect-location: /another/index.html").want(200)
	s.visit("GET", "/elsewhere").wantBody(301, "").wantHeader("Location", "/another/index.html").wantHeader("x-amz-website-redirect-location", "")
	s.visit("GET", "/moved").wantHeader("Location", at+"/a%20b%C3%BC")

	// A rule without a condition is for all.
	s.do("PUT", "/photos?website", websiteDocument(routed(`<Redirect><ReplaceKeyPrefixWith>new/</ReplaceKeyPrefixWith></Redirect>`))).want(200)
	s.visit("GET", "/a").wantHeader("Location", at+"/new/a")
	s.visit("GET", "/").wantHeader("Location", at+"/new/")
}

// Lines of access logs have what was asked for as it was asked, and what was read for it.
func TestLinesOfWebsites(t *testing.T) {
	s := logged(t)
	s.do("DELETE", "/photos?publicAccessBlock", "").want(204)
	s.do("PUT", "/photos?policy", openToAll).want(204)
	s.do("PUT", "/photos?website", websiteDocument(indexed)).want(200)
	s.do("PUT", "/photos/d/index.html", "index").want(200)
	s.lines("logs")
	end := ` "-" "agent/1" - HOSTID - - - photos.` + testSites + ` - - -`
	agent := "User-Agent: agent/1"
	s.visit("GET", "/d/", agent).want(200)
	s.wantLines("a page", `- ID WEBSITE.GET.OBJECT d/index.html "GET /d/ HTTP/1.1" 200 - 5 5 N N`+end)
	s.visit("HEAD", "/d/index.html", agent).want(200)
	s.wantLines("a head", `- ID WEBSITE.HEAD.OBJECT d/index.html "HEAD /d/index.html HTTP/1.1" 200 - - 5 N N`+end)
	a := s.visit("GET", "/d", agent).want(302)
	s.wantLines("a directory", `- ID WEBSITE.GET.OBJECT d "GET /d HTTP/1.1" 302 - `+strconv.Itoa(len(a.body))+` - N N`+end)
	a = s.visit("GET", "/none", agent).want(404)
	s.wantLines("what is not there", `- ID WEBSITE.GET.OBJECT none "GET /none HTTP/1.1" 404 NoSuchKey `+strconv.Itoa(len(a.body))+` - N N`+end)
	a = s.visit("POST", "/d", agent).want(405)
	s.wantLines("a form", `- ID WEBSITE.POST.OBJECT d "POST /d HTTP/1.1" 405 MethodNotAllowed `+strconv.Itoa(len(a.body))+` - N N`+end)
}

func TestWebsiteCors(t *testing.T) {
	s := webs(t, indexed)
	s.do("PUT", "/photos/index.html", "index").want(200)
	s.visit("OPTIONS", "/", "Origin: "+site, "Access-Control-Request-Method: GET").
		wantPageOf(403, "403 Forbidden", "Code: AccessForbidden", "Message: CORSResponse: CORS is not enabled for this bucket.", "Method: GET", "ResourceType: BUCKET")
	s.cors(`<AllowedOrigin>` + site + `</AllowedOrigin><AllowedMethod>GET</AllowedMethod>`)
	s.visit("OPTIONS", "/", "Origin: "+site, "Access-Control-Request-Method: GET").wantBody(200, "").wantPage(site, "GET", "", "", "")
	s.visit("OPTIONS", "/", "Origin: "+site, "Access-Control-Request-Method: PUT").want(403, "<li>ResourceType: OBJECT</li>")
	s.visit("GET", "/", "Origin: "+site).wantBody(200, "index").wantPage(site, "GET", "", "", "")
	s.visit("GET", "/none", "Origin: "+site).want(404).wantPage(site, "GET", "", "", "")
	s.visit("GET", "/").wantPage("", "", "", "", "")
}

// FuzzRedirect: wherever a redirect goes, it is a URL that a header can hold, at the host
// that the rule says.
func FuzzRedirect(f *testing.F) {
	f.Add("docs/", "a b/\u00fc?#%", "q=1")
	f.Add("", "//evil.example.com/\r\nX: y", "")
	f.Add("x?key=", "300x300/x.jpg", "a=b")
	f.Fuzz(func(t *testing.T, replaced, rest, query string) {
		c := cat(t, "GET", "")
		c.Request.URL.RawQuery = strings.Map(func(r rune) rune {
			if r <= ' ' || r >= 0x7f || r == '#' {
				return -1
			}
			return r
		}, query)
		got := redirectURL(c, &website.Redirect{Status: 301, Host: "h.example.com", Protocol: "https", Replaced: replaced, Rest: rest})
		if strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r >= 0x7f }) || !strings.HasPrefix(got, "https://h.example.com/") {
			t.Errorf("%q %q goes to %q", replaced, rest, got)
		}
		if !strings.ContainsAny(replaced, "%?#") {
			u, err := url.Parse(got)
			if err != nil || u.Path != "/"+replaced+rest || u.Host != "h.example.com" {
				t.Errorf("%q %q goes to %q: %v, %v", replaced, rest, got, u, err)
			}
		}
	})
}
