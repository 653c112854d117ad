// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

var taken = time.Date(2026, 3, 4, 5, 6, 7, 890e6, time.UTC)

func TestPutNeedsALength(t *testing.T) {
	var size int64
	op := pipeline.Define("PutObject", pipeline.Data, objectRoute("PUT"), decodePut,
		func(_ context.Context, _ iam.Caller, in object.Put) (emptyResult, error) {
			size = in.Size
			return emptyResult{}, nil
		}, ok)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, _ := exchange(t, op, r)
		w.WriteHeader(resp.StatusCode)
	}))
	defer server.Close()
	for _, c := range []struct {
		name   string
		body   io.Reader
		length int64
		header string
		status int
		size   int64
	}{
		{"empty", http.NoBody, 0, "", 200, 0},
		{"known", strings.NewReader(hello), 5, "", 200, 5},
		{"unknown", strings.NewReader(hello), -1, "", 411, -1},
		// Only framing that is declared may have another length than the body.
		{"decoded length without framing", strings.NewReader(hello), -1, "5", 411, -1},
	} {
		r, err := http.NewRequest("PUT", server.URL+"/photos/cat.jpg", c.body)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = c.length
		if c.header != "" {
			r.Header.Set("x-amz-decoded-content-length", c.header)
		}
		size = -1
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status || size != c.size {
			t.Errorf("%s: status %d, size %d; want %d, %d", c.name, resp.StatusCode, size, c.status, c.size)
		}
	}
	c := cat(t, "PUT", "")
	c.Request.ContentLength = 0
	if _, err := payload(c); err == nil {
		t.Error("a PUT that says nothing of its length is taken for an empty one")
	}
}

func TestPutIsNoHalfUploadPart(t *testing.T) {
	_, err := decodePut(cat(t, "PUT", "partNumber=1", "Content-Length: 0"))
	if kind, _ := faultOf(err); kind != InvalidArgument {
		t.Errorf("PUT ?partNumber=1: %v", err)
	}
}

func TestPutAnswersAndLeavesARecord(t *testing.T) {
	generation := uuid.New()
	op := pipeline.Define("PutObject", pipeline.Data, objectRoute("PUT"), decodePut,
		func(context.Context, iam.Caller, object.Put) (object.Stored, error) {
			return object.Stored{
				VersionID: "v1", ETag: "e1", SSE: sse.Applied{Algorithm: sse.KMS, KeyARN: photosKey, BucketKey: true, Generation: generation},
				Checksum: object.Checksum{Algorithm: checksum.CRC32, Type: checksum.FullObject, Value: []byte{1, 2, 3, 4}}, FromDefault: true,
			}, nil
		}, encodePut)
	resp, r := exchange(t, op, photo("PUT", "", "", "Content-Length: 0"))
	want := map[string]string{
		"ETag": `"e1"`, "x-amz-version-id": "v1", "x-amz-checksum-crc32": "AQIDBA==", "x-amz-checksum-type": "FULL_OBJECT",
		sse.AlgorithmHeader: "aws:kms", sse.KeyIDHeader: photosKey, sse.BucketKeyHeader: "true",
	}
	for name, v := range want {
		if got := resp.Header[name]; !reflect.DeepEqual(got, []string{v}) {
			t.Errorf("%s: %q, want %q", name, got, v)
		}
	}
	if r.AdditionalEventData["SSEApplied"] != "Default_SSE_KMS" || r.AdditionalEventData["cofferGeneration"] != generation.String() {
		t.Errorf("additionalEventData: %v", r.AdditionalEventData)
	}
	elements := map[string]any{"x-amz-version-id": "v1", sse.AlgorithmHeader: "aws:kms", sse.KeyIDHeader: photosKey, sse.BucketKeyHeader: "true"}
	if !reflect.DeepEqual(r.ResponseElements, elements) {
		t.Errorf("responseElements %v, want %v", r.ResponseElements, elements)
	}
}

func TestDecodeGet(t *testing.T) {
	get, err := decodeGet(cat(t, "GET", "versionId=v1&partNumber=2", "x-amz-checksum-mode: enabled", "Range: bytes=0-1",
		"x-amz-expected-bucket-owner: 111122223333"))
	want := object.Get{
		VersionRef: object.VersionRef{
			Ref:       object.Ref{Ref: bucket.Ref{Bucket: "photos", ExpectedOwner: "111122223333"}, Key: "cat.jpg"},
			VersionID: "v1",
		},
		Range: "bytes=0-1", Part: 2, Checksum: true,
	}
	if err != nil || !reflect.DeepEqual(get, want) {
		t.Errorf("%+v, %v; want %+v", get, err, want)
	}
	for _, c := range []struct {
		query, header string
		want          fault.Kind
	}{
		{"versionId=", "", InvalidArgument},
		{"partNumber=0", "", InvalidArgument},
		{"partNumber=", "", InvalidArgument},
		{"partNumber=10001", "", InvalidArgument},
		{"partNumber=one", "", InvalidArgument},
		{"partNumber=10000", "", ""},
		{"", "x-amz-server-side-encryption: AES256", sse.NotForThisOperation},
		{"", "x-amz-server-side-encryption-aws-kms-key-id: k", ""}, // core says it of an object
		{"response-expires=now", "", ""},
		{"response-content-type=text%0d%0aX:y", "", InvalidArgument},
		{"response-cache-control=a_%E2%80%94_%C3%A9", "", InvalidArgument},
		{"response-cache-control=a_%C3%A9", "", ""},
	} {
		_, err := decodeGet(cat(t, "GET", c.query, c.header))
		if kind, _ := faultOf(err); kind != c.want {
			t.Errorf("?%s %s: %v, want %q", c.query, c.header, err, c.want)
		}
	}
	anonymous := cat(t, "GET", "response-expires=now")
	anonymous.Auth.Method = sigv4.None
	if _, err := decodeGet(anonymous); err == nil {
		t.Error("an unsigned request may choose headers of the answer")
	}
}

// photoObject is what core returns of cat.jpg.
func photoObject() *object.Object {
	return &object.Object{
		ETag: "e1", Size: 10, Modified: taken, StorageClass: "STANDARD", Length: 10, SSE: sse.Applied{Algorithm: sse.AES256},
		Headers: []object.Header{{Name: "content-type", Value: "image/jpeg"}, {Name: "expires", Value: "0"}, {Name: "x-amz-meta-owner", Value: "alice"}},
		Body:    io.NopCloser(strings.NewReader("0123456789")),
	}
}

func TestGetAnswers(t *testing.T) {
	c := cat(t, "GET", "response-content-type=text%2Fplain")
	r, err := (&API{}).encodeGet(c, photoObject())
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"Accept-Ranges": {"bytes"}, "Last-Modified": {"Wed, 04 Mar 2026 05:06:07 GMT"}, "ETag": {`"e1"`},
		"Content-Type": {"text/plain"}, "Expires": {"0"}, "x-amz-meta-owner": {"alice"}, sse.AlgorithmHeader: {"AES256"},
	}
	if r.Status != 200 || r.Length != 10 || !reflect.DeepEqual(r.Header, want) {
		t.Errorf("%d, %d bytes, %v; want %v", r.Status, r.Length, r.Header, want)
	}
}

func TestGetOfAPart(t *testing.T) {
	o := photoObject()
	o.Headers, o.StorageClass, o.TagCount, o.VersionID, o.ETag = nil, "STANDARD_IA", 2, "v1", "e1-3"
	o.Replication = object.StatusPending
	o.Partial, o.Start, o.Length, o.PartsCount = true, 4, 3, 3
	o.Checksum = object.Checksum{Algorithm: checksum.CRC32, Type: checksum.Composite, Value: []byte{1, 2, 3, 4}}
	r, err := (&API{}).encodeHead(cat(t, "HEAD", "partNumber=2"), o)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"Content-Range": "bytes 4-6/10", "Content-Length": "3", "Content-Type": "binary/octet-stream", "x-amz-storage-class": "STANDARD_IA",
		"x-amz-tagging-count": "2", "x-amz-replication-status": "PENDING", "x-amz-version-id": "v1", "x-amz-mp-parts-count": "3", "x-amz-checksum-crc32": "AQIDBA==",
	}
	if r.Status != http.StatusPartialContent {
		t.Errorf("status %d", r.Status)
	}
	for name, v := range want {
		if got := r.Header[name]; !reflect.DeepEqual(got, []string{v}) {
			t.Errorf("%s: %q, want %q", name, got, v)
		}
	}
}

func TestPartOneOfAnEmptyObjectHasNoRange(t *testing.T) {
	o := photoObject()
	o.Size, o.Length, o.Partial = 0, 0, true
	r, _ := (&API{}).encodeHead(cat(t, "HEAD", "partNumber=1"), o)
	if r.Status != 200 || r.Header["Content-Range"] != nil || r.Header.Get("Content-Length") != "0" {
		t.Errorf("%d %v", r.Status, r.Header)
	}
}

// serving is an operation that reads cat.jpg.
func serving(o *object.Object, err error, encode func(*pipeline.Call, *object.Object) (*pipeline.Response, error)) pipeline.Op {
	return pipeline.Define("GetObject", pipeline.Read|pipeline.Data, objectRoute("GET"), decodeGet,
		func(context.Context, iam.Caller, object.Get) (*object.Object, error) { return o, err }, encode)
}

func TestGetAndHeadOnTheRoad(t *testing.T) {
	resp, r := exchange(t, serving(photoObject(), nil, (&API{}).encodeGet), photo("GET", "", ""))
	if text := body(t, resp); resp.StatusCode != 200 || text != "0123456789" || resp.Header.Get("Content-Length") != "10" {
		t.Errorf("GET: %d %q %v", resp.StatusCode, text, resp.Header)
	}
	checkRead := func(name string, r audit.Record) {
		if r.AdditionalEventData["SSEApplied"] != "SSE_S3" || r.AdditionalEventData["cofferGeneration"] != nil || r.ResponseElements != nil {
			t.Errorf("%s leaves the record %+v", name, r)
		}
	}
	checkRead("GET", r)
	resp, r = exchange(t, serving(photoObject(), nil, (&API{}).encodeHead), photo("HEAD", "", ""))
	if text := body(t, resp); resp.StatusCode != 200 || text != "" || resp.Header.Get("Content-Length") != "10" {
		t.Errorf("HEAD: %d %q %v", resp.StatusCode, text, resp.Header)
	}
	checkRead("HEAD", r)
	missing := serving(nil, fault.New(object.NoSuchKey, "").With("Key", "cat.jpg").With("x-amz-delete-marker", "true"), (&API{}).encodeGet)
	resp, _ = exchange(t, missing, photo("GET", "", ""))
	if text := body(t, resp); resp.StatusCode != 404 || onWire(resp.Header, "x-amz-delete-marker") != "true" || !strings.Contains(text, "<Code>NoSuchKey</Code>") {
		t.Errorf("missing: %d %q %v", resp.StatusCode, text, resp.Header)
	}
}
