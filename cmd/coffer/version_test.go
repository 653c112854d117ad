// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/fips140"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestVersionTellsTheModule: which cryptographic module is in the program, whether it
// is on, and whether it refuses what is not approved.
func TestVersionTellsTheModule(t *testing.T) {
	for mode, want := range map[string]struct{ enabled, enforced bool }{
		"off": {false, false}, "on": {true, false}, "only": {true, true},
	} {
		var b build
		out := coffer(t, mode, "version", "--json")
		if err := json.Unmarshal([]byte(out), &b); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if b.FIPSModule != fips140.Version() || b.FIPSEnabled != want.enabled || b.FIPSEnforced != want.enforced {
			t.Errorf("fips140=%s: %s", mode, out)
		}
		// The setting of a build with a frozen module is that module's version, and
		// which build of it.
		if frozen := b.FIPSModule != "latest"; frozen != (b.FIPSBuild != "off") || frozen && !strings.HasPrefix(b.FIPSBuild, b.FIPSModule) {
			t.Errorf("module %s, build setting %s", b.FIPSModule, b.FIPSBuild)
		}
		line := fmt.Sprintf("FIPS 140-3: module %s, enabled %t, enforced %t, build setting %s\n", b.FIPSModule, want.enabled, want.enforced, b.FIPSBuild)
		if got := coffer(t, mode, "version"); !strings.HasSuffix(got, "\n"+line) {
			t.Errorf("fips140=%s: %q, want the line %q", mode, got, line)
		}
	}
}

// coffer runs the program in a FIPS mode and returns what it prints.
func coffer(t *testing.T, mode string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "coffer", args...)
	cmd.Env = append(os.Environ(), "GODEBUG=fips140="+mode)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("coffer %q under fips140=%s: %v", args, mode, err)
	}
	return string(out)
}
