// SPDX-License-Identifier: Apache-2.0

// Command licences lists the licence of every module that the given packages are
// built from, and fails for one that Coffer may not ship or that it does not
// know. Run it in the module's directory:
//
//	licences ./...
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, packages []string) error {
	modules, err := list(packages)
	if err != nil {
		return err
	}
	var refused []string
	for _, m := range modules {
		licence, err := m.licence()
		if err != nil {
			refused = append(refused, fmt.Sprintf("%s: %v", m.Path, err))
			continue
		}
		fmt.Fprintf(out, "%-14s %s %s\n", licence, m.Path, m.Version)
	}
	if len(refused) > 0 {
		return errors.New("refused:\n  " + strings.Join(refused, "\n  "))
	}
	if len(modules) == 0 {
		return errors.New("no module found: nothing was checked")
	}
	return nil
}

type module struct {
	Path, Version, Dir string
	Main               bool
	Replace            *module
}

// list returns the modules that the packages are built from, sorted by path,
// without the main one.
func list(packages []string) ([]module, error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=Module"}, packages...)...)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	found := map[string]module{}
	for d := json.NewDecoder(strings.NewReader(string(text))); ; {
		var p struct{ Module *module }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if m := p.Module; m != nil && !m.Main { // nil: the standard library
			if m.Replace != nil {
				m.Dir = m.Replace.Dir
			}
			found[m.Path] = *m
		}
	}
	var modules []module
	for _, m := range found {
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return modules, nil
}

// licence returns the names of the module's licences, all of them allowed.
func (m module) licence() (string, error) {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return "", err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() || !isLicenceFile(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.Dir, e.Name()))
		if err != nil {
			return "", err
		}
		kinds, err := classify(string(text))
		if err != nil {
			return "", fmt.Errorf("%s: %w", e.Name(), err)
		}
		names = append(names, kinds...)
	}
	if len(names) == 0 {
		return "", errors.New("it has no licence file")
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), "+"), nil
}

func isLicenceFile(name string) bool {
	name = strings.ToLower(name)
	if ext := filepath.Ext(name); ext == ".go" || ext == ".sh" || ext == ".py" {
		return false
	}
	for _, start := range []string{"license", "licence", "copying", "unlicense"} {
		if strings.HasPrefix(name, start) {
			return true
		}
	}
	return false
}

// allowed are the licences that Coffer may ship, each with words, in lower case
// and between single spaces, that it alone contains.
var allowed = []struct {
	name string
	says []string
}{
	{"Apache-2.0", []string{"apache license version 2.0, january 2004", "licensed under the apache license, version 2.0"}},
	{"BSD", []string{"redistribution and use in source and binary forms, with or without modification"}},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose", "permission to use, copy, modify, and distribute this software for any purpose"}},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy"}},
	{"MPL-2.0", []string{"mozilla public license version 2.0", "mozilla public license, version 2.0"}},
	{"Unlicense", []string{"this is free and unencumbered software released into the public domain"}},
}

// forbidden are words of licences that Coffer may not ship.
var forbidden = []string{
	"gnu affero general public license",
	"gnu general public license",
	"gnu lesser general public license",
	"server side public license",
	"business source license",
	"commons clause",
	"elastic license",
}

// classify returns which allowed licences a file holds. A file with any other
// is refused, also when an allowed one stands beside it: which of them applies to
// what is for a person to read.
func classify(text string) ([]string, error) {
	text = strings.Join(strings.Fields(strings.ToLower(text)), " ")
	var names []string
	for _, l := range allowed {
		if slices.ContainsFunc(l.says, func(words string) bool { return strings.Contains(text, words) }) {
			names = append(names, l.name)
		}
	}
	if !slices.Contains(names, "MPL-2.0") { // whose text names the GNU licences
		for _, words := range forbidden {
			if strings.Contains(text, words) {
				return nil, fmt.Errorf("it contains the %s", words)
			}
		}
	}
	if len(names) == 0 {
		return nil, errors.New("the licence is not one that is known to be allowed")
	}
	return names, nil
}
