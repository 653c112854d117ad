// SPDX-License-Identifier: Apache-2.0

// Package internal_test holds the source tree to its architecture: which layer may
// import which, and what may be used in one place alone. It parses the files
// itself, so that the test cache sees what the verdict depends on.
package internal_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/cofferstore/coffer/"

// layers says what each layer may import of Coffer, beside itself: wire, core,
// store and link, leaves, in this order. All may import leaves.
var layers = map[string][]string{
	"wire":  {"core", "store", "link"},
	"core":  {"store", "link"},
	"link":  {"store"},
	"store": {},
}

// leaves import of Coffer only other leaves.
var leaves = []string{"aws", "background", "chart", "checksum", "config", "fault", "fips", "jsonscan", "memo", "secret", "sequence"}

// composers build the object graph: they may import everything, and nothing in a
// layer imports them.
var composers = []string{"cmd/coffer", "internal/server", "internal/bench"}

// drivers and the suites that hold them to their interfaces are imported only by
// composers, which choose, by each other, and by tests.
var drivers = []string{
	"store/meta/mem", "store/meta/pebble", "store/meta/metatest",
	"store/blob/fs", "store/blob/mem", "store/blob/faulty", "store/blob/blobtest",
	"store/crashtest",
	"link/keystore/builtin", "link/keystore/keystoretest", "link/oidc/remote", "link/oidc/oidctest",
	"link/sink/webhook", "link/sink/syslog", "link/sink/sinktest",
	"link/event/webhook", "link/event/nats", "link/event/kafka", "link/event/eventtest",
	"fips/fipstest", "fault/faulttest",
}

// confined are imports with the only directories that may have them; a path
// ending in "/..." stands for all below it.
var confined = []struct {
	imports string
	only    []string // under internal
}{
	{"crypto/md5", []string{"fips"}},
	{"crypto/sha1", []string{"fips"}},
	{"crypto/rc4", []string{"fips"}},
	{"crypto/des", []string{"fips"}},
	{"golang.org/x/crypto/argon2", []string{"fips"}},
	{"golang.org/x/crypto/scrypt", []string{"fips"}},
	{"golang.org/x/crypto/chacha20poly1305", []string{"fips"}},
	{"github.com/cockroachdb/pebble/v2", []string{"store/meta/pebble"}},
	{"net/http/...", []string{"wire", "link/oidc", "link/sink"}},
	{"github.com/nats-io/...", []string{"link/event/nats"}},
	{"github.com/twmb/franz-go/...", []string{"link/event/kafka"}},
	{"encoding/xml", []string{"wire"}},
}

// confinedCalls are functions with the only directory under internal that may
// use them.
var confinedCalls = []struct {
	pkg    string
	prefix string // of the function's name
	only   string
}{
	{"crypto/cipher", "NewGCM", "secret"},
	{"os", "Getenv", "config"},
	{"os", "LookupEnv", "config"},
	{"os", "Environ", "config"},
	{"os", "ExpandEnv", "config"},
	{"syscall", "Getenv", "config"},
	{"syscall", "Environ", "config"},
}

// source is a Go file, by its path from the module's root.
type source struct {
	path string
	text string
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// TestArchitecture checks every Go file of the repository.
func TestArchitecture(t *testing.T) {
	var files []source
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"testdata", "data", "bin"}, entry.Name())) {
			return fs.SkipDir
		}
		if entry.IsDir() || path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		files = append(files, source{name, string(text)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("found %d Go files: this is not the repository", len(files))
	}
	for _, v := range check(files) {
		t.Error(v)
	}
}

// check returns what is wrong with the files, as "path: what".
func check(files []source) (violations []string) {
	documented := map[string]bool{} // directory → some file says what its package is for
	for _, f := range files {
		report := func(format string, args ...any) {
			violations = append(violations, f.path+": "+fmt.Sprintf(format, args...))
		}
		if !strings.HasPrefix(f.text, "// SPDX-License-Identifier: Apache-2.0\n\n") {
			report("does not begin with the SPDX line and an empty one")
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.path, f.text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			report("%v", err)
			continue
		}
		dir := path.Dir(f.path)
		documented[dir] = documented[dir] || describes(parsed)
		checkImports(f, parsed, report)
		checkUses(f, parsed, report)
	}
	for dir, ok := range documented {
		if !ok {
			violations = append(violations, dir+": no file says what the package is for")
		}
	}
	slices.Sort(violations)
	return slices.Compact(violations)
}

func describes(f *ast.File) bool {
	text := f.Doc.Text()
	if f.Name.Name == "main" {
		return strings.HasPrefix(text, "Command ")
	}
	return strings.HasPrefix(text, "Package "+f.Name.Name+" ")
}

func checkImports(f source, parsed *ast.File, report func(string, ...any)) {
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			report("%v", err)
			continue
		}
		if to, ours := strings.CutPrefix(imported, module+"internal/"); ours {
			checkLayer(f, to, report)
		} else if !f.isTest() {
			checkConfined(f, imported, report)
		}
	}
}

// checkLayer checks an import of a package under internal.
func checkLayer(f source, to string, report func(string, ...any)) {
	dir := path.Dir(f.path)
	if slices.Contains(composers, dir) {
		return
	}
	from, inside := strings.CutPrefix(dir, "internal/")
	if slices.Contains(drivers, to) && !f.isTest() && !slices.Contains(drivers, from) && !strings.HasPrefix(f.path, "test/") {
		report("imports the driver %s", to)
	}
	if !inside {
		return
	}
	layer, _, _ := strings.Cut(from, "/")
	target, _, _ := strings.Cut(to, "/")
	if slices.Contains(leaves, target) || target == layer {
		return
	}
	below, known := layers[layer]
	switch {
	case slices.Contains(leaves, layer):
		report("is a leaf and imports %s", to)
	case !known:
		report("is in %q, which is no layer", layer)
	case !slices.Contains(below, target):
		report("is in %s and imports %s", layer, to)
	}
}

// checkConfined checks an import of a package that is not Coffer's. Outside the
// layers, what only wire may import is free.
func checkConfined(f source, imported string, report func(string, ...any)) {
	from, inside := strings.CutPrefix(path.Dir(f.path), "internal/")
	for _, c := range confined {
		tree, below := strings.CutSuffix(c.imports, "/...")
		if imported != tree && !(below && strings.HasPrefix(imported, tree+"/")) {
			continue
		}
		allowed := slices.ContainsFunc(c.only, func(dir string) bool {
			return from == dir || strings.HasPrefix(from, dir+"/")
		})
		if (!inside || slices.Contains(composers, "internal/"+from)) && slices.Contains(c.only, "wire") {
			allowed = true
		}
		if !allowed {
			report("imports %s, which only internal/%s may", imported, strings.Join(c.only, ", internal/"))
		}
	}
}

// checkUses checks what a file declares and calls.
func checkUses(f source, parsed *ast.File, report func(string, ...any)) {
	for _, d := range parsed.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			report("has an init function")
		}
	}
	if f.isTest() || strings.HasPrefix(f.path, "test/") || strings.HasPrefix(f.path, "tools/") {
		return
	}
	names := map[string]string{} // local name → package
	for _, spec := range parsed.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." {
			report("imports %s by a dot", imported)
		}
		names[name] = imported
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := selector.X.(*ast.Ident)
		if !ok {
			return true
		}
		for _, c := range confinedCalls {
			if names[x.Name] == c.pkg && strings.HasPrefix(selector.Sel.Name, c.prefix) && path.Dir(f.path) != "internal/"+c.only {
				report("uses %s.%s, which only internal/%s may", path.Base(c.pkg), selector.Sel.Name, c.only)
			}
		}
		return true
	})
}

// TestCheckerCatches holds the checker itself to its rules, on sources made up
// for it.
func TestCheckerCatches(t *testing.T) {
	const spdx = "// SPDX-License-Identifier: Apache-2.0\n\n"
	imports := func(paths ...string) string {
		text := spdx + "// Package x is for the test.\npackage x\n\n"
		for _, p := range paths {
			text += "import _ " + strconv.Quote(p) + "\n"
		}
		return text
	}
	ours := func(to string) string { return imports(module + "internal/" + to) }
	tests := []struct {
		path, text string
		want       string // part of the one violation; "" for none
	}{
		{"internal/wire/s3api/a.go", ours("core/object"), ""},
		{"internal/wire/s3api/a.go", ours("wire/pipeline"), ""},
		{"internal/core/object/a.go", ours("store/meta"), ""},
		{"internal/core/object/a.go", ours("core/sse"), ""},
		{"internal/core/object/a.go", ours("secret"), ""},
		{"internal/link/keystore/builtin/a.go", ours("store/meta"), ""},
		{"internal/core/object/a.go", ours("wire/s3api"), "is in core and imports wire/s3api"},
		{"internal/core/object/a_test.go", ours("wire/s3api"), "is in core and imports wire/s3api"},
		{"internal/store/meta/a.go", ours("core/object"), "is in store and imports core/object"},
		{"internal/store/meta/a.go", ours("link/keystore"), "is in store and imports link/keystore"},
		{"internal/link/keystore/a.go", ours("core/kms"), "is in link and imports core/kms"},
		{"internal/fault/a.go", ours("fips"), ""},
		{"internal/config/a.go", ours("core/iam"), "is a leaf and imports core/iam"},
		{"internal/util/a.go", ours("store/meta"), `"util", which is no layer`},

		{"internal/core/object/a.go", ours("store/meta/mem"), "imports the driver store/meta/mem"},
		{"internal/wire/s3api/a.go", ours("link/keystore/builtin"), "imports the driver link/keystore/builtin"},
		{"internal/store/meta/a.go", ours("store/meta/pebble"), "imports the driver"},
		{"cmd/other/a.go", ours("store/blob/fs"), "imports the driver"},
		{"internal/core/object/a_test.go", ours("store/meta/mem"), ""},
		{"internal/store/blob/faulty/a.go", ours("store/blob/mem"), ""},
		{"cmd/coffer/a.go", ours("store/blob/fs"), ""},
		{"test/coffertest/a.go", ours("store/blob/mem"), ""},

		{"internal/core/object/a.go", imports("net/http"), "imports net/http"},
		{"internal/core/object/a.go", imports("net/http/httptrace"), "imports net/http/httptrace"},
		{"internal/core/object/a.go", imports("encoding/xml"), "imports encoding/xml"},
		{"internal/store/blob/a.go", imports("net/http"), "imports net/http"},
		{"internal/wire/s3api/a.go", imports("net/http", "encoding/xml"), ""},
		{"cmd/coffer/a.go", imports("net/http"), ""},
		{"internal/core/object/a.go", imports("crypto/md5"), "imports crypto/md5"},
		{"internal/wire/sigv4/a.go", imports("crypto/sha1"), "imports crypto/sha1"},
		{"cmd/coffer/a.go", imports("crypto/md5"), "imports crypto/md5"},
		{"internal/secret/a.go", imports("golang.org/x/crypto/scrypt"), "imports golang.org/x/crypto/scrypt"},
		{"internal/fips/a.go", imports("crypto/md5", "crypto/sha1", "crypto/des"), ""},
		{"internal/wire/sigv4/a_test.go", imports("crypto/md5"), ""},
		{"internal/core/audit/a.go", imports("github.com/cockroachdb/pebble/v2"), "imports github.com/cockroachdb/pebble/v2,"},
		{"internal/core/audit/a.go", imports("github.com/cockroachdb/pebble/v2/vfs"), ""},

		{"internal/core/kms/a.go", imports() + "import c \"crypto/cipher\"\nvar f = c.NewGCMWithRandomNonce\n", "uses cipher.NewGCMWithRandomNonce"},
		{"internal/secret/a.go", imports() + "import \"crypto/cipher\"\nvar f = cipher.NewGCM\n", ""},
		{"cmd/coffer/a.go", imports() + "import \"os\"\nfunc f() string { return os.Getenv(\"HOME\") }\n", "uses os.Getenv"},
		{"internal/core/kms/a.go", imports() + "import . \"os\"\n", "imports os by a dot"},
		{"internal/config/a.go", imports() + "import \"os\"\nfunc f() string { return os.Getenv(\"HOME\") }\n", ""},
		{"internal/core/kms/a.go", imports() + "type os struct{ Getenv int }\nvar x os\nvar y = x.Getenv\n", ""},

		{"internal/fault/a.go", imports() + "func init() {}\n", "has an init function"},
		{"internal/fault/a.go", imports() + "type t int\nfunc (t) init() {}\n", ""},
		{"internal/fault/a.go", "// Package x is for the test.\npackage x\n", "SPDX"},
		{"internal/fault/a.go", "// SPDX-License-Identifier: Apache-2.0\n// Package x is for the test.\npackage x\n", "SPDX"},
		{"internal/fault/a.go", spdx + "package x\n", "no file says what the package is for"},
		{"internal/fault/a.go", spdx + "// Functions.\npackage x\n", "no file says what the package is for"},
		{"cmd/coffer/a.go", spdx + "// Command coffer serves.\npackage main\n", ""},
		{"internal/fault/a.go", spdx + "// Package x is broken.\npackage x\nfunc {\n", "expected"},
	}
	for _, test := range tests {
		got := check([]source{{test.path, test.text}})
		if test.want == "" {
			if len(got) != 0 {
				t.Errorf("%s\n%s\nfound %q, want nothing", test.path, test.text, got)
			}
			continue
		}
		// Two rules may see the same mistake; the wanted one must be among them.
		if !slices.ContainsFunc(got, func(v string) bool { return strings.Contains(v, test.want) }) {
			t.Errorf("%s\n%s\nfound %q, want %q", test.path, test.text, got, test.want)
		}
	}
}
