// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Every operation of the API model is in the tables: served, answered, or of another endpoint.
func TestEveryOperationOfTheModelHasARow(t *testing.T) {
	rows := map[string]bool{}
	for _, op := range (&API{}).ops() {
		rows[op.Name] = true
	}
	for _, e := range Elsewhere {
		rows[e.Name] = true
	}
	client := reflect.TypeFor[*s3.Client]()
	known := 0
	for i := range client.NumMethod() {
		name := client.Method(i).Name
		if name == "Options" {
			continue
		}
		known++
		if !rows[name] {
			t.Errorf("no row for %s", name)
		}
	}
	if known < 100 {
		t.Errorf("the model has only %d operations", known)
	}
}

func TestWhatGeneralPurposeBucketsDoNotTake(t *testing.T) {
	s := photos(t)
	s.do("PUT", "/photos/cat.jpg", "meow").want(200)
	for _, c := range []struct{ method, target string }{
		{"GET", "/photos?session"},
		{"PUT", "/photos/cat.jpg?renameObject"},
		{"POST", "/photos/cat.jpg?select&select-type=2"},
		{"GET", "/photos/cat.jpg?torrent"},
	} {
		s.do(c.method, c.target, "").wantCode(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	}
	s.do("GET", "/photos/cat.jpg", "").want(200, "meow")
}

// Metadata tables cannot be made, so none is found.
func TestMetadataTables(t *testing.T) {
	s := photos(t)
	for _, c := range []struct{ method, sub, root string }{
		{"POST", "metadataConfiguration", "MetadataConfiguration"}, {"POST", "metadataTable", "MetadataTableConfiguration"},
		{"PUT", "metadataInventoryTable", "InventoryTableConfiguration"}, {"PUT", "metadataJournalTable", "JournalTableConfiguration"},
		{"PUT", "metadataAnnotationTable", "AnnotationTableConfiguration"},
		{"GET", "metadataConfiguration", ""}, {"GET", "metadataTable", ""}, {"DELETE", "metadataConfiguration", ""}, {"DELETE", "metadataTable", ""},
	} {
		document := ""
		if c.root != "" {
			document = `<` + c.root + `></` + c.root + `>`
			s.do(c.method, "/photos?"+c.sub, `<Other/>`).wantCode(400, "MalformedXML")
			s.do(c.method, "/photos?"+c.sub, document, "no digest").wantCode(400, "InvalidRequest")
		}
		s.do(c.method, "/missing?"+c.sub, document).wantCode(404, "NoSuchBucket")
		if c.method == "POST" {
			s.do(c.method, "/photos?"+c.sub, document).wantCode(405, "MethodNotAllowed", "S3 Tables")
			continue
		}
		s.do(c.method, "/photos?"+c.sub, document).wantCode(404, "MetadataConfigurationNotFound")
	}
}

// Whose tags decide about access has them changed by ARN only.
func TestABACAndResourceTags(t *testing.T) {
	s := photos(t)
	account := "X-Amz-Account-Id: " + testAccount
	const tags = "/v20180820/tags/arn:aws:s3:::photos"
	request := func(tags string) string {
		return `<TagResourceRequest xmlns="` + controlNamespace + `"><Tags>` + tags + `</Tags></TagResourceRequest>`
	}
	list := func(want string) {
		t.Helper()
		s.do("GET", tags, "", account).want(200, `<ListTagsForResourceResult xmlns="`+controlNamespace+`"><Tags>`+want+`</Tags></ListTagsForResourceResult>`)
	}
	s.do("GET", "/photos?abac", "").wantDocument(200, `<AbacStatus><Status>Disabled</Status></AbacStatus>`)
	list("")
	s.do("POST", tags, request(`<Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>2</Value></Tag>`), account).want(204)
	s.do("POST", tags, request(`<Tag><Key>b</Key><Value>3</Value></Tag>`), account).want(204)
	list(`<Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value>3</Value></Tag>`)
	s.do("GET", "/photos?tagging", "").want(200, "<Key>b</Key><Value>3</Value>")
	s.do("PUT", "/photos?abac", `<AbacStatus><Status>Enabled</Status></AbacStatus>`).want(200)
	s.do("GET", "/photos?abac", "").wantDocument(200, `<AbacStatus><Status>Enabled</Status></AbacStatus>`)
	s.do("PUT", "/photos?tagging", `<Tagging><TagSet><Tag><Key>c</Key><Value>4</Value></Tag></TagSet></Tagging>`).wantCode(400, "InvalidRequest", "TagResource")
	s.do("DELETE", "/photos?tagging", "").wantCode(400, "InvalidRequest", "TagResource")
	s.do("DELETE", tags+"?tagKeys=a&tagKeys=none", "", account).want(204)
	list(`<Tag><Key>b</Key><Value>3</Value></Tag>`)
	if got := s.trail.last(t, "UntagResource").RequestParameters; got["tagKeys"] != "a,none" || got["bucketName"] != "photos" {
		t.Errorf("the record has %v", got)
	}
	for _, bad := range []string{"", "<Status>On</Status>", "<Status>Enabled</Status><Status>Enabled</Status>", "<Other/>"} {
		s.do("PUT", "/photos?abac", `<AbacStatus>`+bad+`</AbacStatus>`).wantCode(400, "MalformedXML")
	}
	s.do("POST", tags, request(`<Tag><Key>a</Key></Tag>`), account).wantCode(400, "MalformedXML")
	s.do("POST", tags, request(`<Tag><Key>aws:a</Key><Value/></Tag>`), account).wantCode(400, "InvalidTag")
	s.do("DELETE", tags, "", account).wantCode(400, "InvalidArgument")
	s.do("GET", "/v20180820/tags/photos", "", account).wantCode(400, "InvalidArgument")
	s.do("GET", "/v20180820/tags/arn:aws:s3:::missing", "", account).wantCode(404, "NoSuchBucket")
	s.do("GET", tags, "", "X-Amz-Account-Id: "+otherAccount).wantCode(403, "AccessDenied")
	s.do("GET", tags, "", "X-Amz-Account-Id: "+otherAccount, "by another account").wantCode(403, "AccessDenied")
}
