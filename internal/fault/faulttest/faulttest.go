// SPDX-License-Identifier: Apache-2.0

// Package faulttest reads from sources which kinds of fault they declare, for the
// tests that hold each protocol's table of codes to them.
package faulttest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/fault"
)

// Declared returns the constants of type fault.Kind in the package of a directory, each
// with its file. Tests do not count.
func Declared(tb testing.TB, dir string) map[fault.Kind]string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	kinds := map[fault.Kind]string{}
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		path := filepath.Join(dir, name)
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			tb.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok {
				for _, kind := range kindsOf(tb, spec) {
					kinds[kind] = path
				}
			}
			return true
		})
	}
	return kinds
}

// kindsOf returns the kinds that a declaration declares.
func kindsOf(tb testing.TB, spec *ast.ValueSpec) (kinds []fault.Kind) {
	typ, ok := spec.Type.(*ast.SelectorExpr)
	if !ok || typ.Sel.Name != "Kind" {
		return nil
	}
	for _, v := range spec.Values {
		literal, ok := v.(*ast.BasicLit)
		if !ok {
			continue
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			tb.Fatal(err)
		}
		kinds = append(kinds, fault.Kind(text))
	}
	return kinds
}
