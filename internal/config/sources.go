// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

const (
	envPrefix     = "COFFER_"
	fileSuffix    = "_FILE" // of a variable that names a file with a secret
	configFlag    = "config"
	configEnv     = envPrefix + "CONFIG"
	originDefault = "default"
)

// env is the name of the setting's variable.
func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// text is a flag's value; what it means is parsed with the other sources', so
// that all mistakes are reported together.
type text struct{ value, form string }

func (t *text) String() string     { return t.value }
func (t *text) Set(s string) error { t.value = s; return nil }
func (t *text) Type() string       { return t.form }

// AddFlags adds a flag for each setting that is no secret, and --config, which
// names the YAML file.
func AddFlags(fs *pflag.FlagSet) {
	fs.Var(&text{form: "file"}, configFlag, "YAML file with settings ("+configEnv+")")
	for _, s := range settings {
		if s.secret {
			continue
		}
		form := s.form
		if form == boolean {
			form = "bool" // which pflag knows not to print
		}
		flag := fs.VarPF(&text{s.def, form}, s.name, "", strings.ReplaceAll(s.help, "`", "")+" ("+s.env()+")")
		if s.form == boolean {
			flag.NoOptDefVal = "true"
		}
	}
}

// loader applies sources, weakest first, and collects mistakes.
type loader struct {
	config   *Config
	env      map[string]string
	mistakes Mistakes
}

func (l *loader) mistake(name, origin, format string, args ...any) {
	l.mistakes = append(l.mistakes, Mistake{name, origin, fmt.Sprintf(format, args...)})
}

func (l *loader) set(s setting, value, origin string) {
	if err := s.set(l.config, value); err != nil {
		l.mistake(s.name, origin, "%s", err)
		return
	}
	l.config.origins[s.name] = origin
}

func find(match func(setting) bool) (setting, bool) {
	i := slices.IndexFunc(settings, match)
	if i < 0 {
		return setting{}, false
	}
	return settings[i], true
}

// file applies the YAML file, if one is named.
func (l *loader) file(flags *pflag.FlagSet) error {
	name := l.env[configEnv]
	if flags != nil && flags.Changed(configFlag) {
		name = flags.Lookup(configFlag).Value.String()
	}
	if name == "" {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	var document yaml.Node
	decoder := yaml.NewDecoder(f)
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return fmt.Errorf("read configuration %s: %w", name, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("read configuration %s: it is more than one YAML document", name)
	}
	top := document.Content[0]
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		return nil // comments alone
	}
	if top.Kind != yaml.MappingNode {
		return fmt.Errorf("read configuration %s: line %d: it is not settings like \"listen: 127.0.0.1:9000\"", name, top.Line)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		origin := fmt.Sprintf("%s:%d", name, key.Line)
		if seen[key.Value] {
			l.mistake(key.Value, origin, "is set twice")
			continue
		}
		seen[key.Value] = true
		l.entry(key.Value, value, origin)
	}
	return nil
}

// entry applies one entry of the YAML file.
func (l *loader) entry(key string, value *yaml.Node, origin string) {
	s, known := find(func(s setting) bool { return s.name == key })
	if !known {
		l.mistake(key, origin, "there is no such setting")
		return
	}
	if s.secret {
		l.mistake(key, origin, "is a secret: set it by %s or %s", s.env(), s.env()+fileSuffix)
		return
	}
	text, err := scalar(value)
	if err != nil {
		l.mistake(key, origin, "%s", err)
		return
	}
	l.set(s, text, origin)
}

// scalar returns a value as it is written in the file, and a sequence as its
// elements between commas.
func scalar(n *yaml.Node) (string, error) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return "", errors.New("has no value")
	case n.Kind == yaml.ScalarNode:
		return n.Value, nil
	case n.Kind == yaml.SequenceNode:
		elements := make([]string, len(n.Content))
		for i, e := range n.Content {
			if e.Kind != yaml.ScalarNode {
				return "", errors.New("is a list of something other than plain values")
			}
			elements[i] = e.Value
		}
		return strings.Join(elements, ","), nil
	}
	return "", errors.New("is neither a plain value nor a list")
}

// environment applies the COFFER_* variables.
func (l *loader) environment() {
	known := map[string]bool{configEnv: true}
	for _, s := range settings {
		known[s.env()] = true
		value, set := l.env[s.env()]
		if s.secret {
			known[s.env()+fileSuffix] = true
			l.secret(s, value, set)
		} else if set {
			l.set(s, value, s.env())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		if !known[name] {
			l.mistake(name, "environment", "there is no such variable")
		}
	}
}

// secret applies a secret from its variable, or from the file that the other
// variable names.
func (l *loader) secret(s setting, value string, set bool) {
	fileEnv := s.env() + fileSuffix
	file, fromFile := l.env[fileEnv]
	switch {
	case set && fromFile:
		l.mistake(s.name, s.env(), "is also set by %s; use one of them", fileEnv)
	case set:
		l.set(s, value, s.env())
	case fromFile:
		content, err := os.ReadFile(file)
		if err != nil {
			l.mistake(s.name, fileEnv, "cannot be read: %s", err)
			return
		}
		line := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
		l.set(s, line, fileEnv)
	}
}

// flags applies the flags that were given.
func (l *loader) flags(flags *pflag.FlagSet) {
	if flags == nil {
		return
	}
	for _, s := range settings {
		if !s.secret && flags.Changed(s.name) {
			l.set(s, flags.Lookup(s.name).Value.String(), "--"+s.name)
		}
	}
}

// together checks settings that need each other.
func (l *loader) together() {
	c := l.config
	pair := func(one, other string, oneSet, otherSet bool) {
		if oneSet && !otherSet {
			l.mistake(one, c.origins[one], "needs %s too", other)
		}
		if otherSet && !oneSet {
			l.mistake(other, c.origins[other], "needs %s too", one)
		}
	}
	pair("tls-cert", "tls-key", c.TLSCert != "", c.TLSKey != "")
	pair("audit-syslog-cert", "audit-syslog-key", c.AuditSyslogCert != "", c.AuditSyslogKey != "")
	for _, d := range c.WebsiteDomain {
		if slices.Contains(c.Domain, d) {
			l.mistake("website-domain", c.origins["website-domain"], "%s is in domain too", d)
		}
	}
	l.auditSinks()
	l.notifications()
	// A secret that is itself a mistake has been reported.
	if !slices.ContainsFunc(l.mistakes, func(m Mistake) bool { return m.Setting == "root-secret-access-key" }) {
		pair("root-access-key-id", "root-secret-access-key", c.RootAccessKeyID != "", c.RootSecretAccessKey.Len() > 0)
	}
}
