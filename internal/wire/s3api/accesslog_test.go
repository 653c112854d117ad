// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// deliverLogs is the policy that S3's documentation gives for a target, for logs of a
// bucket.
func deliverLogs(target, source string) string {
	return `{"Version":"2012-10-17","Statement":[{"Sid":"S3ServerAccessLogsPolicy","Effect":"Allow","Principal":{"Service":"logging.s3.amazonaws.com"},
		"Action":"s3:PutObject","Resource":"arn:aws:s3:::` + target + `/*",
		"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::` + source + `"},"StringEquals":{"aws:SourceAccount":"` + testAccount + `"}}}]}`
}

// logged is a station with a bucket photos that is logged into a bucket logs.
func logged(t *testing.T) *station {
	t.Helper()
	s := photos(t)
	s.do("PUT", "/logs", "").want(200)
	s.do("PUT", "/logs?policy", deliverLogs("logs", "photos")).want(204)
	s.do("PUT", "/photos?logging", loggingTo(toLogs)).want(200)
	return s
}

// documentedLine is the expression with which S3's documentation has Athena read access
// logs (S3 User Guide, "Using Amazon S3 server access logs to identify requests").
var documentedLine = regexp.MustCompile(`^([^ ]*) ([^ ]*) \[(.*?)\] ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ("[^"]*"|-) (-|[0-9]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*|"[^"]*") ("[^"]*"|-) ([^ ]*)(?: ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*))$`)

// lines delivers the logs and returns what is new in a bucket of them, without it.
func (s *station) lines(bucketName string) []string {
	s.t.Helper()
	ctx := context.Background()
	if err := s.api.Logs.Flush(ctx); err != nil {
		s.t.Fatal(err)
	}
	root := iam.Caller{Principal: iam.Principal{Type: iam.Root, Account: testAccount}, Secure: true, SigV4: true}
	in := bucket.Ref{Bucket: bucketName}
	found, err := s.api.Objects.List(ctx, root, object.List{Ref: in, Max: 1000})
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, e := range found.Entries {
		ref := object.VersionRef{Ref: object.Ref{Ref: in, Key: e.Key}}
		got, err := s.api.Objects.Get(ctx, root, object.Get{VersionRef: ref})
		if err != nil {
			s.t.Fatal(err)
		}
		b, err := io.ReadAll(got.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		got.Body.Close()
		if _, err := s.api.Objects.Delete(ctx, root, object.Delete{VersionRef: ref}); err != nil {
			s.t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			out = append(out, strings.TrimSuffix(line, "\n"))
		}
	}
	for _, line := range out {
		m := documentedLine.FindStringSubmatch(line)
		if m == nil {
			s.t.Errorf("the documented expression does not match %q", line)
			continue
		}
		if at, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[3]); err != nil || time.Since(at) > time.Hour || time.Since(at) < 0 {
			s.t.Errorf("time %q, %v", m[3], err)
		}
	}
	return out
}

// normal writes a line with what is of one request alone as a word: [T], ID, HOSTID, and N
// for times.
func normal(t *testing.T, line string) string {
	m := documentedLine.FindStringSubmatchIndex(line)
	if m == nil {
		t.Fatalf("no line of a log: %q", line)
	}
	times := regexp.MustCompile(`^[0-9]+$`)
	var b strings.Builder
	end := 0
	for i := 1; i < len(m)/2; i++ {
		from, to := m[2*i], m[2*i+1]
		b.WriteString(line[end:from])
		field := line[from:to]
		switch i {
		case 1:
			if field == canonicalID(testAccount) {
				field = "OWNER"
			}
		case 3:
			field = "T"
		case 5:
			switch field {
			case canonicalID(testAccount):
				field = "ROOT"
			case canonicalID(otherAccount):
				field = "OTHER"
			}
		case 6:
			field = "ID"
		case 14, 15:
			field = times.ReplaceAllString(field, "N")
		case 19:
			field = "HOSTID"
		}
		b.WriteString(field)
		end = to
	}
	return b.String()
}

// wantLines compares the lines of all since the last time, after what all have.
func (s *station) wantLines(what string, want ...string) {
	s.t.Helper()
	got := s.lines("logs")
	t, ok := s.t.(*testing.T)
	if !ok {
		return
	}
	for i, line := range got {
		got[i] = strings.TrimPrefix(normal(t, line), "OWNER photos [T] 127.0.0.1 ")
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// The end of every line of a request that is signed in its head, and of one that is not.
const (
	signedEnd = ` - HOSTID SigV4 - AuthHeader s3.example.com - - -`
	nobodyEnd = ` - HOSTID - - - s3.example.com - - -`
)

// Every kind of request has its line, under its documented name.
func TestLinesOfRequests(t *testing.T) {
	s := logged(t)
	s.lines("logs")
	upload := ""
	at := func(target string) string { return strings.ReplaceAll(target, "UPLOAD", upload) }
	agent := "User-Agent: agent/1"
	const head = `"-" "agent/1"`
	for _, c := range []struct {
		method, target, body string
		headers              []string
		want                 string // between the request id and the end; URI stands for the request line
	}{
		{"PUT", "/photos/a%20b/c.txt", "0123456789", nil, `REST.PUT.OBJECT a%20b/c.txt URI 200 - - 10 N N`},
		{"GET", "/photos/a%20b/c.txt", "", nil, `REST.GET.OBJECT a%20b/c.txt URI 200 - 10 10 N N`},
		{"GET", "/photos/a%20b/c.txt", "", []string{"Range: bytes=2-4"}, `REST.GET.OBJECT a%20b/c.txt URI 206 - 3 10 N N`},
		{"GET", "/photos/a%20b/c.txt", "", []string{"If-None-Match: *"}, `REST.GET.OBJECT a%20b/c.txt URI 304 - - - N N`},
		{"HEAD", "/photos/a%20b/c.txt", "", nil, `REST.HEAD.OBJECT a%20b/c.txt URI 200 - - 10 N N`},
		{"HEAD", "/photos/missing", "", nil, `REST.HEAD.OBJECT missing URI 404 NoSuchKey - - N N`},
		{"GET", "/photos/a%20b/c.txt?attributes=", "", []string{"X-Amz-Object-Attributes: ETag"}, `REST.GET.OBJECT_ATTRIBUTES a%20b/c.txt URI 200 - SENT - N N`},
		{"PUT", "/photos/a%20b/c.txt?tagging=", `<Tagging><TagSet/></Tagging>`, nil, `REST.PUT.OBJECT_TAGGING a%20b/c.txt URI 200 - - - N N`},
		{"GET", "/photos/a%20b/c.txt?tagging=", "", nil, `REST.GET.OBJECT_TAGGING a%20b/c.txt URI 200 - SENT - N N`},
		{"DELETE", "/photos/a%20b/c.txt?tagging=", "", nil, `REST.DELETE.OBJECT_TAGGING a%20b/c.txt URI 204 - - - N N`},
		{"GET", "/photos/a%20b/c.txt?acl=", "", nil, `REST.GET.ACL a%20b/c.txt URI 200 - SENT - N N`},
		{"PUT", "/photos/a%20b/c.txt?acl=", "", []string{"X-Amz-Acl: public-read"}, `REST.PUT.ACL a%20b/c.txt URI 400 AccessControlListNotSupported SENT - N N`},
		{"GET", "/photos/a%20b/c.txt?torrent=", "", nil, `REST.GET.TORRENT a%20b/c.txt URI 405 MethodNotAllowed SENT - N N`},
		{"GET", "/photos", "", nil, `REST.GET.BUCKET - URI 200 - SENT - N N`},
		{"GET", "/photos?list-type=2&prefix=a", "", nil, `REST.GET.BUCKET - URI 200 - SENT - N N`},
		{"GET", "/photos?versions=", "", nil, `REST.GET.BUCKETVERSIONS - URI 200 - SENT - N N`},
		{"HEAD", "/photos", "", nil, `REST.HEAD.BUCKET - URI 200 - - - N N`},
		{"PUT", "/photos", "", nil, `REST.PUT.BUCKET - URI 200 - - - N N`},
		{"GET", "/photos?location=", "", nil, `REST.GET.LOCATION - URI 200 - SENT - N N`},
		{"GET", "/photos?encryption=", "", nil, `REST.GET.ENCRYPTION - URI 200 - SENT - N N`},
		{"GET", "/photos?versioning=", "", nil, `REST.GET.VERSIONING - URI 200 - SENT - N N`},
		{"GET", "/photos?tagging=", "", nil, `REST.GET.TAGGING - URI 404 NoSuchTagSet SENT - N N`},
		{"GET", "/photos?policy=", "", nil, `REST.GET.BUCKETPOLICY - URI 404 NoSuchBucketPolicy SENT - N N`},
		{"GET", "/photos?policyStatus=", "", nil, `REST.GET.POLICY_STATUS - URI 404 NoSuchBucketPolicy SENT - N N`},
		{"GET", "/photos?publicAccessBlock=", "", nil, `REST.GET.PUBLIC_ACCESS_BLOCK - URI 200 - SENT - N N`},
		{"GET", "/photos?ownershipControls=", "", nil, `REST.GET.OWNERSHIP_CONTROLS - URI 200 - SENT - N N`},
		{"GET", "/photos?acl=", "", nil, `REST.GET.ACL - URI 200 - SENT - N N`},
		{"GET", "/photos?logging=", "", nil, `REST.GET.LOGGING_STATUS - URI 200 - SENT - N N`},
		{"GET", "/photos?lifecycle=", "", nil, `REST.GET.LIFECYCLE - URI 404 NoSuchLifecycleConfiguration SENT - N N`},
		{"POST", "/photos/big?uploads=", "", nil, `REST.POST.UPLOADS big URI 200 - SENT - N N`},
		{"PUT", "/photos/big?partNumber=1&uploadId=UPLOAD", "01234", nil, `REST.PUT.PART big URI 200 - - 5 N N`},
		{"GET", "/photos/big?uploadId=UPLOAD", "", nil, `REST.GET.UPLOAD big URI 200 - SENT - N N`},
		{"GET", "/photos?uploads=", "", nil, `REST.GET.UPLOADS - URI 200 - SENT - N N`},
		{"POST", "/photos/big?uploadId=UPLOAD", `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>`, nil, `REST.POST.UPLOAD big URI 400 InvalidPart SENT - N N`},
		{"DELETE", "/photos/big?uploadId=UPLOAD", "", nil, `REST.DELETE.UPLOAD big URI 204 - - - N N`},
		{"DELETE", "/photos/a%20b/c.txt", "", nil, `REST.DELETE.OBJECT a%20b/c.txt URI 204 - - - N N`},
		{"OPTIONS", "/photos/a", "", nil, `- ID REST.OPTIONS.PREFLIGHT a URI 400 BadRequest SENT - N N`},
		{"PATCH", "/photos/a", "", nil, `- ID REST.PATCH.OBJECT a URI 405 MethodNotAllowed SENT - N N`},
		{"GET", "/photos?acl=&policy=", "", nil, `- ID REST.GET.BUCKET - URI 400 InvalidArgument SENT - N N`},
		{"GET", "/photos/a?versionId=nonsense", "", nil, `REST.GET.OBJECT a URI 400 InvalidArgument SENT - N N`},
		{"DELETE", "/photos", "", nil, `REST.DELETE.BUCKET - URI 204 - - - N N`},
	} {
		target := at(c.target)
		a := s.do(c.method, target, c.body, append(c.headers, agent)...)
		if c.target == "/photos/big?uploads=" {
			upload = between(a.body, "<UploadId>", "</UploadId>")
		}
		want := strings.Replace(c.want, "URI", `"`+c.method+" "+target+` HTTP/1.1"`, 1)
		want = strings.Replace(want, "SENT", strconv.Itoa(len(a.body)), 1)
		end := signedEnd
		if strings.Contains(target, "versionId=nonsense") {
			end = strings.Replace(end, " -", " nonsense", 1)
		}
		if !strings.HasPrefix(want, "- ID ") { // refused before anybody asked who it is
			want = "ROOT ID " + want
		}
		s.wantLines(c.method+" "+target, want+" "+head+end)
	}
}

// What is done to several objects, or with two, has a line for each.
func TestLinesOfParts(t *testing.T) {
	s := logged(t)
	s.do("PUT", "/others", "").want(200)
	s.do("PUT", "/photos/a", "0123456789").want(200)
	s.lines("logs")
	agent := "User-Agent: agent/1"
	partEnd := ` - - - - - HOSTID SigV4 - AuthHeader s3.example.com - - -`

	a := s.do("PUT", "/photos/b%2Bc", "", "X-Amz-Copy-Source: photos/a", agent).want(200)
	s.wantLines("copy",
		`ROOT ID REST.COPY.OBJECT b%2Bc "PUT /photos/b%2Bc HTTP/1.1" 200 - `+strconv.Itoa(len(a.body))+` 10 N N "-" "agent/1"`+signedEnd,
		`ROOT ID REST.COPY.OBJECT_GET a - 200 - - 10`+partEnd)
	s.do("PUT", "/others/b", "", "X-Amz-Copy-Source: /photos/a?versionId=null", agent).want(200)
	s.wantLines("copy to a bucket that is not logged", `ROOT ID REST.COPY.OBJECT_GET a - 200 - - 10`+strings.Replace(partEnd, "- HOSTID", "null HOSTID", 1))
	s.do("PUT", "/others/b", "", "X-Amz-Copy-Source: /photos/a", agent, "by another account").want(403)
	s.wantLines("copy that is denied", `OTHER ID REST.COPY.OBJECT_GET a - 403 AccessDenied - -`+partEnd)
	id := between(s.do("POST", "/others/b?uploads=", "").want(200).body, "<UploadId>", "</UploadId>")
	s.do("PUT", "/others/b?partNumber=1&uploadId="+id, "", "X-Amz-Copy-Source: photos/a", agent).want(200)
	s.wantLines("a part from a copy", `ROOT ID REST.COPY.PART_GET a - 200 - - -`+partEnd)
	a = s.do("PUT", "/photos/b?partNumber=1&uploadId="+id, "", "X-Amz-Copy-Source: others/b", agent).want(404)
	s.wantLines("a part of no upload", `ROOT ID REST.COPY.PART b "PUT /photos/b?partNumber=1&uploadId=`+id+` HTTP/1.1" 404 NoSuchUpload `+strconv.Itoa(len(a.body))+` - N N "-" "agent/1"`+signedEnd)

	a = s.do("POST", "/photos?delete", `<Delete><Object><Key>a</Key></Object><Object><Key>x y</Key><VersionId>nonsense</VersionId></Object></Delete>`, agent).want(200)
	s.wantLines("delete several",
		`ROOT ID REST.POST.MULTI_OBJECT_DELETE - "POST /photos?delete= HTTP/1.1" 200 - `+strconv.Itoa(len(a.body))+` - N N "-" "agent/1"`+signedEnd,
		`ROOT ID BATCH.DELETE.OBJECT a - 204 - - -`+partEnd,
		`ROOT ID BATCH.DELETE.OBJECT x%20y - 404 NoSuchVersion - -`+strings.Replace(partEnd, "- HOSTID", "nonsense HOSTID", 1))

	s.post(upload{key: "form.txt", file: "01234"})
	got := s.lines("logs")
	if len(got) != 1 || !strings.Contains(normal(t, got[0]), ` ROOT ID REST.POST.BUCKET form.txt "POST /photos HTTP/1.1" 204 - - 5 N N "-" "-" - HOSTID SigV4 - HtmlForm s3.example.com `) {
		t.Errorf("a form: %q", got)
	}
}

// Who is refused before anything is known of them has a line, too.
func TestLinesOfStrangers(t *testing.T) {
	s := logged(t)
	s.lines("logs")
	a := s.do("GET", "/photos/a", "", "by nobody", "User-Agent: agent/1", "Referer: http://from/?a=b&X-Amz-Signature=s").want(403)
	sent := strconv.Itoa(len(a.body))
	s.wantLines("nobody", `- ID REST.GET.OBJECT a "GET /photos/a HTTP/1.1" 403 AccessDenied `+sent+` - N N "http://from/?a=b&X-Amz-Signature=REDACTED" "agent/1"`+nobodyEnd)
	s.do("GET", "/photos/a", "", "by another account").want(403)
	if got := s.lines("logs"); len(got) != 1 || !strings.HasPrefix(normal(t, got[0]), "OWNER photos [T] 127.0.0.1 OTHER ID REST.GET.OBJECT a ") {
		t.Errorf("another account: %q", got)
	}

	for name, c := range map[string]struct{ header, query, want string }{
		"a wrong signature":            {"AWS4-HMAC-SHA256 Credential=" + testAccess + "/20260304/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0", "", " SigV4 - AuthHeader "},
		"version 2":                    {"AWS " + testAccess + ":c2ln", "", " SigV2 - AuthHeader "},
		"a wrong presigned URL":        {"", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=SECRET", " SigV4 - QueryString "},
		"a presigned URL of version 2": {"", "AWSAccessKeyId=SECRET&Expires=1&Signature=SECRET", " SigV2 - QueryString "},
	} {
		r := httptest.NewRequest("GET", "/photos/a?"+c.query, nil)
		r.Host, r.RemoteAddr = testDomain, "127.0.0.1:40000"
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		if a := s.serve(r); a.status < 400 {
			t.Errorf("%s: %d", name, a.status)
		}
		got := s.lines("logs")
		if len(got) != 1 || !strings.Contains(got[0], c.want) || strings.Contains(got[0], "SECRET") || !strings.HasPrefix(normal(t, got[0]), "OWNER photos [T] 127.0.0.1 - ID REST.GET.OBJECT a ") {
			t.Errorf("%s: %q", name, got)
		}
	}
	s.do("GET", "/no-such-bucket/a", "", "by nobody")
	s.do("GET", "/", "")
	if got := s.lines("logs"); len(got) != 0 {
		t.Errorf("lines of requests on other things: %q", got)
	}
}

// What a presigned URL proves itself by is not in the log.
func TestSecretsAreNotLogged(t *testing.T) {
	s := logged(t)
	s.do("PUT", "/photos/a", "0123456789").want(200)
	s.lines("logs")
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	r := httptest.NewRequest("GET", "http://"+testDomain+"/photos/a?X-Amz-Expires=60&response-content-type=text%2Fx", nil)
	signed, _, err := signer.PresignHTTP(t.Context(), aws.Credentials{AccessKeyID: testAccess, SecretAccessKey: testSecret}, r, "UNSIGNED-PAYLOAD", "s3", s.region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	r = httptest.NewRequest("GET", u.RequestURI(), nil)
	r.Host, r.RemoteAddr = testDomain, "127.0.0.1:40000"
	s.serve(r).want(200)
	got := s.lines("logs")
	signature := u.Query().Get("X-Amz-Signature")
	if len(got) != 1 || len(signature) != 64 || strings.Contains(got[0], signature) ||
		!strings.Contains(got[0], "X-Amz-Signature=REDACTED") || !strings.Contains(got[0], "X-Amz-Credential=REDACTED") ||
		!strings.Contains(got[0], "response-content-type=text%2Fx") || !strings.Contains(got[0], " SigV4 - QueryString ") {
		t.Errorf("%q has of %q", got, signature)
	}

	for raw, want := range map[string]string{
		"":                             "",
		"a=b&c":                        "a=b&c",
		"X-Amz-Signature=s&a=b":        "X-Amz-Signature=REDACTED&a=b",
		"x-amz-signature=s":            "x-amz-signature=REDACTED",
		"X%2DAmz%2DSecurity%2DToken=s": "X%2DAmz%2DSecurity%2DToken=REDACTED",
		"%zz=s":                        "%zz=REDACTED",
		"x-amz-server-side-encryption-customer-key=s": "x-amz-server-side-encryption-customer-key=REDACTED",
		"Signature": "Signature",
	} {
		if got := redactedQuery(raw); got != want {
			t.Errorf("%q became %q, want %q", raw, got, want)
		}
	}
}

// The bucket is in the path of every line, wherever the request has it.
func TestRequestLines(t *testing.T) {
	s := logged(t)
	s.lines("logs")
	for target, want := range map[string]string{
		"/":          "GET /photos HTTP/1.1",
		"/?location": "GET /photos?location= HTTP/1.1",
		"/a%20b/":    "GET /photos/a%20b/ HTTP/1.1",
		"/photos":    "GET /photos/photos HTTP/1.1",
		"/photos/a?": "GET /photos/photos/a? HTTP/1.1",
		"//a":        "GET /photos//a HTTP/1.1",
	} {
		s.do("GET", target, "", "Host: photos."+testDomain)
		if got := s.lines("logs"); len(got) != 1 || !strings.Contains(got[0], ` "`+want+`" `) || !strings.Contains(got[0], " photos."+testDomain+" ") {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}

// Where nothing but a list of grants allows a request, the line says so.
func TestLinesOfLists(t *testing.T) {
	s := logged(t)
	s.do("PUT", "/photos?ownershipControls", `<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>`).want(200)
	s.do("DELETE", "/photos?publicAccessBlock=", "").want(204)
	s.do("PUT", "/photos/a", "x", "X-Amz-Acl: public-read").want(200)
	s.lines("logs")
	for header, want := range map[string]string{"by nobody": " - Yes", "by another account": " - Yes", "Accept: */*": " - -"} {
		s.do("GET", "/photos/a", "", header).want(200)
		if got := s.lines("logs"); len(got) != 1 || !strings.HasSuffix(got[0], want) {
			t.Errorf("%s: %q", header, got)
		}
	}
}

// Logs reach a target that has given the group of log delivery its grants, instead of a
// policy.
func TestLogsByGrant(t *testing.T) {
	s := photos(t)
	s.do("PUT", "/logs", "", "X-Amz-Object-Ownership: ObjectWriter").want(200)
	s.do("PUT", "/logs?acl=", "", "X-Amz-Acl: log-delivery-write").want(200)
	s.do("PUT", "/photos?logging", loggingTo(toLogs+`<TargetGrants><Grant><Grantee><ID>`+canonicalID(otherAccount)+`</ID></Grantee><Permission>READ</Permission></Grant></TargetGrants>`)).want(200)
	s.do("GET", "/photos", "").want(200)
	if err := s.api.Logs.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := between(s.do("GET", "/logs", "").want(200).body, "<Key>", "</Key>")
	s.do("GET", "/logs/"+key, "", "by another account").want(200, "REST.GET.BUCKET")
	s.do("GET", "/logs/"+key+"?acl", "").want(200, "<ID>"+canonicalID(testAccount)+"</ID></Grantee><Permission>FULL_CONTROL", "<ID>"+canonicalID(otherAccount)+"</ID></Grantee><Permission>READ")
	s.do("PUT", "/logs?acl=", "", "X-Amz-Acl: private").want(200)
	s.do("GET", "/photos", "").want(200)
	if err := s.api.Logs.Flush(t.Context()); err == nil {
		t.Error("delivered without a grant")
	}
	s.do("PUT", "/logs?policy", deliverLogs("logs", "others")).want(204)
	if err := s.api.Logs.Flush(t.Context()); err == nil {
		t.Error("delivered by a policy for another bucket")
	}
	s.do("PUT", "/logs?policy", deliverLogs("logs", "photos")).want(204)
	if err := s.api.Logs.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

// Each sub-resource that there is has a name in lines.
func TestEverySubresourceHasAName(t *testing.T) {
	for sub, paths := range subresources {
		r := logResources[sub]
		for _, path := range paths {
			if path == bucketPath && r.ofBucket == "" || path == objectPath && r.ofObject == "" {
				t.Errorf("%s of %s has none", sub, path)
			}
		}
	}
	for sub := range logResources {
		if sub != "" && subresources[sub] == nil {
			t.Errorf("%s has a name and is none", sub)
		}
	}
}

func TestRequesters(t *testing.T) {
	role := iam.Principal{Type: iam.AssumedRole, Account: testAccount, ARN: "arn:aws:sts::" + testAccount + ":assumed-role/r/s"}
	user := iam.Principal{Type: iam.IAMUser, Account: testAccount, ARN: "arn:aws:iam::" + testAccount + ":user/u"}
	for _, c := range []struct {
		p    iam.Principal
		auth *sigv4.Result
		want string
	}{
		{role, &sigv4.Result{Method: sigv4.Header}, role.ARN},
		{user, &sigv4.Result{Method: sigv4.Query}, user.ARN},
		{iam.Principal{Type: iam.Root, Account: testAccount, ARN: "x"}, &sigv4.Result{Method: sigv4.Header}, canonicalID(testAccount)},
		{iam.Principal{Type: iam.Anonymous}, &sigv4.Result{}, ""},
		{user, nil, ""},
	} {
		call := &pipeline.Call{Auth: c.auth, Caller: iam.Caller{Principal: c.p}, Request: &http.Request{}}
		if got := requesterID(call); got != c.want {
			t.Errorf("%+v is %q, want %q", c.p, got, c.want)
		}
	}
}

// Suites are named as OpenSSL does; what TLS 1.3 has is named the same everywhere.
func TestCipherSuites(t *testing.T) {
	for id, want := range map[uint16]string{
		tls.TLS_AES_128_GCM_SHA256:                        "TLS_AES_128_GCM_SHA256",
		tls.TLS_CHACHA20_POLY1305_SHA256:                  "TLS_CHACHA20_POLY1305_SHA256",
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:         "ECDHE-RSA-AES128-GCM-SHA256",
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:       "ECDHE-ECDSA-AES256-GCM-SHA384",
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:   "ECDHE-RSA-CHACHA20-POLY1305",
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
		tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA:            "ECDHE-RSA-AES256-SHA",
		tls.TLS_RSA_WITH_AES_128_CBC_SHA256:               "AES128-SHA256",
		tls.TLS_RSA_WITH_AES_256_GCM_SHA384:               "AES256-GCM-SHA384",
	} {
		if got := cipherSuite(id); got != want {
			t.Errorf("%s is %q, want %q", tls.CipherSuiteName(id), got, want)
		}
	}
	s := logged(t)
	s.lines("logs")
	r := httptest.NewRequest("GET", "/photos", nil)
	r.Host, r.RemoteAddr = testDomain, "127.0.0.1:40000"
	r.TLS = &tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	s.sign(r)
	s.serve(r).want(200)
	if got := s.lines("logs"); len(got) != 1 || !strings.HasSuffix(got[0], " SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader s3.example.com TLSv1.2 - -") {
		t.Errorf("%q", got)
	}
}
