// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
)

// b64 of {"a":"b"} and of { }.
const somePairs, noPairs = "eyJhIjoiYiJ9", "eyB9"

func wantFault(t *testing.T, name string, err error, kind fault.Kind, details ...fault.Detail) {
	t.Helper()
	if kind == "" {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	f, ok := fault.As(err)
	if !ok || f.Kind != kind || !slices.Equal(f.Details, details) {
		t.Errorf("%s: got %v, want %s %v", name, err, kind, details)
	}
}

func argument(name string) fault.Detail { return fault.Detail{Name: "ArgumentName", Value: name} }
func value(v string) fault.Detail       { return fault.Detail{Name: "ArgumentValue", Value: v} }

func TestFieldsOfCreating(t *testing.T) {
	ssh := argument(AlgorithmHeader)
	for _, c := range []struct {
		name    string
		f       Fields
		kind    fault.Kind
		details []fault.Detail
	}{
		{"nothing", Fields{}, "", nil},
		{"AES256", Fields{Algorithm: new(AES256)}, "", nil},
		{"KMS with key", Fields{Algorithm: new(KMS), KeyID: new("k")}, "", nil},
		{"DSSE with key", Fields{Algorithm: new(DSSE), KeyID: new("k")}, "", nil},
		{"unknown", Fields{Algorithm: new("rot13")}, UnsupportedMethod, []fault.Detail{ssh, value("rot13")}},
		{"wrong case", Fields{Algorithm: new("aes256")}, UnsupportedMethod, []fault.Detail{ssh, value("aes256")}},
		{"empty", Fields{Algorithm: new("")}, UnsupportedMethod, []fault.Detail{ssh, value("")}},
		{"repeated", Fields{Algorithm: new("AES256,aws:kms")}, UnsupportedMethod, []fault.Detail{ssh, value("AES256,aws:kms")}},
		{"another service's", Fields{Algorithm: new("aws:fsx")}, UnsupportedMethod, []fault.Detail{ssh, value("aws:fsx")}},
		{"unknown with key", Fields{Algorithm: new("x"), KeyID: new("k")}, UnsupportedMethod, []fault.Detail{ssh, value("x")}},
		{"AES256 with key", Fields{Algorithm: new(AES256), KeyID: new("k")}, NeedsKMS, []fault.Detail{ssh}},
		{"key alone", Fields{KeyID: new("k")}, NeedsKMS, []fault.Detail{ssh}},
		{"empty key alone", Fields{KeyID: new("")}, NeedsKMS, []fault.Detail{ssh}},
		{"KMS with empty key", Fields{Algorithm: new(KMS), KeyID: new("")}, EmptyKeyID, []fault.Detail{argument(KeyIDHeader), value("")}},
		{"context alone", Fields{Context: new(somePairs)}, NeedsKMS, []fault.Detail{ssh}},
		{"AES256 with context", Fields{Algorithm: new(AES256), Context: new(somePairs)}, NeedsKMS, []fault.Detail{ssh}},
		{"KMS with context", Fields{Algorithm: new(KMS), Context: new(somePairs)}, "", nil},
		{"KMS with garbage for a context", Fields{Algorithm: new(KMS), Context: new("%")}, BadContext, []fault.Detail{argument(ContextHeader), value("%")}},
		{"KMS with empty context", Fields{Algorithm: new(KMS), Context: new("")}, "", nil},
		{"KMS with no pairs", Fields{Algorithm: new(KMS), Context: new(noPairs)}, "", nil},
		{"customer's key", Fields{Customer: trio(AES256, customerA, ""), Secure: true}, "", nil},
		{"customer's key over an open connection", Fields{Customer: trio("x", nil, "")}, CustomerInsecure, []fault.Detail{ssh}},
		{"customer's key and AES256", Fields{Algorithm: new(AES256), Customer: trio("x", nil, ""), Secure: true}, CustomerMixed, []fault.Detail{ssh, value(AES256)}},
		{"customer's key and a KMS key", Fields{KeyID: new("k"), Customer: trio(AES256, customerA, ""), Secure: true}, NeedsKMS, []fault.Detail{ssh}},
		{"flag", Fields{BucketKey: new("TRUE")}, "", nil},
		{"bad flag", Fields{BucketKey: new("yes")}, BadBucketKeyFlag, []fault.Detail{argument(BucketKeyHeader), value("yes")}},
		{"empty flag", Fields{BucketKey: new("")}, BadBucketKeyFlag, []fault.Detail{argument(BucketKeyHeader), value("")}},
	} {
		r, err := c.f.Create()
		wantFault(t, c.name, err, c.kind, c.details...)
		if err != nil && !reflect.DeepEqual(r, Request{}) {
			t.Errorf("%s: request %+v beside an error", c.name, r)
		}
	}
	r, err := Fields{Algorithm: new(KMS), KeyID: new("k"), BucketKey: new("False")}.Create()
	if err != nil || r.Algorithm != KMS || r.KeyID != "k" || r.BucketKey == nil || *r.BucketKey {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestFieldsOfUsing(t *testing.T) {
	ssh := argument(AlgorithmHeader)
	use := func(f Fields) error { _, err := f.Use(false); return err }
	wantFault(t, "nothing", use(Fields{}), "")
	wantFault(t, "flag", use(Fields{BucketKey: new("yes")}), "")
	wantFault(t, "algorithm", use(Fields{Algorithm: new(KMS), KeyID: new("k")}), NotForThisOperation, ssh, value(KMS))
	wantFault(t, "key", use(Fields{KeyID: new("k")}), NeedsKMS, ssh)
	wantFault(t, "context", use(Fields{Context: new(somePairs)}), NeedsKMS, ssh)
	wantFault(t, "open connection", use(Fields{Customer: trio(AES256, customerA, "")}), CustomerInsecure, ssh)
	// A key of a wrong length is another key for who reads, and no key for who writes.
	long := Fields{Customer: trio(AES256, append(customerA, 1), ""), Secure: true}
	wantFault(t, "long key to read with", use(long), "")
	_, err := long.Use(true)
	wantFault(t, "long key to write with", err, CustomerLength, ssh)
}

// What is wrong with the fields of a read is told by whom the key is given to, once
// there is an object; but for what cannot be right for any.
func TestFieldsOfReading(t *testing.T) {
	f := newFixture(t)
	o := f.write(t, alice, "k", choices["SSE-S3"])
	for _, c := range []struct {
		name        string
		f           Fields
		now, object error
	}{
		{"nothing", Fields{}, nil, nil},
		{"algorithm", Fields{Algorithm: new(KMS)}, NotForThisOperation, nil},
		{"open connection", Fields{Customer: trio("x", nil, "")}, CustomerInsecure, nil},
		{"key", Fields{KeyID: new("k")}, nil, NeedsKMS},
		{"customer's key", Fields{Customer: trio(AES256, customerA, ""), Secure: true}, nil, CustomerNotApplicable},
		{"half a customer's key", Fields{Customer: trio(AES256, nil, ""), Secure: true}, nil, CustomerNoKey},
	} {
		key, err := c.f.Read()
		if !errors.Is(err, c.now) {
			t.Errorf("%s: %v, want %v", c.name, err, c.now)
		}
		if err != nil {
			continue
		}
		if err := CheckKey(o.wrap, key); !errors.Is(err, c.object) {
			t.Errorf("%s, object: %v, want %v", c.name, err, c.object)
		}
		o.customer = key
		if _, err := f.read(t, alice, photos, o, digest); !errors.Is(err, c.object) {
			t.Errorf("%s, read: %v, want %v", c.name, err, c.object)
		}
	}
}

func TestCheckTransport(t *testing.T) {
	signed := iam.Caller{Principal: iam.Principal{Type: iam.IAMUser}, Secure: true, SigV4: true}
	open, old, nobody := signed, signed, signed
	open.Secure, old.SigV4, nobody.Type = false, false, iam.Anonymous
	for name, c := range map[string]struct {
		alg  string
		by   iam.Caller
		kind error
	}{
		"SSE-S3 by anyone":   {AES256, iam.Caller{Principal: iam.Principal{Type: iam.Anonymous}}, nil},
		"SSE-KMS":            {KMS, signed, nil},
		"plain HTTP":         {KMS, open, NeedsSecureTransport},
		"plain HTTP, DSSE":   {DSSE, open, NeedsSecureTransport},
		"another signature":  {KMS, old, NeedsSignatureV4},
		"anonymous":          {KMS, nobody, NeedsSignatureV4},
		"SSE-S3, plain HTTP": {AES256, open, nil},
	} {
		if err := CheckTransport(Choice{Algorithm: c.alg}, c.by); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
