// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"net/http"
	"testing"
	"time"
)

func TestConditions(t *testing.T) {
	s := start(t)
	const any = "*"
	s.row("12.1", "only if there is none", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/source", "x")
		r.put("/"+b+"/k", "x", "If-None-Match", any)
		r.err(r.do("PUT", "/"+b+"/k", "y", "If-None-Match", any), 412, "PreconditionFailed", "", "Condition=If-None-Match")
		r.err(r.do("PUT", "/"+b+"/k", "", "x-amz-copy-source", b+"/source", "If-None-Match", any), 412, "PreconditionFailed", "", "Condition=If-None-Match")
		u := r.begin("/" + b + "/k")
		u.part(1, "x")
		r.err(u.complete(412, "If-None-Match", any), 412, "PreconditionFailed", "", "Condition=If-None-Match")
		v := r.versioned()
		r.put("/"+v+"/k", "x")
		r.ok(204, r.do("DELETE", "/"+v+"/k", ""))
		r.put("/"+v+"/k", "again", "If-None-Match", any)
	})
	s.row("12.2", "If-None-Match with an ETag", func(r *row) {
		r.err(r.do("PUT", "/"+r.bucket()+"/k", "x", "If-None-Match", `"e"`), 501, "NotImplemented", "", "Header=If-None-Match", "additionalMessage")
	})
	s.row("12.3", "If-Match", func(r *row) {
		b := r.bucket()
		r.err(r.do("PUT", "/"+b+"/k", "x", "If-Match", `"e"`), 404, "NoSuchKey", "")
		etag := r.put("/"+b+"/k", "x").etag()
		r.err(r.do("PUT", "/"+b+"/k", "y", "If-Match", `"e"`), 412, "PreconditionFailed", "", "Condition=If-Match")
		r.err(r.do("PUT", "/"+b+"/k", "y", "If-Match", any), 501, "NotImplemented", "")
		r.put("/"+b+"/k", "y", "If-Match", etag)
	})
	s.row("12.4", "both", func(r *row) {
		r.err(r.do("PUT", "/"+r.bucket()+"/k", "x", "If-Match", `"e"`, "If-None-Match", any), 501, "NotImplemented", "", "Header=If-Match,If-None-Match")
	})
	s.row("12.5", "the key changed while an upload was under way", func(r *row) {
		b := r.bucket()
		etag := r.put("/"+b+"/k", "x").etag()
		u := r.begin("/" + b + "/k")
		u.part(1, "new")
		r.put("/"+b+"/k", "x") // the same again: the condition holds
		r.err(u.complete(409, "If-Match", etag), 409, "ConditionalRequestConflict", "", "Condition=If-Match", "Key=k")
		u = r.begin("/" + b + "/k")
		u.part(1, "new")
		r.ok(204, r.do("DELETE", "/"+b+"/k", ""))
		r.err(u.complete(409, "If-None-Match", any), 409, "ConditionalRequestConflict", "", "Condition=If-None-Match", "Key=k")
	})
	s.row("12.6", "deleting", func(r *row) {
		b := r.bucket()
		etag := r.put("/"+b+"/k", "x").etag()
		r.err(r.do("DELETE", "/"+b+"/k", "", "If-Match", `"e"`), 412, "PreconditionFailed", "", "Condition=If-Match")
		r.err(r.do("DELETE", "/"+b+"/k", "", "x-amz-if-match-size", "1"), 501, "NotImplemented", "")
		r.err(r.do("DELETE", "/"+b+"/k", "", "x-amz-if-match-last-modified-time", time.Now().UTC().Format(http.TimeFormat)), 501, "NotImplemented", "")
		r.ok(204, r.do("DELETE", "/"+b+"/k", "", "If-Match", etag))
	})
	s.row("12.7", "reading", func(r *row) {
		b := r.bucket()
		etag := r.put("/"+b+"/k", "x").etag()
		modified := r.do("HEAD", "/"+b+"/k", "").header.Get("Last-Modified")
		earlier := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
		for _, c := range []struct {
			header, value string
			status        int
			condition     string
		}{
			{"If-None-Match", `"` + etag + `"`, 304, ""}, {"If-None-Match", etag, 304, ""}, {"If-None-Match", `"e"`, 200, ""}, {"If-None-Match", any, 304, ""},
			{"If-Modified-Since", modified, 304, ""}, {"If-Modified-Since", earlier, 200, ""},
			{"If-Match", `"e"`, 412, "If-Match"}, {"If-Match", etag, 200, ""},
			{"If-Unmodified-Since", earlier, 412, "If-Unmodified-Since"}, {"If-Unmodified-Since", modified, 200, ""},
		} {
			a := r.ok(c.status, r.do("GET", "/"+b+"/k", "", c.header, c.value))
			r.ok(c.status, r.do("HEAD", "/"+b+"/k", "", c.header, c.value))
			if c.condition != "" {
				r.err(a, 412, "PreconditionFailed", "", "Condition="+c.condition)
			}
		}
	})
	s.row("12.8", "ranges that cannot be", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "0123456789")
		for _, v := range []string{"bytes=10-", "bytes=10-20", "bytes=-0"} {
			r.err(r.do("GET", "/"+b+"/k", "", "Range", v), 416, "InvalidRange", "", "ActualObjectSize=10", "RangeRequested="+v)
		}
	})
	s.row("12.9", "ranges that are none", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "0123456789")
		for _, v := range []string{"bytes=1-0", "bytes=0--1", "bytes=-", "bytes=0-1,3-4", "0-1", "lines=0-1", "bytes=a-b"} {
			r.is(v, r.ok(200, r.do("GET", "/"+b+"/k", "", "Range", v)).body, "0123456789")
		}
	})
	s.row("12.10", "ranges that are longer than the object", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "0123456789")
		for v, want := range map[string]string{"bytes=8-99": "89", "bytes=-99": "0123456789", "bytes=3-": "3456789", "bytes=-2": "89"} {
			r.is(v, r.ok(206, r.do("GET", "/"+b+"/k", "", "Range", v)).body, want)
		}
	})
}
