// SPDX-License-Identifier: Apache-2.0

package audit

import "testing"

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

func FuzzPasswordsOfURLs(f *testing.F) {
	f.Add("https://ann:pass@host/")
	f.Add("://://@:@")
	f.Fuzz(func(t *testing.T, v string) {
		if once := WithoutPassword(v); WithoutPassword(once) != once {
			t.Errorf("%q becomes %q, and then %q", v, once, WithoutPassword(once))
		}
	})
}
