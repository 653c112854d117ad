// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/fips"
)

// FuzzContext: a context that is taken is the one that any reader of JSON finds, and
// comes back from the form that is authenticated.
func FuzzContext(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"a":"b"}`, ` {"a" : "b", "c":"d"} `, `{"a":"b","a":"c"}`, `{"a":"b","\u0061":"c"}`, `{"a":1}`, `{"a":null}`, `{"a":{}}`, `[]`, `{"":"b"}`,
		`{"a":"b"}{}`, `{"aws:s3:arn":"x"}`, `{"AWS:x":"y"}`, `{"a":"\ud800"}`, `{"a":"` + "\xff" + `"}`, `{"a":"b"`, `{"a"`, `{"a",`, `null`,
	} {
		f.Add(base64.StdEncoding.EncodeToString([]byte(text)))
	}
	f.Add("e30")
	f.Add("e3\n0=")
	f.Fuzz(func(t *testing.T, header string) {
		got, err := parseContext(header)
		if err != nil {
			if bad, ok := fault.As(err); !ok || bad.Kind != BadContext {
				t.Errorf("%q: %v", header, err)
			}
			return
		}
		text, err := base64.StdEncoding.DecodeString(header)
		if err != nil {
			t.Fatalf("%q is no base64 and was taken", header)
		}
		var want map[string]string
		if err := json.Unmarshal(text, &want); err != nil && len(text) > 0 || !maps.Equal(want, got) {
			t.Fatalf("%s: %q, want %q (%v)", text, got, want, err)
		}
		if n := words(text); n != 2*len(got) {
			t.Errorf("%s has %d strings, and %d pairs were taken", text, n, len(got))
		}
		for k, v := range got {
			if k == "" || v == "" || k != arnPair && strings.HasPrefix(strings.ToLower(k), "aws:") {
				t.Errorf("%s: the pair %q, %q was taken", text, k, v)
			}
		}
		canonical, err := got.Canonical()
		if err != nil {
			return // longer than the form allows, which the KMS refuses
		}
		if back, err := bucketkey.ParseContext(canonical); err != nil || !maps.Equal(back, got) {
			t.Errorf("%s: %q comes back as %q, %v", text, got, back, err)
		}
	})
}

// words counts the strings of a JSON text.
func words(text []byte) (n int) {
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		switch token, err := d.Token(); token.(type) {
		case string:
			n++
		case nil:
			if err != nil {
				return n
			}
		}
	}
}

// FuzzCustomerFields: a key is taken with its own MD5 alone.
func FuzzCustomerFields(f *testing.F) {
	key := strings.Repeat("k", customerKeySize)
	sum := fips.MD5([]byte(key))
	good := base64.StdEncoding.EncodeToString([]byte(key))
	f.Add(AES256, good, base64.StdEncoding.EncodeToString(sum[:]), byte(0), true)
	f.Add(AES256, good[:8], "", byte(0), true)
	f.Add("aws:kms", good, "%", byte(1), false)
	short := fips.MD5([]byte("k"))
	f.Add(AES256, "aw==", base64.StdEncoding.EncodeToString(short[:]), byte(0), true)
	empty := fips.MD5(nil)
	f.Add(AES256, "", base64.StdEncoding.EncodeToString(empty[:]), byte(0), false)
	f.Fuzz(func(t *testing.T, algorithm, key, md5 string, absent byte, write bool) {
		var in CustomerFields
		for i, field := range []struct {
			to   **string
			text *string
		}{{&in.Algorithm, &algorithm}, {&in.Key, &key}, {&in.MD5, &md5}} {
			if absent>>i&1 == 0 {
				*field.to = field.text
			}
		}
		got, err := in.parse(write)
		if err != nil {
			if _, ok := fault.As(err); !ok || got.Given() {
				t.Errorf("%+v, %v", got, err)
			}
			return
		}
		if !in.Present() {
			if got.Given() {
				t.Error("a key of nothing")
			}
			return
		}
		if absent&7 != 0 || algorithm != AES256 {
			t.Fatalf("taken without one of the three: %d, %q", absent, algorithm)
		}
		raw, keyErr := base64.StdEncoding.DecodeString(key)
		sum, sumErr := base64.StdEncoding.DecodeString(md5)
		want := fips.MD5(raw)
		if keyErr != nil || sumErr != nil || string(sum) != string(want[:]) || write && len(raw) != 32 ||
			string(got.Key.Reveal()) != string(raw) || !got.Given() {
			t.Errorf("%q with the MD5 %q was taken", key, md5)
		}
	})
}
