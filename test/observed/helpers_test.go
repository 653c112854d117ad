// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/cofferstore/coffer/internal/fips"
)

// upload is a multipart upload under way. target is its path and query.
type upload struct {
	r      *row
	target string
	id     string
	parts  []string // ETags
}

// begin begins an upload.
func (r *row) begin(path string, headers ...string) *upload {
	r.Helper()
	a := r.ok(200, r.do("POST", path+"?uploads", "", headers...))
	id := a.xml("UploadId")
	return &upload{r: r, target: path + "?uploadId=" + id, id: id}
}

// part uploads a part, in order.
func (u *upload) part(number int, body string, headers ...string) answer {
	u.r.Helper()
	a := u.r.ok(200, u.r.do("PUT", fmt.Sprintf("%s&partNumber=%d", u.target, number), body, append([]string{"Content-MD5", absent}, headers...)...))
	u.parts = append(u.parts, a.etag())
	return a
}

// document lists the parts, as a completion does.
func (u *upload) document() string {
	var b strings.Builder
	for i, etag := range u.parts {
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag></Part>", i+1, etag)
	}
	return completion(b.String())
}

func completion(parts string) string {
	return "<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>"
}

func (u *upload) complete(status int, headers ...string) answer {
	u.r.Helper()
	return u.r.ok(status, u.r.do("POST", u.target, u.document(), headers...))
}

func (u *upload) wantETag() string { return etagOfParts(u.parts) }

// etagOfParts returns the ETag of an object of parts with these ETags.
func etagOfParts(etags []string) string {
	var all []byte
	for _, e := range etags {
		b, _ := hex.DecodeString(e)
		all = append(all, b...)
	}
	sum := fips.MD5(all)
	return fmt.Sprintf("%x-%d", sum, len(etags))
}

// customer is a customer's key, made of a letter.
type customer string

const customerHeader = sseHeader + "-customer-"

func (c customer) key() string { return strings.Repeat(string(c), 32) }

// headers are the three headers of SSE-C.
func (c customer) headers() []string { return c.named(customerHeader) }

// source are those of a copy's source.
func (c customer) source() []string {
	return c.named("x-amz-copy-source-server-side-encryption-customer-")
}

func (c customer) named(prefix string) []string {
	return []string{
		prefix + "algorithm", "AES256",
		prefix + "key", base64.StdEncoding.EncodeToString([]byte(c.key())),
		prefix + "key-md5", md5Of(c.key()),
	}
}

// takesSSEC makes a bucket that does not block SSE-C.
func (r *row) takesSSEC() string {
	r.Helper()
	b := r.bucket()
	r.ok(200, r.do("PUT", "/"+b+"?encryption", encryption(rule("AES256", "", "<BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes>"))))
	return b
}

func describe(key string) *kms.DescribeKeyInput { return &kms.DescribeKeyInput{KeyId: &key} }

// allow is a policy that allows an action on a resource.
func allow(action, resource string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"` + resource + `"}]}`
}

// user makes a user with policies, and returns what sends and signs requests as that user.
func (r *row) user(name string, policies ...string) func(method, target, body string, headers ...string) answer {
	r.Helper()
	id := r.s.Root().NewUser(strings.ReplaceAll(r.number, ".", "-")+"-"+name, policies...)
	return func(method, target, body string, headers ...string) answer {
		r.Helper()
		return r.send(r.signed(id.Keys, method, target, body, headers...))
	}
}
