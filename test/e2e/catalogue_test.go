// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/test/coffertest"
)

// Headers by which encryption is chosen.
const (
	sseHeader = "x-amz-server-side-encryption"
	keyHeader = "x-amz-server-side-encryption-aws-kms-key-id"
	ctxHeader = "x-amz-server-side-encryption-context"
	bkHeader  = "x-amz-server-side-encryption-bucket-key-enabled"
)

// rejection is an error as S3 gives it: text is the part of the message that clients
// are known to look at, argument and value are ArgumentName and ArgumentValue.
type rejection struct {
	status     int
	code, text string
	argument   string  // "" for none
	value      *string // nil for none
}

func invalid(text, argument string) rejection {
	return rejection{400, "InvalidArgument", text, argument, nil}
}

func (r rejection) of(value string) rejection {
	r.value = &value
	return r
}

// The catalogue of what S3 says about encryption.
var (
	unsupportedMethod = invalid("encryption method specified is not supported", sseHeader)
	needsKMS          = invalid("requires HTTP header x-amz-server-side-encryption : aws:kms", sseHeader)
	notHere           = invalid("is not supported for this operation", sseHeader)
	badContext        = invalid("string-string map", ctxHeader)
	badFlag           = invalid("must be true or false", bkHeader)
	emptyKey          = invalid("key id specified is empty", keyHeader)
	kmsInsecure       = invalid("must be made over a secure connection", sseHeader)

	customerInsecure  = invalid("must be made over a secure connection", sseHeader)
	customerMixed     = invalid("is incompatible with the encryption method specified", sseHeader)
	customerAlgorithm = rejection{400, "InvalidEncryptionAlgorithmError", "Supported value: AES256", sseHeader, nil}
	customerNoAlg     = invalid("a valid encryption algorithm", sseHeader)
	customerNoKey     = invalid("an appropriate secret key", sseHeader)
	customerNoMD5     = invalid("the client calculated MD5 of the secret key", sseHeader)
	customerLength    = invalid("secret key was invalid for the specified algorithm", sseHeader)
	customerMD5       = invalid("calculated MD5 hash of the key did not match", sseHeader)
	customerNeeded    = invalidRequest("was stored using a form of Server Side Encryption")
	customerWrong     = rejection{403, "AccessDenied", "the correct secret key", "", nil}
	customerNotHere   = invalidRequest("are not applicable to this object")
	customerBlocked   = rejection{403, "AccessDenied", "has blocked upload requests that specify Server Side Encryption with Customer provided keys (SSE-C)", "", nil}
	uploadNeedsKey    = invalidRequest("multipart upload initiate requested encryption")
	uploadOtherKey    = invalidRequest("did not match the ones used originally")

	selfCopy      = invalidRequest("This copy request is illegal")
	malformed     = rejection{400, "MalformedXML", "not well-formed or did not validate", "", nil}
	keyNotForThis = invalid("a KMSMasterKeyID is not applicable", "ApplyServerSideEncryptionByDefault")
	badDigest     = rejection{400, "BadDigest", "you specified did not match", "", nil}
	noDigest      = invalidRequest("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
)

// What S3 says of other things, under every encryption.
var (
	noSuchBucket    = rejection{404, "NoSuchBucket", "The specified bucket does not exist", "", nil}
	noSuchKey       = rejection{404, "NoSuchKey", "The specified key does not exist", "", nil}
	noSuchVersion   = rejection{404, "NoSuchVersion", "The specified version does not exist", "", nil}
	noSuchUpload    = rejection{404, "NoSuchUpload", "The specified upload does not exist", "", nil}
	wrongMethod     = rejection{405, "MethodNotAllowed", "not allowed against this resource", "", nil}
	failedCondition = rejection{412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", "", nil}
	noSuchRange     = rejection{416, "InvalidRange", "The requested range is not satisfiable", "", nil}
	noSuchPart      = rejection{416, "InvalidPartNumber", "The requested partnumber is not satisfiable", "", nil}
	rangeAndPart    = invalidRequest("Cannot specify both Range header and partNumber query parameter")
	denied          = rejection{403, "AccessDenied", "Access Denied", "", nil}
	internalError   = rejection{500, "InternalError", "We encountered an internal error", "", nil}
	unavailable     = rejection{503, "ServiceUnavailable", "Service is unable to handle request", "", nil}
)

func invalidRequest(text string) rejection { return rejection{400, "InvalidRequest", text, "", nil} }

func kmsFault(code, text string) rejection { return rejection{400, "KMS." + code, text, "", nil} }

// errorXML is the body of an error.
type errorXML struct {
	XMLName                     xml.Name `xml:"Error"`
	Code, Message               string
	ArgumentName, ArgumentValue *string
}

// refused fails unless the answer is that error. An answer to HEAD has its status
// alone.
func (a answer) isRejected(what string, head bool, want rejection) {
	a.t.Helper()
	if head {
		if a.status != want.status || a.body != "" {
			a.t.Errorf("%s: HEAD got %d %q, want %d without a body", what, a.status, a.body, want.status)
		}
		return
	}
	var got errorXML
	if err := xml.Unmarshal([]byte(a.body), &got); err != nil {
		a.t.Errorf("%s: got %d %q, want %d %s", what, a.status, a.body, want.status, want.code)
		return
	}
	if a.status != want.status || got.Code != want.code || !strings.Contains(got.Message, want.text) {
		a.t.Errorf("%s: got %d %s %q, want %d %s %q", what, a.status, got.Code, got.Message, want.status, want.code, want.text)
	}
	if aws.ToString(got.ArgumentName) != want.argument || !same(got.ArgumentValue, want.value) {
		a.t.Errorf("%s: %s is about %s = %s, want %s = %s", what, got.Code,
			aws.ToString(got.ArgumentName), shown(got.ArgumentValue), want.argument, shown(want.value))
	}
}

func same(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

func shown(s *string) string {
	if s == nil {
		return "(none)"
	}
	return fmt.Sprintf("%q", *s)
}

// refuses sends a request and fails unless it is refused.
func (s *stage) refuses(what string, want rejection, method, target, body string, headers ...string) {
	s.T.Helper()
	s.raw(method, target, body, headers...).isRejected(what, method == "HEAD", want)
}

// accepts sends a request and fails unless it is done.
func (s *stage) accepts(what, method, target, body string, headers ...string) answer {
	s.T.Helper()
	return s.raw(method, target, body, headers...).isDone(what)
}

// isDone fails unless the answer is a success.
func (a answer) isDone(what string) answer {
	a.t.Helper()
	if a.status/100 != 2 {
		a.t.Errorf("%s: got %d %s, want success", what, a.status, a.body)
	}
	return a
}

// with returns headers with others after them.
func with(headers []string, more ...string) []string { return slices.Concat(headers, more) }

// digested is the header that says what the MD5 of a body is.
func digested(body string) []string {
	sum := fips.MD5([]byte(body))
	return []string{"Content-MD5", base64.StdEncoding.EncodeToString(sum[:])}
}

// unblock lets a bucket take objects under customers' keys.
func unblock(s *coffertest.Server, bucket string) {
	s.T.Helper()
	_, err := s.S3.PutBucketEncryption(s.T.Context(), &s3.PutBucketEncryptionInput{
		Bucket: &bucket,
		ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{{
			BlockedEncryptionTypes: &types.BlockedEncryptionTypes{EncryptionType: []types.EncryptionType{types.EncryptionTypeNone}},
		}}},
	})
	if err != nil {
		s.T.Fatalf("unblock SSE-C: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	newStage(t).each(t, shared{"form", formOfRefusals}, shared{"others", otherRefusals})
}

// otherRefusals are the rows of the catalogue that are not about encryption
// alone, for objects that are encrypted.
func otherRefusals(t *testing.T, s *stage) {
	s.Versioning("vault", types.BucketVersioningStatusEnabled)
	s.Bucket("plain", "", "", false)
	s.Put("plain", "src", "source")
	s.Put("vault", "k", "body")
	elsewhere := *s.Put("vault", "other", "body").VersionId
	gone, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("vault"), Key: aws.String("gone")})
	if err != nil {
		t.Fatal(err)
	}
	config := defaultXML("<SSEAlgorithm>AES256</SSEAlgorithm>")
	for _, c := range []struct {
		what                 string
		want                 rejection
		method, target, body string
		headers              []string
	}{
		{"copy onto itself", selfCopy, "PUT", "/plain/src", "", []string{"x-amz-copy-source", "plain/src"}},
		{"wrong MD5", badDigest, "PUT", "/vault/k", "body", digested("other")},
		{"wrong checksum", badDigest, "PUT", "/vault/k", "body", []string{"x-amz-checksum-crc32", "AAAAAA=="}},
		{"wrong MD5 of a document", badDigest, "PUT", "/vault?encryption", config, digested("other")},
		{"no digest of a document", noDigest, "PUT", "/vault/k?encryption", config, nil},
		{"MD5 that is none", rejection{400, "InvalidDigest", "The Content-MD5 you specified was invalid", "", nil}, "PUT", "/vault/k", "body", []string{"Content-MD5", "nonsense"}},
		{"missing bucket", noSuchBucket, "PUT", "/missing/k", "", nil},
		{"missing bucket of a configuration", noSuchBucket, "PUT", "/missing?encryption", "<nonsense", digested("<nonsense")},
		{"missing object", noSuchKey, "GET", "/vault/missing", "", nil},
		{"missing object, HEAD", noSuchKey, "HEAD", "/vault/missing", "", nil},
		{"missing version", noSuchVersion, "GET", "/vault/k?versionId=" + elsewhere, "", nil},
		{"missing upload", noSuchUpload, "PUT", "/vault/k?partNumber=1&uploadId=" + strings.Repeat("0", 32), "", nil},
		{"delete marker", wrongMethod, "GET", "/vault/gone?versionId=" + *gone.VersionId, "", nil},
		{"range behind the end", noSuchRange, "GET", "/vault/k", "", []string{"Range", "bytes=9-"}},
		{"missing part", noSuchPart, "GET", "/vault/k?partNumber=2", "", nil},
		{"range and part", rangeAndPart, "GET", "/vault/k?partNumber=1", "", []string{"Range", "bytes=0-1"}},
		{"condition not met", failedCondition, "GET", "/vault/k", "", []string{"If-Match", `"other"`}},
		{"what is not offered", wrongMethod, "POST", "/vault/k?select&select-type=2", "", nil},
		{"a configuration that was never put", rejection{200, "", "", "", nil}, "GET", "/plain?encryption", "", nil},
	} {
		if c.want.status == 200 { // never ServerSideEncryptionConfigurationNotFoundError
			s.accepts(c.what, c.method, c.target, c.body, c.headers...)
			continue
		}
		s.refuses(c.what, c.want, c.method, c.target, c.body, c.headers...)
	}
	if a := s.raw("GET", "/vault/k", "", "If-None-Match", "*"); a.status != 304 || a.body != "" || len(encryptionOf(a.header)) > 0 {
		t.Errorf("an object that has not changed: %d %q %v", a.status, a.body, encryptionOf(a.header))
	}
}

// encryptionOf returns the headers that tell how an object is encrypted, by names
// without their common part.
func encryptionOf(h http.Header) map[string]string {
	found := map[string]string{}
	for name, values := range h {
		if rest, ok := strings.CutPrefix(strings.ToLower(name), sseHeader); ok {
			found[strings.TrimPrefix(rest, "-")] = strings.Join(values, ",")
		}
	}
	return found
}

// formOfRefusals asserts the form of an error's body.
func formOfRefusals(t *testing.T, s *stage) {
	a := s.raw("PUT", "/vault/k", "", sseHeader, "rot13")
	id := a.header.Get("X-Amz-Request-Id")
	order := []string{"<Error><Code>InvalidArgument</Code><Message>", "</Message><ArgumentName>" + sseHeader + "</ArgumentName>",
		"<ArgumentValue>rot13</ArgumentValue><RequestId>" + id + "</RequestId><HostId>", "</HostId></Error>"}
	rest := a.body
	for _, piece := range order {
		_, after, ok := strings.Cut(rest, piece)
		if !ok {
			t.Fatalf("%s\nlacks %s", a.body, piece)
		}
		rest = after
	}
	if got := a.header.Get("Content-Type"); got != "application/xml" || id == "" {
		t.Errorf("Content-Type %q, request id %q", got, id)
	}
}
