// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

func TestHeadersKeptWithAnObject(t *testing.T) {
	c := cat(t, "PUT", "", "Content-Type: image/jpeg", "Content-Encoding: aws-chunked, gzip", "Cache-Control: no-store",
		"Expires: soon", "X-Amz-Meta-Owner: Alice", "X-Amz-Meta-Tag: red", "X-Amz-Meta-Tag: blue", "x-amz-meta-empty: ",
		"x-amz-storage-class: STANDARD_IA", "User-Agent: curl", "x-amz-website-redirect-location: /dog.jpg")
	a, err := attributes(c)
	if err != nil {
		t.Fatal(err)
	}
	want := []object.Header{
		{Name: "cache-control", Value: "no-store"}, {Name: "content-encoding", Value: "gzip"},
		{Name: "content-type", Value: "image/jpeg"}, {Name: "expires", Value: "soon"},
		{Name: "x-amz-meta-empty", Value: ""}, {Name: "x-amz-meta-owner", Value: "Alice"}, {Name: "x-amz-meta-tag", Value: "red,blue"},
		{Name: "x-amz-website-redirect-location", Value: "/dog.jpg"},
	}
	if !reflect.DeepEqual(a.Headers, want) {
		t.Errorf("headers %v, want %v", a.Headers, want)
	}
	if a.StorageClass != "STANDARD_IA" {
		t.Errorf("storage class %q", a.StorageClass)
	}
}

func TestChunkedFramingIsNoEncoding(t *testing.T) {
	a, err := attributes(cat(t, "PUT", "", "Content-Encoding: aws-chunked"))
	if err != nil || len(a.Headers) != 0 {
		t.Errorf("headers %v, %v; want none", a.Headers, err)
	}
}

func TestPresignedParametersStandForHeaders(t *testing.T) {
	query := "X-Amz-Meta-Owner=alice&x-amz-storage-class=GLACIER_IR&x-amz-server-side-encryption=AES256"
	c := cat(t, "PUT", query)
	a, err := attributes(c)
	if err != nil || len(a.Headers) != 0 || a.StorageClass != "" || a.SSE.Algorithm != "" {
		t.Errorf("signed in the header, parameters count: %+v, %v", a, err)
	}
	c.Auth.Method = sigv4.Query
	c.Request.Header.Set("X-Amz-Storage-Class", "STANDARD_IA")
	a, err = attributes(c)
	if err != nil {
		t.Fatal(err)
	}
	if want := []object.Header{{Name: "x-amz-meta-owner", Value: "alice"}}; !reflect.DeepEqual(a.Headers, want) {
		t.Errorf("headers %v, want %v", a.Headers, want)
	}
	if a.SSE.Algorithm != "AES256" || a.StorageClass != "STANDARD_IA" {
		t.Errorf("encryption %q, storage class %q: want AES256, and the header's STANDARD_IA", a.SSE.Algorithm, a.StorageClass)
	}
}

func TestPresignedParametersThatAreNoHeaders(t *testing.T) {
	for _, query := range []string{
		"x-amz-meta-a=1%0d%0aSet-Cookie:+a", "x-amz-meta-a=%00", "x-amz-meta-a=%7f", "x-amz-meta-a%0d%0aB:=1", "x-amz-meta-a+b=1",
		"x-amz-website-redirect-location=/a%0ab",
	} {
		c := cat(t, "PUT", query)
		c.Auth.Method = sigv4.Query
		if _, err := attributes(c); !errors.Is(err, InvalidArgument) {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestRedirectsLeadSomewhere(t *testing.T) {
	for location, good := range map[string]bool{"": true, "/a": true, "http://x": true, "https://x/y": true, "ftp://x": false, "x": false, "javascript:x": false} {
		header := "x-amz-website-redirect-location: " + location
		if _, err := attributes(cat(t, "PUT", "", header)); good != (err == nil) || !good && !errors.Is(err, InvalidRedirect) {
			t.Errorf("%q: %v", location, err)
		}
	}
}

func TestTagsHeader(t *testing.T) {
	for header, want := range map[string][]bucket.Tag{
		"":                      nil,
		"a=1&b=2":               {{Key: "a", Value: "1"}, {Key: "b", Value: "2"}},
		"a":                     {{Key: "a"}},
		"a=":                    {{Key: "a"}},
		"my+key=x%2By&k=%C3%A9": {{Key: "my key", Value: "x+y"}, {Key: "k", Value: "é"}},
		"a=b%3Dc":               {{Key: "a", Value: "b=c"}},
		"a,b=1":                 {{Key: "a,b", Value: "1"}}, // what a tag may be, core says
		"aws:x=1":               {{Key: "aws:x", Value: "1"}},
	} {
		got, err := tagsHeader(cat(t, "PUT", "", "x-amz-tagging: "+header))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v; want %v", header, got, err, want)
		}
	}
	for _, header := range []string{"a=1&a=2", "a=%zz", "a=%ff", "=1", "a=b=c", "a=1;b=2"} {
		_, err := tagsHeader(cat(t, "PUT", "", "x-amz-tagging: "+header))
		if kind, _ := faultOf(err); kind != InvalidArgument || detail(err, "ArgumentName") != "x-amz-tagging" || detail(err, "ArgumentValue") != header {
			t.Errorf("%q: %v", header, err)
		}
	}
}

func TestElevenTagsAreForCoreToCount(t *testing.T) {
	var v = url.Values{}
	for i := range 11 {
		v.Set(fmt.Sprint("k", i), "v")
	}
	if tags, err := tagsHeader(cat(t, "PUT", "", "x-amz-tagging: "+v.Encode())); err != nil || len(tags) != 11 {
		t.Errorf("%d tags, %v", len(tags), err)
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	for header, want := range map[string]fault.Kind{
		"x-amz-acl: public-read":             "",
		"x-amz-acl: open":                    InvalidArgument,
		"x-amz-grant-read: id=1":             "",
		"x-amz-grant-read: name=1":           InvalidArgument,
		"x-amz-object-lock-mode: GOVERNANCE": InvalidArgument,
		"x-amz-object-lock-legal-hold: OFF":  "",
		"x-amz-object-lock-legal-hold: off":  InvalidArgument,
		"x-amz-write-offset-bytes: 5":        NotImplemented,
		"x-amz-request-payer: requester":     "",
	} {
		_, err := attributes(cat(t, "PUT", "", header))
		if kind, _ := faultOf(err); kind != want {
			t.Errorf("%s: %v, want %q", header, err, want)
		}
	}
}

func TestConditions(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	c := cat(t, "GET", "", `If-Match: "e"`, "If-None-Match: *", "If-Modified-Since: "+at.Format(http.TimeFormat),
		"If-Unmodified-Since: yesterday", "x-amz-copy-source-if-match: f", "x-amz-copy-source-if-unmodified-since: "+at.Format(time.RFC850))
	if got, want := readCondition(c), (object.ReadCondition{IfMatch: `"e"`, IfNoneMatch: "*", IfModifiedSince: at}); got != want {
		t.Errorf("read: %+v, want %+v", got, want)
	}
	if got, want := copyCondition(c), (object.ReadCondition{IfMatch: "f", IfUnmodifiedSince: at}); got != want {
		t.Errorf("copy source: %+v, want %+v", got, want)
	}
	if got, want := writeCondition(c), (object.WriteCondition{IfMatch: `"e"`, IfNoneMatch: "*"}); got != want {
		t.Errorf("write: %+v, want %+v", got, want)
	}
}
