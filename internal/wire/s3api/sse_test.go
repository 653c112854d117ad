// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
)

const photosKey = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

func TestEncryptionHeaders(t *testing.T) {
	const (
		alg      = "x-amz-server-side-encryption: "
		keyID    = "x-amz-server-side-encryption-aws-kms-key-id: "
		flag     = "x-amz-server-side-encryption-bucket-key-enabled: "
		context  = "x-amz-server-side-encryption-context: "
		customer = "x-amz-server-side-encryption-customer-algorithm: AES256"
		source   = "x-amz-copy-source-server-side-encryption-customer-key: k"
	)
	for _, c := range []struct {
		headers []string
		create  fault.Kind
		use     fault.Kind
	}{
		{nil, "", ""},
		{[]string{alg + "AES256"}, "", sse.NotForThisOperation},
		{[]string{alg + "aws:kms", keyID + "photos"}, "", sse.NotForThisOperation},
		{[]string{alg + "rot13"}, sse.UnsupportedMethod, sse.NotForThisOperation},
		{[]string{alg}, sse.UnsupportedMethod, sse.NotForThisOperation},
		{[]string{alg + "NOT-SSE"}, sse.UnsupportedMethod, sse.NotForThisOperation},
		{[]string{alg + "AES256", alg + "aws:kms"}, sse.UnsupportedMethod, sse.NotForThisOperation},
		{[]string{keyID + "photos"}, sse.NeedsKMS, sse.NeedsKMS},
		{[]string{alg + "AES256", keyID + "photos"}, sse.NeedsKMS, sse.NotForThisOperation},
		{[]string{flag + "maybe"}, sse.BadBucketKeyFlag, ""},
		{[]string{flag + "TRUE"}, "", ""},
		{[]string{context + "eyJhIjoiYiJ9"}, sse.NeedsKMS, sse.NeedsKMS},
		{[]string{customer}, sse.CustomerNoKey, sse.CustomerNoKey},
		{[]string{source}, "", ""},
	} {
		fields := encryptionFields(cat(t, "PUT", "", c.headers...))
		_, err := fields.Create()
		if kind, _ := faultOf(err); kind != c.create {
			t.Errorf("create with %q: %v, want %q", c.headers, err, c.create)
		}
		_, err = fields.Use(false)
		if kind, _ := faultOf(err); kind != c.use {
			t.Errorf("use with %q: %q, want %q", c.headers, kind, c.use)
		}
	}
}

func TestAnswersTellTheEncryption(t *testing.T) {
	for _, c := range []struct {
		a    sse.Applied
		want http.Header
	}{
		{sse.Applied{Algorithm: sse.AES256}, http.Header{sse.AlgorithmHeader: {"AES256"}}},
		{sse.Applied{Algorithm: sse.NotSSE, Generation: uuid.New()}, http.Header{}},
		{sse.Applied{Algorithm: sse.KMS, KeyARN: photosKey}, http.Header{sse.AlgorithmHeader: {"aws:kms"}, sse.KeyIDHeader: {photosKey}}},
		{
			sse.Applied{Algorithm: sse.KMS, KeyARN: photosKey, BucketKey: true, Generation: uuid.New()},
			http.Header{sse.AlgorithmHeader: {"aws:kms"}, sse.KeyIDHeader: {photosKey}, sse.BucketKeyHeader: {"true"}},
		},
	} {
		h := make(http.Header)
		setEncryption(h, c.a)
		if !reflect.DeepEqual(h, c.want) {
			t.Errorf("%+v: %v, want %v", c.a, h, c.want)
		}
	}
}

func TestAuditNamesTheEncryption(t *testing.T) {
	for _, c := range []struct {
		algorithm   string
		fromDefault bool
		want        string
	}{
		{sse.AES256, true, "Default_SSE_S3"}, {sse.AES256, false, "SSE_S3"},
		{sse.KMS, true, "Default_SSE_KMS"}, {sse.KMS, false, "SSE_KMS"},
		{sse.NotSSE, true, ""}, {sse.NotSSE, false, ""},
	} {
		if got := (sse.Applied{Algorithm: c.algorithm}).Audited(c.fromDefault); got != c.want {
			t.Errorf("%s, from the default %v: %s, want %s", c.algorithm, c.fromDefault, got, c.want)
		}
	}
}
