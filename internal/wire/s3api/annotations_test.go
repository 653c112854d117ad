// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"strings"
	"testing"
)

// No object has annotations: they are answered for as for an object that has none.
func TestAnnotations(t *testing.T) {
	s := photos(t)
	s.do("PUT", "/photos/cat.jpg", "meow").want(200)
	const at = "/photos/cat.jpg?annotation"
	s.do("GET", at, "").wantDocument(200, `<ListObjectAnnotationsResult><Bucket>photos</Bucket><Key>cat.jpg</Key><AnnotationPrefix></AnnotationPrefix><MaxAnnotationResults>1000</MaxAnnotationResults><AnnotationCount>0</AnnotationCount></ListObjectAnnotationsResult>`).
		wantHeader("x-amz-object-version-id", "")
	s.do("GET", at+"&annotation-prefix=a&max-annotation-results=2000", "").want(200, "<AnnotationPrefix>a</AnnotationPrefix><MaxAnnotationResults>1000<")
	s.do("GET", at+"&max-annotation-results=0", "").wantCode(400, "InvalidArgument")
	s.do("GET", at+"&continuation-token=x", "").wantCode(400, "InvalidArgument")
	s.do("GET", "/photos/missing?annotation", "").wantCode(404, "NoSuchKey")
	for _, method := range []string{"GET", "DELETE"} {
		s.do(method, at+"&annotationName=a", "").wantCode(404, "NoSuchAnnotation", "The specified annotation does not exist on this object.")
		s.do(method, "/photos/missing?annotation&annotationName=a", "").wantCode(404, "NoSuchKey")
	}
	s.do("PUT", at+"&annotationName=a", "text").wantCode(501, "NotImplemented", "does not keep annotations")
	for _, name := range []string{"", "aws", "AWS-x", "s3", "S3:x"} {
		s.do("PUT", at+"&annotationName="+name, "text").wantCode(400, "InvalidAnnotationName")
	}
	s.do("PUT", at+"&annotationName="+strings.Repeat("a", 513), "text").wantCode(400, "AnnotationNameTooLong")
	s.do("GET", "/photos/cat.jpg", "").want(200, "meow")
	for directive, status := range map[string]int{"COPY": 200, "EXCLUDE": 200, "REPLACE": 400} {
		s.do("PUT", "/photos/copy", "", "X-Amz-Copy-Source: /photos/cat.jpg", "X-Amz-Object-Annotation-Directive: "+directive).want(status)
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
