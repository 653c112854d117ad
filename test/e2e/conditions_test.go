// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cofferstore/coffer/test/coffertest"
)

// TestConditionsOfWrites: demands on what is there, wherever a client may put them.
func TestConditionsOfWrites(t *testing.T) {
	s := start(t)
	s.Bucket("cond", "", "", false)
	s.Put("cond", "k", "one")
	s.Put("cond", "source", "two")
	one, two := etagOf("one"), etagOf("two")
	precondition := func(name string) refusal {
		return refusal{status: 412, code: "PreconditionFailed", elements: []string{"Condition=" + name}}
	}
	missing := refusal{status: 404, code: "NoSuchKey", elements: []string{"Key"}}

	t.Run("in presigned URLs", func(t *testing.T) {
		put := func(key, query string) answer {
			a := presign(t, s, "PUT", "/cond/"+key+"?"+query)
			a.t = t
			return a
		}
		put("k", "If-None-Match=%2A").is(precondition("If-None-Match"))
		put("k", "if-none-match=%2A").is(precondition("If-None-Match"))
		put("k", "If-Match=x").is(precondition("If-Match"))
		put("none", "If-Match=x").is(missing)
		if a := put("new", "If-None-Match=%2A"); a.status != 200 {
			t.Errorf("a new key: %d %s", a.status, a.body)
		}
		del := presign(t, s, "DELETE", "/cond/k?If-Match=x")
		del.t = t
		del.is(precondition("If-Match"))
	})
	t.Run("of a copy's target", func(t *testing.T) {
		from := []string{"X-Amz-Copy-Source", "cond/source"}
		for _, c := range []struct {
			refusal
			key     string
			headers []string
		}{
			{precondition("If-None-Match"), "k", []string{"If-None-Match", "*"}},
			{precondition("If-Match"), "k", []string{"If-Match", two}},
			{missing, "none", []string{"If-Match", one}},
		} {
			a := request{method: "PUT", target: "/cond/" + c.key, headers: append(c.headers, from...)}.do(s)
			a.t = t
			a.is(c.refusal)
		}
		if a := (request{method: "PUT", target: "/cond/k", headers: append([]string{"If-Match", one}, from...)}).do(s); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
		if body, _ := s.Get("cond", "k"); body != "two" {
			t.Errorf("the target is %q", body)
		}
	})
	t.Run("of a form", func(t *testing.T) {
		a := form{bucket: "cond", key: "k", body: "three", head: []string{"If-None-Match", "*"}}.send(s)
		a.t = t
		a.is(precondition("If-None-Match"))
	})
	t.Run("of deletions among others", func(t *testing.T) {
		s.Put("cond", "d1", "one")
		s.Put("cond", "d2", "one")
		doc := fmt.Sprintf("<Delete><Object><Key>d1</Key><ETag>%s</ETag></Object><Object><Key>d2</Key><ETag>x</ETag></Object>"+
			"<Object><Key>none</Key><ETag>x</ETag></Object><Object><Key>none</Key></Object></Delete>", one)
		a := request{method: "POST", target: "/cond?delete", body: doc, headers: md5Header(doc)}.do(s)
		var got []string
		for _, e := range a.document().Children {
			what := e.XMLName.Local
			for _, c := range e.Children {
				if n := c.XMLName.Local; n == "Key" || n == "Code" {
					what += " " + c.Text
				}
			}
			got = append(got, what)
		}
		want := "[Deleted d1 Deleted none Error d2 PreconditionFailed Error none NoSuchKey]"
		if fmt.Sprint(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("of times to come", func(t *testing.T) {
		later := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
		if a := (request{method: "GET", target: "/cond/k", headers: []string{"If-Modified-Since", later}}).do(s); a.status != 200 {
			t.Errorf("get: %d", a.status)
		}
		headers := []string{"X-Amz-Copy-Source", "cond/k", "X-Amz-Copy-Source-If-Modified-Since", later}
		if a := (request{method: "PUT", target: "/cond/copy", headers: headers}).do(s); a.status != 200 {
			t.Errorf("copy: %d %s", a.status, a.body)
		}
	})
	if got := keys(s, "cond"); strings.Contains(got, "none") {
		t.Errorf("the bucket has %s", got)
	}
}

// presign signs a URL with its parameters and opens it.
func presign(t *testing.T, s *coffertest.Server, method, target string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+target+"&X-Amz-Expires=60", nil)
	if err != nil {
		t.Fatal(err)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	url, _, err := signer.PresignHTTP(t.Context(), aws.Credentials{AccessKeyID: coffertest.AccessKeyID, SecretAccessKey: coffertest.SecretAccessKey},
		req, "UNSIGNED-PAYLOAD", "s3", coffertest.Region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if req, err = http.NewRequestWithContext(t.Context(), method, url, nil); err != nil {
		t.Fatal(err)
	}
	return send(t, req)
}
