// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func TestDecodeDelete(t *testing.T) {
	api := new(API)
	in, err := api.decodeDelete(cat(t, "DELETE", "versionId=v1", "If-Match: e", "x-amz-mfa: 1 2"))
	if err != nil || in.VersionID != "v1" || in.IfMatch != "e" || in.Key != "cat.jpg" {
		t.Errorf("%+v, %v", in, err)
	}
	for header, want := range map[string]fault.Kind{
		"x-amz-if-match-size: 5": NotImplemented,
		"x-amz-if-match-last-modified-time: Thu, 01 Jan 2026 00:00:00 GMT": NotImplemented,
		"x-amz-bypass-governance-retention: true":                          "",
	} {
		_, err := api.decodeDelete(cat(t, "DELETE", "", header))
		if kind, _ := faultOf(err); kind != want {
			t.Errorf("%s: %v, want %s", header, err, want)
		}
	}
	for text, want := range map[string]bool{"true": true, "TRUE": true, "false": false, "": false, "yes": false} {
		in, err := api.decodeDelete(cat(t, "DELETE", "", bypassHeader+": "+text))
		if err != nil || !in.Asked || (in.May != nil) != want {
			t.Errorf("bypass %q: %+v, %v", text, in.BypassRetention, err)
		}
	}
}

func TestDeleteAnswers(t *testing.T) {
	for _, c := range []struct {
		out  object.Deleted
		want map[string][]string
	}{
		{object.Deleted{}, map[string][]string{}},
		{object.Deleted{VersionID: "v1"}, map[string][]string{"x-amz-version-id": {"v1"}}},
		{object.Deleted{VersionID: "v2", Marker: true}, map[string][]string{"x-amz-version-id": {"v2"}, "x-amz-delete-marker": {"true"}}},
	} {
		r, err := encodeDelete(cat(t, "DELETE", ""), c.out)
		if err != nil || r.Status != 204 || !reflect.DeepEqual(map[string][]string(r.Header), c.want) {
			t.Errorf("%+v: %+v, %v", c.out, r, err)
		}
	}
}

// decoded sends a DeleteObjects document and returns what comes of it.
func decoded(t *testing.T, document string, headers ...string) (in deleteMany, err error) {
	t.Helper()
	op := pipeline.Define("DeleteObjects", pipeline.Data, bucketRoute("POST", "delete"),
		func(c *pipeline.Call) (deleteMany, error) {
			in, err = new(API).decodeDeleteMany(c)
			return in, err
		},
		func(context.Context, iam.Caller, deleteMany) (emptyResult, error) { return emptyResult{}, nil }, ok)
	if headers == nil {
		sum := fips.MD5([]byte(document))
		headers = []string{"Content-MD5: " + base64.StdEncoding.EncodeToString(sum[:])}
	}
	exchange(t, op, photo("POST", "delete", document, headers...))
	return in, err
}

func TestDecodeDeleteObjects(t *testing.T) {
	in, err := decoded(t, `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>
		<Object><Key> a b </Key></Object><Object><Key>c</Key><VersionId>v1</VersionId><ETag>"e"</ETag></Object></Delete>`)
	want := []object.DeleteItem{{Key: " a b "}, {Key: "c", VersionID: "v1", IfMatch: `"e"`}}
	if err != nil || !in.quiet || !reflect.DeepEqual(in.Items, want) || in.Bucket != "photos" {
		t.Errorf("%+v, %v; want %+v", in, err, want)
	}
	one := "<Object><Key>a</Key></Object>"
	for _, c := range []struct {
		name, document string
		want           fault.Kind
	}{
		{"1000 keys", "<Delete>" + strings.Repeat(one, 1000) + "</Delete>", ""},
		{"1001 keys", "<Delete>" + strings.Repeat(one, 1001) + "</Delete>", MalformedXML},
		{"no keys", "<Delete></Delete>", MalformedXML},
		{"an empty key", "<Delete><Object><Key></Key></Object></Delete>", MalformedXML},
		{"other root", "<Remove>" + one + "</Remove>", MalformedXML},
		{"a size", "<Delete><Object><Key>a</Key><Size>5</Size></Object></Delete>", NotImplemented},
	} {
		_, err := decoded(t, c.document)
		if kind, _ := faultOf(err); kind != c.want {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := decoded(t, "<Delete>"+one+"</Delete>", "Content-MD5: "+helloMD5); err == nil {
		t.Error("a document with another digest is taken")
	}
	if _, err := decoded(t, "<Delete>"+one+"</Delete>", "Accept: */*"); err == nil {
		t.Error("a document without a digest is taken")
	}
}

func TestDeleteObjectsAnswers(t *testing.T) {
	results := []object.DeleteResult{
		{DeleteItem: object.DeleteItem{Key: "plain"}},
		{DeleteItem: object.DeleteItem{Key: "hidden"}, Deleted: object.Deleted{VersionID: "m1", Marker: true}},
		{DeleteItem: object.DeleteItem{Key: "version", VersionID: "v1"}, Deleted: object.Deleted{VersionID: "v1"}},
		{DeleteItem: object.DeleteItem{Key: "marker", VersionID: "m0"}, Deleted: object.Deleted{VersionID: "m0", Marker: true}},
		{DeleteItem: object.DeleteItem{Key: "kept"}, Err: fault.New(object.PreconditionFailed, "").With("Condition", "If-Match")},
		{DeleteItem: object.DeleteItem{Key: "odd", VersionID: "?"}, Err: fault.New(object.InvalidVersionID, "")},
		{DeleteItem: object.DeleteItem{Key: "broken"}, Err: errors.New("the disk is on fire")},
	}
	const open = `<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`
	const deleted = `<Deleted><Key>plain</Key></Deleted>` +
		`<Deleted><Key>hidden</Key><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>m1</DeleteMarkerVersionId></Deleted>` +
		`<Deleted><Key>version</Key><VersionId>v1</VersionId></Deleted>` +
		`<Deleted><Key>marker</Key><VersionId>m0</VersionId><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>m0</DeleteMarkerVersionId></Deleted>`
	const failed = `<Error><Key>kept</Key><Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you specified did not hold</Message></Error>` +
		`<Error><Key>odd</Key><VersionId>?</VersionId><Code>NoSuchVersion</Code><Message>The specified version does not exist.</Message></Error>` +
		`<Error><Key>broken</Key><Code>InternalError</Code><Message>We encountered an internal error. Please try again.</Message></Error></DeleteResult>`
	for quiet, want := range map[bool]string{false: open + deleted + failed, true: open + failed} {
		op := pipeline.Define("DeleteObjects", 0, bucketRoute("POST", "delete"),
			func(*pipeline.Call) (struct{}, error) { return struct{}{}, nil },
			func(context.Context, iam.Caller, struct{}) (deletedMany, error) {
				return deletedMany{results, quiet}, nil
			},
			encodeDeleteMany)
		answer, _ := exchange(t, op, photo("POST", "delete", ""))
		if got := body(t, answer); got != xmlHeader+want {
			t.Errorf("quiet %v:\ngot  %s\nwant %s%s", quiet, got, xmlHeader, want)
		}
	}
}
