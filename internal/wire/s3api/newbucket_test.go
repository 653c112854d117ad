// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"strings"
	"testing"
)

// What a new bucket is, in both settings: as S3 makes them today, and as it did before 2023.
func TestNewBuckets(t *testing.T) {
	for _, legacy := range []bool{false, true} {
		s := stationOf(t, "us-east-1", legacy)
		s.do("PUT", "/photos", "").want(200).wantHeader("Location", "/photos").wantHeader("x-amz-bucket-arn", "arn:aws:s3:::photos")
		ownership, blocked, ssec := "BucketOwnerEnforced", "true", true
		if legacy {
			ownership, blocked, ssec = "ObjectWriter", "false", false
		}
		controls := s.do("GET", "/photos?ownershipControls", "")
		block := s.do("GET", "/photos?publicAccessBlock", "")
		switch {
		case !legacy:
			controls.want(200, "<ObjectOwnership>"+ownership+"</ObjectOwnership>")
			for _, member := range []string{"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"} {
				block.want(200, "<"+member+">"+blocked+"</"+member+">")
			}
		default: // nobody had said anything then
			if controls.status != 404 && !strings.Contains(controls.body, ownership) {
				t.Errorf("legacy: %d %s", controls.status, controls.body)
			}
			if block.status != 404 && strings.Contains(block.body, ">true<") {
				t.Errorf("legacy: %d %s", block.status, block.body)
			}
		}
		if a := s.do("GET", "/photos?encryption", "").want(200, "<SSEAlgorithm>AES256</SSEAlgorithm>"); strings.Contains(a.body, "SSE-C") != ssec {
			t.Errorf("legacy %v: %s", legacy, a.body)
		}
		s.do("GET", "/photos?acl", "").want(200, "<ID>"+canonicalID(testAccount)+"</ID>", "<Permission>FULL_CONTROL</Permission>")

		// An ACL is for buckets that have them.
		public := s.do("PUT", "/photos?acl", "", "X-Amz-Acl: public-read")
		if legacy {
			public.want(200)
		} else {
			public.wantCode(400, "AccessControlListNotSupported")
			s.do("PUT", "/photos?acl", "", "X-Amz-Acl: private").wantCode(400, "AccessControlListNotSupported")
		}
		made := s.do("PUT", "/public", "", "X-Amz-Acl: public-read")
		if legacy {
			made.want(200)
		} else {
			made.wantCode(400, "InvalidBucketAclWithObjectOwnership")
			s.do("PUT", "/public", "", "X-Amz-Acl: public-read", "X-Amz-Object-Ownership: ObjectWriter").wantCode(400, "InvalidBucketAclWithBlockPublicAccessError")
		}
		s.do("PUT", "/owned", "", "X-Amz-Object-Ownership: BucketOwnerPreferred", "X-Amz-Acl: private").want(200)
		s.do("GET", "/owned?ownershipControls", "").want(200, "BucketOwnerPreferred")

		// The same in both (rows 13.6 to 13.11 of what S3 was observed to answer).
		for range 2 {
			s.do("DELETE", "/photos?ownershipControls", "").want(204)
			s.do("DELETE", "/photos?publicAccessBlock", "").want(204)
		}
		s.do("GET", "/photos?ownershipControls", "").wantCode(404, "OwnershipControlsNotFoundError")
		s.do("GET", "/photos?publicAccessBlock", "").wantCode(404, "NoSuchPublicAccessBlockConfiguration")
		s.do("PUT", "/photos?publicAccessBlock", `<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>`).want(200)
		s.do("GET", "/photos?publicAccessBlock", "").want(200, "<BlockPublicAcls>true</BlockPublicAcls>", "<IgnorePublicAcls>false</IgnorePublicAcls>", "<BlockPublicPolicy>false</BlockPublicPolicy>", "<RestrictPublicBuckets>false</RestrictPublicBuckets>")
		s.do("PUT", "/other", "", "X-Amz-Object-Ownership: Mine").wantCode(400, "InvalidArgument", "Invalid x-amz-object-ownership header: Mine")
		s.do("PUT", "/photos?ownershipControls", `<OwnershipControls><Rule><ObjectOwnership>Mine</ObjectOwnership></Rule></OwnershipControls>`).wantCode(400, "MalformedXML")
		s.do("PUT", "/photos?acl", "", "X-Amz-Acl: open").wantCode(400, "InvalidArgument", "<ArgumentName>x-amz-acl</ArgumentName>")
		s.do("PUT", "/photos?acl", "", "X-Amz-Acl: private", "X-Amz-Grant-Read: id=x").wantCode(400, "InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
		s.do("PUT", "/photos?acl", "").wantCode(400, "MissingSecurityHeader", "<MissingHeaderName>x-amz-acl</MissingHeaderName>")
		s.do("PUT", "/photos?acl", "<AccessControlPolicy/>", "X-Amz-Acl: private").wantCode(400, "UnexpectedContent")
		s.do("PUT", "/photos?acl", "<Other/>").wantCode(400, "MalformedACLError")
	}
}

// Names that no bucket can have, as S3's rules are.
func TestBucketNames(t *testing.T) {
	s := newStation(t, "us-east-1")
	for _, name := range []string{
		"ab", strings.Repeat("a", 64), "Photos", "my_bucket", "-a-b", "a-b-", ".abc", "abc.", "a..b", "192.168.5.4", "xn--photos",
		"sthree-photos", "amzn-s3-demo-photos", "photos-s3alias", "photos--ol-s3", "photos.mrap", "photos--x-s3", "photos--table-s3",
	} {
		s.do("PUT", "/"+name, "").wantCode(400, "InvalidBucketName", "The specified bucket is not valid.", "<BucketName>"+name+"</BucketName>")
	}
	for _, name := range []string{"abc", strings.Repeat("a", 63), "1.2.3", "a.b-c", "192.168.5.4.5", "my-bucket-1"} {
		s.do("PUT", "/"+name, "").want(200)
	}
}
