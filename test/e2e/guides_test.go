// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/test/coffertest"
)

const guidesDir = "../../docs/guides"

// step is a block of shell in a guide, and what it prints.
type step struct {
	line   int
	script string
	fails  bool   // it ends with an error
	prints string // "" says nothing of it
}

// readGuide returns the steps of a guide: blocks of "sh" or "sh fails", each with the
// block of "text" that follows before the next one.
func readGuide(t *testing.T, name string) (steps []step) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var block *strings.Builder
	info, from := "", 0
	for n, line := range strings.Split(string(b), "\n") {
		fence, is := strings.CutPrefix(line, "```")
		switch {
		case is && block == nil:
			block, info, from = new(strings.Builder), fence, n+1
		case is:
			switch {
			case info == "sh" || info == "sh fails":
				steps = append(steps, step{line: from, script: block.String(), fails: info == "sh fails"})
			case info == "text" && len(steps) > 0:
				steps[len(steps)-1].prints = block.String()
			}
			block = nil
		case block != nil:
			block.WriteString(line + "\n")
		}
	}
	return steps
}

// TestGuides runs the guides as a reader does: one shell, block after block, with the
// AWS CLI and the program.
func TestGuides(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the AWS CLI is not on the path, so the guides' shell blocks cannot run; TestTenants tells the same story with the SDK")
	}
	program := buildProgram(t)
	names, err := filepath.Glob(filepath.Join(guidesDir, "*.md"))
	if err != nil || len(names) == 0 {
		t.Fatalf("found no guides: %v", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			steps := readGuide(t, name)
			if len(steps) == 0 {
				t.Skip("it has no block of sh")
			}
			if _, err := exec.LookPath("openssl"); err != nil && usesOpenSSL(steps) {
				t.Skip("openssl is not on the path, and it runs that; testImportedKeys tells the same story with the SDK")
			}
			runGuide(t, start(t), program, filepath.Base(name), steps)
		})
	}
}

func usesOpenSSL(steps []step) bool {
	return slices.ContainsFunc(steps, func(s step) bool { return strings.Contains(s.script, "openssl ") })
}

func runGuide(t *testing.T, s *coffertest.Server, program, name string, steps []step) {
	t.Helper()
	// Each step writes what it printed, and how it ended, into files of its own. One that
	// is to fail runs in a shell below, whose end ends nothing else.
	dir, results := t.TempDir(), t.TempDir()
	var script strings.Builder
	for i, step := range steps {
		fmt.Fprintf(&script, "echo %d > %s/at\n", i, results)
		if step.fails {
			fmt.Fprintf(&script, "set +e; (set -e\n%s) > %s/%d 2>&1; status=$?; set -e; [ $status != 0 ]\n", step.script, results, i)
		} else {
			fmt.Fprintf(&script, "{\n%s} > %s/%d 2>&1\n", step.script, results, i)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script.String())
	cmd.Dir = dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ENDPOINT_URL="+s.URL, "AWS_DEFAULT_REGION="+coffertest.Region, "AWS_ACCESS_KEY_ID="+coffertest.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+coffertest.SecretAccessKey)
	out, err := cmd.CombinedOutput()
	for i, step := range steps {
		printed, _ := os.ReadFile(filepath.Join(results, fmt.Sprint(i)))
		at, _ := os.ReadFile(filepath.Join(results, "at"))
		if err != nil && string(bytes.TrimSpace(at)) == fmt.Sprint(i) {
			t.Fatalf("%s:%d: %v, and it printed:\n%s%s", name, step.line, err, printed, out)
		}
		if step.prints != "" && !strings.Contains(string(printed), strings.TrimSpace(step.prints)) {
			t.Errorf("%s:%d printed\n%swant\n%s", name, step.line, printed, step.prints)
		}
	}
}
