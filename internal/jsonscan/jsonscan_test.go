// SPDX-License-Identifier: Apache-2.0

package jsonscan

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestScanner(t *testing.T) {
	s := New([]byte(` {"a" : "x\"y" , "b":[1, {"c":[]}, "z"],"d":null,"e":{"f":"g","h":-1.5e+3} } `))
	var said []string
	s.Object(func(name []byte) {
		switch string(name) {
		case "a":
			said = append(said, string(s.Text()))
		case "b":
			s.Array(func() { said = append(said, string(s.Value())) })
		case "d":
			if s.Text() != nil {
				t.Error("null is a text")
			}
		case "e":
			s.Object(func(name []byte) { // what is not taken is passed over
				if string(name) == "h" {
					said = append(said, string(s.Value()))
				}
			})
		}
	})
	if got := strings.Join(said, "|"); got != `x"y|1|{"c":[]}|"z"|-1.5e+3` || !s.Whole() {
		t.Errorf("read %s, whole %v", got, s.Whole())
	}
}

// What has no end, or something behind it, is not whole; and it is read to no other end.
func TestNotWhole(t *testing.T) {
	for _, text := range []string{
		``, `{`, `{"a`, `{"a"`, `{"a":`, `{"a":}`, `{"a":1`, `{"a":"b}`, `{"a":[1}`, `{"a":{"b":1}`, `{"a":1}}`, `{"a":1}x`, `{"a" 1}`, `{"a":1"b":2}`, `{"a":x"y"}`, `{"a":"b\`,
	} {
		s := New([]byte(text))
		s.Object(func([]byte) {})
		if s.Whole() {
			t.Errorf("%s is whole", text)
		}
	}
}

// FuzzScanner reads texts of any content; of JSON it finds the members that there are.
func FuzzScanner(f *testing.F) {
	for _, text := range []string{
		`{"a":"\\\"","b": [1, {"c":[]}] , "d":null}`, `{"a":{"b":[{"c":"]}"}]},"a":2}`, `{"a`, `{`, `{"a":}`, `[`, "",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := map[string]string{}
		s := New(text)
		s.Object(func(name []byte) {
			quoted := New(append(append([]byte{'"'}, name...), '"'))
			if said := quoted.Text(); said != nil {
				name = said
			}
			got[string(name)] = string(s.Value())
		})
		var want map[string]json.RawMessage
		if json.Unmarshal(text, &want) != nil || !utf8.Valid(text) || want == nil {
			return
		}
		if !s.Whole() {
			t.Fatalf("the rest is passed over: %q", text)
		}
		if len(got) != len(want) {
			t.Fatalf("%d members of %d: %q", len(got), len(want), text)
		}
		for name, value := range want {
			if got[name] != string(value) {
				t.Errorf("%q: %q, want %q", name, got[name], value)
			}
		}
	})
}
