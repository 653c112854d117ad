// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

// unusualKeys are keys that clients, proxies and file systems like to change. A key is
// kept as it is, and every path finds it again.
var unusualKeys = []string{
	".", "..", "../up", "a/../b", "a/./b", "/", "//", "/leading", "trailing/", "a//b", "a///",
	"+", "a+b", "a b", " ", "  two  ", "%", "%2F", "a%2Fb", "%25", "100%", "a%00b", "?", "a?b=c", "#", "a#b", "&", "a&b=c", "=", ";", ":", "@", "!", "'", `"`,
	"*", "(x)", "<tag>", "]]>", "&amp;", `\`, `a\b`, "|", "~", "^", "`", "{x}", "[x]", "$", ",",
	"tab\there", "line\nbreak", "return\rhere", "\x01", "\x00", "bell\x07", "\x1f", "\x7f", "\u0085", "\u2028",
	"\ufffe", "\uffff", "\ufffd", "\u200b", "é", "e\u0301", "日本語", "😀", "👩‍👩‍👧", "𐍈", "ﬀ", "İ",
	"con", "aux.txt", "trailing.", "trailing ", "uploads", "versioning", "list-type=2",
	strings.Repeat("k", 1024), strings.Repeat("é", 512), strings.Repeat("😀", 256), strings.Repeat("/", 1024), strings.Repeat("a/", 512),
}

// pathOf writes a key as the path of a URL; plain leaves slashes.
func pathOf(key string) string {
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		if c == '/' || c == '-' || c == '.' || c == '_' || c == '~' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// TestUnusualKeys takes every key along every path: written, read, copied, tagged, in
// parts, by a form, by a presigned URL, at a bucket's own host, listed in each way with
// and without encoding, and deleted alone and among others.
func TestUnusualKeys(t *testing.T) {
	s := start(t)
	s.Bucket("unusual", "", "", false)
	s.Bucket("copies", "", "", false)
	u := &unusual{t, s}
	for i, key := range unusualKeys {
		u.write(i, key)
	}
	u.listed("every key", unusualKeys)
	for i, key := range unusualKeys {
		u.paths(i, key)
	}
	u.remove()
}

type unusual struct {
	*testing.T
	s *coffertest.Server
}

func (u *unusual) ok(what, key string, a answer) answer {
	u.Helper()
	if a.status/100 != 2 {
		u.Errorf("%s %.40q: %d %s", what, key, a.status, a.body)
	}
	return a
}

func (u *unusual) do(method, target, body string, headers ...string) answer {
	u.Helper()
	return request{method: method, target: target, body: body, headers: headers}.do(u.s)
}

func (u *unusual) write(i int, key string) {
	u.ok("put", key, u.do("PUT", "/unusual/"+pathOf(key), fmt.Sprint("body ", i)))
}

// holds fails unless the object is the i-th.
func (u *unusual) holds(what string, i int, key string, a answer) {
	u.Helper()
	if a.status != 200 || a.body != fmt.Sprint("body ", i) {
		u.Errorf("%s %.40q: %d %s", what, key, a.status, a.body)
	}
}

func (u *unusual) paths(i int, key string) {
	at := "/unusual/" + pathOf(key)
	u.holds("get", i, key, u.do("GET", at, ""))
	if a := u.do("HEAD", at, ""); a.status != 200 || a.header.Get("Content-Length") != fmt.Sprint(len(fmt.Sprint("body ", i))) {
		u.Errorf("head %.40q: %d %v", key, a.status, a.header)
	}
	u.holds("virtual host", i, key, request{method: "GET", target: "/" + pathOf(key), host: "unusual.localhost"}.do(u.s))

	// Copied under its own name and back over itself in parts.
	copied := "/copies/" + pathOf(key)
	u.ok("copy", key, u.do("PUT", copied, "", "X-Amz-Copy-Source", "unusual/"+pathOf(key)))
	u.holds("copy", i, key, u.do("GET", copied, ""))
	u.ok("copy with an encoded slash", key, u.do("PUT", copied, "", "X-Amz-Copy-Source", url.QueryEscape("unusual/"+key)))
	u.holds("copy with an encoded slash", i, key, u.do("GET", copied, ""))

	tags := "<Tagging><TagSet><Tag><Key>i</Key><Value>" + fmt.Sprint(i) + "</Value></Tag></TagSet></Tagging>"
	u.ok("tag", key, u.do("PUT", at+"?tagging", tags, md5Header(tags)...))
	if a := u.ok("tags", key, u.do("GET", at+"?tagging", "")); !strings.Contains(a.body, "<Value>"+fmt.Sprint(i)+"</Value>") {
		u.Errorf("tags of %.40q: %s", key, a.body)
	}

	u.upload(i, key, copied)

	signed, err := s3.NewPresignClient(u.s.S3).PresignGetObject(u.Context(), &s3.GetObjectInput{Bucket: ptr("unusual"), Key: &key})
	if err != nil {
		u.Fatal(err)
	}
	u.holds("presigned", i, key, open(u, signed, ""))

	u.ok("form", key, post(u.s, "copies", key, fmt.Sprint("body ", i)))
	u.holds("form", i, key, u.do("GET", copied, ""))
}

func ptr(s string) *string { return &s }

// upload writes a key in one part, and looks for its upload and its part.
func (u *unusual) upload(i int, key, at string) {
	begun := u.ok("begin", key, u.do("POST", at+"?uploads", ""))
	id := url.QueryEscape(begun.get("UploadId"))
	a := u.ok("uploads", key, u.do("GET", "/copies?uploads&encoding-type=url&prefix="+url.QueryEscape(key), ""))
	if got := u.keysIn(a, "Upload", true); len(got) != 1 || got[0] != key {
		u.Errorf("uploads of %.40q: %.80q", key, got)
	}
	part := u.ok("part", key, u.do("PUT", at+"?partNumber=1&uploadId="+id, fmt.Sprint("body ", i)))
	if a := u.ok("parts", key, u.do("GET", at+"?encoding-type=url&uploadId="+id, "")); !strings.Contains(a.body, "<PartNumber>1</PartNumber>") {
		u.Errorf("parts of %.40q: %s", key, a.body)
	}
	done := u.ok("complete", key, u.do("POST", at+"?uploadId="+id, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+
		part.header.Get("Etag")+"</ETag></Part></CompleteMultipartUpload>"))
	if inXML(key) && (begun.get("Key") != key || done.get("Key") != key) {
		u.Errorf("the upload of %.40q is of %q, then of %q", key, begun.get("Key"), done.get("Key"))
	}
	u.holds("upload", i, key, u.do("GET", at, ""))
}

// inXML reports whether a document of XML 1.0 can have the key, and as it is: a parser
// makes a line feed of a return.
func inXML(key string) bool {
	for _, r := range key {
		if r < ' ' && r != '\t' && r != '\n' || r == '\r' || r == '\ufffe' || r == '\uffff' {
			return false
		}
	}
	return true
}

// keysIn returns the keys of a listing.
func (u *unusual) keysIn(a answer, entry string, encoded bool) (found []string) {
	u.Helper()
	for _, e := range a.document().Children {
		if e.XMLName.Local != entry {
			continue
		}
		for _, c := range e.Children {
			if c.XMLName.Local != "Key" {
				continue
			}
			key := c.Text
			if encoded {
				var err error
				if key, err = url.QueryUnescape(key); err != nil {
					u.Errorf("key %q: %v", c.Text, err)
				}
			}
			found = append(found, key)
		}
	}
	return found
}

// listed looks for exactly these keys, in each listing.
func (u *unusual) listed(what string, want []string) {
	u.Helper()
	for _, l := range []struct{ query, entry, after, next string }{
		{"", "Contents", "marker", "NextMarker"},
		{"list-type=2&", "Contents", "continuation-token", "NextContinuationToken"},
		{"versions&", "Version", "key-marker", "NextKeyMarker"},
	} {
		got, token := map[string]bool{}, ""
		for pages := 0; ; pages++ {
			target := "/unusual?" + l.query + "encoding-type=url&max-keys=7"
			if token != "" {
				target += "&" + l.after + "=" + url.QueryEscape(token)
			}
			a := u.ok(what, l.query, u.do("GET", target, ""))
			page := u.keysIn(a, l.entry, true)
			for _, key := range page {
				if got[key] {
					u.Errorf("%s %s: %.40q is listed twice", what, l.query, key)
				}
				got[key] = true
			}
			if a.get("IsTruncated") != "true" {
				break
			}
			if token = a.get(l.next); l.after == "key-marker" {
				var err error
				if token, err = url.QueryUnescape(token); err != nil {
					u.Errorf("marker %q: %v", a.get(l.next), err)
				}
			}
			if l.query == "" { // without a delimiter the last key is the marker
				token = page[len(page)-1]
			}
			if pages > len(want) {
				u.Fatalf("%s %s does not end", what, l.query)
			}
		}
		for _, key := range want {
			if !got[key] {
				u.Errorf("%s %s: %.40q is not listed", what, l.query, key)
			}
			delete(got, key)
		}
		if len(got) > 0 {
			u.Errorf("%s %s: lists %v", what, l.query, got)
		}
	}
	// Without encoding, those that XML can have come as they are.
	for _, key := range want {
		if !inXML(key) {
			continue
		}
		a := u.ok(what, key, u.do("GET", "/unusual?list-type=2&max-keys=1&prefix="+url.QueryEscape(key), ""))
		if found := u.keysIn(a, "Contents", false); len(found) != 1 || found[0] != key {
			u.Errorf("%s: %.40q is listed as %.40q", what, key, found)
		}
	}
}

// remove deletes half of the keys one by one, and the others together.
func (u *unusual) remove() {
	var doc strings.Builder
	doc.WriteString("<Delete>")
	many := map[string]bool{}
	for i, key := range unusualKeys {
		if i%2 == 0 || !inXML(key) {
			u.ok("delete", key, u.do("DELETE", "/unusual/"+pathOf(key), ""))
			continue
		}
		doc.WriteString("<Object><Key>")
		if err := xml.EscapeText(&doc, []byte(key)); err != nil {
			u.Fatal(err)
		}
		doc.WriteString("</Key></Object>")
		many[key] = true
	}
	doc.WriteString("</Delete>")
	a := u.ok("delete many", "", u.do("POST", "/unusual?delete", doc.String(), md5Header(doc.String())...))
	for _, key := range u.keysIn(a, "Deleted", false) {
		delete(many, key)
	}
	if len(many) > 0 {
		u.Errorf("not told of as deleted: %v", many)
	}
	u.listed("what is left", nil)
}

// TestKeysThatAreNone are refused on every path, and leave nothing.
func TestKeysThatAreNone(t *testing.T) {
	s := start(t)
	s.Bucket("vault", "", "", false)
	s.Put("vault", "source", "x")
	long := strings.Repeat("k", 1025)
	tooLong := refusal{status: 400, code: "KeyTooLongError", text: "Your key is too long", elements: []string{"Size=1025", "MaxSizeAllowed=1024"}}
	of := func(r refusal, name, method, target, body string, headers ...string) refusal {
		r.name, r.request = name, request{method: method, target: target, body: body, headers: headers}
		return r
	}
	refuse(t, s, []refusal{
		of(tooLong, "put", "PUT", "/vault/"+long, "x"),
		of(tooLong, "512 letters and one byte", "PUT", "/vault/"+pathOf(strings.Repeat("é", 512)+"x"), "x"),
		of(tooLong, "get", "GET", "/vault/"+long, ""),
		of(tooLong, "delete", "DELETE", "/vault/"+long, ""),
		of(tooLong, "begin an upload", "POST", "/vault/"+long+"?uploads", ""),
		of(tooLong, "copy", "PUT", "/vault/"+long, "", "X-Amz-Copy-Source", "vault/source"),
		of(tooLong, "tag", "GET", "/vault/"+long+"?tagging", ""),
	})
	for _, bad := range []string{"%ff", "a%c3", "%ed%a0%80", "%c0%af", "%f8%88%80%80%80"} {
		key, err := url.PathUnescape(bad)
		if err != nil || utf8.ValidString(key) {
			t.Fatalf("%q is UTF-8", bad)
		}
		for _, method := range []string{"PUT", "GET", "DELETE"} {
			if a := (request{method: method, target: "/vault/" + bad}).do(s); a.status != http.StatusBadRequest || a.get("Code") != "InvalidURI" {
				t.Errorf("%s %s: %d %s", method, bad, a.status, a.body)
			}
		}
		if a := (request{method: "PUT", target: "/vault/copy", headers: []string{"X-Amz-Copy-Source", "vault/" + bad}}).do(s); a.status != http.StatusBadRequest {
			t.Errorf("copy of %s: %d %s", bad, a.status, a.body)
		}
	}
	if got := keys(s, "vault"); got != "[source]" {
		t.Errorf("the bucket has %s", got)
	}
}
