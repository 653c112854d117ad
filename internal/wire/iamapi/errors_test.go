// SPDX-License-Identifier: Apache-2.0

package iamapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/fault"
)

// TestEveryKindHasACode reads the kinds that the packages below raise from their
// sources.
func TestEveryKindHasACode(t *testing.T) {
	found := 0
	for _, dir := range []string{
		".", "../pipeline", "../sigv4", "../../core/iam", "../../core/policy", "../../core/audit", "../../link/oidc", "../../store/meta",
	} {
		for _, kind := range kindsIn(t, dir) {
			found++
			if _, known := codes[kind]; !known {
				t.Errorf("no code for %q", kind)
			}
		}
	}
	if found < 40 {
		t.Errorf("found %d kinds: the sources were not read", found)
	}
}

// kindsIn returns the values of the constants of type fault.Kind in a directory.
func kindsIn(t *testing.T, dir string) (kinds []fault.Kind) {
	t.Helper()
	names, err := fs.Glob(os.DirFS(dir), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), dir+"/"+name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if typ, ok := spec.Type.(*ast.SelectorExpr); !ok || typ.Sel.Name != "Kind" {
				return true
			}
			for _, v := range spec.Values {
				text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				kinds = append(kinds, fault.Kind(text))
			}
			return true
		})
	}
	return kinds
}
