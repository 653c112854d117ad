// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/cofferstore/coffer/test/coffertest"
)

func TestKeysOfObjects(t *testing.T) {
	s := start(t)
	with := func(key string) []string { return []string{sseHeader, "aws:kms", keyHeader, key} }
	// everywhere is the operations that take a key.
	everywhere := func(r *row, b, key string, f func(a answer)) {
		r.put("/"+b+"/source", "x")
		f(r.do("PUT", "/"+b+"/k", "x", with(key)...))
		f(r.do("POST", "/"+b+"/k?uploads", "", with(key)...))
		f(r.do("PUT", "/"+b+"/k", "", append(with(key), "x-amz-copy-source", b+"/source")...))
	}
	s.row("4.1", "SSE-KMS without a key is under the account's managed key", func(r *row) {
		for range 2 {
			r.told(r.put("/"+r.bucket()+"/k", "x", sseHeader, "aws:kms"), keyHeader, managed(r))
		}
	})
	s.row("4.2", "what the managed key is", func(r *row) {
		r.put("/"+r.bucket()+"/k", "x", sseHeader, "aws:kms")
		out, err := r.s.KMS.DescribeKey(r.Context(), describe("alias/aws/s3"))
		if err != nil {
			r.Fatal(err)
		}
		m := out.KeyMetadata
		r.is("it", strings.Join([]string{string(m.KeyManager), string(m.Origin), string(m.KeyUsage), string(m.KeySpec), *m.Description}, " "),
			"AWS AWS_KMS ENCRYPT_DECRYPT SYMMETRIC_DEFAULT Default key that protects my S3 objects when no other key is defined")
	})
	s.row("4.3", "a key that is no id", func(r *row) {
		everywhere(r, r.bucket(), "fake-key-id", func(a answer) {
			r.err(a, 400, "KMS.NotFoundException", "Invalid keyId 'fake-key-id'")
		})
	})
	s.row("4.4", "a key that there is not", func(r *row) {
		for _, key := range []string{missingKey, keyARN(missingKey)} {
			everywhere(r, r.bucket(), key, func(a answer) {
				r.err(a, 400, "KMS.NotFoundException", "Key '"+keyARN(missingKey)+"' does not exist")
			})
		}
	})
	s.row("4.5", "the ARN of another region", func(r *row) {
		elsewhere := strings.Replace(keyARN(missingKey), coffertest.Region, "eu-west-1", 1)
		everywhere(r, r.bucket(), elsewhere, func(a answer) { r.err(a, 400, "KMS.NotFoundException", "Invalid arn eu-west-1") })
	})
	s.row("4.6", "the id of a key elsewhere is one of no key here", func(r *row) {
		a := r.do("PUT", "/"+r.bucket()+"/k", "x", with("22222222-3333-4444-5555-666666666666")...)
		r.err(a, 400, "KMS.NotFoundException", "Key '"+keyARN("22222222-3333-4444-5555-666666666666")+"' does not exist")
	})
	s.row("4.7", "a disabled key", func(r *row) {
		for _, bk := range []bool{false, true} {
			key := r.s.Key()
			b := r.kmsBucket(key, bk)
			r.put("/"+b+"/k", "x")
			r.s.DisableKey(key)
			r.err(r.do("GET", "/"+b+"/k", ""), 400, "KMS.DisabledException", key+" is disabled.")
			r.err(r.do("PUT", "/"+b+"/k", "y"), 400, "KMS.DisabledException", key+" is disabled.")
		}
	})
	s.row("4.8", "a key that waits to be deleted", func(r *row) {
		key := r.s.Key()
		b := r.kmsBucket(key, true)
		r.put("/"+b+"/k", "x")
		if _, err := r.s.KMS.ScheduleKeyDeletion(r.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &key}); err != nil {
			r.Fatal(err)
		}
		r.err(r.do("GET", "/"+b+"/k", ""), 400, "KMS.KMSInvalidStateException", key+" is pending deletion.")
	})
	s.row("4.9", "an upload under a bad key does not begin", func(r *row) {
		b := r.bucket()
		r.err(r.do("POST", "/"+b+"/k?uploads", "", with(missingKey)...), 400, "KMS.NotFoundException", "")
		r.is("uploads", strings.Repeat("x", r.ok(200, r.do("GET", "/"+b+"?uploads", "")).count("Upload")), "")
	})
	s.row("4.10", "a caller who may not use the key", func(r *row) {
		key := r.s.Key()
		b := r.kmsBucket(key, true)
		r.put("/"+b+"/k", "x")
		as := r.user("nobody", allow("s3:*", "*"))
		who := "user/4-10-nobody is not authorized to perform: "
		r.err(as("PUT", "/"+b+"/k", "x"), 403, "AccessDenied", who+"kms:GenerateDataKey on resource: "+key)
		r.err(as("GET", "/"+b+"/k", ""), 403, "AccessDenied", who+"kms:Decrypt on resource: "+key)
	})
	s.row("4.11", "HEAD has GET's status, and no body", func(r *row) {
		key := r.s.Key()
		b := r.kmsBucket(key, true)
		r.put("/"+b+"/k", "x")
		for target, status := range map[string]int{"/" + b + "/nothing": 404, "/" + b + "/k?partNumber=9": 416, "/" + b + "/k?versionId=x": 400} {
			a := r.do("HEAD", target, "")
			r.ok(status, a)
			r.is("body", a.body, "")
		}
		r.is("body", r.ok(412, r.do("HEAD", "/"+b+"/k", "", "If-Match", `"other"`)).body, "")
	})
	s.row("4.11a", "HEAD needs the key for checksums alone", func(r *row) {
		key := r.s.Key()
		b := r.kmsBucket(key, true)
		r.put("/"+b+"/k", "x")
		as := r.user("nobody", allow("s3:*", "*"))
		r.ok(200, as("HEAD", "/"+b+"/k", ""))
		r.ok(403, as("HEAD", "/"+b+"/k", "", "x-amz-checksum-mode", "ENABLED"))
	})
	s.row("4.12", "disabling a key acts at once, not after a while", func(r *row) {
		key := r.s.Key()
		b := r.kmsBucket(key, true)
		for range 3 { // the bucket key is warm
			r.put("/"+b+"/k", "x")
			r.ok(200, r.do("GET", "/"+b+"/k", ""))
		}
		r.s.DisableKey(key)
		r.ok(400, r.do("GET", "/"+b+"/k", ""))
		if _, err := r.s.KMS.EnableKey(r.Context(), &kms.EnableKeyInput{KeyId: &key}); err != nil {
			r.Fatal(err)
		}
		r.ok(200, r.do("GET", "/"+b+"/k", ""))
	})
}

func TestCustomersKeys(t *testing.T) {
	s := start(t)
	const (
		wrongKey    = "Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key."
		notRight    = "The secret key was invalid for the specified algorithm."
		needs       = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object."
		algorithmOf = customerHeader + "algorithm"
		keyOf       = customerHeader + "key"
		md5HeaderOf = customerHeader + "key-md5"
	)
	trio := customer("a").headers()
	// but replaces headers of the trio; absent takes one away.
	but := func(headers ...string) []string { return append(append([]string{}, trio...), headers...) }

	s.row("7.1", "a new bucket takes none", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/source", "x")
		r.err(r.do("PUT", "/"+b+"/k", "x", trio...), 403, "AccessDenied", "blocked")
		r.err(r.do("POST", "/"+b+"/k?uploads", "", trio...), 403, "AccessDenied", "blocked")
		r.err(r.do("PUT", "/"+b+"/k", "", but("x-amz-copy-source", b+"/source")...), 403, "AccessDenied", "blocked")
	})
	s.row("7.2", "a bucket that blocks nothing does", func(r *row) {
		r.put("/"+r.takesSSEC()+"/k", "x", trio...)
	})
	s.row("7.3", "what is there stays readable when it is blocked", func(r *row) {
		b := r.takesSSEC()
		r.put("/"+b+"/k", "x", trio...)
		r.ok(200, r.do("PUT", "/"+b+"?encryption", encryption(rule("AES256", "", "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>"))))
		r.is("body", r.ok(200, r.do("GET", "/"+b+"/k", "", trio...)).body, "x")
		r.ok(403, r.do("PUT", "/"+b+"/k", "y", trio...))
	})
	s.row("7.4", "what answers tell", func(r *row) {
		b := r.takesSSEC()
		told := []string{algorithmOf, "AES256", md5HeaderOf, md5Of(customer("a").key()), sseHeader, absent}
		r.told(r.put("/"+b+"/k", "x", trio...), told...)
		r.told(r.ok(200, r.do("GET", "/"+b+"/k", "", trio...)), told...)
		r.told(r.ok(200, r.do("HEAD", "/"+b+"/k", "", trio...)), told...)
	})
	s.row("7.5", "without the key", func(r *row) {
		b := r.takesSSEC()
		r.put("/"+b+"/k", "x", trio...)
		r.err(r.do("GET", "/"+b+"/k", ""), 400, "InvalidRequest", needs)
		r.err(r.do("PUT", "/"+b+"/copy", "", "x-amz-copy-source", b+"/k"), 400, "InvalidRequest", needs)
	})
	s.row("7.6", "with another key", func(r *row) {
		b := r.takesSSEC()
		r.put("/"+b+"/k", "x", trio...)
		r.err(r.do("GET", "/"+b+"/k", "", customer("b").headers()...), 403, "AccessDenied", wrongKey)
		r.err(r.do("PUT", "/"+b+"/copy", "", append(customer("b").source(), "x-amz-copy-source", b+"/k")...), 403, "AccessDenied", wrongKey)
		r.put("/"+b+"/copy", "", append(customer("a").source(), "x-amz-copy-source", b+"/k")...)
	})
	s.row("7.7", "without the MD5", func(r *row) {
		b := r.takesSSEC()
		r.put("/"+b+"/k", "x", trio...)
		r.err(r.do("GET", "/"+b+"/k", "", but(md5HeaderOf, absent)...), 400, "InvalidArgument", "must provide the client calculated MD5 of the secret key.")
		// An SDK adds the MD5 that its user left out, and encodes a key that its user has encoded
		// already: what is recorded of a missing MD5 is this.
		twice := base64.StdEncoding.EncodeToString([]byte(customer("a").key()))
		long := but(keyOf, base64.StdEncoding.EncodeToString([]byte(twice)), md5HeaderOf, md5Of(twice))
		r.err(r.do("GET", "/"+b+"/k", "", long...), 403, "AccessDenied", wrongKey)
		r.err(r.do("PUT", "/"+b+"/k", "x", long...), 400, "InvalidArgument", notRight)
	})
	s.row("7.8", "a key of a wrong size", func(r *row) {
		b := r.takesSSEC()
		short := strings.Repeat("a", 31)
		r.err(r.do("PUT", "/"+b+"/k", "x", but(keyOf, base64.StdEncoding.EncodeToString([]byte(short)), md5HeaderOf, md5Of(short))...),
			400, "InvalidArgument", notRight, "ArgumentName="+sseHeader)
	})
	s.row("7.9", "an MD5 of another key", func(r *row) {
		r.err(r.do("PUT", "/"+r.takesSSEC()+"/k", "x", but(md5HeaderOf, md5Of("another"))...),
			400, "InvalidArgument", "The calculated MD5 hash of the key did not match the hash that was provided.")
	})
	s.row("7.10", "another algorithm", func(r *row) {
		r.err(r.do("PUT", "/"+r.takesSSEC()+"/k", "x", but(algorithmOf, "AES128")...),
			400, "InvalidEncryptionAlgorithmError", "The Encryption request you specified is not valid. Supported value: AES256.", "ArgumentValue=AES128")
	})
	s.row("7.11", "a part of the three", func(r *row) {
		b := r.takesSSEC()
		r.err(r.do("PUT", "/"+b+"/k", "x", but(algorithmOf, absent)...), 400, "InvalidArgument", "must provide a valid encryption algorithm.")
		r.err(r.do("PUT", "/"+b+"/k", "x", but(keyOf, absent, md5HeaderOf, absent)...), 400, "InvalidArgument", "must provide an appropriate secret key.")
	})
	s.row("7.12", "with another encryption", func(r *row) {
		b := r.takesSSEC()
		r.put("/"+b+"/source", "x")
		const text = "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"
		for _, sse := range []string{"AES256", "aws:kms"} {
			r.err(r.do("PUT", "/"+b+"/k", "x", but(sseHeader, sse)...), 400, "InvalidArgument", text)
			r.err(r.do("PUT", "/"+b+"/k", "", but(sseHeader, sse, "x-amz-copy-source", b+"/source")...), 400, "InvalidArgument", text)
		}
	})
	const mixed = "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters."
	s.row("7.13", "an upload without and a part with, and the reverse", func(r *row) {
		b := r.takesSSEC()
		plain, sealed := r.begin("/"+b+"/k"), r.begin("/"+b+"/k", trio...)
		r.err(r.do("PUT", plain.target+"&partNumber=1", "x", but("Content-MD5", absent)...), 400, "InvalidRequest", mixed)
		r.err(r.do("PUT", sealed.target+"&partNumber=1", "x", "Content-MD5", absent), 400, "InvalidRequest", mixed)
	})
	s.row("7.14", "a part under another key", func(r *row) {
		u := r.begin("/"+r.takesSSEC()+"/k", trio...)
		r.err(r.do("PUT", u.target+"&partNumber=1", "x", append(customer("b").headers(), "Content-MD5", absent)...),
			400, "InvalidRequest", "The provided encryption parameters did not match the ones used originally.")
	})
	s.row("7.15", "completing and deleting need no key", func(r *row) {
		b := r.takesSSEC()
		u := r.begin("/"+b+"/k", trio...)
		u.part(1, "x", trio...)
		r.told(u.complete(200), algorithmOf, absent, md5HeaderOf, absent)
		r.ok(204, r.do("DELETE", "/"+b+"/k", ""))
	})
	s.row("7.16", "each version has its own", func(r *row) {
		b := r.takesSSEC()
		r.ok(200, r.do("PUT", "/"+b+"?versioning", versioning("Enabled")))
		first := r.put("/"+b+"/k", "one", trio...).header.Get("x-amz-version-id")
		second := r.put("/"+b+"/k", "two", customer("b").headers()...).header.Get("x-amz-version-id")
		r.is("first", r.ok(200, r.do("GET", "/"+b+"/k?versionId="+first, "", trio...)).body, "one")
		r.is("second", r.ok(200, r.do("GET", "/"+b+"/k?versionId="+second, "", customer("b").headers()...)).body, "two")
		r.err(r.do("GET", "/"+b+"/k?versionId="+first, "", customer("b").headers()...), 403, "AccessDenied", wrongKey)
	})
}
