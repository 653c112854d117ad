// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

const (
	testBoundary = "9431149156168"
	helloETag    = "5d41402abc4b2a76b9719d911017c592"
)

// upload is a browser's form as a test sends it. Its zero value, signed, has a
// policy that covers what is in it.
type upload struct {
	fields     []string // "name=value", in their order
	key        string   // "" is cat.jpg, "-" is none
	file       string
	fileName   string // "-" is none, not even an empty one
	conditions []any  // in place of one for each field
	policy     string // in place of the whole policy
	after      []string
	headers    []string
	target     string // "" is /photos
	edit       func(auth map[string]string)
	anonymous  bool
}

// authFields are fields that sign a policy, in the order in which they are sent.
var authFields = []string{"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token", "policy", "x-amz-signature"}

// post sends a form.
func (s *station) post(u upload) *answer {
	s.t.Helper()
	return s.serve(s.formRequest(u))
}

func (s *station) formRequest(u upload) *http.Request {
	s.t.Helper()
	if u.target == "" {
		u.target = "/photos"
	}
	fields := u.fields
	if u.key == "" {
		u.key = "cat.jpg"
	}
	if u.key != "-" {
		fields = append([]string{"key=" + u.key}, fields...)
	}
	if !u.anonymous {
		auth := s.signPolicy(u, fields)
		for _, name := range authFields {
			if v, ok := auth[name]; ok {
				fields = append(fields, name+"="+v)
			}
		}
	}
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(formPart(f))
	}
	b.WriteString("--" + testBoundary + "\r\nContent-Disposition: form-data; name=\"file\"")
	if u.fileName != "-" {
		b.WriteString(`; filename="` + u.fileName + `"`)
	}
	b.WriteString("\r\nContent-Type: text/x-browsers-guess\r\n\r\n" + u.file + "\r\n")
	for _, f := range u.after {
		b.WriteString(formPart(f))
	}
	b.WriteString("--" + testBoundary + "--\r\n")
	return s.rawForm(u.target, b.String(), u.headers...)
}

func formPart(field string) string {
	name, v, _ := strings.Cut(field, "=")
	return "--" + testBoundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + v + "\r\n"
}

// rawForm is a request with that body, which is called a form unless the headers
// say something else.
func (s *station) rawForm(target, body string, headers ...string) *http.Request {
	r := httptest.NewRequest("POST", target, strings.NewReader(body))
	r.Host, r.RemoteAddr = testDomain, "127.0.0.1:40000"
	r.Header.Set("Content-Type", "multipart/form-data; boundary="+testBoundary)
	for _, h := range headers {
		name, v, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = v
			continue
		}
		r.Header.Set(name, v)
	}
	return r
}

// signPolicy returns the fields that authenticate a form.
func (s *station) signPolicy(u upload, fields []string) map[string]string {
	s.t.Helper()
	now := time.Now().UTC()
	day := now.Format("20060102")
	auth := map[string]string{
		"x-amz-algorithm":  "AWS4-HMAC-SHA256",
		"x-amz-credential": testAccess + "/" + day + "/" + s.region + "/s3/aws4_request",
		"x-amz-date":       now.Format("20060102T150405Z"),
	}
	conditions := u.conditions
	if conditions == nil {
		for _, f := range fields {
			name, v, _ := strings.Cut(f, "=")
			v = strings.ReplaceAll(v, "${filename}", u.fileName)
			conditions = append(conditions, map[string]string{name: v})
		}
	}
	conditions = append([]any{map[string]string{"bucket": "photos"}}, conditions...)
	for name, v := range auth {
		conditions = append(conditions, map[string]string{name: v})
	}
	if u.policy == "" {
		b, err := json.Marshal(map[string]any{"expiration": now.Add(time.Hour).Format(time.RFC3339), "conditions": conditions})
		if err != nil {
			s.t.Fatal(err)
		}
		u.policy = string(b)
	}
	auth["policy"] = base64Text([]byte(u.policy))
	key := []byte("AWS4" + testSecret)
	for _, part := range []string{day, s.region, "s3", "aws4_request", auth["policy"]} {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	auth["x-amz-signature"] = hex.EncodeToString(key)
	if u.edit != nil {
		u.edit(auth)
	}
	return auth
}

func TestAFormMakesAnObject(t *testing.T) {
	s := photos(t)
	s.post(upload{
		key: "holidays/${filename}", file: hello, fileName: `C:\Pictures\cat 1.jpg`,
		fields: []string{
			"Content-Type=image/jpeg", "Cache-Control=max-age=60", "Content-Disposition=attachment", "Expires=tomorrow",
			"X-Amz-Meta-Owner=alice", "x-amz-meta-file=was ${filename}", "x-amz-storage-class=STANDARD_IA", "acl=bucket-owner-full-control",
			"x-amz-website-redirect-location=/dog", "x-ignore-submit=Upload",
			"tagging=<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>",
		},
		conditions: []any{
			[]string{"starts-with", "$key", "holidays/cat"}, []string{"starts-with", "$Content-Type", "image/"},
			[]string{"eq", "$cache-control", "max-age=60"}, []string{"StArTs-WiTh", "$content-DISPOSITION", ""}, map[string]string{"expires": "tomorrow"},
			[]string{"starts-with", "$x-amz-meta-owner", "al"}, []string{"eq", "$x-amz-meta-FILE", "was cat 1.jpg"},
			map[string]string{"x-amz-storage-class": "STANDARD_IA"}, map[string]string{"acl": "bucket-owner-full-control"},
			[]string{"starts-with", "$x-amz-website-redirect-location", "/"}, []string{"starts-with", "$tagging", ""},
			[]any{"content-length-range", 1, 10},
		},
		after: []string{"key=other", "acl=public-read", "uncovered=field"},
		// A browser's own headers are not the object's.
		headers: []string{"Cache-Control: no-store", "x-amz-meta-uncovered: by the policy"},
	}).want(204).wantHeader("ETag", `"`+helloETag+`"`).wantHeader("Location", "http://s3.example.com/photos/holidays%2Fcat%201.jpg").
		wantHeader("x-amz-checksum-type", "FULL_OBJECT").wantHeader(sse.AlgorithmHeader, "AES256").wantHeader("Content-Type", "")
	s.do("GET", "/photos/holidays/cat%201.jpg", "").want(200, hello).
		wantHeader("Content-Type", "image/jpeg").wantHeader("Cache-Control", "max-age=60").wantHeader("Content-Disposition", "attachment").
		wantHeader("Expires", "tomorrow").wantHeader("x-amz-meta-owner", "alice").wantHeader("x-amz-meta-file", "was cat 1.jpg").
		wantHeader("x-amz-meta-uncovered", "").wantHeader("x-amz-storage-class", "STANDARD_IA").wantHeader("x-amz-tagging-count", "1").
		wantHeader("x-amz-website-redirect-location", "/dog")
	s.do("GET", "/photos/holidays/cat%201.jpg?tagging", "").want(200, "<Key>a</Key><Value>1</Value>")

	r := s.trail.last(t, "PutObject")
	if r.AdditionalEventData["AuthenticationMethod"] != "HtmlForm" || r.AdditionalEventData["SSEApplied"] != "Default_SSE_S3" {
		t.Errorf("additionalEventData: %v", r.AdditionalEventData)
	}
	if r.RequestParameters["key"] != "holidays/cat 1.jpg" || r.RequestParameters["bucketName"] != "photos" ||
		r.RequestParameters["x-amz-storage-class"] != "STANDARD_IA" || r.RequestParameters["x-amz-signature"] != nil {
		t.Errorf("requestParameters: %v", r.RequestParameters)
	}
	if len(r.Resources) != 2 || r.Resources[0].ARN != "arn:aws:s3:::photos/holidays/cat 1.jpg" {
		t.Errorf("resources: %v", r.Resources)
	}
}

func TestHowAFormIsAnswered(t *testing.T) {
	s := photos(t)
	const here = "http://s3.example.com/photos/a%2Fb%20c%26.jpg"
	for _, tc := range []struct {
		fields   []string
		status   int
		location string
		body     string
	}{
		{nil, 204, here, ""},
		{[]string{"success_action_status=200"}, 200, here, ""},
		{[]string{"success_action_status=204"}, 204, here, ""},
		{[]string{"success_action_status=404"}, 204, here, ""},
		{
			[]string{"success_action_status=201"}, 201, here,
			xmlHeader + "<PostResponse><Location>" + here + "</Location><Bucket>photos</Bucket><Key>a/b c&amp;.jpg</Key><ETag>&quot;" + helloETag + "&quot;</ETag></PostResponse>",
		},
		{
			[]string{"success_action_redirect=https://example.com/done#top", "success_action_status=201"}, 303,
			"https://example.com/done?bucket=photos&key=a%2Fb+c%26.jpg&etag=%22" + helloETag + "%22#top", "",
		},
		{
			[]string{"redirect=http://example.com/?a=b"}, 303,
			"http://example.com/?a=b&bucket=photos&key=a%2Fb+c%26.jpg&etag=%22" + helloETag + "%22", "",
		},
		{[]string{"success_action_redirect=/relative"}, 204, here, ""},
		{[]string{"success_action_redirect=javascript://example.com/", "success_action_status=200"}, 200, here, ""},
		{[]string{"success_action_redirect=http://example.com/\r\nX: y"}, 204, here, ""},
	} {
		a := s.post(upload{key: "a/b c&.jpg", file: hello, fields: tc.fields}).want(tc.status).
			wantHeader("Location", tc.location).wantHeader("ETag", `"`+helloETag+`"`)
		if a.body != tc.body {
			t.Errorf("%v: body %q, want %q", tc.fields, a.body, tc.body)
		}
	}
	s.post(upload{target: "/", headers: []string{"Host: photos." + testDomain}, file: hello}).want(204).
		wantHeader("Location", "http://photos.s3.example.com/cat.jpg")
	s.do("PUT", "/photos?versioning", `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`).want(200)
	if v := s.post(upload{file: hello}).want(204).spelt("x-amz-version-id"); len(v) != 32 {
		t.Errorf("the version id is %q", v)
	}
}

func TestNamesOfFilesInForms(t *testing.T) {
	s := photos(t)
	for _, tc := range []struct{ fileName, key string }{
		{"cat.jpg", "in/cat.jpg"},
		{"/home/alice/cat.jpg", "in/cat.jpg"},
		{"", "in/"},
		{"-", "in/${filename}"}, // none at all
		{"größe.jpg", "in/größe.jpg"},
	} {
		u := upload{key: "in/${filename}", fileName: tc.fileName, file: hello, fields: []string{"success_action_status=201"}}
		u.conditions = []any{[]string{"eq", "$key", tc.key}, map[string]string{"success_action_status": "201"}}
		s.post(u).want(201, "<Key>"+tc.key+"</Key>")
	}
}

func TestFormsThatAreNone(t *testing.T) {
	s := photos(t)
	end := "--" + testBoundary + "--\r\n"
	file := formPart("file=x")
	key := formPart("key=cat.jpg")
	for name, tc := range map[string]struct {
		body, contentType string
		status            int
		code              string
		pieces            []string
	}{
		"another type":   {key + file + end, "application/x-www-form-urlencoded", 412, "PreconditionFailed", []string{"<Condition>Bucket POST must be of the enclosure-type multipart/form-data</Condition>", "At least one of the pre-conditions"}},
		"another part":   {key + file + end, "multipart/mixed; boundary=" + testBoundary, 412, "PreconditionFailed", nil},
		"no type":        {key + file + end, " ", 412, "PreconditionFailed", nil},
		"no boundary":    {key + file + end, "multipart/form-data", 400, "MalformedPOSTRequest", nil},
		"long boundary":  {key + file + end, "multipart/form-data; boundary=" + strings.Repeat("b", 71), 400, "MalformedPOSTRequest", nil},
		"nothing":        {"", "", 400, "MalformedPOSTRequest", nil},
		"no parts":       {"key=cat.jpg&file=x", "", 400, "MalformedPOSTRequest", nil},
		"a broken part":  {"--" + testBoundary + "\r\nContent-Disposition: form-data; name=\"ke", "", 400, "InvalidArgument", []string{"POST requires exactly one file"}},
		"a broken field": {formPart("key=cat")[:len(formPart("key=cat"))-3], "", 400, "MalformedPOSTRequest", nil},
		"no name":        {strings.Replace(key, `; name="key"`, "", 1) + file + end, "", 400, "MalformedPOSTRequest", nil},
		"an attachment":  {strings.Replace(key, "form-data", "attachment", 1) + file + end, "", 400, "MalformedPOSTRequest", nil},
		"no text":        {formPart("key=\xff") + file + end, "", 400, "MalformedPOSTRequest", nil},
		"no file":        {key + end, "", 400, "InvalidArgument", []string{"POST requires exactly one file upload per request.", "<ArgumentName>file</ArgumentName><ArgumentValue>0</ArgumentValue>"}},
		"large fields":   {key + formPart("x-ignore-a="+strings.Repeat("a", maxFields)) + file + end, "", 400, "MaxPostPreDataLengthExceeded", []string{"<MaxPostPreDataLengthBytes>20480</MaxPostPreDataLengthBytes>"}},
		"larger fields":  {key + formPart("x-ignore-a="+strings.Repeat("a", 3*maxFields)) + file + end, "", 400, "MaxPostPreDataLengthExceeded", nil},
		"large headers":  {"--" + testBoundary + "\r\nX: " + strings.Repeat("a", 3*maxFields) + "\r\n" + key + file + end, "", 400, "MaxPostPreDataLengthExceeded", nil},
		"a file renamed": {key + strings.Replace(formPart("file="+strings.Repeat("x", 3*maxFields)), `"file"`, `"photo"`, 1) + end, "", 400, "MaxPostPreDataLengthExceeded", nil},
		"many fields":    {key + manyFields(maxFieldCount) + file + end, "", 400, "MaxPostPreDataLengthExceeded", nil},
		"long variables": {formPart("key="+strings.Repeat("${filename}", 100)) + strings.Replace(file, `"file"`, `"file"; filename="`+strings.Repeat("f", 1000)+`"`, 1) + end, "", 400, "MaxPostPreDataLengthExceeded", nil},
		"no key":         {file + end, "", 400, "InvalidArgument", []string{"Bucket POST must contain a field named 'key'.", "<ArgumentName>key</ArgumentName><ArgumentValue></ArgumentValue>"}},
		"a late key":     {file + key + end, "", 400, "InvalidArgument", nil},
		"an empty key":   {formPart("key=") + file + end, "", 400, "InvalidArgument", []string{"User key must have a length greater than 0."}},
		"nobody's":       {key + file + end, "", 403, "AccessDenied", []string{"<Message>Access Denied</Message>"}},
	} {
		t.Run(name, func(t *testing.T) {
			var headers []string
			if tc.contentType != "" {
				headers = []string{"Content-Type: " + tc.contentType}
			}
			a := s.serve(s.rawForm("/photos", tc.body, headers...))
			a.t = t
			a.wantCode(tc.status, tc.code, tc.pieces...)
		})
	}
	s.do("GET", "/photos", "").want(200)
	if a := s.do("GET", "/photos?list-type=2", ""); !strings.Contains(a.body, "<KeyCount>0</KeyCount>") {
		t.Errorf("something was stored: %s", a.body)
	}
}

// manyFields is n fields, as short as they can be.
func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=%x\r\n\r\n\r\n", testBoundary, i)
	}
	return b.String()
}

// The file is not whole without the boundary behind it.
func TestAFormThatBreaksOffStoresNothing(t *testing.T) {
	s := photos(t)
	r := s.formRequest(upload{file: strings.Repeat("x", 100_000)})
	whole, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{len(testBoundary) + 8, len(testBoundary) + 7, 50_000} {
		s.serve(s.rawForm("/photos", string(whole[:len(whole)-cut]))).wantCode(400, "MalformedPOSTRequest")
	}
	s.do("GET", "/photos/cat.jpg", "").wantCode(404, "NoSuchKey")
	s.serve(s.rawForm("/photos", string(whole))).want(204)
}

func TestWhoSendsAForm(t *testing.T) {
	s := photos(t)
	without := func(names ...string) func(map[string]string) {
		return func(auth map[string]string) {
			for _, n := range names {
				delete(auth, n)
			}
		}
	}
	missing := func(name string) []string {
		return []string{"Bucket POST must contain a field named '" + name + "'.  If it is specified, please check the order of the fields.", "<ArgumentName>" + name + "</ArgumentName><ArgumentValue></ArgumentValue>"}
	}
	for name, tc := range map[string]struct {
		edit   func(map[string]string)
		status int
		code   string
		pieces []string
	}{
		"no signature":   {without("x-amz-signature"), 400, "InvalidArgument", missing("X-Amz-Signature")},
		"no algorithm":   {without("x-amz-algorithm", "x-amz-credential"), 400, "InvalidArgument", missing("X-Amz-Algorithm")},
		"no credential":  {without("x-amz-credential"), 400, "InvalidArgument", missing("X-Amz-Credential")},
		"no date":        {without("x-amz-date"), 400, "InvalidArgument", missing("X-Amz-Date")},
		"no policy":      {without("policy"), 400, "InvalidArgument", missing("policy")},
		"a policy alone": {without("x-amz-signature", "x-amz-algorithm", "x-amz-credential", "x-amz-date"), 403, "AccessDenied", []string{"<Message>Access Denied</Message>"}},
		"a cut policy":   {func(auth map[string]string) { auth["policy"] = auth["policy"][:20] }, 403, "SignatureDoesNotMatch", []string{"<StringToSign>", "<SignatureProvided>"}},
		"another's key":  {func(auth map[string]string) { auth["x-amz-credential"] = "AKIA" + auth["x-amz-credential"] }, 403, "InvalidAccessKeyId", nil},
		"another region": {func(auth map[string]string) {
			auth["x-amz-credential"] = strings.Replace(auth["x-amz-credential"], "us-east-1", "eu-west-1", 1)
		}, 400, "InvalidArgument", []string{"the region 'eu-west-1' is wrong; expecting 'us-east-1'", "<Region>us-east-1</Region>"}},
		"a field not in the policy": {func(auth map[string]string) { auth["x-amz-security-token"] = "T" }, 403, "AccessDenied", []string{"Extra input fields: x-amz-security-token"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.post(upload{file: hello, edit: tc.edit})
			a.t = t
			a.wantCode(tc.status, tc.code, tc.pieces...)
		})
	}
	s.post(upload{anonymous: true, file: hello, fields: []string{"AWSAccessKeyId=AKIA", "signature=S", "policy=e30="}}).wantCode(400, "InvalidRequest", "AWS4-HMAC-SHA256")
	s.do("GET", "/photos/cat.jpg", "").wantCode(404, "NoSuchKey")
}

func TestHeadersOfAFormsRequest(t *testing.T) {
	s := photos(t)
	const algorithm = "x-amz-server-side-encryption"
	conflict := "Conflicting values provided in HTTP headers and POST form fields."
	s.post(upload{file: hello, fields: []string{algorithm + "=AES256"}, headers: []string{algorithm + ": AES256"}}).want(204)
	s.post(upload{file: hello, fields: []string{algorithm + "=AES256"}, headers: []string{algorithm + ": aws:kms"}}).wantCode(400, "InvalidRequest", conflict)
	s.post(upload{file: hello, headers: []string{algorithm + ": aws:kms"}}).wantCode(400, "InvalidRequest", conflict)
	s.post(upload{file: hello, headers: []string{algorithm + ": "}}).wantCode(400, "InvalidRequest", conflict)
	s.post(upload{file: hello, headers: []string{algorithm + "-bucket-key-enabled: true"}}).wantCode(400, "InvalidRequest", conflict)
	s.post(upload{file: hello, headers: []string{"x-amz-expected-bucket-owner: 111122223333"}}).wantCode(403, "AccessDenied")
	s.post(upload{file: hello, headers: []string{"x-amz-expected-bucket-owner: 111122223333"}, fields: []string{"x-amz-expected-bucket-owner=" + testAccount}}).
		wantCode(400, "InvalidRequest", conflict)
	s.post(upload{file: hello, headers: []string{"If-None-Match: *"}}).wantCode(412, "PreconditionFailed")
	s.post(upload{file: hello, fields: []string{"If-None-Match=*"}}).wantCode(412, "PreconditionFailed")
	s.post(upload{file: hello, headers: []string{"Authorization: AWS4-HMAC-SHA256 nonsense"}}).want(204)
}

func TestEncryptionOfForms(t *testing.T) {
	s := photos(t)
	const algorithm = "x-amz-server-side-encryption"
	s.post(upload{file: hello, fields: []string{algorithm + "=rot13"}}).wantCode(400, "InvalidArgument", "<ArgumentValue>rot13</ArgumentValue>")
	s.post(upload{file: hello, fields: []string{algorithm + "-aws-kms-key-id=k"}}).wantCode(400, "InvalidArgument", "requires HTTP header x-amz-server-side-encryption : aws:kms")
	s.post(upload{file: hello, fields: []string{algorithm + "=AES256"}, conditions: []any{map[string]string{"key": "cat.jpg"}}}).
		wantCode(403, "AccessDenied", "Invalid according to Policy: Extra input fields: x-amz-server-side-encryption")

	// The signer may leave the choice of the key open.
	kms := s.post(upload{
		file: hello, fields: []string{algorithm + "=aws:kms", algorithm + "-bucket-key-enabled=true", algorithm + "-context=eyJhIjoiYiJ9"},
		conditions: []any{map[string]string{"key": "cat.jpg"}, []string{"starts-with", "$" + algorithm, "aws:"}, []string{"starts-with", "$" + algorithm + "-bucket-key-enabled", ""}, []string{"starts-with", "$" + algorithm + "-context", ""}},
	}).want(204).wantHeader(sse.AlgorithmHeader, "aws:kms").wantHeader(sse.BucketKeyHeader, "true").wantHeader(sse.ContextHeader, "")
	if arn := kms.spelt(sse.KeyIDHeader); !strings.HasPrefix(arn, "arn:aws:kms:us-east-1:"+testAccount+":key/") {
		t.Errorf("the key is %q", arn)
	}
	if etag := kms.spelt("ETag"); etag == `"`+helloETag+`"` {
		t.Error("the ETag of an object under KMS is the MD5 of its data")
	}
	s.do("GET", "/photos/cat.jpg", "").want(200, hello).wantHeader(sse.AlgorithmHeader, "aws:kms")
	r := s.trail.last(t, "PutObject")
	if r.AdditionalEventData["SSEApplied"] != "SSE_KMS" || r.ResponseElements[sse.BucketKeyHeader] != "true" {
		t.Errorf("%v %v", r.AdditionalEventData, r.ResponseElements)
	}

	key := strings.Repeat("k", 32)
	trio := []string{algorithm + "-customer-algorithm=AES256", algorithm + "-customer-key=" + base64Text([]byte(key)), algorithm + "-customer-key-MD5=" + md5Text(key)}
	s.post(upload{file: hello, fields: trio}).wantCode(403, "AccessDenied", "has blocked upload requests that specify Server Side Encryption with Customer provided keys")
	s.do("PUT", "/photos?encryption", `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>`).want(200)
	s.post(upload{file: hello, fields: trio}).want(204).wantHeader(sse.AlgorithmHeader, "").
		wantHeader("x-amz-server-side-encryption-customer-algorithm", "AES256").wantHeader("x-amz-server-side-encryption-customer-key-md5", md5Text(key))
	for name, v := range s.trail.last(t, "PutObject").RequestParameters {
		if strings.Contains(fmt.Sprint(v), base64Text([]byte(key))) {
			t.Errorf("the audit record has the customer's key in %s", name)
		}
	}
	s.do("GET", "/photos/cat.jpg", "").wantCode(400, "InvalidRequest")
}

func TestFormsThatAreRefused(t *testing.T) {
	s := photos(t)
	for name, tc := range map[string]struct {
		u      upload
		status int
		code   string
		pieces []string
	}{
		"a public ACL":        {upload{fields: []string{"acl=public-read"}}, 400, "AccessControlListNotSupported", nil},
		"two ACLs":            {upload{fields: []string{"acl=public-read", "x-amz-acl=private"}}, 400, "InvalidArgument", nil},
		"grants":              {upload{fields: []string{"x-amz-grant-read=id=1"}}, 400, "AccessControlListNotSupported", nil},
		"no tags":             {upload{fields: []string{"tagging=not-xml"}}, 400, "MalformedXML", nil},
		"tags twice":          {upload{fields: []string{"tagging=<Tagging><TagSet/></Tagging>", "x-amz-tagging=a=1"}}, 400, "InvalidRequest", nil},
		"a bad tag":           {upload{fields: []string{"tagging=<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>"}}, 400, "MalformedXML", nil},
		"a storage class":     {upload{fields: []string{"x-amz-storage-class=FLOPPY"}}, 400, "InvalidStorageClass", []string{"<StorageClassRequested>FLOPPY</StorageClassRequested>"}},
		"a wrong MD5":         {upload{fields: []string{"Content-MD5=" + md5Text("other")}}, 400, "BadDigest", nil},
		"no MD5":              {upload{fields: []string{"Content-MD5=other"}}, 400, "InvalidDigest", nil},
		"a wrong checksum":    {upload{fields: []string{"x-amz-checksum-crc32=AAAAAA=="}}, 400, "BadDigest", nil},
		"no checksum":         {upload{fields: []string{"x-amz-checksum-sha256=sailorjerry"}}, 400, "InvalidRequest", nil},
		"two checksums":       {upload{fields: []string{"x-amz-checksum-crc32=" + helloCRC32, "x-amz-checksum-sha256=sailorjerry"}}, 400, "InvalidRequest", nil},
		"an algorithm alone":  {upload{fields: []string{"x-amz-checksum-algorithm=SHA256"}}, 400, "InvalidRequest", nil},
		"a line in metadata":  {upload{fields: []string{"x-amz-meta-a=b\r\nc"}}, 400, "InvalidArgument", []string{"<ArgumentName>x-amz-meta-a</ArgumentName>"}},
		"no name of metadata": {upload{fields: []string{"x-amz-meta-a b=c"}}, 400, "InvalidArgument", nil},
		"much metadata":       {upload{fields: []string{"x-amz-meta-a=" + strings.Repeat("b", 2100)}}, 400, "MetadataTooLarge", nil},
		"a long key":          {upload{key: strings.Repeat("k", 1025)}, 400, "KeyTooLongError", nil},
		"no bucket":           {upload{target: "/holidays", policy: policyFor("holidays")}, 404, "NoSuchBucket", nil},
		"another bucket":      {upload{target: "/holidays"}, 403, "AccessDenied", []string{`Invalid according to Policy: Policy Condition failed: [&quot;eq&quot;, &quot;$bucket&quot;, &quot;photos&quot;]`}},
		"another bucket's":    {upload{fields: []string{"bucket=holidays"}, conditions: []any{map[string]string{"key": "cat.jpg"}}}, 403, "AccessDenied", []string{"Policy Condition failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.u.file = hello
			a := s.post(tc.u)
			a.t = t
			a.wantCode(tc.status, tc.code, tc.pieces...)
		})
	}
	s.do("GET", "/photos/cat.jpg", "").wantCode(404, "NoSuchKey")
	s.post(upload{file: hello, fields: []string{"x-amz-checksum-crc32=" + helloCRC32, "Content-MD5=" + md5Text(hello), "bucket=photos"}}).
		want(204).wantHeader("x-amz-checksum-crc32", helloCRC32).wantHeader("x-amz-checksum-crc64nvme", "")
}

// policyFor allows everything for a bucket, of what a form without more fields has.
func policyFor(bucket string) string {
	return `{"expiration": "` + time.Now().UTC().Add(time.Hour).Format(time.RFC3339) + `", "conditions": [{"bucket": "` + bucket + `"},
		["starts-with", "$key", ""], ["starts-with", "$x-amz-algorithm", ""], ["starts-with", "$x-amz-credential", ""], ["starts-with", "$x-amz-date", ""]]}`
}

func TestHowLargeAFileMayBe(t *testing.T) {
	s := photos(t)
	within := func(low, high any) upload {
		return upload{conditions: []any{map[string]string{"key": "cat.jpg"}, []any{"content-length-range", low, high}}}
	}
	for _, tc := range []struct {
		u      upload
		size   int
		status int
		pieces []string
	}{
		{within(5, 10), 5, 204, nil},
		{within(5, 10), 10, 204, nil},
		{within("5", "10"), 10, 204, nil},
		{within(5, 10), 12, 400, []string{"<Code>EntityTooLarge</Code><Message>Your proposed upload exceeds the maximum allowed size</Message>", "<ProposedSize>12</ProposedSize><MaxSizeAllowed>10</MaxSizeAllowed>"}},
		{within(5, 10), 1, 400, []string{"<Code>EntityTooSmall</Code><Message>Your proposed upload is smaller than the minimum allowed size</Message>", "<ProposedSize>1</ProposedSize><MinSizeAllowed>5</MinSizeAllowed>"}},
		{within(5, 10), 700_000, 400, []string{"EntityTooLarge", "<ProposedSize>700000</ProposedSize>"}},
		{within(5, 10), 3 << 20, 400, []string{"EntityTooLarge", "allowed size</Message><MaxSizeAllowed>10</MaxSizeAllowed>"}},
		{within(0, 0), 0, 204, nil},
		{within(-1, 0), 3, 400, []string{"EntityTooLarge"}},
		{within(10, 5), 7, 400, []string{"EntityTooLarge"}},
		{within("test", "10"), 7, 403, []string{`Policy Condition failed: [&quot;content-length-range&quot;, &quot;test&quot;, &quot;10&quot;]`}},
	} {
		s.do("DELETE", "/photos/cat.jpg", "").want(204)
		tc.u.file = strings.Repeat("x", tc.size)
		s.post(tc.u).want(tc.status, tc.pieces...)
		stored := map[bool]int{true: 200, false: 404}[tc.status == 204]
		s.do("GET", "/photos/cat.jpg", "").want(stored)
	}
}

// slowFile is a form whose file comes in pieces, each when it is asked for.
type slowFile struct {
	head, tail string
	size, sent int64
	asked      func(sent int64)
}

func (s *slowFile) Read(p []byte) (int, error) {
	switch {
	case s.head != "":
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	case s.sent < s.size:
		s.asked(s.sent)
		n := int64(min(len(p), 1<<16))
		n = min(n, s.size-s.sent)
		for i := range p[:n] {
			p[i] = byte(i)
		}
		s.sent += n
		return int(n), nil
	case s.tail != "":
		n := copy(p, s.tail)
		s.tail = s.tail[n:]
		return n, nil
	}
	return 0, io.EOF
}

// A file moves through as it comes, however large it is.
func TestAFormIsNotBuffered(t *testing.T) {
	const size = 10 << 20
	var received, furthest int64
	post := pipeline.Define("PostObject", pipeline.Data, bucketRoute("POST"), decodePost,
		func(_ context.Context, _ iam.Caller, in object.Put) (object.Stored, error) {
			if in.Size != -1 {
				t.Errorf("the size of the file is said to be %d before it was read", in.Size)
			}
			buf := make([]byte, 1000)
			for {
				n, err := in.Body.Read(buf)
				received += int64(n)
				if err == io.EOF {
					return object.Stored{ETag: "e"}, nil
				}
				if err != nil {
					return object.Stored{}, err
				}
			}
		}, encodePost)
	post.Form = readForm
	r := photo("POST", "", "", "Content-Type: multipart/form-data; boundary="+testBoundary)
	r.Body = io.NopCloser(&slowFile{
		head: formPart("key=cat.jpg") + "--" + testBoundary + "\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n",
		tail: "\r\n--" + testBoundary + "--\r\n", size: size, asked: func(sent int64) { furthest = max(furthest, sent-received) },
	})
	r.ContentLength = -1
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, _ := exchange(t, post, r)
	runtime.ReadMemStats(&after)
	if resp.StatusCode != 204 || received != size {
		t.Errorf("status %d, %d bytes of the file: %s", resp.StatusCode, received, body(t, resp))
	}
	if furthest > 64<<10 {
		t.Errorf("%d bytes were read before they were wanted", furthest)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d bytes of memory for a file of %d", used, size)
	}
}

func TestALargeFormComesBack(t *testing.T) {
	s := photos(t)
	file := strings.Repeat("0123456789abcdef\r\n--"+testBoundary[:5], 10<<20/25)
	etag := fmt.Sprintf(`"%x"`, fips.MD5([]byte(file)))
	s.post(upload{file: file}).want(204).wantHeader("ETag", etag)
	if a := s.do("GET", "/photos/cat.jpg", ""); a.body != file {
		t.Errorf("%d bytes came back, %d went in", len(a.body), len(file))
	}
}
