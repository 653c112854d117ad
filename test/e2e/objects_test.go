// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

func testWhatIsKeptWithAnObject(t *testing.T, s *coffertest.Server) {
	s.Bucket("kept", "aws:kms", "", true)
	expires := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	put := s.Put("kept", "Ünï cödé/+?#%&=;:@$,<>\"'`~^|[]{} ☃", "hello", func(in *s3.PutObjectInput) {
		in.CacheControl, in.ContentDisposition, in.ContentEncoding = aws.String("no-cache"), aws.String(`attachment; filename="x"`), aws.String("gzip")
		in.ContentLanguage, in.ContentType, in.Expires = aws.String("de"), aws.String("text/plain; charset=utf-8"), &expires
		in.Metadata = map[string]string{"colour": "green", "shape": "a b  c"}
		in.StorageClass, in.Tagging = types.StorageClassStandardIa, aws.String("a=1&b=2")
		in.WebsiteRedirectLocation = aws.String("/elsewhere")
	})
	got, out := s.Get("kept", "Ünï cödé/+?#%&=;:@$,<>\"'`~^|[]{} ☃")
	head := do(t, s.S3.HeadObject, &s3.HeadObjectInput{Bucket: aws.String("kept"), Key: aws.String("Ünï cödé/+?#%&=;:@$,<>\"'`~^|[]{} ☃")})
	if got != "hello" || *out.ETag != *put.ETag || *out.ContentLength != 5 || aws.ToInt32(out.TagCount) != 2 || out.StorageClass != types.StorageClassStandardIa ||
		*out.CacheControl != "no-cache" || *out.ContentDisposition != `attachment; filename="x"` || *out.ContentEncoding != "gzip" ||
		*out.ContentLanguage != "de" || *out.ContentType != "text/plain; charset=utf-8" || aws.ToString(out.ExpiresString) != "Wed, 02 Jan 2030 03:04:05 GMT" ||
		*out.WebsiteRedirectLocation != "/elsewhere" || *out.AcceptRanges != "bytes" || time.Since(*out.LastModified) > time.Minute {
		t.Errorf("got %q, %+v", got, out)
	}
	for _, m := range []map[string]string{out.Metadata, head.Metadata} {
		if !maps.Equal(m, map[string]string{"colour": "green", "shape": "a b  c"}) {
			t.Errorf("metadata %q", m)
		}
	}
	if a := (request{method: "PUT", target: "/kept/plain"}).do(s); a.status != 200 || a.body != "" {
		t.Errorf("put: %d %s", a.status, a.body)
	}
	if body, out := s.Get("kept", "plain"); body != "" || *out.ContentType != "binary/octet-stream" || out.StorageClass != "" || out.TagCount != nil || out.CacheControl != nil {
		t.Errorf("got %q, %+v", body, out)
	}
}

// testHeadSaysWhatGetDoes compares the headers of both, in every situation.
func testHeadSaysWhatGetDoes(t *testing.T, s *coffertest.Server) {
	s.Bucket("heads", "aws:kms", s.Key(), true)
	s.Versioning("heads", types.BucketVersioningStatusEnabled)
	s.Put("heads", "k", "0123456789", func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"a": "b"} })
	s.Put("heads", "gone", "x")
	marker := do(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: aws.String("heads"), Key: aws.String("gone")})
	for _, c := range []struct {
		target  string
		headers []string
		status  int
	}{
		{"k", nil, 200},
		{"k", []string{"X-Amz-Checksum-Mode", "ENABLED"}, 200},
		{"k", []string{"Range", "bytes=1-3"}, 206},
		{"k", []string{"Range", "bytes=10-"}, 416},
		{"k?partNumber=1", nil, 206},
		{"k?partNumber=2", nil, 416},
		{"k", []string{"If-None-Match", "*"}, 304},
		{"k", []string{"If-Match", "x"}, 412},
		{"k?response-content-type=text%2Fx", nil, 200},
		{"missing", nil, 404},
		{"gone", nil, 404},
		{"gone?versionId=" + *marker.VersionId, nil, 405},
		{"k?versionId=nonsense", nil, 400},
		{"k", []string{"X-Amz-Server-Side-Encryption", "aws:kms"}, 400},
	} {
		get := request{method: "GET", target: "/heads/" + c.target, headers: c.headers}.do(s)
		head := request{method: "HEAD", target: "/heads/" + c.target, headers: c.headers}.do(s)
		if get.status != c.status || head.status != c.status || head.body != "" {
			t.Errorf("%s %v: GET %d, HEAD %d %q, want %d", c.target, c.headers, get.status, head.status, head.body, c.status)
		}
		for _, h := range []http.Header{get.header, head.header} {
			for _, own := range []string{"X-Amz-Request-Id", "X-Amz-Id-2", "Date"} {
				h.Del(own)
			}
			if c.status >= 400 {
				h.Del("Content-Length") // of the error
			}
		}
		if g, h := fmt.Sprint(get.header), fmt.Sprint(head.header); g != h {
			t.Errorf("%s %v\nGET  %s\nHEAD %s", c.target, c.headers, g, h)
		}
	}
}

func testRanges(t *testing.T, s *coffertest.Server) {
	s.Bucket("ranges", "aws:kms", "", true)
	const segment = 64 << 10
	big := bytes.Repeat([]byte("0123456789abcdef"), 3*segment/16)
	big = append(big, "the end"...)
	s.Put("ranges", "big", string(big))
	s.Put("ranges", "small", "0123456789")
	s.Put("ranges", "empty", "")
	size := fmt.Sprint(len(big))
	for _, c := range []struct {
		key, header  string
		status       int
		want         string
		contentRange string
	}{
		{"small", "bytes=0-0", 206, "0", "bytes 0-0/10"},
		{"small", "bytes=0-9", 206, "0123456789", "bytes 0-9/10"},
		{"small", "bytes=8-20", 206, "89", "bytes 8-9/10"},
		{"small", "bytes=3-", 206, "3456789", "bytes 3-9/10"},
		{"small", "bytes=-3", 206, "789", "bytes 7-9/10"},
		{"small", "bytes=-30", 206, "0123456789", "bytes 0-9/10"},
		{"small", "bytes=3-2", 200, "0123456789", ""},
		{"small", "bytes= 0-1", 200, "0123456789", ""}, {"empty", "bytes=-1", 200, "", ""},
		{"small", "bytes=-", 200, "0123456789", ""},
		{"small", "bytes=0--1", 200, "0123456789", ""},
		{"small", "bytes=a-b", 200, "0123456789", ""},
		{"small", "bytes=0-1,3-4", 200, "0123456789", ""},
		{"small", "lines=0-1", 200, "0123456789", ""},
		{"empty", "bytes=x", 200, "", ""},
		{"big", fmt.Sprintf("bytes=%d-%d", segment-1, segment), 206, "f0", fmt.Sprintf("bytes %d-%d/%s", segment-1, segment, size)},
		{"big", fmt.Sprintf("bytes=%d-%d", segment-2, 2*segment+1), 206, string(big[segment-2 : 2*segment+2]), fmt.Sprintf("bytes %d-%d/%s", segment-2, 2*segment+1, size)},
		{"big", "bytes=-8", 206, "fthe end", fmt.Sprintf("bytes %d-%d/%s", len(big)-8, len(big)-1, size)},
	} {
		a := request{method: "GET", target: "/ranges/" + c.key, headers: []string{"Range", c.header}}.do(s)
		if a.status != c.status || a.body != c.want || a.header.Get("Content-Range") != c.contentRange || a.header.Get("Content-Length") != fmt.Sprint(len(c.want)) {
			t.Errorf("%s of %s: %d %v, %d bytes", c.header, c.key, a.status, a.header, len(a.body))
		}
	}
	for key, ranges := range map[string][]string{"small": {"bytes=10-", "bytes=11-12", "bytes=-0"}, "empty": {"bytes=0-0", "bytes=-0"}} {
		for _, r := range ranges {
			a := request{method: "GET", target: "/ranges/" + key, headers: []string{"Range", r}}.do(s)
			length := map[string]string{"small": "10", "empty": "0"}[key]
			a.is(refusal{status: 416, code: "InvalidRange", text: "not satisfiable", elements: []string{"RangeRequested=" + r, "ActualObjectSize=" + length}})
		}
	}
}

func TestConditionalReads(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Bucket("vault", "aws:kms", "", false)
	etag := *s.Put("vault", "k", "hello").ETag
	bare := strings.Trim(etag, `"`)
	now := request{method: "HEAD", target: "/vault/k"}.do(s).header.Get("Last-Modified")
	before, after := "Mon, 03 Jan 2022 00:00:00 GMT", "Thu, 03 Jan 2041 00:00:00 GMT"
	opened := len(s.KMSRequests())
	for _, c := range []struct {
		headers   []string
		status    int
		condition string
	}{
		{[]string{"If-Match", etag}, 200, ""},
		{[]string{"If-Match", bare}, 200, ""},
		{[]string{"If-Match", `"x", ` + etag}, 200, ""},
		{[]string{"If-Match", "*"}, 200, ""},
		{[]string{"If-Match", `"x"`}, 412, "If-Match"},
		{[]string{"If-None-Match", etag}, 304, ""},
		{[]string{"If-None-Match", bare}, 304, ""},
		{[]string{"If-None-Match", `"x"`}, 200, ""},
		{[]string{"If-Modified-Since", now}, 304, ""},
		{[]string{"If-Modified-Since", after}, 200, ""}, // a time to come says nothing
		{[]string{"If-Modified-Since", before}, 200, ""},
		{[]string{"If-Modified-Since", "yesterday"}, 200, ""},
		{[]string{"If-Unmodified-Since", now}, 200, ""},
		{[]string{"If-Unmodified-Since", before}, 412, "If-Unmodified-Since"},
		{[]string{"If-Match", etag, "If-Unmodified-Since", before}, 200, ""},
		{[]string{"If-None-Match", `"x"`, "If-Modified-Since", after}, 200, ""},
		{[]string{"If-None-Match", etag, "If-Modified-Since", before}, 304, ""},
		{[]string{"If-Match", `"x"`, "If-None-Match", etag}, 412, "If-Match"},
		{[]string{"If-None-Match", etag, "Range", "bytes=99-"}, 304, ""},
	} {
		a := request{method: "GET", target: "/vault/k", headers: c.headers}.do(s)
		switch {
		case c.status == 412:
			a.is(refusal{status: 412, code: "PreconditionFailed", text: "pre-conditions", elements: []string{"Condition=" + c.condition}})
		case a.status != c.status || a.header.Get("Etag") != etag || c.status == 304 && (a.body != "" || a.header.Get("Content-Length") != ""):
			t.Errorf("%v: %d %v %q", c.headers, a.status, a.header, a.body)
		}
		if c.status == 200 {
			opened++
		}
	}
	// An answer without data costs no KMS request.
	if n := len(s.KMSRequests()); n != opened {
		t.Errorf("%d KMS requests, want %d", n, opened)
	}
}

func testConditionalWrites(t *testing.T, s *coffertest.Server) {
	s.Bucket("conditions", "", "", false)
	put := func(key, body string, headers ...string) answer {
		return request{method: "PUT", target: "/conditions/" + key, body: body, headers: headers}.do(s)
	}
	failed := func(condition string) refusal {
		return refusal{status: 412, code: "PreconditionFailed", elements: []string{"Condition=" + condition}}
	}
	if a := put("k", "1", "If-None-Match", "*"); a.status != 200 {
		t.Errorf("first: %d %s", a.status, a.body)
	}
	put("k", "2", "If-None-Match", "*").is(failed("If-None-Match"))
	put("k", "2", "If-Match", `"x"`).is(failed("If-Match"))
	put("missing", "2", "If-Match", `"x"`).is(refusal{status: 404, code: "NoSuchKey", elements: []string{"Key=missing"}})
	put("k", "2", "If-Match", "*").is(refusal{status: 501, code: "NotImplemented", elements: []string{"Header=If-Match", "additionalMessage"}})
	put("k", "2", "If-None-Match", `"x"`).is(refusal{status: 501, code: "NotImplemented", elements: []string{"Header=If-None-Match", "additionalMessage"}})
	put("k", "2", "If-None-Match", "*", "If-Match", "x").is(refusal{status: 501, code: "NotImplemented", elements: []string{"Header=If-Match,If-None-Match", "additionalMessage"}})
	if got, _ := s.Get("conditions", "k"); got != "1" {
		t.Errorf("a refused write left %q", got)
	}
	if a := put("k", "2", "If-Match", etagOf("1")); a.status != 200 {
		t.Errorf("second: %d %s", a.status, a.body)
	}
	drop := func(key string, headers ...string) answer {
		return request{method: "DELETE", target: "/conditions/" + key, headers: headers}.do(s)
	}
	drop("k", "If-Match", etagOf("1")).is(failed("If-Match"))
	drop("k", "X-Amz-If-Match-Size", "1").is(refusal{status: 501, code: "NotImplemented", elements: []string{"Header=x-amz-if-match-size"}})
	if a := drop("k", "If-Match", etagOf("2")); a.status != 204 || a.body != "" {
		t.Errorf("delete: %d %s", a.status, a.body)
	}
	// A delete marker counts as nothing.
	s.Versioning("conditions", types.BucketVersioningStatusEnabled)
	put("k", "3")
	drop("k")
	if a := put("k", "4", "If-None-Match", "*"); a.status != 200 {
		t.Errorf("behind a marker: %d %s", a.status, a.body)
	}
}

func testResponseOverrides(t *testing.T, s *coffertest.Server) {
	s.Bucket("overrides", "", "", false)
	s.Put("overrides", "k", "x", func(in *s3.PutObjectInput) { in.ContentType = aws.String("text/a") })
	at := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	_, out := s.Get("overrides", "k", func(in *s3.GetObjectInput) {
		in.ResponseContentType, in.ResponseCacheControl, in.ResponseContentDisposition = aws.String("text/b"), aws.String("private"), aws.String(`attachment; filename="ü"`)
		in.ResponseContentEncoding, in.ResponseContentLanguage, in.ResponseExpires = aws.String("br"), aws.String("fr"), &at
	})
	if *out.ContentType != "text/b" || *out.CacheControl != "private" || *out.ContentEncoding != "br" || *out.ContentLanguage != "fr" ||
		*out.ExpiresString != "Wed, 01 Jan 2031 00:00:00 GMT" || *out.ContentDisposition != "attachment; filename=\"\xfc\"" /* in ISO-8859-1 */ {
		t.Errorf("got %+v", out)
	}
	if _, out := s.Get("overrides", "k"); *out.ContentType != "text/a" || out.CacheControl != nil {
		t.Errorf("then %+v", out)
	}
	a := request{method: "GET", target: "/overrides/k?response-content-type=a%0d%0aSet-Cookie:x", headers: nil}.do(s)
	a.is(refusal{status: 400, code: "InvalidArgument", text: "", elements: []string{"ArgumentName=response-content-type", "ArgumentValue"}})
}

func testVirtualHosts(t *testing.T, s *coffertest.Server) {
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	for _, host := range []string{"my.photos.localhost", "my.photos.s3.localhost" + port, "MY.photos.LocalHost" + port} {
		if a := (request{method: "PUT", target: "/", host: host}).do(s); a.status != 200 {
			t.Errorf("create by %s: %d %s", host, a.status, a.body)
		}
		if a := (request{method: "PUT", target: "/a//b/", host: host, body: host}).do(s); a.status != 200 {
			t.Errorf("put by %s: %d %s", host, a.status, a.body)
		}
		if got, _ := s.Get("my.photos", "a//b/"); got != host {
			t.Errorf("%s wrote %q", host, got)
		}
		a := request{method: "GET", target: "/?list-type=2&prefix=a", host: host}.do(s)
		if a.status != 200 || a.get("Name") != "my.photos" || !strings.Contains(a.body, "<Key>a//b/</Key>") {
			t.Errorf("list by %s: %d %s", host, a.status, a.body)
		}
		// There, the operator's pages are objects.
		(request{method: "GET", target: "/-/livez", host: host}).do(s).is(refusal{status: 404, code: "NoSuchKey", elements: []string{"Key=-/livez"}})
	}
	// Under the domain itself, and under names that nobody configured, the bucket
	// is in the path.
	for _, host := range []string{"localhost", "s3.localhost" + port, "my.photos.example.com", "127.0.0.1" + port} {
		a := request{method: "GET", target: "/my.photos/a//b/", host: host}.do(s)
		if a.status != 200 {
			t.Errorf("by %s: %d %s", host, a.status, a.body)
		}
	}
	up := request{method: "POST", target: "/big?uploads", host: "my.photos.localhost"}.do(s)
	part := request{method: "PUT", target: "/big?partNumber=1&uploadId=" + up.get("UploadId"), host: "my.photos.localhost", body: "x"}.do(s)
	body := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + part.header.Get("Etag") + "</ETag></Part></CompleteMultipartUpload>"
	done := request{method: "POST", target: "/big?uploadId=" + up.get("UploadId"), host: "my.photos.localhost", body: body}.do(s)
	if got := done.get("Location"); got != "http://my.photos.localhost/big" {
		t.Errorf("location %q", got)
	}
}

// testChecksums: what a client says of its bytes is checked, kept, and told again
// to who asks for it, on whole objects alone.
func testChecksums(t *testing.T, s *coffertest.Server) {
	s.Bucket("checksums", "aws:kms", "", true)
	const body = "123456789" // the check value of the CRC catalogues
	for algorithm, want := range map[types.ChecksumAlgorithm]string{
		types.ChecksumAlgorithmCrc32:     "y/Q5Jg==",
		types.ChecksumAlgorithmCrc32c:    "4waSgw==",
		types.ChecksumAlgorithmCrc64nvme: "rosUhgp5mIg=",
		types.ChecksumAlgorithmSha1:      "98O8HYCOBHMq32eZZczDTKeuNEE=",
		types.ChecksumAlgorithmSha256:    "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
	} {
		key := string(algorithm)
		putWithChecksum(s, "checksums", key, body, algorithm)
		name := "X-Amz-Checksum-" + key
		wrong := "A" + want[1:]
		(request{method: "PUT", target: "/checksums/wrong", body: body, headers: []string{name, wrong}}).do(s).
			is(refusal{status: 400, code: "BadDigest", text: "The " + key + " you specified did not match the calculated checksum."})
		(request{method: "PUT", target: "/checksums/wrong", body: body, headers: []string{name, want[1:]}}).do(s).
			is(refusal{status: 400, code: "InvalidRequest", text: "Value for " + strings.ToLower(name) + " header is invalid."})
		for _, c := range []struct {
			headers []string
			want    string
		}{
			{nil, ""},
			{[]string{"X-Amz-Checksum-Mode", "ENABLED"}, want},
			{[]string{"X-Amz-Checksum-Mode", "ENABLED", "Range", "bytes=0-"}, want},
			{[]string{"X-Amz-Checksum-Mode", "ENABLED", "Range", "bytes=1-"}, ""},
		} {
			a := request{method: "GET", target: "/checksums/" + key, headers: c.headers}.do(s)
			if got := a.header.Get(name); got != c.want || (a.header.Get("X-Amz-Checksum-Type") == "FULL_OBJECT") != (c.want != "") {
				t.Errorf("%s with %v: %q, want %q", key, c.headers, got, c.want)
			}
		}
	}
	// Without one there is a CRC64NVME; Content-MD5 alone changes nothing of that.
	for _, headers := range [][]string{nil, md5Header(body), {"X-Amz-Sdk-Checksum-Algorithm", "SHA256"}} {
		a := request{method: "PUT", target: "/checksums/default", body: body, headers: headers}.do(s)
		if got := a.header.Get("X-Amz-Checksum-Crc64nvme"); a.status != 200 || got != "rosUhgp5mIg=" {
			t.Errorf("with %v: %d %q", headers, a.status, got)
		}
	}
	head := do(t, s.S3.HeadObject, &s3.HeadObjectInput{Bucket: aws.String("checksums"), Key: aws.String("default"), ChecksumMode: types.ChecksumModeEnabled})
	if aws.ToString(head.ChecksumCRC64NVME) != "rosUhgp5mIg=" || head.ChecksumType != types.ChecksumTypeFullObject {
		t.Errorf("HEAD: %+v", head)
	}
	if got := keys(s, "checksums"); strings.Contains(got, "wrong") {
		t.Errorf("stored with a wrong checksum: %s", got)
	}
}

// asLoaded returns a client with the checksums that SDKs have by default: the
// configuration of a test's own client sets none.
func asLoaded(s *coffertest.Server) *s3.Client {
	options := s.S3.Options()
	options.ExpressCredentials = nil // the SDK would write to that of the client, which others use
	return s3.New(options, func(o *s3.Options) {
		o.RequestChecksumCalculation, o.ResponseChecksumValidation = aws.RequestChecksumCalculationWhenSupported, aws.ResponseChecksumValidationWhenSupported
	})
}

// testUploadsAreWholeOrNot: an upload that breaks off leaves nothing, and what was
// there stays.
func testUploadsAreWholeOrNot(t *testing.T, s *coffertest.Server) {
	s.Bucket("whole", "aws:kms", "", true)
	data := bytes.Repeat([]byte("0123456789"), 300_000)
	client := asLoaded(s)
	out := do(t, client.PutObject, &s3.PutObjectInput{
		Bucket: aws.String("whole"), Key: aws.String("k"), Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
	})
	sum := crc32.ChecksumIEEE(data)
	if want := b64([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}); aws.ToString(out.ChecksumCRC32) != want {
		t.Errorf("checksum %q, want %q", aws.ToString(out.ChecksumCRC32), want)
	}
	if got, _ := s.Get("whole", "k"); got != string(data) {
		t.Errorf("%d bytes come back", len(got))
	}
	r := request{method: "PUT", target: "/whole/k", body: string(data)}
	for _, n := range []int{0, 1, 64 << 10, 1 << 20, len(data) - 1} {
		r.cut(s, n).is(refusal{status: 400, code: "IncompleteBody", text: ""})
	}
	r.target = "/whole/new"
	r.cut(s, 100).is(refusal{status: 400, code: "IncompleteBody", text: ""})
	if got, _ := s.Get("whole", "k"); got != string(data) || keys(s, "whole") != "[k]" {
		t.Errorf("half an upload left %d bytes, and %s", len(got), keys(s, "whole"))
	}
}
