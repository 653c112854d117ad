// SPDX-License-Identifier: Apache-2.0

package fips_test

import (
	"crypto/fips140"
	"encoding/hex"
	"hash"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/fips"
)

// Digests of "abc" and of nothing, from RFC 1321 and FIPS 180-4.
func TestDigests(t *testing.T) {
	for _, test := range []struct {
		name       string
		hasher     hash.Hash
		size       int
		abc, empty string
	}{
		{"MD5", fips.NewMD5(), fips.MD5Size, "900150983cd24fb0d6963f7d28e17f72", "d41d8cd98f00b204e9800998ecf8427e"},
		{"SHA-1", fips.NewSHA1(), fips.SHA1Size, "a9993e364706816aba3e25717850c26c9cd0d89d", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
	} {
		if got := hex.EncodeToString(test.hasher.Sum(nil)); got != test.empty {
			t.Errorf("%s of nothing = %s, want %s", test.name, got, test.empty)
		}
		for _, part := range []string{"a", "", "bc"} {
			if n, err := io.WriteString(test.hasher, part); n != len(part) || err != nil {
				t.Errorf("%s: Write = %d, %v", test.name, n, err)
			}
		}
		if got := hex.EncodeToString(test.hasher.Sum([]byte{0xff})); got != "ff"+test.abc {
			t.Errorf("%s of abc behind ff = %s, want ff%s", test.name, got, test.abc)
		}
		test.hasher.Reset()
		if got := hex.EncodeToString(test.hasher.Sum(nil)); got != test.empty {
			t.Errorf("%s after Reset = %s, want %s", test.name, got, test.empty)
		}
		if test.hasher.Size() != test.size || test.hasher.BlockSize() != 64 {
			t.Errorf("%s: size %d, block size %d", test.name, test.hasher.Size(), test.hasher.BlockSize())
		}
	}
	if got := fips.MD5([]byte("abc")); hex.EncodeToString(got[:]) != "900150983cd24fb0d6963f7d28e17f72" {
		t.Errorf("MD5(abc) = %x", got)
	}
}

func TestState(t *testing.T) {
	version, enabled, enforced := fips.State()
	if version == "" || enabled != fips140.Enabled() || enforced && !enabled {
		t.Errorf("State = %q, %t, %t", version, enabled, enforced)
	}
}

// TestUnderEnforcement runs the tests above in a process where the cryptographic
// module refuses MD5 and SHA-1 to everybody else.
func TestUnderEnforcement(t *testing.T) {
	if _, _, enforced := fips.State(); enforced {
		return // this is that process
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(binary, "-test.run=^(TestDigests|TestUnderEnforcement)$", "-test.v")
	child.Env = append(child.Environ(), "GODEBUG=fips140=only")
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestDigests") {
		t.Errorf("under fips140=only: %v\n%s", err, out)
	}
}
