// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"encoding/base64"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

func base64Text(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// table is the whole family's table; what it would call does not matter.
func table() []pipeline.Op {
	return (&API{Buckets: &bucket.Buckets{}, Objects: &object.Objects{}}).ops()
}

// call makes a call as it is when its operation is looked for.
func call(t *testing.T, method, target string, headers ...string) *pipeline.Call {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	r.Host = "localhost:9000"
	for _, h := range headers {
		name, v, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = v
			continue
		}
		r.Header.Set(name, v)
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	return &pipeline.Call{Request: r, Query: q}
}

func TestOperations(t *testing.T) {
	r := newRouter(table(), nil)
	copying := "x-amz-copy-source: a/b"
	for _, tc := range []struct {
		method, target, header, want string
	}{
		{"GET", "/", "", "ListBuckets"},
		{"GET", "/?max-buckets=2", "", "ListBuckets"},
		{"PUT", "/photos", "", "CreateBucket"},
		{"PUT", "/photos/", "", "CreateBucket"},
		{"HEAD", "/photos", "", "HeadBucket"},
		{"DELETE", "/photos", "", "DeleteBucket"},
		{"GET", "/photos", "", "ListObjects"},
		{"GET", "/photos/?prefix=a&delimiter=/", "", "ListObjects"},
		{"GET", "/photos?list-type=1", "", "ListObjects"},
		{"GET", "/photos?list-type=2&prefix=versions", "", "ListObjectsV2"},
		{"GET", "/photos?versions", "", "ListObjectVersions"},
		{"GET", "/photos?versions=&list-type=2", "", "ListObjectVersions"},
		{"GET", "/photos?uploads", "", "ListMultipartUploads"},
		{"GET", "/photos?location", "", "GetBucketLocation"},
		{"PUT", "/photos?encryption", "", "PutBucketEncryption"},
		{"GET", "/photos?encryption", "", "GetBucketEncryption"},
		{"DELETE", "/photos?encryption=", "", "DeleteBucketEncryption"},
		{"PUT", "/photos?versioning", "", "PutBucketVersioning"},
		{"GET", "/photos?versioning", "", "GetBucketVersioning"},
		{"PUT", "/photos?tagging", "", "PutBucketTagging"},
		{"POST", "/photos?delete", "", "DeleteObjects"},
		{"POST", "/photos", "", "PostObject"},
		{"PUT", "/photos?acl", "", "PutBucketAcl"},
		{"DELETE", "/photos?policy", "", "DeleteBucketPolicy"},
		{"GET", "/photos?inventory", "", "ListBucketInventoryConfigurations"},
		{"GET", "/photos?inventory&id=a", "", "GetBucketInventoryConfiguration"},

		{"PUT", "/photos/cat", "", "PutObject"},
		{"PUT", "/photos/cat?x-id=PutObject", "", "PutObject"},
		{"PUT", "/photos/cat", copying, "CopyObject"},
		{"PUT", "/photos/cat?partNumber=1&uploadId=u", "", "UploadPart"},
		{"PUT", "/photos/cat?partNumber=1&uploadId=u", copying, "UploadPartCopy"},
		{"POST", "/photos/cat?uploads", "", "CreateMultipartUpload"},
		{"POST", "/photos/cat?uploadId=u", "", "CompleteMultipartUpload"},
		{"DELETE", "/photos/cat?uploadId=u", "", "AbortMultipartUpload"},
		{"GET", "/photos/cat?uploadId=u", "", "ListParts"},
		{"GET", "/photos/cat", "", "GetObject"},
		{"GET", "/photos/cat?partNumber=1", "", "GetObject"},
		{"GET", "/photos/cat?versionId=v&response-content-type=a", "", "GetObject"},
		{"HEAD", "/photos/cat?versionId=v", "", "HeadObject"},
		{"DELETE", "/photos/cat", "", "DeleteObject"},
		{"DELETE", "/photos/cat?versionId=v", "", "DeleteObject"},
		{"PUT", "/photos/cat?tagging", "", "PutObjectTagging"},
		{"PUT", "/photos/cat?tagging&versionId=v", copying, "PutObjectTagging"},
		{"DELETE", "/photos/cat?tagging", "", "DeleteObjectTagging"},
		{"PUT", "/photos/cat?acl", "", "PutObjectAcl"},
		{"PUT", "/photos/cat?encryption", "", "UpdateObjectEncryption"},
		{"GET", "/photos/cat?attributes", "", "GetObjectAttributes"},
		{"POST", "/photos/cat?select&select-type=2", "", "SelectObjectContent"},
	} {
		op, err := r.find(call(t, tc.method, tc.target, tc.header))
		if err != nil || op.Name != tc.want {
			t.Errorf("%s %s %s: got %v, %v; want %s", tc.method, tc.target, tc.header, op, err, tc.want)
		}
	}
}

func TestNoOperation(t *testing.T) {
	r := newRouter(table(), nil)
	for _, tc := range []struct {
		method, target string
		want           fault.Kind
		details        string // name=value …
	}{
		{"POST", "/", MethodNotAllowed, "ResourceType=SERVICE allow=GET"},
		{"DELETE", "/", MethodNotAllowed, "ResourceType=SERVICE"},
		{"PATCH", "/photos", MethodNotAllowed, "ResourceType=BUCKET"},
		{"PATCH", "/photos/cat", MethodNotAllowed, "ResourceType=OBJECT allow=DELETE,.GET,.HEAD,.PUT"},
		// What names a sub-resource never reaches the thing itself.
		{"DELETE", "/photos?acl", MethodNotAllowed, "ResourceType=ACL allow=GET,.PUT"},
		{"DELETE", "/photos?versioning", MethodNotAllowed, "ResourceType=VERSIONING"},
		{"DELETE", "/photos?retention", MethodNotAllowed, "ResourceType=RETENTION"},
		{"DELETE", "/photos/cat?acl", MethodNotAllowed, "ResourceType=ACL"},
		{"HEAD", "/photos?location", MethodNotAllowed, "ResourceType=LOCATION"},
		{"DELETE", "/photos/cat?policy", InvalidRequest, ""},
		{"GET", "/photos/cat?versions", InvalidRequest, ""},
		{"PUT", "/photos/cat?uploadId=u", InvalidArgument, "ArgumentName=partNumber"},
		{"GET", "/photos?acl&policy", InvalidArgument, "ArgumentName=ResourceType ArgumentValue=acl"},
		{"POST", "/photos/cat?uploads&uploadId=u", InvalidArgument, "ArgumentName=ResourceType"},
		{"GET", "//cat", bucket.InvalidName, ""},
		{"GET", "/photos/%ff", pipeline.InvalidURI, ""},
		{"GET", "/photos?prefix=%ff", pipeline.InvalidURI, ""},
	} {
		_, err := r.find(call(t, tc.method, tc.target))
		f, ok := fault.As(err)
		if !ok || f.Kind != tc.want {
			t.Errorf("%s %s: got %v, want %s", tc.method, tc.target, err, tc.want)
			continue
		}
		for _, d := range strings.Fields(tc.details) {
			name, v, _ := strings.Cut(strings.ReplaceAll(d, ".", " "), "=")
			if !slices.Contains(f.Details, fault.Detail{Name: name, Value: v}) {
				t.Errorf("%s %s: details %v lack %s", tc.method, tc.target, f.Details, d)
			}
		}
	}
}

func TestTargets(t *testing.T) {
	r := newRouter(table(), []string{"example.com", "S3.Example.com", "eu.s3.example.com"})
	for _, tc := range []struct{ host, target, bucket, key string }{
		{"localhost:9000", "/photos/cat", "photos", "cat"},
		{"s3.example.com", "/photos/cat", "photos", "cat"},
		{"S3.EXAMPLE.COM:9000", "/photos/cat", "photos", "cat"},
		{"other.test", "/photos/cat", "photos", "cat"},
		{"[::1]:9000", "/photos/cat", "photos", "cat"},
		{"photos.s3.example.com", "/cat", "photos", "cat"},
		{"photos.s3.example.com:443", "/", "photos", ""},
		{"photos.s3.example.com", "/photos/cat", "photos", "photos/cat"},
		{"my.photos.s3.example.com", "/cat", "my.photos", "cat"},
		{"photos.eu.s3.example.com", "/cat", "photos", "cat"},
		{"eu.s3.example.com", "/photos/cat", "photos", "cat"},
		{"photos.example.com", "/cat", "photos", "cat"},
		{"photos.s3.example.com.:443", "/cat", "photos", "cat"},
		{"s3.example.com.", "/photos/cat", "photos", "cat"},
		// Keys as strange as S3 takes them.
		{"s3.example.com", "/photos//cat", "photos", "/cat"},
		{"photos.s3.example.com", "//cat", "photos", "/cat"},
		{"s3.example.com", "/photos/a//b/", "photos", "a//b/"},
		{"s3.example.com", "/photos/a/", "photos", "a/"},
		{"s3.example.com", "/photos//", "photos", "/"},
		{"s3.example.com", "/photos/a%2Fb", "photos", "a/b"},
		{"s3.example.com", "/photos/a%252Fb", "photos", "a%2Fb"},
		{"s3.example.com", "/photos/a+b%20c", "photos", "a+b c"},
		{"s3.example.com", "/photos/%E2%82%AC%00", "photos", "€\x00"},
		{"s3.example.com", "/photos/../secret/./a", "photos", "../secret/./a"},
		{"s3.example.com", "/photos/a%3Fversions", "photos", "a?versions"},
		{"s3.example.com", "/photos/a;b=c,d", "photos", "a;b=c,d"},
	} {
		c := call(t, "GET", tc.target, "Host: "+tc.host)
		if _, err := r.find(c); err != nil || c.Bucket != tc.bucket || c.Key != tc.key {
			t.Errorf("%s%s: bucket %q, key %q, %v; want %q and %q", tc.host, tc.target, c.Bucket, c.Key, err, tc.bucket, tc.key)
		}
	}
}

// Two operations that the same request fits equally well would leave the choice to
// the order of the table.
func TestRoutesDiffer(t *testing.T) {
	seen := map[string]string{}
	names := map[string]bool{}
	for _, op := range table() {
		q := slices.Sorted(slices.Values(op.Route.Query))
		id := strings.Join(append([]string{op.Route.Method, op.Route.Path, op.Route.Header}, q...), " ")
		if other := seen[id]; other != "" {
			t.Errorf("%s and %s have the same route %s", other, op.Name, id)
		}
		if names[op.Name] {
			t.Errorf("%s is in the table twice", op.Name)
		}
		seen[id], names[op.Name] = op.Name, true
	}
}

// Every sub-resource that an operation names is known to the router as one, and the router
// knows none that no operation names.
func TestSubresourcesAreKnown(t *testing.T) {
	parameters := []string{"list-type=2", "id", "partNumber", "annotationName"}
	named := map[string]bool{}
	for _, op := range table() {
		for _, q := range op.Route.Query {
			named[op.Route.Path+"?"+q] = true
			if !slices.Contains(parameters, q) && !slices.Contains(subresources[q], op.Route.Path) {
				t.Errorf("%s: ?%s is no known sub-resource of %s", op.Name, q, op.Route.Path)
			}
		}
	}
	for sub, paths := range subresources {
		for _, path := range paths {
			if !named[path+"?"+sub] {
				t.Errorf("no operation is about ?%s of %s", sub, path)
			}
		}
	}
}

// recordedParameters are the requestParameters of a call's record.
func recordedParameters(c *pipeline.Call) map[string]any {
	return audit.Record{Parameters: *auditParameters(c)}.Plain().RequestParameters
}

func TestAuditParameters(t *testing.T) {
	c := call(t, "PUT", "/photos/cat?versionId=v&X-Amz-Signature=S&X-Amz-Credential=C&X-Amz-Security-Token=T&X-Amz-Expires=60",
		"x-amz-server-side-encryption: aws:kms", "x-amz-security-token: T", "x-amz-date: D", "Authorization: A",
		"x-amz-server-side-encryption-customer-key: K", "x-amz-copy-source-server-side-encryption-customer-key-MD5: M",
		"x-amz-meta-a: b", "User-Agent: U")
	if _, err := newRouter(table(), nil).find(c); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"bucketName": "photos", "key": "cat", "Host": "localhost", "versionId": "v", "X-Amz-Expires": "60",
		"x-amz-server-side-encryption": "aws:kms", "x-amz-meta-a": "b",
	}
	got := recordedParameters(c)
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s is %v, want %v", name, got[name], v)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("unexpected parameter %s", name)
		}
	}
}

// A query has no say in what the record tells of the target and the headers.
func TestForgedAuditParameters(t *testing.T) {
	const signed = "&X-Amz-Algorithm=AWS4-HMAC-SHA256"
	for _, tc := range []struct {
		target, name string
		want         any
	}{
		{"/?bucketName=theirs", "bucketName", nil},
		{"/photos?key=theirs", "key", nil},
		{"/photos?Range=x", "Range", nil},
		{"/photos?Host=x", "Host", "localhost"},
		{"/photos/cat?x-amz-copy-source=/a/b", "x-amz-copy-source", nil},
		{"/photos/cat?X-Amz-Server-Side-Encryption-Customer-Algorithm=AES256" + signed, "x-amz-server-side-encryption-customer-algorithm", "AES256"},
		{"/photos/cat?X-Amz-Acl=a&x-amz-acl=b" + signed, "x-amz-acl", "a,b"},
		{"/photos/cat?x-amz-server-side-encryption-CUSTOMER-KEY=K" + signed, "x-amz-server-side-encryption-customer-key", nil},
	} {
		if got := recordedParameters(targeted(t, call(t, "GET", tc.target)))[tc.name]; got != tc.want {
			t.Errorf("%s: %s is %v, want %v", tc.target, tc.name, got, tc.want)
		}
	}
}

func targeted(t *testing.T, c *pipeline.Call) *pipeline.Call {
	t.Helper()
	if err := newRouter(table(), nil).target(c); err != nil {
		t.Fatal(err)
	}
	return c
}

// The long s folds to an s: a header with one is another, so that no key is taken from it.
func TestHeadersAreASCII(t *testing.T) {
	c := call(t, "GET", "/photos/cat?x-amz-server-side-encryption-cu%C5%BFtomer-key=K")
	c.Auth = &sigv4.Result{Method: sigv4.Query}
	if v, ok := field(c, "x-amz-server-side-encryption-customer-key"); ok {
		t.Errorf("the customer's key is %q", v)
	}
}
