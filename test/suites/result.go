// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// outcome is how a test ended.
type outcome int

const (
	passed outcome = iota
	failed
	skipped
)

// result is what a suite says of one test.
type result struct {
	name    string
	outcome outcome
	why     string
}

// parseResult reads a line of a suite.
func parseResult(line string) (result, bool) {
	word, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	name, why, _ := strings.Cut(rest, ": ")
	r := result{name: strings.TrimSpace(name), why: strings.TrimSpace(why)}
	switch word {
	case "ok":
		r = result{name: strings.TrimSpace(rest), outcome: passed}
	case "FAIL":
		r.outcome = failed
	case "skip":
		r.outcome = skipped
	default:
		return result{}, false
	}
	return r, r.name != ""
}

// report is what is known of a suite that has run.
type report struct {
	suite      suite
	short      bool
	took       time.Duration
	unfinished string // why it did not finish

	passed   int
	expected []result // failed, as its file says
	foreign  int      // of these, those that are not about AWS
	failed   []result // failed, and should not
	mended   []string // passed, and were expected to fail
	unknown  []string // were expected to fail, and do not exist
	skipped  []result

	reasons map[string]expectation
}

// judge compares what a suite found with what was expected. A test that is named
// more than once passed if it did so each time.
func judge(s suite, found []result, expected map[string]expectation, unfinished string, short bool, took time.Duration) report {
	r := report{suite: s, short: short, took: took, unfinished: unfinished, reasons: expected}
	byName := map[string]result{}
	for _, f := range found {
		if before, again := byName[f.name]; !again || before.outcome == passed || f.outcome == failed {
			byName[f.name] = f
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		f := byName[name]
		e, may := expected[name]
		switch {
		case f.outcome == skipped:
			r.skipped = append(r.skipped, f)
		case f.outcome == passed && may:
			r.mended = append(r.mended, name)
			r.passed++
		case f.outcome == passed:
			r.passed++
		case may:
			r.expected = append(r.expected, f)
			if e.foreign {
				r.foreign++
			}
		default:
			r.failed = append(r.failed, f)
		}
	}
	if !short {
		for _, name := range slices.Sorted(maps.Keys(expected)) {
			if _, ran := byName[name]; !ran {
				r.unknown = append(r.unknown, name)
			}
		}
	}
	return r
}

// counted is how many tests about AWS ran.
func (r report) counted() int {
	return r.passed + len(r.expected) + len(r.failed) - r.foreign
}

// share is how much of what counts passed.
func (r report) share() float64 {
	if r.counted() == 0 {
		return 0
	}
	return float64(r.passed) / float64(r.counted())
}

// good is whether all went as expected, and enough of it well.
func (r report) good() bool { return len(r.complaints()) == 0 }

// complaints are what is not as it should be.
func (r report) complaints() (all []string) {
	if r.unfinished != "" {
		all = append(all, r.unfinished)
	}
	for _, f := range r.failed {
		all = append(all, fmt.Sprintf("%s failed: %s", f.name, f.why))
	}
	for _, name := range r.mended {
		all = append(all, fmt.Sprintf("%s passes: take it out of expected/%s.txt", name, r.suite.name))
	}
	for _, name := range r.unknown {
		all = append(all, fmt.Sprintf("%s did not run: take it out of expected/%s.txt", name, r.suite.name))
	}
	if r.passed == 0 && len(r.skipped) == 0 {
		all = append(all, "nothing passed")
	}
	if !r.short && r.passed < r.suite.minimum {
		all = append(all, fmt.Sprintf("%d passed, %d have to", r.passed, r.suite.minimum))
	}
	if r.share() < r.suite.fraction {
		all = append(all, fmt.Sprintf("%.1f %% of what concerns AWS passed, %.0f %% have to", 100*r.share(), 100*r.suite.fraction))
	}
	return all
}

// table prints all reports: a line each, then failures and skips with their reasons.
func table(out io.Writer, reports []report, reasons map[string]string) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\nsuite\tpassed\tfailed\tskipped\tnot about AWS\tof what is\ttime\t")
	for _, r := range reports {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%.1f %%\t%s\t\n", r.suite.name, r.passed, len(r.expected)+len(r.failed)-r.foreign,
			len(r.skipped), r.foreign, 100*r.share(), r.took.Round(100*time.Millisecond))
	}
	t.Flush()
	for _, r := range reports {
		byReason := map[string][]string{}
		for _, f := range r.expected {
			reason := r.reasons[f.name].reason
			byReason[reason] = append(byReason[reason], f.name)
		}
		for _, reason := range slices.Sorted(maps.Keys(byReason)) {
			fmt.Fprintf(out, "\n%s: expected to fail (%d): %s\n", r.suite.name, len(byReason[reason]), reasons[reason])
			for _, name := range byReason[reason] {
				fmt.Fprintf(out, "  %s\n", name)
			}
		}
		if len(r.skipped) > 0 {
			fmt.Fprintf(out, "\n%s: skipped (%d)\n", r.suite.name, len(r.skipped))
			for _, f := range r.skipped {
				fmt.Fprintf(out, "  %s: %s\n", f.name, f.why)
			}
		}
	}
	for _, r := range reports {
		if all := r.complaints(); len(all) > 0 {
			fmt.Fprintf(out, "\n%s: NOT AS IT SHOULD BE\n", r.suite.name)
			for _, c := range all {
				fmt.Fprintf(out, "  %s\n", c)
			}
		}
	}
}
