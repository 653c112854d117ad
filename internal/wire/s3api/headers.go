// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// presigned reports whether the request is a presigned URL.
func presigned(c *pipeline.Call) bool { return c.Auth != nil && c.Auth.Method == sigv4.Query }

// field returns an x-amz-* header of the request. In a presigned URL a query
// parameter stands for a header that is not there: some SDKs sign them as such,
// and S3 honours it. Spellings of one name are one list: who decides and who obeys
// must not each find another.
func field(c *pipeline.Call, name string) (value string, present bool) {
	if values := c.Values(name); values != nil {
		return strings.Join(values, ","), true
	}
	if !presigned(c) {
		return "", false
	}
	var spellings, values []string
	for parameter := range c.Query {
		// Of the same length: other letters than ASCII's fold to some of them, too.
		if len(parameter) == len(name) && strings.EqualFold(parameter, name) {
			spellings = append(spellings, parameter)
		}
	}
	slices.Sort(spellings)
	for _, parameter := range spellings {
		values = append(values, c.Query[parameter]...)
	}
	return strings.Join(values, ","), values != nil
}

// value is field where an empty one is as good as none.
func value(c *pipeline.Call, name string) string {
	v, _ := field(c, name)
	return v
}

// fieldsWith returns the x-amz-* headers that begin with prefix, by name in lower
// case, with the query parameters that stand for some.
func fieldsWith(c *pipeline.Call, prefix string) map[string]string {
	found := withPrefix(nil, c.Request.Header, prefix)
	if presigned(c) {
		found = withPrefix(found, c.Query, prefix)
	}
	return found
}

// withPrefix adds to found, nil at first, what begins with prefix and is not yet
// there.
func withPrefix(found map[string]string, from map[string][]string, prefix string) map[string]string {
	for name, values := range from {
		if len(name) < len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
			continue
		}
		if found == nil {
			found = make(map[string]string)
		}
		name = strings.ToLower(name)
		if _, ok := found[name]; !ok {
			found[name] = strings.Join(values, ",")
		}
	}
	return found
}

// setHeader sets a header of an answer in the spelling given, unless it is empty.
// S3 writes its own in lower case, where net/http would capitalize them; clients
// take the names of user metadata from them as they come.
func setHeader(h http.Header, name, value string) {
	if value != "" {
		h[name] = []string{value}
	}
}

// Values of many answers' headers, which nobody changes.
var (
	bytesRanges = []string{"bytes"}
	binary      = []string{"binary/octet-stream"}
	yes         = []string{"true"}
	algorithms  = map[string][]string{sse.AES256: {sse.AES256}, sse.KMS: {sse.KMS}, sse.DSSE: {sse.DSSE}}
)

// quote writes an ETag as S3 does.
func quote(etag string) string { return `"` + etag + `"` }

// systemHeaders are kept with an object and come back with it, beside user
// metadata; by the names under which they are kept and under which they come back.
var systemHeaders = map[string]string{
	"cache-control":       "Cache-Control",
	"content-disposition": "Content-Disposition",
	"content-encoding":    "Content-Encoding",
	"content-language":    "Content-Language",
	"content-type":        "Content-Type",
	"expires":             "Expires",
	redirectHeader:        redirectHeader,
}

const redirectHeader = "x-amz-website-redirect-location"

// attributes reads what a request says of a new object beside its bytes.
func attributes(c *pipeline.Call) (a object.Attributes, err error) {
	if err := customerTransport(c); err != nil {
		return a, err
	}
	if err := refuseUnsupported(c); err != nil {
		return a, err
	}
	a.Headers = storedHeaders(c)
	for _, h := range a.Headers {
		if !validHeader(h) {
			return a, invalidArgument(h.Name, h.Value, notRepresentable)
		}
		if h.Name == redirectHeader && !goesSomewhere(h.Value) {
			return a, fault.New(InvalidRedirect, "")
		}
	}
	a.StorageClass = value(c, "x-amz-storage-class")
	if a.Tags, err = tagsHeader(c); err != nil {
		return a, err
	}
	if a.ACL, err = askedACL(c); err != nil {
		return a, err
	}
	if a.Lock, err = lockHeaders(c); err != nil {
		return a, err
	}
	a.SSE, err = encryptionFields(c).Create()
	return a, err
}

// goesSomewhere reports whether a website can redirect to a location.
func goesSomewhere(location string) bool {
	return strings.HasPrefix(location, "/") || strings.HasPrefix(location, "http://") || strings.HasPrefix(location, "https://")
}

// storedHeaders returns the headers that are kept with an object, in the order of
// their names.
func storedHeaders(c *pipeline.Call) []object.Header {
	var kept []object.Header
	for name := range systemHeaders {
		v := c.Header(name)
		switch name {
		case "content-encoding":
			v = sigv4.ContentEncoding(c.Request.Header["Content-Encoding"])
		case redirectHeader:
			v = value(c, name)
		}
		if v != "" {
			kept = append(kept, object.Header{Name: name, Value: v})
		}
	}
	for name, v := range fieldsWith(c, object.MetadataPrefix) {
		kept = append(kept, object.Header{Name: name, Value: v})
	}
	slices.SortFunc(kept, func(a, b object.Header) int { return strings.Compare(a.Name, b.Name) })
	return kept
}

const notRepresentable = "Header value cannot be represented using ISO-8859-1."

// validHeader reports whether a header can come back as it was sent. Of a header that
// came as one this is known; but a parameter of a presigned URL, decoded, may hold
// line breaks and zero bytes.
func validHeader(h object.Header) bool {
	notInName := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}
	return !strings.ContainsFunc(h.Name, notInName) && representable(h.Value)
}

// representable reports whether text has no control characters but tabs.
func representable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// setStored sets the headers that were kept with an object.
func setStored(h http.Header, kept []object.Header) {
	h["Content-Type"] = binary
	for _, k := range kept {
		name := k.Name
		if known, ok := systemHeaders[name]; ok {
			name = known
		}
		h[name] = []string{k.Value}
	}
}

// tagsHeader reads x-amz-tagging: tags as the parameters of a URL.
func tagsHeader(c *pipeline.Call) ([]bucket.Tag, error) {
	header := value(c, "x-amz-tagging")
	invalid := func() ([]bucket.Tag, error) {
		return nil, invalidArgument("x-amz-tagging", header,
			"The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
	}
	var tags []bucket.Tag
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(header, "&") {
		if pair == "" {
			continue
		}
		key, raw, _ := strings.Cut(pair, "=")
		key, keyErr := url.QueryUnescape(key)
		val, valErr := url.QueryUnescape(raw)
		if keyErr != nil || valErr != nil || !utf8.ValidString(key) || !utf8.ValidString(val) ||
			key == "" || seen[key] || strings.Contains(raw, "=") {
			return invalid()
		}
		seen[key] = true
		tags = append(tags, bucket.Tag{Key: key, Value: val})
	}
	return tags, nil // what they may be, and how many, core says
}

// eventHolds are the headers of holds that keep an object until an event.
var eventHolds = []string{"x-amz-object-lock-event-hold", "x-amz-object-lock-event-hold-duration-days", "x-amz-object-lock-event-hold-duration-years"}

// refuseUnsupported refuses headers that ask for what is not done here, rather
// than store an object that is less protected than its writer believes.
func refuseUnsupported(c *pipeline.Call) error {
	if _, ok := field(c, "x-amz-write-offset-bytes"); ok {
		return notImplemented("x-amz-write-offset-bytes")
	}
	for _, hold := range eventHolds {
		if v := value(c, hold); v != "" && v != "OFF" {
			return notImplemented(hold)
		}
	}
	return nil
}

// writeCondition reads the conditions of a write. Some SDKs put them among the signed
// parameters of a URL: whoever signed it relies on them.
func writeCondition(c *pipeline.Call) object.WriteCondition {
	return object.WriteCondition{IfMatch: value(c, "If-Match"), IfNoneMatch: value(c, "If-None-Match")}
}

func readCondition(c *pipeline.Call) object.ReadCondition {
	return object.ReadCondition{
		IfMatch: c.Header("If-Match"), IfNoneMatch: c.Header("If-None-Match"),
		IfModifiedSince:   date(c.Header("If-Modified-Since")),
		IfUnmodifiedSince: date(c.Header("If-Unmodified-Since")),
	}
}

// copyCondition is what a copy demands of its source.
func copyCondition(c *pipeline.Call) object.ReadCondition {
	return object.ReadCondition{
		IfMatch: value(c, "x-amz-copy-source-if-match"), IfNoneMatch: value(c, "x-amz-copy-source-if-none-match"),
		IfModifiedSince:   date(value(c, "x-amz-copy-source-if-modified-since")),
		IfUnmodifiedSince: date(value(c, "x-amz-copy-source-if-unmodified-since")),
	}
}

// date reads an HTTP date. One that is none is ignored (RFC 9110, section 13.1.3).
func date(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, err := http.ParseTime(s)
	if err != nil {
		return time.Time{}
	}
	return t
}
