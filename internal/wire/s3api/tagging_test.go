// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"fmt"
	"testing"
)

func tagDoc(pairs ...string) string {
	doc := "<Tagging><TagSet>"
	for i := 0; i < len(pairs); i += 2 {
		doc += "<Tag><Key>" + pairs[i] + "</Key><Value>" + pairs[i+1] + "</Value></Tag>"
	}
	return doc + "</TagSet></Tagging>"
}

func TestTagging(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/photos", "").want(200)
	s.do("PUT", "/photos/cat", "meow").want(200)
	s.do("GET", "/photos?tagging", "").wantCode(404, "NoSuchTagSet", "<BucketName>photos</BucketName>")
	s.do("GET", "/photos/cat?tagging", "").wantDocument(200, tagDoc())
	for _, tc := range []struct {
		target string
		put    int
		limit  int
	}{{"/photos?tagging", 204, 50}, {"/photos/cat?tagging", 200, 10}} {
		s.do("PUT", tc.target, tagDoc("team", "a team", "stage", "")).want(tc.put)
		s.do("GET", tc.target, "").wantDocument(200, tagDoc("team", "a team", "stage", "")).wantHeader("x-amz-version-id", "")
		s.do("PUT", tc.target, tagDoc("a", "1", "a", "2")).wantCode(400, "InvalidTag", "Cannot provide multiple Tags with the same key", "<TagKey>a</TagKey>")
		s.do("PUT", tc.target, tagDoc("a!", "1")).wantCode(400, "InvalidTag")
		for _, doc := range []string{"<Tagging/>", "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", "<TagSet/>", "a"} {
			s.do("PUT", tc.target, doc).wantCode(400, "MalformedXML")
		}
		var many []string
		for i := range tc.limit + 1 {
			many = append(many, fmt.Sprintf("key%d", i), "")
		}
		s.do("PUT", tc.target, tagDoc(many...)).wantCode(400, "BadRequest", fmt.Sprintf("cannot be greater than %d", tc.limit))
		s.do("PUT", tc.target, tagDoc(many[:2*tc.limit]...)).want(tc.put)
		s.do("DELETE", tc.target, "").want(204)
	}
	s.do("GET", "/photos?tagging", "").wantCode(404, "NoSuchTagSet")
	s.do("GET", "/photos/cat?tagging", "").wantDocument(200, tagDoc())
	s.do("GET", "/photos/dog?tagging", "").wantCode(404, "NoSuchKey", "<Key>dog</Key>")
	s.do("GET", "/photos/cat?tagging&versionId=", "").wantCode(400, "InvalidArgument", "<Message>Version id cannot be the empty string</Message>")
}

func TestVersionTagging(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/photos", "").want(200)
	s.do("PUT", "/photos?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>").want(200)
	first := s.do("PUT", "/photos/cat", "meow").want(200).spelt("x-amz-version-id")
	second := s.do("PUT", "/photos/cat", "purr").want(200).spelt("x-amz-version-id")
	s.do("PUT", "/photos/cat?tagging&versionId="+first, tagDoc("a", "1")).want(200).wantHeader("x-amz-version-id", first)
	s.do("GET", "/photos/cat?tagging", "").wantDocument(200, tagDoc()).wantHeader("x-amz-version-id", second)
	s.do("GET", "/photos/cat?tagging&versionId="+first, "").wantDocument(200, tagDoc("a", "1")).wantHeader("x-amz-version-id", first)
	s.do("DELETE", "/photos/cat?tagging&versionId="+first, "").want(204).wantHeader("x-amz-version-id", first)
	s.do("DELETE", "/photos/cat", "").want(204)
	s.do("GET", "/photos/cat?tagging", "").want(405, "<Method>GET</Method><ResourceType>DeleteMarker</ResourceType>").wantHeader("x-amz-delete-marker", "true")
}
