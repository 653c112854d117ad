// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/xml"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// creating are the operations that choose an encryption, into bucket vault. Each
// sends a request with these headers; those of a form are its fields.
var creating = map[string]func(s *stage, headers ...string) answer{
	"PutObject":             sending("PUT", "/vault/k"),
	"CopyObject":            sending("PUT", "/vault/k", "x-amz-copy-source", "plain/src"),
	"CreateMultipartUpload": sending("POST", "/vault/k?uploads"),
	"PostObject": func(s *stage, headers ...string) answer {
		s.T.Helper()
		var head, fields []string
		for i := 0; i+1 < len(headers); i += 2 {
			if strings.HasPrefix(headers[i], "x-amz-") {
				fields = append(fields, headers[i:i+2]...)
			} else {
				head = append(head, headers[i:i+2]...)
			}
		}
		return form{bucket: "vault", key: "k", head: head, fields: fields}.send(s.Server)
	},
}

func sending(method, target string, always ...string) func(s *stage, headers ...string) answer {
	return func(s *stage, headers ...string) answer {
		s.T.Helper()
		return s.raw(method, target, "", with(always, headers...)...)
	}
}

// choices is a stage with a second bucket, that encrypts with SSE-S3 and has an
// object, where customers' keys are not blocked either.
func choices(t *testing.T) *stage {
	s := newStage(t)
	unblock(s.Server, "vault")
	s.Bucket("plain", "", "", false)
	unblock(s.Server, "plain")
	s.Put("plain", "src", "source")
	return s
}

func TestCombinations(t *testing.T) {
	choices(t).each(t, shared{"no sense", combinationsThatMakeNoSense}, shared{"contexts that are none", contextsThatAreNone},
		shared{"sense", combinationsThatMakeSense}, shared{"nothing created", noChoiceWhereNothingIsCreated})
}

func combinationsThatMakeNoSense(t *testing.T, s *stage) {
	pairs := contextHeader(`{"dept":"x"}`)
	trio := trioOf(keyA)
	for _, c := range []struct {
		what    string
		headers []string
		want    rejection
	}{
		{"unknown method", []string{sseHeader, "rot13"}, unsupportedMethod.of("rot13")},
		{"method in the wrong case", []string{sseHeader, "aws:KMS"}, unsupportedMethod.of("aws:KMS")},
		{"method of file systems", []string{sseHeader, "aws:fsx"}, unsupportedMethod.of("aws:fsx")},
		{"empty method", []string{sseHeader, ""}, unsupportedMethod.of("")},
		{"two methods", []string{sseHeader, "AES256", sseHeader, "aws:kms"}, unsupportedMethod.of("AES256,aws:kms")},
		{"key with SSE-S3", []string{sseHeader, "AES256", keyHeader, s.k2}, needsKMS},
		{"key alone, where the default is KMS", []string{keyHeader, s.k1}, needsKMS},
		{"context with SSE-S3", []string{sseHeader, "AES256", ctxHeader, pairs}, needsKMS},
		{"context alone", []string{ctxHeader, pairs}, needsKMS},
		{"empty key id", []string{sseHeader, "aws:kms", keyHeader, ""}, emptyKey.of("")},
		{"flag that is none", []string{sseHeader, "aws:kms", bkHeader, "maybe"}, badFlag.of("maybe")},
		{"flag that is none, for the default", []string{bkHeader, "1"}, badFlag.of("1")},
		{"customer's key and SSE-S3", with(trio, sseHeader, "AES256"), customerMixed.of("AES256")},
		{"customer's key and SSE-KMS", with(trio, sseHeader, "aws:kms"), customerMixed.of("aws:kms")},
		{"half a customer's key and an unknown method", []string{customerHeader + "algorithm", "rot26", sseHeader, "rot13"}, customerMixed.of("rot13")},
		{"customer's key and a KMS key", with(trio, keyHeader, s.k1), needsKMS},
		{"customer's key and a context", with(trio, ctxHeader, pairs), needsKMS},
	} {
		for op, create := range creating {
			create(s, c.headers...).isRejected(op+", "+c.what, false, c.want)
		}
	}
	_, err := s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("vault"), Key: aws.String("k")})
	wantCode(t, err, 404, "NotFound")
}

func combinationsThatMakeSense(t *testing.T, s *stage) {
	pairs := contextHeader(`{"dept":"x"}`)
	for _, c := range []struct {
		what    string
		headers []string
		want    applied
	}{
		{"KMS with a key and a context", []string{sseHeader, "aws:kms", keyHeader, s.k2, ctxHeader, pairs}, applied{"aws:kms", s.k2, true}},
		{"DSSE with a key and a context", []string{sseHeader, "aws:kms:dsse", keyHeader, s.k2, ctxHeader, pairs}, applied{"aws:kms:dsse", s.k2, false}},
		{"the flag for SSE-S3", []string{sseHeader, "AES256", bkHeader, "true"}, applied{"AES256", "", false}},
		{"the flag for DSSE", []string{sseHeader, "aws:kms:dsse", keyHeader, s.k1, bkHeader, "true"}, applied{"aws:kms:dsse", s.k1, false}},
		{"the flag in capitals", []string{bkHeader, "FALSE"}, applied{"aws:kms", s.k1, false}},
		{"the flag with a customer's key", with(trioOf(keyA), bkHeader, "true"), applied{}},
		{"no flag with a customer's key", with(trioOf(keyA), bkHeader, "maybe"), applied{}},
	} {
		for op, create := range creating {
			h := create(s, c.headers...).isDone(op + ", " + c.what).header
			got := applied{h.Get(sseHeader), h.Get(keyHeader), h.Get(bkHeader) == "true"}
			if got != c.want || !got.bk && h[http.CanonicalHeaderKey(bkHeader)] != nil {
				t.Errorf("%s, %s: %v, want %v", op, c.what, got, c.want)
			}
		}
	}
}

// noChoiceWhereNothingIsCreated sends the headers that choose an encryption to
// operations that take none.
func noChoiceWhereNothingIsCreated(t *testing.T, s *stage) {
	s.Put("vault", "k", "body")
	part := s.begin("vault", "parts")
	pairs := contextHeader(`{"dept":"x"}`)
	attributes := []string{"x-amz-object-attributes", "ETag"}
	for op, r := range map[string]struct {
		method, target string
		headers        []string
	}{
		"UploadPart":          {"PUT", part + "&partNumber=1", nil},
		"UploadPartCopy":      {"PUT", part + "&partNumber=2", []string{"x-amz-copy-source", "plain/src"}},
		"GetObject":           {"GET", "/vault/k", nil},
		"GetObject, range":    {"GET", "/vault/k", []string{"Range", "bytes=1-2"}},
		"GetObject, part":     {"GET", "/vault/k?partNumber=1", nil},
		"HeadObject":          {"HEAD", "/vault/k", nil},
		"GetObjectAttributes": {"GET", "/vault/k?attributes", attributes},
	} {
		for _, method := range []string{"AES256", "aws:kms", "aws:kms:dsse", "rot13", ""} {
			s.refuses(op+" with a method", notHere.of(method), r.method, r.target, "", with(r.headers, sseHeader, method)...)
		}
		s.refuses(op+" with a key", needsKMS, r.method, r.target, "", with(r.headers, keyHeader, s.k1)...)
		s.refuses(op+" with a context", needsKMS, r.method, r.target, "", with(r.headers, ctxHeader, pairs)...)
		s.accepts(op+" with the flag", r.method, r.target, "", with(r.headers, bkHeader, "maybe")...)
	}
	etag := s.accepts("UploadPart", "PUT", part+"&partNumber=1", "part").header.Get("ETag")
	complete := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + etag + "</ETag></Part></CompleteMultipartUpload>"
	nonsense := func(prefix string) []string {
		return []string{prefix + "algorithm", "rot26", prefix + "key", "nonsense", prefix + "key-MD5", "nonsense"}
	}
	// The key of a copy's source is nobody's business where nothing is copied.
	other := s.begin("vault", "aborted", nonsense(sourceHeader)...)
	all := with([]string{sseHeader, "rot13", keyHeader, "nonsense", ctxHeader, "nonsense", bkHeader, "nonsense"}, nonsense(sourceHeader)...)
	for op, r := range map[string][3]string{
		"PutObject": {"PUT", "/vault/k", "body"}, "GetObject": {"GET", "/vault/k"}, "HeadObject": {"HEAD", "/vault/k"}, "UploadPart": {"PUT", part + "&partNumber=2", "part"},
	} {
		s.accepts(op, r[0], r[1], r[2], nonsense(sourceHeader)...)
	}
	s.accepts("GetObjectAttributes", "GET", "/vault/k?attributes", "", with(attributes, nonsense(sourceHeader)...)...)
	form{bucket: "vault", key: "k", body: "body", fields: nonsense(sourceHeader)}.send(s.Server).isDone("PostObject")
	tags := "<Tagging><TagSet></TagSet></Tagging>"
	for _, r := range []struct{ op, method, target, body string }{
		{"ListParts", "GET", part, ""},
		{"CompleteMultipartUpload", "POST", part, complete},
	} {
		s.accepts(r.op, r.method, r.target, r.body, all...)
	}
	all = with(all, nonsense(customerHeader)...)
	for _, r := range []struct{ op, method, target, body string }{
		{"AbortMultipartUpload", "DELETE", other, ""},
		{"ListMultipartUploads", "GET", "/vault?uploads", ""},
		{"ListObjectsV2", "GET", "/vault?list-type=2", ""},
		{"ListObjects", "GET", "/vault", ""},
		{"ListObjectVersions", "GET", "/vault?versions", ""},
		{"PutObjectTagging", "PUT", "/vault/k?tagging", tags},
		{"GetObjectTagging", "GET", "/vault/k?tagging", ""},
		{"UpdateObjectEncryption", "PUT", "/vault/k?encryption", updateXML(s.k2, "true")},
		{"DeleteObjectTagging", "DELETE", "/vault/k?tagging", ""},
		{"DeleteObject", "DELETE", "/vault/k", ""},
		{"DeleteObjects", "POST", "/vault?delete", "<Delete><Object><Key>parts</Key></Object></Delete>"},
		{"HeadBucket", "HEAD", "/vault", ""},
		{"CreateBucket", "PUT", "/third", ""},
	} {
		s.accepts(r.op, r.method, r.target, r.body, with(digested(r.body), all...)...)
	}
}

// begin begins an upload and returns its target.
func (s *stage) begin(bucket, key string, headers ...string) string {
	s.T.Helper()
	a := s.accepts("CreateMultipartUpload", "POST", "/"+bucket+"/"+key+"?uploads", "", headers...)
	var out struct {
		UploadID string `xml:"UploadId"`
	}
	if err := xml.Unmarshal([]byte(a.body), &out); err != nil {
		s.T.Fatal(err)
	}
	return "/" + bucket + "/" + key + "?uploadId=" + out.UploadID
}
