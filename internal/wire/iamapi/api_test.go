// SPDX-License-Identifier: Apache-2.0

package iamapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

const identity = "Action=GetCallerIdentity&Version=2011-06-15"

func TestCallerIdentity(t *testing.T) {
	road, kept := newRoad(t, (&API{IAM: &iam.Service{}}).Families()...)
	for name, q := range map[string]request{
		"form":              {key: "AKIAHOME", service: "sts", body: identity},
		"query of a GET":    {key: "AKIAHOME", service: "sts", method: "GET", query: identity},
		"query of a POST":   {key: "AKIAHOME", service: "sts", query: identity},
		"version elsewhere": {key: "AKIAHOME", service: "sts", query: "Version=2011-06-15", body: "Action=GetCallerIdentity"},
	} {
		w := q.send(t, road)
		want := `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><UserId>111122223333</UserId>` +
			`<Account>111122223333</Account><Arn>arn:aws:iam::111122223333:root</Arn></GetCallerIdentityResult><ResponseMetadata><RequestId>` +
			w.Header().Get("X-Amz-Request-Id") + "</RequestId></ResponseMetadata></GetCallerIdentityResponse>\n"
		if w.Code != 200 || w.Body.String() != want || w.Header().Get("Content-Type") != "text/xml" {
			t.Errorf("%s: %d %s, want %s", name, w.Code, w.Body, want)
		}
	}
	if n := len(kept.records); n != 4 || kept.records[0].EventSource != "sts.amazonaws.com" || kept.records[0].EventName != "GetCallerIdentity" {
		t.Errorf("%d records: %+v", n, kept.records)
	}
}

func TestRefused(t *testing.T) {
	road, _ := newRoad(t, (&API{IAM: &iam.Service{}}).Families()...)
	root := request{key: "AKIAHOME", service: "sts"}
	for _, test := range []struct {
		change func(*request)
		status int
		code   string
		text   string
	}{
		{func(q *request) { q.body = "Version=2011-06-15" }, 400, "MissingAction", ""},
		{func(q *request) { q.body = "Action=Fly&Version=2011-06-15" }, 400, "InvalidAction", "Could not find operation Fly for version 2011-06-15"},
		{func(q *request) { q.body = "Action=a%22b%27%3C&Version=2011-06-15" }, 400, "InvalidAction", "operation a&quot;b'&lt; for"},
		{func(q *request) { q.body = "Action=GetCallerIdentity" }, 400, "InvalidAction", "for version NO_VERSION_SPECIFIED"},
		{func(q *request) { q.body = "Action=GetCallerIdentity&Version=2010-05-08" }, 400, "InvalidAction", "for version 2010-05-08"},
		{func(q *request) { q.service = "iam"; q.body = identity }, 400, "InvalidAction", "GetCallerIdentity"},
		{func(q *request) { q.body = "Action=%zz" }, 400, "MalformedQueryString", ""},
		{func(q *request) { q.body = identity + strings.Repeat("&a=b", maxParameters) }, 400, "MalformedQueryString", "8192"},
		{func(q *request) { q.body = identity + "&a.b.c.d.e.f.g.h.i=x" }, 400, "MalformedQueryString", "too many parts"},
		{func(q *request) { q.body = identity + "&a=%ff" }, 400, "MalformedQueryString", "UTF-8"},
		{func(q *request) { q.body = identity; q.contentType = "text/plain" }, 400, "MissingAction", ""},
		{func(q *request) { q.body = identity; q.from = "192.0.2.1:4000" }, 400, "ValidationError", "secure connection"},
		{func(q *request) { q.body = identity + "&p=" + strings.Repeat("x", maxBody) }, 413, "RequestEntityTooLarge", ""},
		{func(q *request) { q.body = identity; q.key = "AKIANOBODY" }, 403, "InvalidClientTokenId", "The security token included in the request is invalid."},
		{func(q *request) { q.body = identity; q.key = "ASIAEXPIRED" }, 403, "ExpiredToken", "The security token included in the request is expired"},
		{func(q *request) { q.body = identity; q.key = "ASIAINVALID" }, 403, "InvalidClientTokenId", ""},
		{func(q *request) { q.body = identity; q.service = "" }, 403, "MissingAuthenticationToken", ""},
		{func(q *request) { q.body = "Action=CreateUser&Version=2010-05-08"; q.service = "" }, 403, "MissingAuthenticationToken", ""},
		{func(q *request) { q.body = identity + "&p=" + strings.Repeat("x", maxUnsignedBody); q.service = "" }, 413, "RequestEntityTooLarge", ""},
	} {
		q := root
		test.change(&q)
		w := q.send(t, road)
		if w.Code != test.status || !holds(w, "<Type>Sender</Type><Code>"+test.code+"</Code>") || !holds(w, test.text) {
			t.Errorf("%.60s: %d %s, want %d %s %s", q.body, w.Code, w.Body, test.status, test.code, test.text)
		}
	}
	r := root
	r.body = identity
	forged := r.build(t)
	forged.Header.Set("X-Amz-Date", time.Now().Add(-time.Minute).UTC().Format("20060102T150405Z"))
	if w := serve(road, forged); w.Code != 403 || !holds(w, "SignatureDoesNotMatch") {
		t.Errorf("a forged request: %d %s", w.Code, w.Body)
	}
}

// maxUnsignedBody is the pipeline's bound.
const maxUnsignedBody = 128 << 10

func TestOthersRequestsAreLeftToThem(t *testing.T) {
	families := (&API{}).Families()
	match := func(r *http.Request) string {
		for _, f := range families {
			if f.Match(r) {
				return f.Name
			}
		}
		return ""
	}
	for _, test := range []struct {
		q    request
		want string
	}{
		{request{service: "iam", body: "x"}, "iam"},
		{request{service: "sts", body: "x"}, "sts"},
		{request{service: "s3", body: "x"}, ""},
		{request{service: "kms", body: "x"}, ""},
		{request{service: "sns", query: "Action=Publish"}, ""},
		{request{body: "Action=AssumeRoleWithWebIdentity"}, "sts"},
		{request{method: "GET", query: "Version=2011-06-15&Action=AssumeRoleWithWebIdentity"}, "sts"},
		{request{method: "GET"}, ""},
		{request{method: "GET", query: "list-type=2"}, ""},
		{request{query: "delete", body: "<Delete/>"}, ""},
		{request{body: "x", contentType: "multipart/form-data; boundary=x"}, ""},
	} {
		if got := match(test.q.build(t)); got != test.want {
			t.Errorf("%+v is for %q, want %q", test.q, got, test.want)
		}
	}
}

// A made-up operation has every form of member.
type tagged struct {
	Key   string `api:"required 1-8 tag"`
	Value string `api:"required 0-4"`
}

type paged struct {
	Marker   string
	MaxItems *int `api:"1-1000"`
}

type brew struct {
	paged
	UserName string `api:"required 1-8 name"`
	Status   string `api:"Active|Inactive"`
	Password string `api:"secret 4-"`
	Minutes  int    `api:"1-10"`
	Sweet    bool
	Note     *string
	Names    []string `api:"0-3 each:2-4"`
	Tags     []tagged `api:"0-3"`
	Cup      struct{ Size int }
}

type brewed struct {
	Got      brew
	When     time.Time
	Document string `api:"encoded"`
	Password secret.Bytes
	Empty    []string
	None     []string
	Summary  map[string]int
	Absent   *brew
}

// teaHouse answers with what it was asked for.
func teaHouse(tb testing.TB) (*pipeline.Road, *trail) {
	op := newOp(iamService, "Brew", 0, func(_ context.Context, _ iam.Caller, in brew) (brewed, error) {
		return brewed{
			Got: in, When: time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)), Document: `{"a": "b+c~"}`,
			Password: secret.New([]byte("<tea>")), Empty: []string{}, Summary: map[string]int{"Users": 2, "Groups": 1},
		}, nil
	})
	drop := newOp(iamService, "Drop", 0, func(context.Context, iam.Caller, struct{}) (struct{}, error) { return struct{}{}, nil })
	return newRoad(tb, family(iamService, []pipeline.Op{op, drop}))
}

func TestMembers(t *testing.T) {
	road, kept := teaHouse(t)
	body := url.Values{
		"Action": {"Brew"}, "Version": {"2010-05-08"}, "UserName": {"ann"}, "Status": {"Active"}, "Password": {"sesame"}, "Minutes": {"7"}, "Sweet": {"true"},
		"Note": {""}, "Names.member.2": {"bob"}, "Names.member.10": {"cleo"}, "Names.member.1": {"ann"}, "MaxItems": {"5"},
		"Tags.member.1.Key": {"team"}, "Tags.member.1.Value": {""}, "Cup.Size": {"3"}, "Unknown": {"ignored"},
	}.Encode()
	w := request{key: "AKIAHOME", service: "iam", body: body}.send(t, road)
	want := `<BrewResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><BrewResult><Got><MaxItems>5</MaxItems><UserName>ann</UserName><Status>Active</Status>` +
		`<Password>sesame</Password><Minutes>7</Minutes><Sweet>true</Sweet><Note></Note><Names><member>ann</member><member>bob</member><member>cleo</member></Names>` +
		`<Tags><member><Key>team</Key><Value></Value></member></Tags><Cup><Size>3</Size></Cup></Got><When>2026-01-02T02:04:05Z</When>` +
		`<Document>%7B%22a%22%3A%20%22b%2Bc~%22%7D</Document><Password>&lt;tea&gt;</Password><Empty></Empty>` +
		`<Summary><entry><key>Groups</key><value>1</value></entry><entry><key>Users</key><value>2</value></entry></Summary></BrewResult>`
	if w.Code != 200 || !strings.HasPrefix(w.Body.String(), want) {
		t.Errorf("%d\n got %s\nwant %s", w.Code, w.Body, want)
	}
	text, err := json.Marshal(kept.records[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, no := range []string{"sesame", "<tea", "u003ctea", "Unknown", "ignored"} {
		if strings.Contains(string(text), no) {
			t.Errorf("the record holds %s: %s", no, text)
		}
	}
	for _, yes := range []string{`"userName":"ann"`, `"maxItems":5`, `"tags":[{"key":"team"}]`, `"summary":{`} {
		if !strings.Contains(string(text), yes) {
			t.Errorf("the record lacks %s: %s", yes, text)
		}
	}
	w = request{key: "AKIAHOME", service: "iam", body: "Action=Drop&Version=2010-05-08"}.send(t, road)
	if !strings.HasPrefix(w.Body.String(), `<DropResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ResponseMetadata><RequestId>`) {
		t.Errorf("a result of nothing: %s", w.Body)
	}
}

func TestMembersRefused(t *testing.T) {
	road, _ := teaHouse(t)
	for members, want := range map[string]string{
		"":                                 "1 validation error detected: Value null at 'userName' failed to satisfy constraint: Member must not be null",
		"UserName=":                        "2 validation errors detected: Value '' at 'userName' failed to satisfy constraint: Member must have length greater than or equal to 1; Value '' at 'userName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]+",
		"UserName=annnnnnnn":               "Value 'annnnnnnn' at 'userName' failed to satisfy constraint: Member must have length less than or equal to 8",
		"UserName=a%20b":                   "Value 'a b' at 'userName' failed to satisfy constraint: Member must satisfy regular expression pattern: ",
		"UserName.member.1=a":              "Value null at 'userName' failed to satisfy constraint: Member must not be null",
		"UserName=a&Status=Up":             "Value 'Up' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]",
		"UserName=a&Password=abc":          "Value at 'password' failed to satisfy constraint: Member must have length greater than or equal to 4",
		"UserName=a&Minutes=11":            "Value '11' at 'minutes' failed to satisfy constraint: Member must have value less than or equal to 10",
		"UserName=a&Minutes=0":             "Value '0' at 'minutes' failed to satisfy constraint: Member must have value greater than or equal to 1",
		"UserName=a&Minutes=9999999999":    "Value '9999999999' at 'minutes' failed to satisfy constraint: Member must be an integer",
		"UserName=a&MaxItems=x":            "Value 'x' at 'maxItems' failed to satisfy constraint: Member must be an integer",
		"UserName=a&Sweet=yes":             "Value 'yes' at 'sweet' failed",
		"UserName=a&Tags.member.1.Value=x": "Value null at 'tags.1.member.key' failed to satisfy constraint: Member must not be null",
		"UserName=a&Tags.member.1.Key=k":   "Value null at 'tags.1.member.value' failed",
		"UserName=a&Names.member.1=x":      "Value 'x' at 'names.1.member' failed to satisfy constraint: Member must have length greater than or equal to 2",
		"UserName=a&Names.member.one=xx":   "Value 'one' at 'names' failed",
		"UserName=a&Names.member.1=aa&Names.member.2=aa&Names.member.3=aa&Names.member.4=aa": "Value at 'names' failed to satisfy constraint: Member must have length less than or equal to 3",
	} {
		w := request{key: "AKIAHOME", service: "iam", body: "Action=Brew&Version=2010-05-08&" + members}.send(t, road)
		text := strings.ReplaceAll(w.Body.String(), "&amp;", "&")
		if w.Code != 400 || !strings.Contains(text, "<Code>ValidationError</Code><Message>") || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s, want %s", members, w.Code, text, want)
		}
	}
}

func TestListsAreBounded(t *testing.T) {
	var many strings.Builder
	for i := range maxElements + 1 {
		fmt.Fprintf(&many, "&Names.member.%d=aa", i+1)
	}
	var in struct{ Names []string }
	values, err := url.ParseQuery(many.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := decode(values, &in); err == nil || !strings.Contains(err.Error(), "less than or equal to 1000") {
		t.Errorf("a list of %d elements: %v", maxElements+1, err)
	}
}
