// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"encoding/xml"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestParseXML(t *testing.T) {
	type doc struct{ A, B string }
	deep := func(n int) string { return strings.Repeat("<x>", n) + strings.Repeat("</x>", n) }
	for name, tc := range map[string]struct {
		text string
		a    string
		bad  bool
	}{
		"plain":                   {text: `<Doc><A>1</A></Doc>`, a: "1"},
		"namespace":               {text: `<Doc xmlns="` + namespace + `"><A>1</A></Doc>`, a: "1"},
		"foreign namespace":       {text: `<n:Doc xmlns:n="urn:other"><n:A>1</n:A></n:Doc>`, a: "1"},
		"declaration":             {text: `<?xml version="1.0" encoding="utf-8"?>` + "\n<Doc><A>1</A></Doc>\n", a: "1"},
		"byte order mark":         {text: "\ufeff<Doc><A>1</A></Doc>", a: "1"},
		"comment":                 {text: `<!-- a --><Doc><A>1</A></Doc><!-- b -->`, a: "1"},
		"escapes":                 {text: `<Doc><A>&lt;&amp;&#x20;&#233;<![CDATA[<]]></A></Doc>`, a: "<& é<"},
		"unknown element":         {text: `<Doc><Z><Y/></Z><A>1</A></Doc>`, a: "1"},
		"nested to the limit":     {text: `<Doc>` + deep(maxDepth-1) + `</Doc>`},
		"nothing":                 {bad: true},
		"white space":             {text: " \n", bad: true},
		"other root":              {text: `<Dog><A>1</A></Dog>`, bad: true},
		"no XML":                  {text: `{"A": 1}`, bad: true},
		"cut short":               {text: `<Doc><A>1</A>`, bad: true},
		"crossed":                 {text: `<Doc><A>1</Doc></A>`, bad: true},
		"text before":             {text: `x<Doc/>`, bad: true},
		"text behind":             {text: `<Doc/>x`, bad: true},
		"two roots":               {text: `<Doc/><Doc/>`, bad: true},
		"document type":           {text: `<!DOCTYPE Doc><Doc/>`, bad: true},
		"entity bomb":             {text: `<!DOCTYPE Doc [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Doc><A>&b;</A></Doc>`, bad: true},
		"external entity":         {text: `<!DOCTYPE Doc [<!ENTITY a SYSTEM "file:///etc/passwd">]><Doc><A>&a;</A></Doc>`, bad: true},
		"entity of nobody":        {text: `<Doc><A>&a;</A></Doc>`, bad: true},
		"HTML entity":             {text: `<Doc><A>&nbsp;</A></Doc>`, bad: true},
		"processing instruction":  {text: `<?php echo 1 ?><Doc/>`, bad: true},
		"instruction inside":      {text: `<Doc><?xml version="1.0"?></Doc>`, bad: true},
		"nested too deeply":       {text: `<Doc>` + deep(maxDepth) + `</Doc>`, bad: true},
		"nested beyond all sense": {text: `<Doc>` + strings.Repeat("<x>", 100_000), bad: true},
		"elements to the limit":   {text: `<Doc>` + strings.Repeat("<x/>", maxElements-1) + `</Doc>`},
		"masses of elements":      {text: `<Doc>` + strings.Repeat("<x/>", maxElements) + `</Doc>`, bad: true},
		"attributes to the limit": {text: `<Doc` + strings.Repeat(` a=""`, maxMarkup/5-1) + `/>`},
		"masses of attributes":    {text: `<Doc` + strings.Repeat(` a=""`, maxMarkup/5+1) + `/>`, bad: true},
		"other encoding":          {text: `<?xml version="1.0" encoding="utf-7"?><Doc/>`, bad: true},
		"invalid character":       {text: "<Doc><A>\x01</A></Doc>", bad: true},
		"no UTF-8":                {text: "<Doc><A>\xff</A></Doc>", bad: true},
	} {
		var d doc
		err := parseXML([]byte(tc.text), "Doc", &d)
		if tc.bad != errors.Is(err, MalformedXML) || !tc.bad && err != nil || d.A != tc.a && !tc.bad {
			t.Errorf("%s: got %q, %v; want %q, refused %t", name, d.A, err, tc.a, tc.bad)
		}
	}
}

func FuzzParseXML(f *testing.F) {
	f.Add([]byte(`<?xml version="1.0"?><ServerSideEncryptionConfiguration><Rule><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var doc encryptionXML
		if err := parseXML(b, "ServerSideEncryptionConfiguration", &doc); err != nil {
			if !errors.Is(err, MalformedXML) {
				t.Errorf("%q: %v", b, err)
			}
			return
		}
		if rules, err := encryptionRules(doc); err == nil && len(rules) != len(doc.Rules) {
			t.Errorf("%q: %d rules of %d", b, len(rules), len(doc.Rules))
		}
	})
}

func TestKeysInListings(t *testing.T) {
	for key, want := range map[string][2]string{ // plain, url
		"a/b-c_d.e*f":  {"a/b-c_d.e*f", "a/b-c_d.e*f"},
		"a b+c":        {"a b+c", "a+b%2Bc"},
		"100%&<>\"'":   {"100%&amp;&lt;&gt;&quot;'", "100%25%26%3C%3E%22%27"},
		"file(3).png~": {"file(3).png~", "file%283%29.png%7E"},
		"€":            {"€", "%E2%82%AC"},
		"a\x00\x1fb":   {"a&#x0;&#x1f;b", "a%00%1Fb"},
		"a\r\n\tb":     {"a&#13;\n\tb", "a%0D%0A%09b"},
		"\ufffe\uffff": {"&#xfffe;&#xffff;", "%EF%BF%BE%EF%BF%BF"},
		"":             {"", ""},
	} {
		var plain, url markup
		plain.key("K", key, "")
		url.key("K", key, "url")
		if got := string(plain.buf); got != "<K>"+want[0]+"</K>" {
			t.Errorf("%q is written %s, want %s", key, got, want[0])
		}
		if got := string(url.buf); got != "<K>"+want[1]+"</K>" {
			t.Errorf("%q is encoded %s, want %s", key, got, want[1])
		}
	}
}

// Whatever a text is, an element of it can be read again.
func FuzzElement(f *testing.F) {
	f.Add("a&b\x00\xff\ufffe")
	f.Fuzz(func(t *testing.T, s string) {
		var m markup
		m.element("E", s)
		var got string
		if err := xml.Unmarshal(m.buf, &got); err != nil {
			t.Errorf("%q is written %q: %v", s, m.buf, err)
		}
	})
}

func TestTimestamp(t *testing.T) {
	at := time.Date(2026, 3, 4, 6, 12, 1, 987e6, time.FixedZone("", 3600))
	if got, want := timestamp(at), "2026-03-04T05:12:01.000Z"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var m markup
	m.time("T", at)
	if got, want := string(m.buf), "<T>2026-03-04T05:12:01.000Z</T>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Clients from before S3's model said of most documents that they need a digest send one with
// these alone.
func TestDocumentsThatNeedDigests(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/photos", "").want(200)
	s.do("PUT", "/photos/cat", "meow").want(200)
	for target, needed := range map[string]bool{
		"/photos?cors": true, "/photos?lifecycle": true, "/photos?tagging": true, "/photos?replication": true, "/photos?object-lock": true,
		"/photos/cat?retention": true, "/photos/cat?legal-hold": true, "/photos/cat?encryption": true, "/photos?ownershipControls": true,
		"/photos?acl": false, "/photos?versioning": false, "/photos?website": false, "/photos?requestPayment": false, "/photos?encryption": false,
		"/photos?publicAccessBlock": false, "/photos?policy": false, "/photos?logging": false, "/photos?notification": false, "/photos/cat?tagging": false,
	} {
		got := s.do("PUT", target, "<none/>", "no digest")
		if demanded := strings.Contains(got.body, "Content-MD5 OR x-amz-checksum-*"); demanded != needed {
			t.Errorf("%s: %d %s", target, got.status, got.body)
		}
	}
	if got := s.do("POST", "/photos?delete", "<Delete/>", "no digest"); !strings.Contains(got.body, "Content-MD5 OR") {
		t.Errorf("a list of objects to delete: %d %s", got.status, got.body)
	}
}

// Documents with digests, at PutBucketVersioning, which demands none.
func TestDocumentDigests(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/photos", "").want(200)
	const doc = `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`
	put := func(headers ...string) *answer { return s.do("PUT", "/photos?versioning", doc, headers...) }
	put().want(200)
	put("x-amz-checksum-crc32: " + crc32Text(doc)).want(200)
	put("Content-MD5: "+md5Text(doc), "x-amz-checksum-crc32: "+crc32Text(doc)).want(200)
	put("no digest").want(200)
	put("no digest", "x-amz-sdk-checksum-algorithm: CRC32").wantCode(400, "InvalidRequest", "x-amz-sdk-checksum-algorithm specified")
	put("Content-MD5: "+md5Text("other")).
		wantCode(400, "BadDigest", "<ExpectedDigest>"+md5Text("other"), "<CalculatedDigest>"+md5Text(doc))
	put("Content-MD5: nonsense").wantCode(400, "InvalidDigest", "<Content-MD5>nonsense</Content-MD5>")
	put("x-amz-checksum-crc32: "+crc32Text("other")).wantCode(400, "BadDigest", "The CRC32 you specified did not match")
	put("x-amz-checksum-crc32: AAAA").wantCode(400, "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid.")
	put("x-amz-checksum-crc32: "+crc32Text(doc), "x-amz-checksum-sha1: AAAA").wantCode(400, "InvalidRequest", "Expecting a single")
	s.do("PUT", "/photos?versioning", strings.Repeat(" ", 1<<20)+doc).wantCode(400, "MaxMessageLengthExceeded")
	s.do("PUT", "/photos?versioning", "<VersioningConfiguration>").wantCode(400, "MalformedXML")
	if got := s.do("GET", "/photos?versioning", ""); got.header.Get("Content-Type") != "application/xml" || got.status != http.StatusOK {
		t.Errorf("GET versioning: %d %v", got.status, got.header)
	}
}
