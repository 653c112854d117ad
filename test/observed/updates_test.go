// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/audit"
)

func TestUpdateObjectEncryption(t *testing.T) {
	s := start(t)
	update := func(r *row, target, body string) answer { return r.do("PUT", target+"?encryption", body) }
	s.row("8.1", "a bucket key is off unless it is asked for", func(r *row) {
		b, key := r.bucket(), r.s.Key()
		r.put("/"+b+"/k", "x")
		a := r.ok(200, update(r, "/"+b+"/k", "<ObjectEncryption><SSE-KMS><KMSKeyArn>"+key+"</KMSKeyArn></SSE-KMS></ObjectEncryption>"))
		r.is("body", a.body, "")
		r.told(r.do("HEAD", "/"+b+"/k", ""), keyHeader, key, bkHeader, absent)
		r.ok(200, update(r, "/"+b+"/k", updateTo(key, "true")))
		r.told(r.do("HEAD", "/"+b+"/k", ""), keyHeader, key, bkHeader, "true")
	})
	s.row("8.2", "no new version, and all else stays", func(r *row) {
		b := r.versioned()
		v := r.put("/"+b+"/k", "x", "x-amz-tagging", "a=1").header.Get("x-amz-version-id")
		before := r.do("HEAD", "/"+b+"/k", "")
		r.ok(200, update(r, "/"+b+"/k", updateTo(r.s.Key(), "true")))
		after := r.do("HEAD", "/"+b+"/k", "")
		r.told(after, "x-amz-version-id", v, "Last-Modified", before.header.Get("Last-Modified"), "ETag", before.header.Get("ETag"), "x-amz-tagging-count", "1")
		r.is("versions", strings.Repeat("x", r.do("GET", "/"+b+"?versions", "").count("Version")), "x")
		r.is("body", r.do("GET", "/"+b+"/k", "").body, "x")
	})
	s.row("8.3", "from SSE-S3, from another key, with and without a bucket key", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		one, two := r.s.Key(), r.s.Key()
		for _, c := range []struct{ key, bk, told string }{{one, "false", absent}, {two, "false", absent}, {two, "true", "true"}, {one, "true", "true"}, {one, "false", absent}} {
			r.ok(200, update(r, "/"+b+"/k", updateTo(c.key, c.bk)))
			r.told(r.ok(200, r.do("GET", "/"+b+"/k", "")), keyHeader, c.key, bkHeader, c.told)
		}
	})
	s.row("8.4", "from DSSE-KMS or SSE-C", func(r *row) {
		b, key := r.takesSSEC(), r.s.Key()
		r.put("/"+b+"/dsse", "x", sseHeader, "aws:kms:dsse", keyHeader, key)
		r.put("/"+b+"/customer", "x", customer("a").headers()...)
		r.err(update(r, "/"+b+"/dsse", updateTo(key, "true")), 400, "InvalidRequest", "")
		r.err(update(r, "/"+b+"/customer", updateTo(key, "true")), 400, "InvalidRequest", "")
	})
	s.row("8.5", "to what it cannot be", func(r *row) {
		b, key := r.bucket(), r.s.Key()
		r.put("/"+b+"/k", "x")
		for _, body := range []string{
			"<ObjectEncryption><SSE-S3/></ObjectEncryption>", "<ObjectEncryption><SSE-KMS/></ObjectEncryption>", "<ObjectEncryption/>",
			updateTo("arn:aws:kms", "true"), updateTo(idOf(key), "true"), updateTo("alias/aws/s3", "true"), updateTo(key, "yes"),
		} {
			a := update(r, "/"+b+"/k", body)
			if a.status != 400 || a.xml("Code") != "InvalidRequest" && a.xml("Code") != "MalformedXML" {
				r.Errorf("%s: got %d %s", body, a.status, a.body)
			}
		}
	})
	s.row("8.6", "to another account's key", func(r *row) {
		other := r.s.NewAccount("000000000086", "other")
		out, err := other.KMS.CreateKey(r.Context(), nil)
		if err != nil {
			r.Fatal(err)
		}
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		r.err(update(r, "/"+b+"/k", updateTo(*out.KeyMetadata.Arn, "true")), 403, "AccessDenied", "")
	})
	s.row("8.8", "no object", func(r *row) {
		r.err(update(r, "/"+r.bucket()+"/nothing", updateTo(r.s.Key(), "true")), 404, "NoSuchKey", "", "Key=nothing")
	})
	s.row("8.9", "what it takes to be allowed", func(r *row) {
		b, key := r.bucket(), r.s.Key()
		r.put("/"+b+"/k", "x")
		kms := allow("kms:*", "*")
		for name, c := range map[string]struct {
			actions string
			status  int
		}{
			"put": {`s3:PutObject`, 403}, "update": {`s3:UpdateObjectEncryption`, 403}, "both": {`s3:PutObject","s3:UpdateObjectEncryption`, 200},
		} {
			policy := strings.Replace(allow(c.actions, "*"), `"Action":"`+c.actions+`"`, `"Action":["`+c.actions+`"]`, 1)
			r.ok(c.status, r.user(name, policy, kms)("PUT", "/"+b+"/k?encryption", updateTo(key, "true")))
			if c.status == 200 {
				r.ok(403, r.user(name+"-no-key", policy)("PUT", "/"+b+"/k?encryption", updateTo(key, "false")))
			}
		}
	})
}

func TestTrafficOfBucketKeys(t *testing.T) {
	s := start(t)
	// since returns the KMS requests that f causes, as "GenerateDataKey arn:aws:s3:::photos".
	since := func(r *row, f func()) (out []string) {
		before := len(r.s.KMSRequests())
		f()
		for _, record := range r.s.KMSRequests()[before:] {
			out = append(out, record.EventName+" "+contextOf(record)["aws:s3:arn"])
		}
		return out
	}
	// work writes and reads three objects.
	work := func(r *row, do func(method, target, body string, headers ...string) answer, b string) func() {
		return func() {
			for _, k := range []string{"1", "2", "3"} {
				r.ok(200, do("PUT", "/"+b+"/"+k, "x"))
				r.ok(200, do("GET", "/"+b+"/"+k, ""))
			}
		}
	}
	s.row("9.1", "without one, a request for each object", func(r *row) {
		b := r.kmsBucket(r.s.Key(), false)
		arn := "arn:aws:s3:::" + b + "/"
		r.is("requests", strings.Join(since(r, work(r, r.do, b)), ", "),
			"GenerateDataKey "+arn+"1, Decrypt "+arn+"1, GenerateDataKey "+arn+"2, Decrypt "+arn+"2, GenerateDataKey "+arn+"3, Decrypt "+arn+"3")
	})
	s.row("9.2", "with one, two for the bucket", func(r *row) {
		b := r.kmsBucket(r.s.Key(), true)
		r.is("requests", strings.Join(since(r, work(r, r.do, b)), ", "), "GenerateDataKey arn:aws:s3:::"+b+", Decrypt arn:aws:s3:::"+b)
	})
	s.row("9.3", "for each requester", func(r *row) {
		b := r.kmsBucket(r.s.Key(), true)
		work(r, r.do, b)()
		all := []string{allow("s3:*", "*"), allow("kms:*", "*")}
		for _, name := range []string{"alice", "bob"} {
			as := r.user(name, all...)
			for i, want := range []int{2, 0} {
				if got := since(r, work(r, as, b)); len(got) != want {
					r.Errorf("%s, time %d: %q", name, i, got)
				}
			}
		}
	})
	s.row("9.4", "for each key", func(r *row) {
		b := r.bucket()
		for range 2 {
			key := r.s.Key()
			got := since(r, func() {
				for _, k := range []string{"1", "2"} {
					r.put("/"+b+"/"+k, "x", sseHeader, "aws:kms", keyHeader, key, bkHeader, "true")
				}
			})
			r.is("requests", strings.Join(got, ", "), "GenerateDataKey arn:aws:s3:::"+b)
		}
	})
	s.row("9.5", "a policy for an object's context does not match the bucket's", func(r *row) {
		key := r.s.Key()
		b := r.kmsBucket(key, false)
		policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::` + b + `/*"}}}]}`
		as := r.user("alice", allow("s3:*", "*"), policy)
		r.ok(200, as("PUT", "/"+b+"/k", "x"))
		r.s.Encrypt(b, "aws:kms", key, true)
		r.ok(403, as("PUT", "/"+b+"/k", "x"))
	})
	s.row("9.6", "a context of the caller's goes with the bucket's", func(r *row) {
		b := r.kmsBucket(r.s.Key(), true)
		before := len(r.s.KMSRequests())
		r.put("/"+b+"/k", "x", sseHeader, "aws:kms", sseHeader+"-context", "eyJ0ZWFtIjoiYSJ9")
		got := contextOf(r.s.KMSRequests()[before])
		r.is("context", got["aws:s3:arn"]+" "+got["team"], "arn:aws:s3:::"+b+" a")
	})
	s.row("9.7", "not with DSSE-KMS", func(r *row) {
		b := r.bucket()
		r.told(r.put("/"+b+"/k", "x", sseHeader, "aws:kms:dsse", keyHeader, r.s.Key(), bkHeader, "true"), sseHeader, "aws:kms:dsse", bkHeader, absent)
	})
	s.row("9.8", "an upload needs to decrypt, too", func(r *row) {
		key := r.s.Key()
		b := r.kmsBucket(key, false)
		for name, c := range map[string]struct {
			action string
			status int
		}{"generate": {"kms:GenerateDataKey", 403}, "all": {"kms:*", 200}} {
			as := r.user(name, allow("s3:*", "*"), allow(c.action, "*"))
			a := r.ok(200, as("POST", "/"+b+"/k?uploads", ""))
			r.ok(c.status, as("PUT", "/"+b+"/k?partNumber=1&uploadId="+a.xml("UploadId"), "x", "Content-MD5", absent))
		}
	})
}

func contextOf(r audit.Record) map[string]string {
	out := map[string]string{}
	parameters, _ := r.RequestParameters["encryptionContext"].(map[string]any)
	for k, v := range parameters {
		out[k], _ = v.(string)
	}
	return out
}
