// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// updateXML is the document of an update; an empty flag leaves that out.
func updateXML(key, bk string) string {
	if bk != "" {
		bk = "<BucketKeyEnabled>" + bk + "</BucketKeyEnabled>"
	}
	return `<ObjectEncryption xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><SSE-KMS><KMSKeyArn>` + key + `</KMSKeyArn>` + bk + `</SSE-KMS></ObjectEncryption>`
}

// tryUpdate updates the encryption of BUCKET/KEY, or of one of its versions.
func tryUpdate(s *coffertest.Server, object, version, key string, bk bool) error {
	bucket, name, _ := strings.Cut(object, "/")
	return updateBy(s.T.Context(), s.S3, bucket, name, version, key, bk)
}

func updateBy(ctx context.Context, c *s3.Client, bucket, name, version, key string, bk bool) error {
	_, err := c.UpdateObjectEncryption(ctx, &s3.UpdateObjectEncryptionInput{
		Bucket: &bucket, Key: &name, VersionId: said(version),
		ObjectEncryption: &types.ObjectEncryptionMemberSSEKMS{Value: types.SSEKMSEncryption{KMSKeyArn: &key, BucketKeyEnabled: &bk}},
	})
	return err
}

func (s *stage) update(object, key string, bk bool) {
	s.T.Helper()
	if err := tryUpdate(s.Server, object, "", key, bk); err != nil {
		s.T.Fatalf("update encryption of %s: %v", object, err)
	}
}

// facts are what is known of an object beside its encryption.
func facts(s *coffertest.Server, bucket, key, version string) map[string]any {
	s.T.Helper()
	all, _, err := factsOf(s.T.Context(), s.S3, bucket, key, version)
	if err != nil {
		s.T.Fatalf("head %s/%s: %v", bucket, key, err)
	}
	return all
}

// factsOf returns the facts, and the encryption beside them.
func factsOf(ctx context.Context, c *s3.Client, bucket, key, version string) (map[string]any, applied, error) {
	out, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key, VersionId: said(version), ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		return nil, applied{}, err
	}
	all := map[string]any{}
	v := reflect.ValueOf(*out)
	for i := range v.NumField() {
		switch name := v.Type().Field(i).Name; name {
		case "ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "ResultMetadata":
		default:
			all[name] = reflect.Indirect(v.Field(i))
		}
	}
	return all, of(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled), nil
}

func TestVectorsOfUpdateEncryption(t *testing.T) {
	s := newStage(t)
	s.Versioning("vault", types.BucketVersioningStatusEnabled)
	ctx := t.Context()
	// 23: an SSE-S3 object moves under K2; nothing else is different.
	s.Put("vault", "o5", "five", func(in *s3.PutObjectInput) {
		in.ServerSideEncryption = types.ServerSideEncryptionAes256
		in.Metadata, in.Tagging = map[string]string{"a": "b"}, aws.String("c=d")
	})
	was := facts(s.Server, "vault", "o5", "")
	a := s.accepts("23", "PUT", "/vault/o5?encryption", updateXML(s.k2, "false"), digested(updateXML(s.k2, "false"))...)
	if a.status != 200 || a.body != "" || len(encryptionOf(a.header)) > 0 {
		t.Errorf("23: %d %q %v", a.status, a.body, encryptionOf(a.header))
	}
	got, out := head(s.Server, "vault", "o5")
	if got != (applied{"aws:kms", s.k2, false}) || *out.ETag != etagOf("five") {
		t.Errorf("23: %v, ETag %s", got, *out.ETag)
	}
	if is := facts(s.Server, "vault", "o5", ""); fmt.Sprint(is) != fmt.Sprint(was) {
		t.Errorf("23: %v, was %v", is, was)
	}
	list, err := s.S3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: aws.String("vault")})
	if err != nil || len(list.Versions) != 1 {
		t.Errorf("23: %d versions, %v", len(list.Versions), err)
	}
	if got, _ := s.Get("vault", "o5"); got != "five" {
		t.Errorf("23: reads %q", got)
	}
	// Absent, the flag is false, whatever the bucket says.
	body := updateXML(s.k2, "")
	s.accepts("no flag", "PUT", "/vault/o5?encryption", body, digested(body)...)
	if got, _ := head(s.Server, "vault", "o5"); got != (applied{"aws:kms", s.k2, false}) {
		t.Errorf("without the flag: %v", got)
	}

	// 24: what cannot be updated, and keys that cannot be named so.
	unblock(s.Server, "vault")
	s.Put("vault", "secret", "x", customerOf(keyA).put)
	s.Put("vault", "double", "x", func(in *s3.PutObjectInput) { in.ServerSideEncryption = dsse })
	if _, err := s.KMS.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/k2"), TargetKeyId: &s.k2}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.S3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("vault"), Key: aws.String("gone")}); err != nil {
		t.Fatal(err)
	}
	elsewhere := *s.Put("vault", "other", "x").VersionId
	disabled := s.Key()
	s.DisableKey(disabled)
	alias := strings.Replace(s.k2[:strings.LastIndex(s.k2, "/")+1], ":key/", ":alias/", 1) + "k2"
	missing := s.k2[:strings.LastIndex(s.k2, "/")+1] + "11111111-2222-3333-4444-555555555555"
	onlyKMS := invalidRequest("The only encryption type that an object can be updated to is SSE-KMS")
	document := func(inner string) string { return "<ObjectEncryption>" + inner + "</ObjectEncryption>" }
	for _, c := range []struct {
		what, key, body string
		want            rejection
	}{
		{"customer's key", "secret", updateXML(s.k2, ""), invalidRequest("cannot be updated")},
		{"two layers", "double", updateXML(s.k2, ""), invalidRequest("cannot be updated")},
		{"alias", "o5", updateXML(alias, ""), invalidRequest("KMSKeyArn")},
		{"alias by name", "o5", updateXML("alias/k2", ""), invalidRequest("KMSKeyArn")},
		{"key id", "o5", updateXML(s.k2[strings.LastIndex(s.k2, "/")+1:], ""), invalidRequest("KMSKeyArn")},
		{"empty key", "o5", updateXML("", ""), invalidRequest("KMSKeyArn")},
		{"flag that is none", "o5", updateXML(s.k2, "maybe"), invalidRequest("BucketKeyEnabled")},
		{"no key", "o5", document("<SSE-KMS><BucketKeyEnabled>true</BucketKeyEnabled></SSE-KMS>"), invalidRequest("KMSKeyArn")},
		{"to SSE-S3", "o5", document("<SSE-S3></SSE-S3>"), onlyKMS},
		{"to two layers", "o5", document("<DSSE-KMS><KMSKeyArn>" + s.k2 + "</KMSKeyArn></DSSE-KMS>"), onlyKMS},
		{"to a customer's key", "o5", document("<SSE-C></SSE-C>"), onlyKMS},
		{"to nothing", "o5", document(""), onlyKMS},
		{"not XML", "o5", "<ObjectEncryption>", malformed},
		{"another document", "o5", "<ServerSideEncryptionConfiguration></ServerSideEncryptionConfiguration>", malformed},
		{"another account's key", "o5", updateXML("arn:aws:kms:us-east-1:000000000002:key/x", ""), denied},
		{"another Region's key", "o5", updateXML(strings.Replace(s.k2, "us-east-1", "eu-west-1", 1), ""), kmsFault("NotFoundException", "Invalid arn eu-west-1")},
		{"missing key", "o5", updateXML(missing, ""), kmsFault("NotFoundException", "Key '"+missing+"' does not exist")},
		{"disabled key", "o5", updateXML(disabled, "true"), kmsFault("DisabledException", disabled+" is disabled")},
		{"missing object", "missing", updateXML(s.k2, ""), noSuchKey},
		{"missing version", "o5?versionId=" + elsewhere, updateXML(s.k2, ""), noSuchVersion},
		{"delete marker", "gone", updateXML(s.k2, ""), wrongMethod},
	} {
		key, query, _ := strings.Cut(c.key, "?")
		s.refuses("24, "+c.what, c.want, "PUT", "/vault/"+key+"?encryption&"+query, c.body, digested(c.body)...)
	}
	s.refuses("24, no digest", noDigest, "PUT", "/vault/o5?encryption", body)
	s.refuses("24, wrong digest", badDigest, "PUT", "/vault/o5?encryption", body, digested("other")...)
	if is := facts(s.Server, "vault", "o5", ""); fmt.Sprint(is) != fmt.Sprint(was) {
		t.Errorf("24: %v, was %v", is, was)
	}
	if got, _ := head(s.Server, "vault", "o5"); got != (applied{"aws:kms", s.k2, false}) {
		t.Errorf("24: a refused update left %v", got)
	}
}

// TestUpdatesChangeNothingElse walks objects of every form through encryptions, a
// restart between them, and looks at all that is known of them.
func TestUpdatesChangeNothingElse(t *testing.T) {
	s := newStage(t)
	s.Versioning("vault", types.BucketVersioningStatusEnabled)
	ctx := t.Context()
	large := string(bytes.Repeat([]byte("large"), 30_000))
	bodies := map[string]string{"empty": "", "small": "small", "large": large, "parts": large, "whole": large}
	for key, body := range bodies {
		switch key {
		case "parts", "whole": // checksum of checksums, and of the whole
			algorithm, kind := types.ChecksumAlgorithmSha256, types.ChecksumTypeComposite
			if key == "whole" {
				algorithm, kind = types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject
			}
			up, err := s.S3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String("vault"), Key: &key, ChecksumAlgorithm: algorithm, ChecksumType: kind})
			if err != nil {
				t.Fatal(err)
			}
			part, err := s.S3.UploadPart(ctx, &s3.UploadPartInput{
				Bucket: up.Bucket, Key: up.Key, UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader(body), ChecksumAlgorithm: algorithm,
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.S3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
				Bucket: up.Bucket, Key: up.Key, UploadId: up.UploadId, ChecksumType: kind,
				MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{
					ETag: part.ETag, PartNumber: aws.Int32(1), ChecksumSHA256: part.ChecksumSHA256, ChecksumCRC64NVME: part.ChecksumCRC64NVME,
				}}},
			})
			if err != nil {
				t.Fatal(err)
			}
		default:
			s.Put("vault", key, body, func(in *s3.PutObjectInput) {
				in.ServerSideEncryption, in.ChecksumAlgorithm = types.ServerSideEncryptionAes256, types.ChecksumAlgorithmSha512
				in.Metadata, in.StorageClass = map[string]string{"a": "b"}, types.StorageClassStandardIa
			})
		}
	}
	was := map[string]string{}
	for key := range bodies {
		was[key] = fmt.Sprint(facts(s.Server, "vault", key, ""))
	}
	s.Put("vault", "under the managed key", "", func(in *s3.PutObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAwsKms })
	managedKey := managed(s.Server)
	for i, step := range []struct {
		key string
		bk  bool
	}{{s.k1, false}, {s.k1, true}, {s.k1, true}, {s.k2, true}, {managedKey, false}, {s.k2, false}} {
		if i == 3 {
			s.Restart()
		}
		for key, body := range bodies {
			s.update("vault/"+key, step.key, step.bk)
			if got, _ := head(s.Server, "vault", key); got != (applied{"aws:kms", step.key, step.bk}) {
				t.Errorf("step %d, %s: %v", i, key, got)
			}
			if got := fmt.Sprint(facts(s.Server, "vault", key, "")); got != was[key] {
				t.Errorf("step %d, %s: %s, was %s", i, key, got, was[key])
			}
			if got, _ := s.Get("vault", key); got != body {
				t.Errorf("step %d, %s: reads %d bytes, want %d", i, key, len(got), len(body))
			}
		}
	}
	// The keys on the way are not needed any more.
	s.DisableKey(s.k1)
	s.Restart()
	for key, body := range bodies {
		if got, _ := s.Get("vault", key); got != body {
			t.Errorf("at the end, %s reads %d bytes, want %d", key, len(got), len(body))
		}
	}
}

// TestUpdatesAskTheKMSOnce: without bucket keys an update opens one key and makes
// one; onto a bucket key thousands are moved by three requests.
func TestUpdatesAskTheKMSOnce(t *testing.T) {
	s := newStage(t)
	const objects = 20
	for i := range objects {
		s.Put("vault", fmt.Sprint("k", i), "x", func(in *s3.PutObjectInput) { in.BucketKeyEnabled = aws.Bool(false) })
	}
	s.Put("vault", "plain", "x", func(in *s3.PutObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAes256 })
	count := func(what, want string, do func()) {
		t.Helper()
		n := len(s.KMSRequests())
		do()
		if got := fmt.Sprint(s.since(n)); got != want {
			t.Errorf("%s: KMS requests %s, want %s", what, got, want)
		}
	}
	count("SSE-S3 to a key of its own", "[GenerateDataKey arn:aws:s3:::vault/plain]", func() { s.update("vault/plain", s.k2, false) })
	count("between keys of its own", "[Decrypt arn:aws:s3:::vault/k0 GenerateDataKey arn:aws:s3:::vault/k0]", func() { s.update("vault/k0", s.k2, false) })
	n := len(s.KMSRequests())
	for i := 1; i < objects; i++ {
		s.update(fmt.Sprint("vault/k", i), s.k2, true)
	}
	var own, shared int
	for _, r := range s.since(n) {
		if strings.HasSuffix(r, ":vault") {
			shared++
		} else {
			own++
		}
	}
	// The first new wrap is opened again before it replaces the old one.
	if own != objects-1 || shared != 2 {
		t.Errorf("onto a bucket key: %d requests of objects and %d of the bucket, want %d and 2", own, shared, objects-1)
	}
	count("from a bucket key to itself", "[]", func() {
		for i := 1; i < objects; i++ {
			s.update(fmt.Sprint("vault/k", i), s.k2, true)
		}
	})
	count("reading them", "[]", func() {
		for i := 1; i < objects; i++ {
			s.Get("vault", fmt.Sprint("k", i))
		}
	})
}

// TestUpdatesOfVersions: the version that was named, or was current, is updated
// where it stands.
func TestUpdatesOfVersions(t *testing.T) {
	s := newStage(t)
	s.Bucket("plain", "", "", false)
	null := s.Put("plain", "k", "null") // before versioning
	s.Versioning("plain", types.BucketVersioningStatusEnabled)
	first, second := s.Put("plain", "k", "first"), s.Put("plain", "k", "second")
	if null.VersionId != nil {
		t.Fatalf("version %s", *null.VersionId)
	}
	versions := map[string]string{"null": "null", *first.VersionId: "first", *second.VersionId: "second"}
	under := map[string]applied{}
	check := func(what string) {
		t.Helper()
		for version, body := range versions {
			out, err := s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("plain"), Key: aws.String("k"), VersionId: &version})
			if err != nil {
				t.Fatal(err)
			}
			want, ok := under[version]
			if !ok {
				want = applied{"AES256", "", false}
			}
			if got := of(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled); got != want {
				t.Errorf("%s: version %s is %v, want %v", what, body, got, want)
			}
			if got, _ := s.Get("plain", "k", func(in *s3.GetObjectInput) { in.VersionId = &version }); got != body {
				t.Errorf("%s: version %s reads %q", what, body, got)
			}
		}
	}
	for _, step := range []struct {
		version, key string
		bk           bool
	}{{"null", s.k1, true}, {*first.VersionId, s.k2, false}, {*second.VersionId, s.k2, true}, {"null", s.k2, false}} {
		if err := tryUpdate(s.Server, "plain/k", step.version, step.key, step.bk); err != nil {
			t.Fatal(err)
		}
		under[step.version] = applied{"aws:kms", step.key, step.bk}
		check(versions[step.version])
	}
	s.update("plain/k", s.k1, false) // the current one
	under[*second.VersionId] = applied{"aws:kms", s.k1, false}
	check("current")
}
