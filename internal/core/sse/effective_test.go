// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"reflect"
	"testing"
)

// What a client asks for, and the bucket's default, by the numbered rows of the
// decision table for S3's default encryption.
func TestEffective(t *testing.T) {
	on, off := new(true), new(false)
	var none *bool
	const b, r = "bucket-key-arn", "requested-key-arn"
	s3 := func(bk bool) Default { return Default{AES256, "", bk} }
	kms := func(key string, bk bool) Default { return Default{KMS, key, bk} }
	dsse := func(bk bool) Default { return Default{DSSE, b, bk} }

	for _, c := range []struct {
		row     string
		sse     string
		key     string
		bk      *bool
		def     Default
		wantAlg string
		wantKey string // "" is aws/s3, or none
		wantBK  bool
	}{
		{"1", "", "", none, s3(false), AES256, "", false},
		{"2", "", "", none, s3(true), AES256, "", false},
		{"3", "", "", on, s3(false), AES256, "", false},
		{"never set", "", "", none, Default{}, AES256, "", false},
		{"legacy", "", "", on, Default{NotSSE, "", false}, NotSSE, "", false},
		{"legacy, SSE-S3", AES256, "", none, Default{NotSSE, "", false}, AES256, "", false},
		{"legacy, KMS", KMS, r, none, Default{NotSSE, "", false}, KMS, r, false},
		{"5", "", "", none, kms("", false), KMS, "", false},
		{"6", "", "", none, kms("", true), KMS, "", true},
		{"7", "", "", none, kms(b, false), KMS, b, false},
		{"8", "", "", none, kms(b, true), KMS, b, true},
		{"9", "", "", off, kms(b, true), KMS, b, false},
		{"10", "", "", on, kms(b, false), KMS, b, true},
		{"11", "", "", none, dsse(true), DSSE, b, false},
		{"11 flag", "", "", on, dsse(false), DSSE, b, false},
		{"12", AES256, "", none, kms(b, true), AES256, "", false},
		{"12 flag", AES256, "", on, dsse(true), AES256, "", false},
		{"14", KMS, "", none, s3(false), KMS, "", false},
		{"15", KMS, "", none, s3(true), KMS, "", true},
		{"16", KMS, "", none, kms(b, false), KMS, "", false},
		{"17", KMS, "", none, kms(b, true), KMS, "", true},
		{"18", KMS, r, none, s3(false), KMS, r, false},
		{"19 s3", KMS, r, none, s3(true), KMS, r, true},
		{"19 kms", KMS, r, none, kms("", true), KMS, r, true},
		{"19 dsse", KMS, r, none, dsse(true), KMS, r, true},
		{"20", KMS, r, none, kms(b, false), KMS, r, false},
		{"21", KMS, r, on, s3(false), KMS, r, true},
		{"22", KMS, r, off, kms(b, true), KMS, r, false},
		{"23", KMS, b, none, kms(b, true), KMS, b, true},
		{"24", DSSE, "", on, kms(b, true), DSSE, "", false},
		{"25", DSSE, r, none, kms(b, true), DSSE, r, false},
	} {
		got := Effective(Request{Algorithm: c.sse, KeyID: c.key, BucketKey: c.bk}, c.def)
		want := Choice{Algorithm: c.wantAlg, KeyID: c.wantKey, BucketKey: c.wantBK, FromDefault: c.sse == ""}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("row %s: got %+v, want %+v", c.row, got, want)
		}
	}
}
