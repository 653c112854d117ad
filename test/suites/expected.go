// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// divergences is the page with the reasons of all expected failures: the rows of a
// table that begin with an anchor.
const divergences = "../../docs/aws-divergences.md"

// expectation is why a test may fail.
type expectation struct {
	reason string // the anchor of it
	// foreign is whether the test is about something other than what AWS does: it is not counted.
	foreign bool
}

// readExpected reads which tests of a suite may fail, of its file in expected:
//
//	# A comment.
//	[differs ANCHOR]
//	NAME OF A TEST
//	[foreign ANCHOR]
//	NAME OF A TEST
//
// differs is for what AWS does and Coffer does not, foreign for tests that AWS itself
// would not pass, or that are about something other than AWS's API.
func readExpected(suite string) (map[string]expectation, error) {
	text, err := os.ReadFile(filepath.Join("expected", suite+".txt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	expected, err := parseExpected(string(text))
	if err != nil {
		return nil, fmt.Errorf("expected/%s.txt: %w", suite, err)
	}
	return expected, nil
}

func parseExpected(text string) (map[string]expectation, error) {
	expected := map[string]expectation{}
	var current expectation
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if heading, ok := strings.CutPrefix(line, "["); ok {
			kind, anchor, _ := strings.Cut(strings.TrimSuffix(heading, "]"), " ")
			if kind != "differs" && kind != "foreign" || anchor == "" || !strings.HasSuffix(heading, "]") {
				return nil, fmt.Errorf("%q is neither [differs ANCHOR] nor [foreign ANCHOR]", line)
			}
			current = expectation{reason: anchor, foreign: kind == "foreign"}
			continue
		}
		if current.reason == "" {
			return nil, fmt.Errorf("%q has no reason: it is below no [differs ANCHOR] or [foreign ANCHOR]", line)
		}
		if _, twice := expected[line]; twice {
			return nil, fmt.Errorf("%q is there twice", line)
		}
		expected[line] = current
	}
	return expected, nil
}

// readReasons returns the reasons of the page by their anchors.
func readReasons(page string) (map[string]string, error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	reasons := map[string]string{}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, `| <a id="`)
		if !ok {
			continue
		}
		anchor, rest, ok := strings.Cut(rest, `"></a>`)
		if !ok {
			continue
		}
		if reasons[anchor] != "" {
			return nil, fmt.Errorf("%s: the anchor %s is there twice", page, anchor)
		}
		reasons[anchor] = strings.Trim(strings.TrimSpace(rest), "| ")
	}
	return reasons, nil
}
