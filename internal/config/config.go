// SPDX-License-Identifier: Apache-2.0

// Package config composes Coffer's settings from, the later the stronger, their
// defaults, a YAML file, COFFER_* environment variables and flags. Everything
// about a setting stands once, in a table: flags, YAML keys, variables,
// `coffer config show` and docs/configuration.md are made from it.
//
// No other package reads the environment.
package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/cofferstore/coffer/internal/secret"
)

// Config is the settings of a server, checked. docs/configuration.md says what
// each means; the fields are in its order.
type Config struct {
	Data              string
	Listen            string
	Region            string
	AccountID         string
	Domain            []string
	WebsiteDomain     []string
	WebsiteListen     string // "" for none
	TLSCert           string
	TLSKey            string
	TrustedProxies    []netip.Prefix
	MetricsPeers      []netip.Prefix
	BucketKeyTTL      time.Duration
	LifecycleDay      time.Duration
	KMSRequestQuota   int    // per account and second; 0 is no bound
	NewBucketDefaults string // Current or Legacy
	KMSKeyIDCondition string // Effective or HeaderOnly
	InlineLimit       int64
	PackLimit         int64
	MinFree           MinFree
	Audit             bool
	AuditSyncReads    bool
	AuditRequired     bool
	AuditS3Name       string        // S3Now or S3Before
	AuditRetention    time.Duration // 0 is for ever
	AuditMaxSize      int64         // 0 is no bound
	TrailInterval     time.Duration
	RequireFIPS       bool
	LogFormat         string // Text or JSON
	LogLevel          slog.Level
	IdleTimeout       time.Duration
	ReadTimeout       time.Duration
	ShutdownTimeout   time.Duration
	KMSLatency        time.Duration
	RootAccessKeyID   string

	RootSecretAccessKey secret.Bytes // empty when not set
	RootKeyPassphrase   secret.Bytes // empty when not set

	AuditSinks // where audit records are sent

	Notifications // where events of buckets are delivered

	origins map[string]string // setting → where its value came from
}

// Values of NewBucketDefaults, KMSKeyIDCondition, AuditSinkStart and LogFormat.
const (
	Current = "current"
	Legacy  = "legacy"

	Effective  = "effective"
	HeaderOnly = "header-only"
	S3Now      = "fas.s3.amazonaws.com"
	S3Before   = "s3.amazonaws.com"
	Now        = "now"
	Oldest     = "oldest"
	Text       = "text"
	JSON       = "json"
)

// MinFree is how much of the data directory's file system must stay free.
type MinFree struct {
	Bytes   int64
	Percent float64
}

// Short reports whether a file system with so many bytes free of a total has
// less left than it must.
func (m MinFree) Short(free, total uint64) bool {
	return free < uint64(m.Bytes) || float64(free) < float64(total)*m.Percent/100
}

// Mistake is one thing wrong with the configuration.
type Mistake struct {
	Setting string // or the unknown name
	Origin  string // a flag, a variable, or a file and line
	Text    string
}

// Mistakes is all that is wrong with a configuration, as one error.
type Mistakes []Mistake

// Error lists the mistakes, one a line.
func (m Mistakes) Error() string {
	var b strings.Builder
	if len(m) == 1 {
		b.WriteString("1 mistake in the configuration:")
	} else {
		fmt.Fprintf(&b, "%d mistakes in the configuration:", len(m))
	}
	for _, one := range m {
		fmt.Fprintf(&b, "\n  %s: %s (%s)", one.Setting, one.Text, one.Origin)
	}
	return b.String()
}

// Load composes the configuration from the flags that [AddFlags] added, the
// process's environment, and the YAML file that either of them names. The
// error is Mistakes, or that the file cannot be read.
func Load(flags *pflag.FlagSet) (*Config, error) {
	return load(flags, os.Environ())
}

// LoadWith is Load with an environment of "NAME=value" that the caller gives,
// whatever the process's says: for a server that a program starts for itself.
func LoadWith(flags *pflag.FlagSet, environ ...string) (*Config, error) {
	return load(flags, environ)
}

func load(flags *pflag.FlagSet, environ []string) (*Config, error) {
	l := &loader{config: &Config{origins: map[string]string{}}, env: map[string]string{}}
	for _, pair := range environ {
		if name, value, _ := strings.Cut(pair, "="); strings.HasPrefix(name, envPrefix) {
			l.env[name] = value
		}
	}
	for _, s := range settings {
		if !s.secret {
			l.set(s, s.def, originDefault)
		}
	}
	if err := l.file(flags); err != nil {
		return nil, err
	}
	l.environment()
	l.flags(flags)
	l.together()
	if len(l.mistakes) > 0 {
		return nil, l.mistakes
	}
	return l.config, nil
}
