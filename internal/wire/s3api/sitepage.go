// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/core/website"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// htmlPage builds a page of an error as S3's websites have it.
type htmlPage struct{ strings.Builder }

func (p *htmlPage) item(name, value string) {
	p.WriteString("<li>" + html.EscapeString(name) + ": " + html.EscapeString(value) + "</li>\n")
}

// list writes a code with its details.
func (p *htmlPage) list(code pipeline.Code, details []fault.Detail, more ...string) {
	p.WriteString("<ul>\n")
	p.item("Code", code.Code)
	p.item("Message", code.Message)
	for i := 0; i+1 < len(more); i += 2 {
		if more[i+1] != "" {
			p.item(more[i], more[i+1])
		}
	}
	for _, d := range details {
		if !inHeader(d.Name) {
			p.item(d.Name, d.Value)
		}
	}
}

// newPage returns a page up to its end.
func newPage(c *pipeline.Call, code pipeline.Code, details []fault.Detail) *htmlPage {
	p := new(htmlPage)
	title := strconv.Itoa(code.Status) + " " + http.StatusText(code.Status)
	p.WriteString("<html>\n<head><title>" + title + "</title></head>\n<body>\n<h1>" + title + "</h1>\n")
	method := ""
	if code.Status == http.StatusMethodNotAllowed {
		method = c.Request.Method
	}
	p.list(code, details, "Method", method)
	p.item("RequestId", c.ID)
	p.item("HostId", c.HostID)
	p.WriteString("</ul>\n")
	return p
}

// response ends a page and makes the answer that it is, for whoever has asked for a body.
func (p *htmlPage) response(c *pipeline.Call, code pipeline.Code, details []fault.Detail) *pipeline.Response {
	p.WriteString("<hr/>\n</body>\n</html>\n")
	h := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	tellError(h, code, details)
	resp := &pipeline.Response{Status: code.Status, Header: h}
	if c.Request.Method != http.MethodHead {
		resp.Body = []byte(p.String())
	}
	return resp
}

// renderPage writes an error for a browser.
func renderPage(c *pipeline.Call, code pipeline.Code, details []fault.Detail) *pipeline.Response {
	if code.Status == http.StatusNotModified {
		return renderFault(c, code, details)
	}
	return newPage(c, code, details).response(c, code, details)
}

// pageOfError writes the error of a request for which the bucket has no page.
func pageOfError(c *pipeline.Call, out website.Answer) *pipeline.Response {
	code, details := codes.Of(out.Err), detailsOf(out.Err)
	p := newPage(c, code, details)
	if out.PageErr != nil {
		p.WriteString("<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n")
		p.list(c.CodeOf(out.PageErr), detailsOf(out.PageErr))
		p.WriteString("</ul>\n")
	}
	resp := p.response(c, code, details)
	resp.Err = out.Err
	return resp
}

// tellError sets the headers in which websites tell of an error, whatever the page says.
func tellError(h http.Header, code pipeline.Code, details []fault.Detail) {
	setHeader(h, "x-amz-error-code", code.Code)
	setHeader(h, "x-amz-error-message", printable(code.Message))
	for _, d := range details {
		if inHeader(d.Name) {
			h[d.Name] = []string{d.Value}
		} else {
			setHeader(h, "x-amz-error-detail-"+d.Name, printable(d.Value))
		}
	}
}

// printable percent-encodes what cannot stand in a header or a URL, and leaves the rest.
func printable(text string) string {
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; hidden(rune(c)) {
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

const hexDigits = "0123456789ABCDEF"

func hidden(r rune) bool { return r < ' ' || r >= 0x7f }

// resourceFound is what a redirect to a directory says of itself.
var resourceFound = pipeline.As(http.StatusFound, "Found", "Resource Found")

// encodeRedirect sends the browser elsewhere.
func encodeRedirect(c *pipeline.Call, out website.Answer) *pipeline.Response {
	r := out.Redirect
	resp := &pipeline.Response{Status: r.Status, Header: make(http.Header)}
	if r.Directory {
		resp = renderPage(c, resourceFound, nil)
	}
	setHeader(resp.Header, "Location", redirectURL(c, r))
	resp.Err = out.Err
	return resp
}

// redirectURL returns the URL of a redirect. What a rule says is taken as it stands: it may
// bring a query along. The request's own query stays.
func redirectURL(c *pipeline.Call, r *website.Redirect) string {
	rest := strings.TrimPrefix((&url.URL{Path: "/" + r.Rest}).EscapedPath(), "/")
	switch {
	case r.Location != "":
		return printable(r.Location)
	case r.Directory && strings.HasPrefix(rest, "/"): // which after another slash would be a host
		return origin(c) + "/" + rest + "/"
	case r.Directory:
		return "/" + rest + "/"
	}
	at := origin(c)
	if r.Protocol != "" {
		at = r.Protocol + "://" + c.Request.Host
	}
	if r.Host != "" {
		scheme, _, _ := strings.Cut(at, "://")
		at = scheme + "://" + r.Host
	}
	at = strings.ReplaceAll(printable(at+"/"+r.Replaced), " ", "%20") + rest
	if q := c.Request.URL.RawQuery; q != "" {
		if strings.Contains(at, "?") {
			return at + "&" + q
		}
		return at + "?" + q
	}
	return at
}
