// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/secret"
)

var customerA, customerB = bytes.Repeat([]byte("a"), 32), bytes.Repeat([]byte("b"), 32)

var keyA, keyB = customerKey(customerA), customerKey(customerB)

func customerKey(b []byte) CustomerKey { return CustomerKey{Key: secret.Copy(b), MD5: md5Of(b)} }

func md5Of(b []byte) string {
	sum := fips.MD5(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// trio makes the fields of a key; nil and "" leave one out, but an MD5 of "" is the
// right one where there is a key.
func trio(algorithm string, key []byte, md5 string) CustomerFields {
	f := CustomerFields{}
	if algorithm != "" {
		f.Algorithm = &algorithm
	}
	if key != nil {
		f.Key = new(base64.StdEncoding.EncodeToString(key))
		f.MD5 = new(md5Of(key))
	}
	if md5 != "" {
		f.MD5 = &md5
	}
	return f
}

func TestTrioIsCheckedInOrder(t *testing.T) {
	ssh := argument(AlgorithmHeader)
	noMD5 := trio(AES256, customerA, "")
	noMD5.MD5 = nil
	garbage := trio(AES256, customerA, "")
	garbage.Key = new("%")
	for _, c := range []struct {
		name    string
		f       CustomerFields
		kind    fault.Kind
		details []fault.Detail
	}{
		{"all right", trio(AES256, customerA, ""), "", nil},
		{"key without algorithm", trio("", customerA, ""), CustomerNoAlgorithm, []fault.Detail{ssh}},
		{"other algorithm", trio("AES128", nil, ""), CustomerAlgorithm, []fault.Detail{ssh, value("AES128")}},
		{"no key", trio(AES256, nil, "x"), CustomerNoKey, []fault.Detail{ssh}},
		{"no MD5", noMD5, CustomerNoMD5, []fault.Detail{ssh}},
		{"other MD5, short key", trio(AES256, customerA[:5], md5Of(customerB)), CustomerMD5, []fault.Detail{ssh}},
		{"MD5 that is none", trio(AES256, customerA, "%"), CustomerMD5, []fault.Detail{ssh}},
		{"short key", trio(AES256, customerA[:31], ""), CustomerLength, []fault.Detail{ssh}},
		{"key that is no base64", garbage, CustomerLength, []fault.Detail{ssh}},
	} {
		_, err := c.f.parse(true)
		wantFault(t, c.name, err, c.kind, c.details...)
	}
}

func TestCustomerKeys(t *testing.T) {
	f := newFixture(t)
	o := f.write(t, alice, "k", choices["SSE-C"])
	plain := f.write(t, alice, "k", choices["SSE-S3"])
	short := customerKey(customerA[:5])
	for name, c := range map[string]struct {
		o    object
		key  CustomerKey
		want error
	}{
		"its key":                {o, keyA, nil},
		"another key":            {o, keyB, CustomerWrong},
		"a key of another size":  {o, short, CustomerWrong},
		"no key":                 {o, CustomerKey{}, CustomerNeeded},
		"a key where none is":    {plain, keyA, CustomerNotApplicable},
		"none where none is":     {plain, CustomerKey{}, nil},
		"another where none is ": {plain, keyB, CustomerNotApplicable},
	} {
		c.o.customer = c.key
		_, err := f.read(t, bob, photos, c.o, digest)
		if check := CheckKey(c.o.wrap, c.key); !errors.Is(err, c.want) || !errors.Is(check, c.want) || c.want == nil && (err != nil || check != nil) {
			t.Errorf("%s: %v and %v, want %v", name, err, check, c.want)
		}
	}
	if err := CheckPart(o.wrap, CustomerKey{}); !errors.Is(err, UploadNeedsCustomer) {
		t.Errorf("a part without the key: %v", err)
	}
	if err := CheckPart(o.wrap, keyB); !errors.Is(err, UploadOtherCustomer) {
		t.Errorf("a part with another key: %v", err)
	}
	if bytes.Contains(o.wrap, customerA[:8]) {
		t.Error("the key is in the wrap")
	}
	f.kms.wantOnly(t, map[string]int{})
}

// Two layers are independent: neither key alone opens a segment, and no layer can be
// taken off a wrap.
func TestTwoLayers(t *testing.T) {
	f := newFixture(t)
	o := f.write(t, alice, "k", choices["DSSE-KMS"])
	if n := formatOf(2).StoredSize(int64(len(plaintext))); int64(len(o.sealed)) == n || len(o.sealed) != int(storedSize(int64(len(plaintext)), minLog2, 2)) {
		t.Errorf("stored %d", len(o.sealed))
	}
	layers, err := parseWraps(o.wrap)
	if err != nil || layers.n != 2 {
		t.Fatal(err)
	}
	first := len(layers.at[0].head()) + wrapSeal
	for name, b := range map[string][]byte{
		"the inner wrap alone": o.wrap[:first], "the outer wrap alone": o.wrap[first:],
		"layers exchanged": append(bytes.Clone(o.wrap[first:]), o.wrap[:first]...),
		"a third layer":    append(bytes.Clone(o.wrap), o.wrap[first:]...),
	} {
		bad := o
		bad.wrap = b
		if _, err := f.read(t, alice, photos, bad, digest); !errors.Is(err, Damaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	opening, err := f.ForRead(t.Context(), alice, photos, "k", o.wrap, digest, CustomerKey{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range opening.deks {
		one := newReader(opening.deks[i:i+1], o.id, int64(len(plaintext)), stored(o.sealed), small)
		if _, err := readRange(one, 0, 1); err == nil {
			t.Errorf("key %d opens the stream alone", i)
		}
	}
	for bit := range 8 * len(o.sealed) {
		if bit%97 != 0 {
			continue
		}
		bad := o
		bad.sealed = bytes.Clone(o.sealed)
		bad.sealed[bit/8] ^= 1 << (bit % 8)
		if _, err := f.read(t, alice, photos, bad, digest); err == nil {
			t.Fatalf("bit %d flipped, and read", bit)
		}
	}
}

func TestContexts(t *testing.T) {
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for text, want := range map[string]kms.Context{
		`{"a":"b"}`: {"a": "b"}, `{}`: {}, ``: nil, `{"aws:s3:arn":"x"}`: {"aws:s3:arn": "x"}, `{"é":"ü"}`: {"é": "ü"},
		`["a"]`: nil, `{"a":1}`: nil, `{"a":{"b":"c"}}`: nil, `{"a":"b","a":"c"}`: nil, `{"a":""}`: nil, `{"":"a"}`: nil,
		`{"aws:other":"x"}`: nil, `{"AWS:x":"y"}`: nil, `{"a":"b"}x`: nil, `{"a":"b"`: nil, `null`: nil, "{\"a\":\"\xff\"}": nil,
	} {
		got, err := parseContext(encode(text))
		if (err == nil) != (want != nil || text == "") || len(got) != len(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if _, err := parseContext("%"); !errors.Is(err, BadContext) {
		t.Error(err)
	}
	f := newFixture(t)
	for name, c := range map[string]struct {
		choice Choice
		want   string
	}{
		"own key": {Choice{Algorithm: KMS, Context: kms.Context{"arnPair": "v"}}, "k"},
	} {
		o := f.write(t, alice, c.want, c.choice)
		if _, err := f.read(t, bob, photos, o, digest); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.ForWrite(t.Context(), alice, photos, "k", Choice{Algorithm: KMS, Context: kms.Context{arnPair: "elsewhere"}}); !errors.Is(err, BadContext) {
		t.Errorf("another automatic pair: %v", err)
	}
	if _, err := f.ForWrite(t.Context(), alice, photos, "k", Choice{Algorithm: KMS, Context: kms.Context{arnPair: "arn:aws:s3:::photos/k"}}); err != nil {
		t.Errorf("the automatic pair itself: %v", err)
	}
}
