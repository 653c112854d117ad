// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzFile: a file that is taken can be shown as one that means the same; of another
// it is said what is wrong.
func FuzzFile(f *testing.F) {
	for _, content := range []string{
		"", "# nothing\n", "listen: 127.0.0.1:9000\nregion: eu-west-1\n", "domain: [a.example, b.example]\n", "min-free: 1GiB,2%\n",
		"bucket-key-ttl: 90s\ninline-limit: 64KiB\nrequire-fips: yes\n", "listen: a\nlisten: b\n", "<<: {a: b}\n", "a: &x [*x]\n", "--- a\n--- b\n",
		"root-secret-access-key: x\n", "trusted-proxies: \"10.0.0.0/8, ::1\"\n", "kms-latency: 5ms\nlog-level: debug\n", "region: !!binary YQ==\n", "- a\n", "\xff",
	} {
		f.Add(content)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content string) {
		from := func(name, content string) (*Config, error) {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			return load(flagsOf(t, "--config", path), nil)
		}
		c, err := from("given.yaml", content)
		if err != nil {
			var mistakes Mistakes
			if !errors.As(err, &mistakes) && !strings.HasPrefix(err.Error(), "read configuration") {
				t.Errorf("%q: %v", content, err)
			}
			return
		}
		var shown bytes.Buffer
		if err := c.Show(&shown, true); err != nil {
			t.Fatal(err)
		}
		again, err := from("shown.yaml", shown.String())
		if err != nil || !maps.Equal(again.Values(), c.Values()) {
			t.Errorf("%q is shown as %s, which is %v", content, shown.String(), err)
		}
	})
}
