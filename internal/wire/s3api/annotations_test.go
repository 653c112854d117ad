// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/checksum"
)

func TestAnnotations(t *testing.T) {
	s := photos(t)
	s.do("PUT", "/photos/cat.jpg", "meow").want(200)
	const at = "/photos/cat.jpg?annotation"
	const tail = "<Bucket>photos</Bucket><Key>cat.jpg</Key><AnnotationPrefix></AnnotationPrefix><MaxAnnotationResults>1000</MaxAnnotationResults>"
	s.do("GET", at, "").wantDocument(200, "<ListObjectAnnotationsOutput>"+tail+"<AnnotationCount>0</AnnotationCount></ListObjectAnnotationsOutput>").
		wantHeader("x-amz-object-version-id", "")
	put := s.do("PUT", at+"&annotationName=labels", "text").
		wantDocument(200, "<PutObjectAnnotationOutput><Key>cat.jpg</Key><AnnotationName>labels</AnnotationName></PutObjectAnnotationOutput>").
		wantHeader("ETag", `"1cb251ec0d568de6a929b520c4aed8d1"`).wantHeader("x-amz-server-side-encryption", "AES256").
		wantHeader("x-amz-checksum-type", "FULL_OBJECT").wantHeader("x-amz-object-version-id", "").wantHeader("x-amz-version-id", "")
	crc := put.spelt("x-amz-checksum-crc64nvme")
	got := s.do("GET", at+"&annotationName=labels", "", "X-Amz-Checksum-Mode: ENABLED").want(200, "text").
		wantHeader("ETag", `"1cb251ec0d568de6a929b520c4aed8d1"`).wantHeader("Content-Length", "4").wantHeader("x-amz-checksum-crc64nvme", crc).wantHeader("x-amz-server-side-encryption", "AES256")
	if got.spelt("Last-Modified") == "" {
		t.Error("no Last-Modified")
	}
	s.do("GET", at+"&annotationName=labels", "").want(200, "text").wantHeader("x-amz-checksum-crc64nvme", "")
	s.do("GET", at, "").want(200, "<ListObjectAnnotationsOutput xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Annotations><AnnotationEntry><AnnotationName>labels</AnnotationName><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ETag>&quot;1cb251ec0d568de6a929b520c4aed8d1&quot;</ETag><LastModified>",
		"</LastModified><Size>4</Size></AnnotationEntry></Annotations>"+tail+"<AnnotationCount>1</AnnotationCount></ListObjectAnnotationsOutput>")
	for _, algorithm := range checksum.Algorithms() {
		sum := algorithm.New()
		sum.Write([]byte("text"))
		header := algorithm.Header() + ": " + algorithm.Encode(sum.Sum(nil))
		s.do("PUT", at+"&annotationName=summed", "text", header).want(200).wantHeader(algorithm.Header(), algorithm.Encode(sum.Sum(nil)))
		s.do("GET", at+"&annotationName=summed", "", "X-Amz-Checksum-Mode: ENABLED").want(200, "text").wantHeader(algorithm.Header(), algorithm.Encode(sum.Sum(nil)))
		s.do("PUT", at+"&annotationName=summed", "other", header).wantCode(400, "BadDigest")
	}
	s.do("PUT", at+"&annotationName=md5", "text", "Content-Md5: HLJR7A1WjeapKbUgxK7Y0Q==").want(200)
	s.do("PUT", at+"&annotationName=md5", "other", "Content-Md5: HLJR7A1WjeapKbUgxK7Y0Q==").wantCode(400, "BadDigest")

	page := s.do("GET", at+"&max-annotation-results=2", "").want(200, "<MaxAnnotationResults>2<", "<AnnotationCount>2<", "<AnnotationName>labels<", "<NextContinuationToken>")
	token := regexp.MustCompile("<NextContinuationToken>(.*)</Next").FindStringSubmatch(page.body)[1]
	s.do("GET", at+"&max-annotation-results=2&continuation-token="+url.QueryEscape(token), "").
		want(200, "<AnnotationCount>1<", "<AnnotationName>summed<", "<ContinuationToken>"+token+"<")
	s.do("GET", at+"&annotation-prefix=s&max-annotation-results=2000", "").want(200, "<AnnotationPrefix>s</AnnotationPrefix><MaxAnnotationResults>1000<", "<AnnotationCount>1<")
	s.do("GET", at+"&annotation-prefix=a/b", "").wantCode(400, "InvalidPrefix")
	s.do("GET", at+"&max-annotation-results=0", "").wantCode(400, "InvalidArgument")
	s.do("GET", at+"&continuation-token=x", "").wantCode(400, "InvalidArgument")

	s.do("GET", "/photos/missing?annotation", "").wantCode(404, "NoSuchKey")
	for _, method := range []string{"GET", "DELETE", "PUT"} {
		s.do(method, "/photos/missing?annotation&annotationName=a", "x").wantCode(404, "NoSuchKey")
	}
	s.do("GET", at+"&annotationName=a", "").wantCode(404, "NoSuchAnnotation", "The specified annotation does not exist on this object.")
	for _, name := range []string{"", "aws", "AWS-x", "s3", "S3.x", "a%20b"} {
		s.do("PUT", at+"&annotationName="+name, "text").wantCode(400, "InvalidAnnotationName")
	}
	s.do("PUT", at, "text").wantCode(400, "InvalidAnnotationName")
	s.do("PUT", at+"&annotationName="+strings.Repeat("a", 513), "text").wantCode(400, "AnnotationNameTooLong")
	s.do("PUT", at+"&annotationName=a", "", "Content-Length: 0").wantCode(400, "InvalidRequest", "between 1 byte and 1 MiB")
	s.do("PUT", at+"&annotationName=a", strings.Repeat("x", 1<<20+1)).wantCode(400, "EntityTooLarge", "<MaxSizeAllowed>1048576<")
	s.do("PUT", at+"&annotationName=a", "\xff").wantCode(415, "UnsupportedMediaType")
	s.do("PUT", at+"&annotationName=a", "x", `X-Amz-Object-If-Match: "other"`).wantCode(412, "PreconditionFailed", "<Condition>x-amz-object-if-match<")
	s.do("DELETE", at+"&annotationName=labels", "", `X-Amz-Object-If-Match: "other"`).wantCode(412, "PreconditionFailed")
	s.do("DELETE", at+"&annotationName=labels", "", `X-Amz-Object-If-Match: "4a4be40c96ac6314e91d93f38043a634"`).want(204)
	s.do("DELETE", at+"&annotationName=labels", "").want(204)
	s.do("GET", at+"&annotationName=labels", "").wantCode(404, "NoSuchAnnotation")
	s.do("GET", "/photos/cat.jpg", "").want(200, "meow")

	for directive, status := range map[string]int{"COPY": 200, "": 200, "EXCLUDE": 200, "REPLACE": 400} {
		s.do("PUT", "/photos/copy", "", "X-Amz-Copy-Source: /photos/cat.jpg", "X-Amz-Object-Annotation-Directive: "+directive).want(status)
		if found := s.do("GET", "/photos/copy?annotation&annotationName=summed", ""); status == 200 && (found.status == 200) != (directive != "EXCLUDE") {
			t.Errorf("%q: %d %s", directive, found.status, found.body)
		}
	}
}

// What would keep an object is not ignored.
func TestEventHoldsAreRefused(t *testing.T) {
	s := photos(t)
	for header, status := range map[string]int{
		"X-Amz-Object-Lock-Event-Hold: ON": 501, "X-Amz-Object-Lock-Event-Hold-Duration-Days: 1": 501,
		"X-Amz-Object-Lock-Event-Hold-Duration-Years: 1": 501, "X-Amz-Object-Lock-Event-Hold: OFF": 200,
	} {
		s.do("PUT", "/photos/k", "x", header).want(status)
		s.do("POST", "/photos/k?uploads", "", header).want(status)
	}
}

// A name in the namespace of an account is that account's.
func TestBucketNamespaces(t *testing.T) {
	s := newStation(t, "us-east-1")
	const header = "X-Amz-Bucket-Namespace: "
	mine := "/photos-" + testAccount + "-us-east-1-an"
	s.do("PUT", mine, "", header+"account-regional").want(200)
	s.do("PUT", "/photos", "", header+"global").want(200)
	s.do("PUT", "/other", "", header+"mine").wantCode(400, "InvalidArgument")
	for _, name := range []string{"/other", "/photos-" + testAccount + "-eu-west-1-an", "/photos-" + otherAccount + "-us-east-1-an", "/photos-" + testAccount + "-an"} {
		s.do("PUT", name, "", header+"account-regional").wantCode(400, "InvalidBucketName")
	}
	s.do("PUT", mine+"x", "").want(200)
	s.do("PUT", "/dogs-"+testAccount+"-us-east-1-an", "", "by another account").wantCode(400, "InvalidBucketName")
	s.do("PUT", "/an-old-man-and-an", "").want(200)
}
