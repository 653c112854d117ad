// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/test/coffertest"
)

// sseHeader begins the names of encryption headers.

// testEncryptionThatIsRefused: combinations of encryption headers that no bucket
// makes valid, on all operations that make objects; keys that do not serve; and
// headers where none can be chosen.
func testEncryptionThatIsRefused(t *testing.T, s *coffertest.Server) {
	disabled, pending := s.Key(), s.Key()
	s.Bucket("bad-encryption", "aws:kms", s.Key(), true)
	s.Put("bad-encryption", "k", "0123456789")
	s.DisableKey(disabled)
	do(t, s.KMS.ScheduleKeyDeletion, &kms.ScheduleKeyDeletionInput{KeyId: &pending})
	const (
		needs   = "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"
		missing = "11111111-2222-3333-4444-555555555555"
		arn     = "arn:aws:kms:us-east-1:" + coffertest.Account + ":key/"
	)
	method := func(value string) []string { return []string{"ArgumentName=" + sseHeader, "ArgumentValue=" + value} }
	wants := func(headers ...string) []string { return append([]string{sseHeader, "aws:kms"}, headers...) }
	key := func(id string) []string { return wants(sseHeader+"-aws-kms-key-id", id) }
	for _, c := range []struct {
		name       string
		headers    []string
		code, text string
		elements   []string
	}{
		{"an unknown method", []string{sseHeader, "rot13"}, "InvalidArgument", "The encryption method specified is not supported", method("rot13")},
		{"another case", []string{sseHeader, "aes256"}, "InvalidArgument", "The encryption method specified is not supported", method("aes256")},
		{"an empty method", []string{sseHeader, ""}, "InvalidArgument", "The encryption method specified is not supported", method("")},
		{"a method of file systems", []string{sseHeader, "aws:fsx"}, "InvalidArgument", "The encryption method specified is not supported", method("aws:fsx")},
		{"a key without method", []string{sseHeader + "-aws-kms-key-id", disabled}, "InvalidArgument", needs, []string{"ArgumentName=" + sseHeader}},
		{"a key with AES256", []string{sseHeader, "AES256", sseHeader + "-aws-kms-key-id", disabled}, "InvalidArgument", needs, []string{"ArgumentName=" + sseHeader}},
		{"a context without method", []string{sseHeader + "-context", b64([]byte(`{"a":"b"}`))}, "InvalidArgument", needs, []string{"ArgumentName=" + sseHeader}},
		{"a context with AES256", []string{sseHeader, "AES256", sseHeader + "-context", b64([]byte(`{"a":"b"}`))}, "InvalidArgument", needs, []string{"ArgumentName=" + sseHeader}},
		{"an empty key", key(""), "InvalidArgument", "", []string{"ArgumentName=" + sseHeader + "-aws-kms-key-id", "ArgumentValue="}},
		{"a bucket key that is no boolean", wants(sseHeader+"-bucket-key-enabled", "yes"), "InvalidArgument", "must be true or false", []string{"ArgumentName=" + sseHeader + "-bucket-key-enabled", "ArgumentValue=yes"}},

		{"no key id", key("fake-key-id"), "KMS.NotFoundException", "Invalid keyId 'fake-key-id'", nil},
		{"the managed key's name without alias", key("aws/s3"), "KMS.NotFoundException", "Invalid keyId 'aws/s3'", nil},
		{"a key that is not there", key(missing), "KMS.NotFoundException", "Key '" + arn + missing + "' does not exist", nil},
		{"the ARN of one", key(arn + missing), "KMS.NotFoundException", "Key '" + arn + missing + "' does not exist", nil},
		{"a multi-Region key that is not there", key("mrk-" + strings.Repeat("0", 32)), "KMS.NotFoundException", "does not exist", nil},
		{"another region", key(strings.Replace(arn, "us-east-1", "eu-west-1", 1) + missing), "KMS.NotFoundException", "Invalid arn eu-west-1", nil},
		{"an alias that is not there", key("alias/nothing"), "KMS.NotFoundException", "Alias arn:aws:kms:us-east-1:" + coffertest.Account + ":alias/nothing is not found.", nil},
		{"a disabled key", key(disabled), "KMS.DisabledException", disabled + " is disabled.", nil},
		{"a key pending deletion", key(keyIDOf(pending)), "KMS.KMSInvalidStateException", pending + " is pending deletion.", nil},
	} {
		for what, r := range map[string]request{
			"PutObject":             {method: "PUT", target: "/bad-encryption/new", body: "x", headers: c.headers},
			"CopyObject":            {method: "PUT", target: "/bad-encryption/new", headers: append([]string{"x-amz-copy-source", "bad-encryption/k"}, c.headers...)},
			"CopyObject in place":   {method: "PUT", target: "/bad-encryption/k", headers: append([]string{"x-amz-copy-source", "bad-encryption/k"}, c.headers...)},
			"CreateMultipartUpload": {method: "POST", target: "/bad-encryption/new?uploads", headers: c.headers},
		} {
			t.Run(c.name+"/"+what, func(t *testing.T) {
				a := r.do(s)
				a.t = t
				a.is(refusal{status: 400, code: c.code, text: c.text, elements: c.elements})
			})
		}
	}
	if got, _ := s.Get("bad-encryption", "k"); got != "0123456789" || keys(s, "bad-encryption") != "[k]" {
		t.Errorf("stored %s, %q", keys(s, "bad-encryption"), got)
	}
	if out := do(t, s.S3.ListMultipartUploads, &s3.ListMultipartUploadsInput{Bucket: aws.String("bad-encryption")}); len(out.Uploads) != 0 {
		t.Errorf("uploads began: %+v", out.Uploads)
	}
	get := func(target string, headers ...string) request {
		return request{method: "GET", target: target, headers: headers}
	}
	const not = "x-amz-server-side-encryption header is not supported for this operation."
	refuse(t, s, []refusal{
		{"a read with a method", get("/bad-encryption/k", sseHeader, "aws:kms"), 400, "InvalidArgument", not, method("aws:kms")},
		{"a range with one", get("/bad-encryption/k", sseHeader, "AES256", "Range", "bytes=0-1"), 400, "InvalidArgument", not, method("AES256")},
		{"nothing there, with one", get("/bad-encryption/missing", sseHeader, "aws:kms"), 400, "InvalidArgument", not, method("aws:kms")},
		{"a read with a key", get("/bad-encryption/k", sseHeader+"-aws-kms-key-id", disabled), 400, "InvalidArgument", needs, []string{"ArgumentName=" + sseHeader}},
		{"HEAD with a method", request{method: "HEAD", target: "/bad-encryption/k", headers: []string{sseHeader, "aws:kms"}}, 400, "", "", nil},
	})
	if a := get("/bad-encryption/k", sseHeader+"-bucket-key-enabled", "nonsense").do(s); a.status != 200 {
		t.Errorf("a read with a bucket key flag: %d", a.status)
	}
}

// testConfigurationsThatAreRefused: documents about buckets.
func testConfigurationsThatAreRefused(t *testing.T, s *coffertest.Server) {
	s.Bucket("bad-documents", "aws:kms", s.Key(), true)
	before := request{method: "GET", target: "/bad-documents?encryption"}.do(s).body
	put := func(target, body string) request {
		return request{method: "PUT", target: target, body: body, headers: md5Header(body)}
	}
	encryption := func(name, rules, code, text string, elements ...string) refusal {
		return refusal{name, put("/bad-documents?encryption", "<ServerSideEncryptionConfiguration>"+rules+"</ServerSideEncryptionConfiguration>"), 400, code, text, elements}
	}
	rule := func(algorithm, more string) string {
		return "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>" + algorithm + "</SSEAlgorithm>" + more + "</ApplyServerSideEncryptionByDefault></Rule>"
	}
	malformed := func(name, rules string) refusal { return encryption(name, rules, "MalformedXML", "well-formed") }
	versioning := func(name, body, code string) refusal {
		return refusal{name, put("/bad-documents?versioning", body), 400, code, "", nil}
	}
	create := func(name, bucket, body, code string, status int, elements ...string) refusal {
		return refusal{name, request{method: "PUT", target: "/" + bucket, body: body}, status, code, "", elements}
	}
	wrong := md5Header("another")
	digest := func(name string, headers []string, code, text string, elements ...string) refusal {
		r := put("/bad-documents?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
		r.headers = headers
		return refusal{name, r, 400, code, text, elements}
	}
	owner := func(id string) request {
		return request{method: "GET", target: "/bad-documents?versioning", headers: []string{"x-amz-expected-bucket-owner", id}}
	}
	const location = "<CreateBucketConfiguration><LocationConstraint>%s</LocationConstraint></CreateBucketConfiguration>"
	refuse(t, s, []refusal{
		malformed("no rule", ""), malformed("two rules", rule("AES256", "")+rule("AES256", "")), malformed("an empty rule", "<Rule/>"),
		malformed("an unknown algorithm", rule("rot13", "")), malformed("SSE-C", rule("SSE-C", "")), malformed("of file systems", rule("aws:fsx", "")),
		malformed("no algorithm", "<Rule><ApplyServerSideEncryptionByDefault/></Rule>"),
		malformed("a misspelt key", rule("aws:kms", "<KMSKeyId>x</KMSKeyId>")),
		malformed("a bucket key that is no boolean", "<Rule><BucketKeyEnabled>yes</BucketKeyEnabled></Rule>"),
		malformed("an unknown blocked type", "<Rule><BlockedEncryptionTypes><EncryptionType>AES256</EncryptionType></BlockedEncryptionTypes></Rule>"),
		malformed("both blocked types", "<Rule><BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule>"),
		malformed("no blocked type", "<Rule><BlockedEncryptionTypes/></Rule>"), malformed("an open element", "<Rule>"),
		encryption("a key of AES256", rule("AES256", "<KMSMasterKeyID>x</KMSMasterKeyID>"), "InvalidArgument",
			"a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse", "ArgumentName=ApplyServerSideEncryptionByDefault"),
		{"another root", put("/bad-documents?encryption", "<Encryption/>"), 400, "MalformedXML", "well-formed", nil},
		{"no document", put("/bad-documents?encryption", ""), 400, "MalformedXML", "well-formed", nil},
		{"no XML", put("/bad-documents?encryption", `{"Rules":[]}`), 400, "MalformedXML", "well-formed", nil},
		{"an entity", put("/bad-documents?encryption", `<!DOCTYPE x [<!ENTITY e "AES256">]><ServerSideEncryptionConfiguration>`+rule("&e;", "")+`</ServerSideEncryptionConfiguration>`), 400, "MalformedXML", "well-formed", nil},
		{"no digest", request{method: "PUT", target: "/bad-documents?lifecycle", body: "<x/>"}, 400, "InvalidRequest", "Content-MD5", nil},
		{"no bucket before no XML", put("/nobody?encryption", "nonsense"), 404, "NoSuchBucket", "", []string{"BucketName=nobody"}},
		{"nobody's", request{method: "GET", target: "/nobody?encryption"}, 404, "NoSuchBucket", "", []string{"BucketName=nobody"}},
		{"nobody's to delete", request{method: "DELETE", target: "/nobody?encryption"}, 404, "NoSuchBucket", "", []string{"BucketName=nobody"}},

		versioning("an unknown status", "<VersioningConfiguration><Status>enabled</Status></VersioningConfiguration>", "MalformedXML"),
		versioning("off", "<VersioningConfiguration><Status>Disabled</Status></VersioningConfiguration>", "MalformedXML"),
		versioning("no status", "<VersioningConfiguration/>", "IllegalVersioningConfigurationException"),

		digest("a wrong MD5", wrong, "BadDigest", "Content-MD5 you specified did not match", "ExpectedDigest="+wrong[1], "CalculatedDigest"),
		digest("no MD5", []string{"Content-MD5", "nonsense"}, "InvalidDigest", "The Content-MD5 you specified was invalid.", "Content-MD5=nonsense"),
		digest("a wrong checksum", []string{"x-amz-checksum-crc32", "AAAAAA=="}, "BadDigest", "The CRC32 you specified did not match the calculated checksum."),
		digest("no checksum", []string{"x-amz-checksum-sha256", "AAAAAA=="}, "InvalidRequest", "Value for x-amz-checksum-sha256 header is invalid."),
		digest("only its name", []string{"x-amz-sdk-checksum-algorithm", "CRC32"}, "InvalidRequest", "x-amz-sdk-checksum-algorithm specified, but no corresponding"),

		{"another owner", owner("999999999999"), 403, "AccessDenied", "Access Denied", nil},
		{"no owner", owner("nobody"), 400, "InvalidBucketOwnerAWSAccountID", "must be an AWS Account ID... [nobody]", nil},

		create("a short name", "ab", "", "InvalidBucketName", 400, "BucketName=ab"),
		create("capitals", "Photos", "", "InvalidBucketName", 400, "BucketName=Photos"),
		create("an address", "192.168.1.1", "", "InvalidBucketName", 400, "BucketName=192.168.1.1"),
		create("the default region, in words", "new", fmt.Sprintf(location, "us-east-1"), "InvalidLocationConstraint", 400, "LocationConstraint=us-east-1"),
		create("another region", "new", fmt.Sprintf(location, "eu-west-1"), "IllegalLocationConstraintException", 400),
		create("no document", "new", "<CreateBucketConfiguration>", "MalformedXML", 400),
		create("a directory", "new", "<CreateBucketConfiguration><Bucket><Type>Directory</Type></Bucket></CreateBucketConfiguration>", "NotImplemented", 501),
		{"a public bucket", request{method: "PUT", target: "/new", headers: []string{"x-amz-acl", "public-read"}}, 400, "InvalidBucketAclWithObjectOwnership", "", nil},
		{"an ownership", request{method: "PUT", target: "/new", headers: []string{"x-amz-object-ownership", "Nobody"}}, 400, "InvalidArgument", "Invalid x-amz-object-ownership header: Nobody", []string{"ArgumentName", "ArgumentValue=Nobody"}},
	})
	if after := (request{method: "GET", target: "/bad-documents?encryption"}).do(s).body; after != before {
		t.Errorf("what was refused left %s", after)
	}
	if out := do(t, s.S3.GetBucketVersioning, &s3.GetBucketVersioningInput{Bucket: aws.String("bad-documents")}); out.Status != "" {
		t.Errorf("what was refused left %q", out.Status)
	}
	fails(t, s.S3.HeadBucket, &s3.HeadBucketInput{Bucket: aws.String("new")}, 404, "NotFound", "")
}

// testObjectsThatAreRefused: keys, metadata, digests and documents about objects.
func testObjectsThatAreRefused(t *testing.T, s *coffertest.Server) {
	s.Bucket("bad-objects", "", "", false)
	s.Put("bad-objects", "k", "old")
	put := func(target string, headers ...string) request {
		return request{method: "PUT", target: target, body: "123456789", headers: headers}
	}
	drop := func(name, objects string) refusal {
		body := "<Delete>" + objects + "</Delete>"
		return refusal{name, request{method: "POST", target: "/bad-objects?delete", body: body, headers: md5Header(body)}, 400, "MalformedXML", "well-formed", nil}
	}
	wrong := md5Header("another")
	sum := fips.MD5([]byte("123456789"))
	longKey := strings.Repeat("k", 1025)
	tooMany := strings.Repeat("<Object><Key>k</Key></Object>", 1001)
	long := "<Delete>" + strings.Repeat(" ", 9<<20) + "</Delete>"
	refuse(t, s, []refusal{
		{"a long key", put("/bad-objects/" + longKey), 400, "KeyTooLongError", "Your key is too long", []string{"Size=1025", "MaxSizeAllowed=1024"}},
		{"a long key of an upload", request{method: "POST", target: "/bad-objects/" + longKey + "?uploads"}, 400, "KeyTooLongError", "Your key is too long", []string{"Size=1025", "MaxSizeAllowed=1024"}},
		{"much metadata", put("/bad-objects/k", "x-amz-meta-a", strings.Repeat("m", 2048)), 400, "MetadataTooLarge", "exceed the maximum", []string{"Size=2049", "MaxSizeAllowed=2048"}},
		{"a storage class", put("/bad-objects/k", "x-amz-storage-class", "GOLD"), 400, "InvalidStorageClass", "not valid", []string{"StorageClassRequested=GOLD"}},
		{"a public object", put("/bad-objects/k", "x-amz-acl", "public-read"), 400, "AccessControlListNotSupported", "The bucket does not allow ACLs", nil},
		{"a legal hold", put("/bad-objects/k", "x-amz-object-lock-legal-hold", "ON"), 400, "InvalidRequest", "Bucket is missing ObjectLockConfiguration", nil},
		{"half a retention", put("/bad-objects/k", "x-amz-object-lock-mode", "GOVERNANCE"), 400, "InvalidArgument", "must both be supplied", []string{"ArgumentName=x-amz-object-lock-retain-until-date"}},
		{"an offset", put("/bad-objects/k", "x-amz-write-offset-bytes", "3"), 501, "NotImplemented", "not implemented", []string{"Header=x-amz-write-offset-bytes"}},
		{"a wrong MD5", put("/bad-objects/k", wrong...), 400, "BadDigest", "The Content-MD5 you specified did not match what we received.", []string{fmt.Sprintf("ExpectedDigest=%x", fips.MD5([]byte("another"))), "CalculatedDigest=" + b64(sum[:])}},
		{"no MD5", put("/bad-objects/k", "Content-MD5", "AAAA"), 400, "InvalidDigest", "The Content-MD5 you specified was invalid.", []string{"Content-MD5=AAAA"}},
		{"two checksums", put("/bad-objects/k", "x-amz-checksum-crc32", "y/Q5Jg==", "x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="), 400, "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.", nil},
		{"an unknown checksum", put("/bad-objects/k", "x-amz-checksum-crc16", "AAA="), 400, "InvalidRequest", "The algorithm type you specified in x-amz-checksum- header is invalid.", nil},
		{"a copy's directive", put("/bad-objects/k", "x-amz-copy-source", "bad-objects/k", "x-amz-metadata-directive", "MERGE"), 400, "InvalidArgument", "Unknown metadata directive.", []string{"ArgumentName=x-amz-metadata-directive", "ArgumentValue=MERGE"}},
		{"no bucket", put("/nobody/k"), 404, "NoSuchBucket", "The specified bucket does not exist", []string{"BucketName=nobody"}},
		{"no object", request{method: "GET", target: "/bad-objects/missing"}, 404, "NoSuchKey", "The specified key does not exist.", []string{"Key=missing"}},
		{"another part of an object", request{method: "GET", target: "/bad-objects/k?partNumber=2"}, 416, "InvalidPartNumber", "not satisfiable", []string{"ActualPartCount=1", "PartNumberRequested=2"}},
		{"part nothing", request{method: "GET", target: "/bad-objects/k?partNumber=0"}, 400, "InvalidArgument", "Part number must be", []string{"ArgumentName=partNumber", "ArgumentValue=0"}},

		drop("no objects", ""), drop("no key", "<Object/>"), drop("an empty key", "<Object><Key></Key></Object>"), drop("1001 objects", tooMany),
		drop("an open element", "<Object>"),
		{"no digest of a delete", request{method: "POST", target: "/bad-objects?delete", body: "<Delete><Object><Key>k</Key></Object></Delete>"}, 400, "InvalidRequest", "Content-MD5", nil},
		{"a long document", request{method: "POST", target: "/bad-objects?delete", body: long, headers: md5Header(long)}, 400, "MaxMessageLengthExceeded", "Your request was too big.", []string{"MaxMessageLengthBytes=8388608"}},
		{"a bypass", request{method: "DELETE", target: "/bad-objects/k", headers: []string{"x-amz-bypass-governance-retention", "true"}}, 400, "InvalidArgument", "only applicable to Object Lock enabled buckets", []string{"ArgumentName=x-amz-bypass-governance-retention"}},

		{"a method of nothing", request{method: "PATCH", target: "/bad-objects/k"}, 405, "MethodNotAllowed", "not allowed against this resource", []string{"Method=PATCH", "ResourceType=OBJECT"}},
		{"a method of the service", request{method: "DELETE", target: "/"}, 405, "MethodNotAllowed", "not allowed against this resource", []string{"Method=DELETE", "ResourceType=SERVICE"}},
		{"two sub-resources", request{method: "GET", target: "/bad-objects?acl&policy"}, 400, "InvalidArgument", "Conflicting query string parameters: acl, policy", []string{"ArgumentName=ResourceType", "ArgumentValue=acl"}},
		{"a bucket's sub-resource of an object", request{method: "PUT", target: "/bad-objects/k?versioning", body: "x"}, 400, "InvalidRequest", "There is no such thing as the ?versioning sub-resource for a key", nil},
		{"an object of no bucket", request{method: "GET", target: "//k"}, 400, "InvalidBucketName", "", []string{"BucketName="}},
	})
	if got, _ := s.Get("bad-objects", "k"); got != "old" || keys(s, "bad-objects") != "[k]" {
		t.Errorf("stored %s, %q", keys(s, "bad-objects"), got)
	}
	// As much as is allowed.
	s.Put("bad-objects", longKey[1:], "x", func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"a": strings.Repeat("m", 2047)} })
}

// TestSSEKMSNeedsASecureConnection: a proxy says how its client came.
func TestSSEKMSNeedsASecureConnection(t *testing.T) {
	t.Parallel()
	s := start(t, coffertest.Flags("--trusted-proxies", "127.0.0.0/8"))
	key := request{method: "POST", target: "/", service: "kms", body: "{}", headers: []string{"X-Amz-Target", "TrentService.CreateKey", "Content-Type", "application/x-amz-json-1.1"}}
	insecure, secure := []string{"X-Forwarded-Proto", "http"}, []string{"X-Forwarded-Proto", "https"}
	key.unsigned = insecure
	key.do(s).refused(t, "KMS in the clear", 400, "ValidationException", "KMS requests must be made over a secure connection.")
	call := func(proto []string, method, target, body string, headers ...string) answer {
		return request{method: method, target: target, body: body, headers: headers, unsigned: proto}.do(s)
	}
	fine := func(a answer) answer {
		t.Helper()
		if a.status >= 300 {
			t.Errorf("%d %s", a.status, a.body)
		}
		return a
	}
	for _, bucket := range []string{"vault", "plain"} {
		fine(call(insecure, "PUT", "/"+bucket, ""))
	}
	config := `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`
	fine(call(insecure, "PUT", "/vault?encryption", config, md5Header(config)...))
	fine(call(secure, "PUT", "/vault/k", "x"))
	upload := fine(call(secure, "POST", "/vault/m?uploads", "")).get("UploadId")
	fine(call(insecure, "PUT", "/plain/k", "x"))
	kmsTLS := func(value string) refusal {
		return refusal{status: 400, code: "InvalidArgument", text: "Requests specifying Server Side Encryption with AWS KMS managed keys must be made over a secure connection.",
			elements: []string{"ArgumentName=" + sseHeader, "ArgumentValue=" + value}}
	}
	before := len(s.KMSRequests())
	for _, a := range []answer{
		call(insecure, "PUT", "/vault/new", "x"),
		call(insecure, "PUT", "/plain/new", "x", sseHeader, "aws:kms"),
		call(insecure, "POST", "/vault/new?uploads", ""),
		call(insecure, "PUT", "/vault/m?partNumber=1&uploadId="+upload, "x"),
		call(insecure, "PUT", "/vault/new", "", "x-amz-copy-source", "plain/k"),
		call(insecure, "PUT", "/plain/new", "", "x-amz-copy-source", "vault/k"),
		call(insecure, "GET", "/vault/k", ""),
		call(nil, "GET", "/vault/k", ""), // a proxy that says nothing says nothing good
	} {
		a.is(kmsTLS("aws:kms"))
	}
	if a := call(insecure, "HEAD", "/vault/k", ""); a.status != 400 || a.body != "" {
		t.Errorf("HEAD: %d %q", a.status, a.body)
	}
	if n := len(s.KMSRequests()); n != before {
		t.Errorf("%d KMS requests for what was refused", n-before)
	}
	fine(call(insecure, "GET", "/plain/k", ""))
	fine(call(insecure, "PUT", "/vault/new", "x", sseHeader, "AES256"))
	fine(call(secure, "GET", "/vault/k", ""))
}
