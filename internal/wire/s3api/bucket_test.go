// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/checksum"
)

func crc32Text(body string) string {
	h := checksum.CRC32.New()
	h.Write([]byte(body))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func TestCreateBucket(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/photos", "").want(200).
		wantHeader("Location", "/photos").wantHeader("x-amz-bucket-arn", "arn:aws:s3:::photos")
	s.do("PUT", "/photos", "").want(200) // in us-east-1 one's own bucket can be made again …
	s.do("PUT", "/photos", createBucket(`<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>`)).
		wantCode(409, "BucketAlreadyOwnedByYou", "<BucketName>photos</BucketName>") // … but not with tags
	s.do("PUT", "/ab", "").wantCode(400, "InvalidBucketName", "<BucketName>ab</BucketName>")
	s.do("PUT", "/tagged", createBucket(`<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>`)).want(200)
	s.do("GET", "/tagged?tagging", "").
		wantDocument(200, `<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>`)
	for name, tc := range map[string]struct {
		body, header string
		status       int
		code, piece  string
	}{
		"its own region as constraint": {body: createBucket(`<LocationConstraint>us-east-1</LocationConstraint>`), status: 400, code: "InvalidLocationConstraint"},
		"another region":               {body: createBucket(`<LocationConstraint>eu-west-1</LocationConstraint>`), status: 400, code: "IllegalLocationConstraintException", piece: "The eu-west-1 location constraint is incompatible"},
		"no document":                  {body: "nonsense", status: 400, code: "MalformedXML"},
		"directory bucket":             {body: createBucket(`<Bucket><Type>Directory</Type></Bucket>`), status: 501, code: "NotImplemented"},
		"tag without value":            {body: createBucket(`<Tags><Tag><Key>a</Key></Tag></Tags>`), status: 400, code: "MalformedXML"},
		"tag of AWS":                   {body: createBucket(`<Tags><Tag><Key>aws:a</Key><Value/></Tag></Tags>`), status: 400, code: "InvalidTag"},
		"ownership of nobody":          {header: "x-amz-object-ownership: Mine", status: 400, code: "InvalidArgument", piece: "<Message>Invalid x-amz-object-ownership header: Mine</Message>"},
		"unknown ACL":                  {header: "x-amz-acl: open", status: 400, code: "InvalidArgument", piece: "<ArgumentName>x-amz-acl</ArgumentName><ArgumentValue>open</ArgumentValue>"},
		"public ACL":                   {header: "x-amz-acl: public-read", status: 400, code: "InvalidBucketAclWithObjectOwnership"},
		"grant":                        {header: "x-amz-grant-read: id=1", status: 400, code: "InvalidBucketAclWithObjectOwnership"},
		"object lock, perhaps":         {header: "x-amz-bucket-object-lock-enabled: maybe", status: 400, code: "InvalidArgument"},
	} {
		t.Run(name, func(t *testing.T) {
			var headers []string
			if tc.header != "" {
				headers = append(headers, tc.header)
			}
			s.do("PUT", "/fresh", tc.body, headers...).wantCode(tc.status, tc.code, tc.piece)
			s.do("HEAD", "/fresh", "").want(404)
		})
	}
	for _, header := range []string{"x-amz-acl: private", "x-amz-object-ownership: BucketOwnerEnforced", "x-amz-object-ownership: ObjectWriter", "x-amz-bucket-object-lock-enabled: false"} {
		s.do("PUT", "/accepted", "", header).want(200)
	}
}

func createBucket(inner string) string {
	return `<CreateBucketConfiguration xmlns="` + namespace + `">` + inner + `</CreateBucketConfiguration>`
}

func TestBucketElsewhere(t *testing.T) {
	s := newStation(t, "eu-west-1")
	s.do("PUT", "/photos", createBucket(`<LocationConstraint>eu-west-1</LocationConstraint>`)).want(200)
	s.do("PUT", "/photos", "").wantCode(409, "BucketAlreadyOwnedByYou")
	s.do("GET", "/photos?location", "").wantDocument(200, `<LocationConstraint>eu-west-1</LocationConstraint>`)
	s.do("HEAD", "/photos", "").want(200).
		wantHeader("x-amz-bucket-region", "eu-west-1").wantHeader("x-amz-access-point-alias", "false").
		wantHeader("x-amz-bucket-arn", "arn:aws:s3:::photos")
	east := newStation(t, "us-east-1")
	east.do("PUT", "/photos", "").want(200)
	east.do("GET", "/photos?location", "").wantDocument(200, `<LocationConstraint></LocationConstraint>`)
}

func TestBucketOwnerAndDeletion(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/photos", "").want(200)
	s.do("GET", "/photos?location", "", "x-amz-expected-bucket-owner: "+testAccount).want(200)
	s.do("GET", "/photos?location", "", "x-amz-expected-bucket-owner: 111122223333").wantCode(403, "AccessDenied")
	s.do("DELETE", "/photos", "", "x-amz-expected-bucket-owner: me").
		wantCode(400, "InvalidBucketOwnerAWSAccountID", "must be an AWS Account ID... [me]")
	s.do("PUT", "/photos/cat", "meow").want(200)
	s.do("DELETE", "/photos", "").wantCode(409, "BucketNotEmpty", "<BucketName>photos</BucketName>")
	s.do("DELETE", "/photos/cat", "").want(204)
	if got := s.do("DELETE", "/photos", "").want(204); got.body != "" {
		t.Errorf("body %q", got.body)
	}
	s.do("DELETE", "/photos", "").wantCode(404, "NoSuchBucket", "<BucketName>photos</BucketName>")
	if got := s.do("HEAD", "/photos", "").want(404); got.body != "" {
		t.Errorf("body of a HEAD %q", got.body)
	}
}

func TestListBuckets(t *testing.T) {
	s := newStation(t, "us-east-1")
	for i := range 5 {
		s.do("PUT", fmt.Sprintf("/photos-%d", i), "").want(200)
	}
	s.do("PUT", "/music", "").want(200)
	dates := regexp.MustCompile(`<CreationDate>[0-9-]{10}T[0-9:]{8}\.000Z</CreationDate>`)
	list := func(query string) *answer {
		t.Helper()
		a := s.do("GET", "/"+query, "").want(200)
		a.body = dates.ReplaceAllString(a.body, "<Date/>")
		return a
	}
	owner := "<Owner><ID>" + canonicalID(testAccount) + "</ID></Owner>"
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(canonicalID(testAccount)) {
		t.Errorf("canonical id %q", canonicalID(testAccount))
	}
	all := "<Bucket><Name>music</Name><Date/><BucketArn>arn:aws:s3:::music</BucketArn></Bucket>"
	for i := range 5 {
		all += fmt.Sprintf("<Bucket><Name>photos-%d</Name><Date/><BucketArn>arn:aws:s3:::photos-%[1]d</BucketArn></Bucket>", i)
	}
	list("").wantDocument(200, "<ListAllMyBucketsResult>"+owner+"<Buckets>"+all+"</Buckets></ListAllMyBucketsResult>")
	first := list("?prefix=photos&max-buckets=2")
	first.wantDocument(200, "<ListAllMyBucketsResult>"+owner+"<Buckets>"+
		"<Bucket><Name>photos-0</Name><Date/><BucketRegion>us-east-1</BucketRegion><BucketArn>arn:aws:s3:::photos-0</BucketArn></Bucket>"+
		"<Bucket><Name>photos-1</Name><Date/><BucketRegion>us-east-1</BucketRegion><BucketArn>arn:aws:s3:::photos-1</BucketArn></Bucket></Buckets>"+
		"<ContinuationToken>"+continuationToken("photos-1")+"</ContinuationToken><Prefix>photos</Prefix></ListAllMyBucketsResult>")
	rest := list("?prefix=photos&max-buckets=3&continuation-token=" + strings.ReplaceAll(continuationToken("photos-1"), "+", "%2B"))
	rest.want(200, "photos-2", "photos-4")
	if strings.Contains(rest.body, "photos-1") || strings.Contains(rest.body, "ContinuationToken") {
		t.Errorf("last page: %s", rest.body)
	}
	if got := list("?bucket-region=eu-west-1"); strings.Contains(got.body, "<Bucket>") {
		t.Errorf("buckets of another region: %s", got.body)
	}
	for _, n := range []string{"0", "-1", "10001", "many"} {
		s.do("GET", "/?max-buckets="+n, "").
			wantCode(400, "InvalidArgument", "<ArgumentName>max-buckets</ArgumentName><ArgumentValue>"+n+"</ArgumentValue>")
	}
	list("?continuation-token=").want(200, "music")
	for _, token := range []string{"nonsense", "cGhvdG9z", "AQ%3D%3D"} {
		s.do("GET", "/?continuation-token="+token, "").wantCode(400, "InvalidArgument", "The continuation token provided is incorrect")
	}
}

func TestUnsupported(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/photos", "").want(200)
	s.do("GET", "/photos?session", "").wantCode(405, "MethodNotAllowed", "<ResourceType>SESSION</ResourceType>")
	record := s.trail.last(t, "CreateSession")
	if record.ErrorCode != "MethodNotAllowed" || record.RequestParameters["session"] != "" {
		t.Errorf("audit record %+v", record)
	}
	s.do("HEAD", "/photos", "").want(200)
	s.do("DELETE", "/photos?acl", "").wantCode(405, "MethodNotAllowed", "<Method>DELETE</Method><ResourceType>ACL</ResourceType>").
		wantHeader("allow", "GET, PUT")
}

func TestBucketAudit(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/photos", "").want(200)
	r := s.trail.last(t, "CreateBucket")
	if r.RequestParameters["bucketName"] != "photos" || r.RequestParameters["Host"] != testDomain || !r.ManagementEvent || r.ReadOnly {
		t.Errorf("CreateBucket: %+v", r)
	}
	if len(r.Resources) != 1 || r.Resources[0].ARN != "arn:aws:s3:::photos" || r.Resources[0].Type != "AWS::S3::Bucket" {
		t.Errorf("CreateBucket: resources %+v", r.Resources)
	}
	s.do("PUT", "/photos/cat", "meow").want(200)
	r = s.trail.last(t, "PutObject")
	if len(r.Resources) != 2 || r.Resources[0].ARN != "arn:aws:s3:::photos/cat" || r.RequestParameters["key"] != "cat" || r.ManagementEvent {
		t.Errorf("PutObject: %+v", r)
	}
	s.do("GET", "/photos?list-type=2", "").want(200)
	if r = s.trail.last(t, "ListObjects"); !r.ReadOnly || r.EventCategory != "Data" || r.RequestParameters["list-type"] != "2" {
		t.Errorf("ListObjectsV2: %+v", r)
	}
}
