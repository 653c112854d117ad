// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Show writes every setting that is no secret as YAML that Load would read; with
// origin, a comment says where each value came from.
func (c *Config) Show(w io.Writer, origin bool) error {
	for _, s := range settings {
		if s.secret {
			continue
		}
		value := s.get(c)
		if s.form != boolean { // which YAML would quote, as text that looks like one
			quoted, err := yaml.Marshal(value)
			if err != nil {
				return err
			}
			value = strings.TrimSuffix(string(quoted), "\n")
		}
		line := s.name + ": " + value
		if origin {
			line += " # " + c.origins[s.name]
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// document returns docs/configuration.md.
func document() string {
	var b strings.Builder
	b.WriteString(`# Configuration

Coffer needs no configuration to start. Each setting has a default, and can be set by, the later the stronger:

1. a YAML file, named by ` + "`--config`" + ` or ` + "`" + configEnv + "`" + `, with one ` + "`setting: value`" + ` a line;
2. the setting's environment variable;
3. the flag of ` + "`coffer serve`" + ` named as the setting.

Unknown settings and unknown ` + "`" + envPrefix + "*`" + ` variables are mistakes. All mistakes are reported at once, each with the place it was made.
` + "`coffer config show --origin`" + ` prints the settings in force and where each came from.

Durations are written like ` + "`90s`, `5m` or `1h30m`" + `; sizes in bytes or like ` + "`16KiB`, `1GiB`" + `; lists with commas, or as YAML lists.

| setting | value | default | meaning |
|---|---|---|---|
`)
	for _, s := range settings {
		if !s.secret {
			def := "none"
			if s.def != "" {
				def = "`" + s.def + "`"
			}
			fmt.Fprintf(&b, "| `%s`<br>`%s` | %s | %s | %s |\n", s.name, s.env(), s.form, def, s.help)
		}
	}
	b.WriteString(`
## Secrets

These can be set by the environment alone: a variable with the secret, or one with the name of a file that holds it and nothing else but
perhaps a newline at its end. They are never shown.

| variable | meaning |
|---|---|
`)
	for _, s := range settings {
		if s.secret {
			fmt.Fprintf(&b, "| `%s`<br>`%s` | %s |\n", s.env(), s.env()+fileSuffix, s.help)
		}
	}
	return b.String()
}

// Values returns every setting that is no secret, by name, as text.
func (c *Config) Values() map[string]string {
	out := make(map[string]string, len(settings))
	for _, s := range settings {
		if !s.secret {
			out[s.name] = s.get(c)
		}
	}
	return out
}
