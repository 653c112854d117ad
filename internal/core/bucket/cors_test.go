// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"regexp"
	"strings"
	"testing"
)

// The first rule that allows a request is the one.
func TestCorsAllow(t *testing.T) {
	c := Cors{Rules: []CorsRule{
		{ID: "one", Origins: []string{"https://a.example.com"}, Methods: []string{"PUT"}, Headers: []string{"x-amz-*"}},
		{ID: "two", Origins: []string{"https://*.example.com", "null"}, Methods: []string{"PUT", "GET"}, Headers: []string{"*"}},
		{ID: "three", Origins: []string{"http://b", "*"}, Methods: []string{"HEAD"}},
	}}
	for _, c2 := range []struct {
		origin, method, headers string
		want                    string
		any                     bool
	}{
		{"https://a.example.com", "PUT", "X-Amz-Date", "one", false},
		{"https://a.example.com", "PUT", "x-amz-date,content-type", "two", false},
		{"https://a.example.com", "GET", "", "two", false},
		{"null", "GET", "a", "two", false},
		{"https://.example.com", "GET", "", "two", false},
		{"https://example.com", "GET", "", "", false},
		{"HTTPS://a.example.com", "GET", "", "", false},
		{"http://b", "HEAD", "", "three", false},
		{"http://c", "HEAD", "", "three", true},
		{"http://c", "HEAD", "date", "", false},
		{"http://c", "DELETE", "", "", false},
	} {
		var headers []string
		if c2.headers != "" {
			headers = strings.Split(c2.headers, ",")
		}
		got := c.Allow(c2.origin, c2.method, headers)
		id := ""
		if got.Rule != nil {
			id = got.Rule.ID
		}
		if id != c2.want || got.Any != c2.any {
			t.Errorf("%+v: rule %q, %v", c2, id, got.Any)
		}
	}
}

// FuzzWildcard holds the patterns of CORS rules against regular expressions.
func FuzzWildcard(f *testing.F) {
	f.Add("https://*.example.com", "https://a.example.com")
	f.Add("*", "")
	f.Add("aa*aa", "aaa")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if strings.Count(pattern, "*") > 1 || len(pattern) > 1000 {
			return
		}
		want, err := regexp.Compile(`(?s)\A` + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`) + `\z`)
		if err != nil {
			return // not UTF-8
		}
		if got := wildcard(pattern, text); got != want.MatchString(text) {
			t.Errorf("%q fits %q: %v", text, pattern, got)
		}
	})
}
