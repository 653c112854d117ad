// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/fault/faulttest"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func rendered(t *testing.T, method string, err error) *pipeline.Response {
	t.Helper()
	c := call(t, method, "/photos/cat")
	c.ID, c.HostID = "R", "H"
	f, ok := fault.As(err)
	if !ok {
		t.Fatalf("%v is no fault", err)
	}
	code := codes[f.Kind]
	if f.Message != "" {
		code.Message = f.Message
	}
	return renderFault(c, code, f.Details)
}

func TestFaultDocument(t *testing.T) {
	for _, tc := range []struct {
		method string
		err    error
		want   string
	}{
		{
			"GET", fault.New(object.NoSuchKey, "").With("Key", "a&<b>\x01\"c").With("x-amz-delete-marker", "true"),
			`<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>a&amp;&lt;b&gt;&quot;c</Key><RequestId>R</RequestId><HostId>H</HostId></Error>`,
		},
		{
			"PUT", invalidArgument("x-amz-server-side-encryption", "rot13", "no such method"),
			`<Error><Code>InvalidArgument</Code><Message>no such method</Message><ArgumentName>x-amz-server-side-encryption</ArgumentName><ArgumentValue>rot13</ArgumentValue><RequestId>R</RequestId><HostId>H</HostId></Error>`,
		},
		{
			"GET", fault.New(object.DeleteMarker, "").With("ResourceType", "DeleteMarker").With("allow", "DELETE"),
			`<Error><Code>MethodNotAllowed</Code><Message>The specified method is not allowed against this resource.</Message><Method>GET</Method><ResourceType>DeleteMarker</ResourceType><RequestId>R</RequestId><HostId>H</HostId></Error>`,
		},
		{
			"PUT", fault.New(object.ConditionUnsupported, "").With("Header", "If-Match").With("additionalMessage", "m"),
			`<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented</Message><Header>If-Match</Header><additionalMessage>m</additionalMessage><RequestId>R</RequestId><HostId>H</HostId></Error>`,
		},
	} {
		resp := rendered(t, tc.method, tc.err)
		if got := string(resp.Body); got != xmlHeader+tc.want {
			t.Errorf("%v:\n got %s\nwant %s", tc.err, got, tc.want)
		}
		if got := resp.Header.Get("Content-Type"); got != "application/xml" {
			t.Errorf("%v: content type %q", tc.err, got)
		}
	}
}

func TestFaultHeaders(t *testing.T) {
	gone := fault.New(object.DeleteMarker, "").With("x-amz-delete-marker", "true").With("x-amz-version-id", "v").
		With("allow", "DELETE").With("last-modified", "then")
	resp := rendered(t, "HEAD", gone)
	if resp.Status != 405 || resp.Body != nil {
		t.Errorf("HEAD: status %d, body %q; want 405 and none", resp.Status, resp.Body)
	}
	for name, want := range map[string]string{"x-amz-delete-marker": "true", "x-amz-version-id": "v", "allow": "DELETE", "last-modified": "then"} {
		if got := resp.Header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	resp = rendered(t, "GET", fault.New(object.NotModified, "").With("ETag", "abc"))
	if resp.Status != 304 || resp.Body != nil || resp.Header.Get("ETag") != `"abc"` || resp.Header.Get("Content-Type") != "" {
		t.Errorf("not modified: %d %v %q", resp.Status, resp.Header, resp.Body)
	}
}

// notS3 are kinds that no S3 request can end in, with the reason. If one does all
// the same, it is an internal error.
var notS3 = map[fault.Kind]string{
	"blob: no such stream":              "package object turns it into Damaged",
	"blob: stream already exists":       "stream ids are random; a second use is a mistake of ours",
	"keystore: algorithm not allowed":   "KMS API only: package kms turns it into UnsupportedOperation",
	"keystore: unsuitable key material": "KMS API only: importing",
	"keystore: import token refused":    "KMS API only: importing",
	"keystore: import token expired":    "KMS API only: importing",

	"consolidate: stopped by the bucket's setting": "operator's API only",
	"jobs: no such job":                            "operator's API only",
	"report: invalid request":                      "operator's API only",
	"preflight: malformed document":                "operator's command only",
	"jobs: kind is not registered":                 "upkeep only",
	"jobs: lease was lost":                         "upkeep only",

	"kms: already exists":            "KMS API only: making an alias",
	"kms: dry run succeeded":         "KMS API only: S3 makes no dry runs",
	"kms: invalid alias name":        "KMS API only: making an alias",
	"kms: invalid grant id":          "KMS API only: S3 passes no grant tokens",
	"kms: invalid grant token":       "KMS API only: S3 passes no grant tokens",
	"kms: invalid marker":            "KMS API only: listings",
	"kms: invalid MAC":               "KMS API only: verifying",
	"kms: expired import token":      "KMS API only: importing",
	"kms: incorrect key material":    "KMS API only: importing",
	"kms: invalid import token":      "KMS API only: importing",
	"kms: invalid signature":         "KMS API only: verifying",
	"kms: malformed policy document": "KMS API only: putting a key policy",
	"kms: invalid tags":              "KMS API only: tags of keys",
}

// Every kind of fault that a layer below can raise has a code, or a reason why it
// needs none. The root key's are of starting the server and of its own commands.
func TestEveryKindHasACode(t *testing.T) {
	kinds := map[fault.Kind]string{}
	for _, dir := range []string{"core", "store", "link", "checksum", "wire/sigv4", "wire/pipeline", "wire/s3api"} {
		err := filepath.WalkDir("../../"+dir, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case !entry.IsDir():
				return nil
			case entry.Name() == "rootkey":
				return fs.SkipDir
			}
			maps.Copy(kinds, faulttest.Declared(t, path))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(kinds) < 100 {
		t.Fatalf("found %d kinds: this is not the repository", len(kinds))
	}
	for kind, file := range kinds {
		_, coded := codes[kind]
		_, excused := notS3[kind]
		// Not of a caller, but of a call to IAM or STS.
		excused = excused || strings.HasPrefix(string(kind), "iam operation:") || strings.HasPrefix(string(kind), "oidc:")
		// Or of a call to CloudTrail.
		excused = excused || strings.HasPrefix(string(kind), "trails:") || strings.HasPrefix(string(kind), "audit/index:")
		if coded == excused {
			t.Errorf("%s declares %q: has a code: %t, is excused: %t", file, kind, coded, excused)
		}
	}
	for kind := range notS3 {
		if kinds[kind] == "" {
			t.Errorf("%q is excused and not declared", kind)
		}
	}
}

func TestCodesAreWhole(t *testing.T) {
	for kind, code := range codes {
		if code.Code == "" || code.Message == "" || code.Status < 304 || code.Status > 599 {
			t.Errorf("%s: incomplete code %+v", kind, code)
		}
	}
}

func TestCredentialFailures(t *testing.T) {
	for kind, want := range map[fault.Kind]pipeline.Code{
		iam.NoSuchAccessKey: pipeline.As(403, "InvalidAccessKeyId", ""),
		iam.ExpiredToken:    pipeline.As(400, "ExpiredToken", ""),
		iam.InvalidToken:    pipeline.As(400, "InvalidToken", ""),
	} {
		resp := rendered(t, "GET", kind)
		if resp.Status != want.Status || !strings.Contains(string(resp.Body), "<Code>"+want.Code+"</Code>") {
			t.Errorf("%s: %d %s", kind, resp.Status, resp.Body)
		}
	}
}
