// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func corsDocument(rules ...string) string {
	return `<CORSConfiguration><CORSRule>` + strings.Join(rules, `</CORSRule><CORSRule>`) + `</CORSRule></CORSConfiguration>`
}

const anyGet = `<AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>`

func TestBucketCors(t *testing.T) {
	s := photos(t)
	s.do("GET", "/photos?cors", "").wantCode(404, "NoSuchCORSConfiguration", "The CORS configuration does not exist", "<BucketName>photos</BucketName>")
	s.do("DELETE", "/photos?cors", "").want(204)
	document := corsDocument(
		`<ID>one</ID><AllowedHeader>x-amz-*</AllowedHeader><AllowedHeader>x-AMZ-b</AllowedHeader><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>`+
			`<AllowedOrigin>https://*.example.com</AllowedOrigin><AllowedOrigin></AllowedOrigin><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>-100</MaxAgeSeconds>`,
		anyGet)
	s.do("PUT", "/photos?cors", document).want(200)
	s.do("GET", "/photos?cors", "").wantDocument(200, document)
	p := fmt.Sprint(s.trail.last(t, "PutBucketCors").RequestParameters["CORSConfiguration"])
	if !strings.Contains(p, "https://*.example.com") || !strings.Contains(p, "ETag") {
		t.Errorf("audit record: %s", p)
	}
	s.do("PUT", "/photos?cors", document, "by another account").wantCode(403, "AccessDenied")
	s.do("PUT", "/photos?cors", document, "no digest").wantCode(400, "InvalidRequest", "Content-MD5")
	s.do("PUT", "/nowhere?cors", document).wantCode(404, "NoSuchBucket")
	s.do("DELETE", "/photos?cors", "").want(204)
	s.do("GET", "/photos?cors", "").wantCode(404, "NoSuchCORSConfiguration")
}

func TestInvalidCors(t *testing.T) {
	s := photos(t)
	get, all := `<AllowedMethod>GET</AllowedMethod>`, `<AllowedOrigin>*</AllowedOrigin>`
	for _, c := range []struct{ rule, code, text string }{
		{all, "MalformedXML", malformedText},
		{get, "MalformedXML", malformedText},
		{anyGet + `<Colour>red</Colour>`, "MalformedXML", malformedText},
		{anyGet + `<MaxAgeSeconds>long</MaxAgeSeconds>`, "MalformedXML", malformedText},
		{anyGet + `<MaxAgeSeconds>2147483648</MaxAgeSeconds>`, "MalformedXML", malformedText},
		{anyGet + `<MaxAgeSeconds>1</MaxAgeSeconds><MaxAgeSeconds>1</MaxAgeSeconds>`, "MalformedXML", malformedText},
		{anyGet + `<ID>` + strings.Repeat("a", 256) + `</ID>`, "MalformedXML", malformedText},
		{all + `<AllowedMethod>MYMETHOD</AllowedMethod>`, "InvalidRequest", "Found unsupported HTTP method in CORS config. Unsupported method is MYMETHOD"},
		{all + `<AllowedMethod>get</AllowedMethod>`, "InvalidRequest", "Unsupported method is get"},
		{all + `<AllowedMethod></AllowedMethod>`, "InvalidRequest", "Unsupported method is <"},
		{get + `<AllowedOrigin>*example*.com</AllowedOrigin>`, "InvalidRequest", `AllowedOrigin &quot;*example*.com&quot; can not have more than one wildcard.`},
		{anyGet + `<AllowedHeader>*-amz-*</AllowedHeader>`, "InvalidRequest", `AllowedHeader &quot;*-amz-*&quot; can not have more than one wildcard.`},
		{anyGet + `<AllowedHeader>a b</AllowedHeader>`, "InvalidRequest", `AllowedHeader &quot;a b&quot; contains invalid character.`},
		{anyGet + `<ExposeHeader>a:b</ExposeHeader>`, "InvalidRequest", `AllowedHeader &quot;a:b&quot; contains invalid character.`},
		{anyGet + `<ExposeHeader>x-*</ExposeHeader>`, "InvalidRequest", `ExposeHeader &quot;x-*&quot; contains wildcard. We currently do not support wildcard for ExposeHeader.`},
	} {
		s.do("PUT", "/photos?cors", corsDocument(c.rule)).wantCode(400, c.code, c.text)
	}
	s.do("PUT", "/photos?cors", `<CORSConfiguration/>`).wantCode(400, "MalformedXML")
	s.do("PUT", "/photos?cors", `<CORSConfiguration><Rule/></CORSConfiguration>`).wantCode(400, "MalformedXML")
	s.do("PUT", "/photos?cors", corsDocument(strings.Split(strings.Repeat(anyGet+",", 100)+anyGet, ",")...)).
		wantCode(400, "InvalidRequest", "The number of CORS rules should not exceed allowed limit of 100 rules.")
	s.do("PUT", "/photos?cors", corsDocument(anyGet+strings.Repeat(" ", 64<<10))).
		wantCode(400, "MaxMessageLengthExceeded", "<MaxMessageLengthBytes>65536</MaxMessageLengthBytes>")
	s.do("GET", "/photos?cors", "").wantCode(404, "NoSuchCORSConfiguration")
}

// FuzzCors: what is read of a document is what is written of it.
func FuzzCors(f *testing.F) {
	f.Add(corsDocument(anyGet, `<ID/><AllowedHeader>x-amz-*</AllowedHeader><MaxAgeSeconds>-1</MaxAgeSeconds>`+anyGet))
	f.Add(corsDocument(`<AllowedMethod>GET</AllowedMethod><AllowedOrigin></AllowedOrigin><ExposeHeader>&lt;</ExposeHeader>`))
	f.Fuzz(func(t *testing.T, document string) {
		first, err := parseCors([]byte(document))
		if err != nil {
			if kind, _ := faultOf(err); kind != MalformedXML {
				t.Errorf("%q: %v", document, err)
			}
			return
		}
		written := writeCors(&first)
		again, err := parseCors(written)
		if err != nil || !reflect.DeepEqual(first, again) {
			t.Errorf("%q is read as %+v, written as %s and read as %+v, %v", document, first, written, again, err)
		}
	})
}
