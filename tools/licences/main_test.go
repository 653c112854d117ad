// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestClassify(t *testing.T) {
	for _, test := range []struct {
		text string
		want string // licences, or "error: " and part of the refusal
	}{
		{"   Apache License\n   Version 2.0, January 2004\n", "Apache-2.0"},
		{"MIT License\n\nPermission is hereby granted, free of charge, to any person\nobtaining a copy of this", "MIT"},
		{"Redistribution and use in source and binary forms, with or without\nmodification, are permitted", "BSD"},
		{"Permission to use, copy, modify, and distribute this software for any\npurpose with or without fee", "ISC"},
		{"Mozilla Public License Version 2.0 … means either the GNU General Public License, Version 2.0", "MPL-2.0"},
		{"This is free and unencumbered software released into the public domain.", "Unlicense"},
		{"Apache License Version 2.0, January 2004. Redistribution and use in source and binary forms, with or without modification", "Apache-2.0+BSD"},
		{"GNU AFFERO GENERAL PUBLIC LICENSE\n Version 3", "error: affero"},
		{"GNU GENERAL PUBLIC LICENSE\n Version 2", "error: gnu general"},
		{"Permission is hereby granted, free of charge, to any person obtaining a copy … under the GNU Lesser General Public License", "error: lesser"},
		{"Business Source License 1.1", "error: business"},
		{"Apache License Version 2.0, January 2004 with the Commons Clause", "error: commons"},
		{"All rights reserved.", "error: not one that is known"},
		{"", "error: not one that is known"},
	} {
		names, err := classify(test.text)
		got := strings.Join(names, "+")
		if says, refused := strings.CutPrefix(test.want, "error: "); refused {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%q: %s, %v; want a refusal that says %q", test.text, got, err, says)
			}
		} else if err != nil || got != test.want {
			t.Errorf("%q: %s, %v; want %s", test.text, got, err, test.want)
		}
	}
}

func TestModules(t *testing.T) {
	mit := "Permission is hereby granted, free of charge, to any person obtaining a copy"
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"one", map[string]string{"LICENSE": mit, "license.go": "package x"}, "MIT"},
		{"two", map[string]string{"LICENCE.md": mit, "LICENSE-APACHE": "Licensed under the Apache License, Version 2.0"}, "Apache-2.0+MIT"},
		{"one of two is unknown", map[string]string{"LICENSE": mit, "COPYING": "Ask us."}, "error: COPYING"},
		{"none", map[string]string{"README.md": mit}, "error: no licence file"},
	} {
		dir := t.TempDir()
		for name, text := range test.files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := module{Dir: dir}.licence()
		if says, refused := strings.CutPrefix(test.want, "error: "); refused {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %s, %v; want a refusal that says %q", test.name, got, err, says)
			}
		} else if err != nil || got != test.want {
			t.Errorf("%s: %s, %v; want %s", test.name, got, err, test.want)
		}
	}
}
