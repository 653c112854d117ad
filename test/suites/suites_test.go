// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestResultsOfASuite(t *testing.T) {
	for line, want := range map[string]result{
		"ok PutObject\n":                         {"PutObject", passed, ""},
		"ok names may have: colons\r\n":          {"names may have: colons", passed, ""},
		"FAIL GetObject: status 500: not 200\n":  {"GetObject", failed, "status 500: not 200"},
		"FAIL GetObject\n":                       {"GetObject", failed, ""},
		"skip mount of a bucket: no /dev/fuse\n": {"mount of a bucket", skipped, "no /dev/fuse"},
	} {
		if got, ok := parseResult(line); !ok || got != want {
			t.Errorf("%q is %+v, %v", line, got, ok)
		}
	}
	for _, line := range []string{"", "\n", "okay\n", "ok\n", "ok \n", "FAILED x: y\n", "fail x: y\n", " ok x\n"} {
		if got, ok := parseResult(line); ok {
			t.Errorf("%q is %+v", line, got)
		}
	}
}

func TestDirectivesOfClients(t *testing.T) {
	for text, want := range map[string]suite{
		"#!/bin/sh\n# coffer tls\n# coffer serve: --region eu-west-1 --audit false\n# coffer timeout: 20m\n": {
			tls: true, serve: []string{"--region", "eu-west-1", "--audit", "false"}, timeout: 20 * time.Minute},
		"// coffer tls\n":                           {tls: true},
		"echo coffer tls\n":                         {},
		"# coffer is a server\n":                    {},
		strings.Repeat("\n", 40) + "# coffer tls\n": {},
	} {
		var got suite
		if err := got.directives(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if err := new(suite).directives("# coffer timeout: soon\n"); err == nil {
		t.Error("a timeout that is none is taken")
	}
}

func TestExpectedFailures(t *testing.T) {
	got, err := parseExpected("# why\n\n[differs one]\nA test\nB\n[foreign two]\nC\n")
	want := map[string]expectation{"A test": {"one", false}, "B": {"one", false}, "C": {"two", true}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"A\n", "[differs]\nA\n", "[other x]\nA\n", "[differs x\nA\n", "[differs x]\nA\nA\n"} {
		if got, err := parseExpected(text); err == nil {
			t.Errorf("%q is taken: %v", text, got)
		}
	}
}

// TestVerdict lists every way in which a run is not as it should be.
func TestVerdict(t *testing.T) {
	expected := map[string]expectation{"known": {"one", false}, "other": {"two", true}}
	ok := func(names ...string) (all []result) {
		for _, n := range names {
			all = append(all, result{n, passed, ""})
		}
		return all
	}
	fail := func(name string) result { return result{name, failed, "it broke"} }
	full := []result{{"a", passed, ""}, fail("known"), fail("other")}
	tests := []struct {
		name       string
		suite      suite
		found      []result
		unfinished string
		short      bool
		want       []string // parts of the complaints
	}{
		{"as expected", suite{}, full, "", false, nil},
		{"an unexpected failure", suite{}, append(slices.Clone(full), fail("b")), "", false, []string{"b failed: it broke"}},
		{"a failure that is mended", suite{}, append(ok("a", "known"), fail("other")), "", false, []string{"known passes"}},
		{"a failure that is gone", suite{}, append(ok("a"), fail("other")), "", false, []string{"known did not run"}},
		{"not everything runs when it is short", suite{}, ok("a"), "", true, nil},
		{"a skip is no failure", suite{}, append(slices.Clone(full), result{"s", skipped, "no FUSE"}), "", false, nil},
		{"an expected failure is skipped", suite{}, []result{{"a", passed, ""}, {"known", skipped, "x"}, fail("other")}, "", false, nil},
		{"not finished", suite{}, full, "did not end within 1h", false, []string{"did not end"}},
		{"nothing said", suite{}, nil, "", true, []string{"nothing passed"}},
		{"one name, two outcomes", suite{}, append(slices.Clone(full), fail("a"), result{"a", passed, ""}), "", false,
			[]string{"a failed", "nothing passed"}},
		{"too few", suite{minimum: 2}, full, "", false, []string{"1 passed, 2 have to"}},
		{"what is not about AWS does not count", suite{fraction: 0.5}, full, "", false, nil},
		{"too little of it", suite{fraction: 0.51}, full, "", false, []string{"50.0 % of what"}},
	}
	for _, test := range tests {
		r := judge(test.suite, test.found, expected, test.unfinished, test.short, 0)
		got := r.complaints()
		fits := len(got) == len(test.want) && r.good() == (len(got) == 0)
		for i := range min(len(got), len(test.want)) {
			fits = fits && strings.Contains(got[i], test.want[i])
		}
		if !fits {
			t.Errorf("%s: complaints %q, not %q", test.name, got, test.want)
		}
	}
}

func TestTableHasReasons(t *testing.T) {
	expected := map[string]expectation{"known": {"one", false}}
	r := judge(suite{name: "demo"}, []result{{"a", passed, ""}, {"known", failed, "x"}, {"fuse", skipped, "no FUSE"}, {"b", failed, "broke"}}, expected, "", false, time.Second)
	var out strings.Builder
	table(&out, []report{r}, map[string]string{"one": "because of one"})
	for _, want := range []string{"demo", "because of one", "  known\n", "fuse: no FUSE", "b failed: broke", "33.3 %"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, &out)
		}
	}
}

// TestReasonsOfExpectedFailures holds the files to the page, and the page to the files.
func TestReasonsOfExpectedFailures(t *testing.T) {
	reasons, err := readReasons(divergences)
	if err != nil {
		t.Fatal(err)
	}
	suites, err := choose("")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	files, err := filepath.Glob("expected/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if !slices.ContainsFunc(suites, func(s suite) bool { return s.name == name }) {
			t.Errorf("%s: there is no suite of this name", file)
		}
		expected, err := readExpected(name)
		if err != nil {
			t.Error(err)
		}
		for test, e := range expected {
			used[e.reason] = true
			if reasons[e.reason] == "" {
				t.Errorf("%s: %s: docs/aws-divergences.md has no anchor %s with a reason", file, test, e.reason)
			}
		}
	}
	for anchor := range reasons {
		if !used[anchor] {
			t.Errorf("docs/aws-divergences.md: no test is expected to fail for %s", anchor)
		}
	}
}

func TestReasonsOfAPage(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	for text, want := range map[string]map[string]string{
		"# Page\n| suite | why |\n| <a id=\"x\"></a>a thing | and why |\n": {"x": "a thing | and why"},
		"text with <a id=\"y\"></a>\n":                                     {},
	} {
		if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readReasons(page); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
