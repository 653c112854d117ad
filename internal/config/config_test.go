// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

func flagsOf(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

func writeFile(t *testing.T, content string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "coffer.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustLoad(t *testing.T, flags *pflag.FlagSet, environ ...string) *Config {
	t.Helper()
	c, err := load(flags, environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mistakes loads a configuration that is wrong and returns its mistakes as
// "setting: text (origin)".
func mistakes(t *testing.T, flags *pflag.FlagSet, environ ...string) []string {
	t.Helper()
	c, err := load(flags, environ)
	var m Mistakes
	if c != nil || !errors.As(err, &m) {
		t.Fatalf("load = %v, %v; want mistakes", c, err)
	}
	var out []string
	for _, one := range m {
		out = append(out, fmt.Sprintf("%s: %s (%s)", one.Setting, one.Text, one.Origin))
		if !strings.Contains(err.Error(), out[len(out)-1]) {
			t.Errorf("the error %q does not list %q", err, out[len(out)-1])
		}
	}
	return out
}

func wantMistakes(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("mistakes\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestDefaults(t *testing.T) {
	c := mustLoad(t, nil)
	if c.Data != "./data" || c.Listen != "127.0.0.1:9000" || c.Region != "us-east-1" || c.AccountID != "000000000001" ||
		c.BucketKeyTTL != 5*time.Minute || c.InlineLimit != 16<<10 || c.PackLimit != 256<<10 || c.MinFree != (MinFree{1 << 30, 2}) ||
		c.NewBucketDefaults != Current || c.LogFormat != Text || c.LogLevel != slog.LevelInfo ||
		!slices.Equal(c.Domain, []string{"localhost", "s3.localhost"}) || c.AuditSyncReads || c.RequireFIPS {
		t.Errorf("defaults %+v", c)
	}
}

func TestLaterSourcesAreStronger(t *testing.T) {
	file := writeFile(t, "region: from-file\naccount-id: 111122223333\nlisten: 127.0.0.1:1\n")
	env := []string{"COFFER_CONFIG=" + file, "COFFER_REGION=from-environment", "COFFER_LISTEN=127.0.0.1:2", "PATH=/bin"}
	c := mustLoad(t, flagsOf(t, "--listen", "127.0.0.1:3"), env...)
	for _, test := range []struct{ name, got, want, origin string }{
		{"data", c.Data, "./data", "default"},
		{"account-id", c.AccountID, "111122223333", file + ":2"},
		{"region", c.Region, "from-environment", "COFFER_REGION"},
		{"listen", c.Listen, "127.0.0.1:3", "--listen"},
	} {
		if test.got != test.want || c.origins[test.name] != test.origin {
			t.Errorf("%s = %q from %s, want %q from %s", test.name, test.got, c.origins[test.name], test.want, test.origin)
		}
	}
}

func TestConfigFlagBeatsItsVariable(t *testing.T) {
	weak, strong := writeFile(t, "region: weak"), writeFile(t, "region: strong")
	if c := mustLoad(t, flagsOf(t, "--config", strong), "COFFER_CONFIG="+weak); c.Region != "strong" {
		t.Errorf("region %q, want that of the flag's file", c.Region)
	}
}

func TestValues(t *testing.T) {
	prefixes := func(all ...string) (out []netip.Prefix) {
		for _, s := range all {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	c := mustLoad(t, flagsOf(t, "--require-fips", "--audit-sync-reads=false", "--trusted-proxies", "10.1.2.3/8, ::1", "--metrics-peers=192.0.2.7"),
		"COFFER_BUCKET_KEY_TTL=0", "COFFER_INLINE_LIMIT=64KiB", "COFFER_PACK_LIMIT=0", "COFFER_MIN_FREE=5%", "COFFER_LOG_LEVEL=debug", "COFFER_DOMAIN=", "COFFER_SHUTDOWN_TIMEOUT=1h")
	if !c.RequireFIPS || c.AuditSyncReads || c.BucketKeyTTL != 0 || c.InlineLimit != 64<<10 || c.PackLimit != 0 || c.MinFree != (MinFree{0, 5}) ||
		c.LogLevel != slog.LevelDebug || len(c.Domain) != 0 || c.ShutdownTimeout != time.Hour ||
		!slices.Equal(c.TrustedProxies, prefixes("10.0.0.0/8", "::1/128")) || !slices.Equal(c.MetricsPeers, prefixes("192.0.2.7/32")) {
		t.Errorf("values %+v", c)
	}
	lists := mustLoad(t, nil, "COFFER_CONFIG="+writeFile(t, "domain: [a.example, b.example]\ntrusted-proxies:\n- 10.0.0.0/8\n- 192.0.2.0/24\n"))
	if !slices.Equal(lists.Domain, []string{"a.example", "b.example"}) || !slices.Equal(lists.TrustedProxies, prefixes("10.0.0.0/8", "192.0.2.0/24")) {
		t.Errorf("lists %+v", lists)
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	file := writeFile(t, "listen: nowhere\nregoin: us-east-1\nroot-key-passphrase: hunter2\ndata:\ndomain: {a: b}\nregion: a\nregion: b\n")
	got := mistakes(t, flagsOf(t, "--log-level", "loud", "--config", file),
		"COFFER_ACCOUNT_ID=12", "COFFER_BUCKET_KEY_TLL=5m", "COFFER_BUCKET_KEY_TTL=2h", "COFFER_ROOT_SECRET_ACCESS_KEY=short", "COFFER_TLS_CERT=/cert.pem")
	wantMistakes(t, got,
		`listen: "nowhere" is not an address like 127.0.0.1:9000 (`+file+`:1)`,
		`regoin: there is no such setting (`+file+`:2)`,
		`root-key-passphrase: is a secret: set it by COFFER_ROOT_KEY_PASSPHRASE or COFFER_ROOT_KEY_PASSPHRASE_FILE (`+file+`:3)`,
		`data: has no value (`+file+`:4)`,
		`domain: is neither a plain value nor a list (`+file+`:5)`,
		`region: is set twice (`+file+`:7)`,
		`account-id: "12" is not twelve digits (COFFER_ACCOUNT_ID)`,
		`bucket-key-ttl: 2h is not from 0 to 1h (COFFER_BUCKET_KEY_TTL)`,
		`root-secret-access-key: has 5 characters; it needs at least 16 (COFFER_ROOT_SECRET_ACCESS_KEY)`,
		`COFFER_BUCKET_KEY_TLL: there is no such variable (environment)`,
		`log-level: "loud" is not debug, info, warn or error (--log-level)`,
		`tls-cert: needs tls-key too (COFFER_TLS_CERT)`,
	)
}

func TestRefusedValues(t *testing.T) {
	for name, values := range map[string][]string{
		"data":                 {""},
		"listen":               {"", "9000", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000"},
		"region":               {"", "US", "a.b", "-a"},
		"account-id":           {"", "00000000001", "00000000000x"},
		"domain":               {"Example.com", "a..b", "a,,b", "a b"},
		"website-domain":       {"Example.com", "localhost", "web.example.com,s3.localhost"},
		"website-listen":       {"9000", "127.0.0.1:http"},
		"trusted-proxies":      {"10.0.0.0/33", "localhost", "fe80::1%eth0"},
		"metrics-peers":        {"all"},
		"bucket-key-ttl":       {"", "5", "-1s", "1h1s"},
		"new-bucket-defaults":  {"", "Legacy"},
		"kms-key-id-condition": {"", "header"},
		"inline-limit":         {"", "65KiB", "-1", "1 kb", "16K", "99999999999TiB"},
		"pack-limit":           {"", "1025KiB", "-1"},
		"min-free":             {"", "100%", "x%", "NaN%", "-1%", "-5", "1GiB,"},
		"audit-sync-reads":     {"", "yes"},
		"audit-required":       {"", "no"},
		"audit-retention":      {"", "d", "1", "-1d", "30m", "1d-1h", "36501d", "99999999d", "1x", "1.5d", "1dd", "999999999999999999d"},
		"audit-max-size":       {"", "1MiB", "-1", "10GB"},
		"require-fips":         {"maybe"},
		"log-format":           {"xml"},
		"log-level":            {"", "trace", "INFO"},
		"idle-timeout":         {"0"},
		"read-timeout":         {"999ms"},
		"shutdown-timeout":     {"-1s"},
		"kms-latency":          {"", "11s"},
	} {
		for _, value := range values {
			s, ok := find(func(s setting) bool { return s.name == name })
			if !ok {
				t.Fatalf("no setting %s", name)
			}
			got := mistakes(t, nil, s.env()+"="+value)
			if len(got) != 1 || !strings.HasPrefix(got[0], name+": ") {
				t.Errorf("%s=%q: mistakes %q", name, value, got)
			}
		}
	}
}

func TestSecrets(t *testing.T) {
	const key = "a secret of the root"
	file := writeFile(t, key+"\n")
	for _, environ := range [][]string{
		{"COFFER_ROOT_SECRET_ACCESS_KEY=" + key},
		{"COFFER_ROOT_SECRET_ACCESS_KEY_FILE=" + file},
	} {
		c := mustLoad(t, nil, append(environ, "COFFER_ROOT_ACCESS_KEY_ID=root")...)
		if got := string(c.RootSecretAccessKey.Reveal()); got != key {
			t.Errorf("%s gives %q", environ, got)
		}
		var shown strings.Builder
		if err := c.Show(&shown, true); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(shown.String(), key) || strings.Contains(shown.String(), "secret") || strings.Contains(fmt.Sprintf("%+v", c), key) {
			t.Errorf("shown: %s", &shown)
		}
	}
	c := mustLoad(t, nil, "COFFER_ROOT_KEY_PASSPHRASE_FILE="+writeFile(t, "two\nlines\r\n"))
	if got := string(c.RootKeyPassphrase.Reveal()); got != "two\nlines" {
		t.Errorf("passphrase %q, want it without the last newline", got)
	}
}

func TestSecretMistakesDoNotShowThem(t *testing.T) {
	wantMistakes(t, mistakes(t, nil, "COFFER_ROOT_SECRET_ACCESS_KEY=hunter2", "COFFER_ROOT_ACCESS_KEY_ID=root"),
		"root-secret-access-key: has 7 characters; it needs at least 16 (COFFER_ROOT_SECRET_ACCESS_KEY)")
	wantMistakes(t, mistakes(t, nil, "COFFER_ROOT_KEY_PASSPHRASE=hunter2", "COFFER_ROOT_KEY_PASSPHRASE_FILE=/x"),
		"root-key-passphrase: is also set by COFFER_ROOT_KEY_PASSPHRASE_FILE; use one of them (COFFER_ROOT_KEY_PASSPHRASE)")
	wantMistakes(t, mistakes(t, nil, "COFFER_ROOT_KEY_PASSPHRASE_FILE=/no/such/file"),
		"root-key-passphrase: cannot be read: open /no/such/file: no such file or directory (COFFER_ROOT_KEY_PASSPHRASE_FILE)")
	wantMistakes(t, mistakes(t, nil, "COFFER_ROOT_ACCESS_KEY_ID=root"),
		"root-access-key-id: needs root-secret-access-key too (COFFER_ROOT_ACCESS_KEY_ID)")
	flags := flagsOf(t)
	if flags.Lookup("root-secret-access-key") != nil || flags.Lookup("root-key-passphrase") != nil {
		t.Error("a secret has a flag, which process listings show")
	}
}

func TestFiles(t *testing.T) {
	for _, content := range []string{"", "# nothing\n", "---\n"} {
		mustLoad(t, nil, "COFFER_CONFIG="+writeFile(t, content))
	}
	for content, says := range map[string]string{
		"- listen":               "it is not settings like",
		"listen":                 "it is not settings like",
		"a: b: c":                "mapping values are not allowed",
		"region: a\n---\nlog: b": "more than one YAML document",
	} {
		_, err := load(nil, []string{"COFFER_CONFIG=" + writeFile(t, content)})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("file %q: %v, want an error that says %q", content, err, says)
		}
	}
	if _, err := load(nil, []string{"COFFER_CONFIG=/no/such/file"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestShownConfigurationLoadsAsTheSame(t *testing.T) {
	c := mustLoad(t, flagsOf(t, "--domain", "a.example,b.example", "--require-fips", "--min-free", "0.5%", "--idle-timeout", "90s",
		"--read-timeout=1h", "--bucket-key-ttl", "1h1s0ms", "--bucket-key-ttl", "0", "--trusted-proxies", "10.0.0.0/8", "--tls-cert", "a: b", "--tls-key", "# c"))
	var shown, again strings.Builder
	if err := c.Show(&shown, false); err != nil {
		t.Fatal(err)
	}
	back := mustLoad(t, nil, "COFFER_CONFIG="+writeFile(t, shown.String()))
	if err := back.Show(&again, false); err != nil {
		t.Fatal(err)
	}
	if shown.String() != again.String() {
		t.Errorf("shown\n%s\nand loaded from that\n%s", &shown, &again)
	}
	if !back.RequireFIPS || back.TLSCert != "a: b" || back.TLSKey != "# c" || back.MinFree.Percent != 0.5 {
		t.Errorf("loaded %+v", back)
	}
}

func TestShowNamesOrigins(t *testing.T) {
	c := mustLoad(t, flagsOf(t, "--region", "eu-west-1"), "COFFER_LOG_FORMAT=json")
	var shown strings.Builder
	if err := c.Show(&shown, true); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"region: eu-west-1 # --region\n", "log-format: json # COFFER_LOG_FORMAT\n", "listen: 127.0.0.1:9000 # default\n", "account-id: \"000000000001\" # default\n", "bucket-key-ttl: 5m # default\n", "require-fips: false # default\n"} {
		if !strings.Contains(shown.String(), line) {
			t.Errorf("shown without %q:\n%s", line, &shown)
		}
	}
}

// Long durations may be in days, and are shown as they would be written.
func TestSpans(t *testing.T) {
	for text, want := range map[string]struct {
		span  time.Duration
		shown string
	}{
		"0": {0, "0"}, "90d": {90 * day, "90d"}, "36h": {36 * time.Hour, "36h"}, "1d12h": {36 * time.Hour, "36h"}, "48h": {2 * day, "2d"}, "1h": {time.Hour, "1h"},
	} {
		c := mustLoad(t, nil, "COFFER_AUDIT_RETENTION="+text)
		if got := c.Values()["audit-retention"]; c.AuditRetention != want.span || got != want.shown {
			t.Errorf("%s: %v, shown %s, want %v", text, c.AuditRetention, got, want)
		}
	}
}

func TestMinFree(t *testing.T) {
	m := MinFree{Bytes: 100, Percent: 2}
	for _, test := range []struct {
		free, total uint64
		short       bool
	}{{100, 1000, false}, {99, 1000, true}, {100, 5000, false}, {100, 5001, true}} {
		if got := m.Short(test.free, test.total); got != test.short {
			t.Errorf("%d of %d free: short %t, want %t", test.free, test.total, got, test.short)
		}
	}
}

// TestDocument holds docs/configuration.md to the table; -update writes it.
func TestDocument(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "configuration.md")
	if *update {
		if err := os.WriteFile(path, []byte(document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != document() {
		t.Error("docs/configuration.md is not what the settings say; go test ./internal/config -update writes it")
	}
}

func TestEverySettingIsInTheFlagsAndSaysWhatItIs(t *testing.T) {
	flags := flagsOf(t)
	usage := flags.FlagUsages()
	for _, s := range settings {
		if s.help == "" || s.form == "" || s.set == nil || s.get == nil {
			t.Errorf("setting %s is not complete", s.name)
		}
		if !s.secret && (!strings.Contains(usage, "--"+s.name) || !strings.Contains(usage, s.env())) {
			t.Errorf("setting %s is not in the flags' help", s.name)
		}
	}
}
