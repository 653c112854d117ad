// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func websiteDocument(inner string) string {
	return `<WebsiteConfiguration>` + inner + `</WebsiteConfiguration>`
}

const indexed = `<IndexDocument><Suffix>index.html</Suffix></IndexDocument>`

func routed(rules ...string) string {
	return indexed + `<RoutingRules><RoutingRule>` + strings.Join(rules, `</RoutingRule><RoutingRule>`) + `</RoutingRule></RoutingRules>`
}

func TestBucketWebsite(t *testing.T) {
	s := photos(t)
	s.do("GET", "/photos?website", "").wantCode(404, "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration", "<BucketName>photos</BucketName>")
	s.do("DELETE", "/photos?website", "").want(204)
	for _, inner := range []string{
		indexed,
		`<RedirectAllRequestsTo><HostName>example.com</HostName><Protocol>https</Protocol></RedirectAllRequestsTo>`,
		`<RedirectAllRequestsTo><HostName>example.com</HostName></RedirectAllRequestsTo>`,
		indexed + `<ErrorDocument><Key>errors/404.html</Key></ErrorDocument>`,
		routed(`<Condition><HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals><KeyPrefixEquals>a/</KeyPrefixEquals></Condition>`+
			`<Redirect><HostName>h</HostName><HttpRedirectCode>308</HttpRedirectCode><Protocol>http</Protocol><ReplaceKeyPrefixWith></ReplaceKeyPrefixWith></Redirect>`,
			`<Redirect><ReplaceKeyWith>k</ReplaceKeyWith></Redirect>`),
	} {
		document := websiteDocument(inner)
		s.do("PUT", "/photos?website", document).want(200)
		s.do("GET", "/photos?website", "").wantDocument(200, document)
	}
	p := fmt.Sprint(s.trail.last(t, "PutBucketWebsite").RequestParameters["WebsiteConfiguration"])
	if !strings.Contains(p, "index.html") || !strings.Contains(p, "KeyPrefixEquals:a/") || !strings.Contains(p, "HttpRedirectCode:308") {
		t.Errorf("audit record: %s", p)
	}
	s.do("PUT", "/photos?website", websiteDocument(indexed), "by another account").wantCode(403, "AccessDenied")
	s.do("PUT", "/nowhere?website", websiteDocument(indexed)).wantCode(404, "NoSuchBucket")
	s.do("DELETE", "/photos?website", "").want(204)
	s.do("GET", "/photos?website", "").wantCode(404, "NoSuchWebsiteConfiguration")
}

// What S3 answered to configurations that it refused, recorded but for a few.
func TestInvalidWebsites(t *testing.T) {
	s := photos(t)
	argument := func(name, value, text string) string {
		return "<Code>InvalidArgument</Code><Message>" + text + "</Message><ArgumentName>" + name + "</ArgumentName><ArgumentValue>" + value + "</ArgumentValue>"
	}
	request := func(text string) string { return "<Code>InvalidRequest</Code><Message>" + text }
	const (
		malformed = "<Code>MalformedXML</Code>"
		notFormed = "The IndexDocument Suffix is not well formed"
		all       = `<RedirectAllRequestsTo><HostName>test</HostName></RedirectAllRequestsTo>`
		exclusive = "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules."
		protocol  = "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically."
		redirect  = `<Redirect><ReplaceKeyPrefixWith>prefix</ReplaceKeyPrefixWith></Redirect>`
	)
	for _, c := range []struct{ inner, want string }{
		{`<IndexDocument><Suffix>/index.html</Suffix></IndexDocument>`, argument("IndexDocument", "/index.html", notFormed)},
		{`<IndexDocument><Suffix></Suffix></IndexDocument>`, argument("IndexDocument", "", notFormed)},
		{all + `<IndexDocument><Suffix>/index.html</Suffix></IndexDocument>`, argument("RedirectAllRequestsTo", "not null", exclusive)},
		{all + `<ErrorDocument><Key>e</Key></ErrorDocument>`, argument("RedirectAllRequestsTo", "not null", exclusive)},
		{`<ErrorDocument><Key>e</Key></ErrorDocument>`, argument("IndexDocument", "null", "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty")},
		{``, "A value for IndexDocument Suffix must be provided"},
		{indexed + `<ErrorDocument><Key></Key></ErrorDocument>`, argument("ErrorDocument", "", "The ErrorDocument Key is not well formed")},
		{routed(`<Redirect><Protocol>protocol</Protocol></Redirect>`), request(protocol)},
		{`<RedirectAllRequestsTo><HostName>test</HostName><Protocol>ftp</Protocol></RedirectAllRequestsTo>`, request(protocol)},
		{routed(`<Redirect><ReplaceKeyPrefixWith>p</ReplaceKeyPrefixWith><ReplaceKeyWith>k</ReplaceKeyWith></Redirect>`), request("You can only define ReplaceKeyPrefix or ReplaceKey but not both.")},
		{routed(redirect + `<Condition></Condition>`), request("Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be present.")},
		{routed(strings.Split(strings.Repeat(redirect+",", 50)+redirect, ",")...), request("51 routing rules provided, the number of routing rules in a website configuration is limited to 50.")},
		{routed(`<Redirect><HttpRedirectCode>300</HttpRedirectCode></Redirect>`), request("The provided HTTP redirect code (300) is not valid. Valid codes are 3XX except 300.")},
		{routed(`<Redirect><HttpRedirectCode>306</HttpRedirectCode></Redirect>`), request("The provided HTTP redirect code (306)")},
		{routed(`<Redirect><HttpRedirectCode>309</HttpRedirectCode></Redirect>`), request("The provided HTTP redirect code (309)")},
		{routed(`<Condition><HttpErrorCodeReturnedEquals>418</HttpErrorCodeReturnedEquals></Condition>` + redirect), request("The provided HTTP error code (418) is not valid. Valid codes are 4XX or 5XX.")},
		{routed(`<Condition><HttpErrorCodeReturnedEquals>4xx</HttpErrorCodeReturnedEquals></Condition>` + redirect), malformed},
		{routed(`<Redirect><HttpRedirectCode>0</HttpRedirectCode></Redirect>`), malformed},
		{routed(`<Redirect></Redirect>`), malformed},
		{routed(`<Condition><KeyPrefixEquals>a</KeyPrefixEquals></Condition>`), malformed},
		{routed(`<Redirect><Colour>red</Colour></Redirect>`), malformed},
		{indexed + `<RoutingRules></RoutingRules>`, malformed},
		{`<RedirectAllRequestsTo></RedirectAllRequestsTo>`, malformed},
		{`<RedirectAllRequestsTo><HostName>h</HostName><ReplaceKeyWith>k</ReplaceKeyWith></RedirectAllRequestsTo>`, malformed},
		{`<IndexDocument></IndexDocument>`, malformed},
		{indexed + `<ErrorDocument><Key>a</Key></ErrorDocument>` + indexed, malformed},
		{routed(redirect + redirect), malformed},
		{routed(`<Condition><KeyPrefixEquals>a</KeyPrefixEquals><KeyPrefixEquals>b</KeyPrefixEquals></Condition>` + redirect), malformed},
		{`<Website/>`, malformed},
	} {
		s.do("PUT", "/photos?website", websiteDocument(c.inner)).want(400, c.want)
	}
	s.do("PUT", "/photos?website", websiteDocument(indexed+strings.Repeat(" ", 128<<10))).
		wantCode(400, "MaxMessageLengthExceeded", "<MaxMessageLengthBytes>131072</MaxMessageLengthBytes>")
	s.do("GET", "/photos?website", "").wantCode(404, "NoSuchWebsiteConfiguration")
}

// FuzzWebsite: what is read of a document is what is written of it.
func FuzzWebsite(f *testing.F) {
	f.Add(websiteDocument(indexed))
	f.Add(websiteDocument(`<RedirectAllRequestsTo><HostName> h </HostName></RedirectAllRequestsTo>`))
	f.Add(websiteDocument(routed(`<Condition><KeyPrefixEquals/></Condition><Redirect><ReplaceKeyWith/><HttpRedirectCode> 0302 </HttpRedirectCode></Redirect>`)))
	f.Fuzz(func(t *testing.T, document string) {
		first, err := parseWebsite([]byte(document))
		if err != nil {
			if kind, _ := faultOf(err); kind != MalformedXML {
				t.Errorf("%q: %v", document, err)
			}
			return
		}
		written := writeWebsite(&first)
		again, err := parseWebsite(written)
		if err != nil || !reflect.DeepEqual(first, again) {
			t.Errorf("%q is read as %+v, written as %s and read as %+v, %v", document, first, written, again, err)
		}
	})
}
