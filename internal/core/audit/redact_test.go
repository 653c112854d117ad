// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strings"
	"testing"
)

func TestPasswordsOfURLsAreHidden(t *testing.T) {
	for v, want := range map[string]string{
		"":                             "",
		"plain":                        "plain",
		"https://host/a@b:c":           "https://host/a@b:c",
		"https://ann@host/":            "https://ann@host/",
		"https://ann:pass@host/path":   "https://ann:" + Hidden + "@host/path",
		"https://ann:p@ss:word@host":   "https://ann:" + Hidden + "@host",
		"http://a:b@c,http://d:e@f?g":  "http://a:" + Hidden + "@c,http://d:" + Hidden + "@f?g",
		"see http://a:b@c and x://:y@": "see http://a:" + Hidden + "@c and x://:" + Hidden + "@",
		"://":                          "://",
		"://:@":                        "://:" + Hidden + "@",
	} {
		if got := WithoutPassword(v); got != want {
			t.Errorf("%q becomes %q, want %q", v, got, want)
		}
	}
}

// A policy of 128 KiB may have a password at every tenth byte: what is hidden costs no
// memory of its own.
func TestManyPasswordsAreHidden(t *testing.T) {
	v := strings.Repeat("x://a:b@ ", 1000)
	if got, want := WithoutPassword(v), strings.Repeat("x://a:"+Hidden+"@ ", 1000); got != want {
		t.Errorf("becomes %q", got)
	}
	if n := testing.AllocsPerRun(5, func() { WithoutPassword(v) }); n > 50 {
		t.Errorf("%v allocations, want some for the text", n)
	}
}

func FuzzPasswordsOfURLs(f *testing.F) {
	f.Add("https://ann:pass@host/")
	f.Add("://://@:@")
	f.Fuzz(func(t *testing.T, v string) {
		if once := WithoutPassword(v); WithoutPassword(once) != once {
			t.Errorf("%q becomes %q, and then %q", v, once, WithoutPassword(once))
		}
	})
}
